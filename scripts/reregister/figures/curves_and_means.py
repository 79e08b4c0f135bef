"""Validation loss of the networks of each group, and the groups' mean images before and after registration.

Fig. 2 of de Vos 2017, both halves: learning curves on the left; on the right, for each digit, the mean of all moving
images, the fixed image, and the mean of the registered ones.
"""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reregister.drawing import Exhibit, Inputs, new_figure
from reregister.errors import ReregisterError
from reregister.tables import read_results

ROWS = (("moving", "mean of moving"), ("fixed", "fixed"), ("warped", "mean of registered"))


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
    figure = new_figure(9.6, 3.4)
    halves: Any = figure.subfigures(1, 2, width_ratios=[1, 1.55])
    left, right = halves
    _curves(left, curves)
    _images(right, exhibit, inputs)
    return figure, curves


def _curves(figure: Figure, curves: pd.DataFrame) -> None:
    axes = figure.subplots()
    parts = sorted(curves["part"].unique())
    for part, shade in zip(parts, sns.color_palette("viridis", len(parts)), strict=True):
        line = curves[curves["part"] == part]
        axes.plot(line["step"], line["mean"], color=shade, linewidth=1.1, label=part)
        axes.fill_between(line["step"], line["min"], line["max"], color=shade, alpha=0.2, linewidth=0)
    axes.set_xlabel("iteration")
    axes.set_ylabel("validation loss $L_{NCC}$ = −NCC")
    axes.legend(
        ncols=5, frameon=False, loc="upper right", columnspacing=0.8, handlelength=1.0, title="network for digit"
    )


def _images(figure: Figure, exhibit: Exhibit, inputs: Inputs) -> None:
    if not exhibit.show_images:
        figure.text(0.5, 0.5, "not shown: the terms of the data set\ndo not allow images to be published", ha="center")
        return
    with np.load(inputs["images"][0]) as arrays:
        groups = sorted({name.rsplit(".", 1)[0] for name in arrays.files})
        grid = figure.subplots(len(ROWS), len(groups), squeeze=False)
        for row, (name, label) in enumerate(ROWS):
            for column, group in enumerate(groups):
                axes = grid[row, column]
                axes.imshow(arrays[f"{group}.{name}"][0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                sns.despine(ax=axes, left=True, bottom=True)
                if column == 0:
                    axes.set_ylabel(label, rotation=0, ha="right", va="center")
