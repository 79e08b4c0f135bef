"""What every figure shares: style, palette, the stamp on synthetic data, and saving the same bytes for the same figure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pandas as pd
import seaborn as sns

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reregister.provenance.files import atomic_path
from reregister.tables import write_frame

FONT_SIZE = 9
# Safe for colour blindness, without its grey: grey is the row before registration.
PALETTE = [colour for index, colour in enumerate(sns.color_palette("colorblind")) if index != 7]
MARKERS = ("s", "^", "D", "v", "P", "X", "*")
# The order gives each method its colour and marker on every page: add new ones at the end.
METHODS = ("affine", "elastix_bspline", "ants_syn", "dirnet_bl")


@dataclass(frozen=True)
class Exhibit:
    """What a drawing function is told. methods: those to show, in that order, each with its name for people."""

    paper: str
    exhibit: str
    function: str
    methods: Sequence[tuple[str, str]]
    synthetic: bool
    scale: str
    show_images: bool
    recipe_id: str

    @property
    def labels(self) -> dict[str, str]:
        """Method to name for people, in the order to show them."""
        return dict(self.methods)

    @property
    def stamp(self) -> str:
        """What stands in the pixels of everything that was not made from the dataset itself."""
        return f"synthetic stand-in, {self.scale} scale" if self.synthetic else ""


Inputs = Mapping[str, Sequence[Path]]


def colour(method: str) -> tuple[float, float, float]:
    """The colour of a method: its place in `METHODS`, not in the figure, decides; its name where it has no place yet."""
    return (0.45, 0.45, 0.45) if method == "identity" else PALETTE[_place(method) % len(PALETTE)]


def marker(method: str) -> str:
    """The marker of a method, so that colour is never the only sign."""
    return "o" if method == "identity" else MARKERS[_place(method) % len(MARKERS)]


def _place(method: str) -> int:
    """A number that decides colour and marker; no two methods of `METHODS` share both, nor a listed and a new one.

    Colours and markers are 9 and 7, so places below 63 are all different pairs.
    """
    if method in METHODS:
        return METHODS.index(method)
    free = len(PALETTE) * len(MARKERS) - len(METHODS)
    return len(METHODS) + int.from_bytes(hashlib.sha256(method.encode()).digest()[:4]) % free


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
            "figure.dpi": 100,
        },
    )


def new_figure(width: float = 7.2, height: float = 3.6) -> Figure:
    """An empty figure in the house's style; width and height in inches."""
    use_style()
    return plt.figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, numbers: pd.DataFrame, exhibit: Exhibit, svg: Path, png: Path, table: Path) -> None:
    """Write a figure as SVG and PNG, and the numbers that it shows as CSV.

    On synthetic data the figure says so in its pixels and its metadata. No clock and no random id enters the files.
    """
    if exhibit.stamp:
        figure.text(0.995, 0.005, exhibit.stamp, ha="right", va="bottom", fontsize=FONT_SIZE - 2, color="0.35")
        # The stamp has a line of its own below everything else.
        figure.set_layout_engine("constrained", rect=(0, 0.04, 1, 0.96))
    name = f"{exhibit.exhibit} of {exhibit.paper}"
    what = f"{exhibit.stamp}; recipe {exhibit.recipe_id}" if exhibit.stamp else f"recipe {exhibit.recipe_id}"
    with atomic_path(svg) as path:
        figure.savefig(path, format="svg", metadata={"Date": None, "Title": name, "Description": what})
    with atomic_path(png) as path:
        figure.savefig(path, format="png", dpi=200, metadata={"Software": None, "Title": name, "Description": what})
    plt.close(figure)
    write_frame(table, numbers)
