"""Whether whole numbers are faster: a network as it is, with weights in few bits, and in integer arithmetic, side by side."""

import numpy as np
import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.exhibits.compressed import bytes_by_method
from reregister.exhibits.measures import read_metrics
from reregister.exhibits.options import options_of
from reregister.figures.times_table import tabulate as times_of
from reregister.statistics import cluster_bootstrap_mean, paired_gain


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from timing, metrics, and weights, layers and sizes where they are read: one row per method and device.

    Options: reference, the method of the exhibit that the others are compared with (the first where left out). Columns:
    method, device, threads, cases; seconds for one pair (median, least, most) and how many times faster than the reference
    by the medians; bytes on disk and how many times smaller (`bytes_by_method`); Dice with its clustered 95 % interval and
    its paired difference from the reference, a method's seeds averaged pair by pair. Raises ReregisterError for a
    reference that the exhibit does not have and for data without labels.
    """
    reference = options_of(exhibit, reference=next(iter(exhibit.labels), ""))["reference"]
    if reference not in exhibit.labels:
        raise ReregisterError(f"{exhibit.exhibit} has the reference {reference}, which is none of its methods; add it")
    metrics = read_metrics(exhibit, inputs["metrics"])
    if "dice" not in metrics:
        raise ReregisterError(f"{exhibit.exhibit} needs labels and its data have none; take times_table for such data")
    sizes = bytes_by_method(inputs)
    times = times_of(exhibit, {"timing": inputs["timing"]})
    names = {label: method for method, label in exhibit.labels.items()}
    median = times.loc[times["method"] == exhibit.labels[reference], "seconds_median"].min()
    clusters = metrics.groupby("pair_id")["cluster"].first()
    dice = metrics.groupby(["method", "pair_id"])["dice"].mean()
    rows = []
    for time in times.to_dict("records"):
        method = names[time["method"]]
        if method not in dice:
            raise ReregisterError(f"{exhibit.exhibit} has no metrics of {method}; evaluate it on the same pairs")
        both = pd.concat([dice[method], dice[reference]], axis=1, join="inner", keys=["own", "reference"])
        own = cluster_bootstrap_mean(both["own"], clusters[both.index])
        change = paired_gain(both["own"], both["reference"], clusters[both.index])
        row = {name: time[name] for name in ("method", "device", "threads", "cases", "failed")}
        row |= {name: time[name] for name in ("seconds_median", "seconds_min", "seconds_max")}
        row |= {"times_faster": median / time["seconds_median"], "bytes": sizes.get(method, np.nan)}
        row |= {"times_smaller": sizes.get(reference, np.nan) / row["bytes"]}
        row |= {"dice": own.mean, "dice_low": own.low, "dice_high": own.high}
        row |= {"dice_change": change.mean, "dice_change_low": change.low, "dice_change_high": change.high}
        rows.append(row)
    return pd.DataFrame(rows).astype({"bytes": "Int64"} if all(method in sizes for method in exhibit.labels) else {})
