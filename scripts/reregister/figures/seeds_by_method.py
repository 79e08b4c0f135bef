"""A few methods over their seeds and groups: does one choice matter beyond what another seed changes?

For the probe of variant B1 and for NCC over the batch or over each image, which de Vos 2017 leaves open.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reregister.comparison import ALL
from reregister.drawing import Exhibit, Inputs, colour, draw_mean, in_order, marker, new_figure
from reregister.statistics import summarise
from reregister.tables import read_results

COLUMNS = 4
NAMES = {"dice": "Dice", "ncc": "NCC of warped and fixed"}


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from metrics tables: one panel per group and one for all, a row per method with a small point for each seed.

    The metric is Dice where the data have labels, else NCC. Large points are means over pairs and seeds with their 95 %
    intervals, resampled over the clusters. Returns the figure and its numbers: method, group, seed (`all` for the large
    points) and the columns of `summarise`.
    """
    metrics = read_results(list(inputs["metrics"]))
    metrics = metrics[metrics["method"].isin(exhibit.labels)]
    metric = "dice" if "dice" in metrics and metrics["dice"].notna().any() else "ncc"
    groups = in_order(metrics["group"])
    if len(groups) > 1:
        metrics = pd.concat([metrics, metrics.assign(group=ALL)], ignore_index=True)
        groups = [ALL, *groups]
    each = summarise(metrics.assign(seed=metrics["seed"].astype(str)), ["method", "group", "seed"], [metric])
    numbers = pd.concat([summarise(metrics, ["method", "group"], [metric]).assign(seed="all"), each], ignore_index=True)
    numbers.insert(2, "seed", numbers.pop("seed"))
    order = [method for method in exhibit.labels if method in set(numbers["method"])]
    columns = min(COLUMNS, len(groups))
    rows = -(-len(groups) // columns)
    figure = new_figure(rows * (0.7 + 0.42 * len(order)) + 0.15)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, group in zip(grid.flat, groups, strict=False):
        _panel(axes, numbers[numbers["group"] == group], order)
        axes.set_title(_title(group), pad=4)
    for axes in list(grid.flat)[len(groups) :]:
        axes.set_visible(False)
    for column in range(columns):
        below = [axes for axes in grid[:, column] if axes.get_visible()][-1]
        below.set_xlabel(NAMES[metric])
        below.tick_params(axis="x", labelbottom=True)
    grid[0, 0].set_yticks(range(len(order)), [exhibit.labels[method] for method in order])
    grid[0, 0].set_ylim(len(order) - 0.5, -0.5)
    return figure, numbers


def _title(group: str) -> str:
    if group == ALL:
        return "all pairs"
    return f"digit {group}" if group.isdigit() else group


def _panel(axes: Any, numbers: pd.DataFrame, order: list[str]) -> None:
    for place, method in enumerate(order):
        own = numbers[numbers["method"] == method]
        seeds = own.loc[own["seed"] != "all", "mean"]
        # Seeds stand below their mean, so that neither hides the other.
        look: dict[str, Any] = {"marker": marker(method), "markersize": 3.5, "markerfacecolor": "none"}
        axes.plot(seeds, np.full(len(seeds), place + 0.22), linestyle="none", color=colour(method), **look)
        for row in own[own["seed"] == "all"].to_dict("records"):
            draw_mean(axes, method, (row["mean"], row["low"], row["high"]), (place - 0.1, np.nan, np.nan))
    axes.grid(axis="x", alpha=0.3, linewidth=0.5)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
