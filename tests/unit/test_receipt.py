"""What a recipe is made of, how the record names files, and how it finds them again."""

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reregister.errors import ReregisterError
from reregister.provenance import receipt
from reregister.provenance.job import Job, flat, from_command_line, from_snakemake, name_of, names_of, place_of

PROJECT = Path(__file__).resolve().parents[2]

RECIPE: dict[str, Any] = {
    "rule": "train_model",
    "wildcards": {"paper": "dirnet", "seed": "0"},
    "params": {"loss": {"ncc": 1.0}, "location": "/data", "code": {"digest": "a"}, "env": {"file": "envs/torch.yaml"}},
    "code": {"scripts/train_model.py": "11"},
    "inputs": {"data/mnist/images.npy": "22"},
    "environment_lock": "33",
}


def build(**changes: Any) -> dict[str, Any]:
    return receipt.build_recipe(**{**RECIPE, **changes})


def make_job(run: Path, location: Path | None = None, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "rule": "prepare_dataset",
        "script": PROJECT / "scripts" / "prepare_dataset.py",
        "run_folder": run,
        "input": SimpleNamespace(),
        "output": SimpleNamespace(receipt=run / "receipts" / "a.json"),
        "params": SimpleNamespace(location=str(location) if location else None, code={}, env={}),
        "wildcards": {"dataset": "mnist"},
        "threads": 1,
        "log": run / "logs" / "a.log",
    }
    return Job(**{**values, **changes})


def test_recipe_id_is_the_hash_of_the_recipe_in_canonical_form() -> None:
    text = (
        '{"code":{"scripts/train_model.py":"11"},"environment_lock":"33","inputs":{"data/mnist/images.npy":"22"},'
        '"params":{"loss":{"ncc":1.0}},"record":1,"rule":"train_model","wildcards":{"paper":"dirnet","seed":"0"}}'
    )
    assert receipt.RECORD_VERSION == 1
    assert receipt.recipe_id(build()) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "register_pairs"},
        {"wildcards": {"paper": "dirnet", "seed": "1"}},
        {"params": {"loss": {"ncc": 2.0}}},
        {"code": {"scripts/train_model.py": "12"}},
        {"inputs": {"data/mnist/images.npy": "23"}},
        {"inputs": {"data/mnist/other.npy": "22"}},
        {"environment_lock": "34"},
    ],
)
def test_whatever_decides_a_result_changes_the_recipe(changes: dict[str, Any]) -> None:
    assert receipt.recipe_id(build(**changes)) != receipt.recipe_id(build())


def test_where_bytes_lie_does_not_change_the_recipe() -> None:
    params = {"loss": {"ncc": 1.0}, "location": "/elsewhere", "code": {"digest": "b"}, "env": {"file": "x"}}
    assert build(params=params) == build()


def test_the_run_folder_is_the_one_that_holds_the_receipts() -> None:
    assert receipt.run_folder_of(Path("results/demo/receipts/dirnet/plot/a.json")) == Path("results/demo")
    assert receipt.run_folder_of(Path("receipts/a.json")) == Path(".")
    with pytest.raises(ValueError, match="does not lie in a folder named receipts"):
        receipt.run_folder_of(Path("results/demo/a.json"))


def test_store_keeps_bytes_once_under_their_own_hash(tmp_path: Path) -> None:
    content = "müde\r\n".encode()
    name = receipt.store(tmp_path, "code", content, ".py")
    path = tmp_path / "receipts" / "store" / "code" / f"{name}.py"
    assert name == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.read_bytes() == content
    before = path.stat()
    assert receipt.store(tmp_path, "code", content, ".py") == name
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"recipe": {}}', '"recipe recipe_id"'])
def test_what_is_no_receipt_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"not a receipt|Expecting"):
        receipt.read_receipt(path)


