"""A smoke run of all papers: complete, recorded, and left alone by a second call."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from reregister.config import read_yaml
from reregister.provenance.receipt import recipe_id
from reregister.provenance.varying import TIMES, matches, may_vary

from .conftest import PROJECT, Workflow

# Exhibits that show times: of registrations, or of measured steps.
TIMED = sorted(
    name
    for path in (PROJECT / "config" / "papers").glob("*.yaml")
    for name, exhibit in read_yaml(path)["exhibits"].items()
    if set(TIMES) & set(exhibit["reads"])
)


def hashes(run: Path) -> dict[str, str]:
    """sha256 of every file of a run that may not vary, by its path in the run folder."""
    files = sorted(path for path in run.rglob("*") if path.is_file())
    named = {path.relative_to(run).as_posix(): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in named.items()
        if not matches(name, may_vary(TIMED))
    }


def receipts(run: Path) -> dict[str, dict]:
    """Every receipt of a run, by its path."""
    found = {}
    for path in sorted((run / "receipts").rglob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if "recipe" in content:
            found[path.relative_to(run).as_posix()] = content
    return found


@pytest.fixture(scope="module")
def run(smoke: Workflow) -> Path:
    return smoke.folder / "results" / "smoke"


def test_every_output_has_a_receipt_with_its_hash(run: Path) -> None:
    recorded = {}
    for name, receipt in receipts(run).items():
        assert receipt["recipe_id"] == recipe_id(receipt["recipe"]), name
        recorded |= {output: entry["sha256"] for output, entry in receipt["outputs"].items()}
    unrecorded = set(hashes(run)) - set(recorded) - {"run.json"}
    assert not unrecorded
    for name, expected in recorded.items():
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() == expected, name


def test_every_input_was_made_by_a_job_or_belongs_to_the_project(run: Path) -> None:
    all_receipts = receipts(run)
    made = {name: entry["sha256"] for receipt in all_receipts.values() for name, entry in receipt["outputs"].items()}
    made |= {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in all_receipts}
    for name, receipt in all_receipts.items():
        for path, sha256 in receipt["recipe"]["inputs"].items():
            folders = ("project/workflow/report/", "project/workflow/notebooks/")
            of_project = path.startswith((*folders, "project/scripts/reregister/provenance/audit.py"))
            assert of_project or made.get(path) == sha256, (name, path)


def test_jobs_read_and_write_what_they_declare(run: Path) -> None:
    for name, receipt in receipts(run).items():
        for key in ("undeclared_reads", "undeclared_writes", "undeclared_code", "network", "programs"):
            # Time and memory are measured in processes of their own, and a notebook has one.
            if not (key == "programs" and any(rule in name for rule in ("/measure_step/", "/run_notebook."))):
                assert receipt[key] == [], (name, key)


def test_records_and_pages_name_no_machine_and_no_person(run: Path, smoke: Workflow) -> None:
    import getpass
    import socket

    words = [f"{smoke.folder}/", f"{Path.home()}/", socket.gethostname()]
    # A short name such as vm or root is a word of its own in any text.
    words = [word for word in [*words, getpass.getuser()] if len(word) > 4]
    for path in [*(run / "receipts").rglob("*"), *(run / "report").rglob("*.html")]:
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [word for word in words if word in text], path


def test_checksums_hold(run: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=run, check=True)


def test_nothing_is_left_to_do(smoke: Workflow) -> None:
    assert "Nothing to be done" in smoke.snakemake("-n", "papers", "--config", "scale=smoke").stdout


@pytest.mark.parametrize("paper", sorted(path.stem for path in (PROJECT / "config" / "papers").glob("*.yaml")))
def test_report_shows_every_exhibit_and_the_origin_of_the_data(run: Path, paper: str) -> None:
    page = (run / "report" / f"{paper}.html").read_text(encoding="utf-8")
    manifest = json.loads((run / "receipts" / paper / "manifest.json").read_text(encoding="utf-8"))
    rules = ("plot_figure", "plot_gallery", "make_table")
    exhibits = [Path(name).stem for name in manifest["receipts"] if name.split("/")[-2] in rules]
    assert len(exhibits) >= 9
    for exhibit in exhibits:
        assert f'id="{exhibit}"' in page
    assert "synthetic stand-in" in page
    root = json.loads((run / "receipts" / "root.json").read_text(encoding="utf-8"))
    assert root["root"] in (run / "report" / "index.html").read_text(encoding="utf-8")
    assert manifest["root"] in page


def test_a_job_runs_again_by_hand_from_its_receipt(finished: Workflow) -> None:
    run = finished.folder / "results" / "smoke"
    receipt = run / "receipts" / "dirnet" / "evaluate_registration" / "scd" / "dirnet_bl.json"
    before = json.loads(receipt.read_text(encoding="utf-8"))
    import sys

    script = finished.project / "scripts" / "evaluate_registration.py"
    subprocess.run([sys.executable, str(script), str(receipt)], check=True)
    after = json.loads(receipt.read_text(encoding="utf-8"))
    assert (after["recipe_id"], after["outputs"]) == (before["recipe_id"], before["outputs"])
    assert after["run"]["end"] >= before["run"]["end"]
