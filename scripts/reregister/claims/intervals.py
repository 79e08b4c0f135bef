"""Cases of two methods or of two groups against each other: differences with intervals, resampled over the patients."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from reregister.statistics import ALPHA, Interval, paired_gain

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
RESAMPLES, LEVEL = 2000, 0.95
Statistic = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


class Cases(NamedTuple):
    """Values of cases, one each, mostly of pairs with the mean over the seeds, and the cluster that each belongs to."""

    values: NDArray[np.float64]
    clusters: NDArray[np.object_]
    ids: NDArray[np.object_]


def cases_of(table: pd.DataFrame, metric: str, group: str | None = None) -> Cases:
    """The defined values of a metric in a table of metrics, pair by pair: the seeds of a method are averaged."""
    own = table if group is None else table[table["group"] == group]
    own = own[np.isfinite(own[metric])]
    by_pair = own.groupby("pair_id").agg({metric: "mean", "cluster": "first"})
    return Cases(
        by_pair[metric].to_numpy(float), by_pair["cluster"].to_numpy(object), by_pair.index.to_numpy(dtype=object)
    )


def mean_of(count: ArrayLike, total: ArrayLike, _: ArrayLike) -> NDArray[np.float64]:
    """Mean, from number, sum and sum of squares."""
    return np.asarray(total, float) / np.asarray(count, float)


def sd_of(count: ArrayLike, total: ArrayLike, squares: ArrayLike) -> NDArray[np.float64]:
    """Standard deviation (ddof 1), from number, sum and sum of squares; NaN for a single case."""
    n, s, q = (np.asarray(part, float) for part in (count, total, squares))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(np.maximum(q - s**2 / n, 0) / (n - 1))


def paired_difference(first: Cases, second: Cases) -> Interval:
    """Mean of first - second over the pairs that both have, with its interval. No common pair: NaN."""
    common, a, b = np.intersect1d(first.ids, second.ids, return_indices=True)
    if not common.size:
        return Interval(np.nan, np.nan, np.nan, 0, 0)
    return paired_gain(first.values[a], second.values[b], first.clusters[a])


def difference(first: Cases, second: Cases, statistic: Statistic = mean_of) -> Interval:
    """A statistic of first minus that of second, with a percentile bootstrap interval over clusters.

    Clusters that both have, such as the patients of two methods, are drawn together; where they have none in common, as
    two groups of images, each draws its own. n_clusters is the smaller number. Bounds are NaN below two clusters.
    """
    names = sorted({*first.clusters, *second.clusters})
    shared = bool({*first.clusters} & {*second.clusters})
    sums = [_sums(cases, names if shared else sorted({*cases.clusters})) for cases in (first, second)]
    n_clusters = min(len({*cases.clusters}) for cases in (first, second))
    value = float(np.subtract(*(statistic(*own.sum(axis=1)) for own in sums)))
    size = min(first.values.size, second.values.size)
    if n_clusters < 2:
        return Interval(value, np.nan, np.nan, size, n_clusters)
    generator, drawn = np.random.default_rng(0), np.empty(RESAMPLES)
    for place in range(RESAMPLES):
        draws = [generator.integers(own.shape[1], size=own.shape[1]) for own in (sums[:1] if shared else sums)]
        one, other = (statistic(*own[:, draws[-1 if own is sums[1] else 0]].sum(axis=1)) for own in sums)
        drawn[place] = one - other
    ends = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(ends[0]), float(ends[1]), size, n_clusters)


def _sums(cases: Cases, names: list[object]) -> NDArray[np.float64]:
    """(3, clusters): number, sum and sum of squares of the values in each cluster."""
    place = {name: code for code, name in enumerate(names)}
    codes = np.array([place[name] for name in cases.clusters], dtype=int)
    parts = (np.ones_like(cases.values), cases.values, cases.values**2)
    return np.stack([np.bincount(codes, part, minlength=len(names)) for part in parts])


def smallest_p(n: int) -> float:
    """The least two-sided p that a signed-rank test of n independent cases can reach: 2^(1 - n)."""
    return min(1.0, 2.0 ** (1 - n))


def too_small(found: Interval) -> str:
    """A clause where the independent cases are too few for 0.05, "" where they are not."""
    if found.n_clusters > 0 and smallest_p(found.n_clusters) > ALPHA:
        cases = "case" if found.n_clusters == 1 else "cases"
        return f"with {found.n_clusters} independent {cases} the smallest two-sided p is {smallest_p(found.n_clusters):.4g}"
    return ""


def decide(found: Interval, direction: str, margin: float = 0.0) -> str:
    """What an interval says of a difference: `HOLDS`, `FAILS` or `UNDECIDED`.

    direction: greater (than 0), less, at_least (-margin), at_most (margin), within (margin of 0 either way). Undecided
    where the interval leaves it open, and wherever the independent cases are too few to reach 0.05.
    """
    low, high = found.low, found.high
    if not np.isfinite([low, high]).all() or too_small(found):
        return UNDECIDED
    holds, fails = {
        "greater": (low > 0, high <= 0),
        "less": (high < 0, low >= 0),
        "at_least": (low >= -margin, high < -margin),
        "at_most": (high <= margin, low > margin),
        "within": (low >= -margin and high <= margin, low > margin or high < -margin),
    }[direction]
    return HOLDS if holds else FAILS if fails else UNDECIDED


def together(verdicts: list[str]) -> str:
    """One word for several that must all hold: it fails with the first that fails."""
    return FAILS if FAILS in verdicts else HOLDS if verdicts and set(verdicts) == {HOLDS} else UNDECIDED
