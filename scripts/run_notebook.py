"""Run a paper's notebook on the results of the run, and write it with its outputs and as a page."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.notebook.execute import as_page, execute, write
    from reregister.provenance.files import write_text
    from reregister.provenance.job import flat, name_of

    names = [name_of(job, path) for path in flat(job.input)]
    parameters = {
        "run_folder": ".",
        "files": [name for name in names if not name.startswith("project/")],
        "about": job.params.about,
    }
    notebook, job.seen = execute(job.input.notebook.resolve(), job.run_folder, parameters)
    paper = job.wildcards["paper"]
    links = [("The page of this paper", f"../../report/{paper}.html"), ("The notebook itself", f"{paper}.ipynb")]
    write_text(job.output.notebook, write(notebook))
    write_text(job.output.page, as_page(notebook, job.input.page.resolve(), job.params.about["title"], links))


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
