"""Pairs of two images of one subject that are told apart by their kind, such as the stripped and the whole head."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from reregister.data.pair_rules import Drawn, generator, required_count
from reregister.errors import ReregisterError

#: What the pairs' group is called, since their images are of two groups.
SAME_SUBJECT = "same subject"


def same_subject(
    subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], seed: int, labelled: set[str]
) -> Drawn:
    """The two images of each cluster of a split, in sorted order of the clusters.

    rule: marks, the kinds (column kind) of the moving and of the fixed image; count, for so many clusters, chosen by
    `seed`. Raises ReregisterError as `kind_rows`.
    """
    pairs = kind_rows(subjects, roles, rule)
    if rule.get("count") is not None:
        wanted = min(required_count(rule, "count"), len(pairs))
        chosen = generator(seed, rule["name"], rule["split"]).choice(len(pairs), wanted, replace=False)
        pairs = pairs.iloc[np.sort(chosen)]
    if len(pairs):
        yield SAME_SUBJECT, pairs["moving"].to_numpy(), pairs["fixed"].to_numpy()


def kind_rows(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any]) -> pd.DataFrame:
    """Rows in `subjects` of the moving and the fixed image of each cluster of a split that has both, clusters sorted.

    rule: name, split, and marks as for `same_subject`. Returns columns moving and fixed, indexed by cluster. Raises
    ReregisterError for marks other than two, images without kind, and a cluster with two images of a kind.
    """
    marks = list(rule.get("marks") or [])
    if len(set(marks)) != 2 or len(marks) != 2:
        raise ReregisterError(
            f"The pairing rule {rule['name']} needs two marks, the kinds of moving and fixed image such as norm and orig."
        )
    if "kind" not in subjects:
        raise ReregisterError(f"The pairing rule {rule['name']} needs images with kinds, which this dataset has not.")
    members = subjects.assign(place=range(len(subjects)))[(roles == rule["split"]) & subjects["kind"].isin(marks)]
    repeated = members[members.duplicated(["cluster", "kind"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise ReregisterError(f"{first['cluster']} has two images of the kind {first['kind']}; one of them must go.")
    places = members.set_index(["cluster", "kind"])["place"].unstack().reindex(columns=marks).dropna()
    return places.astype(np.int64).sort_index().set_axis(["moving", "fixed"], axis=1)
