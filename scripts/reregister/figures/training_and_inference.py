"""Labels teach, and are not needed afterwards: training and inference of a label-driven network, Fig. 2 of label_driven."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from reregister.drawing import FONT_SIZE, GREY, WIDTH, Exhibit, Inputs, new_figure
from reregister.errors import ReregisterError
from reregister.exhibits.options import options_of
from reregister.exhibits.pixels import grid_lines
from reregister.exhibits.shapes import SIDE, arrow, box, picture, text
from reregister.exhibits.volume_cases import volume_cases

HEIGHT = 5.5
GRADIENT = "#D55E00"
# Inches: left edges of the columns, lower edges of the rows of training, and of inference.
IMAGES, NETWORK, FIELD, WARP, OUT, LOSS = 0.25, 1.75, 3.45, 4.75, 6.0, 7.2
FIXED, MOVING, LOWER = 4.15, 2.55, 0.5
# Width of a box with words, side of an image of inference.
BOX, SMALLER = 1.15, 0.66
# What flows where: part, from, to.
WAYS = (
    ("training", "moving image", "network"),
    ("training", "fixed image", "network"),
    ("training", "network", "displacement field"),
    ("training", "displacement field", "warp"),
    ("training", "moving labels", "warp"),
    ("training", "warp", "warped labels"),
    ("training", "warped labels", "loss"),
    ("training", "fixed labels", "loss"),
    ("training", "displacement field", "loss"),
    ("training", "loss", "network"),
    ("inference", "moving image", "network"),
    ("inference", "fixed image", "network"),
    ("inference", "network", "displacement field"),
    ("inference", "displacement field", "warp"),
    ("inference", "moving image", "warp"),
    ("inference", "warp", "warped image"),
)


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw both ways with the pair common to all methods (npz) of one method.

    Options: network and loss, words in their boxes; augmentation, words below the images of training ("" for none); plane,
    place and axes as of `volume_examples`. Where images may not be shown, their frames stay empty; the field is drawn
    nevertheless. Returns the figure and what flows where: part, from, to. Raises ReregisterError for several methods and
    as `volume_cases`.
    """
    told = options_of(
        exhibit,
        network="network",
        loss="multi-scale\nDice of labels\n+ bending energy",
        augmentation="each image and its labels\nunder a random affine map",
        plane="coronal",
        place=0.5,
        axes="RAS",
    )
    if len(exhibit.methods) != 1:
        raise ReregisterError(f"{exhibit.exhibit} draws one network; name one method in the exhibit's methods")
    cases = volume_cases(exhibit, inputs, told["plane"], told["place"], told["axes"])
    figure = new_figure(HEIGHT)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    case = cases[0] if cases else {}
    shown = {name: squared(case[name]) for name in case if exhibit.show_images and name in _PICTURES}
    _training(axes, case, shown, told)
    _inference(axes, case, shown, told)
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), xticks=[], yticks=[], aspect="equal")
    return figure, pd.DataFrame(WAYS, columns=["part", "from", "to"])


_PICTURES = ("moving", "fixed", "warped", "mask_moving", "mask_fixed", "mask_warped")
# Labels in shades of blue that are told apart in grey too; black where there is none.
_LABELS = ListedColormap(["#000000", "#deebf7", "#9ecae1", "#6baed6", "#3182bd", "#fdae6b"])


