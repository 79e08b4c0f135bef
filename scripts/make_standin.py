"""Write a dataset's stand-in: synthetic images in the official archives, and one file with the true deformations."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.registry import load

    outputs = {path.name: path for path in job.output.archives}
    # Generators of heads alone take an anatomy.
    anatomy = {"anatomy": job.input.anatomy[0]} if job.input.anatomy else {}
    load("data/standins", job.params.standin).write(
        outputs, job.output.truth, seed=job.params.seed, **job.params.settings, **anatomy
    )


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
