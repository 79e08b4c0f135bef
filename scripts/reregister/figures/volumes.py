"""Pairs of volumes to scroll through on the page, in three planes; on the sheet the middle slices of the common pair."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reregister.drawing import NOT_SHOWN, WIDTH, Exhibit, Inputs, new_figure, say
from reregister.errors import ReregisterError
from reregister.exhibits.options import options_of
from reregister.exhibits.packed_volumes import (
    PAGE_AXES,
    label_colours,
    pack_field,
    pack_image,
    pack_labels,
    turned,
    turned_field,
)
from reregister.exhibits.planes import PLANES, cut, order_of
from reregister.figures.gallery import IDS, NUMBERS, draw_outlines, numbers_of

ROLES = ("moving", "fixed", "warped")
# Bytes of voxels that a page holds. Deflated and as text they take about a third of that, and a page with its other
# pictures is to stay below 15 MB, so that it opens at once and can be sent.
LARGEST = 16_000_000
# Of one voxel: three images, three maps of labels, and three numbers of the field in two bytes each.
BYTES_OF_VOXEL = 12
OPTIONS: dict[str, Any] = {"ranks": ["common", "worst"], "axes": "RAS"}
# Planes in the order of the sheet and the page.
SHOWN_PLANES = ("axial", "coronal", "sagittal")


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the middle slices of the pair common to all methods (npz): planes below each other, images side by side.

    Options: ranks (pairs for the page: of best, median, worst, common), axes (where the volumes' lead if the store does
    not say). Outlines of the labels of the fixed image (solid) and of the image shown (dashed). Returns the figure and the
    pair's numbers, one row per method; where images may not be shown, the figure says so instead. Raises ReregisterError
    for flat images, axes that there are not, and methods that hold different pairs.
    """
    cases = [_flat(exhibit, case) for case in whole_cases(exhibit, inputs, ["common"], field=False)]
    numbers = numbers_of(cases)
    if numbers["pair_id"].nunique() > 1:
        pairs = " and ".join(sorted(numbers["pair_id"].unique()))
        raise ReregisterError(
            f"{exhibit.exhibit} compares one pair and its methods hold {pairs}; evaluate them all again"
        )
    if not exhibit.show_images or not cases:
        figure = new_figure(1.2)
        say(figure, "no pair has a defined score" if exhibit.show_images else NOT_SHOWN)
        return figure, numbers
    columns = [("moving", cases[0], "moving"), ("fixed", cases[0], "fixed")]
    columns += [("warped", case, case["label"]) for case in cases]
    # Height of a voxel of each plane as share of its width, and of the whole slice.
    aspects = [case["spacing"][0] / case["spacing"][1] for case in (cases[0][plane] for plane in SHOWN_PLANES)]
    shapes = [cases[0][plane]["fixed"].shape[1:] for plane in SHOWN_PLANES]
    heights = [aspect * height / width for aspect, (height, width) in zip(aspects, shapes, strict=True)]
    figure = new_figure(sum(heights) * (WIDTH - 0.3) / len(columns) + 0.5)
    grid = figure.subplots(len(SHOWN_PLANES), len(columns), squeeze=False, gridspec_kw={"height_ratios": heights})
    for row, plane, aspect in zip(grid, SHOWN_PLANES, aspects, strict=True):
        for axes, (role, case, _) in zip(row, columns, strict=True):
            axes.imshow(case[plane][role][0], cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect=aspect)
            draw_outlines(axes, case[plane], role)
            axes.set(xticks=[], yticks=[])
            sns.despine(ax=axes, left=True, bottom=True)
        row[0].set_ylabel(plane)
    for axes, (_, _, title) in zip(grid[0], columns, strict=True):
        axes.set_title(title, pad=4)
    return figure, numbers


def panels(exhibit: Exhibit, inputs: Inputs) -> dict[str, Any]:
    """What a page needs to scroll through the volumes of each method's pairs.

    arrays: packed volumes, each but once. items: one for each method and rank, with ids and numbers, size (voxels) and
    spacing of the axes that lead to `PAGE_AXES`, the axes of the stored volume, and the places in `arrays` of moving,
    fixed, warped, mask_.. and ddf. labels: name and colour of each number of the masks, from 1. absent: why there is no
    item, where images may not be shown or are too large for a page; then files says where they lie in the run's folder.
    """
    told = _told(exhibit)
    page: dict[str, Any] = {"kind": "volumes", "stamp": exhibit.stamp, "items": [], "arrays": [], "labels": []}
    page |= {"absent": "", "files": []}
    if not exhibit.show_images:
        return page | {"absent": NOT_SHOWN.replace("\n", " ")}
    files = _files(exhibit, inputs)
    if absent := _too_large(files, told["ranks"]):
        places = [{"label": exhibit.labels[method], "place": _place(exhibit, path)} for method, path in files.items()]
        return page | {"absent": absent, "files": places}
    arrays: dict[str, int] = {}
    names: list[str] = []
    for case in whole_cases(exhibit, inputs, told["ranks"]):
        page["items"].append(_item(exhibit, case, arrays))
        names = case["label_names"].tolist()
    colours = zip(names, label_colours(len(names)), strict=True)
    labels = [{"name": name, "colour": colour} for name, colour in colours]
    return page | {"labels": labels, "arrays": list(arrays)}