def squared(image: NDArray[Any]) -> NDArray[Any]:
    """An image (H, W) in the middle of a square of its longer side, zeros around it."""
    side = max(image.shape)
    before = [(side - length) // 2 for length in image.shape]
    return np.pad(image, [(b, side - length - b) for b, length in zip(before, image.shape, strict=True)])


def _training(axes: Any, case: dict[str, Any], shown: dict[str, Any], told: dict[str, Any]) -> None:
    _title(axes, HEIGHT - 0.16, "Training: labels are compared, images are not")
    labels = IMAGES + 0.42
    for low, role in ((FIXED, "fixed"), (MOVING, "moving")):
        picture(axes, IMAGES, low, shown.get(role), f"{role} image", above=True)
        _labels(axes, labels + 0.2, low - 0.32, shown.get(f"mask_{role}"))
    text(axes, labels + 0.2 + SIDE / 4, FIXED - 0.44, "fixed labels", fontsize=7)
    text(axes, labels + 0.2 + SIDE / 4, MOVING - 0.44, "moving labels", fontsize=7)
    text(axes, IMAGES - 0.1, MOVING - 0.7, told["augmentation"], ha="left", color=GREY, fontsize=7)
    middle = (FIXED + MOVING + SIDE) / 2
    _chain(axes, middle - SIDE / 2, case, told)
    _frame(axes, OUT, middle - SIDE / 2, SIDE)
    if "mask_warped" in shown:
        _labels(axes, OUT, middle - SIDE / 2, shown["mask_warped"], SIDE)
    text(axes, OUT + SIDE / 2, middle + SIDE / 2 + 0.1, "warped labels", fontsize=FONT_SIZE)
    box(axes, LOSS, middle - SIDE / 2, BOX - 0.1, SIDE, facecolor="white", edgecolor="0.3", linewidth=0.9)
    text(axes, LOSS + (BOX - 0.1) / 2, middle, told["loss"], fontsize=7)
    arrow(axes, (OUT + SIDE, middle), (LOSS, middle))
    # Fixed labels above everything to the loss; moving labels below to the warp; the field below to the loss.
    above = FIXED - 0.3 + SIDE / 4
    _way(axes, [(labels + 0.2 + SIDE / 2, above), (1.65, above), (1.65, 4.75), (LOSS + 0.7, 4.75)], middle + SIDE / 2)
    low = MOVING - 0.3 + SIDE / 4
    _way(axes, [(labels + 0.2 + SIDE / 2, low), (WARP + SIDE / 2, low)], middle - SIDE / 2)
    _way(axes, [(FIELD + SIDE / 2, middle - SIDE / 2), (FIELD + SIDE / 2, 2.9), (LOSS + 0.7, 2.9)], middle - SIDE / 2)
    text(axes, LOSS - 0.55, 3.0, "smoothness", color=GREY, fontsize=7)
    points = [(LOSS + 0.3, middle - SIDE / 2), (LOSS + 0.3, 1.98), (NETWORK + BOX / 2, 1.98)]
    axes.plot(*np.array(points).T, color=GRADIENT, linestyle="--", linewidth=0.9)
    arrow(axes, points[-1], (NETWORK + BOX / 2, middle - SIDE / 2), linestyle="--", color=GRADIENT)
    text(axes, 4.2, 1.88, "gradient", color=GRADIENT)


def _inference(axes: Any, case: dict[str, Any], shown: dict[str, Any], told: dict[str, Any]) -> None:
    axes.plot([0.15, WIDTH - 0.15], [1.62, 1.62], color="0.8", linewidth=0.8)
    _title(axes, 1.48, "Inference: images alone")
    middle = LOWER + SIDE / 2
    low, places = middle - SMALLER / 2, {"fixed": 0.12, "moving": 0.12 + SMALLER + 0.1}
    for role, x in places.items():
        if role in shown:
            _image(axes, x, low, SMALLER, shown[role], cmap="gray", vmin=0, vmax=1)
        _frame(axes, x, low, SMALLER)
        text(axes, x + SMALLER / 2, low + SMALLER + 0.08, role, fontsize=FONT_SIZE)
    _chain(axes, LOWER, case, told, start=places["moving"] + SMALLER)
    picture(axes, OUT, LOWER, shown.get("warped"), "warped image")
    below = places["moving"] + SMALLER / 2
    _way(axes, [(below, low), (below, 0.2), (WARP + SIDE / 2, 0.2)], LOWER)
    text(axes, LOSS + 0.5, middle, "no labels,\nno iterations", color=GREY)


def _chain(axes: Any, low: float, case: dict[str, Any], told: dict[str, Any], start: float | None = None) -> None:
    """From the images to the warp: network, field and warp, in a row."""
    middle = low + SIDE / 2
    if start is None:
        for height in (FIXED + SIDE / 2, MOVING + SIDE / 2):
            points = [(IMAGES + SIDE, height), (1.55, height), (1.55, middle)]
            axes.plot(*np.array(points).T, color="0.25", linewidth=0.9)
    arrow(axes, (1.55 if start is None else start, middle), (NETWORK, middle))
    box(axes, NETWORK, low, BOX, SIDE, facecolor="#fdbe85", edgecolor="0.3", linewidth=0.9)
    text(axes, NETWORK + BOX / 2, middle, told["network"], fontsize=FONT_SIZE)
    arrow(axes, (NETWORK + BOX, middle), (FIELD, middle))
    _frame(axes, FIELD, low, SIDE)
    if case:
        height, width = case["ddf"].shape[1:]
        scale = SIDE / max(height, width)
        shift = np.array([(SIDE - scale * width) / 2, -(SIDE - scale * height) / 2])
        lines = [
            (FIELD, low + SIDE) + shift + scale * (np.asarray(way) + 0.5) * (1, -1) for way in grid_lines(case["ddf"])
        ]
        grid = LineCollection(lines, colors=["#0173B2"], linewidths=0.5)
        axes.add_collection(grid)
        # A displacement may lead out of the image.
        grid.set_clip_path(Rectangle((FIELD, low), SIDE, SIDE, transform=axes.transData))
    text(axes, FIELD + SIDE / 2, low + SIDE + 0.1, "displacement field", fontsize=FONT_SIZE)
    arrow(axes, (FIELD + SIDE, middle), (WARP, middle))
    box(axes, WARP, low, SIDE, SIDE, facecolor="white", edgecolor="0.3", linewidth=0.9)
    text(axes, WARP + SIDE / 2, middle, "warp", fontsize=FONT_SIZE)
    arrow(axes, (WARP + SIDE, middle), (OUT, middle))


def _labels(axes: Any, x: float, y: float, mask: NDArray[Any] | None, side: float = SIDE / 2) -> None:
    if mask is not None:
        colours = np.where(mask > 0, (mask.astype(int) - 1) % (_LABELS.N - 1) + 1, 0)
        _image(axes, x, y, side, colours, cmap=_LABELS, vmin=0, vmax=_LABELS.N - 1, zorder=3)
    _frame(axes, x, y, side)


def _image(axes: Any, x: float, y: float, side: float, image: NDArray[Any], **look: Any) -> None:
    axes.imshow(image, extent=(x, x + side, y, y + side), interpolation="nearest", **look)


def _frame(axes: Any, x: float, y: float, side: float) -> None:
    look: dict[str, Any] = {"facecolor": "none", "edgecolor": "0.3", "linewidth": 0.7, "zorder": 4}
    axes.add_patch(Rectangle((x, y), side, side, **look))


def _title(axes: Any, y: float, words: str) -> None:
    text(axes, 0.15, y, words, ha="left", fontsize=FONT_SIZE, fontweight="bold")


def _way(axes: Any, points: list[tuple[float, float]], end: float) -> None:
    """Lines from place to place, and an arrow up or down to a height at the last."""
    axes.plot(*np.array(points).T, color="0.25", linewidth=0.9)
    arrow(axes, points[-1], (points[-1][0], end))
