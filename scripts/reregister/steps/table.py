"""What a network's step costs, as rows: time and memory by batch, the largest batch that fits, and reading apart from it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from reregister.benchmark.process import in_own_process
from reregister.errors import ReregisterError
from reregister.steps.batches import measure_batch
from reregister.steps.reading import read_both

COLUMNS = ("method", "what", "batch", "value", "unit", "n", "note")
# Seconds after which no further call of one kind begins.
BUDGET_S = 1.0
# The largest batch is tried where a step at it should take less than this, ms.
CHEAP_MS = 1000.0
KEPT = "freed memory kept for the next step, as in training"
PEAK = f"peak of the whole process: interpreter, libraries, weights, optimiser, activations; {KEPT}"
REGISTER_PEAK = "peak of the whole process: interpreter, libraries, weights, activations without gradients"

Row = dict[str, Any]


def _row(what: str, batch: int, value: float, unit: str, n: int, note: str) -> Row:
    return {"what": what, "batch": batch, "value": value, "unit": unit, "n": n, "note": note}


def step_rows(
    case: Mapping[str, Any], batch: int, repeats: int, memory_mb: float, advance: Callable[[], object] = lambda: None
) -> list[Row]:
    """Rows step, register, register_memory, memory and largest_batch; each batch in a process of its own.

    case: of `measure_batch`, with threads. batch: the method's own. repeats: calls that count at most. memory_mb: the
    limit for which the largest batch is sought; a batch that should pass it is not tried and its value stays empty.
    Twice the batch gives the memory alone, and only where repeats is more than 1.
    """
    first = _measured(case, 1, repeats, register=True)
    advance()
    about = f"{case['device']}, {case['threads']} thread(s), {case['precision']}, random images"
    if first["padded"]:
        about += f", padded to {'×'.join(map(str, first['padded']))}"
    rows = [
        _row("register", 1, first["register_ms"], "ms", first["register_n"], f"{about}; the network alone, fp32"),
        _row("register_memory", 1, first["register_mb"], "MB", 1, REGISTER_PEAK),
        _row("step", 1, first["step_ms"], "ms", first["step_n"], f"{about}; forward, loss, backward, optimiser"),
        _row("memory", 0, first["libraries_mb"], "MB", 1, "before the network is built: interpreter and libraries"),
        _row("memory", 1, first["memory_mb"], "MB", first["step_n"], PEAK),
    ]
    peaks, per_sample = {1: first["memory_mb"]}, first["step_ms"]
    for size in sorted({batch, *([2 * batch] if repeats > 1 else [])} - {1}):
        found, note = _attempt(case, size, repeats if size == batch else 1, peaks, first["libraries_mb"], memory_mb)
        advance()
        if size == batch:
            n, value = (found["step_n"], found["step_ms"]) if found else (0, np.nan)
            rows.append(_row("step", size, value, "ms", n, note or f"{about}; forward, loss, backward, optimiser"))
        rows.append(_row("memory", size, found["memory_mb"] if found else np.nan, "MB", int(bool(found)), note or PEAK))
        if found:
            peaks[size], per_sample = found["memory_mb"], found["step_ms"] / size
    return [*rows, _largest(case, peaks, first["libraries_mb"], memory_mb, per_sample)]


def read_rows(archive: Mapping[str, Any] | None, images: str, repeats: int, threads: int) -> list[Row]:
    """Rows read_archive and read_store: milliseconds to read the two images of one pair, in a cold process.

    archive: arguments of `read_archive` but repeats, or None to leave it out. images: path of the store's array.
    """
    arguments = {"archive": archive and dict(archive), "images": images, "repeats": repeats}
    found = in_own_process(read_both, threads, arguments)
    rows = []
    if own := found["archive"]:
        note = "two images of the official archive, decoded by the reader, without its labels"
        note += "; the archive yields all images at once, their share of it" if own["whole"] else ""
        rows.append(_row("read_archive", 1, own["ms"], "ms", own["n"], note))
    store = found["store"]
    return [*rows, _row("read_store", 1, store["ms"], "ms", store["n"], "two images of the store's mapped array")]


def as_table(method: str, rows: list[Row]) -> pd.DataFrame:
    """Rows as a table with the columns `COLUMNS`."""
    return pd.DataFrame([{"method": method, **row} for row in rows], columns=list(COLUMNS))


def line_of(peaks: Mapping[int, float], libraries: float) -> tuple[float, float]:
    """Slope (MB per pair) and intercept (MB) of memory over batch.

    peaks: MB by batch, from 1 on. libraries: MB without a network, taken as the intercept where one batch is known.
    """
    if len(peaks) == 1:
        ((batch, peak),) = peaks.items()
        return (peak - libraries) / batch, libraries
    slope, intercept = np.polyfit(list(peaks), list(peaks.values()), 1)
    return float(slope), float(intercept)


def fitting_batch(peaks: Mapping[int, float], libraries: float, memory_mb: float) -> int | None:
    """The largest batch whose memory, on the line of `line_of`, stays within memory_mb; None where no line rises.

    A measured batch has the last word: one that fits is fitting, and none as large as one that did not fit.
    """
    slope, intercept = line_of(peaks, libraries)
    if slope <= 0:
        return None
    # A hair more, for a line through points is not exact in its last digits.
    best = int((memory_mb - intercept) / slope + 1e-6)
    best = max([best, *(batch for batch, peak in peaks.items() if peak <= memory_mb)])
    return max(min([best, *(batch - 1 for batch, peak in peaks.items() if peak > memory_mb)]), 0)


def _measured(case: Mapping[str, Any], batch: int, repeats: int, register: bool = False) -> dict[str, Any]:
    arguments = {"case": dict(case), "batch": batch, "repeats": repeats, "budget_s": BUDGET_S, "register": register}
    found: dict[str, Any] = in_own_process(measure_batch, case["threads"], arguments)
    return found


def _attempt(
    case: Mapping[str, Any], batch: int, repeats: int, peaks: Mapping[int, float], libraries: float, memory_mb: float
) -> tuple[dict[str, Any] | None, str]:
    """What was measured at a batch and "", or None and why not."""
    slope, intercept = line_of(peaks, libraries)
    expected = intercept + slope * batch
    if expected > memory_mb:
        return None, f"not tried: about {expected:,.0f} MB, and the limit is {memory_mb:,.0f} MB"
    try:
        return _measured(case, batch, repeats), ""
    except ReregisterError as error:
        # Into the log and not into the table: a message may name folders of the user.
        print(error)
        return None, "the process ended before its first steps were done, see the log"


def _largest(
    case: Mapping[str, Any], peaks: dict[int, float], libraries: float, memory_mb: float, per_sample: float
) -> Row:
    batch = fitting_batch(peaks, libraries, memory_mb)
    if batch is None:
        note = f"memory does not rise from batch {min(peaks)} to {max(peaks)}, so no batch is too large by this measure"
        return _row("largest_batch", 0, np.nan, "pairs", len(peaks), note)
    said = f"limit {memory_mb:,.0f} MB; by the line of memory over batch {', '.join(map(str, peaks))}"
    if batch in peaks or batch == 0:
        return _row("largest_batch", batch, batch, "pairs", len(peaks), said)
    if batch * per_sample > CHEAP_MS:
        return _row("largest_batch", batch, batch, "pairs", len(peaks), f"{said}; not run")
    found, note = _attempt(case, batch, 1, peaks, libraries, memory_mb)
    if found is None:
        return _row("largest_batch", batch, batch, "pairs", len(peaks), f"{said}; {note}")
    peaks = {**peaks, batch: found["memory_mb"]}
    corrected = fitting_batch(peaks, libraries, memory_mb) if found["memory_mb"] > memory_mb else batch
    note = f"{said}; a step at {batch} took {found['memory_mb']:,.0f} MB"
    return _row("largest_batch", corrected or 0, corrected or 0, "pairs", len(peaks), note)
