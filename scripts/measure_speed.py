"""Measure speed as ratios within one run."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.benchmark import measure

    from reregister.tables import write_frame

    write_frame(job.output.speed, measure(job.threads))


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
