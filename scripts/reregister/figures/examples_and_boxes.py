"""Two pairs as one method registers them, above box plots of all pairs for every method."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reregister.drawing import NOT_SHOWN, Exhibit, Inputs, colour, draw_mean, marker, new_figure, say
from reregister.exhibits.measures import by_pair, measures_of, read_metrics, with_measures
from reregister.exhibits.options import options_of
from reregister.figures.gallery import cases_of
from reregister.statistics import summarise

IMAGES = ("fixed", "moving", "warped")
# A turn of the golden ratio spreads points evenly without chance.
GOLDEN = 0.618034
# Inches.
STRIP, ROW = 2.0, 0.42


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from the example pairs (npz) and metrics tables.

    Options: measures (`measures_of`; SSIM and mean determinant where left out), a panel of boxes for each; example, the
    method whose pairs are shown (the last with any where left out); ranks, which of its pairs (median and worst). A point
    is a pair, a method's seeds averaged; a box spans the quartiles, its line the median, its whiskers the farthest points
    within 1.5 times its length. Above it stands the mean with its clustered 95 % interval. Returns the figure and its
    numbers: method and the columns of `summarise`, with the quartiles. Where images may not be shown, the figure says so.
    """
    told = options_of(exhibit, measures=["ssim", "mean_det"], example="", ranks=["median", "worst"])
    metrics = read_metrics(exhibit, inputs["metrics"])
    measures = measures_of(exhibit, told["measures"], metrics)
    names = [measure.label for measure in measures]
    pairs = by_pair(with_measures(metrics, measures), names)
    methods = [method for method in exhibit.labels if method in set(pairs["method"])]
    figure = new_figure(STRIP + 0.7 + ROW * len(methods))
    parts: Any = figure.subfigures(2, 1, height_ratios=[STRIP, 0.7 + ROW * len(methods)])
    _strip(parts[0], exhibit, _cases(exhibit, inputs, told))
    numbers = summarise(pairs, ["method"], names)
    quartiles = pairs.melt(["method"], names, "metric").groupby(["method", "metric"])["value"].quantile([0.25, 0.75])
    numbers = numbers.join(quartiles.unstack().set_axis(["quartile_1", "quartile_3"], axis=1), on=["method", "metric"])
    grid = parts[1].subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(grid, names, strict=True):
        cells = numbers[numbers["metric"] == name].set_index("method")
        _boxes(axes, pairs, name, cells, methods)
        axes.set_xlabel(name)
    grid[0].set_yticks(range(len(methods)), [exhibit.labels[method] for method in methods])
    grid[0].set_ylim(len(methods) - 0.5, -0.5)
    return figure, numbers


def _cases(exhibit: Exhibit, inputs: Inputs, told: dict[str, Any]) -> list[dict[str, Any]]:
    """The pairs to show, of one method."""
    cases = cases_of(exhibit, inputs)
    if not cases:
        return []
    example = told["example"] or cases[-1]["method"]
    found = {str(case["rank"]): case for case in cases if case["method"] == example}
    return [found[rank] for rank in told["ranks"] if rank in found]


def _strip(figure: Any, exhibit: Exhibit, cases: list[dict[str, Any]]) -> None:
    if not exhibit.show_images or not cases:
        say(figure, "no pair of this method has a defined score" if exhibit.show_images else NOT_SHOWN)
        return
    for part, case in zip(figure.subfigures(1, len(cases), squeeze=False)[0], cases, strict=True):
        scores = f"NCC {case['ncc_before']:.3f} → {case['ncc_after']:.3f}".replace("-", "−")
        part.suptitle(f"{case['label']}, {case['rank']} pair: {scores}", fontsize="medium")
        for axes, name in zip(part.subplots(1, len(IMAGES)), IMAGES, strict=True):
            axes.imshow(case[name][0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.set_title(name, pad=3)
            sns.despine(ax=axes, left=True, bottom=True)


def _boxes(axes: Any, pairs: pd.DataFrame, name: str, cells: pd.DataFrame, methods: list[str]) -> None:
    for place, method in enumerate(methods):
        values = pairs.loc[pairs["method"] == method, name].to_numpy(float)
        values = values[np.isfinite(values)]
        if not values.size:
            continue
        shade = colour(method)
        parts: dict[str, Any] = {part: {"color": shade} for part in ("boxprops", "whiskerprops", "capprops")}
        parts["medianprops"] = {"color": "black"}
        box: dict[str, Any] = {"orientation": "horizontal", "widths": 0.34, "showfliers": False}
        axes.boxplot([values], positions=[place + 0.08], manage_ticks=False, zorder=2, **box, **parts)
        spread = (np.arange(values.size) * GOLDEN % 1 - 0.5) * 0.26
        look: dict[str, Any] = {"marker": marker(method), "markersize": 2.5, "markeredgewidth": 0, "alpha": 0.55}
        axes.plot(values, place + 0.08 + spread, linestyle="none", color=shade, zorder=1, **look)
        mean, low, high = (float(cells.loc[method, end]) for end in ("mean", "low", "high"))
        draw_mean(axes, method, (mean, low, high), (place - 0.27, np.nan, np.nan))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3, linewidth=0.5)
