"""A training that is killed in the middle ends, after a rerun, with the bytes of one that was not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .conftest import Workflow

WEIGHTS = "results/smoke/dirnet/models/mnist/dirnet_bl/7_seed0.safetensors"
RECEIPT = "results/smoke/receipts/dirnet/train_model/mnist/dirnet_bl_7_seed0.json"
LONGER = "papers={dirnet: {experiments: {mnist: {training: {iterations: 1200, validate_every: 50}}}}}"
CONFIG = ("--config", "scale=smoke", LONGER)


def training_process(group: int) -> int | None:
    """Pid of the training script among the processes of a group."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                same = os.getpgid(int(entry.name)) == group
            except OSError:
                continue
            if same and any(word.endswith(b"train_model.py") for word in words) and b"python" in words[0]:
                return int(entry.name)
    return None


def kill_in_the_middle(workflow: Workflow) -> None:
    """Start the training, wait until it has written a checkpoint, and kill it with SIGKILL."""
    command = [sys.executable, "-m", "snakemake", "-s", str(workflow.project / "Snakefile"), "--cores", "1"]
    process = subprocess.Popen(
        [*command, WEIGHTS, *CONFIG],
        cwd=workflow.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    checkpoints = workflow.folder / "results" / "smoke" / "checkpoints"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        pid = training_process(process.pid)
        if pid and list(checkpoints.glob("[!.]*.safetensors")):
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.02)
    else:
        raise AssertionError("the training ended, or never wrote a checkpoint")
    assert process.wait(timeout=120) != 0


def test_killed_training_resumes_to_the_same_bytes(fresh: Callable[[], Workflow]) -> None:
    whole, killed = fresh(), fresh()
    whole.snakemake(WEIGHTS, *CONFIG)
    kill_in_the_middle(killed)
    assert not (killed.folder / WEIGHTS).exists()
    assert not (killed.folder / RECEIPT).exists()
    killed.snakemake(WEIGHTS, *CONFIG)
    assert (killed.folder / WEIGHTS).read_bytes() == (whole.folder / WEIGHTS).read_bytes()
    history = WEIGHTS.replace(".safetensors", ".history.csv")
    assert (killed.folder / history).read_bytes() == (whole.folder / history).read_bytes()
    import json

    resumed = json.loads((killed.folder / RECEIPT).read_text(encoding="utf-8"))["run"]["resumed_from"]
    assert resumed is not None
    assert 0 < resumed < 1200
    assert json.loads((whole.folder / RECEIPT).read_text(encoding="utf-8"))["run"]["resumed_from"] is None
    assert not list((killed.folder / "results" / "smoke" / "checkpoints").glob("*.safetensors"))
