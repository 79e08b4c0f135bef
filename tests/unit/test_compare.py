"""Two runs that differ in one thing: it is named where it arises, and what cannot change a result is told apart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reregister import cli
from reregister.errors import ReregisterError
from reregister.provenance.compare import Differences, compare, text_of

from .small_run import SmallRun, make_run

TRAINING = "alpha/train_model/e/net_all_seed0"
RECEIPT = f"receipts/{TRAINING}.json"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return make_run(tmp_path_factory.mktemp("first"))


def compared(first: SmallRun, folder: Path, changes: Mapping[str, Any]) -> Differences:
    return compare(first.folder, make_run(folder, changes).folder)


def test_equal_runs_differ_in_nothing(first: SmallRun, tmp_path: Path) -> None:
    found = compared(first, tmp_path, {})
    assert not found.serious
    assert (found.jobs, found.code, found.environment, found.harmless, found.metrics) == ({}, {}, {}, {}, [])
    assert text_of(found) == ["nothing differs that can change a result; 0 of 3 means or intervals differ"]


def test_a_parameter_is_told_at_its_job_and_not_at_those_that_follow(first: SmallRun, tmp_path: Path) -> None:
    texts = {f"alpha/models/e/net/all_seed0.{name}": "other" for name in ("safetensors", "history.csv")}
    training = {"params": {"seed": 0, "optimiser": {"lr": 0.4, "betas": [0.9, 0.999]}}, "texts": texts}
    field = {"texts": {"alpha/fields/e/net.npy": "other"}}
    found = compared(first, tmp_path, {TRAINING: training, "alpha/register_pairs/e/net": field})
    # The fields are other ones too, because of the weights alone.
    assert found.jobs == {RECEIPT: ["optimiser.betas: (not there) -> [0.9, 0.999]", "optimiser.lr: (not there) -> 0.4"]}
    assert found.serious


def test_code_is_told_by_file_and_comments_apart(first: SmallRun, tmp_path: Path) -> None:
    second = make_run(tmp_path)
    for place, part in ((TRAINING, "tree"), ("alpha/pair_images/e", "text")):
        content = second.read(place)
        code = content["recipe"]["code"] if part == "tree" else content["code"]
        code[next(iter(code))] = "f" * 64
        second.edit(place, lambda receipt, content=content: receipt.update(content))
    found = compare(first.folder, second.folder)
    assert found.code == {"scripts/train_model.py": [RECEIPT]}
    assert found.harmless == {
        "comments or layout of scripts/pair_images.py": ["receipts/alpha/pair_images/e.json"],
    }
    assert found.serious
    # Undone, the change of a comment alone is left.
    second.edit(TRAINING, lambda receipt: receipt.update(first.read(TRAINING)))
    assert not compare(first.folder, second.folder).serious


def test_versions_are_told_by_package_and_those_that_compute_nothing_apart(first: SmallRun, tmp_path: Path) -> None:
    changes = {
        TRAINING: {"versions": {"numpy": "2.3.0", "torch": "2.13.0"}, "python": "3.12.1"},
        "alpha/pair_images/e": {"versions": {"snakemake": "9.28.0"}},
    }
    found = compared(first, tmp_path, changes)
    # Torch was loaded in one of the runs alone: that is no other version.
    assert found.environment == {"numpy 2.4.6 -> 2.3.0": [RECEIPT], "python: 3.11.7 -> 3.12.1": [RECEIPT]}
    assert found.harmless == {"snakemake 9.27.1 -> 9.28.0": ["receipts/alpha/pair_images/e.json"]}
    changes.pop(TRAINING)
    assert not compared(first, tmp_path / "other", changes).serious


def test_threads_are_told(first: SmallRun, tmp_path: Path) -> None:
    run = first.read(TRAINING)["run"]
    assert compared(first, tmp_path, {TRAINING: {"run": run | {"threads": 2}}}).jobs == {RECEIPT: ["threads: 1 -> 2"]}
    assert not compared(first, tmp_path / "slow", {TRAINING: {"run": run | {"wall_s": 99.0}}}).serious


def test_other_bytes_of_the_same_recipe_are_told_unless_they_are_times(first: SmallRun, tmp_path: Path) -> None:
    place = "alpha/register_pairs/e/net"
    times = {"alpha/fields/e/net.timing.csv": "12.1\n"}
    shown = {"alpha/make_table/tableS1_times": {"texts": {"alpha/tables/tableS1_times.csv": "12.1\n"}}}
    found = compared(first, tmp_path / "times", {place: {"texts": times}, **shown})
    assert (found.jobs, found.serious) == ({}, False)
    found = compared(first, tmp_path / "bytes", {place: {"texts": times | {"alpha/fields/e/net.npy": "x"}}, **shown})
    assert found.jobs == {f"receipts/{place}.json": ["same recipe, other bytes: alpha/fields/e/net.npy"]}
    # A table of times that differs though no time does is no such thing.
    found = compared(first, tmp_path / "table", shown)
    told = ["same recipe, other bytes: alpha/tables/tableS1_times.csv"]
    assert found.jobs == {"receipts/alpha/make_table/tableS1_times.json": told}


def test_archives_and_older_inputs_are_told(first: SmallRun, tmp_path: Path) -> None:
    second = make_run(tmp_path)
    member, place = "data/heads/scans/heads.zip", "data/fetch_dataset/heads"
    old = second.read(place)["recipe"]["inputs"][member]
    second.edit(place, lambda receipt: receipt["recipe"]["inputs"].update({member: "b" * 64}))
    images = "data/digits/images.npy"
    second.edit(TRAINING, lambda receipt: receipt["recipe"]["inputs"].update({images: "c" * 64}))
    told = compare(first.folder, second.folder).jobs
    assert told[f"receipts/{place}.json"] == [f"input: {member} {old[:12]} -> {'b' * 12}"]
    assert told[RECEIPT] == [f"input from another generation: {images} {second.sha256(images)[:12]} -> {'c' * 12}"]


def test_jobs_of_one_run_alone_are_told(first: SmallRun, tmp_path: Path) -> None:
    second = make_run(tmp_path)
    second.exhibit("beta", "plot_figure", "fig9", ["beta/metrics/f/syn.csv"])
    second.path("alpha/plot_gallery/figS1_affine").unlink()
    assert compare(first.folder, second.folder).jobs == {
        "receipts/alpha/plot_gallery/figS1_affine.json": [f"only in {first.folder}"],
        "receipts/beta/plot_figure/fig9.json": [f"only in {second.folder}"],
    }


def test_means_are_set_side_by_side_with_their_intervals(first: SmallRun, tmp_path: Path) -> None:
    place = "alpha/compare_methods/e"
    found = compared(first, tmp_path, {place: {"params": {"seed": 0, "net": 0.825}}})
    assert found.jobs == {f"receipts/{place}.json": ["net: (not there) -> 0.825"]}
    assert found.metrics == ["alpha/metrics/e net all dice: 0.8 [0.75, 0.85] -> 0.825 [0.75, 0.85]"]
    # A mean that is not defined in either run is the same.
    assert found.same_metrics == 2
    assert text_of(found)[-1] == "what differs can change a result; 1 of 3 means or intervals differ"
    assert text_of(found)[-2] == f"metric {found.metrics[0]}"


def test_the_commands_status_says_whether_a_result_can_differ(
    first: SmallRun, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    same = make_run(tmp_path / "same")
    assert cli.main(["compare", str(first.folder), str(same.folder)]) == 0
    assert capsys.readouterr().out == "nothing differs that can change a result; 0 of 3 means or intervals differ\n"
    other = make_run(tmp_path / "other", {TRAINING: {"params": {"seed": 1}}})
    assert cli.main(["compare", str(first.folder), str(other.folder)]) == 1
    assert capsys.readouterr().out.splitlines()[:2] == [f"job {RECEIPT}", "  seed: 0 -> 1"]
    assert cli.main(["compare", str(first.folder), str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"reregister: {tmp_path} is no run")
    with pytest.raises(ReregisterError, match="is no run"):
        compare(tmp_path, first.folder)


def test_a_table_that_is_none_is_one_sentence(first: SmallRun, tmp_path: Path) -> None:
    second = make_run(tmp_path)
    (second.folder / "alpha" / "metrics" / "e" / "comparison.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ReregisterError, match=r"cannot read .*comparison\.csv as a table of means"):
        compare(first.folder, second.folder)