def test_files_are_named_by_their_place_in_the_run_the_data_or_the_project(tmp_path: Path) -> None:
    run, data = tmp_path / "results" / "demo", tmp_path / "archive"
    job = make_job(run, data)
    assert name_of(job, run / "data" / "mnist" / "images.npy") == "data/mnist/images.npy"
    assert name_of(job, data / "part" / "train.gz") == "data/mnist/part/train.gz"
    assert name_of(job, PROJECT / "workflow" / "report" / "page.html") == "project/workflow/report/page.html"
    assert name_of(job, tmp_path / "elsewhere.txt") == "outside/elsewhere.txt"
    assert name_of(make_job(run), data / "train.gz") == "outside/train.gz"


def test_relative_paths_and_dots_are_seen_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results" / "demo").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    job = make_job(Path("results/demo"))
    assert name_of(job, Path("results/demo/a.csv")) == "a.csv"
    assert name_of(job, Path("results/../results/demo/a.csv")) == "a.csv"
    assert name_of(job, Path("results/demo/../other/a.csv")) == "outside/a.csv"


def test_links_to_another_disk_keep_the_name_of_their_place(tmp_path: Path) -> None:
    disk, run, data = tmp_path / "disk", tmp_path / "results", tmp_path / "archive"
    for folder in (disk / "run", data):
        folder.mkdir(parents=True)
    (disk / "run" / "a.csv").write_text("x")
    (disk / "t1.gz").write_text("x")
    run.symlink_to(disk / "run")
    (data / "train.gz").symlink_to(disk / "t1.gz")
    job = make_job(run, data)
    assert name_of(job, data / "train.gz") == "data/mnist/train.gz"
    # The run folder by either of its names.
    assert name_of(job, run / "a.csv") == name_of(job, disk / "run" / "a.csv") == "a.csv"


def test_names_lead_back_to_the_files(tmp_path: Path) -> None:
    run, data = tmp_path / "results", tmp_path / "archive"
    places = [run / "dirnet" / "a.csv", data / "part" / "train.gz", PROJECT / "envs" / "torch.yaml"]
    for path in places[:2]:
        path.parent.mkdir(parents=True)
        path.write_text("x")
    job = make_job(run, data)
    assert [place_of(name_of(job, path), run, data) for path in places] == places
    # What lies in the run is taken from there, also where the user's folder has a file of that name.
    (run / "data" / "mnist" / "part").mkdir(parents=True)
    (run / "data" / "mnist" / "part" / "train.gz").write_text("x")
    assert place_of("data/mnist/part/train.gz", run, data) == run / "data" / "mnist" / "part" / "train.gz"


def test_lists_of_files_keep_their_order(tmp_path: Path) -> None:
    group = SimpleNamespace(one=tmp_path / "a", many=[tmp_path / "c", tmp_path / "b"], none=[])
    assert names_of(make_job(tmp_path), group) == {"one": "a", "many": ["c", "b"], "none": []}
    assert list(flat(group)) == [tmp_path / "a", tmp_path / "c", tmp_path / "b"]


class Text(str):
    """Snakemake hands over strings with flags."""


def given(**changes: Any) -> SimpleNamespace:
    values: dict[str, Any] = {
        "input": {"images": Text("results/demo/images.npy"), "metrics": [Text("a.csv"), Text("b.csv")], "truth": []},
        "output": {"receipt": Text("results/demo/receipts/data/a.json")},
        "params": {
            "schedule": {1: (2, 3.5), "path": Path("x/y")},
            "parts": {"b", "a", "c"},
            "flag": True,
            "none": None,
            "location": "results/demo/data",
        },
        "wildcards": {"dataset": "mnist", "seed": 0},
        "threads": 2,
        "log": ["results/demo/logs/a.log"],
    }
    return SimpleNamespace(**{**values, **changes})


def test_a_job_from_snakemake_has_paths_and_plain_params() -> None:
    job = from_snakemake(given(), Path("/x/scripts/prepare_dataset.py"))
    assert (job.rule, job.run_folder, job.threads) == ("prepare_dataset", Path("results/demo"), 2)
    assert job.input.images == Path("results/demo/images.npy")
    assert job.input.metrics == [Path("a.csv"), Path("b.csv")]
    assert job.input.truth == []
    assert vars(job.params) == {
        "schedule": {"1": [2, 3.5], "path": "x/y"},
        # A set has no order of its own, and the order of its walk differs between processes.
        "parts": ["a", "b", "c"],
        "flag": True,
        "none": None,
        "location": "results/demo/data",
    }
    assert json.loads(json.dumps(vars(job.params))) == vars(job.params)
    assert job.label == "prepare_dataset mnist 0"
    assert job.location == Path("results/demo/data")
    assert from_snakemake(given(log=[]), Path("a.py")).log is None


