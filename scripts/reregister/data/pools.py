"""The images from which training pairs are drawn, and the rules by which."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from reregister.data.case_pairs import adjacent_slices, consecutive_cases
from reregister.data.kind_pairs import SAME_SUBJECT, kind_rows
from reregister.data.pair_rules import NO_PAIRS, complete_images, grouped, role_taken
from reregister.errors import ReregisterError

POOL_COLUMNS = ("id", "group", "cluster", "rule", "moving")
_SLICES = {"adjacent_slices": adjacent_slices, "consecutive_cases": consecutive_cases}
_EACH_ONCE, _EACH_OTHER_ONCE, _SAME_SUBJECT = "each_image_once", "each_other_image_once", "same_subject"
#: Rules of the training pool, and whether two different images are drawn.
POOLS = {
    "ordered_pairs_within_group": False,
    "ordered_distinct_pairs_within_group": True,
    _EACH_ONCE: False,
    _EACH_OTHER_ONCE: True,
    _SAME_SUBJECT: True,
    **dict.fromkeys(_SLICES, True),
}
#: Rules by which an epoch takes each image of the pool once, as the fixed one.
EPOCH_POOLS = frozenset({_EACH_ONCE, _EACH_OTHER_ONCE, _SAME_SUBJECT})


def training_pool(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any]) -> pd.DataFrame:
    """The images from which training pairs are drawn, and the rule by which.

    subjects: columns id, group, cluster; roles: as from `split_subjects`. rule: `name`, one of `POOLS`, and `of`, the role
    whose images are trained on in place of those with the role train.
    - `ordered_pairs_within_group`: two images of one group, drawn uniformly with replacement, in either order; the
      same image may stand on both sides. With `ordered_distinct_pairs_within_group` it may not.
    - `each_image_once`: an epoch takes each image as the fixed one once, and draws its partner from its group. With
      `each_other_image_once` the partner is another image [reduced_voxelmorph, inter_subject, papers.md 6.1].
    - `same_subject` {marks}: an epoch takes each cluster once, in sorted order, with its images of two kinds (column
      kind) as moving and fixed [reduced_voxelmorph, same_subject, papers.md 6.1].
    - `adjacent_slices`, `consecutive_cases` {slice}: pairs like those of the pairing rules of that name: either way between
      the two neighbouring slices that stand for a case, or between the slices of any two cases, those that are not
      neighbours in the order of their names included [papers.md 2, tcga_lgg]. The group of the latter is `cases`.
    - `none`: an empty pool, for experiments that train nothing.
    Of groups that lack images (column complete) none is taken.
    Returns `POOL_COLUMNS`; with `same_subject` id is that of the fixed image, moving that of its partner and group the
    name of the pairs' group; with other rules moving is empty. Raises ReregisterError for an unknown rule, where a group
    that another split has images of has fewer than two, where there is no group to train on, and as `kind_rows`.
    """
    if rule.get("name") == NO_PAIRS:
        return pd.DataFrame(columns=list(POOL_COLUMNS))
    if rule.get("name") not in POOLS:
        raise ReregisterError(f"The training rule {rule.get('name')!r} is unknown; allowed are {', '.join(POOLS)}.")
    whole = complete_images(subjects)
    subjects, roles = subjects[whole], role_taken(roles, "train", rule)[whole]
    make = {_SAME_SUBJECT: _of_subjects, **dict.fromkeys(_SLICES, _of_slices)}.get(rule["name"], _of_groups)
    pool = make(subjects, roles, rule)
    if pool.empty:
        raise ReregisterError(
            "The split train has no complete group of images, so nothing can be trained; mend the split."
        )
    return pool.assign(rule=rule["name"])[list(POOL_COLUMNS)]


def _of_groups(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any]) -> pd.DataFrame:
    tables = [members[["id", "group", "cluster"]] for _, members in grouped(subjects, roles, "train")]
    return pd.concat(tables, ignore_index=True).assign(moving="") if tables else pd.DataFrame()


def _of_subjects(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any]) -> pd.DataFrame:
    rows = kind_rows(subjects, roles, {**rule, "split": "train"})
    ids = subjects["id"].to_numpy()
    columns = {"id": ids[rows["fixed"]], "group": SAME_SUBJECT, "cluster": rows.index, "moving": ids[rows["moving"]]}
    return pd.DataFrame(columns, columns=list(columns))


def _of_slices(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any]) -> pd.DataFrame:
    found = list(_SLICES[rule["name"]](subjects, roles, {**rule, "split": "train"}, 0, set()))
    rows = np.unique(np.concatenate([rows for _, *both in found for rows in both])) if found else np.empty(0, dtype=int)
    chosen = subjects.iloc[rows][["id", "group", "cluster"]].assign(moving="")
    return chosen if rule["name"] == "adjacent_slices" else chosen.assign(group="cases")


def pairs_in_pool(pool: pd.DataFrame) -> int:
    """Number of ordered pairs that a training pool allows."""
    if pool.empty:
        return 0
    if (pool["moving"] != "").all():
        return len(pool)
    sizes = pool.groupby("group").size().to_numpy()
    return int((sizes * (sizes - POOLS[pool["rule"].iloc[0]])).sum())
