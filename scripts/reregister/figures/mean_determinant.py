"""Why the mean Jacobian determinant says nothing of regularity: a field that folds and one that does not have the same.

It is 1 for any field that vanishes at the border, by the divergence theorem; beside it, the pairs of a run.
"""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reregister.drawing import Exhibit, Inputs, colour, draw_legend, marker, new_figure
from reregister.exhibits.measures import by_pair, read_metrics
from reregister.exhibits.options import options_of
from reregister.exhibits.pixels import determinants
from reregister.figures.field_maps import draw_grid, draw_map, reach_of, words_of

# Of the constructed fields: pixels of a side, waves along it, and the amplitude of each, pixels.
SIZE, WAVES = 64, 3
AMPLITUDES = {"smooth": 1.6, "folded": 6.6}
# Below this share, per cent, the axis is linear; left of 0 is a band where fields without folds stand, method by method.
LINEAR = 0.01
BAND = 1.2 * LINEAR


def constructed_field(amplitude: float) -> NDArray[np.float64]:
    """A wave that vanishes at the border, (2, SIZE, SIZE), pixels; amplitude: its largest displacement along an axis."""
    rows, columns = np.meshgrid(*[np.linspace(0, 1, SIZE)] * 2, indexing="ij")
    waves = np.stack([np.sin(2 * np.pi * WAVES * columns), np.sin(2 * np.pi * WAVES * rows)])
    field: NDArray[np.float64] = amplitude * np.sin(np.pi * rows) * np.sin(np.pi * columns) * waves
    return field


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw two constructed fields with their determinants, and mean determinant against folded share from metrics.

    Both fields are one wave at two amplitudes. Points are pairs, a method's seeds averaged; the two constructed fields
    are among them as stars. Returns the figure and its numbers: method (`constructed` for the two), pair_id, mean_det,
    fold_share, and min_det and std_det.
    """
    options_of(exhibit)
    names = ["mean_det", "fold_share", "min_det", "std_det"]
    metrics = read_metrics(exhibit, inputs["metrics"])
    pairs = by_pair(metrics, names)[["method", "pair_id", *names]]
    fields = {name: constructed_field(amplitude) for name, amplitude in AMPLITUDES.items()}
    maps = {name: determinants(field) for name, field in fields.items()}
    made = pd.DataFrame([{"method": "constructed", "pair_id": name, **_numbers(found)} for name, found in maps.items()])
    figure = new_figure(4.4)
    shown: Any = figure.subfigures(1, 2, width_ratios=[1, 1.15])
    grid = shown[0].subplots(2, 2)
    reach = reach_of(list(maps.values()))
    for row, name in enumerate(maps):
        for axes in grid[row]:
            axes.set(xticks=[], yticks=[])
            sns.despine(ax=axes, left=True, bottom=True)
        draw_grid(grid[row, 0], fields[name])
        scale = draw_map(grid[row, 1], maps[name], reach)
        grid[row, 0].set_ylabel(f"{name} field")
        grid[row, 1].set_xlabel(words_of(made.iloc[row].to_dict()), fontsize=7.5)
    grid[0, 0].set_title("grid", pad=4)
    grid[0, 1].set_title("det J (black: folded)", pad=4)
    bar = shown[0].colorbar(scale, ax=grid[:, 1], location="bottom", aspect=20, pad=0.03, extend="both")
    bar.outline.set_linewidth(0)
    methods = [method for method in exhibit.labels if method in set(pairs["method"])]
    _scatter(shown[1].subplots(), pairs, made, methods)
    draw_legend(figure, {method: exhibit.labels[method] for method in methods})
    return figure, pd.concat([made, pairs], ignore_index=True)


def _numbers(found: NDArray[np.float64]) -> dict[str, float]:
    share = float(np.mean(found <= 0))
    return {"mean_det": found.mean(), "fold_share": share, "min_det": found.min(), "std_det": found.std()}


def _scatter(axes: Any, pairs: pd.DataFrame, made: pd.DataFrame, methods: list[str]) -> None:
    axes.axvspan(-BAND, 0, color="0.93", linewidth=0, zorder=0)
    axes.axhline(1, color="0.6", linewidth=0.8, zorder=0)
    for slot, method in enumerate(methods):
        own = pairs[pairs["method"] == method]
        along = 100 * own["fold_share"].where(
            own["fold_share"] > 0, -BAND * (len(methods) - slot) / (len(methods) + 1) / 100
        )
        look: dict[str, Any] = {"marker": marker(method), "color": colour(method), "markersize": 4, "alpha": 0.7}
        axes.plot(along, own["mean_det"], linestyle="none", **look, markeredgewidth=0)
    star: dict[str, Any] = {"marker": "*", "markersize": 12, "color": "black", "markeredgecolor": "white"}
    words: dict[str, Any] = {"xytext": (0, 9), "textcoords": "offset points", "va": "bottom", "zorder": 5}
    words["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1}
    for row in made.to_dict("records"):
        place = (100 * row["fold_share"] or -BAND / 2, row["mean_det"])
        axes.plot(*place, linestyle="none", zorder=4, **star)
        axes.annotate(f"{row['pair_id']} field", place, ha="left" if place[0] < 0 else "right", **words)
    axes.set_xscale("symlog", linthresh=LINEAR)
    most = 100 * max(float(pairs["fold_share"].max()), float(made["fold_share"].max()))
    ticks = [10.0**power for power in range(-2, 3) if 10.0**power <= 2 * most]
    axes.set_xticks([-BAND / 2, *ticks], ["none", *(f"{tick:g}" for tick in ticks)])
    axes.minorticks_off()
    axes.set_xlim(-BAND, 2.5 * most)
    axes.margins(y=0.12)
    axes.set_xlabel("folded pixels, % (linear below 0.01)")
    axes.set_ylabel("mean det J")
    axes.grid(alpha=0.25, linewidth=0.5)
