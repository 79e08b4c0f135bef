"""Loss of several networks during training, and where each ends: Fig. 3 of de Vos 2017."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from reregister.drawing import Exhibit, Inputs, colour, draw_legend, draw_mean, marker, new_figure
from reregister.exhibits.options import options_of
from reregister.tables import read_results

# Inches. One row of a method in the panel of final losses, and the least height of the curves.
ROW, HEIGHT = 0.26, 3.1
# Of the width of the curves, for what networks train beyond the schedule that most share.
REMAINDER = 0.3


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from training histories (CSV): one curve per method, and the loss after its last iteration on the right.

    Curves are means over a method's seeds and parts in a band from the lowest to the highest. Where no network has
    validation pairs the loss is that of training, and the axis says so. Methods that train longer than most go on in a
    panel of their own, so that they do not squash the others. Option: loss, its name for the axis; lower is better.
    Returns the figure and the curves' numbers: method, loss (validation or training), step, mean, low, high.
    """
    loss = options_of(exhibit, loss="$L_{NCC}$ = −NCC")["loss"]
    histories = read_results(list(inputs["histories"]))
    histories = histories[histories["method"].isin(exhibit.labels)]
    validated = histories["validation_loss"].notna().groupby(histories["method"]).any()
    kind = "validation" if validated.all() else "training"
    column = "validation_loss" if kind == "validation" else "train_loss"
    histories = histories.dropna(subset=column)
    curves = histories.groupby(["method", "step"])[column].agg(["mean", "min", "max"]).reset_index()
    curves = curves.rename(columns={"min": "low", "max": "high"})
    order = [method for method in exhibit.labels if method in set(curves["method"])]
    curves = curves.set_index("method").loc[order].reset_index()
    curves.insert(1, "loss", kind)
    common, longest = _schedules(curves)
    figure = new_figure(max(HEIGHT, ROW * len(order)) + 0.75)
    widths = [1, *([REMAINDER] if longest > common else []), 0.42]
    first, *further, ends = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    _curves(first, curves, order, (0, common))
    for axes in further:
        _remainder(axes, first, curves, order, (common, longest))
    first.set_ylabel(f"{kind} loss {loss}" + ("" if kind == "validation" else "\n(no validation pairs)"))
    _ends(ends, curves, order, exhibit.labels)
    draw_legend(figure, {method: exhibit.labels[method] for method in order}, columns=4)
    return figure, curves


def _schedules(curves: pd.DataFrame) -> tuple[int, int]:
    """Last step that most methods share (the smaller one of a tie), and the last of all."""
    last = curves.groupby("method")["step"].max()
    return int(last.mode().min()), int(last.max())


def _curves(axes: Any, curves: pd.DataFrame, order: list[str], window: tuple[int, int]) -> None:
    """Curves between two steps, each with its markers at other places than the next."""
    low, high = window
    for index, method in enumerate(order):
        line = curves[(curves["method"] == method) & curves["step"].between(low, high)]
        every = max(1, len(line) // 6)
        look: dict[str, Any] = {"marker": marker(method), "markersize": 6, "markeredgecolor": "white"}
        look |= {"markeredgewidth": 0.4, "markevery": (index * every // len(order), every)}
        axes.plot(line["step"], line["mean"], color=colour(method), linewidth=1.2, label=method, **look)
        axes.fill_between(line["step"], line["low"], line["high"], color=colour(method), alpha=0.15, linewidth=0)
    axes.set_xlabel("iteration")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.set_xlim(low, high + 0.02 * (high - low))


def _remainder(axes: Any, first: Any, curves: pd.DataFrame, order: list[str], window: tuple[int, int]) -> None:
    """What is trained beyond the common schedule, on the loss axis of the first panel and a coarser one of steps."""
    last = curves.groupby("method")["step"].max()
    _curves(axes, curves, [method for method in order if last[method] > window[0]], window)
    low, high = min(first.get_ylim()[0], axes.get_ylim()[0]), max(first.get_ylim()[1], axes.get_ylim()[1])
    for panel in (first, axes):
        panel.set_ylim(low, high)
    axes.set_xticks([sum(window) / 2, window[1]], ["", f"{window[1]:,}"])
    axes.set_xlabel("longer")
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.spines["left"].set_visible(False)
    axes.set_facecolor("0.96")


def _ends(axes: Any, curves: pd.DataFrame, order: list[str], labels: dict[str, str]) -> None:
    """Loss after the last iteration of each method, on a scale of its own: mean, and lowest to highest."""
    final = curves.loc[curves.groupby("method")["step"].idxmax()].set_index("method")
    for place, method in enumerate(order):
        x = tuple(float(final.loc[method, name]) for name in ("mean", "low", "high"))
        draw_mean(axes, method, (x[0], x[1], x[2]), (place, np.nan, np.nan))
        axes.annotate(
            f"{x[0]:.4f}".replace("-", "−"),
            (x[0], place),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=6.5,
        )
    axes.set_yticks(range(len(order)), [labels[method] for method in order])
    axes.set_ylim(len(order) - 0.5, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.22)
    axes.locator_params(axis="x", nbins=3)
    axes.set_xlabel("loss at the end")
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
