"""What every figure shares: style, palette, the stamp on synthetic data, and saving the same bytes for the same figure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from reregister.provenance.files import atomic_path
from reregister.tables import write_frame

FONT_SIZE = 9
# Inches. All figures have one width, so that their text has one size on a page; the stamp has a line of its own below.
WIDTH, STAMP_LINE = 8.4, 0.16
GREY = (0.35, 0.35, 0.35)
NOT_SHOWN = "not shown: the terms of the data set\ndo not allow images to be published"
# Safe for colour blindness, without its grey: grey is the row before registration.
PALETTE = [colour for index, colour in enumerate(sns.color_palette("colorblind")) if index != 7]
MARKERS = ("s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p")
# Markers that are passed over each time the colours begin anew: so that two alike colours never share one.
SKIPPED = 7
# Places whose colour is, to some reader, next to that of an earlier place with the same marker.
PASSED_OVER = (23, 28, 32, 37, 41, 44, 46, 47, 50, 53, 55, 56, 58, 59)
# The order gives each method its colour and marker on every page: add new ones at the end.
METHODS = (
    "affine",
    "elastix_bspline",
    "ants_syn",
    "dirnet_bl",
    "dirnet_a1",
    "dirnet_a2",
    "dirnet_b1",
    "dirnet_b2",
    "dirnet_c1",
    "dirnet_c2",
    "dirnet_b1_misaligned",
    "dirnet_bl_batch",
    "as_published",
    "repaired",
    "itk",
    "deep_prior",
    "deep_prior_fixed_z",
    "deep_prior_conv_init",
    "as_published_sum",
    "repaired_skip",
    "grid",
    "default",
    "maxpool",
    "reduced",
    "both",
    "default_mse",
    "trained",
    "pruned",
    "retrained",
    "quantised",
    "quantised_channel",
    "quantised_4bit",
    "openvino_f32",
    "openvino_int8",
    "pruned_10",
    "pruned_50",
    "pruned_75",
    "bits_8",
    "bits_4",
    "pruned_25",
    "lr_0p01",
    "lr_0p001",
    "lr_0p0001",
    "trained_running",
    "mnist_voxelmorph",
    "label_driven",
    "reduced_voxelmorph_default",
    "reduced_voxelmorph_both",
)


@dataclass(frozen=True)
class Exhibit:
    """What a drawing function is told.

    methods: those to show, in that order, each with its name for people. options: what the module takes besides; see there.
    """

    paper: str
    exhibit: str
    function: str
    methods: Sequence[tuple[str, str]]
    synthetic: bool
    scale: str
    show_images: bool
    recipe_id: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """Method to name for people, in the order to show them."""
        return dict(self.methods)

    @property
    def stamp(self) -> str:
        """What stands in the pixels of everything that was not made from the dataset itself."""
        return f"synthetic stand-in, {self.scale} scale" if self.synthetic else ""


Inputs = Mapping[str, Sequence[Path]]
Interval = tuple[float, float, float]


def colour(method: str) -> tuple[float, float, float]:
    """The colour of a method: its place in `METHODS`, not in the figure, decides; its name where it has no place yet."""
    return GREY if method == "identity" else PALETTE[_place(method) % len(PALETTE)]


def marker(method: str) -> str:
    """The marker of a method, so that colour is never the only sign."""
    if method == "identity":
        return "o"
    place = _place(method)
    return MARKERS[(place + SKIPPED * (place // len(PALETTE))) % len(MARKERS)]


def _place(method: str) -> int:
    """A number that decides colour and marker; no two methods of `METHODS` share both, nor a listed and a new one.

    Colours are 9 and markers 11, so places below 99 are all different pairs.
    """
    if method in METHODS:
        return _usable(METHODS.index(method))
    first = _usable(len(METHODS))
    free = len(PALETTE) * len(MARKERS) - first
    return first + int.from_bytes(hashlib.sha256(method.encode()).digest()[:4]) % free


def _usable(place: int) -> int:
    """The place-th of the places that are not passed over."""
    for passed in PASSED_OVER:
        place += passed <= place
    return place


def use_style() -> None:
    """Set seaborn's theme and what makes an SVG the same in every process."""
    sns.set_theme(
        context="paper",
        style="ticks",
        palette="colorblind",
        rc={
            "font.size": FONT_SIZE,
            "axes.titlesize": FONT_SIZE,
            "axes.labelsize": FONT_SIZE,
            "xtick.labelsize": FONT_SIZE - 1,
            "ytick.labelsize": FONT_SIZE - 1,
            "legend.fontsize": FONT_SIZE - 1,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.hashsalt": "reregister",
            "svg.fonttype": "path",
            # Whole outlines in place of bitmaps of glyphs: text in a PDF can be found, copied and edited.
            "pdf.fonttype": 42,
            "figure.dpi": 100,
        },
    )


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure in the house's style; height and width in inches."""
    use_style()
    return plt.figure(figsize=(width, height), layout="constrained")


