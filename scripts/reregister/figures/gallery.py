"""Best, median and worst pair of each method, and one common to all, to look at: a contact sheet, and a page's images."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from reregister.drawing import NOT_SHOWN, Exhibit, Inputs, colour, new_figure, say
from reregister.errors import ReregisterError
from reregister.exhibits.options import options_of
from reregister.exhibits.pixels import grid_lines, outlines, png_uri
from reregister.exhibits.planes import cut, cut_field

COLUMNS = ("moving", "fixed", "warped", "difference\nbefore", "difference\nafter", "grid on\nwarped")
NUMBERS = ("ncc_before", "ncc_after", "dice_before", "dice_after", "fold_share", "field_error")
IDS = ("rank", "pair_id", "moving_id", "fixed_id", "group")
# By the method's own score, and a pair that is the same for all methods.
RANKS = ("best", "median", "worst", "common")
# Outlines of the mask of the fixed image (solid) and of the other one (dashed); far apart for all readers.
FIXED_LINE, OTHER_LINE = "#FFD400", "#56B4E9"
# Of volumes; the exhibit's options may name another: plane, place, axes.
SLICE: dict[str, Any] = {"plane": "coronal", "place": 0.5, "axes": "RAS"}
# Inches; pairs with labels have a line more.
CELL, LABELLED_CELL = 1.0, 1.15


def cases_of(exhibit: Exhibit, inputs: Inputs, **where: Any) -> list[dict[str, Any]]:
    """Every pair of the first seed of each method, in the order of the exhibit's methods, then of `RANKS`.

    A case holds the arrays of `example_pairs` for one pair, with method and its label for people; of volumes a slice, and
    what of the field lies in it. where: plane, place and axes of that slice, as of `planes.cut`; left out, `SLICE`. Raises
    ReregisterError for a slice that there is not.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for path in inputs["gallery"]:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        method = str(arrays.pop("method"))
        if method in found:
            continue
        count = len(arrays.get("rank", ()))
        if count and arrays["moving"].ndim == 5:
            arrays = _sliced(exhibit, arrays, SLICE | where)
        rows = [{name: array[row] for name, array in arrays.items()} for row in range(count)]
        found[method] = sorted(rows, key=lambda case: RANKS.index(case["rank"]))
    return [{"method": m, "label": label, **case} for m, label in exhibit.methods for case in found.get(m, [])]


def _sliced(exhibit: Exhibit, arrays: dict[str, Any], where: dict[str, Any]) -> dict[str, Any]:
    """Example pairs of volumes, each image, mask and field cut to one slice."""
    shown = [name for name in arrays if name in ("moving", "fixed", "warped") or name.startswith("mask_")]
    try:
        flat = {name: cut(arrays[name], **where) for name in shown}
        flat["ddf"] = np.stack([cut_field(field, **where) for field in arrays["ddf"]])
    except ValueError as error:
        raise ReregisterError(f"{exhibit.exhibit}: {error}") from error
    return arrays | flat


def numbers_of(cases: list[dict[str, Any]]) -> pd.DataFrame:
    """Ids and numbers of cases, one row each."""
    rows = [
        {"method": case["method"], **{n: str(case[n]) for n in IDS}, **{n: float(case[n]) for n in NUMBERS}}
        for case in cases
    ]
    return pd.DataFrame(rows, columns=["method", *IDS, *NUMBERS])


def panels(exhibit: Exhibit, inputs: Inputs) -> dict[str, Any]:
    """What a page needs: the stamp, and for each pair its ids and numbers, images as data URIs, and the deformed grid.

    field_error, in unit, is None where no true field is known; Dice and outlines (of the masks: moving, fixed, warped)
    are None without labels. height and width are those of the image itself, in whose pixels the grid and the outlines are
    given (`grid_lines`). No item where images may not be shown.
    """
    cases = cases_of(exhibit, inputs, **options_of(exhibit, **SLICE)) if exhibit.show_images else []
    return {"stamp": exhibit.stamp, "items": [item_of(exhibit, case) for case in cases]}


