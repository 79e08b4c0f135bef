"""Seconds for one pair, method by method, on a logarithmic axis, with the device that they were taken on."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from reregister.drawing import Exhibit, Inputs, draw_mean, new_figure
from reregister.figures.times_table import tabulate

# Seconds with their SI prefix, as many digits as the number has.
SECONDS = EngFormatter("s")


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from timings: median (point), lowest and highest (line) over the pairs and seeds of each method and device.

    Returns the figure and its numbers, those of the table of times.
    """
    numbers = tabulate(exhibit, inputs)
    figure = new_figure(0.9 + 0.36 * len(numbers))
    axes = figure.subplots()
    axes.set_xscale("log")
    names = {label: method for method, label in exhibit.labels.items()}
    for place, row in enumerate(numbers.to_dict("records")):
        x = (row["seconds_median"], row["seconds_min"], row["seconds_max"])
        draw_mean(axes, names[row["method"]], x, (place, place, place), row["method"])
        text = SECONDS(float(f"{x[0]:.3g}"))
        axes.annotate(text, (x[0], place), xytext=(0, 5), textcoords="offset points", ha="center", va="bottom")
    axes.margins(x=0.08)
    axes.set_yticks(range(len(numbers)), [_name(row) for row in numbers.to_dict("records")])
    axes.set_ylim(len(numbers) - 0.6, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(SECONDS)
    axes.set_xlabel("time for one pair: median (point) and range over the pairs (line)")
    axes.grid(axis="x", alpha=0.3, linewidth=0.5)
    return figure, numbers


def _name(row: dict[str, object]) -> str:
    """Method, device and threads; failed pairs, which have no time, where there are any."""
    threads = f"{row['threads']} thread" + ("s" if row["threads"] != 1 else "")
    failed = f", {row['failed']} failed" if row["failed"] else ""
    return f"{row['method']}  ({row['device']}, {threads}{failed})"
