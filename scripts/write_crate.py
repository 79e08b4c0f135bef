"""Describe the run as a Workflow Run RO-Crate, and put the text of the workflow beside it."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import json

    from reregister.crate.build import run_crate
    from reregister.crate.history import read_history
    from reregister.provenance.files import write_json, write_text

    for source, copy in zip(job.input.workflow, job.output.workflow, strict=True):
        write_text(copy, source.read_text(encoding="utf-8"))
    receipts = [*job.input.receipts, *job.input.pages, job.input.index, job.input.sums]
    about = {
        "run": job.params.run,
        "scale": job.params.scale,
        "datasets": job.params.datasets,
        "root": json.loads(job.input.root.read_text(encoding="utf-8"))["root"],
    }
    history = read_history(job.run_folder, receipts, job.input.sources)
    # Entities keep their order, and `@id` and `@type` stand first in each.
    write_json(job.output.crate, run_crate(history, about, job.output.workflow), sort_keys=False)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
