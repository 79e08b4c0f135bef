"""The finished smoke run of all papers as a Workflow Run RO-Crate."""

import json
import subprocess
from pathlib import Path

from reregister.crate.build import run_crate
from reregister.crate.history import read_history

from ..crates import METADATA, check_crate, read_crate
from .conftest import Workflow

SMOKE = ("crate", "--config", "scale=smoke")


def test_a_finished_run_is_exported_as_a_valid_crate(finished: Workflow, tmp_path: Path) -> None:
    run = finished.folder / "results" / "smoke"
    recorded = {path.relative_to(run).as_posix() for path in (run / "receipts").rglob("*.json") if _is_receipt(path)}
    assert finished.planned(*SMOKE) == {"write_crate": 1, "crate": 1}
    finished.snakemake(*SMOKE)
    assert "Nothing to be done" in finished.snakemake("-n", *SMOKE).stdout

    crate = read_crate(run)
    jobs = [entity for name, entity in crate.items() if name.startswith("#job/")]
    assert {job["subjectOf"]["@id"] for job in jobs} == recorded
    text = (run / METADATA).read_text(encoding="utf-8")
    assert f"{finished.folder}/" not in text
    assert f"{Path.home()}/" not in text
    receipt = json.loads((run / "receipts" / "write_crate.json").read_text(encoding="utf-8"))
    for key in ("undeclared_reads", "undeclared_writes", "undeclared_code", "network", "programs"):
        assert receipt[key] == [], key
    # The run itself is as it was.
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=run, check=True)
    narrow(run, "mnist_voxelmorph", "mnist")
    check_crate(run, tmp_path)


def narrow(run: Path, paper: str, dataset: str) -> None:
    """Put a crate of one paper's jobs in the place of the run's: the validator takes minutes for that of five papers."""
    manifest = json.loads((run / "receipts" / paper / "manifest.json").read_text(encoding="utf-8"))
    record = json.loads((run / "receipts" / "write_crate.json").read_text(encoding="utf-8"))
    told = record["recipe"]["params"]
    about = {
        "run": told["run"],
        "scale": told["scale"],
        "datasets": {dataset: told["datasets"][dataset]},
        "root": manifest["root"],
    }
    receipts = [run / name for name in (*manifest["receipts"], f"receipts/{paper}/build_report.json")]
    history = read_history(run, receipts, [run / "data" / dataset / "source.csv"])
    copies = [run / name for name in record["call"]["output"]["workflow"]]
    (run / METADATA).write_text(json.dumps(run_crate(history, about, copies)), encoding="utf-8")


def _is_receipt(path: Path) -> bool:
    return "store" not in path.parts and "recipe" in json.loads(path.read_text(encoding="utf-8"))