def item_of(exhibit: Exhibit, case: dict[str, Any]) -> dict[str, Any]:
    """One pair as a page needs it."""
    numbers = {name: float(case[name]) if np.isfinite(case[name]) else None for name in NUMBERS}
    uris = {name: png_uri(case[name][0], exhibit.stamp, exhibit.recipe_id) for name in ("moving", "fixed", "warped")}
    height, width = case["fixed"].shape[1:]
    about = {"method": case["method"], "label": case["label"], **{name: str(case[name]) for name in (*IDS, "unit")}}
    lines = {role: outlines(case[f"mask_{role}"]) for role in ("moving", "fixed", "warped")}
    drawn = {"grid": grid_lines(case["ddf"]), "outlines": lines if any(lines.values()) else None}
    return {**about, **numbers, "height": height, "width": width, **uris, **drawn}


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the contact sheet from the example pairs (npz): a row for each method and rank, `COLUMNS` across.

    Returns the figure and the numbers of the pairs; where images may not be shown, the figure says so instead.
    """
    cases = cases_of(exhibit, inputs, **options_of(exhibit, **SLICE))
    if not exhibit.show_images or not cases:
        figure = new_figure(1.2)
        say(figure, "no pair has a defined NCC" if exhibit.show_images else NOT_SHOWN)
        return figure, numbers_of(cases)
    figure = new_figure((CELL if np.isnan(cases[0]["dice_after"]) else LABELLED_CELL) * len(cases) + 0.8)
    ends = [np.abs(case[name] - case["fixed"]).max() for case in cases for name in ("moving", "warped")]
    highest = max(float(np.nanmax(ends)), 1e-6)
    ratios = [1.7, *[1] * len(COLUMNS)]
    grid = figure.subplots(len(cases), 1 + len(COLUMNS), squeeze=False, gridspec_kw={"width_ratios": ratios})
    for case, row in zip(cases, grid, strict=True):
        _label(row[0], case)
        difference = _images(row[1:], case, highest)
    for axes, title in zip(grid[0, 1:], COLUMNS, strict=True):
        axes.set_title(title, pad=4)
    bar = figure.colorbar(difference, ax=grid[-1, 4:6], location="bottom", aspect=30, pad=0.1)
    bar.set_label("absolute difference from fixed")
    bar.outline.set_linewidth(0)
    return figure, numbers_of(cases)


def _label(axes: Any, case: dict[str, Any]) -> None:
    axes.set_axis_off()
    error = f"\nfield error {case['field_error']:.2f} {case['unit']}" if np.isfinite(case["field_error"]) else ""
    group = f"digit {case['group']}" if str(case["group"]).isdigit() else str(case["group"])
    folds = f"folds {100 * case['fold_share']:.2g} %"
    ncc = f"NCC {case['ncc_before']:.3f} → {case['ncc_after']:.3f}"
    text = f"{group} · {ncc}\n{folds}{error}"
    if np.isfinite(case["dice_after"]):
        text = f"{group} · {folds}\n{ncc}\nDice {case['dice_before']:.3f} → {case['dice_after']:.3f}{error}"
    place = {"xycoords": axes.transAxes, "textcoords": "offset points", "va": "top", "linespacing": 1.3}
    axes.annotate(f"{case['label']}: {case['rank']}", (0, 1), xytext=(0, -2), fontweight="bold", **place)
    axes.annotate(text, (0, 1), xytext=(0, -17), **place)
    axes.plot([-0.06, -0.06], [0.02, 0.98], color=colour(case["method"]), linewidth=3, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _images(row: Any, case: dict[str, Any], highest: float) -> Any:
    """The six pictures of a pair; returns one of the maps of differences, for the colour bar.

    highest: end of the colour scale of all differences.
    """
    moving, fixed, warped = (case[name][0] for name in ("moving", "fixed", "warped"))
    for axes in row:
        axes.set(xticks=[], yticks=[])
        sns.despine(ax=axes, left=True, bottom=True)
    for axes, image in zip((row[0], row[1], row[2], row[5]), (moving, fixed, warped, warped), strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for axes, role in ((row[0], "moving"), (row[1], "fixed"), (row[2], "warped")):
        draw_outlines(axes, case, role)
    for axes, image in ((row[3], moving), (row[4], warped)):
        difference = axes.imshow(np.abs(image - fixed), cmap="rocket", vmin=0, vmax=highest, interpolation="nearest")
    row[5].add_collection(LineCollection(grid_lines(case["ddf"]), colors=["#56B4E9"], linewidths=0.5))
    row[5].set(xlim=(-0.5, fixed.shape[1] - 0.5), ylim=(fixed.shape[0] - 0.5, -0.5))
    return difference


def draw_outlines(axes: Any, case: dict[str, Any], role: str) -> None:
    """The outline of the fixed image's mask, and over another image that of its own mask too; none without labels."""
    for name in dict.fromkeys(("fixed", role)):
        look: dict[str, Any] = {"color": FIXED_LINE} if name == "fixed" else {"color": OTHER_LINE, "linestyle": "--"}
        for line in outlines(case[f"mask_{name}"]):
            axes.plot(*np.asarray(line).T, linewidth=1.0, **look)
