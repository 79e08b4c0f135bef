"""Seconds per pair of every method, with the device that they were taken on."""

import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.tables import read_results


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from timings: per method device, threads, cases, how many of them failed, and seconds for one pair.

    A case is one pair with one seed. The seconds are the median, lowest and highest over the cases.
    """
    timing = read_results(list(inputs["timing"]))
    timing["failed"] = timing["note"].notna()
    table = timing.groupby(["method", "device", "threads"]).agg(
        cases=("seconds", "count"),
        failed=("failed", "sum"),
        seconds_median=("seconds", "median"),
        seconds_min=("seconds", "min"),
        seconds_max=("seconds", "max"),
    )
    table = table.reset_index()
    order = {name: index for index, name in enumerate(exhibit.labels)}
    table = table.sort_values("method", key=lambda column: column.map(order))
    table["method"] = table["method"].map(exhibit.labels)
    return table
