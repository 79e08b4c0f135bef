"""Parts of two papers run a second time from nothing, on Slurm where there is one: the bytes and recipes of the run of all."""

from pathlib import Path
from typing import Any

import pytest

from reregister.provenance.varying import matches, may_vary

from ..conftest import Workflow
from ..workflow.test_smoke import TIMED, receipts

# Jobs over several methods: the run of all has more of them.
OVER_METHODS = ("compare_", "export_", "plot_", "make_table", "weigh_", "run_notebook", "build_", "write_checksums")
Receipts = dict[str, dict[str, Any]]


def over_methods(receipt: dict[str, Any]) -> bool:
    return str(receipt["recipe"]["rule"]).startswith(OVER_METHODS)


def script_of(receipt: dict[str, Any]) -> str:
    return Path(receipt["call"]["script"]).stem


def results(receipt: dict[str, Any]) -> dict[str, str]:
    """sha256 of a job's outputs, but for those that may vary."""
    return {name: output["sha256"] for name, output in receipt["outputs"].items() if not matches(name, may_vary(TIMED))}


@pytest.fixture(scope="module")
def first(smoke: Workflow) -> Receipts:
    return receipts(smoke.folder / "results" / "smoke")


@pytest.fixture(scope="module")
def second(twin: Workflow) -> Receipts:
    return receipts(twin.folder / "results" / "again")


def test_two_runs_from_nothing_give_the_same_bytes(first: Receipts, second: Receipts) -> None:
    alone = {name: receipt for name, receipt in second.items() if not over_methods(receipt)}
    assert {name: results(receipt) for name, receipt in alone.items()} == {name: results(first[name]) for name in alone}
    assert {script_of(receipt) for receipt in alone.values()} >= {
        *("make_standin", "fetch_dataset", "prepare_dataset", "pair_images", "train_model", "compress_model"),
        *("register_pairs", "run_prior", "run_baseline", "evaluate_registration"),
    }
    # Weights, fields, metrics and archives are all among them.
    suffixes = {Path(name).suffix for receipt in alone.values() for name in results(receipt)}
    assert {".safetensors", ".npy", ".npz", ".csv", ".tgz", ".zip"} <= suffixes


def test_recipes_are_the_same_in_two_runs(first: Receipts, second: Receipts) -> None:
    alone = [name for name, receipt in second.items() if not over_methods(receipt)]
    assert len(alone) > 25
    assert {name: second[name]["recipe_id"] for name in alone} == {name: first[name]["recipe_id"] for name in alone}


def test_exhibits_of_the_same_methods_have_the_same_bytes(first: Receipts, second: Receipts) -> None:
    same = [
        name for name in second if over_methods(second[name]) and first[name]["recipe_id"] == second[name]["recipe_id"]
    ]
    for name in same:
        assert results(first[name]) == results(second[name]), name
    suffixes = {Path(output).suffix for name in same for output in results(second[name])}
    assert {".svg", ".pdf", ".png", ".csv"} <= suffixes
