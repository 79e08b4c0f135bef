"""Register an experiment's test pairs with the trained networks of one method and seed."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.baselines.batch import timing_table
    from reregister.data.store import ImageStore
    from reregister.inference import register_by_part
    from reregister.runtime import choose_device, torch_settings
    from reregister.tables import write_array, write_frame
    from reregister.weights import load_model

    name, arguments = job.params.model["name"], job.params.model["params"]
    store = ImageStore.open(job.input.images, job.input.subjects)
    pairs = store.frozen_pairs(job.input.pairs, "test")
    device = choose_device(job.params.device)
    job.device = device.type
    with torch_settings(job.threads, job.params.determinism, device) as job.determinism:
        models = {
            part: load_model(path, name, arguments).to(device)
            for part, path in zip(job.params.parts, job.input.weights, strict=True)
        }
        progress = job.progress(len(pairs), "pairs")
        fields, timing = register_by_part(models, store.images[:, 0], pairs, store.spacings, device, progress.report)
    write_array(job.output.fields, fields)
    method, seed = job.wildcards["method"], int(job.wildcards["seed"])
    write_frame(job.output.timing, timing_table(timing, pairs, method, seed, device.type, job.threads))


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
