"""One registration by DIRNet against one by elastix, on the same pairs."""

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reregister.baselines import elastix
from reregister.baselines.batch import register_pairs
from reregister.benchmark.rows import Effort, Row, yes_no
from reregister.data.idx import read_idx
from reregister.data.readers.mnist import FILES
from reregister.data.standins import mnist
from reregister.inference import network_method
from reregister.models.dirnet import DIRNet

TARGET = 10.0


def digit_pairs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`count` (10 or more) images of the MNIST stand-in, float32 (count, 28, 28) in [0, 1], and as many pairs of rows.

    Each image is the moving one of one pair and the fixed one of another, with the next image of its digit.
    """
    with tempfile.TemporaryDirectory() as folder:
        members = {name: Path(folder, name) for names in FILES.values() for name in names}
        mnist.write(members, Path(folder, "truth.npz"), count, 10, seed)
        pixels, labels = (read_idx(members[name]) for name in FILES["train"])
    groups = [np.flatnonzero(labels == digit) for digit in range(10)]
    fixed = np.concatenate([np.roll(rows, -1) for rows in groups])
    return pixels.astype(np.float32) / 255, np.concatenate(groups), fixed


def dirnet_against_elastix(model: Mapping[str, Any], settings: Mapping[str, Any], threads: int, effort: Effort) -> Row:
    """Time of one pair through the face that both methods have in the workflow, the first call left out.

    model: DIRNet's arguments; its weights are untrained, since no weight changes the time. settings: of
    `elastix.parameter_map`. elastix takes its threads from ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS.
    """
    images, moving, fixed = digit_pairs(effort.images)
    network = network_method(DIRNet(**model).eval(), torch.device("cpu"))
    methods = {"dirnet": network, "elastix": elastix.register}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    failed = 0
    for _ in range(effort.rounds):
        for name, method in methods.items():
            _, timing = register_pairs(method, images, moving, fixed, (1.0, 1.0), settings)
            seconds[name] += timing["seconds"].tolist()
            failed += int((timing["note"] != "").sum())
    ours, theirs = (1e3 * statistics.median(seconds[name]) for name in methods)
    return Row(
        name="dirnet_vs_elastix_28",
        value=ours,
        unit="ms per pair",
        reference=f"itk-elastix B-spline, {theirs:.3g} ms per pair",
        ratio=theirs / ours,
        target=f">= {TARGET:g}",
        met=yes_no(theirs / ours >= TARGET),
        note=f"{len(moving)} pairs of synthetic digits 28x28, {effort.rounds} round(s), {threads} thread(s) each; elastix with "
        f"{settings['resolutions']} x {settings['iterations']} iterations of {settings['samples']} samples, {failed} of its "
        "registrations failed; DIRNet batch 1, untrained",
    )