def test_a_job_keeps_its_log_progress_and_checkpoint_to_itself(tmp_path: Path) -> None:
    job = make_job(tmp_path, recipe_id="abc")
    assert job.own_files() == [tmp_path / "logs" / "a.log", tmp_path / "logs" / "a.progress.jsonl"]
    assert job.checkpoint == tmp_path / "checkpoints" / "abc.safetensors"
    job.progress(3, "pairs").report(3)
    assert json.loads(job.own_files()[1].read_text())["job"] == "prepare_dataset mnist"
    assert make_job(tmp_path, log=None).own_files() == []


def write_receipt(path: Path, rule: str = "prepare_dataset", location: str | None = None) -> Path:
    record = {
        "recipe_id": "x",
        "recipe": {"rule": rule, "wildcards": {"dataset": "mnist"}, "params": {"mode": "path"}},
        "call": {
            "script": f"scripts/{rule}.py",
            "input": {"members": ["data/mnist/train.gz"], "page": "project/workflow/report/p.html"},
            "output": {"images": "data/mnist/images.npy", "receipt": "receipts/a.json"},
            "log": "logs/a.log",
            "params": {"code": {"entries": []}, "env": {"file": "envs/data.yaml"}},
            "location": location,
        },
        "run": {"threads": 3},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def by_hand(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> Job:
    monkeypatch.setattr(sys, "argv", ["prepare_dataset.py", *map(str, arguments)])
    return from_command_line(PROJECT / "scripts" / "prepare_dataset.py")


def test_a_receipt_gives_the_job_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_receipt(tmp_path / "run" / "receipts" / "a.json", location="data/mnist/standin")
    job = by_hand(monkeypatch, path)
    run = tmp_path / "run"
    assert (job.run_folder, job.rule, job.threads, job.wildcards) == (run, "prepare_dataset", 3, {"dataset": "mnist"})
    assert job.output.images == run / "data" / "mnist" / "images.npy"
    assert job.input.page == PROJECT / "workflow" / "report" / "p.html"
    assert job.location == run / "data" / "mnist" / "standin"
    assert job.params.mode == "path"
    assert job.params.env == {"file": "envs/data.yaml"}
    assert job.log == run / "logs" / "a.log"


def test_another_folder_and_the_users_data_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_receipt(tmp_path / "run" / "receipts" / "a.json")
    other, data = tmp_path / "other", tmp_path / "archive"
    data.mkdir()
    job = by_hand(monkeypatch, path, "--into", other, "--location", data)
    assert job.run_folder == other
    assert job.output.receipt == other / "receipts" / "a.json"
    assert job.input.members == [data / "train.gz"]
    assert job.location == data
    # An output is written to the run though a file of its name lies among the user's own.
    (data / "images.npy").write_text("the user's")
    assert by_hand(monkeypatch, path, "--location", data).output.images == tmp_path / "run/data/mnist/images.npy"


def test_a_receipt_of_another_rule_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_receipt(tmp_path / "run" / "receipts" / "a.json", rule="train_model")
    with pytest.raises(ReregisterError, match=r"records a job of train_model; run it with scripts/train_model\.py"):
        by_hand(monkeypatch, path)


@pytest.mark.parametrize("case", ["absent", "no receipt", "not in a run"])
def test_what_cannot_be_rerun_is_named(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run" / "receipts" / "a.json"
    if case == "no receipt":
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    if case == "not in a run":
        path = write_receipt(tmp_path / "a.json")
    with pytest.raises(ReregisterError, match="give a receipt in its run folder") as caught:
        by_hand(monkeypatch, path)
    assert str(path) in str(caught.value)
