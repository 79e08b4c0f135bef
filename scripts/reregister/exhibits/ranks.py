"""How stable an order of methods is: the rank of each in resamples of the clusters and of the seeds."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]


class Ranks(NamedTuple):
    """methods, the best mean first; shares (M, M): of resamples in which a method (row) has a rank (column, 1 first);
    means (M,) of the score; low and high (M,): the ranks between which 95 % of the resamples lie; clusters: their number."""

    methods: list[str]
    shares: Array
    means: Array
    low: Array
    high: Array
    clusters: int


def rank_shares(metrics: pd.DataFrame, score: str, higher: bool, n: int = 2000, seed: int = 0) -> Ranks:
    """Ranks of methods by the mean of a score, over resamples of clusters and, within each method, of its seeds.

    metrics: one row per case with method, seed, cluster and the score; undefined scores are left out. higher: whether a
    higher score is better. n: resamples. Each draws as many clusters as there are, the same for all methods, and for each
    method as many of its seeds as it has, both with replacement [Field and Welsh 2007]; methods of one mean share the better
    rank. With one cluster, or one seed, its spread is unknown and ranks are more stable than they should be. Raises
    ValueError without a defined score, and where a method has none.
    """
    known = metrics[np.isfinite(metrics[score].to_numpy(np.float64))]
    methods = list(dict.fromkeys(metrics["method"]))
    if missing := set(methods) - set(known["method"]) or ({"any method"} if known.empty else set()):
        raise ValueError(f"{score} is undefined for {', '.join(sorted(missing))}")
    clusters = sorted(set(known["cluster"]))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(clusters), size=(n, len(clusters)))
    times = np.stack([np.bincount(row, minlength=len(clusters)) for row in drawn]).astype(np.float64)
    resampled, means = np.full((n, len(methods)), np.nan), np.zeros(len(methods))
    for place, method in enumerate(methods):
        own = known[known["method"] == method]
        tables = own.pivot_table(index="seed", columns="cluster", values=score, aggfunc=["sum", "count"], fill_value=0)
        sums, counts = (
            tables[kind].reindex(columns=clusters, fill_value=0).to_numpy(float) for kind in ("sum", "count")
        )
        seeds = rng.integers(len(sums), size=(n, len(sums)))
        # (n, clusters): sums over the seeds that were drawn.
        total, number = (table[seeds].sum(axis=1) for table in (sums, counts))
        with np.errstate(invalid="ignore"):
            resampled[:, place] = (total * times).sum(axis=1) / (number * times).sum(axis=1)
        means[place] = own[score].mean()
    # A resample in which a method has no case ranks nothing.
    resampled = resampled[np.isfinite(resampled).all(axis=1)]
    ranks = rankdata(-resampled if higher else resampled, method="min", axis=1)
    order = np.argsort(-means if higher else means, kind="stable")
    shares = np.stack([np.bincount(ranks[:, at].astype(int), minlength=len(methods) + 1)[1:] for at in order])
    low, high = np.quantile(ranks[:, order], [0.025, 0.975], axis=0, method="nearest")
    return Ranks([methods[at] for at in order], shares / len(ranks), means[order], low, high, len(clusters))
