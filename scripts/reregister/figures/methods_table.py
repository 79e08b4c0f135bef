"""All methods over all groups: similarity, gain over the row before registration, regularity, error against the truth."""

import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.tables import read_results

METRICS = ("ncc", "mse", "mae", "ssim", "field_error_mean", "fold_share", "min_det", "sdlogj", "mean_det")


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from the comparison: one row per method (identity first), for each metric mean, low and high; the NCC gain.

    Columns of a metric that no method has (the error against a true field, on real data) are left out.
    """
    comparison = read_results(list(inputs["comparison"]))
    comparison = comparison[comparison["group"] == "all"].set_index(["method", "metric"])
    methods = sorted(exhibit.labels, key=lambda name: name != "identity")
    rows = []
    for method in methods:
        row: dict[str, object] = {"method": exhibit.labels[method], "pairs": int(comparison.loc[(method, "ncc"), "n"])}
        for metric in METRICS:
            cell = comparison.loc[(method, metric)]
            if cell["n"] == 0:
                continue
            row |= {metric: cell["mean"], f"{metric}_low": cell["low"], f"{metric}_high": cell["high"]}
            if metric == "ncc":
                row |= {"ncc_gain": cell["gain"], "ncc_gain_low": cell["gain_low"], "ncc_gain_high": cell["gain_high"]}
        rows.append(row)
    return pd.DataFrame(rows)
