"""Who plays which role, and which image is registered to which: rules and seeds, frozen into tables."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.errors import ReregisterError

ROLES = ("train", "validation", "test")
PAIR_COLUMNS = ("pair_id", "moving", "fixed", "split", "group", "cluster")
TRAINING_RULE = "ordered_pairs_within_group"

T = TypeVar("T")

#: (moving rows, fixed rows) out of n images of one group.
Rows = tuple[NDArray[np.int64], NDArray[np.int64]]


def split_subjects(
    subjects: pd.DataFrame, rule: Mapping[str, Any], lists: Mapping[str, list[str]] | None = None
) -> pd.Series:
    """Role of every subject: train, validation, test, or '' (left out); one row per row of `subjects`, same index.

    subjects: columns id and split (the official one), in file order.
    rule: {"name": "last_of_train", "fraction": "1/6"}: the last sixth of the official training images is validation,
        the rest train, the official test images test [de Vos 2017, section 4.1; papers.md 8.1].
    lists: own ids by role; they replace the rule altogether.
    Raises ReregisterError for an unknown rule, fraction, role or id, and an id listed twice.
    """
    if lists is not None:
        return _roles_from_lists(subjects, lists)
    return _choose(_SPLITS, rule, "split")(subjects, rule)


def frozen_pairs(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """The pairs on which every method is evaluated, group by group.

    subjects: columns id, group, cluster; roles: as from `split_subjects`. rule: `name` and its parameters, and for
    both `split` (default test) and `groups` (default: every group that has any role).
    - `one_fixed_per_group` {limit}: one image of the group is fixed, the others, or the first `limit` of them, are
      moving [de Vos 2017, section 4.1]. Without a limit the same order goes on.
    - `random_within_group` {per_group}: ordered pairs of two distinct images, none twice before all have been used.
    seed: with the rule, split and group it makes up the generator, so no group's pairs depend on another group.
    Returns `PAIR_COLUMNS`; cluster is that of the moving image. Raises ReregisterError for an unknown rule, a bad
    parameter, and a group with fewer than two images in the split.
    """
    draw = _choose(_PAIRINGS, rule, "pairing")
    split = rule.get("split", "test")
    tables = []
    for group, members in _grouped(subjects, roles, split, rule.get("groups")):
        rng = np.random.default_rng([seed, _stable_hash(rule["name"], split, group)])
        moving, fixed = draw(len(members), rule, rng)
        ids, clusters = members["id"].to_numpy(), members["cluster"].to_numpy()
        names = [f"{split}-{group}-{number:05d}" for number in range(len(moving))]
        columns = (names, ids[moving], ids[fixed], split, group, clusters[moving])
        tables.append(pd.DataFrame(dict(zip(PAIR_COLUMNS, columns, strict=True))))
    return pd.concat(tables, ignore_index=True)


def training_pool(subjects: pd.DataFrame, roles: pd.Series, groups: Sequence[str] | None = None) -> pd.DataFrame:
    """The images from which training pairs are drawn, and the rule by which.

    groups: those to train on; None takes every group that has any role.
    Returns columns id, group, rule (`TRAINING_RULE`: two images of one group, drawn uniformly with replacement, in
    either order). Raises ReregisterError where a group has fewer than two training images.
    """
    tables = [members[["id", "group"]] for _, members in _grouped(subjects, roles, "train", groups)]
    return pd.concat(tables, ignore_index=True).assign(rule=TRAINING_RULE)


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


def _roles_from_lists(subjects: pd.DataFrame, lists: Mapping[str, list[str]]) -> pd.Series:
    unknown_roles = [role for role in lists if role not in ROLES]
    if unknown_roles:
        raise ReregisterError(f"The list of ids has the role {unknown_roles[0]!r}; allowed are {', '.join(ROLES)}.")
    assigned: dict[str, str] = {}
    known = set(subjects["id"])
    for role, ids in lists.items():
        for identity in map(str, ids):
            if identity not in known:
                raise ReregisterError(f"The list of {role} ids names {identity!r}, which the data do not have.")
            if identity in assigned:
                raise ReregisterError(f"The id {identity!r} is listed twice ({assigned[identity]} and {role}).")
            assigned[identity] = role
    return pd.Series([assigned.get(identity, "") for identity in subjects["id"]], subjects.index, str, "role")


def _one_fixed(count: int, rule: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    limit = rule.get("limit")
    if limit is not None:
        _require_positive(rule, "limit")
    order = rng.permutation(count)
    moving = order[1:] if limit is None else order[1 : 1 + limit]
    return moving, np.full(len(moving), order[0])


def _random_pairs(count: int, rule: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    wanted = _require_positive(rule, "per_group")
    possible = count * (count - 1)
    rounds = [rng.permutation(possible) for _ in range(wanted // possible)]
    number = np.concatenate([*rounds, rng.choice(possible, wanted % possible, replace=False)]).astype(np.int64)
    # Pair number -> moving row and the how-manieth of the other rows is fixed.
    moving, other = np.divmod(number, count - 1)
    return moving, other + (other >= moving)


_SPLITS: dict[str, Callable[[pd.DataFrame, Mapping[str, Any]], pd.Series]] = {"last_of_train": _last_of_train}
_PAIRINGS: dict[str, Callable[[int, Mapping[str, Any], np.random.Generator], Rows]] = {
    "one_fixed_per_group": _one_fixed,
    "random_within_group": _random_pairs,
}


def _choose(rules: Mapping[str, T], rule: Mapping[str, Any], kind: str) -> T:
    if rule.get("name") not in rules:
        raise ReregisterError(f"The {kind} rule {rule.get('name')!r} is unknown; allowed are {', '.join(rules)}.")
    return rules[rule["name"]]


def _require_positive(rule: Mapping[str, Any], key: str) -> int:
    value = rule.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ReregisterError(
            f"The pairing rule {rule['name']} needs a whole number of at least 1 as {key}, not {value!r}."
        )
    return value


def _grouped(
    subjects: pd.DataFrame, roles: pd.Series, split: str, groups: Iterable[str] | None
) -> Iterable[tuple[str, pd.DataFrame]]:
    wanted = sorted(subjects.loc[roles != "", "group"].unique()) if groups is None else [str(group) for group in groups]
    if not wanted:
        raise ReregisterError(f"No image has a role, so no pair of the split {split} can be made.")
    members = subjects[roles == split]
    for group in wanted:
        chosen = members[members["group"] == group]
        if len(chosen) < 2:
            raise ReregisterError(f"Group {group} has {len(chosen)} image(s) in the split {split}; a pair needs two.")
        yield group, chosen


def _stable_hash(*parts: str) -> int:
    """A number from texts that is the same in every process, unlike `hash`."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8])
