"""Pairs of images with marks, such as the end-diastolic and the end-systolic phase of a slice of the heart."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from reregister.data.pair_rules import Drawn, complete_images, required_count
from reregister.errors import ReregisterError


def between_marks(
    subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], seed: int, labelled: set[str]
) -> Drawn:
    """Both directions between the images of a group that carry the two marks and a label; a group of pairs a direction.

    rule: marks and, for a limit, per_cluster, as in `pairing.frozen_pairs`. Raises ReregisterError for images without
    marks, and a split in which no group has labels at both.
    """
    marks = list(rule.get("marks") or [])
    members = _marked(subjects, roles, rule, labelled, marks)
    if rule.get("per_cluster") is not None:
        count = required_count(rule, "per_cluster")
        kept = [_middle(list(own.unique()), count) for _, own in members.groupby("cluster", sort=False)["group"]]
        members = members[members["group"].isin([group for groups in kept for group in groups])]
    # Images between the marks may have a label, too.
    ends = members[members["id"].isin(labelled) & members["mark"].isin(marks)]
    places = ends.set_index(["group", "mark"])["place"].unstack()[marks]
    places = places.loc[list(dict.fromkeys(ends["group"]))].astype(np.int64)
    for first, second in permutations(marks, 2):
        yield f"{first} to {second}", places[first].to_numpy(), places[second].to_numpy()


def cycle(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], seed: int, labelled: set[str]) -> Drawn:
    """All images of one group to the one that carries the mark, in the order of the table from that one on.

    rule: mark. The group is the middle one of those with a label at the mark, of the first cluster that has any; of
    incomplete groups, of which single images are at hand and no cycle, one is taken only where there is no other.
    Raises ReregisterError as `between_marks`.
    """
    members = _marked(subjects, roles, rule, labelled, [rule["mark"]] if rule.get("mark") else [])
    whole = complete_images(members)
    members = members[whole] if whole.any() else members
    first = members[members["cluster"] == members["cluster"].iloc[0]]
    own = first[first["group"] == _middle(list(first["group"].unique()), 1)[0]]
    place = own["place"].to_numpy()
    start = int(np.argmax((own["mark"] == rule["mark"]).to_numpy()))
    yield own["group"].iloc[0], np.roll(place, -start), np.full(len(place), place[start])


def scorable_groups(subjects: pd.DataFrame, labelled: set[str], marks: Sequence[str] = ("ED", "ES")) -> list[str]:
    """Groups in which an image of every mark has a label, in the order of the table: the slices that can be scored.

    subjects: columns id, group and mark, as of a reader whose images carry marks; labelled: ids, as of `LabelMaps.ids`.
    """
    known = subjects[subjects["id"].isin(labelled) & subjects["mark"].isin(list(marks))]
    found = known.groupby("group", sort=False)["mark"].nunique()
    return found.index[found == len(set(marks))].tolist()


def _marked(
    subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], labelled: set[str], marks: Sequence[str]
) -> pd.DataFrame:
    """Images of the split in groups that have a label at every mark; column place is the row in `subjects`."""
    if not marks:
        key = "mark" if rule["name"] == "cycle" else "marks"
        raise ReregisterError(f"The pairing rule {rule['name']} needs {key}, the kind of images to pair, such as ED.")
    if "mark" not in subjects:
        raise ReregisterError(f"The pairing rule {rule['name']} needs images with marks, which this dataset has not.")
    members = subjects.assign(place=range(len(subjects)))[roles == rule["split"]]
    members = members[members["group"].isin(scorable_groups(members, labelled, marks))]
    if members.empty:
        raise ReregisterError(
            f"The split {rule['split']} has no group with labels at {' and '.join(marks)}, so no pair can be made; "
            "mend the split or the labels."
        )
    return members


def _middle(groups: Sequence[str], count: int) -> list[str]:
    """`count` groups around the middle of a list, in its order."""
    start = max((len(groups) - count) // 2, 0)
    return list(groups[start : start + count])
