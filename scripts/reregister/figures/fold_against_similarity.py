"""Similarity against folding for every method, group by group: a good match bought with folds is seen as such."""

import pandas as pd
from matplotlib.figure import Figure

from reregister.drawing import Exhibit, Inputs, colour, marker, new_figure
from reregister.statistics import summarise
from reregister.tables import read_results


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from metrics tables: per method and group the mean NCC and mean share of folded voxels with 95 % intervals.

    Returns the figure and its numbers, one row for each method, group and metric.
    """
    metrics = read_results(list(inputs["metrics"]))
    numbers = summarise(metrics, ["method", "group"], ["ncc", "fold_share"])
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    for method, label in exhibit.labels.items():
        mine = numbers[numbers["method"] == method]
        x, y = (mine[mine["metric"] == name].set_index("group") for name in ("fold_share", "ncc"))
        axes.errorbar(
            100 * x["mean"],
            y["mean"],
            xerr=100 * pd.concat([x["mean"] - x["low"], x["high"] - x["mean"]], axis=1).to_numpy().T.clip(0),
            yerr=pd.concat([y["mean"] - y["low"], y["high"] - y["mean"]], axis=1).to_numpy().T.clip(0),
            fmt=marker(method),
            color=colour(method),
            markersize=5,
            elinewidth=0.8,
            alpha=0.9,
            label=label,
        )
    # Most methods fold nowhere: the scale is linear up to 0.1 % so that zero has a place.
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xlim(left=-0.02)
    axes.set_xlabel("folded pixels (det ≤ 0), %, mean and 95 % interval")
    axes.set_ylabel("NCC of warped and fixed, mean and 95 % interval")
    axes.grid(alpha=0.25, linewidth=0.5)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
    return figure, numbers
