"""Train one network on the training pool of one part of an experiment, with one seed."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from dataclasses import replace

    import torch

    from reregister.card import describe_data
    from reregister.data.label_maps import LabelMaps
    from reregister.data.store import ImageStore
    from reregister.devices import take_device
    from reregister.layers import padding_note
    from reregister.losses import build_loss
    from reregister.runtime import choose_precision, torch_settings
    from reregister.tables import write_frame
    from reregister.training.data import history_frame, training_data
    from reregister.training.loop import Trainer, build_optimiser
    from reregister.training.schedule import make_schedule
    from reregister.training.start import hold_zeros, started_from
    from reregister.weights import build_model, load_model, make_card, save_model

    name, arguments = job.params.model["name"], job.params.model["params"]
    part, seed = job.wildcards["part"], int(job.wildcards["seed"])
    store = ImageStore.open(job.input.images, job.input.subjects)
    wanted = job.params.schedule.get("labels")
    labels = LabelMaps.open(job.input.labels, job.input.label_table) if wanted else None
    data = training_data(store, job.input.pairs, job.input.pool, part, labels, wanted["names"] if wanted else ())
    schedule = make_schedule(job.params.schedule, len(data.pool), data.each_once)
    device, job.gpu = take_device(job.params.device, job.warn)
    job.device, job.precision = device.type, choose_precision(schedule.precision, device)
    schedule = replace(schedule, precision=job.precision)
    progress = job.progress(schedule.iterations, "steps")
    with torch_settings(job.threads, job.params.determinism, device) as job.determinism:
        torch.manual_seed(seed)
        (start,) = job.input.start or [None]
        model = (load_model(start, name, arguments) if start else build_model(name, arguments)).to(device)
        if note := padding_note(model, store.images.shape[2:]):
            print(note)
        optimiser = build_optimiser(model, job.params.optimiser)
        if job.params.hold_zeros:
            hold_zeros(model, start, optimiser)
        trainer = Trainer(model, build_loss(job.params.loss), data, schedule, optimiser, seed, device, progress.report)
        history, job.resumed_from = trainer.run(job.checkpoint)
    where = f"{job.wildcards['paper']}, {job.wildcards['experiment']}, part {part}, seed {seed}"
    seen = describe_data(**job.params.data, spacings=store.spacings, padding=schedule.padding)
    card = make_card(model, name, arguments, job.recipe_id, where, store.images.shape[1:], seen, schedule.precision)
    card |= started_from(start, job.params.hold_zeros)
    save_model(job.output.weights, job.output.card, model, card)
    frame = history_frame(history, job.wildcards["method"], part, seed, schedule.steps_per_epoch)
    write_frame(job.output.history, frame)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
