"""Memory and time of the reduced VoxelMorph's four permutations on volumes, each in a process of its own."""

import os
from typing import Any

import torch

from reregister.benchmark.process import in_own_process
from reregister.benchmark.rows import NOT_MEASURED, Effort, Row, yes_no
from reregister.errors import ReregisterError
from reregister.models.reduced_voxelmorph import PERMUTATIONS
from reregister.runtime import choose_precision
from reregister.steps.batches import measure_batch

THREADS, BATCH = 2, 1
# performance.md, section 5, and papers.md 6.2: share of the default's memory, and gigabytes of 1e9 bytes.
LARGEST_SHARE, LARGEST_GB = 0.45, 16.0


def _measured(permutation: str, size: tuple[int, ...], precision: str, repeats: int) -> dict[str, Any]:
    """What `measure_batch` says of a permutation with weights of its own for every layer and its loss of papers.md 6.4."""
    case = {
        "model": {
            "name": "reduced_voxelmorph",
            "params": {"permutation": permutation, "shared": False, "upsample": "field"},
        },
        "loss": {"local_ncc": 1.0, "grad_l2_forward": 1.0},
        "optimiser": {"name": "adam", "lr": 0.001},
        "padding": "zeros",
        "precision": precision,
        "shape": [1, *size],
        "device": "cpu",
        "determinism": "none",
        "threads": THREADS,
    }
    arguments = {"case": case, "batch": BATCH, "repeats": repeats, "budget_s": 0, "register": True}
    found: dict[str, Any] = in_own_process(measure_batch, THREADS, arguments)
    return found


def _words(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def maxpool_memory(effort: Effort) -> Row:
    """Peak memory of the process, libraries and all, over one registration and a training step in fp32."""
    size = effort.memory_size
    default, pooled = (_measured(name, size, "fp32", 1) for name in ("default", "maxpool"))
    mb, reference = pooled["memory_mb"], default["memory_mb"]
    share = mb / reference
    return Row(
        name="maxpool_memory",
        value=mb,
        unit="MB",
        reference=f"default permutation, {reference:.4g} MB",
        ratio=reference / mb,
        target=f"<= {LARGEST_SHARE:g} of the reference",
        met=yes_no(share <= LARGEST_SHARE),
        note=f"{share:.2f} of the reference; peak of the process over training steps of ReducedVoxelMorph, unshared weights, "
        f"random pair {_words(size)}, batch {BATCH}, fp32, {THREADS} threads, freed memory kept; of it "
        f"{pooled['libraries_mb']:.0f} MB before the network; steps {pooled['step_ms']:.4g} and {default['step_ms']:.4g} ms",
    )


def volume_rows(effort: Effort) -> list[Row]:
    """At the size of OASIS: whether a training step and a registration fit, for each permutation."""
    return [_volume_row(permutation, effort) for permutation in PERMUTATIONS]


def _volume_row(permutation: str, effort: Effort) -> Row:
    size = effort.volume_size

    def row(value: float | None, met: str, note: str) -> Row:
        name = f"volume_160_{permutation}"
        return Row(name, value, "GB", "the target itself", None, f"<= {LARGEST_GB:g} GB", met, note)

    # Without this, the kernel would end the job, or something else that runs on the machine.
    if effort.volume_size == Effort.volume_size and _machine_gb() < LARGEST_GB:
        return row(None, NOT_MEASURED, f"not measured: this machine has less than {LARGEST_GB:g} GB of memory")
    precision = choose_precision("auto", torch.device("cpu"))
    try:
        found = _measured(permutation, size, precision, 1)
    except ReregisterError as error:
        # Into the log and not into the table: a message may name folders of the user.
        print(error)
        return row(None, "no", "the process did not come to its end; see the log")
    gb = found["memory_mb"] / 1e3
    return row(
        gb,
        yes_no(gb <= LARGEST_GB),
        f"peak of the process; training step in {precision} {found['step_ms'] / 1e3:.3g} s, registration in fp32 "
        f"{found['register_ms'] / 1e3:.3g} s and {found['register_mb'] / 1e3:.3g} GB; ReducedVoxelMorph {permutation}, "
        f"unshared weights, random pair {_words(size)}, batch {BATCH}, {THREADS} threads, freed memory kept; each once, after "
        "one that does not count",
    )


def _machine_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
