"""Put the audit beside the results: one file, so that a run can be audited where this project is not."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.provenance.files import atomic_path

    with atomic_path(job.output.audit) as temporary:
        temporary.write_bytes(job.input.audit.read_bytes())


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
