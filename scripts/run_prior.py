"""Register an experiment's test pairs, each by a network of its own that is fitted to it alone: a prior, not a training."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import torch

    from reregister.baselines.batch import read_start, timing_table
    from reregister.data.store import ImageStore
    from reregister.devices import take_device
    from reregister.prior.pairs import collect, left_over, plan_pairs
    from reregister.prior.settings import PriorSettings
    from reregister.prior.side_by_side import fit_pairs
    from reregister.prior.worker import Setup
    from reregister.tables import write_array, write_frame
    from reregister.weights import build_model, make_card, write_card

    store = ImageStore.open(job.input.images, job.input.subjects)
    frozen = store.frozen_pairs(job.input.pairs, "test")
    settings = PriorSettings.of(job.params.settings)
    pairs = plan_pairs(frozen, settings.seed, job.checkpoint)
    left = left_over(pairs)
    device, job.gpu = take_device(job.params.device, job.warn)
    job.device, each = device.type, settings.iterations
    job.resumed_from = len(pairs) - len(left) or None
    progress = job.progress(len(pairs) * each, "steps")
    (start,), (_, start_name) = job.input.start or [None], read_start(job.input.start)
    told = (job.params.model, job.params.settings, job.params.determinism)
    setup = Setup(str(job.input.images), *told, start=str(start) if start else None)
    done = (len(pairs) - len(left)) * each
    progress.report(done)
    job.determinism = fit_pairs(
        left, setup, job.threads, device, done, lambda steps, loss: progress.report(steps, loss=loss)
    )
    progress.report(progress.total)
    fields, timing, traces = collect(pairs)
    name, arguments = job.params.model["name"], job.params.model["params"]
    model = build_model(name, arguments)
    shape = store.images.shape[1:]
    noise = torch.zeros(1, model.z_channels, *model.padded_size(shape[1:]))
    where = f"one pair of {job.wildcards['paper']}, {job.wildcards['experiment']}, each"
    write_card(job.output.card, make_card(model, name, arguments, job.recipe_id, where, shape, inputs=(noise,)))
    # One seed, the first axis of every method's fields.
    write_array(job.output.fields, fields[None])
    # However many pairs ran side by side, each had one thread.
    write_frame(job.output.timing, timing_table(timing, frozen, job.wildcards["method"], 0, device.type, 1, start_name))
    write_frame(job.output.traces, traces.assign(method=job.wildcards["method"])[["method", *traces.columns]])


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
