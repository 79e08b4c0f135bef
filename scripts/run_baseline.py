"""Register an experiment's test pairs with a classical tool: all pairs of one method in one process."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.baselines.batch import run_baseline
    from reregister.registry import load

    run_baseline(job, load("baselines", job.params.tool).register)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
