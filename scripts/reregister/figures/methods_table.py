"""All methods over all groups: similarity, gain over the row before registration, regularity, error against the truth."""

import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.exhibits.options import options_of
from reregister.tables import read_results

METRICS = ("ncc", "mse", "mae", "ssim", "field_error_mean", "fold_share", "min_det", "sdlogj", "mean_det")


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from the comparison: one row per method (identity first), for each metric mean, low and high; the NCC gain.

    Options: metrics, those to show in their order; sd, those of them with their standard deviation over the cases; gain,
    those with their paired gain over the identity (NCC where left out). Columns of a metric that no method has (the error
    against a true field, on real data) are left out. A case is one pair with one seed. Raises ReregisterError where none
    of the metrics is there.
    """
    told = options_of(exhibit, metrics=METRICS, sd=[], gain=["ncc"])
    comparison = read_results(list(inputs["comparison"]))
    comparison = comparison[(comparison["group"] == "all") & comparison["method"].isin(exhibit.labels)]
    found = set(comparison.loc[comparison["n"] > 0, "metric"])
    metrics = [metric for metric in told["metrics"] if metric in found]
    if not metrics:
        raise ReregisterError(f"{exhibit.exhibit} has none of its metrics; take metrics that its methods have")
    cells = comparison.set_index(["method", "metric"])
    rows = []
    for method in sorted(exhibit.labels, key=lambda name: name != "identity"):
        row: dict[str, object] = {"method": exhibit.labels[method], "cases": int(cells.loc[(method, metrics[0]), "n"])}
        for metric in metrics:
            cell = cells.loc[(method, metric)]
            row |= {metric: cell["mean"], f"{metric}_low": cell["low"], f"{metric}_high": cell["high"]}
            row |= {f"{metric}_sd": cell["sd"]} if metric in told["sd"] else {}
            if metric in told["gain"]:
                row |= {f"{metric}_gain{end}": cell[f"gain{end}"] for end in ("", "_low", "_high")}
        rows.append(row)
    return pd.DataFrame(rows)
