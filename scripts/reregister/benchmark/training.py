"""Training steps of DIRNet: their time, and what the allocator's settings are worth."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reregister.benchmark.rows import Effort, Row, medians, yes_no
from reregister.errors import ReregisterError
from reregister.losses import build_loss
from reregister.models.dirnet import DIRNet
from reregister.runtime import keep_freed_memory
from reregister.training.loop import Schedule, Trainer, TrainingData, build_optimiser

TARGET_MS = 8.0
CARDIAC = {"size": 256, "batch": 8, "poolings": 4}
_SCRIPTS = Path(__file__).resolve().parents[2]


def trainer(model: Mapping[str, Any], training: Mapping[str, Any], size: int, batch: int) -> Trainer:
    """A training run of DIRNet on random images of size x size.

    model: its arguments. training: optimiser, loss and padding of an experiment's config.
    """
    torch.manual_seed(0)
    count = 4 * batch
    images = np.random.default_rng(0).random((count, 1, size, size), dtype=np.float32)
    rows = np.arange(count)
    data = TrainingData(images, [str(row) for row in rows], rows, ["0"] * count, (rows, rows))
    schedule = Schedule(iterations=1, batch=batch, validate_every=1, padding=training["padding"])
    network = DIRNet(**model)
    optimiser = build_optimiser(network, training["optimiser"])
    return Trainer(network, build_loss(training["loss"]), data, schedule, optimiser, 0, torch.device("cpu"))


def step_28(model: Mapping[str, Any], training: Mapping[str, Any], threads: int, effort: Effort) -> Row:
    """One training step on digits, as the training rule makes it: drawing, forward, backward, optimiser."""
    run = trainer(model, training, 28, training["batch"])
    value = medians({"step": lambda: run.step(0)}, effort.steps)["step"]
    return Row(
        name="training_step_28",
        value=value,
        unit="ms",
        reference="the target itself",
        ratio=None,
        target=f"<= {TARGET_MS:g} ms",
        met=yes_no(value <= TARGET_MS),
        note=f"DIRNet, random images 28x28, batch {training['batch']}, {threads} thread(s); a time, not a ratio: it "
        "depends on the machine",
    )


def cardiac_step(
    keep: bool, model: Mapping[str, Any], training: Mapping[str, Any], threads: int, steps: int
) -> tuple[float, bool]:
    """Milliseconds of one step of the cardiac DIRNet, and whether freed memory was kept. For a process of its own."""
    torch.set_num_threads(threads)
    kept = keep_freed_memory() if keep else False
    run = trainer({**model, "poolings": CARDIAC["poolings"]}, training, CARDIAC["size"], CARDIAC["batch"])
    return medians({"step": lambda: run.step(0)}, steps)["step"], kept


def _in_own_process(keep: bool, arguments: list[Any]) -> tuple[float, bool]:
    # Arguments come in through stdin: the record keeps command lines, and should keep a short one.
    code = (
        "import json, sys; from reregister.benchmark.training import cardiac_step; "
        "print(json.dumps(cardiac_step(*json.load(sys.stdin))))"
    )
    paths = [str(_SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([keep, *arguments]),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ReregisterError(f"the training step in a process of its own failed: {done.stderr.strip()[-500:]}")
    milliseconds, kept = json.loads(done.stdout.splitlines()[-1])
    return milliseconds, kept


def allocator(model: Mapping[str, Any], training: Mapping[str, Any], threads: int, effort: Effort) -> Row:
    """The cardiac training step with and without `keep_freed_memory`, which no process can take back once it is set."""
    arguments = [dict(model), dict(training), threads, effort.cardiac_steps]
    times: dict[bool, list[float]] = {False: [], True: []}
    kept = False
    for _ in range(effort.processes):
        for keep, values in times.items():
            milliseconds, answer = _in_own_process(keep, arguments)
            values.append(milliseconds)
            kept = kept or answer
    without, value = statistics.median(times[False]), statistics.median(times[True])
    case = f"DIRNet, 256x256, batch {CARDIAC['batch']}, {threads} thread(s), {effort.processes} process(es) each"
    return Row(
        name="allocator",
        value=value,
        unit="ms",
        reference=f"the same training step with the C library's own settings, {without:.3g} ms",
        ratio=without / value,
        target="none",
        met="reported",
        note=case if kept else f"{case}; the C library is not glibc, so nothing was set",
    )
