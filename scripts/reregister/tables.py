"""Reading and writing tables and arrays, in one piece and with the same bytes for the same content."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path, write_text

# Columns of results that are text whatever they look like.
TEXT = ("method", "part", "group", "pair_id", "moving", "fixed", "cluster", "metric", "unit", "spacing", "device")


def write_frame(path: str | os.PathLike[str], frame: pd.DataFrame) -> None:
    """Write a table as CSV; numbers as the shortest text that gives them back."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def read_frame(path: str | os.PathLike[str]) -> pd.DataFrame:
    """A table of text: ids such as `007` and groups such as `7` stay what they are, an empty cell is ''."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def read_results(paths: list[Path], text: tuple[str, ...] = TEXT) -> pd.DataFrame:
    """Several tables of results one below the other; the columns in `text` are text, the others what they look like.

    Only an empty cell is missing: a group named NA or nan stays a group. Raises ReregisterError for an empty list.
    """
    if not paths:
        raise ReregisterError("there are no results to read; name at least one method that has them")
    options = {"dtype": dict.fromkeys(text, str), "keep_default_na": False, "na_values": [""]}
    frames = [pd.read_csv(path, **options) for path in paths]
    return pd.concat(frames, ignore_index=True)


def write_array(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write one array as .npy."""
    with atomic_path(path) as temporary:
        np.save(temporary, array, allow_pickle=False)


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write named arrays as .npz (stored without times, so the same arrays give the same bytes)."""
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
