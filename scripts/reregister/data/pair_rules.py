"""What the rules of pairing share: their form, and what they ask of a table of images and of their own arguments."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.errors import ReregisterError

#: The rule of a split without pairs, and of a paper that trains nothing.
NO_PAIRS = "none"

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


def role_taken(roles: pd.Series, role: str, rule: Mapping[str, Any]) -> pd.Series:
    """Roles in which `role` has the images of the role that a rule names as `of`, where it names another one."""
    if rule.get("of") in (None, role):
        return roles
    return roles.where(roles != role, "").mask(roles == rule["of"], role)


def grouped(subjects: pd.DataFrame, roles: pd.Series, split: str) -> Iterable[tuple[str, pd.DataFrame]]:
    """The images of each group in one split, by the group's name.

    Raises ReregisterError where no image has a role, and for a group that another split has images of and this one fewer
    than two.
    """
    groups = subjects.loc[roles != "", "group"]
    if groups.empty:
        raise ReregisterError(f"No image has a role, so no pair of the split {split} can be made.")
    # Groups that lie within one split as a whole, such as the slices of a patient, are no business of the others.
    shared = roles[roles != ""].groupby(groups).nunique() > 1
    members = subjects[roles == split]
    for group in sorted({*members["group"], *shared.index[shared]}):
        chosen = members[members["group"] == group]
        if len(chosen) < 2:
            raise ReregisterError(f"Group {group} has {len(chosen)} image(s) in the split {split}; a pair needs two.")
        yield group, chosen


def generator(seed: int, *parts: str) -> np.random.Generator:
    """The generator that belongs to a seed and some names; the same in every process, unlike `hash`."""
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8])])
