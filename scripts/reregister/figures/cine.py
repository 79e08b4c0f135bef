"""One slice through the whole cycle, every phase registered to one of them: a strip of frames, and a page's cine."""

import re
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reregister.drawing import GREY, NOT_SHOWN, Exhibit, Inputs, colour, marker, new_figure, say
from reregister.errors import ReregisterError
from reregister.exhibits.pixels import frame_uri, grid_lines, outlines
from reregister.figures.gallery import OTHER_LINE

SHOWN = 6
ROWS = ("moving", "registered", "difference\nbefore", "difference\nafter")


def _sequence(exhibit: Exhibit, inputs: Inputs) -> dict[str, Any]:
    """The arrays of the first sequence. Raises ReregisterError for several methods, and for volumes."""
    if len(exhibit.methods) != 1 or not inputs["gallery"]:
        raise ReregisterError(
            f"{exhibit.exhibit} shows one method's sequence; name one method in the exhibit's methods"
        )
    path = inputs["gallery"][0]
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    if arrays["moving"].ndim != 4:
        raise ReregisterError(f"{exhibit.exhibit} shows flat images and {path} holds volumes; show a slice of them")
    return arrays


def phases_of(ids: np.ndarray) -> list[int]:
    """The number at the end of each frame's id, such as 7 of case_s02_p07; 1, 2, 3... unless all have one of their own."""
    ends = [re.search(r"[0-9]+$", str(name)) for name in ids]
    numbers = [int(end[0]) for end in ends if end]
    return numbers if len(set(numbers)) == len(ids) else list(range(1, len(ids) + 1))


def _numbers(arrays: dict[str, Any]) -> pd.DataFrame:
    names = {"method": str(arrays["method"]), "seed": int(arrays["seed"]), "phase": phases_of(arrays["ids"])}
    values = {name: arrays[name].astype(float) for name in ("ncc_before", "ncc_after")}
    return pd.DataFrame({**names, "moving": arrays["ids"].astype(str), **values})


def panels(exhibit: Exhibit, inputs: Inputs) -> dict[str, Any]:
    """What a page needs: the stamp, the kind `sequence`, the fixed image, and the frames in the order of the file.

    A frame has its id, phase, numbers, moving and warped as data URIs (`frame_uri`), the deformed grid and the outline of
    its mask (none where it is not known), both in pixels of the image, height by width. The page itself takes the
    difference from the fixed image. No frame where images may not be shown.
    """
    about: dict[str, Any] = {"stamp": exhibit.stamp, "kind": "sequence", "frames": []}
    if not exhibit.show_images:
        return about
    arrays = _sequence(exhibit, inputs)
    height, width = arrays["fixed"].shape[1:]
    about |= {"method": str(arrays["method"]), "label": exhibit.methods[0][1], "group": str(arrays["group"])}
    about |= {"height": height, "width": width, "fixed": _frame(arrays["fixed"], exhibit)}
    numbers = _numbers(arrays)
    for place, row in enumerate(numbers.to_dict("records")):
        shown = {name: _frame(arrays[name][place], exhibit) for name in ("moving", "warped")}
        values = {name: row[name] if np.isfinite(row[name]) else None for name in ("ncc_before", "ncc_after")}
        lines = {"grid": grid_lines(arrays["ddf"][place]), "outline": outlines(arrays["mask_moving"][place])}
        about["frames"].append({"id": row["moving"], "phase": row["phase"], **values, **shown, **lines})
    return about


def _frame(image: np.ndarray, exhibit: Exhibit) -> str:
    return frame_uri(image[0], exhibit.stamp, exhibit.recipe_id)


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw `SHOWN` frames at equal steps through the sequence (npz) with differences, and NCC over all of them below.

    Returns the figure and the numbers: method, seed, phase, moving, ncc_before, ncc_after. Where images may not be shown,
    the figure is the curve alone. Raises ReregisterError for several methods, and for volumes.
    """
    arrays = _sequence(exhibit, inputs)
    numbers = _numbers(arrays)
    places = np.unique(np.linspace(0, len(numbers) - 1, SHOWN).round().astype(int))
    figure = new_figure(6.9 if exhibit.show_images else 2.6)
    halves: Any = figure.subfigures(2, 1, height_ratios=[4.6, 1.8] if exhibit.show_images else [0.5, 2])
    upper, lower = halves
    if exhibit.show_images:
        _strip(upper, arrays, numbers, places)
    else:
        say(upper, NOT_SHOWN)
    _curve(lower, numbers, places, exhibit)
    return figure, numbers


def _strip(figure: Any, arrays: dict[str, Any], numbers: pd.DataFrame, places: np.ndarray) -> None:
    grid = figure.subplots(len(ROWS), 1 + len(places), squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        sns.despine(ax=axes, left=True, bottom=True)
    fixed = arrays["fixed"][0]
    moving, warped = (arrays[name][places, 0] for name in ("moving", "warped"))
    differences = [np.abs(images - fixed) for images in (moving, warped)]
    highest = max(float(np.nanmax(differences)), 1e-6)
    look: dict[str, Any] = {"interpolation": "nearest"}
    grid[1, 0].imshow(fixed, cmap="gray", vmin=0, vmax=1, **look)
    grid[1, 0].set_title("fixed", pad=3)
    for column, place in enumerate(places, start=1):
        for axes, images in zip(grid[:2, column], (moving, warped), strict=True):
            axes.imshow(images[column - 1], cmap="gray", vmin=0, vmax=1, **look)
        for axes, images in zip(grid[2:, column], differences, strict=True):
            heat = axes.imshow(images[column - 1], cmap="rocket", vmin=0, vmax=highest, **look)
        for line in outlines(arrays["mask_moving"][place]):
            grid[0, column].plot(*np.asarray(line).T, color=OTHER_LINE, linestyle="--", linewidth=0.9)
        grid[0, column].set_title(f"phase {numbers['phase'][place]}", pad=3)
    for axes, label in zip(grid[:, 1], ROWS, strict=True):
        axes.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=5)
    bar = figure.colorbar(heat, ax=grid[2:, -1], location="right", aspect=22, pad=0.06)
    bar.set_label("absolute difference")
    bar.outline.set_linewidth(0)


def _curve(figure: Any, numbers: pd.DataFrame, places: np.ndarray, exhibit: Exhibit) -> None:
    axes = figure.subplots()
    (method, label), at = exhibit.methods[0], np.arange(len(numbers))
    for name, column in (("identity", "ncc_before"), (method, "ncc_after")):
        look: dict[str, Any] = {"marker": marker(name), "markersize": 4.5, "markeredgecolor": "white"}
        axes.plot(at, numbers[column], color=colour(name), linewidth=1.2, markeredgewidth=0.4, **look)
    for place in places:
        axes.axvline(place, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    every = max(1, len(numbers) // 20)
    axes.set_xticks(at[::every], numbers["phase"][::every])
    axes.set_xlabel("phase registered to the fixed one (dotted: shown above)")
    axes.set_ylabel("NCC with fixed")
    axes.grid(axis="y", alpha=0.25, linewidth=0.5)
    named = (("identity", "before registration"), (method, label))
    handles = [Line2D([], [], color=colour(n), marker=marker(n), linewidth=1.2, label=text) for n, text in named]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
