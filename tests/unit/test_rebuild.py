"""How alike two results are: each word reached by a planted difference, and lost by a larger one."""

import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from reregister.errors import ReregisterError
from reregister.provenance.files import sha256_file, sha256_json
from reregister.provenance.planned import PlannedJob, RunPlan
from reregister.provenance.varying import matches, may_vary
from reregister.rebuild import exhibit
from reregister.rebuild.exhibit import Rebuilt, find_exhibit, report
from reregister.rebuild.jobs import VARIES, Comparison, Row, verdict
from reregister.rebuild.sameness import WORDS, compare_files, compare_metrics, worst

VALUES = np.array([1.0, -200.0, 0.0, np.nan])


def save(path: Path, values: np.ndarray) -> None:
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, first=np.arange(3), second=values)
    elif path.suffix == ".safetensors":
        save_file({"layer": values}, path)
    else:
        rows = "".join(f"test-1-0000{i},7,{'' if np.isnan(v) else repr(float(v))}\n" for i, v in enumerate(values))
        path.write_text(f"pair,seed,ncc\n{rows}", encoding="utf-8")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".csv"])
@pytest.mark.parametrize(
    ("change", "word"),
    [
        ([0, 0, 0, 0], "bit-identical"),
        # 1e-6 + 1e-5 of the value: 0.0020010 for -200, 1e-6 for 0.
        ([0, 0.00200, 0.9e-6, 0], "numerically equal"),
        ([0, 0.00201, 0, 0], "different"),
        ([0, 0, 1.1e-6, 0], "different"),
    ],
)
def test_numbers_are_equal_within_the_tolerance(suffix: str, change: list[float], word: str, tmp_path: Path) -> None:
    old, new = tmp_path / f"old{suffix}", tmp_path / f"new{suffix}"
    save(old, VALUES)
    save(new, VALUES + np.array(change))
    found = compare_files(old, new)
    assert found.word == word
    if word != "bit-identical":
        assert f"differs by up to {max(change):.2g}" in found.why
        # A wider tolerance takes it, a narrower one does not.
        assert compare_files(old, new, rtol=1e-2, atol=1e-2).word == "numerically equal"
        assert compare_files(old, new, rtol=0, atol=0).word == "different"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (np.array([100_000]), np.array([100_001])),
        (np.array([True, False]), np.array([True, True])),
        (np.array(["a"]), np.array(["b"])),
        (np.array([1.0, np.nan]), np.array([np.nan, 1.0])),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2, dtype=np.float32), np.zeros(2)),
    ],
)
def test_whole_numbers_words_shapes_and_undefined_values_are_the_same_or_different(
    old: np.ndarray, new: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "old.npy", old)
    np.save(tmp_path / "new.npy", new)
    assert compare_files(tmp_path / "old.npy", tmp_path / "new.npy").word == "different"


