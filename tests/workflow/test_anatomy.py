"""Stand-ins with the anatomy of a real label map: made by the rule, on the record by content and not by place."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from reregister.provenance.audit import audit

from .conftest import PROJECT, Workflow

Fresh = Callable[[], Workflow]
RECEIPT = "results/smoke/receipts/data/make_standin/oasis_2d.json"


def made(workflow: Workflow, *settings: str) -> tuple[Path, dict]:
    """The receipt of the small stand-in of slices, made with some settings."""
    workflow.snakemake(RECEIPT, "--config", "scale=smoke", *settings)
    return workflow.folder / RECEIPT, json.loads((workflow.folder / RECEIPT).read_text(encoding="utf-8"))


def test_a_standin_is_made_of_a_real_label_map_and_again_by_hand(fresh: Fresh, samples: Path) -> None:
    label_map = samples / "open_labels" / "synthseg" / "training_seg_01.nii.gz"
    workflow = fresh()
    path, receipt = made(workflow, f"anatomy={label_map}")
    sha256 = hashlib.sha256(label_map.read_bytes()).hexdigest()
    assert receipt["recipe"]["inputs"] == {"data/oasis_2d/training_seg_01.nii.gz": sha256}
    assert receipt["call"]["input"] == {"anatomy": ["data/oasis_2d/training_seg_01.nii.gz"]}
    assert (receipt["undeclared_reads"], receipt["undeclared_code"]) == ([], [])
    assert str(samples) not in path.read_text(encoding="utf-8")
    # The map lies with the user: pinned, and nothing that the audit misses.
    assert [finding for finding in audit(path.parents[3]).findings if finding.counts] == []

    script = [sys.executable, str(PROJECT / "scripts" / "make_standin.py"), str(path)]
    refused = subprocess.run(script, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "training_seg_01.nii.gz is missing" in refused.stderr
    path.write_text(json.dumps(receipt), encoding="utf-8")
    subprocess.run([*script, "--location", str(label_map.parent)], check=True)
    again = json.loads(path.read_text(encoding="utf-8"))
    assert (again["recipe_id"], again["outputs"]) == (receipt["recipe_id"], receipt["outputs"])

    # Without it, in the same folder, the stand-in is made anew and is another one.
    _, plain = made(workflow)
    assert plain["recipe"]["inputs"] == {}
    assert plain["outputs"].keys() == receipt["outputs"].keys()
    archive = "data/oasis_2d/standin/neurite-oasis.2d.v1.0.tar"
    assert plain["outputs"][archive]["sha256"] != receipt["outputs"][archive]["sha256"]


def test_a_label_map_without_a_brain_is_refused_in_one_sentence(fresh: Fresh, tmp_path: Path) -> None:
    (tmp_path / "labels.nii.gz").write_bytes(b"<html>")
    done = fresh().snakemake(RECEIPT, "--config", "scale=smoke", f"anatomy={tmp_path}/labels.nii.gz", check=False)
    assert done.returncode != 0
    assert "labels.nii.gz is no NIfTI-1 file" in done.stdout
    assert "Traceback" not in done.stdout
