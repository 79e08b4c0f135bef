"""Training loss of one network, and slices of what it registers: Figs. 4 to 7 of the reduced VoxelMorph paper."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from reregister.drawing import NOT_SHOWN, PALETTE, Exhibit, Inputs, new_figure, say
from reregister.errors import ReregisterError
from reregister.exhibits.options import options_of
from reregister.exhibits.shapes import flat_image
from reregister.tables import read_results

ROWS = ("fixed", "warped", "moving")
# Pairs across: by the method's own score, and one that is the same for all methods.
RANKS = ("best", "median", "worst", "common")


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from histories (CSV) and example pairs (npz) of one method: left the loss, right rows `ROWS`, columns `RANKS`.

    The loss is that of training, at every row of the history, mean over the networks (seeds and parts) in a band from the
    lowest to the highest; points are the validation loss, where there is one. Options: loss, its name for the axis; plane,
    place and axes of the slice of volumes, as of `planes.cut`. Where images may not be shown, the right half says so.
    Returns the figure and the curves' numbers: method, loss (training or validation), step, mean, low, high.
    Raises ReregisterError for several methods.
    """
    told = options_of(exhibit, loss="loss", plane="coronal", place=0.5, axes="RAS")
    if len(exhibit.methods) != 1:
        raise ReregisterError(f"{exhibit.exhibit} shows one network; name one method in the exhibit's methods")
    histories = read_results(list(inputs["histories"]))
    numbers = _numbers(histories[histories["method"].isin(exhibit.labels)])
    figure = new_figure(3.9)
    halves: Any = figure.subfigures(1, 2, width_ratios=[1, 1.25])
    _curves(halves[0], numbers, told["loss"])
    if exhibit.show_images:
        _slices(halves[1], inputs, told)
    else:
        say(halves[1], NOT_SHOWN)
    return figure, numbers


def _numbers(histories: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for kind, column in (("training", "train_loss"), ("validation", "validation_loss")):
        curves = histories.dropna(subset=column).groupby(["method", "step"])[column].agg(["mean", "min", "max"])
        curves = curves.reset_index().rename(columns={"min": "low", "max": "high"})
        curves.insert(1, "loss", kind)
        parts.append(curves)
    return pd.concat(parts, ignore_index=True)


def _curves(figure: Any, numbers: pd.DataFrame, loss: str) -> None:
    axes = figure.subplots()
    training, validation = (numbers[numbers["loss"] == kind] for kind in ("training", "validation"))
    axes.plot(training["step"], training["mean"], color=PALETTE[0], linewidth=0.9, label="training")
    axes.fill_between(training["step"], training["low"], training["high"], color=PALETTE[0], alpha=0.2, linewidth=0)
    if len(validation):
        look: dict[str, Any] = {"marker": "^", "markersize": 5, "markeredgecolor": "white", "linewidth": 1.1}
        axes.plot(validation["step"], validation["mean"], color=PALETTE[1], label="validation", **look)
        axes.legend(frameon=False)
    axes.set(xlabel="step", ylabel=loss)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.25, linewidth=0.5)


def _slices(figure: Any, inputs: Inputs, told: dict[str, Any]) -> None:
    with np.load(inputs["gallery"][0]) as file:
        arrays = {name: file[name] for name in file.files if name in (*ROWS, "rank", "pair_id")}
    ranks = [rank for rank in RANKS if rank in arrays.get("rank", ())]
    if not ranks:
        say(figure, "no pair has a defined score")
        return
    grid = figure.subplots(len(ROWS), len(ranks), squeeze=False, gridspec_kw={"wspace": 0.03, "hspace": 0.03})
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        sns.despine(ax=axes, left=True, bottom=True)
    for column, rank in enumerate(ranks):
        place = list(arrays["rank"]).index(rank)
        for row, name in enumerate(ROWS):
            image = flat_image(arrays[name][place], told["plane"], told["place"], told["axes"])
            grid[row, column].imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        grid[0, column].set_title(str(rank), pad=4)
    for axes, name in zip(grid[:, 0], ROWS, strict=True):
        axes.set_ylabel(name)
