"""What one line of the speed table holds, and how times are taken."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

NOT_MEASURED = "not measured"
NO_BF16 = "not measured: this processor does not compute in bf16, it emulates it"


@dataclass(frozen=True)
class Effort:
    """How often each thing is measured; the defaults take some seven minutes on two cores.

    steps: training steps of 28 x 28. fields_28, fields_256: B-spline fields of each form. images: synthetic digits, as
    many pairs. slices: synthetic cardiac ones (45 at most), with two pairs each. rounds: passes over all pairs with each
    method. processes, cardiac_steps: processes with each allocator and the steps in each. voxelmorph_steps: steps of the
    VoxelMorph of digits in each process; voxelmorph_filters: its width, the paper's where the target is to mean something.
    plans: dry runs. plan_seeds: of the large plan.
    prior_steps, prior_size: iterations of the deep prior and the side of its images. contest_steps,
    contest_side: training steps in each process of the VoxelMorphs that are compared and the side of their volumes. terms,
    terms_side: passes of local NCC and the side of its volumes; dice_side: of the labels that Dice is taken of, with a fifth
    of the passes. memory_size, volume_size: of volumes that the reduced VoxelMorph is trained on. int8_channels, int8_side,
    int8_passes: of the network in 8-bit integers. One tenth more, and at least one, comes before and is not counted.
    """

    steps: int = 400
    fields_28: int = 1000
    fields_256: int = 40
    images: int = 40
    slices: int = 10
    rounds: int = 3
    processes: int = 3
    cardiac_steps: int = 12
    voxelmorph_steps: int = 3
    voxelmorph_filters: int = 256
    plans: int = 3
    plan_seeds: int = 107
    prior_steps: int = 12
    prior_size: int = 256
    contest_steps: int = 3
    contest_side: int = 64
    terms: int = 20
    terms_side: int = 64
    dice_side: int = 48
    memory_size: tuple[int, ...] = (80, 96, 112)
    volume_size: tuple[int, ...] = (160, 192, 224)
    int8_channels: int = 16
    int8_side: int = 48
    int8_passes: int = 10


@dataclass(frozen=True)
class Row:
    """One thing measured: its value, what that is compared with, their ratio (reference over value), and the target.

    met: `yes` or `no`; `reported` where there is no target; `not measured` where value is None, and note says why.
    """

    name: str
    value: float | None
    unit: str
    reference: str
    ratio: float | None
    target: str
    met: str
    note: str


def yes_no(met: bool) -> str:
    return "yes" if met else "no"


def medians(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each call. The calls take turns, so that a busy moment of the machine falls on all."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    warm_up = 1 + repeats // 10
    for turn in range(warm_up + repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}
