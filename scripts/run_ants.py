"""Register an experiment's test pairs with a baseline of ants."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.baselines import ants
    from reregister.baselines.batch import run_baseline

    run_baseline(job, ants.register)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
