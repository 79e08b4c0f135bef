"""Build the page that lists the papers, the ledger of claims, and the run's root: one hash over all manifests."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import json

    from reregister.provenance.files import sha256_json, write_json, write_text
    from reregister.report.claims import ledger_rows
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
    rows = ledger_rows([paper["paper"] for paper in papers], job.input.claims)
    ledger = render(job.input.templates, "ledger.html.j2", rows=rows, run=job.params.run, scale=job.params.scale)
    write_text(job.output.ledger, ledger)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
