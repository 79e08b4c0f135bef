"""Set an experiment's methods side by side: means, and paired gains over the identity, with their intervals."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.comparison import compare
    from reregister.tables import read_results, write_frame

    write_frame(job.output.comparison, compare(read_results(job.input.metrics)))


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
