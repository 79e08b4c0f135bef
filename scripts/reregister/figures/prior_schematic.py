"""A network that is fitted to one pair: noise in, a field out, and the way from the field to the loss and back.

Fig. 1 of Laves et al. 2019, with the scales of the skip network as its card lists them.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reregister.card import read_card
from reregister.drawing import FONT_SIZE, GREY, WIDTH, Exhibit, Inputs, new_figure
from reregister.errors import ReregisterError
from reregister.exhibits.options import options_of
from reregister.exhibits.pixels import grid_lines
from reregister.exhibits.shapes import SIDE, SMALL, arrow, box, picture, text
from reregister.figures.network_schematic import median_pair

HEIGHT = 4.6
ROLES = {"down": "#6baed6", "skip": "#e8e8e8", "up": "#e08214"}
# Inches: the frame of the network, the blocks in it, how far a deeper scale stands inward, and the row below.
LEFT, RIGHT, TOP, LOWER = 1.5, 6.9, 3.95, 0.45
BLOCK, INWARD = 1.12, 0.16


def scales_of(exhibit: Exhibit, card: dict[str, Any]) -> pd.DataFrame:
    """Scales of a skip network, the first at full size, from the names of its card's modules.

    A module's scale is the number of `deeper` in its name, its role the first of `down`, `skip` and `up` in it;
    `normalise` is what an up begins with. Returns
    one row per scale and role: scale, role, convolutions (kernels), inputs, outputs, parameters, height and width of what
    it puts out. Raises ReregisterError for a card without such modules.
    """
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for module in card["modules"]:
        parts = module["name"].split(".")
        role = next((part for part in parts if part in ROLES), "up" if "normalise" in parts else None)
        if role is None:
            continue
        row = rows.setdefault((parts.count("deeper"), role), {"convolutions": [], "parameters": 0})
        row["parameters"] += module["parameters"]
        if module["kernel"]:
            row.setdefault("inputs", module["inputs"])
            row["convolutions"].append("×".join(map(str, module["kernel"])))
            row["outputs"] = module["outputs"]
        row["height"], row["width"] = module["shape"][-2:]
    frame = pd.DataFrame([{"scale": scale, "role": role, **row} for (scale, role), row in sorted(rows.items())])
    if frame.empty or not set(ROLES) <= set(frame["role"]):
        raise ReregisterError(f"{exhibit.exhibit} draws a skip network and its card lists none; name a method with one")
    return frame.assign(convolutions=frame["convolutions"].map(", ".join))


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the network of the first card; the pair shown is the median one of the method's example pairs (npz).

    Options: loss, what is minimised; noise, words below the input. Returns the figure and the network's scales as
    numbers. Raises ReregisterError for several methods and as `scales_of`.
    """
    told = options_of(exhibit, loss="loss", noise="noise")
    if len(exhibit.methods) != 1:
        raise ReregisterError(f"{exhibit.exhibit} draws one network; name one method in the exhibit's methods")
    card = read_card(inputs["cards"][0])
    scales = scales_of(exhibit, card)
    figure = new_figure(HEIGHT)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    _network(axes, scales, card)
    _ends(axes, scales, median_pair(inputs), exhibit.show_images, told)
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), xticks=[], yticks=[], aspect="equal")
    return figure, scales


