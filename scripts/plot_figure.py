"""Draw one figure of a paper, as SVG and PNG, with the numbers that it shows as CSV."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.drawing import Exhibit, save_figure
    from reregister.registry import load

    exhibit = Exhibit(**job.params.exhibit, recipe_id=job.recipe_id)
    figure, numbers = load("figures", exhibit.function).draw(exhibit, vars(job.input))
    save_figure(figure, numbers, exhibit, job.output.svg, job.output.png, job.output.numbers)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
