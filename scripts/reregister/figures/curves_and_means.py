"""Validation loss of the networks of each group, and the groups' mean images before and after registration.

Fig. 2 of de Vos 2017, both halves: learning curves on the left; on the right, for each digit, the mean of all moving
images, the fixed image, and the mean of the registered ones.
"""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reregister.drawing import NOT_SHOWN, Exhibit, Inputs, in_order, new_figure, say
from reregister.errors import ReregisterError
from reregister.tables import read_results

ROWS = (("moving", "mean of\nmoving"), ("fixed", "fixed"), ("warped", "mean of\nregistered"))
# Groups beside each other; more begin a second block below.
COLUMNS = 5
# Colour is never the only sign of a curve: with ten markers and a colour for each, no two curves look alike.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from histories (CSV) and mean images (npz, arrays `<group>.<moving|fixed|warped>`) of one trained method.

    With several seeds the curves are their mean in a band from the lowest to the highest, the images those of the first.
    Where images may not be shown, the right half says so. Returns the figure and the curves' numbers: part, step, mean,
    lowest and highest validation loss over the seeds. Raises ReregisterError for histories of several methods.
    """
    histories = read_results(list(inputs["histories"]))
    methods = sorted(histories["method"].unique())
    if len(methods) != 1:
        raise ReregisterError(
            f"{exhibit.exhibit} draws one trained method and got {', '.join(methods)}; name one in the exhibit's methods"
        )
    losses = histories.groupby(["part", "step"])["validation_loss"]
    curves = losses.agg(["mean", "min", "max"]).reset_index().sort_values(["part", "step"])
    figure = new_figure(4.7)
    halves: Any = figure.subfigures(1, 2, width_ratios=[1, 1.25])
    _curves(halves[0], curves)
    _images(halves[1], exhibit, inputs)
    return figure, curves


def _curves(figure: Figure, curves: pd.DataFrame) -> None:
    axes = figure.subplots()
    parts = in_order(curves["part"])
    for index, (part, shade) in enumerate(zip(parts, sns.color_palette("viridis", len(parts)), strict=True)):
        line = curves[curves["part"] == part]
        every = max(1, len(line) // 5)
        look: dict[str, Any] = {
            "marker": MARKERS[index % len(MARKERS)],
            "markersize": 4,
            "markevery": (index % every, every),
        }
        axes.plot(line["step"], line["mean"], color=shade, linewidth=1.1, label=part, markeredgewidth=0, **look)
        axes.fill_between(line["step"], line["min"], line["max"], color=shade, alpha=0.2, linewidth=0)
    axes.set_xlabel("iteration")
    axes.set_ylabel("validation loss $L_{NCC}$ = −NCC")
    axes.grid(alpha=0.25, linewidth=0.5)
    title = "network for digit" if all(part.isdigit() for part in parts) else "network for"
    figure.legend(
        *axes.get_legend_handles_labels(),
        ncols=min(COLUMNS, len(parts)),
        frameon=False,
        loc="outside upper center",
        columnspacing=1.2,
        handlelength=1.6,
        title=title,
    )


def _images(figure: Any, exhibit: Exhibit, inputs: Inputs) -> None:
    if not exhibit.show_images:
        say(figure, NOT_SHOWN)
        return
    with np.load(inputs["images"][0]) as arrays:
        groups = in_order(name.rsplit(".", 1)[0] for name in arrays.files)
        columns = min(COLUMNS, len(groups))
        blocks = -(-len(groups) // columns)
        grid = figure.subplots(len(ROWS) * blocks, columns, squeeze=False, gridspec_kw={"wspace": 0, "hspace": 0})
        for axes in grid.flat:
            axes.set_axis_off()
        for place, group in enumerate(groups):
            block, column = divmod(place, columns)
            for row, (name, label) in enumerate(ROWS):
                axes = grid[len(ROWS) * block + row, column]
                axes.set_axis_on()
                axes.imshow(arrays[f"{group}.{name}"][0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                sns.despine(ax=axes, left=True, bottom=True)
                if row == 0:
                    axes.set_title(group, pad=2)
                if column == 0:
                    axes.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=4)
