"""Training steps of DIRNet: their time, and what the allocator's settings are worth."""

import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from reregister.benchmark.process import in_own_process
from reregister.benchmark.rows import Effort, Row, medians, yes_no
from reregister.losses import build_loss
from reregister.models.dirnet import DIRNet
from reregister.runtime import keep_freed_memory
from reregister.training.loop import Trainer, TrainingData, build_optimiser
from reregister.training.schedule import Schedule

TARGET_MS = 8.0
CARDIAC = {"size": 256, "batch": 8, "poolings": 4}
# The step that papers.md trains with, and its target (performance.md, section 5).
FULL_BATCH, FULL_THREADS, FULL_TARGET_MS = 32, 2, 170.0


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
    keep: bool, model: Mapping[str, Any], training: Mapping[str, Any], batch: int, threads: int, steps: int
) -> tuple[float, bool]:
    """Milliseconds of one step of the cardiac DIRNet, and whether freed memory was kept. For a process of its own."""
    torch.set_num_threads(threads)
    kept = keep_freed_memory() if keep else False
    run = trainer({**model, "poolings": CARDIAC["poolings"]}, training, CARDIAC["size"], batch)
    return medians({"step": lambda: run.step(0)}, steps)["step"], kept


def step_256(model: Mapping[str, Any], training: Mapping[str, Any], effort: Effort) -> Row:
    """One training step of the cardiac baseline BL at the paper's size and batch, as the training rule makes it."""
    case = {"model": dict(model), "training": dict(training), "batch": FULL_BATCH, "threads": FULL_THREADS}
    arguments = {"keep": True, **case, "steps": effort.cardiac_steps}
    times = [in_own_process(cardiac_step, FULL_THREADS, arguments)[0] for _ in range(effort.processes)]
    value = statistics.median(times)
    return Row(
        name="training_step_256",
        value=value,
        unit="ms",
        reference="the target itself",
        ratio=None,
        target=f"<= {FULL_TARGET_MS:g} ms",
        met=yes_no(value <= FULL_TARGET_MS),
        note=f"DIRNet-BL, random images 256x256, batch {FULL_BATCH}, {FULL_THREADS} threads in {effort.processes} process(es) "
        "of their own, freed memory kept; a time, not a ratio: it depends on the machine",
    )


def allocator(model: Mapping[str, Any], training: Mapping[str, Any], threads: int, effort: Effort) -> Row:
    """The cardiac training step with and without `keep_freed_memory`, which no process can take back once it is set."""
    case = {"model": dict(model), "training": dict(training), "batch": CARDIAC["batch"], "threads": threads}
    times: dict[bool, list[float]] = {False: [], True: []}
    kept = False
    for _ in range(effort.processes):
        for keep, values in times.items():
            arguments = {"keep": keep, **case, "steps": effort.cardiac_steps}
            milliseconds, answer = in_own_process(cardiac_step, threads, arguments)
            values.append(milliseconds)
            kept = kept or answer
    without, value = statistics.median(times[False]), statistics.median(times[True])
    note = f"DIRNet, 256x256, batch {CARDIAC['batch']}, {threads} thread(s), {effort.processes} process(es) each"
    return Row(
        name="allocator",
        value=value,
        unit="ms",
        reference=f"the same training step with the C library's own settings, {without:.3g} ms",
        ratio=without / value,
        target="none",
        met="reported",
        note=note if kept else f"{note}; the C library is not glibc, so nothing was set",
    )
