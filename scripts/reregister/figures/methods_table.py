"""All methods over all groups: similarity, gain over the row before registration, regularity, error against the truth."""

import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.tables import read_results

METRICS = ("ncc", "mse", "mae", "ssim", "field_error_mean", "fold_share", "min_det", "sdlogj", "mean_det")


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from the comparison: one row per method (identity first), for each metric mean, low and high; the NCC gain.

    Columns of a metric that no method has (the error against a true field, on real data) are left out. A case is one pair
    with one seed.
    """
    comparison = read_results(list(inputs["comparison"]))
    comparison = comparison[(comparison["group"] == "all") & comparison["method"].isin(exhibit.labels)]
    found = set(comparison.loc[comparison["n"] > 0, "metric"])
    cells = comparison.set_index(["method", "metric"])
    rows = []
    for method in sorted(exhibit.labels, key=lambda name: name != "identity"):
        row: dict[str, object] = {"method": exhibit.labels[method], "cases": int(cells.loc[(method, "ncc"), "n"])}
        for metric in (name for name in METRICS if name in found):
            cell = cells.loc[(method, metric)]
            row |= {metric: cell["mean"], f"{metric}_low": cell["low"], f"{metric}_high": cell["high"]}
            if metric == "ncc":
                row |= {"ncc_gain": cell["gain"], "ncc_gain_low": cell["gain_low"], "ncc_gain_high": cell["gain_high"]}
        rows.append(row)
    return pd.DataFrame(rows)
