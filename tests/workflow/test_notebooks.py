"""The papers' notebooks of a finished run: what they quote, what their record says, and the same opened by hand."""

import csv
import json
import re
from pathlib import Path

import nbformat
import pytest

from reregister.notebook.execute import execute
from reregister.notebook.words import number

from .conftest import PROJECT, Workflow

PAPERS = sorted(path.stem for path in (PROJECT / "workflow" / "notebooks").glob("*.ipynb"))


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    """What the cells of a notebook display as text, in order."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            found += [output.data[kind] for kind in ("text/markdown", "text/html") if kind in output.data]
    return found


@pytest.mark.parametrize("paper", PAPERS)
def test_a_notebook_quotes_the_runs_numbers_and_says_what_they_are(smoke: Workflow, paper: str) -> None:
    run = smoke.folder / "results" / "smoke"
    folder = run / paper / "notebooks"
    said = "\n".join(texts(nbformat.read(folder / f"{paper}.ipynb", as_version=4)))
    assert "synthetic stand-in" in said
    assert "smoke" in said
    quoted = 0
    for path in (run / paper / "metrics").glob("*/comparison.csv"):
        rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        quoted += sum(
            f"{number(float(row['mean']))} ({number(float(row['low']))} to" in said for row in rows if row["low"]
        )
    assert quoted > 10
    page = (folder / f"{paper}.html").read_text(encoding="utf-8")
    # Nothing is fetched: no script, no style sheet, and every picture stands in the page.
    assert not re.search(r"<script|<link|@import|url\(", page)
    assert {source[:5] for source in re.findall(r'src="([^"]+)"', page)} == {"data:"}
    assert f"../{paper}/notebooks/{paper}.html" in (run / "report" / f"{paper}.html").read_text(encoding="utf-8")


def test_the_record_of_a_notebook_holds_what_its_kernel_did(smoke: Workflow) -> None:
    run = smoke.folder / "results" / "smoke"
    for paper in PAPERS:
        receipt = json.loads((run / "receipts" / paper / "run_notebook.json").read_text(encoding="utf-8"))
        kernels = [program for program in receipt["programs"] if "reregister.notebook.kernel" in program]
        assert len(kernels) == 1
        record = run / "receipts" / "store" / "environment" / f"{receipt['environment']}.json"
        packages = json.loads(record.read_text(encoding="utf-8"))["packages"]
        assert {"papermill", "ipykernel", "pandas", "seaborn"} <= set(packages)


def test_opened_by_hand_a_notebook_shows_the_same(smoke: Workflow, tmp_path: Path) -> None:
    run = smoke.folder / "results" / "smoke"
    source = smoke.project / "workflow" / "notebooks" / "deep_prior.ipynb"
    by_hand, seen = execute(source, tmp_path, {"run_folder": str(run)})
    kept = nbformat.read(run / "deep_prior" / "notebooks" / "deep_prior.ipynb", as_version=4)
    assert texts(by_hand) == texts(kept)
    assert len(texts(kept)) > 10
    assert str(run / "receipts" / "deep_prior" / "run_notebook.json") in seen.reads
