"""Error against the true field for every method and group, the row before registration included."""

import pandas as pd
from matplotlib.figure import Figure

from reregister.drawing import Exhibit, Inputs, draw_legend, in_order, new_figure, say
from reregister.figures.metrics_by_group import draw_groups
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
    draw_groups(axes, cells, methods, groups, exhibit.labels)
    axes.set_ylabel(f"error against the true field, {metrics['unit'].iloc[0]}\n(mean and 95 % interval)")
    draw_legend(figure, {method: exhibit.labels[method] for method in methods})
    return figure, numbers
