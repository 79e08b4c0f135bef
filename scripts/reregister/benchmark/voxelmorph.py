"""Training steps of the six-layer VoxelMorph of digits at the paper's size, in both precisions."""

import statistics

import numpy as np
import torch

from reregister.benchmark.process import in_own_process
from reregister.benchmark.rows import NO_BF16, NOT_MEASURED, Effort, Row, medians, yes_no
from reregister.losses import build_loss
from reregister.models.mnist_voxelmorph import MnistVoxelMorph
from reregister.runtime import computes_in_bf16, keep_freed_memory
from reregister.training.loop import Trainer, TrainingData, build_optimiser
from reregister.training.schedule import Schedule

# mnist_voxelmorph, sections 2.2 and 2.3; targets in milliseconds with two threads.
FILTERS, BATCH, SIDE, THREADS = 256, 179, 28, 2
TARGETS_MS = {"fp32": 1300.0, "bf16": 900.0}


def voxelmorph_step(filters: int, batch: int, precision: str, threads: int, steps: int) -> float:
    """Milliseconds of one training step on random images. For a process of its own."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.manual_seed(0)
    images = np.random.default_rng(0).random((2 * batch, 1, SIDE, SIDE), dtype=np.float32)
    rows = np.arange(len(images))
    data = TrainingData(images, [str(row) for row in rows], rows, ["7"] * len(rows), (rows, rows), each_once=True)
    schedule = Schedule(iterations=1, batch=batch, validate_every=1, padding="zeros", precision=precision)
    network = MnistVoxelMorph(filters, output_norm=False)
    optimiser = build_optimiser(network, {"name": "adam", "lr": 0.001})
    loss = build_loss({"mse": 1.0, "grad_l2_forward_normalised": 0.1})
    run = Trainer(network, loss, data, schedule, optimiser, 0, torch.device("cpu"))
    return medians({"step": lambda: run.step(0)}, steps)["step"]


def voxelmorph_rows(effort: Effort) -> list[Row]:
    """One row for each precision: drawing, forward, backward and optimiser, as the training rule makes them."""
    rows, values = [], {}
    for precision, target in TARGETS_MS.items():
        name, words = f"training_step_voxelmorph_{precision}", f"<= {target:g} ms"
        if precision == "bf16" and not computes_in_bf16(torch.device("cpu")):
            rows.append(Row(name, None, "ms", "the same step in fp32", None, words, NOT_MEASURED, NO_BF16))
            continue
        arguments = {"filters": effort.voxelmorph_filters, "batch": BATCH, "precision": precision, "threads": THREADS}
        arguments |= {"steps": effort.voxelmorph_steps}
        times = [in_own_process(voxelmorph_step, THREADS, arguments) for _ in range(effort.processes)]
        values[precision] = statistics.median(times)
        first = precision == "fp32"
        rows.append(
            Row(
                name=name,
                value=values[precision],
                unit="ms",
                reference="the target itself" if first else f"the same step in fp32, {values['fp32']:.4g} ms",
                ratio=None if first else values["fp32"] / values[precision],
                target=words,
                met=yes_no(values[precision] <= target),
                note=f"MnistVoxelMorph with {effort.voxelmorph_filters} filters, random images {SIDE}x{SIDE}, batch {BATCH}, "
                f"{THREADS} threads in {effort.processes} process(es) of their own, freed memory kept; a time, not a ratio: "
                "it depends on the machine",
            )
        )
    return rows