def _network(axes: Any, scales: pd.DataFrame, card: dict[str, Any]) -> None:
    """Scale below scale: down on the left, skip in the middle, up on the right."""
    frame = {"facecolor": "0.975", "edgecolor": "0.75", "linewidth": 0.8}
    box(axes, LEFT, 1.64, RIGHT - LEFT, 2.86, **frame)
    title = f"{card['architecture']}, fitted to this pair alone: {card['parameters']:,} parameters"
    text(axes, (LEFT + RIGHT) / 2, 4.36, title, fontsize=FONT_SIZE)
    for x, role in ((LEFT + 0.1 + BLOCK / 2, "down"), ((LEFT + RIGHT) / 2, "skip"), (RIGHT - 0.1 - BLOCK / 2, "up")):
        text(axes, x, 4.14, role, color=GREY)
    count = int(scales["scale"].max()) + 1
    step = 2.2 / count
    height = 0.62 * step
    for row in scales.to_dict("records"):
        y, inward = TOP - step * (row["scale"] + 0.5), INWARD * min(row["scale"], 5)
        x = {"down": LEFT + 0.1 + inward, "up": RIGHT - 0.1 - BLOCK - inward}.get(
            row["role"], (LEFT + RIGHT - BLOCK) / 2
        )
        look: dict[str, Any] = {"facecolor": ROLES[row["role"]], "edgecolor": "0.3", "linewidth": 0.7}
        axes.add_patch(Rectangle((x, y - height / 2), BLOCK, height, **look))
        words = f"{row['inputs']} → {row['outputs']}, {row['height']}×{row['width']}"
        text(axes, x + BLOCK / 2, y, words, fontsize=SMALL - 1)
        middle, above = x + BLOCK / 2, y + step / 2
        if row["role"] == "skip":
            # What comes into the scale passes by its down to its up.
            start, bend = LEFT + 0.1 + inward + BLOCK / 2, LEFT + 0.2 + inward + BLOCK
            axes.plot([start, bend, bend], [above, above, y], color="0.25", linewidth=0.9)
            arrow(axes, (bend, y), (x - 0.01, y))
            arrow(axes, (x + BLOCK + 0.02, y), (RIGHT - 0.12 - inward - BLOCK, y))
        elif row["role"] == "down":
            arrow(axes, (middle, y + step - height / 2 if row["scale"] else TOP + 0.05), (middle, y + height / 2))
        elif row["scale"]:
            arrow(axes, (middle, y + height / 2), (middle, y + step - height / 2))
        else:
            axes.plot([middle, middle], [y + height / 2, TOP + 0.05], color="0.25", linewidth=0.9)
    deepest = INWARD * min(count - 1, 5)
    y = TOP - step * (count - 0.5) - height / 2
    ends = [LEFT + 0.1 + deepest + BLOCK / 2, RIGHT - 0.1 - deepest - BLOCK / 2]
    axes.plot([ends[0], ends[0], ends[1]], [y, y - 0.1, y - 0.1], color="0.25", linewidth=0.9)
    arrow(axes, (ends[1], y - 0.11), (ends[1], y))


def _ends(axes: Any, scales: pd.DataFrame, pair: dict[str, Any], show: bool, told: dict[str, Any]) -> None:
    """Noise on the left, the field on the right, and below what becomes of it."""
    line: dict[str, Any] = {"color": "0.25", "linewidth": 0.9, "solid_capstyle": "butt"}
    first = scales.iloc[0]
    grains = np.random.default_rng(0).normal(0.5, 0.25, (32, 32))
    picture(axes, 0.2, 2.75, grains, f"z: {first['inputs']} channels", above=True)
    text(axes, 0.2 + SIDE / 2, 2.68, told["noise"], va="top", color=GREY)
    axes.plot([0.2 + SIDE, 1.27, 1.27, LEFT + 0.1 + BLOCK / 2], [3.18, 3.18, TOP + 0.05, TOP + 0.05], **line)
    x, row = 7.25, LOWER + SIDE / 2
    axes.plot([RIGHT - 0.1 - BLOCK / 2, x + SIDE / 2], [TOP + 0.05, TOP + 0.05], **line)
    text(axes, x + SIDE / 2, TOP + 0.2, "1×1, linear", color=GREY)
    arrow(axes, (x + SIDE / 2, TOP + 0.06), (x + SIDE / 2, 2.75 + SIDE))
    axes.add_patch(Rectangle((x, 2.75), SIDE, SIDE, facecolor="white", edgecolor="0.3", linewidth=0.7))
    if pair:
        scale = SIDE / max(pair["ddf"].shape[1:])
        lines = [(x, 2.75 + SIDE) + scale * (np.asarray(way) + 0.5) * (1, -1) for way in grid_lines(pair["ddf"])]
        axes.add_collection(LineCollection(lines, colors=["#0173B2"], linewidths=0.5))
    text(axes, x + SIDE / 2, 2.6, "displacement\nfield", va="top", fontsize=FONT_SIZE)
    shown = {name: pair[name][0] if show and pair else None for name in ("moving", "fixed", "warped")}
    for place, name in ((5.55, "moving"), (3.85, "warped"), (0.2, "fixed")):
        picture(axes, place, LOWER, shown[name], name)
    for place, width, words in ((x, SIDE, "resampler"), (1.6, 1.7, told["loss"])):
        box(axes, place, LOWER, width, SIDE, facecolor="white", edgecolor="0.3", linewidth=0.9)
        text(axes, place + width / 2, row, words, fontsize=FONT_SIZE)
    arrow(axes, (x + SIDE / 2, 2.2), (x + SIDE / 2, LOWER + SIDE))
    arrow(axes, (5.55 + SIDE, row), (x, row))
    axes.plot([x + 0.15, x + 0.15, 3.85 + SIDE / 2], [LOWER + SIDE, 1.52, 1.52], **line)
    arrow(axes, (3.85 + SIDE / 2, 1.52), (3.85 + SIDE / 2, LOWER + SIDE))
    arrow(axes, (3.85, row), (3.31, row))
    arrow(axes, (0.2 + SIDE, row), (1.59, row))
    arrow(axes, (2.45, LOWER + SIDE), (2.45, 1.64), linestyle="--", color="#D55E00")
    text(axes, 2.53, 1.46, "gradient", color="#D55E00", ha="left")
