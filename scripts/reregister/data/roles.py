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
        the roles that the dataset's own split names. {"name": "group_of_train", "group": "7", "fraction": "1/5", "seed": 7,
        "test_groups": ["7", "1"]}: of the official training images of one group a seeded fifth is validation and the rest
        train, the official test images of some groups are test, and all others have no role [mnist_voxelmorph, papers.md
        4.1]; the fraction may be 0.
        {"name": "all_test", "cases": 12}: every image is test, or those of so many clusters, spread evenly over their
        sorted names; for methods that learn from no other pair [deep_prior, papers.md 7.1].
        {"name": "by_cluster", "train": 300, "validation": 30, "test": null, "seed": 1, "rotate": 0, "groups": ["norm"]}:
        so many clusters each of a seeded permutation of their sorted names, null for the rest of them; rotate: so many
        times the number of test clusters further on in it, for other test clusters. Images of other groups than those
        named have no role [label_driven and reduced_voxelmorph, papers.md 5.1 and 6.1].
    lists: own names by role, of images or of clusters (patients), which stand for all their images; they replace the
        rule altogether, and a role without a list has no image.
    Raises ReregisterError for an unknown rule, fraction, number, role or name, too few clusters, and an image listed twice.
    """
    if lists is not None:
        return _from_lists(subjects, lists)
    if rule.get("name") not in _RULES:
        raise ReregisterError(f"The split rule {rule.get('name')!r} is unknown; allowed are {', '.join(_RULES)}.")
    return _RULES[rule["name"]](subjects, rule)


def _fraction(rule: Mapping[str, Any], zero: bool) -> Fraction:
    """The fraction of a rule, below 1 and above 0, or 0 itself where `zero` allows it."""
    try:
        fraction = Fraction(str(rule["fraction"]))
    except (KeyError, ValueError, ZeroDivisionError):
        fraction = Fraction(-1)
    if not (0 < fraction < 1 or (zero and fraction == 0)):
        needed = "a fraction from 0 to below 1 such as 1/5" if zero else "a fraction between 0 and 1 such as 1/6"
        raise ReregisterError(f"The split rule {rule['name']} needs {needed}, not {rule.get('fraction')!r}.")
    return fraction


def _whole(rule: Mapping[str, Any], key: str, least: int = 0) -> int:
    """The whole number from `least` on that a rule must have at `key`."""
    value = rule.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ReregisterError(
            f"The split rule {rule['name']} needs a whole number of at least {least} as {key}, not {value!r}."
        )
    return value


def _last_of_train(subjects: pd.DataFrame, rule: Mapping[str, Any]) -> pd.Series:
    fraction = _fraction(rule, zero=False)
    roles = subjects["split"].where(subjects["split"].isin(["train", "test"]), "")
    training = np.flatnonzero(roles == "train")
    count = max(1, int(len(training) * fraction)) if len(training) else 0
    roles.iloc[training[len(training) - count :]] = "validation"
    return roles.rename("role")


def _official(subjects: pd.DataFrame, rule: Mapping[str, Any]) -> pd.Series:
    return subjects["split"].where(subjects["split"].isin(ROLES), "").rename("role")


def _group_of_train(subjects: pd.DataFrame, rule: Mapping[str, Any]) -> pd.Series:
    fraction, seed = _fraction(rule, zero=True), _whole(rule, "seed")
    group, tested = str(rule.get("group", "")), [str(name) for name in rule.get("test_groups", [])]
    unknown = [name for name in (group, *tested) if name not in set(subjects["group"])]
    if unknown or not tested:
        raise ReregisterError(
            f"The split rule group_of_train names the group {unknown[0]!r}, which the data do not have."
            if unknown
            else "The split rule group_of_train needs test_groups, the groups whose test images are used."
        )
    training = np.flatnonzero((subjects["split"] == "train") & (subjects["group"] == group))
    count = max(1, int(len(training) * fraction)) if len(training) and fraction else 0
    order = training[np.random.default_rng(seed).permutation(len(training))]
    roles = pd.Series("", subjects.index, str, "role")
    roles[(subjects["split"] == "test") & subjects["group"].isin(tested)] = "test"
    roles.iloc[order[:count]], roles.iloc[order[count:]] = "validation", "train"
    return roles


def _all_test(subjects: pd.DataFrame, rule: Mapping[str, Any]) -> pd.Series:
    names = sorted(set(subjects["cluster"]))
    count = None if rule.get("cases") is None else _whole(rule, "cases", least=1)
    if count is not None and count < len(names):
        names = [names[row] for row in np.round(np.linspace(0, len(names) - 1, count)).astype(int)]
    return pd.Series("test", subjects.index, str).where(subjects["cluster"].isin(names), "").rename("role")


def _by_cluster(subjects: pd.DataFrame, rule: Mapping[str, Any]) -> pd.Series:
    wanted = [str(name) for name in rule.get("groups") or []]
    if unknown := [name for name in wanted if name not in set(subjects["group"])]:
        raise ReregisterError(f"The split rule by_cluster names the group {unknown[0]!r}, which the data do not have.")
    own = subjects["group"].isin(wanted) if wanted else pd.Series(True, subjects.index)
    names = sorted(set(subjects.loc[own, "cluster"]))
    train, validation, seed = (_whole(rule, key) for key in ("train", "validation", "seed"))
    test = max(len(names) - train - validation, 1) if rule.get("test") is None else _whole(rule, "test")
    if train + validation + test > len(names):
        raise ReregisterError(
            f"The split rule by_cluster needs {train + validation + test} subjects (train {train}, validation {validation}, "
            f"test {test}), but there are {len(names)}; lower the numbers."
        )
    order = np.random.default_rng(seed).permutation(len(names))
    order = np.roll(order, -test * _whole({"rotate": 0, **rule}, "rotate"))
    parts = np.split(order, np.cumsum([test, validation, train]))
    role_of = {names[row]: role for role, rows in zip((*reversed(ROLES), ""), parts, strict=True) for row in rows}
    return subjects["cluster"].map(role_of).where(own, "").rename("role")


_RULES: dict[str, Callable[[pd.DataFrame, Mapping[str, Any]], pd.Series]] = {
    "last_of_train": _last_of_train,
    "official": _official,
    "all_test": _all_test,
    "group_of_train": _group_of_train,
    "by_cluster": _by_cluster,
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
