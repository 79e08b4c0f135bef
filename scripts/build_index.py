"""Build the page that lists the papers, and the run's root: one hash over the manifests of all papers."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import json

    from reregister.provenance.files import sha256_json, write_json, write_text
    from reregister.report.pages import data_origin, render

    manifests = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in job.input.manifests}
    roots = {name: manifest["root"] for name, manifest in manifests.items()}
    root = {"papers": roots, "root": sha256_json(roots)}
    sources = {path.parent.name: data_origin(path) for path in job.input.sources}
    context = {"papers": job.params.papers, "run": job.params.run, "scale": job.params.scale}
    page = render(job.input.templates, "index.html.j2", **context, root=root, data=list(sources.values()))
    write_json(job.output.root, root)
    write_text(job.output.page, page)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
