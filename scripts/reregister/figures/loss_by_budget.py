"""Loss of several networks against samples, updates and seconds: what looks better on one axis may not on another."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from reregister.drawing import Exhibit, Inputs, colour, draw_legend, marker, new_figure
from reregister.exhibits.budgets import BUDGETS, common_budget, costs_of, curves_of, loss_kind
from reregister.exhibits.options import options_of
from reregister.tables import read_frame, read_results


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from histories and measured steps (CSV): one panel for each of `BUDGETS`, one line for each method.

    Lines are means over a method's networks (seeds and parts) in a band from the lowest to the highest; the dotted line
    is the budget that all methods reached. Seconds are those of training steps alone. Where the pool (CSV) is read too,
    the samples of a training by epochs are exact. Options: loss, its name for the axis.
    Returns the figure and its numbers: budget, method, at, mean, low, high. Raises as `budgets.curves_of`.
    """
    told = options_of(exhibit, loss="loss")
    histories = read_results(list(inputs["histories"]))
    histories = histories[histories["method"].isin(exhibit.labels)]
    images = len(read_frame(inputs["pool"][0])) if inputs.get("pool") else None
    curves = curves_of(histories, costs_of(read_results(list(inputs["steps"]))), images)
    order = [method for method in exhibit.labels if method in set(curves["method"])]
    numbers = pd.concat([_lines(curves, budget) for budget in BUDGETS], ignore_index=True)
    figure = new_figure(3.6)
    panels = figure.subplots(1, len(BUDGETS), sharey=True)
    for axes, (budget, words) in zip(panels, BUDGETS.items(), strict=True):
        _panel(axes, numbers[numbers["budget"] == budget], order)
        axes.axvline(common_budget(curves, budget), color="0.3", linewidth=0.9, linestyle=":", zorder=0)
        axes.set_xlabel(words)
    panels[0].set_ylabel(f"{loss_kind(histories)} {told['loss']}")
    draw_legend(figure, {method: exhibit.labels[method] for method in order})
    return figure, numbers


def _lines(curves: pd.DataFrame, budget: str) -> pd.DataFrame:
    """Mean, lowest and highest loss over the networks of each method at each point of one budget."""
    lines = curves.groupby(["method", budget])["loss"].agg(["mean", "min", "max"]).reset_index()
    lines = lines.rename(columns={budget: "at", "min": "low", "max": "high"})
    return lines.assign(budget=budget)[["budget", "method", "at", "mean", "low", "high"]]


def _panel(axes: Any, numbers: pd.DataFrame, order: list[str]) -> None:
    for method in order:
        line = numbers[numbers["method"] == method]
        look: dict[str, Any] = {"marker": marker(method), "markersize": 4.5, "markeredgecolor": "white"}
        look |= {"markeredgewidth": 0.4, "markevery": max(1, len(line) // 6), "linewidth": 1.1}
        axes.plot(line["at"], line["mean"], color=colour(method), label=method, **look)
        axes.fill_between(line["at"], line["low"], line["high"], color=colour(method), alpha=0.15, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.set_xlim(left=0)
