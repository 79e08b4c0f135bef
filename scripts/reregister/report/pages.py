"""Pages made from receipts, tables and figures. What a page says was run is what the receipts say, never the config."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reregister.progress import format_seconds
from reregister.provenance.files import sha256_file
from reregister.provenance.receipt import read_receipt
from reregister.report.claims import printed_tables, read_rows
from reregister.report.environments import environments_of
from reregister.report.exhibits import Files, exhibit_of, label_of
from reregister.report.explorer import explorer_of
from reregister.report.lineage import code_texts, known_files
from reregister.report.origins import data_origin
from reregister.report.record import (
    baselines,
    command,
    findings,
    in_words,
    manifest_of,
    pairings,
    span,
    trainings,
    work_done,
)
from reregister.report.verdicts import counted, refuse, verdict_of

STYLES, SCRIPTS = ("style.css",), ("page.js", "explorer.js", "volume.js", "viewer.js")


class PaperPage(NamedTuple):
    """A paper's page, the manifest of its receipts, and what the page that lists the papers says of it."""

    html: str
    manifest: dict[str, Any]
    summary: dict[str, Any]


def render(templates: Sequence[Path], name: str, **context: Any) -> str:
    """One page from the template `name`, with autoescape on and undefined names as errors.

    The page's own style and script stand in it, and its content security policy allows these two, by their sha256, and
    images that stand in the page, and nothing else.
    """
    folder = templates[0].parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = format_seconds
    environment.filters["words"] = in_words
    style, script = (
        "\n".join((folder / file).read_text(encoding="utf-8") for file in files) for files in (STYLES, SCRIPTS)
    )
    policy = f"default-src 'none'; img-src data:; style-src {_allowed(style)}; script-src {_allowed(script)}"
    policy += "; base-uri 'none'; form-action 'none'"
    return environment.get_template(name).render(**context, style=style, script=script, policy=policy)


def _allowed(text: str) -> str:
    """How a content security policy names one style or script of the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def state_of(context: Mapping[str, Any]) -> dict[str, Any]:
    """How much of a paper was rerun: of the experiments that it prints numbers of or claims something about."""
    stated = {entry["experiment"] for key in ("numbers", "claims") for entry in context["claims"][key]}
    missing = sorted(stated - set(context["experiments"]))
    all_of_them = len(stated | set(context["experiments"]))
    return {
        "word": "rerun in part" if missing else "rerun",
        "done": all_of_them - len(missing),
        "all": all_of_them,
        "missing": missing,
    }


def paper_page(
    run_folder: Path,
    context: Mapping[str, Any],
    receipt_files: Sequence[Path],
    sources: Sequence[Path],
    files: Files,
    claims: Sequence[Path],
    templates: Sequence[Path],
) -> PaperPage:
    """A paper's page. context: titles, captions, choices and claims that no receipt holds, and whether it is to be strict.
    claims: the tables of `weigh_claims`.

    Raises ReregisterError where it is strict and an exhibit is not verified.
    """
    manifest = manifest_of(run_folder, receipt_files)
    receipts = {path.relative_to(run_folder).as_posix(): read_receipt(path) for path in receipt_files}
    making = "receipts/data/make_standin/{}.json"
    data = [data_origin(source, receipts.get(making.format(source.parent.name))) for source in sources]
    synthetic = {dataset["name"] for dataset in data if "synthetic" in dataset["origins"]}
    exhibits = [
        exhibit_of(name, about, files, receipts, context, run_folder)
        | {"synthetic": context["experiments"][about["experiment"]]["dataset"] in synthetic}
        for name, about in context["exhibits"].items()
    ]
    shown = {path.relative_to(run_folder).as_posix(): sha256_file(path) for path in files.every()}
    verdicts = {exhibit["name"]: verdict_of(exhibit["receipt"], receipts, shown) for exhibit in exhibits}
    if context["strict"]:
        refuse(verdicts, context["paper"])
    exhibits = [exhibit | verdicts[exhibit["name"]]._asdict() for exhibit in exhibits]
    named = {name: f"{label_of(name, about)} of {context['paper']}" for name, about in context["exhibits"].items()}
    weighed = read_rows(claims)
    known = {
        "root": manifest["root"],
        "words": counted(verdicts),
        "known": known_files(receipts, manifest, named),
        "data": data,
        "state": state_of(context),
        "findings": findings(receipts),
        "span": span(receipts),
        "environments": environments_of(run_folder, receipts),
    }
    page = render(
        templates,
        "paper.html.j2",
        context=context,
        run=run_folder.name,
        **known,
        work=work_done(receipts),
        trainings=trainings(receipts),
        baselines=baselines(receipts),
        pairings=pairings(receipts),
        printed=printed_tables(context["claims"]["numbers"], weighed),
        claims=weighed["claims"],
        commits=sorted({r["git"]["commit"] if r["git"] else "not a git checkout" for r in receipts.values()}),
        dirty=any((r["git"] or {}).get("dirty") for r in receipts.values()),
        exhibits=exhibits,
        explorer=explorer_of(context["explorer"], files.tables, exhibits, context),
        code=code_texts(receipts, run_folder, [sha256 for exhibit in exhibits for _, sha256 in exhibit["code"]]),
        command=command(context["paper"], run_folder.name, context["scale"], receipts, context["settings"]),
    )
    return PaperPage(page, manifest, _summary(context, known, exhibits))


def _summary(
    context: Mapping[str, Any], known: Mapping[str, Any], exhibits: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    environments = known["environments"]
    return {
        **{key: context[key] for key in ("paper", "kind", "title", "authors", "reference", "scale")},
        **{key: known[key] for key in ("root", "state", "span", "words", "known")},
        "findings": len(known["findings"]),
        "exhibits": {kind: sum(e["kind"] == kind for e in exhibits) for kind in ("figure", "gallery", "table")},
        "data": [
            {key: dataset[key] for key in ("name", "origins", "what")}
            | {"title": context["datasets"][dataset["name"]]["title"]}
            for dataset in known["data"]
        ],
        "environments": {
            "ids": [environment["id"] for environment in environments["each"]],
            "python": environments["python"],
            "processors": environments["processors"],
            "devices": environments["devices"],
        },
    }
