"""Measures by group, the methods beside each other, each with its interval: a panel for each measure.

Groups are those of the pairs, or kinds of images that the table of pairs tells (`by`).
"""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reregister.drawing import Exhibit, Inputs, draw_legend, draw_mean, in_order, new_figure, say
from reregister.exhibits.measures import measures_of, read_metrics, with_measures
from reregister.exhibits.options import options_of
from reregister.statistics import summarise
from reregister.tables import read_frame

# Panels beside each other, and characters of a line of their labels.
COLUMNS, LABEL = 2, 30
NO_KINDS = "kinds of images are not known for these data"


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from metrics tables (and the pairs, for kinds): means over pairs and seeds with clustered 95 % intervals.

    Options: measures (`measures_of`; NCC where left out); groups, those to show in their order; by, columns of the pairs
    that name kinds of images, such as [moving_kind, fixed_kind], which become the groups, in the order of kinds. Pairs of
    images without a known kind are left out, and where no pair is left the figure says so. Returns the figure and its
    numbers: method, group and the columns of `summarise`, of which metric is the measure's label.
    Raises ReregisterError as `measures_of`.
    """
    told = options_of(exhibit, measures=["ncc"], groups=[], by=[], kinds=[])
    metrics = read_metrics(exhibit, inputs["metrics"])
    measures = measures_of(exhibit, told["measures"], metrics)
    metrics = with_measures(metrics, measures)
    groups = [str(group) for group in told["groups"]] or in_order(metrics["group"])
    metrics = metrics[metrics["group"].isin(groups)]
    if told["by"]:
        metrics, groups = _by_kinds(metrics, inputs, told["by"], told["kinds"])
    numbers = summarise(metrics, ["method", "group"], [measure.label for measure in measures])
    if not numbers["n"].any():
        figure = new_figure(1.2)
        say(figure, NO_KINDS if told["by"] else "no pair has a value of these measures")
        return figure, numbers
    groups = [group for group in groups if group in set(numbers["group"])]
    methods = [method for method in exhibit.labels if method in set(numbers["method"])]
    columns = min(COLUMNS, len(measures))
    rows = -(-len(measures) // columns)
    figure = new_figure(0.3 + 3.0 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, measure in zip(grid.flat, measures, strict=False):
        cells = numbers[numbers["metric"] == measure.label].set_index(["method", "group"])[["mean", "low", "high"]]
        draw_groups(axes, cells, methods, groups, exhibit.labels)
        axes.set_ylabel(fill(measure.label, LABEL) + "\n(mean and 95 % interval)")
        if told["by"]:
            _count(axes, metrics, groups)
    for axes in list(grid.flat)[len(measures) :]:
        axes.set_visible(False)
    draw_legend(figure, {method: exhibit.labels[method] for method in methods})
    return figure, numbers


def draw_groups(
    axes: Any, cells: pd.DataFrame, methods: Sequence[str], groups: Sequence[str], labels: dict[str, str]
) -> None:
    """Points with intervals, group by group, the methods side by side in each. Zero is in sight.

    cells: mean, low and high by method and group; cases that are missing are left out.
    """
    for place, group in enumerate(groups):
        if place % 2 == 0:
            axes.axvspan(place - 0.5, place + 0.5, color="0.95", linewidth=0, zorder=0)
        for slot, method in enumerate(methods):
            if (method, group) not in cells.index:
                continue
            x = place + 0.8 * ((slot + 0.5) / len(methods) - 0.5)
            mean, low, high = (float(value) for value in cells.loc[(method, group)])
            draw_mean(axes, method, (x, x, x), (mean, low, high), labels[method])
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_xticks(range(len(groups)), groups)
    axes.tick_params(axis="x", length=0)
    if np.nanmin(cells.to_numpy(float)) >= 0:
        axes.set_ylim(bottom=0)
        for line in axes.lines:
            # Points at 0 stand on the axis whole.
            line.set_clip_on(False)
    axes.set_xlabel("digit" if all(group.isdigit() for group in groups) else "group")
    axes.grid(axis="y", alpha=0.3, linewidth=0.5)


def _by_kinds(
    metrics: pd.DataFrame, inputs: Inputs, by: Sequence[str], kinds: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The metrics with kinds of images as groups, and these in their order."""
    pairs = pd.concat([read_frame(path) for path in inputs["pairs"]]).drop_duplicates("pair_id")
    if not set(by) <= set(pairs.columns):
        return metrics.iloc[:0], []
    pairs = pairs[(pairs[list(by)] != "").all(axis=1)]
    places = {kind: place for place, kind in enumerate(kinds)}
    names = sorted(
        map(tuple, pairs[list(by)].to_numpy()), key=lambda row: [(places.get(k, len(places)), k) for k in row]
    )
    found = pairs.set_index("pair_id")[list(by)].agg(" → ".join, axis=1) if len(pairs) else pd.Series(dtype=str)
    metrics = metrics.assign(group=metrics["pair_id"].map(found)).dropna(subset="group")
    return metrics, list(dict.fromkeys(" → ".join(name) for name in names))


def _count(axes: Any, metrics: pd.DataFrame, groups: Sequence[str]) -> None:
    """The number of pairs below each kind."""
    counts = metrics.groupby("group")["pair_id"].nunique()
    words = [f"{group}\n{counts[group]:,} pair{'' if counts[group] == 1 else 's'}" for group in groups]
    axes.set_xticks(range(len(groups)), words)
    axes.set_xlabel("moving → fixed")
