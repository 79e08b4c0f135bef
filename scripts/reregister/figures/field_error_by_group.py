"""Error against the true field for every method and group, the row before registration included."""

import pandas as pd
from matplotlib.figure import Figure

from reregister.drawing import Exhibit, Inputs, draw_legend, draw_mean, in_order, new_figure, say
from reregister.statistics import summarise
from reregister.tables import read_results

NO_TRUTH = "no true field is known for these data"


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from metrics tables: the mean over the pairs of each pair's mean vector error, with its 95 % interval.

    The error of a pair is taken over its foreground, in the unit of the spacing. Where no pair has a true field the
    figure says so. Returns the figure and its numbers, one row for each method and group.
    """
    metrics = read_results(list(inputs["metrics"]))
    numbers = summarise(metrics, ["method", "group"], ["field_error_mean"])
    if not numbers["n"].any():
        figure = new_figure(1.2)
        say(figure, NO_TRUTH)
        return figure, numbers
    groups, methods = in_order(numbers["group"]), [m for m in exhibit.labels if m in set(numbers["method"])]
    cells = numbers.set_index(["method", "group"])[["mean", "low", "high"]]
    figure = new_figure(3.6)
    axes = figure.subplots()
    for place, group in enumerate(groups):
        if place % 2 == 0:
            axes.axvspan(place - 0.5, place + 0.5, color="0.95", linewidth=0, zorder=0)
        for slot, method in enumerate(methods):
            x = place + 0.8 * ((slot + 0.5) / len(methods) - 0.5)
            mean, low, high = (float(value) for value in cells.loc[(method, group)])
            draw_mean(axes, method, (x, x, x), (mean, low, high), exhibit.labels[method])
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_xticks(range(len(groups)), groups)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("digit" if all(group.isdigit() for group in groups) else "group")
    axes.set_ylabel(f"error against the true field, {metrics['unit'].iloc[0]}\n(mean and 95 % interval)")
    axes.grid(axis="y", alpha=0.3, linewidth=0.5)
    draw_legend(figure, {method: exhibit.labels[method] for method in methods})
    return figure, numbers
