"""All pairs of one method in one process: start-up of the libraries is paid once and never timed."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from numpy.typing import ArrayLike

from reregister.data.store import ImageStore
from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path
from reregister.tables import write_frame
from reregister.transforms.compose import composed, pulled_back


class RegisterOne(Protocol):
    """The one face of a method: (moving, fixed, spacing) in, (ddf, note) out; see `baselines.elastix.register`."""

    def __call__(
        self, moving: np.ndarray, fixed: np.ndarray, spacing: Sequence[float], *, settings: Mapping[str, Any]
    ) -> tuple[np.ndarray, str]: ...


def _check_field(ddf: np.ndarray, shape: tuple[int, ...], index: int) -> None:
    if ddf.shape != shape:
        raise ReregisterError(f"The field of pair {index} has shape {ddf.shape}: the method must return {shape}.")
    if not np.isfinite(ddf).all():
        raise ReregisterError(f"The field of pair {index} has values that are not finite: look at its two images.")


@contextmanager
def fields_file(path: str | os.PathLike[str], shape: Sequence[int]) -> Iterator[np.ndarray]:
    """A mapped float32 array of that shape to fill with fields, which is `path` (.npy) when the block ends well.

    Fields go to the disk as they come: those of 84 pairs of 160 x 192 x 224 are 7 GB, which no job need hold. shape:
    (S, P, ndim, *spatial). Where the block raises, nothing is left behind.
    """
    with atomic_path(path) as temporary:
        fields = open_memmap(temporary, "w+", np.dtype(np.float32), tuple(shape))
        yield fields
        fields.flush()


def register_pairs(
    register_one: RegisterOne,
    images: np.ndarray,
    moving_index: Sequence[int] | np.ndarray,
    fixed_index: Sequence[int] | np.ndarray,
    spacing: ArrayLike,
    settings: Mapping[str, Any],
    out: np.ndarray | None = None,
    report: Callable[[int], None] = lambda done: None,
    rows: Sequence[int] | np.ndarray | None = None,
    start: np.ndarray | None = None,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Register all pairs one after the other, each timed by itself.

    images: (N, *spatial), may be memory-mapped; each is handed over as contiguous float32.
    moving_index, fixed_index: P rows of `images` each. spacing: mm, tensor axis order, (ndim,) for all images or
    (N, ndim), of which the fixed image's row counts. settings: handed on to `register_one`.
    out: array (P, ndim, *spatial) to fill, a memory map or float16 where fields are large; None makes a float32 one.
    rows: where in `out`, which then may be longer, each pair's field goes. report: told after each pair how many are done.
    start: fields like those of `out`, one for each of its pairs, that the pairs start from: `register_one` is given the
    moving image warped by it, and what it finds is composed with it, neither of which is timed.
    Returns the fields, `out` where it was given, voxels, and a frame with one row per pair: seconds of the call (wall
    clock), note ('' or why the field is zero). The first pair is registered once more beforehand, uncounted, since the
    first call of a library loads and allocates (papers.md 1.5). Raises ReregisterError, naming the pair's position,
    where a field has a wrong shape or a value that is not finite.
    """
    if len(moving_index) != len(fixed_index):
        raise ValueError(f"{len(moving_index)} moving but {len(fixed_index)} fixed indices")
    spatial = images.shape[1:]
    ndim = len(spatial)
    spacings = np.broadcast_to(np.asarray(spacing, dtype=np.float64), (len(images), ndim))
    shape = (len(moving_index), ndim, *spatial)
    fields = np.empty(shape, dtype=np.float32) if out is None else out
    if fields.shape[rows is not None :] != shape[rows is not None :]:
        raise ValueError(f"out must have shape {shape}, got {fields.shape}")
    places = range(len(moving_index)) if rows is None else rows

    def timed(index: int) -> tuple[np.ndarray, str, float]:
        moving = np.array(images[moving_index[index]], dtype=np.float32)
        fixed = np.array(images[fixed_index[index]], dtype=np.float32)
        axes = tuple(spacings[fixed_index[index]].tolist())
        before = None if start is None else np.array(start[places[index]], dtype=np.float32)
        moving = moving if before is None else pulled_back(moving, before)
        began = time.perf_counter()
        ddf, note = register_one(moving, fixed, axes, settings=settings)
        seconds = time.perf_counter() - began
        _check_field(ddf, shape[1:], index)
        return ddf if before is None else composed(before, ddf), note, seconds

    timings: list[tuple[float, str]] = []
    for index in range(len(moving_index)):
        if index == 0:
            timed(index)
        ddf, note, seconds = timed(index)
        fields[places[index]] = ddf
        timings.append((seconds, note))
        report(index + 1)
    return fields, pd.DataFrame(timings, columns=["seconds", "note"]).astype({"seconds": "float64", "note": "str"})


def read_start(files: Sequence[Path]) -> tuple[np.ndarray | None, str]:
    """The fields that pairs start from, (P, ndim, *spatial), mapped, and the name of their method; None and '' without.

    files: none, or one fields file of a method with one seed.
    """
    if not files:
        return None, ""
    (path,) = files
    return np.load(path, mmap_mode="r")[0], path.stem


def timing_table(
    timing: pd.DataFrame, pairs: pd.DataFrame, method: str, seed: int, device: str, threads: int, start: str = ""
) -> pd.DataFrame:
    """Times with what they belong to. They vary from run to run, so they stand in a file of their own.

    start: the method whose fields the pairs start from, whose time is not in these; it has a column where there is one.
    """
    case = (
        pairs[["pair_id", "group"]]
        .reset_index(drop=True)
        .assign(method=method, seed=seed, device=device, threads=threads, **({"start": start} if start else {}))
    )
    return pd.concat([case, timing.reset_index(drop=True)], axis=1)


def run_baseline(job: Any, register_one: RegisterOne) -> None:
    """What the script of every baseline does: read store and pairs, register, write fields and times.

    job: a `reregister.provenance.job.Job` with inputs images, subjects, pairs and start, the param settings and the outputs
    fields and timing.
    """
    store = ImageStore.open(job.input.images, job.input.subjects)
    pairs = store.frozen_pairs(job.input.pairs, "test")
    report = job.progress(len(pairs), "pairs").report
    rows = (pairs["moving_row"].to_numpy(), pairs["fixed_row"].to_numpy())
    images, (start, name) = store.images[:, 0], read_start(job.input.start)
    # One seed, the first axis of every method's fields.
    with fields_file(job.output.fields, (1, len(pairs), images.ndim - 1, *images.shape[1:])) as fields:
        _, timing = register_pairs(
            register_one, images, *rows, store.spacings, job.params.settings, fields[0], report=report, start=start
        )
    write_frame(job.output.timing, timing_table(timing, pairs, job.wildcards["method"], 0, "cpu", job.threads, name))
