"""NCC before and after, group by group, for each trained or iterative method: where the gain lies above zero."""

import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.tables import read_results


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from the comparison: per group and method NCC before and after, the paired gain with its 95 % interval.

    Groups in the order of their names, methods in that of the labels. A case is one pair with one seed.
    """
    comparison = read_results(list(inputs["comparison"]))
    comparison = comparison[(comparison["metric"] == "ncc") & (comparison["group"] != "all")]
    before = comparison[comparison["method"] == "identity"].set_index("group")["mean"]
    order = {name: place for place, name in enumerate(exhibit.labels) if name != "identity"}
    comparison = comparison[comparison["method"].isin(order)]
    comparison = comparison.assign(place=comparison["method"].map(order)).sort_values(["group", "place"])
    return pd.DataFrame(
        {
            "group": comparison["group"],
            "method": comparison["method"].map(exhibit.labels),
            "cases": comparison["n"],
            "ncc_before": comparison["group"].map(before),
            "ncc": comparison["mean"],
            "ncc_gain": comparison["gain"],
            "ncc_gain_low": comparison["gain_low"],
            "ncc_gain_high": comparison["gain_high"],
        }
    ).reset_index(drop=True)
