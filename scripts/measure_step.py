"""Measure what one network's training step and registration cost: time, memory, the batch that fits, and reading apart."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import numpy as np

    from reregister.data.source import locate, read_source
    from reregister.devices import take_device
    from reregister.runtime import choose_precision
    from reregister.steps.table import as_table, read_rows, step_rows
    from reregister.tables import write_frame

    params = job.params
    assert job.location is not None
    device, job.gpu = take_device(params.device, job.warn)
    job.device, job.precision = device.type, choose_precision(params.precision, device)
    labels = params.labels or {}
    case = {
        "shape": list(np.load(job.input.images, mmap_mode="r").shape[1:]),
        "labels": 1 if labels.get("per_step") == "one" else len(labels.get("names", ())),
        # With its number: the processes that measure see the same GPUs as this one, which holds that one for them.
        "device": str(device),
        "threads": job.threads,
        "precision": job.precision,
        **{name: getattr(params, name) for name in ("model", "loss", "optimiser", "padding", "determinism")},
    }
    source = read_source(job.input.source)
    archive = {
        "reader": params.reader,
        "members": {member.member: str(locate(member, job.location, params.mode)) for member in source},
        "sha256": {member.member: member.sha256 for member in source},
        "reading": params.reading,
    }
    progress = job.progress(4, "measurements")
    rows = step_rows(case, params.batch, params.repeats, params.memory_mb, progress.advance)
    rows += read_rows(archive, str(job.input.images), params.repeats, job.threads)
    progress.report(4)
    table = as_table(job.wildcards["method"], rows)
    print(table.to_string(index=False))
    write_frame(job.output.steps, table)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
