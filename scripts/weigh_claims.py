"""Hold what a paper prints and claims against what was run: a row each, with how near the run is to the paper."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.claims.records import Records
    from reregister.claims.weigh import weigh_paper
    from reregister.provenance.receipt import read_receipt
    from reregister.tables import write_frame

    receipts = {path.relative_to(job.run_folder).as_posix(): read_receipt(path) for path in job.input.receipts}
    files = {kind: getattr(job.input, kind) for kind in job.params.kinds}
    records = Records(receipts, files, job.input.sources, job.params.full, job.params.timed, job.params.labels)
    for name, table in weigh_paper(records, job.params.claims).items():
        write_frame(getattr(job.output, name), table)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
