"""Draw one figure of a paper, as SVG, PDF and PNG, with the numbers that it shows as CSV."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.drawing import Exhibit, save_figure
    from reregister.registry import load

    exhibit = Exhibit(**job.params.exhibit, recipe_id=job.recipe_id)
    figure, numbers = load("figures", exhibit.function).draw(exhibit, vars(job.input))
    out = job.output
    save_figure(figure, numbers, exhibit, out.svg, out.pdf, out.png, out.numbers)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
