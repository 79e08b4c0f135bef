"""Means over pairs and labels with their intervals, of which the target registration error is a root mean square."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from reregister.errors import ReregisterError
from reregister.statistics import Interval, cluster_bootstrap_mean

# A label of a pair counts where it is defined by both of these for every method.
NEEDED = ("dice", "centroid_distance", "centroid_distance_px")


def root_mean_square(values: ArrayLike, clusters: ArrayLike) -> Interval:
    """Root mean square with its 95 % interval over clusters: the root of `cluster_bootstrap_mean` of the squares."""
    found = cluster_bootstrap_mean(np.square(np.asarray(values, dtype=np.float64)), clusters)
    mean, low, high = (float(np.sqrt(value)) for value in found[:3])
    return Interval(mean, low, high, found.n_values, found.n_clusters)


def frozen_list(labels: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """The rows of a table of labels whose pair and label are defined for every method and seed: one list for all.

    labels: with method, seed, pair_id, label and `NEEDED`. Raises ReregisterError for a method without rows and where no
    label of a pair is left.
    """
    for method in methods:
        if method not in set(labels["method"]):
            raise ReregisterError(f"{method} has no labels to compare; evaluate it on the same pairs, with labels")
    labels = labels[labels["method"].isin(methods)]
    networks = labels[["method", "seed"]].drop_duplicates().shape[0]
    defined = labels[np.isfinite(labels[list(NEEDED)].to_numpy(np.float64)).all(axis=1)]
    counts = defined.groupby(["pair_id", "label"])["method"].transform("size")
    kept = defined[counts == networks]
    if kept.empty:
        raise ReregisterError("no label of a pair is defined for every method; leave out the method that lost them")
    return kept
