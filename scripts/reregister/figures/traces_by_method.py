"""Loss of networks that are optimised for one pair each, iteration by iteration, and what they reach at the end."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from reregister.drawing import Exhibit, Inputs, colour, draw_legend, draw_mean, marker, new_figure
from reregister.errors import ReregisterError
from reregister.exhibits.measures import measures_of, read_metrics, with_measures
from reregister.exhibits.options import options_of
from reregister.statistics import summarise
from reregister.tables import read_results

# Of the band over the pairs.
BAND = (0.1, 0.9)
DECADE = 10
ROW, HEIGHT = 0.3, 3.2


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from traces (CSV: method, pair_id, step, loss): median over the pairs in a band from 10 to 90 % of them.

    Options: loss, its name for the axis; measures (`measures_of`), each in a panel on the right with the mean over the
    pairs and its 95 % interval, for which metrics are read. Returns the figure and the curves' numbers: method, step,
    pairs, median, low, high, and one row per method and measure, with its name in `measure` and mean, low and high.
    Raises ReregisterError where no method of the exhibit has a trace.
    """
    told = options_of(exhibit, loss="loss", measures=[])
    traces = read_results(list(inputs["traces"]))
    order = [method for method in exhibit.labels if method in set(traces["method"])]
    if not order:
        raise ReregisterError(f"{exhibit.exhibit} has no traces of its methods; name methods that optimise each pair")
    curves = _curves_of(traces[traces["method"].isin(order)], order)
    ends = pd.DataFrame()
    if told["measures"]:
        metrics = read_metrics(exhibit, inputs["metrics"])
        measures = measures_of(exhibit, told["measures"], metrics)
        ends = summarise(with_measures(metrics, measures), ["method"], [measure.label for measure in measures])
        ends = ends[ends["method"].isin(order)]
    names = list(dict.fromkeys(ends["metric"])) if len(ends) else []
    figure = new_figure(max(HEIGHT, ROW * len(order) + 1.2))
    first, *others = figure.subplots(1, 1 + len(names), squeeze=False, width_ratios=[1.7, *[1] * len(names)])[0]
    _curves(first, curves, order, told["loss"])
    for place, (axes, name) in enumerate(zip(others, names, strict=True)):
        _ends(axes, ends[ends["metric"] == name].set_index("method"), order, exhibit.labels if place == 0 else {})
        axes.set_xlabel(name.replace(" of the ", "\nof the ").replace(" within ", "\nwithin "))
    draw_legend(figure, {method: exhibit.labels[method] for method in order}, columns=4)
    if names:
        ends = ends.rename(columns={"metric": "measure", "n": "pairs"})
        curves = pd.concat([curves, ends[["method", "measure", "pairs", "mean", "low", "high"]]], ignore_index=True)
    return figure, curves


def _curves_of(traces: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Median and band over the pairs at every step; of several seeds each is a case."""
    losses = traces.groupby(["method", "step"])["loss"]
    curves = pd.DataFrame({"pairs": losses.size(), "median": losses.median()})
    curves["low"], curves["high"] = (losses.quantile(share) for share in BAND)
    return curves.loc[order].reset_index()


def _curves(axes: Any, curves: pd.DataFrame, order: list[str], name: str) -> None:
    for index, method in enumerate(order):
        line = curves[curves["method"] == method]
        every = max(1, len(line) // 6)
        look: dict[str, Any] = {"marker": marker(method), "markersize": 5.5, "markeredgecolor": "white"}
        look |= {"markeredgewidth": 0.4, "markevery": (index * every // len(order), every)}
        axes.plot(line["step"], line["median"], color=colour(method), linewidth=1.2, **look)
        axes.fill_between(line["step"], line["low"], line["high"], color=colour(method), alpha=0.15, linewidth=0)
    losses = curves[["low", "high"]].to_numpy(float)
    losses = losses[np.isfinite(losses)]
    if losses.size and losses.min() > 0 and losses.max() > DECADE * losses.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.minorticks_off()
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlim(left=-0.02 * curves["step"].max())
    axes.set_xlabel("iteration")
    axes.set_ylabel(f"{name}\n(median, 10 to 90 % of the pairs)")
    axes.grid(alpha=0.25, linewidth=0.5)


def _ends(axes: Any, ends: pd.DataFrame, order: list[str], labels: dict[str, str]) -> None:
    """One measure after the last iteration; a row for each method, named where labels are given."""
    for place, method in enumerate(order):
        if method not in ends.index:
            continue
        mean, low, high = (float(ends.loc[method, name]) for name in ("mean", "low", "high"))
        draw_mean(axes, method, (mean, low, high), (place, np.nan, np.nan))
        text = f"{mean:.3g}".replace("-", "−")
        axes.annotate(text, (mean, place), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7)
    axes.set_yticks(range(len(order)), [labels.get(method, "") for method in order])
    axes.set_ylim(len(order) - 0.5, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.22)
    axes.locator_params(axis="x", nbins=3)
    if ends["low"].fillna(ends["mean"]).min() >= 0 > axes.get_xlim()[0]:
        # A share ends at 0; the room left of it is for the points on it.
        axes.set_xlim(left=-0.1 * axes.get_xlim()[1])
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
