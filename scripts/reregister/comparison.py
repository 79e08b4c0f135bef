"""All methods of an experiment side by side, group by group, with paired gains over the identity."""

import pandas as pd

from reregister.errors import ReregisterError
from reregister.statistics import paired_gain, summarise

# Columns of a metrics table that say which case a row is; every other column is a metric.
CASE_COLUMNS = ("method", "seed", "pair_id", "moving", "fixed", "group", "cluster", "unit", "spacing")
# The group that holds the cases of all groups.
ALL = "all"


def metric_columns(metrics: pd.DataFrame) -> list[str]:
    """Names of the metrics that a table holds."""
    return [column for column in metrics.columns if column not in CASE_COLUMNS]


def compare(metrics: pd.DataFrame, baseline: str = "identity") -> pd.DataFrame:
    """Means with 95 % intervals by method, group and metric, and the paired gain of each over the baseline method.

    metrics: one row per case with `CASE_COLUMNS` and the metrics; the seeds of a method are cases of the same cluster, so
    that an interval covers the spread between images and not a count inflated by seeds. A gain is method minus baseline on
    the same pair; a baseline with several seeds counts by its mean over them. Returns method, group (each, and `all`),
    metric, n, n_undefined, n_clusters, mean, sd, median, low, high, gain, gain_low, gain_high. Raises ReregisterError
    where the baseline has no row for a pair.
    """
    names = metric_columns(metrics)
    reference = metrics[metrics["method"] == baseline].groupby("pair_id")[names].mean()
    unpaired = sorted(set(metrics["pair_id"]) - set(reference.index))
    if unpaired:
        raise ReregisterError(
            f"the method {baseline} has no row for the pair {unpaired[0]}; evaluate it on the same pairs"
        )
    both = pd.concat([metrics, metrics.assign(group=ALL)], ignore_index=True)
    table = summarise(both, ["method", "group"], names)
    gains = []
    for (method, group), cases in both.groupby(["method", "group"], sort=True):
        before = reference.loc[cases["pair_id"]]
        for name in names:
            gain = paired_gain(cases[name], before[name].to_numpy(), cases["cluster"])
            gains.append((method, group, name, gain.mean, gain.low, gain.high))
    columns = ["method", "group", "metric", "gain", "gain_low", "gain_high"]
    return table.merge(pd.DataFrame(gains, columns=columns), on=["method", "group", "metric"], validate="1:1")
