"""The truth file of a stand-in: what made each image, by the image's id."""

import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reregister.errors import ReregisterError


def read_truth(path: str | os.PathLike[str], dataset: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The named arrays of a truth file (.npz), each with one row per image or common to all.

    dataset: its name for people. Raises ReregisterError where the file is no truth file or lacks one of them.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ReregisterError(f"{path} cannot be read as {dataset} truth ({error}); make the stand-in again.") from None


def rows_of(
    path: str | os.PathLike[str], known: Sequence[str], wanted: Sequence[str], size: Sequence[int], shape: Sequence[int]
) -> NDArray[np.intp]:
    """Rows of the images `wanted` among the ids `known` of a truth file.

    size: the stand-in's image size; shape: that of the grid on which fields are wanted, which must be the same.
    Raises ReregisterError for another grid and for the first id that the file lacks.
    """
    if tuple(shape) != tuple(size):
        raise ReregisterError(f"{path} is the truth of images of {tuple(size)} pixels, not {tuple(shape)}.")
    rows = {identity: row for row, identity in enumerate(known)}
    unknown = [identity for identity in wanted if identity not in rows]
    if unknown:
        raise ReregisterError(
            f"{path} has no image with the id {unknown[0]!r}; pairs and stand-in do not belong together."
        )
    return np.array([rows[identity] for identity in wanted], dtype=np.intp)
