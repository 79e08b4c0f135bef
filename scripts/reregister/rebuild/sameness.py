"""How alike two files of one name from two runs are, in one word, and on which measure."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file

from reregister.comparison import CASE_COLUMNS
from reregister.provenance.files import sha256_file
from reregister.statistics import cluster_bootstrap_mean, paired_gain
from reregister.tables import read_results

IDENTICAL, EQUAL, EQUIVALENT = "bit-identical", "numerically equal", "statistically equivalent"
UNDECIDED, DIFFERENT = "undecided", "different"
# From the best to the worst.
WORDS = (IDENTICAL, EQUAL, EQUIVALENT, UNDECIDED, DIFFERENT)
RTOL, ATOL = 1e-5, 1e-6
# Columns of the rows per label that say which row it is, beside those of every case.
_LABEL_COLUMNS = ("label", "scored", "interpolation")
_TEXT = (".csv", ".json", ".md", ".txt", ".xml")
_NUMBER = re.compile(r"(?<![\w.])([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])")
_BLOCK = 1 << 22


class Sameness(NamedTuple):
    """One of `WORDS`, and why: the largest difference and where, or what stands in the way of comparing."""

    word: str
    why: str = ""


def worst(words: list[str]) -> str:
    """The worst of some words; of none, the best there is."""
    return max(words, key=WORDS.index, default=IDENTICAL)


def compare_files(old: Path, new: Path, rtol: float = RTOL, atol: float = ATOL) -> Sameness:
    """Bytes, then numbers: arrays (.npy, .npz, .safetensors) and the numbers in text, all else in it being equal.

    Numbers are equal where |new - old| <= atol + rtol |old|, and NaN equals NaN; integers and words only where they are
    the same. A file of another kind, or one that cannot be read, is undecided where its bytes differ.
    """
    if sha256_file(old) == sha256_file(new):
        return Sameness(IDENTICAL)
    try:
        if old.suffix in _TEXT:
            return _compare_text(old.read_text(encoding="utf-8"), new.read_text(encoding="utf-8"), rtol, atol)
        arrays = _arrays(old), _arrays(new)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        return Sameness(UNDECIDED, f"the bytes differ, and it cannot be read ({error})")
    if arrays[0] is None or arrays[1] is None:
        return Sameness(UNDECIDED, "the bytes differ, and files of this kind are compared no further")
    return _compare_arrays(arrays[0], arrays[1], rtol, atol)


def compare_metrics(old: Path, new: Path) -> Sameness:
    """Whether two tables of one row per case agree in every mean, as far as cases vary.

    The margin of a metric is half the 95 % interval of its mean in `old`. Equivalent: the 95 % interval of the paired
    difference lies inside +-margin; different: its mean lies outside; else, or with fewer than two clusters, undecided.
    Rows must name the same cases in the same order.
    """
    before, after = read_results([old]), read_results([new])
    case = [name for name in before.columns if name in (*CASE_COLUMNS, *_LABEL_COLUMNS)]
    if list(before.columns) != list(after.columns) or not before[case].equals(after[case]):
        return Sameness(DIFFERENT, "it has other columns or other cases")
    metrics = [name for name in before.columns if name not in case]
    found = [_compare_means(name, before, after) for name in metrics if not before[name].equals(after[name])]
    word = worst([sameness.word for sameness in found])
    return Sameness(word, next((sameness.why for sameness in found if sameness.word == word), ""))


def _compare_means(name: str, before: pd.DataFrame, after: pd.DataFrame) -> Sameness:
    old, new = (frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for frame in (before, after))
    if not np.array_equal(np.isfinite(old), np.isfinite(new)):
        return Sameness(UNDECIDED, f"{name} is undefined for other cases")
    mean = cluster_bootstrap_mean(old, before["cluster"])
    gain = paired_gain(new, old, before["cluster"])
    margin = (mean.high - mean.low) / 2
    why = f"{name}: mean {mean.mean:.4g} -> {mean.mean + gain.mean:.4g}, margin {margin:.2g}"
    if np.isnan(margin):
        return Sameness(UNDECIDED, f"{name}: fewer than two clusters, so no interval")
    if abs(gain.mean) > margin:
        return Sameness(DIFFERENT, why)
    return Sameness(EQUIVALENT if -margin < gain.low and gain.high < margin else UNDECIDED, why)


def _arrays(path: Path) -> dict[str, Any] | None:
    if path.suffix == ".npy":
        return {"": np.load(path, mmap_mode="r", allow_pickle=False)}
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as content:
            return dict(content.items())
    return dict(load_file(path)) if path.suffix == ".safetensors" else None


def _compare_arrays(old: dict[str, Any], new: dict[str, Any], rtol: float, atol: float) -> Sameness:
    if [(k, a.shape, a.dtype) for k, a in sorted(old.items())] != [
        (k, a.shape, a.dtype) for k, a in sorted(new.items())
    ]:
        return Sameness(DIFFERENT, "it holds arrays of other names, shapes or types")
    found = [(*_difference(old[name], new[name], rtol, atol), name) for name in old]
    largest, _, place = max(found, key=lambda entry: entry[0], default=(0.0, True, ""))
    where = f" in {place}" if place else ""
    return Sameness(
        EQUAL if all(close for _, close, _ in found) else DIFFERENT, f"differs by up to {largest:.2g}{where}"
    )


def _difference(old: Any, new: Any, rtol: float, atol: float) -> tuple[float, bool]:
    """Largest difference of two arrays (inf where words or the places of NaN differ), and whether all are close."""
    largest, close = 0.0, True
    for a, b in _blocks(old, new):
        if a.dtype.kind not in "fiub":
            equal = bool((a == b).all())
            largest, close = max(largest, 0.0 if equal else np.inf), close and equal
            continue
        x, y = a.astype(np.float64), b.astype(np.float64)
        unlike = (x != y) & ~(np.isnan(x) & np.isnan(y))
        if unlike.any():
            gap = np.nan_to_num(np.abs(y[unlike] - x[unlike]), nan=np.inf)
            largest = max(largest, float(gap.max()))
            close &= a.dtype.kind == "f" and bool((gap <= atol + rtol * np.abs(x[unlike])).all())
    return largest, close


def _blocks(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    # Fields at full scale do not fit into memory twice.
    a, b = old.reshape(-1), new.reshape(-1)
    for start in range(0, a.size, _BLOCK):
        yield a[start : start + _BLOCK], b[start : start + _BLOCK]


def _compare_text(old: str, new: str, rtol: float, atol: float) -> Sameness:
    before, after = _NUMBER.split(old), _NUMBER.split(new)
    if before[::2] != after[::2]:
        return Sameness(DIFFERENT, "it differs in more than numbers")
    pairs = [(a, b) for a, b in zip(before[1::2], after[1::2], strict=True) if a != b]
    largest = max((abs(float(b) - float(a)) for a, b in pairs), default=0.0)
    close = all(_close(a, b, rtol, atol) for a, b in pairs)
    return Sameness(EQUAL if close else DIFFERENT, f"differs by up to {largest:.2g} in {len(pairs)} of its numbers")


def _close(old: str, new: str, rtol: float, atol: float) -> bool:
    whole = not any(sign in text for text in (old, new) for sign in ".eE")
    # Whole numbers count or name something.
    return float(old) == float(new) if whole else abs(float(new) - float(old)) <= atol + rtol * abs(float(old))
