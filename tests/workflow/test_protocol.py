"""All methods side by side: what `all` adds to the papers, and that a part of it is made, recorded and checked like a paper."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ..conftest import SIDE_BY_SIDE
from .conftest import Workflow

PROTOCOL = "common_protocol"


@pytest.fixture(scope="module")
def run(protocol: Workflow) -> Path:
    return protocol.folder / "results" / "smoke"


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_plans_the_papers_and_every_method_on_every_dataset(fresh: Callable[[], Workflow]) -> None:
    planned = fresh().planned("all", "--config", "scale=smoke")
    # 45 networks and 9 priors of the papers; on four lists of flat pairs three networks and a prior, on two of heads three.
    assert (planned["train_model"], planned["run_prior"]) == (45 + 4 * 3 + 2 * 3, 9 + 4)
    assert (planned["pair_images"], planned["build_report"], planned["build_index"]) == (14 + 6, 5 + 1, 1)
    # The same data.
    assert sum(number for rule, number in planned.items() if rule.startswith("make_standin")) == 5


def test_only_the_protocol_was_left_to_run(protocol: Workflow, run: Path) -> None:
    own = [path for path in (run / "receipts").rglob("*.json") if PROTOCOL in path.parts]
    receipts = [json.loads(path.read_text(encoding="utf-8")) for path in own]
    done = sum("recipe" in receipt for receipt in receipts)
    # Beside its own jobs the index and the checksums, which hold more now, and the target.
    assert f"done: {done + 3} jobs in" in protocol.console


def test_a_method_that_starts_from_another_gives_the_composed_field(run: Path) -> None:
    fields = run / PROTOCOL / "fields" / "ibsr"
    affine, deformed, none = (np.load(fields / f"{name}.npy")[0] for name in ("affine", "elastix_bspline", "identity"))
    assert not none.any()
    assert np.abs(affine).max() > 0.5
    # What the B-spline adds is small beside what it starts from.
    assert 0 < np.abs(deformed - affine).mean() < np.abs(affine).mean()
    timing = rows(fields / "elastix_bspline.timing.csv")
    assert {row["start"] for row in timing} == {"affine"}
    assert "start" not in rows(fields / "affine.timing.csv")[0]
    receipt = run / "receipts" / PROTOCOL / "run_baseline" / "ibsr" / "elastix_bspline.json"
    assert f"{PROTOCOL}/fields/ibsr/affine.npy" in json.loads(receipt.read_text(encoding="utf-8"))["recipe"]["inputs"]


def test_one_table_a_dataset_has_a_row_for_each_method(run: Path) -> None:
    for dataset, methods in SIDE_BY_SIDE.items():
        table = rows(run / PROTOCOL / "tables" / f"common_{dataset}_table.csv")
        assert len(table) == len(methods)
        unit = "px" if dataset == "mnist" else "mm"
        assert {"ncc", "mse", "ssim", f"field_error_mean_{unit}", "fold_share", "sdlogj", "min_det"} <= {*table[0]}
        assert all(float(row["seconds"]) > 0 for row in table)
    assert float(table[0]["dice"]) > 0
    network = rows(run / PROTOCOL / "tables" / "common_mnist_table.csv")[1]
    assert (network["parameters"], network["pairs"]) == ("7938", "10")


def test_the_index_lists_it_apart_and_the_checksums_hold_it(run: Path) -> None:
    index = (run / "report" / "index.html").read_text(encoding="utf-8")
    papers, apart = index.split("<h2>All methods side by side</h2>")
    assert f'href="{PROTOCOL}.html"' in apart
    assert f'href="{PROTOCOL}.html"' not in papers
    assert 'href="dirnet.html"' in papers
    root = json.loads((run / "receipts" / "root.json").read_text(encoding="utf-8"))
    assert len(root["papers"]) == 6
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=run, check=True)
    assert f"{PROTOCOL}/tables/common_ibsr_table.csv" in (run / "SHA256SUMS").read_text(encoding="utf-8")


def test_the_audit_follows_its_exhibits_to_the_archives(run: Path) -> None:
    command = [sys.executable, "-I", "audit.py", "--json"]
    done = subprocess.run(command, cwd=run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    words = {(e["paper"], e["name"]): e["word"] for e in json.loads(done.stdout)["exhibits"]}
    assert set(words.values()) == {"verified"}
    assert len([paper for paper, _ in words if paper == PROTOCOL]) == 7


def test_the_page_claims_nothing_of_a_paper(run: Path) -> None:
    page = (run / "report" / f"{PROTOCOL}.html").read_text(encoding="utf-8")
    assert "of the protocol's 2 experiments" in page
    for words in ("What the paper", "of the paper</span>", "the paper's own numbers"):
        assert words not in page


def test_after_all_the_papers_leave_nothing_to_do(protocol: Workflow) -> None:
    assert "Nothing to be done" in protocol.snakemake("-n", "papers", "--config", "scale=smoke").stdout
