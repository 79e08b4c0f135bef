"""Two papers run a second time from nothing, on Slurm where there is one: the same bytes and recipes as in the run of all."""

from pathlib import Path

import pytest

from ..conftest import TWINS, Workflow
from ..workflow.test_smoke import TIMED, hashes, receipts


@pytest.fixture(scope="module")
def run(smoke: Workflow) -> Path:
    return smoke.folder / "results" / "smoke"


def test_two_runs_from_nothing_give_the_same_bytes(run: Path, twin: Workflow) -> None:
    second = hashes(twin.folder / "results" / "again")
    # Data and files of the papers that were run twice, all of them; not the index and the other papers.
    others = {path.name for path in run.iterdir() if path.is_dir()} - {"data", *TWINS}
    others |= {f"data/{path.name}" for path in (run / "data").iterdir()} - {"data/ibsr", "data/tcga_lgg"}
    first = {
        name: sha256 for name, sha256 in hashes(run).items() if not name.startswith(tuple(f"{o}/" for o in others))
    }
    first.pop("run.json"), second.pop("run.json")
    assert first == second
    assert {name.split("/")[0] for name in second} >= {"data", *TWINS}
    # Weights, fields, metrics and figures are all among them.
    suffixes = {Path(name).suffix for name in first}
    assert {".safetensors", ".npy", ".npz", ".csv", ".svg", ".pdf", ".png", ".tgz", ".zip", ".xml"} <= suffixes


def test_recipes_are_the_same_in_two_runs(run: Path, twin: Workflow) -> None:
    def recipes(of: dict[str, dict]) -> dict[str, str]:
        # Those read receipts, and so the times in them.
        pages = ("weigh_claims", "build_report", "build_index", "write_checksums", *(f"/{name}." for name in TIMED))
        return {name: r["recipe_id"] for name, r in of.items() if not any(page in name for page in pages)}

    first, second = recipes(receipts(run)), recipes(receipts(twin.folder / "results" / "again"))
    assert len(second) > 100
    assert second.items() <= first.items()
