"""Register an experiment's test pairs with the trained networks of one method: seed by seed, each pair by its own part."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import pandas as pd

    from reregister.baselines.batch import fields_file, read_start, timing_table
    from reregister.data.store import ImageStore
    from reregister.devices import take_device
    from reregister.inference import register_by_part
    from reregister.layers import padding_note
    from reregister.runtime import torch_settings
    from reregister.tables import write_frame
    from reregister.weights import load_model

    name, arguments = job.params.model["name"], job.params.model["params"]
    parts, seeds, method = job.params.parts, job.params.seeds, job.wildcards["method"]
    store = ImageStore.open(job.input.images, job.input.subjects)
    pairs = store.frozen_pairs(job.input.pairs, "test")
    device, job.gpu = take_device(job.params.device, job.warn)
    job.device = device.type
    shape = (len(seeds), len(pairs), store.images.ndim - 2, *store.images.shape[2:])
    timings, note = [], ""
    start, start_name = read_start(job.input.start)
    progress = job.progress(len(seeds) * len(pairs), "pairs")
    with (
        torch_settings(job.threads, job.params.determinism, device) as job.determinism,
        fields_file(job.output.fields, shape) as fields,
    ):
        for place, seed in enumerate(seeds):
            own = job.input.weights[place * len(parts) : (place + 1) * len(parts)]
            models = {
                part: load_model(path, name, arguments, job.params.inference).to(device)
                for part, path in zip(parts, own, strict=True)
            }
            note = padding_note(models[parts[0]], store.images.shape[2:])
            done = place * len(pairs)
            timing = register_by_part(
                models,
                store.images[:, 0],
                pairs,
                store.spacings,
                device,
                lambda count, done=done: progress.report(done + count),
                fields[place],
                start,
            )
            timings.append(timing_table(timing, pairs, method, seed, device.type, job.threads, start_name))
    if note:
        print(note)
    write_frame(job.output.timing, pd.concat(timings, ignore_index=True))


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
