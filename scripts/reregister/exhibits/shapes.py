"""What schematics are drawn with: words, frames, arrows and pictures at places in inches, and slices of volumes."""

from typing import Any

import numpy as np
from matplotlib.patches import FancyBboxPatch, Rectangle

from reregister.drawing import FONT_SIZE, WIDTH
from reregister.errors import ReregisterError
from reregister.exhibits.planes import cut

SMALL = FONT_SIZE - 1.5
# Inches: side of a picture.
SIDE = 0.85
LINE: dict[str, Any] = {"color": "0.25", "linewidth": 0.9, "solid_capstyle": "butt"}
GRADIENT = "#D55E00"


def text(axes: Any, x: float, y: float, words: str, **look: Any) -> None:
    """Words around a place, in inches; look: of matplotlib."""
    axes.text(x, y, words, **{"ha": "center", "va": "center", "fontsize": SMALL, "linespacing": 1.2, **look})


def box(axes: Any, x: float, y: float, width: float, height: float, **look: Any) -> None:
    """A frame with round corners, in inches."""
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.06", **look))


def arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], **look: Any) -> None:
    """An arrow between two places, in inches."""
    style = {"arrowstyle": "-|>", "color": "0.25", "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
    axes.annotate("", end, start, arrowprops=style | look)


def picture(axes: Any, x: float, y: float, image: Any, name: str, above: bool = False) -> None:
    """An image, or an empty frame with its name where there is none to show."""
    if image is not None:
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(x, x + SIDE, y, y + SIDE), interpolation="nearest")
    axes.add_patch(Rectangle((x, y), SIDE, SIDE, facecolor="none", edgecolor="0.3", linewidth=0.7))
    text(axes, x + SIDE / 2, y + SIDE + 0.1 if above else y - 0.1, name, fontsize=FONT_SIZE)


def to_the_loss(axes: Any, shown: dict[str, Any], loss: str, lower: float, field: tuple[float, float]) -> None:
    """A row below a network: moving image and field meet in the resampler, warped and fixed image in the loss.

    shown: pictures (H, W) moving, warped and fixed, each where there is one to show. loss: words. lower: the row's lower
    edge. field: where the field leaves the network, right of everything else.
    """
    row, above, edge = lower + SIDE / 2, lower + SIDE + 0.16, WIDTH - 0.05
    places = {"moving": 6.35, "warped": 3.75, "fixed": 0.2}
    for name, x in places.items():
        picture(axes, x, lower, shown.get(name), name)
    for x, width, words in ((5.1, SIDE, "resampler"), (1.5, 1.75, loss)):
        box(axes, x, lower, width, SIDE, facecolor="white", edgecolor="0.3", linewidth=0.9)
        text(axes, x + width / 2, row, words, fontsize=FONT_SIZE)
    ways = [(6.35, 5.1 + SIDE), (5.1, 3.75 + SIDE), (3.75, 3.25), (0.2 + SIDE, 1.5)]
    for start, end in ways:
        arrow(axes, (start, row), (end, row))
    # The field comes down along the edge and passes above the moving image.
    middle = 5.1 + SIDE / 2
    axes.plot([field[0], edge, edge, middle], [field[1], field[1], above, above], **LINE)
    arrow(axes, (middle, above + 0.01), (middle, lower + SIDE))
    arrow(axes, (2.375, lower + SIDE), (2.375, lower + SIDE + 0.3), linestyle="--", color=GRADIENT)
    text(axes, 2.45, lower + SIDE + 0.2, "gradient", color=GRADIENT, ha="left")


def flat_image(image: np.ndarray, plane: str, place: float, axes: str) -> np.ndarray:
    """What is shown of an image (C, *spatial), (H, W): a flat one itself, of a volume the slice that `planes.cut` takes.

    Raises ReregisterError for a slice that there is not.
    """
    if image.ndim == 3:
        return image[0]
    try:
        return cut(image[0], plane, place, axes)
    except ValueError as error:
        raise ReregisterError(f"{error}; mend plane, place or axes in the exhibit's options") from error
