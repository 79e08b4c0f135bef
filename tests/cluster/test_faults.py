"""What goes wrong on a cluster, each on one training of the smoke run that is stopped in its middle and goes on.

Its process is halted (SIGSTOP) once it has written a checkpoint, so that the fault always meets it there. Every one ends
with the weights of the smoke run, to the byte.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Workflow
from ..slurm_node import SlurmNode
from ..slurm_run import SlurmRun

WEIGHTS = "results/smoke/dirnet/models/scd/dirnet_bl/all_seed0.safetensors"
RECEIPT = "results/smoke/receipts/dirnet/train_model/scd/dirnet_bl_all_seed0.json"
NAME = "train_model dirnet scd dirnet_bl all 0"
Start = Callable[..., SlurmRun]


def halt(run: SlurmRun) -> int:
    """Wait for the training's first checkpoint, stop its process and return its number."""

    def find() -> int:
        if list(run.project.glob("results/smoke/checkpoints/[!.]*.safetensors")):
            for entry in Path("/proc").iterdir():
                with suppress(OSError):
                    if entry.name.isdigit() and b"train_model.py" in (entry / "cmdline").read_bytes():
                        words = (entry / "cmdline").read_bytes().split(b"\0")
                        if os.readlink(entry / "cwd") == str(run.project) and words[1].endswith(b".train_model.py"):
                            os.kill(int(entry.name), signal.SIGSTOP)
                            return int(entry.name)
        return 0

    pid = run.until("the training's checkpoint", find)
    assert not (run.project / WEIGHTS).exists()
    return pid


def jobs_of(run: SlurmRun, *states: str) -> list[str]:
    """Numbers of a run's jobs in Slurm, in order, of some states or all."""
    found = [job for job in run.node.jobs().values() if job["WorkDir"] == str(run.project)]
    return [job["JobId"] for job in found if not states or job["JobState"] in states]


def receipt_of(run: SlurmRun) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run.project / RECEIPT).read_text(encoding="utf-8"))
    return content


def check(run: SlurmRun, smoke: Workflow, attempts: int, resumed: bool = True, seconds: float = 300) -> None:
    """The run ends well after so many jobs, with the smoke run's own weights and nothing half-written."""
    if status := run.wait(seconds):
        run.give_up(f"ended with {status}")
    assert (run.project / WEIGHTS).read_bytes() == (smoke.folder / WEIGHTS).read_bytes()
    taken_up = receipt_of(run)["run"]["resumed_from"]
    assert 0 < taken_up < 30 if resumed else taken_up is None
    assert len(jobs_of(run)) == attempts
    assert receipt_of(run)["run"]["slurm"]["job"] == jobs_of(run)[-1]
    assert not list(run.project.glob("results/smoke/checkpoints/*"))


@pytest.fixture(scope="module")
def start(node: SlurmNode, smoke: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts the one training, in a copy of the smoke run that has all before it; or again, in the folder of a run."""
    runs: list[SlurmRun] = []

    def make(training: str = "", again: SlurmRun | None = None, more: tuple[str, ...] = ()) -> SlurmRun:
        if again is None:
            project = tmp_path_factory.mktemp("fault") / "project"
            shutil.copytree(smoke.project, project)
            for name in ("run.json", "data/scd", "dirnet/pairs"):
                source, target = (root / "results" / "smoke" / name for root in (smoke.folder, project))
                target.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    shutil.copytree(source, target, ignore=shutil.ignore_patterns("standin"))
                else:
                    shutil.copy2(source, target)
        else:
            project = again.project
        own = [f"papers={{dirnet: {{experiments: {{scd: {{training: {{{training}}}}}}}}}}}"] if training else []
        runs.append(SlurmRun(node, project, *more, WEIGHTS, "--config", "scale=smoke", *own))
        return runs[-1]

    yield make
    for run in runs:
        run.kill()
    node.cancel_all()


def test_cancelled_by_the_user_goes_on_from_its_checkpoint(start: Start, smoke: Workflow) -> None:
    run = start()
    halt(run)
    (job,) = jobs_of(run, "RUNNING")
    shown = Workflow(run.project, run.project).reregister("progress")
    assert shown.stdout.startswith(f"{NAME}: "), shown
    assert " of 30 steps" in shown.stdout
    run.node.ask("scancel", job)
    check(run, smoke, attempts=2)
    assert f"train_model: Slurm ended job {job} because it was cancelled (scancel)" in run.console


def test_over_its_memory_is_said_and_tried_again_with_more(start: Start, smoke: Workflow) -> None:
    run = start("mem_mb: 450")
    check(run, smoke, attempts=2, resumed=False)
    jobs = jobs_of(run)
    assert f"train_model: Slurm ended job {jobs[0]} over its memory (mem_mb)" in run.console
    asked = [run.node.jobs()[job]["MinMemoryNode"] for job in jobs]
    assert asked == ["450M", "900M"]


def test_a_node_that_loses_its_daemon_loses_no_job(start: Start, smoke: Workflow) -> None:
    run = start()
    pid = halt(run)
    run.node.kill_slurmd()
    os.kill(pid, signal.SIGCONT)
    time.sleep(1)
    run.node.start_slurmd()
    check(run, smoke, attempts=1, resumed=False)


def test_a_killed_run_is_not_doubled_and_goes_on(start: Start, smoke: Workflow) -> None:
    run = start()
    halt(run)
    run.kill()
    (job,) = jobs_of(run, "RUNNING")
    assert not (run.project / RECEIPT).exists()
    locked = start(again=run)
    assert locked.wait(120) != 0
    assert "--unlock" in locked.console
    assert start(again=run, more=("--unlock",)).wait(120) == 0
    refused = start(again=run)
    assert refused.wait(120) != 0
    assert "error: an earlier run in this folder left jobs in Slurm's queue" in refused.console
    assert f"scancel {job}" in refused.console
    run.node.ask("scancel", job)
    end = time.monotonic() + 30
    while job in jobs_of(run, "RUNNING", "COMPLETING") and time.monotonic() < end:
        time.sleep(0.2)
    check(start(again=run), smoke, attempts=2)


def test_over_its_time_is_said_and_goes_on_with_more(start: Start, smoke: Workflow) -> None:
    run = start()
    halt(run)
    (job,) = jobs_of(run, "RUNNING")
    # Less than it has had, which Slurm sees within half a minute.
    asked = run.node.jobs()[job]["TimeLimit"]
    run.node.ask("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    check(run, smoke, attempts=2)
    assert f"train_model: Slurm ended job {job} over its time (runtime)" in run.console
    assert (asked, run.node.jobs()[jobs_of(run)[-1]]["TimeLimit"]) == ("00:30:00", "01:00:00")
