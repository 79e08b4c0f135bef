"""A registration network as it was trained: every block of its module list, and the way from a pair to the loss.

Fig. 1 of de Vos 2017: regressor, grid of control points, B-spline transformer, displacement field, resampler, loss. A
network whose features grow again is drawn level by level instead, as Figs. 1 to 3 of the reduced VoxelMorph paper.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from reregister.card import read_card
from reregister.drawing import FONT_SIZE, GREY, WIDTH, Exhibit, Inputs, new_figure
from reregister.errors import ReregisterError
from reregister.exhibits.blocks import blocks_of, what_it_does, what_it_has
from reregister.exhibits.levels import goes_up
from reregister.exhibits.options import options_of
from reregister.exhibits.pixels import grid_lines
from reregister.exhibits.shapes import SIDE, SMALL, arrow, box, picture, text
from reregister.exhibits.unet_drawing import draw_unet

WORDS = {
    "Conv2d": "convolution",
    "BatchNorm1d": "batch normalisation",
    "BatchNorm2d": "batch normalisation",
    "AvgPool2d": "average pooling",
    "MaxPool2d": "maximum pooling",
    "Linear": "fully connected",
}
ORDERS = {2: "quadratic", 3: "cubic"}
# More blocks than these stand so close that their numbers are set smaller and without a word beside each.
ROOMY = 10
# Of the kinds of blocks, in the order in which they come.
FILLS = ("#6baed6", "#e8e8e8", "#e08214", "#54278f", "#1b7837")
HEIGHT = 4.3
# Inches: middle of the regressor, lower edge of the row below it.
MIDDLE, LOWER = 2.95, 0.5
LEFT, RIGHT = 1.45, 7.05


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the network of the first card; the pair shown is the median one of the method's example pairs (npz).

    Options, for a network with a decoder alone: title, its name; skips, `concatenated` or `added`, which no module list
    tells; loss, what is minimised; plane, place and axes of the slice of volumes, as of `planes.cut`.
    Returns the figure and its blocks as numbers. Raises ReregisterError for several methods.
    """
    if len(exhibit.methods) != 1:
        raise ReregisterError(f"{exhibit.exhibit} draws one network; name one method in the exhibit's methods")
    card = read_card(inputs["cards"][0])
    if goes_up(card):
        told = options_of(exhibit, title="", skips="concatenated", loss="loss", plane="coronal", place=0.5, axes="RAS")
        pair = median_pair(inputs) if exhibit.show_images else {}
        return draw_unet(card, {name: image for name, image in pair.items() if name != "ddf"}, told)
    options_of(exhibit)
    blocks = blocks_of(card)
    figure = new_figure(HEIGHT)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), xticks=[], yticks=[], aspect="equal")
    axes.set_axis_off()
    pair = median_pair(inputs)
    _regressor(axes, blocks, card)
    _pictures(axes, pair, exhibit.show_images)
    _grid(axes, blocks.iloc[-1], card)
    _transformer(axes, card, pair)
    _ways(axes)
    return figure, blocks


def median_pair(inputs: Inputs) -> dict[str, Any]:
    """Images and field of the median pair of the first example file; nothing where it has no pair."""
    with np.load(inputs["gallery"][0]) as arrays:
        if "rank" not in arrays.files:
            return {}
        place = list(arrays["rank"]).index("median")
        return {name: arrays[name][place] for name in ("moving", "fixed", "warped", "ddf")}


def _regressor(axes: Any, blocks: pd.DataFrame, card: dict[str, Any]) -> None:
    """The blocks in a row, each as high as the side of what it puts out, in a frame of their own."""
    box(axes, LEFT - 0.2, 1.62, RIGHT - LEFT + 0.25, 2.6, facecolor="0.975", edgecolor="0.75", linewidth=0.8)
    title = f"ConvNet regressor of the trained network: {card['parameters']:,} parameters"
    text(axes, (LEFT + RIGHT) / 2, 4.08, title, fontsize=FONT_SIZE)
    kinds = list(dict.fromkeys(blocks["kind"]))
    step, size = (RIGHT - LEFT) / len(blocks), SMALL if len(blocks) <= ROOMY else SMALL - 1
    for place, row in enumerate(blocks.to_dict("records")):
        x, side = LEFT + step * (place + 0.42), max(0.95 * row["height"] / blocks["height"].max(), 0.08)
        fill, half = FILLS[kinds.index(row["kind"]) % len(FILLS)], min(0.14, 0.27 * step)
        axes.add_patch(
            Rectangle((x - half, MIDDLE - side / 2), 2 * half, side, facecolor=fill, edgecolor="0.3", linewidth=0.7)
        )
        if place:
            arrow(axes, (x - step + half + 0.02, MIDDLE), (x - half - 0.02, MIDDLE))
        before = blocks["height"].iloc[place - 1] if place else 0
        text(axes, x, 3.92, what_it_does(row, before), va="top", fontsize=size)
        words = what_it_has(row) if len(blocks) <= ROOMY else what_it_has(row, word="")
        text(axes, x, 2.4, words, va="top", color=GREY, fontsize=size)
    handles = [
        Patch(facecolor=FILLS[i % len(FILLS)], edgecolor="0.3", linewidth=0.7, label=_words(k))
        for i, k in enumerate(kinds)
    ]
    middle = ((LEFT + RIGHT) / 2 / WIDTH, 1.64 / HEIGHT)
    axes.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=middle,
        ncols=3 if len(kinds) < 4 else 2,
        frameon=False,
        fontsize=SMALL,
        handlelength=1,
    )


