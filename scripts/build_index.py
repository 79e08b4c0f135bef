"""Build the page that lists the papers, and the run's root: one hash over the manifests of all papers."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import json

    from reregister.provenance.files import sha256_json, write_json, write_text
    from reregister.report.pages import render

    manifests, papers = (
        [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        for paths in (job.input.manifests, job.input.summaries)
    )
    roots = {paper["paper"]: manifest["root"] for paper, manifest in zip(papers, manifests, strict=True)}
    root = {"papers": roots, "root": sha256_json(roots)}
    data = {dataset["name"]: dataset for paper in papers for dataset in paper["data"]}
    known = {sha256: name for paper in papers for sha256, name in paper.pop("known").items()}
    context = {
        "known": known,
        "run": job.params.run,
        "scale": job.params.scale,
        "papers": papers,
        "data": list(data.values()),
    }
    page = render(job.input.templates, "index.html.j2", **context, root=root)
    write_json(job.output.root, root)
    write_text(job.output.page, page)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
