"""The methods stay apart for readers with a colour vision deficiency, by colour or at least by marker."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colorspacious import cspace_convert, deltaE
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from reregister.config import read_yaml
from reregister.drawing import METHODS, PALETTE, colour, marker
from reregister.figures.network_schematic import FILLS
from reregister.tables import read_results, write_frame

from .test_figures import DRAWN, Inputs, drawn, exhibit, inputs  # noqa: F401 - the fixture

PROJECT = Path(__file__).resolve().parents[2]
# Full deficiency [Machado 2009]; None is normal vision.
VISIONS = (None, "deuteranomaly", "protanomaly", "tritanomaly")
# Distances in CAM02-UCS, in which 1 is about what can just be told apart in two large fields side by side. Colours of
# methods in one figure are far apart; two of the whole palette are still different colours.
APART, DIFFERENT = 10.0, 5.0


def seen(shade: Any, vision: str | None) -> np.ndarray:
    if vision is None:
        return np.array(to_rgb(shade))
    space = {"name": "sRGB1+CVD", "cvd_type": vision, "severity": 100}
    return np.clip(cspace_convert(to_rgb(shade), space, "sRGB1"), 0, 1)


def distance(one: Any, other: Any) -> float:
    """Smallest distance of two colours over all kinds of colour vision."""
    return min(
        float(deltaE(seen(one, v), seen(other, v), input_space="sRGB1", uniform_space="CAM02-UCS")) for v in VISIONS
    )


def test_the_simulation_merges_what_such_readers_confuse() -> None:
    # Red and green of equal lightness are far apart for most readers and close for a tenth of all men.
    red, green = (0.80, 0.30, 0.10), (0.48, 0.48, 0.10)
    normal = float(deltaE(red, green, input_space="sRGB1", uniform_space="CAM02-UCS"))
    assert normal > 3 * distance(red, green)


@pytest.mark.parametrize("paper", sorted((PROJECT / "config").glob("p*s/*.yaml")), ids=lambda path: path.stem)
def test_methods_of_one_paper_are_far_apart(paper: Path) -> None:
    for experiment in read_yaml(paper)["experiments"].values():
        for one, other in combinations(experiment["methods"], 2):
            assert distance(colour(one), colour(other)) > APART or marker(one) != marker(other), (one, other)


def test_the_listed_methods_are_far_apart_by_colour_alone() -> None:
    names = ("identity", "affine", "elastix_bspline", "ants_syn", "dirnet_bl")
    assert min(distance(colour(one), colour(other)) for one, other in combinations(names, 2)) > APART


def test_no_two_colours_of_the_palette_look_the_same() -> None:
    shades = [*PALETTE, colour("identity")]
    assert min(distance(one, other) for one, other in combinations(shades, 2)) > DIFFERENT


def test_methods_of_all_papers_differ_in_colour_or_marker() -> None:
    for one, other in combinations(("identity", *METHODS), 2):
        assert distance(colour(one), colour(other)) > APART or marker(one) != marker(other), (one, other)


def test_kinds_of_blocks_are_far_apart() -> None:
    assert min(distance(one, other) for one, other in combinations(FILLS, 2)) > APART


def look(handle: Any) -> tuple[Any, str]:
    """Colour and marker of an entry of a legend."""
    return (handle.get_color(), handle.get_marker()) if hasattr(handle, "get_marker") else (handle.get_facecolor(), "")


@pytest.mark.parametrize("function", DRAWN)
def test_entries_of_every_legend_can_be_told_apart(function: str, inputs: Inputs, tmp_path: Path) -> None:  # noqa: F811
    # With a true field, so that no figure is left out.
    metrics = read_results(inputs["metrics"]).assign(field_error_mean=1.0)
    write_frame(tmp_path / "metrics.csv", metrics)
    figure, _ = drawn(exhibit(function), {**inputs, "metrics": [tmp_path / "metrics.csv"]})
    parts = [figure, *figure.subfigs]
    legends = [legend for part in parts for legend in part.legends]
    legends += [axes.get_legend() for part in parts for axes in part.axes if axes.get_legend()]
    # These two name their methods beside what they show.
    assert bool(legends) == (function not in ("gallery", "times_by_method"))
    for legend in legends:
        entries = [look(handle) for handle in legend.legend_handles]
        assert len(entries) > 1
        for (shade, sign), (other, mark) in combinations(entries, 2):
            assert distance(shade, other) > APART or sign != mark
    plt.close(figure)
