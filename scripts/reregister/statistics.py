"""Intervals, paired tests, equivalence with a published value, and the long table of means."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
ALPHA = 0.05


class Interval(NamedTuple):
    """Mean with its confidence interval; low and high are NaN where there are fewer than two clusters."""

    mean: float
    low: float
    high: float
    n_values: int
    n_clusters: int


class Wilcoxon(NamedTuple):
    """Signed-rank test: statistic (smaller rank sum), two-sided p, n non-zero differences, smallest p that n allows."""

    statistic: float
    p: float
    n: int
    smallest_p: float
    too_small: bool


class Equivalence(NamedTuple):
    """Outcome of `welch_tost`; low and high bound the difference mean1 - mean2, rounding included."""

    difference: float
    low: float
    high: float
    p_equivalent: float
    p_different: float
    smallest_margin: float
    verdict: str


def cluster_bootstrap_mean(
    values: ArrayLike, clusters: ArrayLike, n: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Mean of all values with a percentile bootstrap interval over clusters, mostly patients [Field and Welsh 2007].

    values: (N,) in any unit; NaN and infinite values are undefined and dropped with their labels.
    clusters: (N,) labels of any one sortable type, none missing. n: resamples. level: coverage, in (0, 1).
    Each resample draws as many clusters as there are, with replacement, and divides the sum of their values by the
    number of their values. With few clusters (below about 10) the interval is too narrow; with one, or none, its bounds
    are NaN, because nothing is known about the spread between clusters.
    Raises ValueError if lengths differ, a cluster label is missing, or n or level is out of range.
    """
    if n < 1 or not 0 < level < 1:
        raise ValueError(f"n must be at least 1 and level inside (0, 1), got n={n}, level={level}")
    numbers, codes = _defined(values, clusters)
    k = int(codes.max()) + 1 if codes.size else 0
    mean = float(numbers.mean()) if numbers.size else float("nan")
    if k < 2:
        return Interval(mean, float("nan"), float("nan"), numbers.size, k)
    sums, counts = np.bincount(codes, numbers), np.bincount(codes)
    draws = np.random.default_rng(seed).integers(k, size=(n, k))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), numbers.size, k)


