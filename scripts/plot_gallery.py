"""Draw one gallery of a paper: a contact sheet as SVG, PDF and PNG, its images for the page, and its numbers as CSV."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.drawing import Exhibit, save_figure
    from reregister.provenance.files import write_json
    from reregister.registry import load

    exhibit, inputs = Exhibit(**job.params.exhibit, recipe_id=job.recipe_id), vars(job.input)
    gallery = load("figures", exhibit.function)
    figure, numbers = gallery.draw(exhibit, inputs)
    out = job.output
    save_figure(figure, numbers, exhibit, out.svg, out.pdf, out.png, out.numbers)
    write_json(job.output.panels, gallery.panels(exhibit, inputs))


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
