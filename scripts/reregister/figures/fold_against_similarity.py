"""Similarity against folding for every method, one panel a group: a good match bought with folds is seen as such."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from reregister.comparison import ALL
from reregister.drawing import Exhibit, Inputs, Interval, draw_legend, draw_mean, in_order, new_figure
from reregister.exhibits.options import options_of
from reregister.exhibits.scores import has
from reregister.statistics import summarise
from reregister.tables import read_results

COLUMNS = 5
SCORES = {"ncc": "NCC of warped and fixed", "dice": "Dice of the warped and the fixed labels", "ssim": "SSIM"}
NCC_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
# Where one panel has the room of all.
FINE_TICKS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, *NCC_TICKS[2:])
# A decade of per cent is one unit along x; methods that fold nowhere stand side by side left of the decades.
SLOT, NARROW_SLOT = 0.32, 0.16


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from metrics tables: per method and group the mean NCC and mean share of folded voxels with 95 % intervals.

    Options: scores, metrics from 0 to 1 of which the first that the data have is shown (NCC where left out, otherwise such
    as [dice, ncc]); together, whether all groups stand in one panel. A voxel is folded where the Jacobian determinant is
    not positive. The score is spread towards 1 (by log10(1 - NCC)), the share is logarithmic, and a grey band holds the
    methods without any fold, in their order. Returns the figure and its numbers, one row for each method, group and metric.
    """
    told = options_of(exhibit, scores=["ncc"], together=False)
    metrics = read_results(list(inputs["metrics"]))
    score = next((name for name in told["scores"] if has(metrics, name)), "ncc")
    metrics = metrics.assign(group=ALL) if told["together"] else metrics
    numbers = summarise(metrics, ["method", "group"], [score, "fold_share"])
    cells = numbers.set_index(["method", "group", "metric"])[["mean", "low", "high"]]
    groups, methods = in_order(numbers["group"]), [m for m in exhibit.labels if m in set(numbers["method"])]
    columns = min(COLUMNS, len(groups))
    rows = -(-len(groups) // columns)
    figure = new_figure(0.9 + (3.0 if told["together"] else 1.75) * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    first, last = _decades(numbers, len(methods))
    width, marks = (NARROW_SLOT, FINE_TICKS) if told["together"] else (SLOT, NCC_TICKS)
    band = (len(methods) + 1) * width
    for axes, group in zip(grid.flat, groups, strict=False):
        axes.axvspan(first - band, first, color="0.93", linewidth=0, zorder=0)
        for slot, method in enumerate(methods):
            x, y = (_interval(cells.loc[(method, group, name)]) for name in ("fold_share", score))
            draw_mean(axes, method, _along(x, first, (slot - len(methods)) * width), y, exhibit.labels[method])
        if not told["together"]:
            axes.set_title(f"digit {group}" if group.isdigit() else group, pad=3)
    for axes in list(grid.flat)[len(groups) :]:
        axes.set_visible(False)
    _scales(grid[0, 0], numbers[numbers["metric"] == score], marks, (first - band, first, last))
    for axes in grid[-1]:
        axes.set_xlabel("folded pixels, %")
    for axes in grid[:, 0]:
        axes.set_ylabel(SCORES.get(score, score))
    draw_legend(figure, {method: exhibit.labels[method] for method in methods})
    return figure, numbers


def _interval(cell: "pd.Series[float]") -> Interval:
    return float(cell["mean"]), float(cell["low"]), float(cell["high"])


def _decades(numbers: pd.DataFrame, methods: int) -> tuple[float, float]:
    """Left and right end of the logarithmic part, in powers of ten of per cent; 0.01 % to 1 % at least."""
    shares = 100 * numbers.loc[numbers["metric"] == "fold_share", ["mean", "high"]].to_numpy(float)
    found = shares[np.isfinite(shares) & (shares > 0)]
    least, most = (found.min(), found.max()) if found.size else (0.01, 1.0)
    return float(min(np.floor(np.log10(least)), -2)), float(max(np.log10(most) + 0.2, 0))


def _along(share: Interval, first: float, slot: float) -> Interval:
    """Place of a share: its slot in the band where it is 0, else its logarithm; bounds below the decades end at them."""
    if share[0] <= 0:
        return first + slot, np.nan, np.nan
    place, low, high = (np.log10(100 * max(value, 1e-12)) for value in share)
    return float(place), float(max(low, first)), float(high)


def _spread(ncc: ArrayLike) -> NDArray[np.float64]:
    return -np.log10(np.clip(1 - np.asarray(ncc, dtype=np.float64), 1e-6, None))


def _scales(axes: Any, scores: pd.DataFrame, marks: Sequence[float], ends: tuple[float, float, float]) -> None:
    """Limits, ticks and scales, which all panels share. ends: of the axis, with that of the band between them."""
    axes.set_yscale("function", functions=(_spread, lambda places: 1 - 10 ** -np.asarray(places, dtype=np.float64)))
    values = scores[["mean", "low", "high"]].to_numpy(float)
    values = _spread(values[np.isfinite(values)])
    low, high = (1 - 10 ** -(float(edge)) for edge in (values.min() - 0.12, values.max() + 0.12))
    ticks = [tick for tick in marks if low <= tick <= high]
    axes.set_ylim(low, high)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    start, first, last = ends
    powers = np.arange(first, np.floor(last) + 1)
    axes.set_xlim(start, last)
    axes.set_xticks([(start + first) / 2, *powers], ["none", *(f"{10.0**power:g}" for power in powers)])
