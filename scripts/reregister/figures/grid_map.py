"""A search over a grid of two settings as heat maps with the numbers in the cells."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from reregister.drawing import PALETTE, Exhibit, Inputs, new_figure
from reregister.exhibits.measures import NAMES
from reregister.exhibits.options import options_of
from reregister.figures.grid_table import OPTIONS, settings_of, tabulate

# Of the maps: dark is low, which is good. Values that spread further than SPREAD have colours by their logarithm.
COLOURS, SPREAD = "cividis", 5
FRAME = PALETTE[1]
# Settings by the name that labels give them.
WORDS = {"lr": "learning rate", "λ": "weight of the smoothness term, λ"}


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from histories (and metrics, where read): validation loss at the end, and the metric of the test pairs.

    Rows are the first setting of the labels, columns the second. A frame marks the optimum of the paper, a star the
    lowest value found; cells that were not searched are empty. Options as those of grid_table. Returns the figure and its
    numbers, those of that table.
    """
    told = options_of(exhibit, **OPTIONS)
    table, settings = tabulate(exhibit, inputs), settings_of(exhibit)
    marked = tuple(settings.loc[told["marked"]]) if told["marked"] in settings.index else None
    titles = {"validation_loss": "validation loss at the end"}
    if told["metric"] in table:
        titles[told["metric"]] = f"{NAMES.get(told['metric'], told['metric'])} of the test pairs"
    names: list[str] = list(settings.columns)
    rows, columns = (sorted(table[name].unique(), reverse=name == names[0]) for name in names)
    figure = new_figure(max(1.6 + 0.55 * len(rows), 2.6))
    for axes, (value, title) in zip(figure.subplots(1, len(titles), squeeze=False)[0], titles.items(), strict=True):
        cells = table.pivot(index=names[0], columns=names[1], values=value).reindex(index=rows, columns=columns)
        _map(axes, cells, marked)
        axes.set_title(title, pad=5)
        axes.set_xlabel(WORDS.get(names[1], names[1]))
        axes.set_ylabel(WORDS.get(names[0], names[0]))
    star: dict[str, Any] = {"marker": "*", "markersize": 9, "color": "0.2", "linestyle": "none"}
    handles: list[Any] = [Line2D([], [], label="lowest value found", **star)]
    if marked:
        handles.append(Patch(facecolor="none", edgecolor=FRAME, linewidth=2.5, label="optimum of the paper"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure, table


def _map(axes: Any, cells: pd.DataFrame, marked: tuple[float, ...] | None) -> None:
    values = cells.to_numpy(float)
    found = values[np.isfinite(values)]
    low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 1.0)
    norm = LogNorm(low, high) if low > 0 and high > SPREAD * low else Normalize(low, high if high > low else low + 1)
    shown = mpl.colormaps[COLOURS]
    axes.imshow(np.ma.masked_invalid(values), cmap=shown, norm=norm, aspect="auto")
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        if not np.isfinite(value):
            axes.text(column, row, "–", ha="center", va="center", color="0.4")
            continue
        shade = "white" if np.dot(shown(norm(value))[:3], (0.299, 0.587, 0.114)) < 0.5 else "black"
        axes.text(column, row, f"{value:.4f}".replace("-", "−"), ha="center", va="center", color=shade)
        if value == low:
            axes.plot(column, row - 0.3, marker="*", markersize=9, color=shade, markeredgewidth=0)
        if marked == (cells.index[row], cells.columns[column]):
            look: dict[str, Any] = {"facecolor": "none", "edgecolor": FRAME, "linewidth": 2.5}
            axes.add_patch(Rectangle((column - 0.47, row - 0.46), 0.94, 0.92, **look))
    for axis, places in ((axes.xaxis, cells.columns), (axes.yaxis, cells.index)):
        axis.set_ticks(range(len(places)), [f"{place:g}" for place in places])
        axis.set_tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
