"""What the rules of pairing share: their form, and what they ask of a table of images and of their own arguments."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.errors import ReregisterError

#: (moving rows, fixed rows), int64, of one and the same length.
Rows = tuple[NDArray[np.int64], NDArray[np.int64]]
#: Name of a group of pairs, and the rows of their images in the table of subjects.
Drawn = Iterable[tuple[str, NDArray[np.int64], NDArray[np.int64]]]
#: (subjects, roles, rule, seed, ids of images with a label) -> pairs, group by group.
PairRule = Callable[[pd.DataFrame, pd.Series, Mapping[str, Any], int, set[str]], Drawn]


def complete_images(subjects: pd.DataFrame) -> pd.Series:
    """Whether each image belongs to a group that lacks none (column complete); all do where a dataset does not say."""
    if "complete" in subjects:
        return subjects["complete"] != "no"
    return pd.Series(True, subjects.index)


def required_count(rule: Mapping[str, Any], key: str) -> int:
    """The whole number from 1 that a rule must have at `key`. Raises ReregisterError where it has anything else."""
    value = rule.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ReregisterError(
            f"The pairing rule {rule['name']} needs a whole number of at least 1 as {key}, not {value!r}."
        )
    return value
