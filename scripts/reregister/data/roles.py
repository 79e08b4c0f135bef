"""Who plays which role: the rules that split a dataset's images into training, validation and test."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from reregister.errors import ReregisterError

ROLES = ("train", "validation", "test")


def split_subjects(
    subjects: pd.DataFrame, rule: Mapping[str, Any], lists: Mapping[str, list[str]] | None = None
) -> pd.Series:
    """Role of every subject: train, validation, test, or '' (left out); one row per row of `subjects`, same index.

    subjects: columns id, cluster and split (the official one), in file order.
    rule: {"name": "last_of_train", "fraction": "1/6"}: the last sixth of the official training images is validation,
        the rest train, the official test images test [de Vos 2017, section 4.1; papers.md 8.1]. {"name": "official"}:
        the roles that the dataset's own split names.
    lists: own names by role, of images or of clusters (patients), which stand for all their images; they replace the
        rule altogether, and a role without a list has no image.
    Raises ReregisterError for an unknown rule, fraction, role or name, and an image listed twice.
    """
    if lists is not None:
        return _from_lists(subjects, lists)
    if rule.get("name") not in _RULES:
        raise ReregisterError(f"The split rule {rule.get('name')!r} is unknown; allowed are {', '.join(_RULES)}.")
    return _RULES[rule["name"]](subjects, rule)


def _last_of_train(subjects: pd.DataFrame, rule: Mapping[str, Any]) -> pd.Series:
    try:
        fraction = Fraction(str(rule["fraction"]))
    except (KeyError, ValueError, ZeroDivisionError):
        fraction = Fraction(0)
    if not 0 < fraction < 1:
        raise ReregisterError(
            f"The split rule last_of_train needs a fraction between 0 and 1 such as 1/6, not {rule.get('fraction')!r}."
        )
    roles = subjects["split"].where(subjects["split"].isin(["train", "test"]), "")
    training = np.flatnonzero(roles == "train")
    count = max(1, int(len(training) * fraction)) if len(training) else 0
    roles.iloc[training[len(training) - count :]] = "validation"
    return roles.rename("role")


def _official(subjects: pd.DataFrame, rule: Mapping[str, Any]) -> pd.Series:
    return subjects["split"].where(subjects["split"].isin(ROLES), "").rename("role")


_RULES: dict[str, Callable[[pd.DataFrame, Mapping[str, Any]], pd.Series]] = {
    "last_of_train": _last_of_train,
    "official": _official,
}


def _from_lists(subjects: pd.DataFrame, lists: Mapping[str, list[str]]) -> pd.Series:
    unknown_roles = [role for role in lists if role not in ROLES]
    if unknown_roles:
        raise ReregisterError(f"The list of ids has the role {unknown_roles[0]!r}; allowed are {', '.join(ROLES)}.")
    rows: dict[str, list[int]] = {}
    for column in ("cluster", "id"):
        for row, name in enumerate(subjects[column]):
            rows.setdefault(name, [])
            if column == "cluster" or row not in rows[name]:
                rows[name].append(row)
    roles = [""] * len(subjects)
    for role, names in lists.items():
        for name in map(str, names):
            if name not in rows:
                raise ReregisterError(f"The list of {role} ids names {name!r}, which the data do not have.")
            for row in rows[name]:
                if roles[row]:
                    raise ReregisterError(f"The id {name!r} is listed twice ({roles[row]} and {role}).")
                roles[row] = role
    return pd.Series(roles, subjects.index, str, "role")
