"""Which image is registered to which: rules and seeds, frozen into tables."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reregister.data.case_pairs import adjacent_slices, consecutive_cases
from reregister.data.group_pairs import (
    one_fixed_per_group,
    permuted_partner,
    random_pairs,
    random_within_group,
    seeded_cycle,
)
from reregister.data.kind_pairs import same_subject
from reregister.data.marked_pairs import between_marks, cycle
from reregister.data.pair_rules import NO_PAIRS, PairRule, role_taken
from reregister.errors import ReregisterError

PAIR_COLUMNS = ("pair_id", "moving", "fixed", "split", "group", "cluster")

_PAIRINGS: dict[str, PairRule] = {
    "one_fixed_per_group": one_fixed_per_group,
    "random_within_group": random_within_group,
    "permuted_partner": permuted_partner,
    "random_pairs": random_pairs,
    "seeded_cycle": seeded_cycle,
    "same_subject": same_subject,
    "between_marks": between_marks,
    "cycle": cycle,
    "adjacent_slices": adjacent_slices,
    "consecutive_cases": consecutive_cases,
}


def frozen_pairs(
    subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], seed: int, labelled: set[str] | None = None
) -> pd.DataFrame:
    """The pairs on which every method is evaluated.

    subjects: columns id, group, cluster; roles: as from `split_subjects`. rule: `name` and its parameters, and `split`
    (default test); and, for any rule, groups (default all) and `of`, the role whose images the split takes instead of its
    own. labelled: ids of the images that have a label.
    - `one_fixed_per_group` {limit}: one image of each group is fixed, the others, or the first `limit` of them, are
      moving [de Vos 2017, section 4.1]. Without a limit the same order goes on.
    - `random_within_group` {per_group}: ordered pairs of two images of a group, none twice before all have been used.
    - `permuted_partner` {limit}: each image of a group is fixed once, its moving partner by a permutation of the same
      images, so an image may meet itself [mnist_voxelmorph, papers.md 4.1]. With a limit the first so many in file order.
    - `random_pairs` {count}: ordered pairs of two images of one group, every pair of the split equally likely, none
      twice; all of them where there are no more. Images of an incomplete group (column complete) are left out.
    - `between_marks` {marks, per_cluster}: both directions between the images of a group that carry the two marks and
      a label (column mark: ED and ES). The pair's group is its direction, "ED to ES". per_cluster: that many groups of
      each cluster, from its middle outwards; without it all.
    - `seeded_cycle`: the images of each group in a seeded order, each fixed once and moving once, and never with itself
      [reduced_voxelmorph, inter_subject, papers.md 6.1]; in file order of the fixed ones.
    - `same_subject` {marks, count}: the two images of each cluster that are of the kinds named (column kind), moving and
      fixed, in sorted order of the clusters; count: a seeded choice of so many [reduced_voxelmorph, papers.md 6.1].
    - `cycle` {mark}: all images of one group to the one that carries the mark, in the order of the table from that one
      on: the middle one of the groups with labels of the first cluster that has any.
    - `adjacent_slices`, `consecutive_cases` {slice}: of cases with numbered slices, see `tcga_lgg.pairs`.
    - `none`: no pair, for the validation of methods that need none.
    seed: with the rule, split and group it makes up the generator, so no group's pairs depend on another group.
    Returns `PAIR_COLUMNS`; cluster is that of the moving image. A validation split without any image has no pair, and
    training goes without. Raises ReregisterError for an unknown rule, a bad parameter, a group with fewer than two images
    where another split has some, and a split of which no pair can be made.
    """
    if rule.get("name") == NO_PAIRS and rule.get("split") == "validation":
        return pd.DataFrame(columns=list(PAIR_COLUMNS))
    if rule.get("name") not in _PAIRINGS:
        raise ReregisterError(f"The pairing rule {rule.get('name')!r} is unknown; allowed are {', '.join(_PAIRINGS)}.")
    rule = {"split": "test", **rule}
    roles = role_taken(roles, rule["split"], rule)
    if rule["split"] == "validation" and not (roles == "validation").any():
        return pd.DataFrame(columns=list(PAIR_COLUMNS))
    if rule.get("groups"):
        roles = _of_groups(subjects, roles, rule)
    tables = []
    for name, moving, fixed in _PAIRINGS[rule["name"]](subjects, roles, rule, seed, labelled or set()):
        ids, clusters = subjects["id"].to_numpy(), subjects["cluster"].to_numpy()
        numbers = [f"{rule['split']}-{name}-{number:05d}".replace(" ", "-") for number in range(len(moving))]
        columns = (numbers, ids[moving], ids[fixed], rule["split"], name, clusters[moving])
        tables.append(pd.DataFrame(dict(zip(PAIR_COLUMNS, columns, strict=True))))
    if not tables:
        raise ReregisterError(
            f"The split {rule['split']} has no complete group of two images or more, so the rule {rule['name']} makes no "
            "pair; mend the split."
        )
    return pd.concat(tables, ignore_index=True)


def _of_groups(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any]) -> pd.Series:
    """The roles of the images of the groups that a rule names, '' for all others."""
    wanted = [str(name) for name in rule["groups"]]
    present = set(subjects.loc[roles == rule["split"], "group"])
    if absent := [name for name in wanted if name not in present]:
        raise ReregisterError(
            f"Group {absent[0]} has no image in the split {rule['split']}; mend the split or the groups of the pairing rule."
        )
    return roles.where(subjects["group"].isin(wanted), "")