def test_a_difference_in_a_later_block_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reregister.rebuild.sameness._BLOCK", 4)
    field = np.zeros((3, 5), dtype=np.float16)
    np.save(tmp_path / "old.npy", field)
    field[2, 4] = 0.5
    np.save(tmp_path / "new.npy", field)
    found = compare_files(tmp_path / "old.npy", tmp_path / "new.npy")
    assert found == ("different", "differs by up to 0.5")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("pairs 100000 of 7\n", "pairs 100001 of 7\n", "different"),
        ("mean 0.5 (0.4, 0.6)\n", "mean 0.5000001 (0.4, 0.6)\n", "numerically equal"),
        ("mean 0.5 (0.4, 0.6)\n", "mean 0.5000001 [0.4, 0.6]\n", "different"),
        ("loss 0\n", "loss 1e-17\n", "numerically equal"),
        ("id 3f2a\n", "id 4f2a\n", "different"),
    ],
)
def test_text_may_differ_in_its_numbers_alone(old: str, new: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text(old, encoding="utf-8")
    (tmp_path / "new.md").write_text(new, encoding="utf-8")
    assert compare_files(tmp_path / "old.md", tmp_path / "new.md").word == word


def test_what_cannot_be_compared_is_undecided(tmp_path: Path) -> None:
    for suffix in (".onnx", ".npy", ".npz", ".safetensors"):
        old, new = tmp_path / f"old{suffix}", tmp_path / f"new{suffix}"
        old.write_bytes(b"one")
        new.write_bytes(b"two")
        assert compare_files(old, new).word == "undecided"
        assert compare_files(old, old).word == "bit-identical"


def test_the_worst_of_words_is_the_last_in_their_order() -> None:
    assert worst([]) == "bit-identical"
    assert [worst([a, b]) for a, b in pairwise(WORDS)] == list(WORDS[1:])


def metrics(path: Path, ncc: np.ndarray, clusters: int = 20, pair: str = "test") -> Path:
    frame = pd.DataFrame({"method": "m", "seed": 0, "pair_id": [f"{pair}-{i}" for i in range(ncc.size)]})
    frame["cluster"] = [f"c{i % clusters}" for i in range(ncc.size)]
    frame.assign(ncc=ncc, folds=0.0).to_csv(path, index=False)
    return path


def test_means_are_compared_with_half_their_interval(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ncc = rng.normal(0.8, 0.1, 40)
    old = metrics(tmp_path / "old.csv", ncc)

    def word(new: np.ndarray, **options: Any) -> str:
        return compare_metrics(old, metrics(tmp_path / "new.csv", new, **options)).word

    # The interval of the mean is about 0.1 * 1.96 / sqrt(40) = 0.031 to each side.
    assert word(ncc) == "bit-identical"
    assert word(ncc + 0.01) == "statistically equivalent"
    assert word(ncc + 0.06) == "different"
    # The same mean: what cancels within each cluster says nothing, what differs between clusters could lie outside.
    assert word(ncc + 0.2 * np.sign(np.arange(40) // 20 - 0.5)) == "statistically equivalent"
    assert word(ncc + 0.2 * np.sign(np.arange(40) % 2 - 0.5)) == "undecided"
    undefined = ncc.copy()
    undefined[3] = np.nan
    assert word(undefined) == "undecided"
    assert word(ncc, pair="other") == "different"


def test_without_two_clusters_means_are_undecided(tmp_path: Path) -> None:
    ncc = np.linspace(0.5, 0.9, 10)
    old = metrics(tmp_path / "old.csv", ncc, clusters=1)
    found = compare_metrics(old, metrics(tmp_path / "new.csv", ncc + 0.001, clusters=1))
    assert found == ("undecided", "ncc: fewer than two clusters, so no interval")


class Pair:
    """A run and its rebuild, with one job in each whose files a test writes."""

    def __init__(self, root: Path) -> None:
        self.run, self.scratch = root / "demo", root / "demo.rebuild"

    def write(self, folder: Path, files: dict[str, bytes], inputs: str = "same", **receipt: Any) -> None:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        environment = receipt.pop("environment", {"packages": {"numpy": "2.0"}})
        recipe = {"record": 1, "rule": "r", "wildcards": {}, "params": {}, "code": {}, "environment_lock": "l"}
        recipe |= {"inputs": {"a": inputs}}
        record = {
            "recipe": recipe,
            "recipe_id": sha256_json(recipe),
            "outputs": {name: {"sha256": sha256_file(folder / name)} for name in files},
            "environment": "e",
            "run": {"threads": 1, "device": "cpu", "resumed_from": None, **receipt},
            "call": {"params": {"env": {"file": "envs/torch.yaml"}}},
        }
        store = folder / "receipts" / "store" / "environment" / "e.json"
        store.parent.mkdir(parents=True, exist_ok=True)
        store.write_text(json.dumps(environment), encoding="utf-8")
        (folder / "receipts" / "r.json").write_text(json.dumps(record), encoding="utf-8")

    def row(self, *outputs: str, reads: tuple[str, ...] = (), shown: bool = False) -> Row:
        wildcards = {"paper": "p", "exhibit": "fig1"} if shown else {}
        job = PlannedJob("r", wildcards, {}, dict.fromkeys(reads, ""), list(outputs), "receipts/r.json")
        return Comparison(self.run, self.scratch).row(job)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_equal_bytes_need_no_reason_and_times_do_not_count(pair: Pair) -> None:
    for folder, time in ((pair.run, b"1.0"), (pair.scratch, b"2.0")):
        pair.write(folder, {"p/fields/e/m.npy": b"same", "p/fields/e/m.timing.csv": time})
    row = pair.row("p/fields/e/m.npy", "p/fields/e/m.timing.csv")
    assert (row.word, row.why) == ("bit-identical", [])
    row = pair.row("p/fields/e/m.timing.csv", reads=("p/fields/e/m.timing.csv",), shown=True)
    assert (row.word, row.why) == (VARIES, [])


def test_a_stored_file_that_was_altered_is_different_however_little(pair: Pair) -> None:
    for folder in (pair.run, pair.scratch):
        pair.write(folder, {"p/tables/t.csv": b"0.5\n"})
    (pair.run / "p/tables/t.csv").write_bytes(b"0.50000001\n")
    row = pair.row("p/tables/t.csv")
    assert row.word == "different"
    assert row.why[0] == "p/tables/t.csv: in the run it was altered after its receipt was written"
    (pair.run / "p/tables/t.csv").unlink()
    assert pair.row("p/tables/t.csv").why[0] == "p/tables/t.csv: the run does not have it"


def test_a_reason_names_what_differed_around_the_job(pair: Pair) -> None:
    pair.write(pair.run, {"p/tables/t.csv": b"0.5\n"})
    pair.write(pair.scratch, {"p/tables/t.csv": b"0.5000001\n"}, threads=2, environment={"packages": {"numpy": "2.1"}})
    row = pair.row("p/tables/t.csv")
    assert row.word == "numerically equal"
    assert row.why == [
        "p/tables/t.csv: differs by up to 1e-07 in 1 of its numbers",
        'packages.numpy: "2.0" -> "2.1"',
        "threads: 1 -> 2",
    ]
    pair.write(pair.scratch, {"p/tables/t.csv": b"0.5000001\n"})
    assert pair.row("p/tables/t.csv").why[1:] == ["nothing that is recorded of the two jobs differs but their inputs"]


@pytest.mark.parametrize(
    ("name", "inputs", "word"),
    [
        ("p/tables/t.csv", "same", "different"),
        # What is made of other inputs is not its own fault, and weights are judged by what is measured of them.
        ("p/tables/t.csv", "other", "undecided"),
        ("p/models/e/m.history.csv", "same", "undecided"),
        ("p/pairs/e.csv", "same", "different"),
    ],
)
def test_another_number_is_different_unless_something_else_decides(
    name: str, inputs: str, word: str, pair: Pair
) -> None:
    pair.write(pair.run, {name: b"0.5\n"})
    pair.write(pair.scratch, {name: b"0.7\n"}, inputs=inputs)
    assert pair.row(name).word == word


def test_a_drawing_follows_its_numbers(pair: Pair) -> None:
    files = {"p/figures/f.svg": b"one", "p/figures/f.csv": b"0.5\n"}
    pair.write(pair.run, files)
    pair.write(pair.scratch, {"p/figures/f.svg": b"two", "p/figures/f.csv": b"0.5000001\n"}, inputs="other")
    assert pair.row(*files).word == "numerically equal"
    pair.write(pair.scratch, {"p/figures/f.svg": b"two", "p/figures/f.csv": b"0.6\n"}, inputs="other")
    assert pair.row(*files).word == "undecided"
    # The same numbers under the same recipe, drawn in another way.
    pair.write(pair.scratch, {"p/figures/f.svg": b"two", "p/figures/f.csv": b"0.5\n"})
    assert pair.row(*files).word == "undecided"
    pair.write(pair.scratch, {"p/figures/f.svg": b"two", "p/figures/f.csv": b"0.6\n"})
    assert pair.row(*files).word == "different"


def test_a_job_without_a_receipt_is_undecided(pair: Pair) -> None:
    pair.write(pair.scratch, {"a.csv": b"1\n"})
    assert pair.row("a.csv").word == "undecided"


def test_metrics_decide_on_what_chance_made(pair: Pair, tmp_path: Path) -> None:
    name = "p/metrics/e/m.csv"
    ncc = np.random.default_rng(0).normal(0.8, 0.1, 40)
    old, new = (metrics(tmp_path / f"{shift}.csv", ncc + shift).read_bytes() for shift in (0.0, 0.01))
    pair.write(pair.run, {name: old})
    pair.write(pair.scratch, {name: new}, inputs="other")
    assert pair.row(name).word == "statistically equivalent"


class Snakemake:
    """In place of a run of Snakemake: copies the run to where the words say, and keeps the call."""

    def __init__(self, run: Path, status: int = 0) -> None:
        self.run, self.status, self.command = run, status, [""]

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.command = command
        scratch = self.run.with_name(command[-1].removeprefix("run="))
        shutil.copytree(self.run, scratch, dirs_exist_ok=True)
        return subprocess.CompletedProcess(command, self.status)


@pytest.fixture
def made(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """A run with one exhibit, which a rebuild gives again."""
    pair.write(pair.run, {"p/tables/fig1.csv": b"0.5\n"})
    job = PlannedJob("r", {"paper": "p", "exhibit": "fig1"}, {}, {}, ["p/tables/fig1.csv"], "receipts/r.json")
    monkeypatch.setattr(exhibit, "plan_of", lambda targets, words: RunPlan(pair.run, (job,)))
    monkeypatch.setattr(exhibit.subprocess, "run", Snakemake(pair.run))
    return pair


def test_a_rebuild_runs_the_exhibit_with_the_same_words_in_a_folder_of_its_own(made: Pair) -> None:
    found = exhibit.rebuild("fig1", ["scale=smoke", "run=demo"], cores="2")
    assert (found.exhibit, found.word, found.kept) == ("p/fig1", "bit-identical", None)
    assert not made.scratch.exists()
    command = exhibit.subprocess.run.command
    assert f"{made.scratch}/p/tables/fig1.csv" in command
    assert command[-3:] == ["--config", "scale=smoke", "run=demo.rebuild"]
    assert command[command.index("--cores") + 1] == "2"


def test_a_rebuild_is_kept_where_it_differs_or_is_asked_for_and_gives_way_to_the_next(made: Pair) -> None:
    assert exhibit.rebuild("fig1", [], keep=True).kept == made.scratch
    (made.scratch / "left.txt").write_text("of the rebuild before", encoding="utf-8")
    (made.run / "p/tables/fig1.csv").write_bytes(b"0.6\n")
    found = exhibit.rebuild("fig1", [])
    assert (found.word, found.kept) == ("different", made.scratch)
    assert not (made.scratch / "left.txt").exists()


def test_a_rebuild_deletes_nothing_that_is_not_a_rebuild(made: Pair) -> None:
    made.scratch.mkdir()
    (made.scratch / "mine.txt").write_text("not to be deleted", encoding="utf-8")
    with pytest.raises(ReregisterError, match="is not what a rebuild left"):
        exhibit.rebuild("fig1", [])
    assert (made.scratch / "mine.txt").read_text(encoding="utf-8") == "not to be deleted"


def test_a_rebuild_that_stops_or_has_nothing_to_compare_with_is_an_error(
    made: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exhibit.subprocess, "run", Snakemake(made.run, status=1))
    with pytest.raises(ReregisterError, match="p/fig1 could not be made again"):
        exhibit.rebuild("fig1", [])
    (made.run / "receipts" / "r.json").unlink()
    with pytest.raises(ReregisterError, match="has no receipt of p/fig1"):
        exhibit.rebuild("fig1", [])


def rows(*found: tuple[str, str]) -> list[Row]:
    return [Row(PlannedJob("r", {}, {}, {}, [name], "receipts/r.json"), word, []) for name, word in found]


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ([("a.npy", "bit-identical"), ("t.timing.csv", VARIES)], "bit-identical"),
        ([("a.npy", "bit-identical"), ("b.npy", "numerically equal")], "numerically equal"),
        ([("w.npy", "undecided"), ("p/metrics/e/m.csv", "statistically equivalent")], "statistically equivalent"),
        ([("w.npy", "undecided"), ("p/metrics/e/m.csv", "undecided")], "undecided"),
        # Nothing measured, or measured the same, cannot excuse what is undecided elsewhere.
        ([("w.npy", "undecided")], "undecided"),
        ([("w.npy", "undecided"), ("p/metrics/e/m.csv", "bit-identical")], "undecided"),
        ([("w.npy", "undecided"), ("p/metrics/e/comparison.csv", "statistically equivalent")], "undecided"),
        ([("d.npy", "different"), ("p/metrics/e/m.csv", "statistically equivalent")], "different"),
    ],
)
def test_an_exhibit_has_the_worst_word_unless_metrics_decide(found: list[tuple[str, str]], word: str) -> None:
    assert verdict(rows(*found)) == word


def test_the_table_ends_with_the_word_of_the_exhibit() -> None:
    table = rows(("a.npy", "bit-identical"), ("b.npy", "numerically equal"))
    table[1].why.append("b.npy: differs by up to 1e-07")
    lines = report(Rebuilt("p/fig1", table, "numerically equal", Path("results/demo.rebuild")))
    assert lines == [
        "bit-identical      r",
        "numerically equal  r",
        "                     b.npy: differs by up to 1e-07",
        "numerically equal: a difference of at most 1e-06 + 1e-05 of the value",
        "p/fig1: numerically equal (2 jobs made again; the rebuild lies in results/demo.rebuild)",
    ]


def exhibits(*names: str) -> RunPlan:
    jobs = [PlannedJob("r", dict(zip(("paper", "exhibit"), n.split("/"), strict=True)), {}, {}, [], n) for n in names]
    return RunPlan(Path("results/demo"), tuple(jobs))


def test_an_exhibit_is_found_by_its_name_where_that_is_enough() -> None:
    plan = exhibits("p/fig1", "p/fig2", "q/fig2")
    assert find_exhibit(plan, "fig1").exhibit == "p/fig1"
    assert find_exhibit(plan, "q/fig2").exhibit == "q/fig2"
    with pytest.raises(ReregisterError, match="several papers; say p/fig2 or q/fig2"):
        find_exhibit(plan, "fig2")
    with pytest.raises(ReregisterError, match=r"no exhibit p/fig3; there are p/fig1, p/fig2$"):
        find_exhibit(plan, "p/fig3")


def test_times_the_record_and_exhibits_of_times_may_vary() -> None:
    patterns = may_vary(["fig7_times"])
    varying = ["p/fields/e/m.timing.csv", "p/steps/e/m.csv", "p/figures/fig7_times.svg", "p/tables/fig7_times.csv"]
    varying += ["p/claims/timed_claims.csv", "receipts/p/r/a.json", "p/logs/r.log", "report/index.html", "SHA256SUMS"]
    kept = [
        "p/fields/e/m.npy",
        "p/figures/fig7.svg",
        "p/metrics/e/steps.csv",
        "p/claims/claims.csv",
        "data/d/images.npy",
        "run.json",
    ]
    assert [matches(name, patterns) for name in (*varying, *kept)] == [True] * len(varying) + [False] * len(kept)
