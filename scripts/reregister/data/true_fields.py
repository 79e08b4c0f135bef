"""The true fields of frozen pairs of a stand-in, written to one array that need not fit into memory."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from reregister.provenance.files import atomic_path

#: Bytes of fields that are composed together.
_BLOCK = 64 << 20


def write_true_fields(
    path: str | os.PathLike[str],
    standin: ModuleType,
    truth: Path | None,
    pairs: pd.DataFrame,
    shape: Sequence[int],
    subjects: pd.DataFrame,
) -> None:
    """Write the fields of pairs as .npy, float32 (P, ndim, *shape), voxels, NaN where two images have no exact field.

    standin: entry of `data/standins`; truth: its truth file, None for images that are no stand-in's, of which no pair has a
    field. pairs: columns moving and fixed. shape: of the store's images; subjects: the store's table. Raises ReregisterError as
    the `truth_ddf` of the stand-in; no file is left then.
    """
    if truth is None:
        pairs = pairs[:0]
    ndim = len(shape)
    at_once = max(1, _BLOCK // (4 * ndim * math.prod(shape)))
    # Written in order, not through a map: where the disk is full, a map ends in a signal and a write in an error.
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(pairs), ndim, *map(int, shape))}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(pairs), at_once):
            part = pairs.iloc[start : start + at_once]
            ddf, _ = standin.truth_ddf(truth, part["moving"].tolist(), part["fixed"].tolist(), shape, subjects)
            file.write(np.ascontiguousarray(ddf, dtype="<f4").tobytes())
