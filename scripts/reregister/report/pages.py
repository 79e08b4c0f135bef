"""Pages made from receipts, tables and figures. What a page says was run is what the receipts say, never the config."""

import base64
import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reregister.progress import format_seconds
from reregister.provenance.files import sha256_file, sha256_json
from reregister.provenance.receipt import read_receipt

# What is said of data in a badge, by origin class.
ORIGINS = {
    "original-verified": "the original files, verified by their published checksum",
    "original-first-use": "the files as first downloaded; no checksum is published",
    "substitute": "other data in the place of the paper's",
    "synthetic": "a synthetic stand-in in the official layout, not the data of the paper",
}
# Columns of a table that are text even where it looks like a number.
TEXT = ("group", "method", "device")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?")


def render(templates: Sequence[Path], name: str, **context: Any) -> str:
    """One page from the template `name`, with autoescape on and undefined names as errors."""
    environment = Environment(
        loader=FileSystemLoader(templates[0].parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = format_seconds
    return environment.get_template(name).render(**context)


def format_number(text: str) -> str:
    """A number in a table: integers with thousands separators, decimals with four significant digits or to the unit.

    An empty cell is a number that is undefined; what is no number, such as 007, stays as it is.
    """
    if _INTEGER.fullmatch(text):
        return f"{int(text):,}"
    if not _DECIMAL.fullmatch(text):
        return text if text not in ("", "nan") else "undefined"
    value = float(text)
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value or 0.0:.4g}"


def manifest_of(run_folder: Path, receipts: Sequence[Path]) -> dict[str, Any]:
    """Hash of every receipt, by its path in the run folder, and one hash over all of them."""
    hashes = {path.relative_to(run_folder).as_posix(): sha256_file(path) for path in sorted(set(receipts))}
    return {"receipts": hashes, "root": sha256_json(hashes)}


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    return header, rows


def origin_text(origin: str) -> str:
    """What an origin class means. Raises KeyError for a class that is none."""
    kept = re.fullmatch(r"subset ([0-9]+)/([0-9]+)", origin)
    return f"{kept[1]} of the {kept[2]} originals" if kept else ORIGINS[origin]


def data_origin(source: Path) -> dict[str, Any]:
    """Name, origin class and files of a dataset, from its source table."""
    header, rows = read_table(source)
    files = [dict(zip(header, row, strict=True)) for row in rows]
    origins = sorted({file["origin"] for file in files})
    what = "; ".join(f"{origin}: {origin_text(origin)}" for origin in origins)
    return {"name": source.parent.name, "origins": origins, "what": what, "files": files}


def work_done(receipts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per rule: number of jobs, sum and longest of their wall times, largest memory, devices; in the order of first start."""
    rules: dict[str, list[Mapping[str, Any]]] = {}
    for receipt in sorted(receipts.values(), key=lambda r: r["run"]["start"]):
        rules.setdefault(receipt["recipe"]["rule"], []).append(receipt["run"])
    return [
        {
            "rule": rule,
            "jobs": len(runs),
            "wall": sum(run["wall_s"] for run in runs),
            "longest": max(run["wall_s"] for run in runs),
            "memory": max(run["peak_memory_mib"] for run in runs),
            "threads": ", ".join(str(t) for t in sorted({run["threads"] for run in runs})),
            "devices": ", ".join(sorted({run["device"] for run in runs})),
        }
        for rule, runs in rules.items()
    ]


def trainings(receipts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per experiment and method: networks trained, seeds and the parameters that they had, from the training receipts."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for receipt in receipts.values():
        recipe = receipt["recipe"]
        if recipe["rule"] == "train_model":
            found.setdefault((recipe["wildcards"]["experiment"], recipe["wildcards"]["method"]), []).append(recipe)
    return [
        {
            "experiment": experiment,
            "method": method,
            "networks": len({recipe["wildcards"]["part"] for recipe in recipes}),
            "seeds": ", ".join(sorted({recipe["wildcards"]["seed"] for recipe in recipes}, key=int)),
            "params": {k: recipes[0]["params"][k] for k in ("model", "schedule", "optimiser", "loss", "determinism")},
        }
        for (experiment, method), recipes in sorted(found.items())
    ]


def findings(receipts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the jobs themselves noticed: undeclared files or code, network outside a download, uncommitted code."""
    lines = []
    for name, receipt in sorted(receipts.items()):
        for key in ("undeclared_reads", "undeclared_writes", "undeclared_code"):
            if receipt[key]:
                lines.append(f"{name}: {key.replace('_', ' ')}: {', '.join(receipt[key])}")
        recipe = receipt["recipe"]
        download = recipe["rule"] == "fetch_dataset" and recipe["params"]["mode"] == "download"
        if receipt["network"] and not download:
            lines.append(f"{name}: network: {', '.join(receipt['network'])}")
    if any(receipt["git"] and receipt["git"]["dirty"] for receipt in receipts.values()):
        lines.append("some jobs ran with uncommitted changes; the receipts keep the patch")
    untracked = sorted({name for receipt in receipts.values() for name in (receipt["git"] or {}).get("untracked", [])})
    if untracked:
        lines.append(f"files of the project that no commit holds: {', '.join(untracked)}")
    return lines


def command(paper: str, run: str, scale: str, receipts: Mapping[str, Mapping[str, Any]]) -> str:
    """The call that makes a page again, with the same data and FOLDER for the user's own."""
    fetched = [r["recipe"] for r in receipts.values() if r["recipe"]["rule"] == "fetch_dataset"]
    modes = {recipe["wildcards"]["dataset"]: recipe["params"]["mode"] for recipe in fetched}
    data = ", ".join(f"{name}: {'FOLDER' if mode == 'path' else mode}" for name, mode in sorted(modes.items()))
    accepted = sorted(recipe["wildcards"]["dataset"] for recipe in fetched if recipe["params"]["accepted"])
    terms = f" 'accept_terms=[{', '.join(accepted)}]'" if accepted else ""
    return f"snakemake --cores all {paper} --config run={run} scale={scale} 'data={{{data}}}'{terms}"


def exhibit_of(
    name: str, about: Mapping[str, Any], files: Sequence[Path], receipts: Mapping[str, Any], synthetic: bool
) -> dict[str, Any]:
    """One figure (as an image in the page) or table with its caption, the recipe that made it, and what its data are."""
    path = next(path for path in files if path.stem == name)
    rule = "plot_figure" if about["kind"] == "figure" else "make_table"
    receipt = next(r for key, r in receipts.items() if key.endswith(f"/{rule}/{name}.json"))
    shown: dict[str, Any] = {"name": name, **about, "recipe_id": receipt["recipe_id"], "synthetic": synthetic}
    if about["kind"] == "figure":
        shown["image"] = "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
    else:
        header, rows = read_table(path)
        text = [column in TEXT for column in header]
        shown["header"] = header
        shown["rows"] = [[c if t else format_number(c) for c, t in zip(row, text, strict=True)] for row in rows]
    return shown


def paper_page(
    run_folder: Path,
    context: Mapping[str, Any],
    receipt_files: Sequence[Path],
    sources: Sequence[Path],
    exhibit_files: Sequence[Path],
    templates: Sequence[Path],
) -> tuple[str, dict[str, Any]]:
    """A paper's page and its manifest. context: titles, captions, choices and claims that no receipt holds."""
    manifest = manifest_of(run_folder, receipt_files)
    receipts = {path.relative_to(run_folder).as_posix(): read_receipt(path) for path in receipt_files}
    data = [data_origin(source) for source in sources]
    synthetic = {dataset["name"] for dataset in data if "synthetic" in dataset["origins"]}
    made_up = {name: setup["dataset"] in synthetic for name, setup in context["experiments"].items()}
    page = render(
        templates,
        "paper.html.j2",
        context=context,
        run=run_folder.name,
        root=manifest["root"],
        data=data,
        work=work_done(receipts),
        trainings=trainings(receipts),
        findings=findings(receipts),
        commits=sorted({r["git"]["commit"] if r["git"] else "not a git checkout" for r in receipts.values()}),
        environments=sorted({r["environment"] for r in receipts.values()}),
        exhibits=[
            exhibit_of(name, about, exhibit_files, receipts, made_up[about["experiment"]])
            for name, about in context["exhibits"].items()
        ],
        command=command(context["paper"], run_folder.name, context["scale"], receipts),
    )
    return page, manifest
