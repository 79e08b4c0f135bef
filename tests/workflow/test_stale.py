"""What `reregister stale` says of a finished run: nothing, and after a change exactly what it concerns and why."""

import shutil
from pathlib import Path

from .chain import exhibits_of, receipts_of
from .conftest import Workflow

CONFIG = ("--config", "scale=smoke")
VARIANT = "receipts/mnist_voxelmorph/train_model/sevens/as_published_sum_all_seed0.json"
MODULE = "scripts/reregister/models/mnist_voxelmorph.py"


def blocks(text: str) -> dict[str, list[str]]:
    """Lines of the answer under the line that they are indented below."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("  "):
            found[list(found)[-1]].append(line.strip())
        else:
            found[line] = []
    return found


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_finished_run_is_not_stale_with_or_without_snakemakes_own_record(finished: Workflow) -> None:
    first = finished.reregister("stale", *CONFIG)
    assert (first.returncode, first.stderr) == (0, "")
    assert "results/smoke: nothing is stale" in first.stdout
    assert "stale: " not in first.stdout
    assert "cosmetic: " not in first.stdout
    shutil.rmtree(finished.folder / ".snakemake")
    assert finished.reregister("stale", *CONFIG).stdout == first.stdout


def test_one_hyperparameter_of_one_variant_is_shown_old_to_new(finished: Workflow) -> None:
    config = finished.project / "config" / "papers" / "mnist_voxelmorph.yaml"
    replace(config, "loss: {ssd: 1.0, ", "loss: {ssd: 1.5, ")
    done = finished.reregister("stale", *CONFIG)
    said = blocks(done.stdout)
    assert done.returncode == 1
    stale = {line: reasons for line, reasons in said.items() if line.startswith("stale: ")}
    assert stale == {
        "stale: train_model mnist_voxelmorph sevens as_published_sum_all_seed0": ["loss.ssd: 1.0 -> 1.5"],
        # The paper's own schedule, against which a run is held, has that value, too.
        "stale: weigh_claims mnist_voxelmorph": ["full.train_model.sevens.as_published_sum.loss.ssd: 1.0 -> 1.5"],
    }
    receipts = receipts_of(finished.folder / "results" / "smoke")
    exhibits = said["exhibits that are made again:"]
    assert set(exhibits) == exhibits_of(receipts, {VARIANT})
    assert exhibits
    shutil.rmtree(finished.folder / ".snakemake")
    assert finished.reregister("stale", *CONFIG).stdout == done.stdout


def test_a_changed_module_concerns_its_users_and_a_comment_nobody(finished: Workflow) -> None:
    module = finished.project / MODULE
    before = module.read_text(encoding="utf-8")
    receipts = receipts_of(finished.folder / "results" / "smoke")
    users = {name for name, receipt in receipts.items() if MODULE in receipt["code"]}
    module.write_text(before + "\n_ANOTHER = 1\n", encoding="utf-8")
    done = finished.reregister("stale", *CONFIG)
    said = blocks(done.stdout)
    stale = {line: reasons for line, reasons in said.items() if line.startswith("stale: ")}
    assert done.returncode == 1
    assert len(stale) == len(users) > 0
    assert all(reasons == [f"code: {MODULE}"] for reasons in stale.values())
    assert set(said["exhibits that are made again:"]) == exhibits_of(receipts, users)

    module.write_text(before + "\n# A comment that was not there before.\n", encoding="utf-8")
    done = finished.reregister("stale", *CONFIG)
    assert done.returncode == 0
    assert f"cosmetic: {MODULE} (run by {len(users)} jobs)" in done.stdout
    assert "results/smoke: nothing is stale" in done.stdout
    assert "Nothing to be done" in finished.snakemake("-n", "mnist_voxelmorph", *CONFIG).stdout


def test_a_deleted_receipt_is_named(finished: Workflow) -> None:
    (finished.folder / "results" / "smoke" / VARIANT).unlink()
    done = finished.reregister("stale", "mnist_voxelmorph", *CONFIG)
    assert done.returncode == 1
    block = blocks(done.stdout)["stale: train_model mnist_voxelmorph sevens as_published_sum_all_seed0"]
    assert block == ["no receipt: it has not run, or its record is gone"]


def test_what_cannot_be_planned_or_was_not_run_is_an_error(finished: Workflow) -> None:
    for words, sentence in (
        (["scael=smoke"], "scael"),
        (["scale=smoke", "run=other"], "results/other holds no receipt"),
    ):
        done = finished.reregister("stale", "--config", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("reregister: ")
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1