def whole_cases(exhibit: Exhibit, inputs: Inputs, ranks: list[str], field: bool = True) -> Iterator[dict[str, Any]]:
    """The example pairs of some ranks, whole, in the order of the exhibit's methods: one at a time.

    A case holds the arrays of `example_pairs` for one pair, images (X, Y, Z), with method, its label for people, and axes:
    the store's or, where it does not say, those of the option. field: whether its ddf is read. Raises ReregisterError for
    flat images.
    """
    axes = _told(exhibit)["axes"]
    for method, path in _files(exhibit, inputs).items():
        for rank in ranks:
            with np.load(path) as file:
                if rank not in file["rank"].tolist():
                    continue
                row = file["rank"].tolist().index(rank)
                # One array at a time: those of whole brains do not fit into memory together.
                names = [name for name in file.files if name != "method" and (field or name != "ddf")]
                case = {name: file[name][row] for name in names}
            if case["fixed"].ndim != 4:
                flat = "shows volumes and its images are flat; take gallery for them"
                raise ReregisterError(f"{exhibit.exhibit} {flat}")
            case |= {role: case[role][0] for role in ROLES}
            case["axes"] = str(case["axes"]) or axes
            yield {**case, "method": method, "label": exhibit.labels[method]}


def _told(exhibit: Exhibit) -> dict[str, Any]:
    return options_of(exhibit, **OPTIONS)


def _files(exhibit: Exhibit, inputs: Inputs) -> dict[str, Path]:
    """The example pairs of each method that has some, in the order of the exhibit's methods."""
    found: dict[str, Path] = {}
    for path in inputs["gallery"]:
        with np.load(path) as file:
            if "rank" in file.files:
                found.setdefault(str(file["method"]), path)
    return {method: found[method] for method in exhibit.labels if method in found}


def _too_large(files: dict[str, Path], ranks: list[str]) -> str:
    """Why the volumes are no part of the page; "" where they are."""
    size = 0
    for path in files.values():
        with np.load(path) as file:
            shape = file["mask_fixed"].shape[1:]
            count = len(set(ranks) & set(file["rank"].tolist()))
        size += count * int(np.prod(shape)) * BYTES_OF_VOXEL
    if size <= LARGEST:
        return ""
    voxels = " x ".join(map(str, shape))
    return f"not in this page: pairs of {voxels} voxels, {size / 1e6:.0f} MB where a page holds {LARGEST / 1e6:.0f} MB"


def _place(exhibit: Exhibit, path: Path) -> str:
    """A file of the paper as the run's folder names it."""
    parts = path.parts
    return "/".join(parts[len(parts) - 1 - parts[::-1].index(exhibit.paper) :])


def _flat(exhibit: Exhibit, case: dict[str, Any]) -> dict[str, Any]:
    """A case with its middle slices in the place of its volumes: for each plane images (1, H, W), masks and spacing."""
    shown = [*ROLES, *(f"mask_{role}" for role in ROLES)]
    flat = {name: value for name, value in case.items() if name not in shown}
    try:
        for plane in SHOWN_PLANES:
            slices = {name: cut(case[name], plane, axes=case["axes"]) for name in shown}
            order, _ = order_of(PLANES[plane][1:], case["axes"])
            spacing = tuple(float(case["spacing"][axis]) for axis in order)
            flat[plane] = slices | {role: slices[role][None] for role in ROLES} | {"spacing": spacing}
    except ValueError as error:
        raise ReregisterError(f"{exhibit.exhibit}: {error}") from error
    return flat


def _item(exhibit: Exhibit, case: dict[str, Any], arrays: dict[str, int]) -> dict[str, Any]:
    """One pair as a page needs it; its packed volumes are put on the shelf `arrays`, text to place."""
    axes = case["axes"]
    try:
        order, _ = order_of(PAGE_AXES, axes)
    except ValueError as error:
        raise ReregisterError(f"{exhibit.exhibit}: {error}") from error
    packed = {role: pack_image(turned(case[role], axes)) for role in ROLES}
    packed |= {f"mask_{role}": pack_labels(turned(case[f"mask_{role}"], axes)) for role in ROLES}
    packed["ddf"] = pack_field(turned_field(case["ddf"], axes))
    numbers = {name: float(case[name]) if np.isfinite(case[name]) else None for name in NUMBERS}
    about = {name: str(case[name]) for name in ("method", "label", *IDS, "unit", "axes")}
    shape = {
        "size": [case["fixed"].shape[axis] for axis in order],
        "spacing": [float(case["spacing"][axis]) for axis in order],
    }
    return {
        **about,
        **numbers,
        **shape,
        **{name: arrays.setdefault(text, len(arrays)) for name, text in packed.items()},
    }