def paired_gain(
    a: ArrayLike, b: ArrayLike, clusters: ArrayLike, n: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Mean of a - b over the same pairs with its interval, as `cluster_bootstrap_mean`.

    a, b: (N,), one unit, row i of both from one registration pair; pairs undefined in either are dropped.
    Raises ValueError if lengths differ, and as `cluster_bootstrap_mean`.
    """
    return cluster_bootstrap_mean(_differences(a, b), clusters, n, seed, level)


def holm(p: ArrayLike) -> Array:
    """Holm's step-down adjustment over a planned set of tests [Holm 1979].

    p: (M,) p-values. Returns (M,) adjusted p-values in [0, 1], same order. A test that could not be done (NaN) stays
    NaN but still counts in M, since it was planned. Raises ValueError for values outside of [0, 1].
    """
    raw = np.asarray(p, dtype=np.float64)
    if raw.ndim != 1 or np.any((raw < 0) | (raw > 1)):
        raise ValueError(f"holm takes a list of p-values inside [0, 1], got {raw}")
    order = np.argsort(raw, kind="stable")  # NaN last: they enlarge the factors of all others
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * np.arange(raw.size, 0, -1)), 1)
    return adjusted


def wilcoxon_paired(a: ArrayLike, b: ArrayLike, clusters: ArrayLike | None = None) -> Wilcoxon:
    """Two-sided Wilcoxon signed-rank test of a - b [Wilcoxon 1945; scipy.stats.wilcoxon].

    a, b: (N,), one unit; pairs undefined in either are dropped, then zero differences. clusters: None where pairs are
    independent; else labels (N,), and the test is made on the mean difference of each cluster.
    p is exact up to n = 50 (13 with ties), asymptotic above. smallest_p = 2^(1-n) is what the exact test can reach at
    best (0.0625 for n = 5), and too_small says that it exceeds 0.05: no result could then have been significant.
    With no non-zero difference the statistic is 0 and p is 1; with no defined pair both are NaN.
    Raises ValueError if lengths differ or a cluster label is missing.
    """
    differences = _differences(a, b)
    numbers, codes = _defined(differences, np.arange(differences.size) if clusters is None else clusters)
    if clusters is not None:
        numbers = np.bincount(codes, numbers) / np.bincount(codes)
    nonzero = numbers[numbers != 0]
    smallest = min(1.0, 2.0 ** (1 - nonzero.size))
    statistic, p = (0.0, 1.0) if numbers.size else (float("nan"), float("nan"))
    if nonzero.size:
        result = stats.wilcoxon(nonzero)
        statistic, p = float(result.statistic), float(result.pvalue)
    return Wilcoxon(statistic, p, nonzero.size, smallest, smallest > ALPHA)


def welch_tost(
    mean1: float, sd1: float, n1: float, mean2: float, sd2: float, n2: float, margin: float, rounding: float = 0.0
) -> Equivalence:
    """Is mean1 within +-margin of a printed mean2? Two one-sided Welch tests at 0.05 [Schuirmann 1987; Welch 1947].

    mean, sd (ddof 1, >= 0) and number (>= 2) of independent cases of ours (1) and of the published row (2), one unit.
    margin: > 0, set before the run. rounding: >= 0, half a unit of the last printed digit of mean2 (0.005 for 0.79).
    The true mean2 lies anywhere within +-rounding, so every answer holds for the worst of these: rounding widens the
    90 % interval (low, high), leaves margin - rounding for equivalence, and is taken off the difference before it is
    called different. Rounding of sd2 is neglected.
    p_equivalent: larger of the two one-sided p. p_different: two-sided p of the difference, rounding taken off.
    smallest_margin: the least margin provable with these sd and n, where the means agree: t * se + rounding.
    verdict: "equivalent" if p_equivalent < 0.05, else "different" if p_different < 0.05, else "undecided".
    Raises ValueError if a number is not finite or out of range, as where a paper prints no sd or no n.
    """
    numbers = (mean1, sd1, n1, mean2, sd2, n2, margin, rounding)
    if not np.isfinite(numbers).all() or min(sd1, sd2, rounding) < 0 or min(n1, n2) < 2 or margin <= 0:
        raise ValueError(f"finite means, sd >= 0, n >= 2, margin > 0, rounding >= 0 are needed, got {numbers}")
    v1, v2 = sd1**2 / n1, sd2**2 / n2
    se = float(np.sqrt(v1 + v2))
    df = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1)) if se > 0 else n1 + n2 - 2
    difference = mean1 - mean2
    p_equivalent = _tail(margin - rounding - abs(difference), se, df)
    p_different = min(1.0, 2 * _tail(max(abs(difference) - rounding, 0.0), se, df))
    half = float(stats.t.ppf(1 - ALPHA, df)) * se + rounding
    verdict = "equivalent" if p_equivalent < ALPHA else "different" if p_different < ALPHA else "undecided"
    return Equivalence(difference, difference - half, difference + half, p_equivalent, p_different, half, verdict)


def summarise(
    frame: pd.DataFrame, by: list[str], metrics: list[str], seed: int = 0, cluster: str = "cluster"
) -> pd.DataFrame:
    """Long table of means with clustered 95 % intervals, one row per group and metric.

    frame: one row per case, with the columns by, metrics (numbers) and cluster. by may be empty: one group.
    Returns the columns by..., metric, n (defined values), n_undefined (NaN or infinite), n_clusters, mean, sd (ddof 1),
    median, low, high (of the mean; a bootstrap interval of a median would be unsound). Groups are sorted, metrics in
    the order given, and every cell draws from the same seed, so that a row does not change when others are added.
    Raises ValueError if a column or a cluster label is missing.
    """
    missing = [name for name in (*by, *metrics, cluster) if name not in frame.columns]
    if missing:
        raise ValueError(f"summarise needs the columns {missing}, the frame has {list(frame.columns)}")
    groups = frame.groupby(by, sort=True, dropna=False, observed=True) if by else [((), frame)]
    columns = ["metric", "n", "n_undefined", "n_clusters", "mean", "sd", "median", "low", "high"]
    rows = [(*keys, m, *_summary(group[m], group[cluster], seed)) for keys, group in groups for m in metrics]
    return pd.DataFrame(rows, columns=[*by, *columns])


def _summary(values: "pd.Series[float]", clusters: ArrayLike, seed: int) -> tuple[float, ...]:
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    mean, low, high, n, n_clusters = cluster_bootstrap_mean(numbers, clusters, seed=seed)
    defined = numbers[np.isfinite(numbers)]
    sd = float(defined.std(ddof=1)) if n > 1 else float("nan")
    median = float(np.median(defined)) if n else float("nan")
    return n, numbers.size - n, n_clusters, mean, sd, median, low, high


def _defined(values: ArrayLike, clusters: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
    """Finite values and their cluster codes 0..k-1, numbered by sorted label so that the order of rows has no say."""
    numbers, labels = np.asarray(values, dtype=np.float64), pd.Series(np.asarray(clusters))
    if numbers.ndim != 1 or numbers.size != labels.size or labels.isna().any():
        raise ValueError(f"each of the {numbers.shape} values needs a cluster, got {labels.count()} of {labels.size}")
    finite = np.isfinite(numbers)
    return numbers[finite], pd.factorize(labels[finite], sort=True)[0]


def _differences(a: ArrayLike, b: ArrayLike) -> Array:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"paired values need one length, got shapes {first.shape} and {second.shape}")
    with np.errstate(invalid="ignore"):  # inf - inf is undefined too, and dropped like NaN
        return first - second


def _tail(distance: float, se: float, df: float) -> float:
    """One-sided p of a distance; without any spread its sign alone decides."""
    return float(stats.t.sf(distance / se, df)) if se > 0 else float(distance <= 0)
