"""Register an experiment's test pairs with a baseline of itk."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.baselines import itk
    from reregister.baselines.batch import run_baseline

    run_baseline(job, itk.register)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
