"""The audit of a real run: what is clean is called so, and each kind of damage is found, named and followed downstream."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reregister.provenance import audit

from .conftest import Workflow

FIELDS = "deep_prior/fields/adjacent_slices/deep_prior.npy"
BASELINE = "receipts/deep_prior/run_baseline/adjacent_slices/itk.json"


@pytest.fixture
def run(smoke: Workflow, tmp_path: Path) -> Path:
    """A copy of the finished run, times kept, that a test may change."""
    shutil.copytree(smoke.folder / "results" / "smoke", tmp_path / "smoke", copy_function=shutil.copy2)
    return tmp_path / "smoke"


def audited(folder: Path, *, status: int) -> dict[str, Any]:
    """What the run's own audit says, in a Python that sees neither the project nor any package."""
    command = ["env", "-i", sys.executable, "-I", str(folder / "audit.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def serious(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for finding in found["findings"] if finding["kind"] not in audit.REMARKS]


def flip(path: Path, place: int = -1) -> None:
    """Change one byte and keep the times of the file."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def downstream(folder: Path, file: str) -> set[str]:
    """The exhibits that rest on a file, by following the receipts by hand."""
    receipts = {
        path.relative_to(folder).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in (folder / "receipts").rglob("*.json")
    }
    jobs = {name: receipt for name, receipt in receipts.items() if "recipe" in receipt}
    reached, files = set(), {file}
    while True:
        more = {
            name for name, job in jobs.items() if set(job["outputs"]) & files or set(job["recipe"]["inputs"]) & files
        }
        if more == reached:
            break
        reached = more
        files |= {
            output
            for name in reached
            if set(jobs[name]["recipe"]["inputs"]) & files
            for output in jobs[name]["outputs"]
        }
    rules = {"plot_figure", "plot_gallery", "make_table"}
    return {f"{Path(name).stem} of {Path(name).parts[1]}" for name in reached if jobs[name]["recipe"]["rule"] in rules}


def again(workflow: Workflow, receipt: str, **variables: str) -> None:
    """Run a job again by hand from its receipt, in place."""
    path = workflow.folder / "results" / "smoke" / receipt
    rule = json.loads(path.read_text(encoding="utf-8"))["recipe"]["rule"]
    script = workflow.project / "scripts" / f"{rule}.py"
    subprocess.run([sys.executable, str(script), str(path)], check=True, env={**os.environ, **variables})


def test_a_finished_run_is_clean(run: Path) -> None:
    found = audited(run, status=0)
    assert serious(found) == []
    assert set(found["words"].values()) == {"verified"}
    assert len(found["words"]) > 50
    assert {origin["dataset"] for origin in found["origins"]} == {"ibsr", "mnist", "oasis", "scd", "tcga_lgg"}


def test_a_copy_elsewhere_that_cannot_be_written_is_clean(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty place" / "copy"
    shutil.copytree(run, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    try:
        assert set(audited(folder, status=0)["words"].values()) == {"verified"}
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_a_flipped_byte_is_found_with_exactly_the_exhibits_downstream(run: Path) -> None:
    expected = downstream(run, FIELDS)
    assert expected
    flip(run / FIELDS)
    found = audited(run, status=1)
    (finding,) = serious(found)
    assert (finding["kind"], finding["file"], finding["rule"]) == ("changed", FIELDS, "run_prior")
    assert set(finding["exhibits"]) == expected
    assert {label for label, word in found["words"].items() if word == "altered"} == expected
    assert set(found["words"].values()) == {"altered", "verified"}


def test_a_flipped_byte_of_a_figure_is_its_own_alone(run: Path) -> None:
    figure = sorted((run / "mnist_voxelmorph" / "figures").glob("*.png"))[0]
    flip(figure, 100)
    found = audited(run, status=1)
    label = f"{figure.stem} of mnist_voxelmorph"
    assert [finding["kind"] for finding in serious(found)] == ["changed"]
    assert [name for name, word in found["words"].items() if word != "verified"] == [label]


def test_a_receipt_that_is_edited_or_gone_is_named(run: Path) -> None:
    path = run / BASELINE
    text = path.read_text(encoding="utf-8")
    receipt = json.loads(text)
    receipt["recipe"]["params"]["settings"]["seed"] = 99
    path.write_text(json.dumps(receipt), encoding="utf-8")
    found = audited(run, status=1)
    assert {finding["kind"] for finding in serious(found)} == {"record-changed"}
    assert BASELINE in {finding["file"] for finding in serious(found)}
    path.write_text(text, encoding="utf-8")
    audited(run, status=0)
    path.unlink()
    found = audited(run, status=1)
    assert "record-missing" in {finding["kind"] for finding in serious(found)}
    assert "unverifiable" in found["words"].values()


def test_a_picture_made_by_hand_is_named(run: Path) -> None:
    (run / "dirnet" / "figures" / "fig9_better.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (finding,) = serious(audited(run, status=1))
    assert (finding["kind"], finding["file"]) == ("record-missing", "dirnet/figures/fig9_better.png")


def test_what_was_made_from_older_inputs_is_stale(finished: Workflow) -> None:
    run = finished.folder / "results" / "smoke"
    # Its times are other ones, too.
    fields = "deep_prior/fields/adjacent_slices/itk"
    expected = downstream(run, f"{fields}.npy") | downstream(run, f"{fields}.timing.csv")
    # The method is run again with another setting, and nothing that was made of it.
    receipt = json.loads((run / BASELINE).read_text(encoding="utf-8"))
    receipt["recipe"]["params"]["settings"]["field"]["iterations"] = 1
    (run / BASELINE).write_text(json.dumps(receipt), encoding="utf-8")
    again(finished, BASELINE)
    found = audited(run, status=1)
    assert {finding["kind"] for finding in serious(found)} == {"generation"}
    assert {label for label, word in found["words"].items() if word == "stale"} == expected
    assert set(found["words"].values()) == {"stale", "verified"}


def test_without_snakemakes_own_notes_the_audit_is_the_same(finished: Workflow) -> None:
    run = finished.folder / "results" / "smoke"
    before = audited(run, status=0)
    shutil.rmtree(finished.folder / ".snakemake")
    assert audited(run, status=0) == before


def test_an_undeclared_file_is_named_with_its_exhibits(finished: Workflow) -> None:
    run = finished.folder / "results" / "smoke"
    receipt = "receipts/deep_prior/evaluate_registration/adjacent_slices/itk.json"
    script = finished.project / "scripts" / "evaluate_registration.py"
    text = script.read_text(encoding="utf-8")
    place = "    import numpy as np\n"
    assert place in text
    script.write_text(
        text.replace(place, place + '\n    (job.run_folder / "run.json").read_text()\n', 1), encoding="utf-8"
    )
    again(finished, receipt)
    found = audited(run, status=1)
    (finding,) = [finding for finding in serious(found) if finding["kind"] == "undeclared reads"]
    assert finding["file"] == "run.json"
    assert receipt in finding["what"]
    assert finding["exhibits"]


def test_an_exhibit_made_with_another_version_of_a_package_is_named(finished: Workflow, tmp_path: Path) -> None:
    run = finished.folder / "results" / "smoke"
    receipt = sorted((run / "receipts" / "deep_prior" / "plot_figure").glob("*.json"))[0]
    other = tmp_path / "packages" / "seaborn-99.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: seaborn\nVersion: 99.0\n", encoding="utf-8")
    (other / "RECORD").write_text("seaborn/__init__.py,,\n", encoding="utf-8")
    again(finished, receipt.relative_to(run).as_posix(), PYTHONPATH=str(tmp_path / "packages"))
    found = audited(run, status=1)
    (finding,) = [finding for finding in serious(found) if finding["kind"] == "mixed-environment"]
    assert "seaborn" in finding["what"]
    assert "99.0" in finding["what"]
    assert f"{receipt.stem} of deep_prior" in finding["exhibits"]


def test_a_report_says_at_its_top_what_is_not_verified_and_a_strict_one_is_refused(finished: Workflow) -> None:
    page = finished.folder / "results" / "smoke" / "report" / "deep_prior.html"
    build = ("--force", "results/smoke/report/deep_prior.html", "--config", "scale=smoke")
    assert "Not everything on this page" not in page.read_text(encoding="utf-8")
    flip(finished.folder / "results" / "smoke" / "deep_prior" / "figures" / "fig2_examples_boxplots.svg", 200)
    finished.snakemake(*build)
    text = page.read_text(encoding="utf-8")
    assert text.index("Not everything on this page is what its records say") < text.index('id="says"')
    assert "1 altered" in text
    refused = finished.snakemake(*build, "report={strict: true}", check=False)
    assert refused.returncode
    assert "report.strict is set and fig2_examples_boxplots of deep_prior is altered" in refused.stdout
    assert not page.exists()
