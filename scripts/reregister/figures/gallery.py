"""Best, median and worst pair of each method by NCC after registration, to look at: a contact sheet, and a page's images."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from reregister.drawing import NOT_SHOWN, Exhibit, Inputs, colour, new_figure, say
from reregister.errors import ReregisterError
from reregister.pixels import grid_lines, png_uri

COLUMNS = ("moving", "fixed", "warped", "difference\nbefore", "difference\nafter", "grid on\nwarped")
NUMBERS = ("ncc_before", "ncc_after", "fold_share", "field_error")
IDS = ("rank", "pair_id", "moving_id", "fixed_id", "group")
CELL = 1.0


def _cases(exhibit: Exhibit, inputs: Inputs) -> list[dict[str, Any]]:
    """Every pair of the first seed of each method, in the order of the exhibit's methods.

    Raises ReregisterError for volumes, which have no one picture.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for path in inputs["gallery"]:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        method = str(arrays.pop("method"))
        if method in found:
            continue
        count = len(arrays.get("rank", ()))
        found[method] = [{name: array[row] for name, array in arrays.items()} for row in range(count)]
        if count and arrays["moving"].ndim != 4:
            raise ReregisterError(f"{exhibit.exhibit} shows flat images and {path} holds volumes; show slices of them")
    return [{"method": m, "label": label, **case} for m, label in exhibit.methods for case in found.get(m, [])]


def _numbers(cases: list[dict[str, Any]]) -> pd.DataFrame:
    rows = [
        {"method": case["method"], **{n: str(case[n]) for n in IDS}, **{n: float(case[n]) for n in NUMBERS}}
        for case in cases
    ]
    return pd.DataFrame(rows, columns=["method", *IDS, *NUMBERS])


def panels(exhibit: Exhibit, inputs: Inputs) -> dict[str, Any]:
    """What a page needs: the stamp, and for each pair its ids and numbers, images as data URIs, and the deformed grid.

    field_error, in unit, is None where no true field is known. height and width are those of the image itself, in whose
    pixels the grid is given (`grid_lines`). No item where images may not be shown.
    """
    items = []
    for case in _cases(exhibit, inputs) if exhibit.show_images else []:
        numbers = {name: float(case[name]) if np.isfinite(case[name]) else None for name in NUMBERS}
        uris = {n: png_uri(case[n][0], exhibit.stamp, exhibit.recipe_id) for n in ("moving", "fixed", "warped")}
        height, width = case["fixed"].shape[1:]
        about = {"method": case["method"], "label": case["label"], **{name: str(case[name]) for name in (*IDS, "unit")}}
        items.append(
            {**about, **numbers, "height": height, "width": width, **uris, "grid": grid_lines(case["ddf"])},
        )
    return {"stamp": exhibit.stamp, "items": items}


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the contact sheet from the example pairs (npz): a row for each method and rank, `COLUMNS` across.

    Returns the figure and the numbers of the pairs; where images may not be shown, the figure says so instead.
    """
    cases = _cases(exhibit, inputs)
    if not exhibit.show_images or not cases:
        figure = new_figure(1.2)
        say(figure, "no pair has a defined NCC" if exhibit.show_images else NOT_SHOWN)
        return figure, _numbers(cases)
    figure = new_figure(CELL * len(cases) + 0.8)
    ratios = [1.7, *[1] * len(COLUMNS)]
    grid = figure.subplots(len(cases), 1 + len(COLUMNS), squeeze=False, gridspec_kw={"width_ratios": ratios})
    for case, row in zip(cases, grid, strict=True):
        _label(row[0], case)
        difference = _images(row[1:], case)
    for axes, title in zip(grid[0, 1:], COLUMNS, strict=True):
        axes.set_title(title, pad=4)
    bar = figure.colorbar(difference, ax=grid[-1, 4:6], location="bottom", aspect=30, pad=0.1)
    bar.set_label("absolute difference from fixed")
    bar.outline.set_linewidth(0)
    return figure, _numbers(cases)


def _label(axes: Any, case: dict[str, Any]) -> None:
    axes.set_axis_off()
    error = f"\nfield error {case['field_error']:.2f} {case['unit']}" if np.isfinite(case["field_error"]) else ""
    group = f"digit {case['group']}" if str(case["group"]).isdigit() else case["group"]
    text = f"{group} · NCC {case['ncc_before']:.3f} → {case['ncc_after']:.3f}"
    text += f"\nfolds {100 * case['fold_share']:.2g} %{error}"
    place = {"transform": axes.transAxes, "linespacing": 1.35}
    axes.text(0, 0.95, f"{case['label']}: {case['rank']}", va="top", fontweight="bold", **place)
    axes.text(0, 0.72, text, va="top", **place)
    axes.plot([-0.06, -0.06], [0.02, 0.98], color=colour(case["method"]), linewidth=3, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _images(row: Any, case: dict[str, Any]) -> Any:
    """The six pictures of a pair; returns one of the maps of differences, for the colour bar."""
    moving, fixed, warped = (case[name][0] for name in ("moving", "fixed", "warped"))
    for axes in row:
        axes.set(xticks=[], yticks=[])
        sns.despine(ax=axes, left=True, bottom=True)
    for axes, image in zip((row[0], row[1], row[2], row[5]), (moving, fixed, warped, warped), strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for axes, image in ((row[3], moving), (row[4], warped)):
        difference = axes.imshow(np.abs(image - fixed), cmap="rocket", vmin=0, vmax=1, interpolation="nearest")
    row[5].add_collection(LineCollection(grid_lines(case["ddf"]), colors=["#56B4E9"], linewidths=0.5))
    row[5].set(xlim=(-0.5, fixed.shape[1] - 0.5), ylim=(fixed.shape[0] - 0.5, -0.5))
    return difference
