"""One pair of a job: fitted, timed, and kept in a file of its own until the job has its receipt."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from reregister.errors import ReregisterError
from reregister.prior.optimise import Fitted, fit, seed_of_pair
from reregister.prior.settings import PriorSettings
from reregister.transforms.compose import composed, pulled_back
from reregister.weights import load_tensors, save_tensors

TRACE = ("step", "loss", "max_displacement")
# The first steps of a process load and allocate (papers.md 1.5).
_WARM_UP = 2


@dataclass(frozen=True)
class Pair:
    """One pair to be fitted: its id, place among the pairs, rows of its images in the store, seed, and file of the result."""

    pair_id: str
    place: int
    moving_row: int
    fixed_row: int
    seed: int
    kept: str


def plan_pairs(pairs: pd.DataFrame, seed: int, checkpoint: Path) -> list[Pair]:
    """The pairs of a job in the order of its table.

    pairs: of `ImageStore.frozen_pairs`. seed: of the settings. checkpoint: `Job.checkpoint`, which the recipe names; each
    file ends with its name, and so is removed with it once the receipt stands.
    """
    return [
        Pair(
            pair.pair_id,
            place,
            int(pair.moving_row),
            int(pair.fixed_row),
            seed_of_pair(seed, pair.moving, pair.fixed),
            str(checkpoint.with_name(f"pair{place:05d}-{checkpoint.name}")),
        )
        for place, pair in enumerate(pairs.itertuples(index=False))
    ]


def fit_pair(
    images: np.ndarray,
    pair: Pair,
    model: Mapping[str, Any],
    settings: PriorSettings,
    device: torch.device,
    report: Callable[[int, float], None] = lambda step, loss: None,
    warm_up: bool = False,
    start: np.ndarray | None = None,
) -> None:
    """Fit one pair and keep its field, note, trace and time.

    images: (N, 1, H, W). warm_up: a few steps beforehand that are not counted. start: fields (P, 2, H, W) of all pairs of the
    job, voxels: the moving image is warped by its own, and what is found is composed with it, neither of which is timed.
    Raises ReregisterError, naming the pair, where it cannot be fitted.
    """
    moving, fixed = (np.array(images[row, 0], dtype=np.float32) for row in (pair.moving_row, pair.fixed_row))
    before = None if start is None else np.array(start[pair.place], dtype=np.float32)
    moving = moving if before is None else pulled_back(moving, before)
    try:
        if warm_up:
            fit(moving, fixed, model, replace(settings, iterations=_WARM_UP), pair.seed, device)
        began = time.perf_counter()
        fitted = fit(moving, fixed, model, settings, pair.seed, device, report)
    except ReregisterError as error:
        raise ReregisterError(f"pair {pair.pair_id}: {error}") from error
    seconds = time.perf_counter() - began
    ddf = fitted.ddf if before is None else composed(before, fitted.ddf)
    tensors = {"ddf": torch.from_numpy(ddf), "trace": torch.from_numpy(fitted.trace)}
    save_tensors(Path(pair.kept), tensors, {"note": fitted.note, "seconds": seconds})


def read_pair(pair: Pair) -> tuple[Fitted, float]:
    """What `fit_pair` kept, and its seconds. Raises ReregisterError where the file cannot be read."""
    try:
        tensors, header = load_tensors(Path(pair.kept))
        fitted = Fitted(tensors["ddf"].numpy(), header["note"], tensors["trace"].numpy())
        return fitted, float(header["seconds"])
    except (ReregisterError, KeyError) as error:
        raise ReregisterError(f"the kept pair {pair.kept} cannot be read; delete it to fit the pair again") from error


def left_over(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs that are still to be fitted."""
    return [pair for pair in pairs if not Path(pair.kept).is_file()]


def collect(pairs: Iterable[Pair]) -> tuple[np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Fields (P, 2, H, W), voxels, one row of timing (seconds, note) a pair, and all traces (pair_id and `TRACE`)."""
    fields, times, traces = [], [], []
    for pair in pairs:
        fitted, seconds = read_pair(pair)
        fields.append(fitted.ddf)
        times.append((seconds, fitted.note))
        trace = pd.DataFrame(fitted.trace, columns=list(TRACE)).astype({"step": int})
        traces.append(trace.assign(pair_id=pair.pair_id)[["pair_id", *TRACE]])
    return np.stack(fields), pd.DataFrame(times, columns=["seconds", "note"]), pd.concat(traces, ignore_index=True)
