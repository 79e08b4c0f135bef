"""Make one table of a paper as CSV."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.drawing import Exhibit
    from reregister.registry import load
    from reregister.tables import write_frame

    exhibit = Exhibit(**job.params.exhibit, recipe_id=job.recipe_id)
    write_frame(job.output.table, load("figures", exhibit.function).tabulate(exhibit, vars(job.input)))


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
