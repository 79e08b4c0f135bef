"""Rules that draw pairs of two images of one group, such as a digit or a slice of the heart."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.pair_rules import (
    Drawn,
    PairRule,
    Rows,
    complete_images,
    generator,
    grouped,
    required_count,
)

#: (number of images, rule, generator) -> the pairs among them.
Draw = Callable[[int, Mapping[str, Any], np.random.Generator], Rows]


def _within_group(draw: Draw) -> PairRule:
    """A rule that draws the pairs of each group by itself."""

    def rows(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], seed: int, labelled: set[str]) -> Drawn:
        places = pd.Series(np.arange(len(subjects)), subjects.index)
        for group, members in grouped(subjects, roles, rule["split"]):
            moving, fixed = draw(len(members), rule, generator(seed, rule["name"], rule["split"], group))
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


def _cycle(count: int, rule: Mapping[str, Any], rng: np.random.Generator) -> Rows:
    order = rng.permutation(count)
    moving = np.empty(count, np.int64)
    moving[np.roll(order, -1)] = order
    return moving, np.arange(count)


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


def random_pairs(
    subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], seed: int, labelled: set[str]
) -> Drawn:
    """Ordered pairs of two images of one group, every pair of the split equally likely; see `pairing.frozen_pairs`."""
    wanted = required_count(rule, "count")
    chosen = np.flatnonzero(((roles == rule["split"]) & complete_images(subjects)).to_numpy())
    groups = subjects["group"].to_numpy()[chosen]
    members = {name: chosen[groups == name] for name in dict.fromkeys(groups)}
    sizes = np.array([len(rows) for rows in members.values()], dtype=np.int64)
    ends = np.cumsum(sizes * (sizes - 1))
    if not len(ends) or not ends[-1]:
        return
    rng = generator(seed, rule["name"], rule["split"])
    numbers = np.sort(rng.choice(ends[-1], min(wanted, int(ends[-1])), replace=False)).astype(np.int64)
    owner = np.searchsorted(ends, numbers, side="right")
    moving, fixed = _unranked(numbers - (ends - sizes * (sizes - 1))[owner], sizes[owner])
    for place, (name, rows) in enumerate(members.items()):
        own = owner == place
        if own.any():
            yield name, rows[moving[own]], rows[fixed[own]]


one_fixed_per_group = _within_group(_one_fixed)
random_within_group = _within_group(_random_within)
permuted_partner = _within_group(_permuted)
seeded_cycle = _within_group(_cycle)