def draw_mean(axes: Any, method: str, x: Interval, y: Interval, label: str | None = None) -> None:
    """One point in the look of its method, with the interval of each coordinate that has one.

    x, y: (value, low, high); low and high may be NaN where nothing is known about the spread.
    """
    for (at, low, high), along in ((x, "x"), (y, "y")):
        if np.isfinite([at, low, high]).all() and high > low:
            ends = ([low, high], [y[0], y[0]]) if along == "x" else ([x[0], x[0]], [low, high])
            axes.plot(*ends, color=colour(method), linewidth=1.2, solid_capstyle="butt", zorder=2)
    look: dict[str, Any] = {"marker": marker(method), "color": colour(method), "markersize": 5, "linestyle": "none"}
    axes.plot([x[0]], [y[0]], **look, markeredgecolor="white", markeredgewidth=0.5, zorder=3, label=label)


def draw_legend(figure: Figure, labels: Mapping[str, str], columns: int = 5) -> None:
    """The methods with their colours and markers in one line above everything else."""
    handles = [
        Line2D([], [], marker=marker(m), color=colour(m), markersize=5.5, linewidth=1.2, label=label)
        for m, label in labels.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False, handletextpad=0.5)


def say(figure: Any, text: str) -> None:
    """Words in the place of something that cannot be shown."""
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY)


def in_order(groups: Iterable[str]) -> list[str]:
    """Groups as people count: 2 before 10, then words."""
    return sorted(set(groups), key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))


def _settle(figure: Figure) -> None:
    """Lay the figure out once for all files, and round the places of its parts.

    The solver's last digits change from process to process, and an SVG names its clip paths by them.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        corners: Any = np.round(part.bbox_relative.get_points(), 6)
        part.bbox_relative.set_points(corners)
    parts: list[Any] = [figure, *figure.subfigs]
    for axes in (axes for part in parts for axes in part.axes):
        axes.set_position([round(float(number), 6) for number in axes.get_position(original=True).bounds])


def save_figure(
    figure: Figure, numbers: pd.DataFrame, exhibit: Exhibit, svg: Path, pdf: Path, png: Path, table: Path
) -> None:
    """Write a figure as SVG, PDF and PNG, and the numbers that it shows as CSV.

    On synthetic data the figure says so in its pixels and its metadata. No clock and no random id enters the files.
    """
    height = figure.get_figheight()
    if exhibit.stamp:
        figure.text(0.995, 0.02 / height, exhibit.stamp, ha="right", va="bottom", fontsize=FONT_SIZE - 2, color=GREY)
        if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
            figure.set_layout_engine("constrained", rect=(0, STAMP_LINE / height, 1, 1 - STAMP_LINE / height))
    _settle(figure)
    name = f"{exhibit.exhibit} of {exhibit.paper}"
    what = f"{exhibit.stamp}; recipe {exhibit.recipe_id}" if exhibit.stamp else f"recipe {exhibit.recipe_id}"
    with atomic_path(svg) as path:
        figure.savefig(path, format="svg", metadata={"Date": None, "Title": name, "Description": what})
    with atomic_path(pdf) as path:
        figure.savefig(path, format="pdf", dpi=200, metadata={"CreationDate": None, "Title": name, "Subject": what})
    with atomic_path(png) as path:
        figure.savefig(path, format="png", dpi=200, metadata={"Software": None, "Title": name, "Description": what})
    plt.close(figure)
    write_frame(table, numbers)
