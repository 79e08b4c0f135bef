"""Build one paper's page, the manifest of its receipts, and what the index says of it."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.provenance.files import write_json, write_text
    from reregister.report.exhibits import Files, by_name
    from reregister.report.pages import paper_page

    groups = (job.input.figures, job.input.numbers, job.input.tables, job.input.panels)
    files = Files(*(by_name(group) for group in groups))
    page = paper_page(
        job.run_folder,
        job.params.context,
        job.input.receipts,
        job.input.sources,
        files,
        job.input.claims,
        job.input.templates,
    )
    write_text(job.output.page, page.html)
    write_json(job.output.manifest, page.manifest)
    write_json(job.output.summary, page.summary)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
