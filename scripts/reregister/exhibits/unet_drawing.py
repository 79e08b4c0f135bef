"""Drawing a network that goes down and up again: a row for each level, skips between, and the way from field to loss."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from reregister.drawing import FONT_SIZE, GREY, WIDTH, new_figure
from reregister.exhibits.levels import DOWN, FIELD, POOL, UP, layers_of
from reregister.exhibits.macs import count_macs
from reregister.exhibits.shapes import LINE, SIDE, SMALL, arrow, box, flat_image, text, to_the_loss

FILLS = {DOWN: "#9ecae1", UP: "#fdbe85", FIELD: "#bcbddc"}
WORDS = {DOWN: "on the way down", UP: "on the way up", FIELD: "to displacements"}
# Inches: room for the sizes on the left, for the title, a level's step, a block's height and widest, and the row below.
LEFT, TOP, STEP, BLOCK, WIDEST, GAP, LOWER = 0.9, 0.7, 0.88, 0.5, 0.92, 0.14, 0.35
BELOW = LOWER + SIDE + 0.3
SKIP = "#0173B2"
# Inches: what passes above a level's blocks, and between two levels down and up, so that no two lines meet.
ABOVE, DOWNWARD, UPWARD = 0.09, 0.09, 0.17
FRAME = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
# Between blocks nearer than this a skip passes above them.
NEAR = 1.3

Row = dict[str, Any]


@dataclass(frozen=True)
class Sheet:
    """Where things stand. height: of the figure; columns: from the images (0) to the field (the last)."""

    axes: Any
    height: float
    columns: int
    width: float

    def x(self, column: float) -> float:
        """Middle of a column, inches."""
        return LEFT + (WIDTH - LEFT - 0.1) * (column + 0.5) / self.columns

    def y(self, level: int) -> float:
        """Middle of a level, inches."""
        return self.height - TOP - STEP * (level + 0.5)


def draw_unet(card: Row, pair: Row, told: Row) -> tuple[Figure, pd.DataFrame]:
    """The network of a card, and what becomes of its field.

    pair: arrays moving, fixed and warped (C, *spatial), or nothing. told: title ("" for the name of the architecture),
    skips (`concatenated`, drawn where the layers take more channels than the one before gives, or `added`), loss (words)
    and plane, place and axes, as of `planes.cut`. Returns the figure and its layers as numbers (`levels.layers_of`).
    """
    layers = layers_of(card)
    shown = layers[layers["role"] != POOL]
    counts = shown.groupby(["level", "role"]).size().unstack(fill_value=0).reindex(columns=[DOWN, UP], fill_value=0)
    columns = int(counts.sum(axis=1).max()) + 3
    height = TOP + STEP * (1 + int(layers["level"].max())) + BELOW
    figure = new_figure(height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    sheet = Sheet(axes, height, columns, min(WIDEST, (WIDTH - LEFT - 0.1) / columns - GAP))
    rows = _placed(shown, counts, sheet)
    _title(sheet, card, told["title"] or card["architecture"], [role for role in FILLS if role in set(shown["role"])])
    _sizes(sheet, layers, card)
    _blocks(sheet, rows)
    _ways(sheet, rows, layers)
    _skips(sheet, rows, told["skips"])
    images = {name: flat_image(image, told["plane"], told["place"], told["axes"]) for name, image in pair.items()}
    to_the_loss(axes, images, told["loss"], LOWER, (sheet.x(columns - 1) + sheet.width / 2, sheet.y(0)))
    axes.set(xlim=(0, WIDTH), ylim=(0, height), xticks=[], yticks=[], aspect="equal")
    return figure, layers


def _placed(shown: pd.DataFrame, counts: pd.DataFrame, sheet: Sheet) -> list[Row]:
    """Layers with their column: those on the way down after the images, those on the way up before the field."""
    seen: dict[tuple[int, str], int] = {}
    rows = []
    for row in shown.to_dict("records"):
        number = seen[row["level"], row["role"]] = seen.get((row["level"], row["role"]), 0) + 1
        first_up = sheet.columns - 3 - int(counts[UP].get(row["level"], 0))
        column = {DOWN: number, UP: first_up + number, FIELD: sheet.columns - 2}[row["role"]]
        rows.append(row | {"x": sheet.x(column), "y": sheet.y(row["level"])})
    return rows


def _title(sheet: Sheet, card: Row, title: str, roles: list[str]) -> None:
    macs = count_macs(card["modules"]) / 1e9
    many = f"{macs:,.1f}" if macs >= 1 else f"{macs:.2g}"
    words = f"{title}: {card['parameters']:,} parameters, {many} GMAC for a pair"
    text(sheet.axes, WIDTH / 2, sheet.height - 0.16, words, fontsize=FONT_SIZE)
    handles = [Patch(facecolor=FILLS[r], edgecolor="0.3", linewidth=0.7, label=WORDS[r]) for r in roles]
    look: Row = {"loc": "center", "ncols": 3, "frameon": False, "fontsize": SMALL, "handlelength": 1}
    sheet.axes.legend(handles=handles, bbox_to_anchor=(0.5, 1 - 0.42 / sheet.height), **look)


def _sizes(sheet: Sheet, layers: pd.DataFrame, card: Row) -> None:
    sizes = dict(zip(layers["level"], layers["size"], strict=True))
    sizes.setdefault(0, "×".join(map(str, card["image_shape"][1:])))
    for level, size in sizes.items():
        text(sheet.axes, 0.08, sheet.y(level), size, ha="left", color=GREY, fontsize=SMALL - 0.5)


def _blocks(sheet: Sheet, rows: list[Row]) -> None:
    axes, width, top = sheet.axes, sheet.width, sheet.y(0)
    for row in rows:
        look: Row = {"facecolor": FILLS[row["role"]], "edgecolor": "0.3", "linewidth": 0.7}
        axes.add_patch(Rectangle((row["x"] - width / 2, row["y"] - BLOCK / 2), width, BLOCK, **look))
        text(axes, row["x"], row["y"], _words(row), fontsize=SMALL - 1.3)
    for column, words in ((0, "moving,\nfixed"), (sheet.columns - 1, "displace-\nment\nfield")):
        x = sheet.x(column)
        box(axes, x - width / 2, top - BLOCK / 2, width, BLOCK, facecolor="white", edgecolor="0.3", linewidth=0.9)
        text(axes, x, top, words, fontsize=SMALL - 0.5)


def _words(row: Row) -> str:
    """Type, kernel, channels and parameters of a layer, in lines."""
    sides = row["kernel"].split("×")
    kernel = f"{sides[0]}{'²³'[len(sides) - 2]}" if len(set(sides)) == 1 and len(sides) in (2, 3) else row["kernel"]
    kind = "up conv" if "Transpose" in row["kind"] else "conv"
    step = " /2" if row["strided"] else ""
    weights = f"{row['parameters']:,}" if row["use"] == 1 else "same weights"
    return f"{kind} {kernel}{step}\n{row['inputs']} → {row['outputs']}\n{weights}"


def _ways(sheet: Sheet, rows: list[Row], layers: pd.DataFrame) -> None:
    """Who gives to whom, from the images to the field."""
    pools = set(layers.loc[layers["role"] == POOL, "level"])
    images = {"x": sheet.x(0), "y": sheet.y(0), "level": 0, "role": ""}
    field = {"x": sheet.x(sheet.columns - 1), "y": sheet.y(0), "level": 0}
    trunk = [images, *(row for row in rows if row["role"] != FIELD)]
    for start, end in pairwise(trunk):
        _way(sheet, start, end, pools)
    fields = [row for row in rows if row["role"] == FIELD]
    for row in fields:
        beside = [other for other in trunk[1:] if other["level"] == row["level"]]
        _way(sheet, (beside or trunk)[-1], row, pools)
        if row["level"] == 0:
            _way(sheet, row, field, pools)
    if not fields:
        _way(sheet, trunk[-1], field, pools)
    deeper = [row for row in fields if row["level"] > 0]
    # The fields of deeper levels are enlarged and meet below that of the images.
    for row in deeper:
        y, x = row["y"], field["x"]
        sheet.axes.plot([row["x"] + sheet.width / 2, x, x], [y, y, field["y"] - BLOCK / 2 - 0.08], **LINE)
        sheet.axes.text(
            x - 0.06, y + 0.05, f"×{2 ** row['level']}", ha="right", va="bottom", fontsize=SMALL - 1, color=GREY
        )
    if deeper:
        arrow(sheet.axes, (field["x"], field["y"] - BLOCK / 2 - 0.1), (field["x"], field["y"] - BLOCK / 2))
    if len(fields) > 1:
        text(sheet.axes, field["x"] + 0.05, field["y"] - BLOCK / 2 - 0.2, "sum", ha="left", color=GREY)


def _way(sheet: Sheet, start: Row, end: Row, pools: set[int]) -> None:
    axes, half, across = sheet.axes, BLOCK / 2, sheet.width / 2
    if start["level"] == end["level"]:
        arrow(axes, (start["x"] + across, start["y"]), (end["x"] - across, end["y"]))
        return
    down = end["level"] > start["level"]
    # What leaves a block on the way down upwards stands beside what comes into it.
    x = start["x"] + (across / 2 if not down and start["role"] == DOWN else 0)
    leaves, enters = (start["y"] - half, end["y"] + half) if down else (start["y"] + half, end["y"] - half)
    bend = leaves - DOWNWARD if down else enters - UPWARD
    axes.plot([x, x, end["x"]], [leaves, bend, bend], **LINE)
    arrow(axes, (end["x"], bend + (0.01 if down else -0.01)), (end["x"], enters))
    if down and end["level"] in pools:
        text(axes, end["x"] - 0.07, enters + 0.12, "max pool 2", ha="right", color=GREY, fontsize=SMALL - 1)
    elif not down and "Transpose" not in end["kind"]:
        text(axes, end["x"] - 0.07, enters - 0.09, "up 2", ha="right", color=GREY, fontsize=SMALL - 1)


def _skips(sheet: Sheet, rows: list[Row], kind: str) -> None:
    """What passes by the deeper levels, level by level."""
    for level in sorted({row["level"] for row in rows}):
        down, up = ([row for row in rows if (row["level"], row["role"]) == (level, role)] for role in (DOWN, UP))
        if not down or not up:
            continue
        if kind == "added":
            _skip(sheet, down[0]["x"], up[-1]["x"], level, "added", above=True)
        elif up[0]["joined"] > 0:
            words, apart = f"{up[0]['joined']} channels joined", up[0]["x"] - down[-1]["x"]
            _skip(sheet, down[-1]["x"], up[0]["x"], level, words, above=apart - sheet.width < NEAR)


def _skip(sheet: Sheet, start: float, end: float, level: int, words: str, above: bool) -> None:
    axes, y, look = sheet.axes, sheet.y(level), {"color": SKIP, "linestyle": "--"}
    if above:
        y, start = y + BLOCK / 2, start + sheet.width / 4
        axes.plot([start, start, end], [y, y + ABOVE, y + ABOVE], linewidth=0.9, **look)
        arrow(axes, (end, y + ABOVE + 0.01), (end, y), **look)
        # Words that are as long as their line stand above it.
        y += ABOVE + (0.09 if end - start < NEAR else 0)
    else:
        arrow(axes, (start + sheet.width / 2, y), (end - sheet.width / 2, y), **look)
    text(axes, (start + end) / 2, y, words, color=SKIP, fontsize=SMALL - 1, bbox=FRAME)