def _words(kind: str) -> str:
    types = kind.split(" + ")
    text = ", ".join(WORDS.get(name, name) for name in types)
    return f"{text}, linear" if types in (["Conv2d"], ["Linear"]) else text


def _pictures(axes: Any, pair: dict[str, Any], show: bool) -> None:
    shown = {name: pair[name][0] if show and pair else None for name in ("moving", "fixed", "warped")}
    picture(axes, 0.2, 3.1, shown["fixed"], "fixed", above=True)
    picture(axes, 0.2, 1.85, shown["moving"], "moving", above=True)
    picture(axes, 2.3, LOWER, shown["warped"], "warped")
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))


def _grid(axes: Any, last: "pd.Series[Any]", card: dict[str, Any]) -> None:
    """The control points at their places in the image."""
    x, y = 7.35, MIDDLE - SIDE / 2
    axes.add_patch(Rectangle((x, y), SIDE, SIDE, facecolor="white", edgecolor="0.3", linewidth=0.7))
    rows, columns = int(last["height"]), int(last["width"])
    across, down = ((np.arange(n) + 0.5) / n * SIDE for n in (columns, rows))
    points = np.array([(x + a, y + d) for a in across for d in down])
    axes.plot(*points.T, linestyle="none", marker=".", markersize=3.5, color="#0173B2", markeredgewidth=0)
    spacing = card["image_shape"][-1] / columns
    text(axes, x + SIDE / 2, y + SIDE + 0.16, "control\npoints", fontsize=FONT_SIZE)
    text(axes, x + SIDE / 2, y - 0.06, f"{rows}×{columns}, spacing\n{spacing:g} px", va="top", color=GREY)


def _transformer(axes: Any, card: dict[str, Any], pair: dict[str, Any]) -> None:
    """From control points to the field, and from the field to the warped image and its loss."""
    for x, name in ((7.1, _spline(card["params"])), (3.8, "resampler"), (0.2, "loss\n−NCC")):
        box(axes, x, LOWER, 1.1 if x > 7 else SIDE, SIDE, facecolor="white", edgecolor="0.3", linewidth=0.9)
        text(axes, x + (0.55 if x > 7 else SIDE / 2), LOWER + SIDE / 2, name, fontsize=FONT_SIZE)
    x = 5.45
    axes.add_patch(Rectangle((x, LOWER), SIDE, SIDE, facecolor="white", edgecolor="0.3", linewidth=0.7))
    height, width = card["modules"][-1]["shape"][-2:]
    if pair:
        scale = SIDE / max(height, width)
        lines = [(x, LOWER + SIDE) + scale * (np.asarray(line) + 0.5) * (1, -1) for line in grid_lines(pair["ddf"])]
        axes.add_collection(LineCollection(lines, colors=["#0173B2"], linewidths=0.5))
    text(axes, x + SIDE / 2, LOWER - 0.1, f"displacement field, {height}×{width}", fontsize=FONT_SIZE)


def _spline(params: dict[str, Any]) -> str:
    """Name of the transformer, in lines."""
    if params.get("transformer") == "thin_plate":
        return "thin-plate\nspline\ntransformer"
    misaligned = "\n(misaligned)" if params.get("transformer") == "bspline_misaligned" else ""
    return f"{ORDERS.get(params.get('order', 0), '')}\nB-spline\ntransformer{misaligned}".strip()


def _ways(axes: Any) -> None:
    """What goes where. Dashed is the way back of the gradient."""
    line: dict[str, Any] = {"color": "0.25", "linewidth": 0.9, "solid_capstyle": "butt"}
    row = LOWER + SIDE / 2
    for height in (3.1 + SIDE / 2, 1.85 + SIDE / 2):
        axes.plot([0.2 + SIDE, 1.16, 1.16], [height, height, MIDDLE], **line)
    arrow(axes, (1.16, MIDDLE), (LEFT + 0.06, MIDDLE))
    arrow(axes, (RIGHT, MIDDLE), (7.33, MIDDLE))
    arrow(axes, (7.35 + SIDE / 2, 2.1), (7.35 + SIDE / 2, LOWER + SIDE + 0.02))
    for start, end in ((7.1, 5.45 + SIDE), (5.45, 3.8 + SIDE), (3.8, 2.3 + SIDE), (2.3, 0.2 + SIDE)):
        arrow(axes, (start - 0.02, row), (end + 0.02, row))
    # The moving image passes below the regressor to the resampler, the fixed one along the edge to the loss.
    axes.plot([0.2 + SIDE / 2, 0.2 + SIDE / 2, 3.8 + SIDE / 2], [1.85, 1.52, 1.52], **line)
    arrow(axes, (3.8 + SIDE / 2, 1.52), (3.8 + SIDE / 2, LOWER + SIDE + 0.02))
    axes.plot([0.2, 0.08, 0.08], [3.1 + SIDE / 2, 3.1 + SIDE / 2, row], **line)
    arrow(axes, (0.08, row), (0.19, row), mutation_scale=5)
    arrow(axes, (0.2 + SIDE - 0.05, LOWER + SIDE), (1.75, 1.6), linestyle="--", color="#D55E00")
    text(axes, 1.5, 1.28, "gradient", color="#D55E00", ha="left")
