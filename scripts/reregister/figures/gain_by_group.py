"""NCC before and after, group by group, for each trained or iterative method: where the gain lies above zero."""

import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.tables import read_results


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from the comparison: per group and method NCC before and after, the paired gain with its 95 % interval."""
    comparison = read_results(list(inputs["comparison"]))
    comparison = comparison[(comparison["metric"] == "ncc") & (comparison["group"] != "all")]
    before = comparison[comparison["method"] == "identity"].set_index("group")["mean"]
    rows = [
        {
            "group": case.group,
            "method": exhibit.labels[case.method],
            "pairs": case.n,
            "ncc_before": before[case.group],
            "ncc": case.mean,
            "ncc_gain": case.gain,
            "ncc_gain_low": case.gain_low,
            "ncc_gain_high": case.gain_high,
        }
        for case in comparison.itertuples()
        if case.method != "identity" and case.method in exhibit.labels
    ]
    return pd.DataFrame(rows).sort_values(["group", "method"], kind="stable")
