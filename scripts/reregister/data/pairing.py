"""Which image is registered to which: rules and seeds, frozen into tables."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.case_pairs import adjacent_slices, consecutive_cases
from reregister.data.marked_pairs import between_marks, cycle
from reregister.data.pair_rules import Drawn, PairRule, Rows, complete_images, required_count
from reregister.errors import ReregisterError

#: The rule of a split without pairs, and of a paper that trains nothing.
NO_PAIRS = "none"
PAIR_COLUMNS = ("pair_id", "moving", "fixed", "split", "group", "cluster")
# Rules of the training pool, and whether two different images are drawn.
EACH_ONCE = "each_image_once"
POOLS = {"ordered_pairs_within_group": False, "ordered_distinct_pairs_within_group": True, EACH_ONCE: False}


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
    if rule.get("of") not in (None, rule["split"]):
        roles = roles.where(roles != rule["split"], "").mask(roles == rule["of"], rule["split"])
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


def training_pool(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any]) -> pd.DataFrame:
    """The images from which training pairs are drawn, and the rule by which.

    rule: name, one of `POOLS`: two images of one group, drawn uniformly with replacement, in either order; the same
    image may stand on both sides, or `distinct` may not; with `each_image_once` an epoch takes each image as the fixed one
    once, and draws its partner. Of groups that lack images (column complete) none is taken. `none` makes an
    empty pool, for experiments that train nothing.
    Returns columns id, group, cluster, rule. Raises ReregisterError for an unknown rule, where a group that another split
    has images of has fewer than two, and where there is no group to train on.
    """
    if rule.get("name") == NO_PAIRS:
        return pd.DataFrame(columns=["id", "group", "cluster", "rule"])
    if rule.get("name") not in POOLS:
        raise ReregisterError(f"The training rule {rule.get('name')!r} is unknown; allowed are {', '.join(POOLS)}.")
    whole = complete_images(subjects)
    tables = [members[["id", "group", "cluster"]] for _, members in _grouped(subjects[whole], roles[whole], "train")]
    if not tables:
        raise ReregisterError(
            "The split train has no complete group of images, so nothing can be trained; mend the split."
        )
    return pd.concat(tables, ignore_index=True).assign(rule=rule["name"])


def pairs_in_pool(pool: pd.DataFrame) -> int:
    """Number of ordered pairs that a training pool allows."""
    if pool.empty:
        return 0
    sizes = pool.groupby("group").size().to_numpy()
    return int((sizes * (sizes - POOLS[pool["rule"].iloc[0]])).sum())


def _within_group(draw: Callable[[int, Mapping[str, Any], np.random.Generator], Rows]) -> PairRule:
    """A rule that draws the pairs of each group by itself."""

    def rows(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], seed: int, labelled: set[str]) -> Drawn:
        places = pd.Series(np.arange(len(subjects)), subjects.index)
        for group, members in _grouped(subjects, roles, rule["split"]):
            rng = np.random.default_rng([seed, _stable_hash(rule["name"], rule["split"], group)])
            moving, fixed = draw(len(members), rule, rng)
            own = places[members.index].to_numpy()
            yield group, own[moving], own[fixed]

    return rows


def _one_fixed(count: int, rule: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    limit = rule.get("limit")
    if limit is not None:
        required_count(rule, "limit")
    order = rng.permutation(count)
    moving = order[1:] if limit is None else order[1 : 1 + limit]
    return moving, np.full(len(moving), order[0])


def _permuted(count: int, rule: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    limit = rule.get("limit")
    shown = count if limit is None else min(count, required_count(rule, "limit"))
    return rng.permutation(count)[:shown], np.arange(shown)


def _random_within(count: int, rule: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    wanted = required_count(rule, "per_group")
    possible = count * (count - 1)
    rounds = [rng.permutation(possible) for _ in range(wanted // possible)]
    number = np.concatenate([*rounds, rng.choice(possible, wanted % possible, replace=False)]).astype(np.int64)
    return _unranked(number, count)


def _unranked(number: NDArray[np.int64], count: NDArray[np.int64] | int) -> Rows:
    """Pair number -> moving row, and the how-manieth of the other rows is fixed."""
    moving, other = np.divmod(number, np.asarray(count) - 1)
    return moving, other + (other >= moving)


def _random_pairs(
    subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], seed: int, labelled: set[str]
) -> Drawn:
    wanted = required_count(rule, "count")
    chosen = np.flatnonzero(((roles == rule["split"]) & complete_images(subjects)).to_numpy())
    groups = subjects["group"].to_numpy()[chosen]
    members = {name: chosen[groups == name] for name in dict.fromkeys(groups)}
    sizes = np.array([len(rows) for rows in members.values()], dtype=np.int64)
    ends = np.cumsum(sizes * (sizes - 1))
    if not len(ends) or not ends[-1]:
        return
    rng = np.random.default_rng([seed, _stable_hash(rule["name"], rule["split"])])
    numbers = np.sort(rng.choice(ends[-1], min(wanted, int(ends[-1])), replace=False)).astype(np.int64)
    owner = np.searchsorted(ends, numbers, side="right")
    moving, fixed = _unranked(numbers - (ends - sizes * (sizes - 1))[owner], sizes[owner])
    for place, (name, rows) in enumerate(members.items()):
        own = owner == place
        if own.any():
            yield name, rows[moving[own]], rows[fixed[own]]


_PAIRINGS: dict[str, PairRule] = {
    "one_fixed_per_group": _within_group(_one_fixed),
    "random_within_group": _within_group(_random_within),
    "permuted_partner": _within_group(_permuted),
    "random_pairs": _random_pairs,
    "between_marks": between_marks,
    "cycle": cycle,
    "adjacent_slices": adjacent_slices,
    "consecutive_cases": consecutive_cases,
}


def _of_groups(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any]) -> pd.Series:
    """The roles of the images of the groups that a rule names, '' for all others."""
    wanted = [str(name) for name in rule["groups"]]
    present = set(subjects.loc[roles == rule["split"], "group"])
    if absent := [name for name in wanted if name not in present]:
        raise ReregisterError(
            f"Group {absent[0]} has no image in the split {rule['split']}; mend the split or the groups of the pairing rule."
        )
    return roles.where(subjects["group"].isin(wanted), "")


def _grouped(subjects: pd.DataFrame, roles: pd.Series, split: str) -> Iterable[tuple[str, pd.DataFrame]]:
    """The images of each group in one split. A group of which another split has images must have two of them."""
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


def _stable_hash(*parts: str) -> int:
    """A number from texts that is the same in every process, unlike `hash`."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8])
