"""Why a job is stale: each reason planted in a record of its own, and none where nothing was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reregister.provenance import recorded
from reregister.provenance.files import sha256_file
from reregister.provenance.planned import PlannedJob, RunPlan
from reregister.provenance.recorded import Recorded
from reregister.provenance.stale import Staleness, report

SOURCE = '"""A script."""\n\n\ndef main(job):\n    return 1\n'


class Project:
    """A project of one script and a run of two jobs, `make` and `draw`, whose receipts hold."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.script = root / "scripts" / "draw.py"
        self.lock = root / "envs" / "plot.yaml"
        self.archive = root / "archive.zip"
        self.run = root / "results" / "demo"
        self.params: dict[str, Any] = {"lr": 0.3, "location": "here"}
        texts = {self.script: SOURCE, self.lock: "a", self.archive: "bytes", self.run / "images": "i"}
        for path, text in {**texts, self.run / "svg": "s", root / "scripts" / "make.py": SOURCE}.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for name in ("PROJECT", "SCRIPTS"):
            monkeypatch.setattr(recorded, name, root if name == "PROJECT" else root / "scripts")
        monkeypatch.setattr("reregister.provenance.closure.SCRIPTS", root / "scripts")
        for job in self.plan().jobs:
            outputs = {name: {"sha256": sha256_file(self.run / name), "bytes": 1} for name in job.outputs}
            code = {f"scripts/{job.rule}.py": sha256_file(root / "scripts" / f"{job.rule}.py")}
            receipt = {"recipe": Recorded(self.plan()).recipe(job), "recipe_id": "x", "outputs": outputs, "code": code}
            path = self.run / job.receipt
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(receipt), encoding="utf-8")

    def plan(self) -> RunPlan:
        def job(rule: str, params: dict[str, Any], inputs: dict[str, str], output: str) -> PlannedJob:
            every = {**params, "code": {"digest": "d", "entries": []}, "env": {"file": "envs/plot.yaml"}}
            return PlannedJob(rule, {"paper": "p"}, every, inputs, [output], f"receipts/p/{rule}.json")

        make = job("make", {}, {"data/d/archive.zip": str(self.archive)}, "images")
        return RunPlan(self.run, (make, job("draw", self.params, {"images": str(self.run / "images")}, "svg")))

    def reasons(self) -> dict[str, list[str]]:
        run = Recorded(self.plan())
        return {job.rule: found for job in self.plan().jobs if (found := run.reasons(job))}

    def edit_receipt(self, rule: str, change: Callable[[dict[str, Any]], Any]) -> None:
        path = self.run / "receipts" / "p" / f"{rule}.json"
        receipt = json.loads(path.read_text(encoding="utf-8"))
        change(receipt)
        path.write_text(json.dumps(receipt), encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def test_a_record_that_holds_gives_no_reason(project: Project) -> None:
    assert project.reasons() == {}
    # Where bytes lie is no part of what is made from them, and the archive need not be there any more.
    project.params["location"] = "there"
    project.archive.unlink()
    assert project.reasons() == {}


def test_a_param_is_shown_old_to_new(project: Project) -> None:
    project.params["lr"] = 0.4
    assert project.reasons() == {"draw": ["lr: 0.3 -> 0.4"]}


def test_code_is_named_and_a_comment_is_cosmetic(project: Project) -> None:
    draw = project.plan().jobs[1]
    assert Recorded(project.plan()).cosmetic(draw) == []
    project.script.write_text(SOURCE.replace("A script", "The script") + "# why\n", encoding="utf-8")
    assert project.reasons() == {}
    assert Recorded(project.plan()).cosmetic(draw) == ["scripts/draw.py"]
    project.script.write_text(SOURCE.replace("return 1", "return 2"), encoding="utf-8")
    assert project.reasons() == {"draw": ["code: scripts/draw.py"]}
    assert Recorded(project.plan()).cosmetic(draw) == []


def test_code_that_comes_and_goes_is_named(project: Project) -> None:
    def take(receipt: dict[str, Any]) -> None:
        receipt["recipe"]["code"]["scripts/old.py"] = receipt["recipe"]["code"].pop("scripts/draw.py")

    project.edit_receipt("draw", take)
    lines = ["code: scripts/draw.py was not there", "code: scripts/old.py is not there any more"]
    assert project.reasons() == {"draw": lines}


def test_an_environment_file_is_named(project: Project) -> None:
    project.lock.write_text("b", encoding="utf-8")
    assert project.reasons() == {rule: ["environment: envs/plot.yaml"] for rule in ("make", "draw")}


def test_an_input_that_was_made_anew_or_is_another_archive_is_named(project: Project) -> None:
    project.edit_receipt("make", lambda receipt: receipt["outputs"]["images"].update(sha256="0" * 64))
    assert project.reasons() == {"draw": ["input: images is not the one it was made from"]}
    project.archive.write_text("other bytes", encoding="utf-8")
    assert project.reasons()["make"] == ["input: data/d/archive.zip is not the one it was made from"]


def test_what_has_no_record_or_no_file_is_said(project: Project) -> None:
    (project.run / "svg").unlink()
    assert project.reasons() == {"draw": ["output: svg is missing"]}
    (project.run / "receipts" / "p" / "draw.json").write_text("{}", encoding="utf-8")
    assert project.reasons() == {"draw": ["its receipt cannot be read"]}
    (project.run / "receipts" / "p" / "draw.json").unlink()
    assert project.reasons() == {"draw": ["no receipt: it has not run, or its record is gone"]}


def test_the_answer_parts_what_is_stale_from_what_follows_and_what_is_cosmetic(project: Project) -> None:
    jobs = project.plan().jobs
    lines = report(
        Staleness(
            run_folder=Path("results/demo"),
            origins={"make p": ["lr: 0.3 -> 0.4", "code: scripts/make.py"]},
            downstream=[jobs[1]],
            exhibits=["p/fig1"],
            cosmetic={"scripts/a.py": 1},
            checked=12,
            left_out=["q"],
        )
    )
    assert lines == [
        "stale: make p",
        "  lr: 0.3 -> 0.4",
        "  code: scripts/make.py",
        "made again because of that: 1 job",
        "  draw 1",
        "exhibits that are made again:",
        "  p/fig1",
        "cosmetic: scripts/a.py (run by 1 job)",
        "not looked at, for want of any receipt: q",
        "results/demo: 1 job is stale; 12 jobs compared with the plan",
    ]
    clean = Staleness(Path("results/demo"), {}, [], [], {}, 2, [])
    assert report(clean) == ["results/demo: nothing is stale; 2 jobs compared with the plan"]
