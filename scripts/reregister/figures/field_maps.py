"""Fields of several methods on one pair: warped image, deformed grid and map of the Jacobian determinant."""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from reregister.drawing import NOT_SHOWN, WIDTH, Exhibit, Inputs, new_figure, say
from reregister.exhibits.options import options_of
from reregister.exhibits.pixels import determinants, grid_lines
from reregister.figures.pair_comparison import common_cases

# Blue where the field shrinks, orange where it stretches, white where it keeps area. Folds are black: neither.
DIVERGING = sns.diverging_palette(250, 45, s=85, l=55, as_cmap=True)
FOLD, GRID = "#000000", "#0173B2"
# The scale of a map reaches from 1 - reach to 1 + reach; reach is the percentile REACH of the distance from 1.
REACH, LEAST, MOST = 99, 0.1, 1.0


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the pair common to all methods from the example pairs (npz): rows warped, grid, determinant; columns methods.

    Determinants are central differences without the outermost pixel, on one diverging scale around 1; pixels where the
    field folds (determinant 0 or less) are black. Returns the figure and its numbers, one row per method: pair_id,
    min_det, fold_share, mean_det, std_det. Where images may not be shown, the figure says so instead.
    """
    options_of(exhibit)
    cases = common_cases(exhibit, inputs)
    maps = [determinants(case["ddf"]) for case in cases]
    rows = [
        {"method": c["method"], "pair_id": str(c["pair_id"]), **_numbers(m)} for c, m in zip(cases, maps, strict=True)
    ]
    numbers = pd.DataFrame(rows, columns=["method", "pair_id", "min_det", "fold_share", "mean_det", "std_det"])
    if not exhibit.show_images or not cases:
        figure = new_figure(1.2)
        say(figure, "no pair has a defined NCC" if exhibit.show_images else NOT_SHOWN)
        return figure, numbers
    side = min((WIDTH - 0.5) / (1 + len(cases)), 2.1)
    figure = new_figure(3 * side + 1.5)
    grid = figure.subplots(3, 1 + len(cases), squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[], anchor="N")
        sns.despine(ax=axes, left=True, bottom=True)
    for axes, name in zip(grid[:2, 0], ("fixed", "moving"), strict=True):
        axes.imshow(cases[0][name][0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(name, pad=4)
    reach = reach_of(maps)
    for column, (case, found, row) in enumerate(zip(cases, maps, rows, strict=True), start=1):
        grid[0, column].imshow(case["warped"][0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        grid[0, column].set_title(fill(case["label"], 20), pad=4)
        draw_grid(grid[1, column], case["ddf"])
        scale = draw_map(grid[2, column], found, reach)
        grid[2, column].set_xlabel(words_of(row), fontsize=7.5)
    for axes, name in zip(grid[:, 1], ("warped", "grid", "det J"), strict=True):
        axes.set_ylabel(name)
    _key(grid[2, 0], cases[0])
    bar = figure.colorbar(scale, ax=grid[2, 1:], location="bottom", aspect=45, pad=0.04, extend="both")
    bar.set_label("det J: below 1 shrinks, above 1 stretches")
    bar.outline.set_linewidth(0)
    return figure, numbers


def _numbers(found: NDArray[np.float64]) -> dict[str, float]:
    share = float(np.mean(found <= 0))
    return {"min_det": float(found.min()), "fold_share": share, "mean_det": found.mean(), "std_det": found.std()}


def words_of(row: dict[str, Any]) -> str:
    """The numbers of a map, in lines."""
    text = f"mean {row['mean_det']:.4f}, SD {row['std_det']:.3f}\nmin {row['min_det']:.2f}"
    return f"{text}, folds {100 * row['fold_share']:.2g} %".replace("-", "−")


def reach_of(maps: list[NDArray[np.float64]]) -> float:
    """Half the range of the colour scale of several maps."""
    distances = np.abs(np.concatenate([found.ravel() for found in maps]) - 1)
    return float(np.clip(np.percentile(distances, REACH), LEAST, MOST))


def draw_map(axes: Any, found: NDArray[np.float64], reach: float) -> Any:
    """A map of determinants; returns what a colour bar needs."""
    shown = axes.imshow(found, cmap=DIVERGING, vmin=1 - reach, vmax=1 + reach, interpolation="nearest")
    folds = np.ma.masked_where(found > 0, np.ones_like(found))
    axes.imshow(folds, cmap=ListedColormap([FOLD]), interpolation="nearest")
    return shown


def draw_grid(axes: Any, ddf: NDArray[np.floating]) -> None:
    """The deformed grid of a field (2, H, W) in the frame of its image."""
    height, width = ddf.shape[1:]
    axes.add_collection(LineCollection(grid_lines(ddf), colors=[GRID], linewidths=0.6))
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")


def _key(axes: Any, case: dict[str, Any]) -> None:
    text = f"{case['group']}\nfixed: {case['fixed_id']}\nmoving: {case['moving_id']}"
    axes.text(0, 0.98, text, va="top", transform=axes.transAxes, linespacing=1.4, fontsize=7.5)
    axes.legend(
        handles=[Patch(color=FOLD, label="folded, det J ≤ 0")], loc="lower left", frameon=False, borderaxespad=0
    )
