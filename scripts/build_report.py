"""Build one paper's page and the manifest of its receipts."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.provenance.files import write_json, write_text
    from reregister.report.pages import paper_page

    exhibits = [*job.input.figures, *job.input.tables]
    page, manifest = paper_page(
        job.run_folder, job.params.context, job.input.receipts, job.input.sources, exhibits, job.input.templates
    )
    write_text(job.output.page, page)
    write_json(job.output.manifest, manifest)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
