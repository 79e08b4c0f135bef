"""One pair of volumes registered by several methods, row by row, in one slice with the outlines of the scored labels."""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reregister.drawing import NOT_SHOWN, WIDTH, Exhibit, Inputs, new_figure, say
from reregister.errors import ReregisterError
from reregister.exhibits.options import options_of
from reregister.exhibits.pixels import outlines
from reregister.exhibits.volume_cases import volume_cases
from reregister.figures.field_maps import draw_grid
from reregister.figures.gallery import FIXED_LINE, OTHER_LINE, numbers_of

LAST = {"grid": "grid", "difference": "difference from fixed"}
# Inches: room for a method's name, largest side of an image.
NAMES, LARGEST = 1.5, 1.6


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the pair common to all methods from the example pairs (npz): one row per method.

    Options: plane (coronal where left out, sagittal, axial), place (0.5, the middle), axes (where the volumes' lead, RAS
    where left out), last (`grid`, the part of the field that lies in the slice, or `difference`). Columns: moving, fixed,
    warped, last; outlines of each scored label of the fixed image (solid) and of the image shown (dashed). Returns the
    figure and the pair's numbers, one row per method; where images may not be shown, the figure says so instead. Raises
    ReregisterError for another `last` and as `volume_cases`.
    """
    told = options_of(exhibit, plane="coronal", place=0.5, axes="RAS", last="grid")
    if told["last"] not in LAST:
        raise ReregisterError(f"{exhibit.exhibit} has the option last {told['last']}; it is {' or '.join(LAST)}")
    cases = volume_cases(exhibit, inputs, told["plane"], told["place"], told["axes"])
    if not exhibit.show_images or not cases:
        figure = new_figure(1.2)
        say(figure, "no pair has a defined score" if exhibit.show_images else NOT_SHOWN)
        return figure, numbers_of(cases)
    height, width = cases[0]["fixed"].shape
    side = min((WIDTH - NAMES) / 4, LARGEST * min(width / height, 1.3))
    figure = new_figure(len(cases) * (side * height / width + 0.12) + 0.75)
    grid = figure.subplots(len(cases), 4, squeeze=False)
    highest = max(float(np.abs(case["warped"] - case["fixed"]).max()) for case in cases)
    for axes, case in zip(grid, cases, strict=True):
        _row(axes, case, told["last"], max(highest, 1e-6))
    for axes, name in zip(grid[0], ("moving", "fixed", "warped", LAST[told["last"]]), strict=True):
        axes.set_title(name, pad=4)
    if any(case["mask_fixed"].any() for case in cases):
        handles = [Line2D([], [], color=FIXED_LINE, label="labels of the fixed image")]
        handles += [Line2D([], [], color=OTHER_LINE, linestyle="--", label="labels of the image shown")]
        place: dict[str, Any] = {"loc": "outside lower center", "ncols": 2, "facecolor": "0.25", "framealpha": 1}
        figure.legend(handles=handles, **place, labelcolor="white", edgecolor="none")
    return figure, numbers_of(cases)


def _row(row: Any, case: dict[str, Any], last: str, highest: float) -> None:
    for axes in row:
        axes.set(xticks=[], yticks=[])
        sns.despine(ax=axes, left=True, bottom=True)
    for axes, role in zip(row, ("moving", "fixed", "warped"), strict=False):
        axes.imshow(case[role], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        _outlines(axes, case, role)
    if last == "grid":
        draw_grid(row[3], case["ddf"])
    else:
        left = np.abs(case["warped"] - case["fixed"])
        row[3].imshow(left, cmap="rocket", vmin=0, vmax=highest, interpolation="nearest")
    words = [fill(case["label"], 20)]
    if np.isfinite(case["dice_after"]):
        words.append(f"Dice {case['dice_after']:.3f}")
    words.append(f"folds {100 * case['fold_share']:.2g} %")
    look: dict[str, Any] = {"rotation": 0, "ha": "right", "va": "center", "labelpad": 6, "linespacing": 1.4}
    row[0].set_ylabel("\n".join(words), **look)


def _outlines(axes: Any, case: dict[str, Any], role: str) -> None:
    """Outlines of each label in the slice, those of the fixed image below."""
    for name in dict.fromkeys(("fixed", role)):
        look: dict[str, Any] = {"color": FIXED_LINE} if name == "fixed" else {"color": OTHER_LINE, "linestyle": "--"}
        mask = case[f"mask_{name}"]
        for number in np.unique(mask[mask > 0]):
            for line in outlines(mask == number):
                axes.plot(*np.asarray(line).T, linewidth=0.8, **look)
