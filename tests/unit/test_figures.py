"""Every figure and table from small made-up results: right numbers, stable bytes, the stamp, images only where allowed."""

import base64
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from reregister.comparison import compare
from reregister.config import read_yaml
from reregister.drawing import (
    GREY,
    MARKERS,
    METHODS,
    PALETTE,
    STAMP_LINE,
    Exhibit,
    colour,
    marker,
    new_figure,
    save_figure,
)
from reregister.errors import ReregisterError
from reregister.provenance.files import write_text
from reregister.registry import load, names
from reregister.tables import read_results, write_arrays, write_frame

PROJECT = Path(__file__).resolve().parents[2]
LABELS = {"dirnet_bl": "DIRNet", "identity": "Before registration", "affine": "Affine"}
GROUPS = ("0", "1", "7")
PAIRS = 4
DRAWN = {
    "curves_and_means": {"dirnet_bl": "DIRNet"},
    "field_error_by_group": LABELS,
    "fold_against_similarity": LABELS,
    "gallery": {"dirnet_bl": "DIRNet", "affine": "Affine"},
    "network_schematic": {"dirnet_bl": "DIRNet"},
    "times_by_method": LABELS,
}
TABLES = ("gain_by_group", "methods_table", "times_table")
Inputs = dict[str, list[Path]]


def exhibit(function: str, **changes: Any) -> Exhibit:
    methods = list(DRAWN.get(function, LABELS).items())
    made = Exhibit("dirnet", "fig9_test", function, methods, True, "smoke", True, "ab" * 32)
    return replace(made, **changes)


def metrics_of(method: str, seed: int, gain: float) -> pd.DataFrame:
    """Metrics of PAIRS pairs of each group: NCC 0.5 + gain and a little more from pair to pair."""
    steps = np.arange(PAIRS * len(GROUPS))
    groups = np.repeat(GROUPS, PAIRS)
    frame = pd.DataFrame({"method": method, "seed": seed, "pair_id": [f"test-{n:03d}" for n in steps], "group": groups})
    frame = frame.assign(
        moving=frame["pair_id"] + "m", fixed="f", cluster=frame["pair_id"] + "m", unit="px", spacing="1 1"
    )
    folds = 0.0 if method == "identity" else 0.001
    values = {"ncc": 0.5 + gain + 0.01 * steps, "mse": 0.1 - 0.05 * gain, "mae": 0.2, "ssim": 0.7, "min_det": 0.5}
    values |= {"fold_share": folds * steps, "sdlogj": 0.1, "mean_det": 1.0, "std_det": 0.2, "max_displacement": 3.0}
    return frame.assign(**values, field_error_mean=np.nan, field_error_p95=np.nan)


def module(
    name: str, kind: str, kernel: int, inputs: int | None, outputs: int | None, parameters: int, *shape: int
) -> Any:
    entry = {"name": name, "type": kind, "kernel": [kernel] * 2 if kernel else None, "inputs": inputs}
    return {**entry, "outputs": outputs, "parameters": parameters, "shape": list(shape)}


# Two convolutions and a pooling of 8 px images, and the whole.
MODULES = [
    module("0.0", "Conv2d", 3, 2, 4, 72, 4, 8, 8),
    module("0.1", "BatchNorm2d", 0, None, None, 8, 4, 8, 8),
    module("0.2", "ELU", 0, None, None, 0, 4, 8, 8),
    module("1", "AvgPool2d", 2, None, None, 0, 4, 4, 4),
    module("2", "Conv2d", 1, 4, 2, 10, 2, 4, 4),
    module("", "DIRNet", 0, None, None, 90, 2, 8, 8),
]
CARD = {"params": {"order": 2}, "parameters": 90, "image_shape": [1, 8, 8], "modules": MODULES}


def examples_of(method: str) -> dict[str, Any]:
    """The three example pairs of a method: fixed is black, moving and warped are grey, the field moves by (1, 0.5)."""
    texts = {"pair_id": ["p1", "p2", "p3"], "moving_id": ["a", "b", "c"], "fixed_id": ["f"] * 3, "group": list(GROUPS)}
    numbers = {"ncc_before": [0.5] * 3, "ncc_after": [0.9, 0.8, 0.7], "fold_share": [0.0, 0.0, 0.015]}
    greys = {
        name: np.full((3, 1, 8, 8), grey, np.float32)
        for name, grey in (("moving", 0.5), ("fixed", 0), ("warped", 0.25))
    }
    ddf = np.ones((3, 2, 8, 8), np.float32) * np.array([1, 0.5])[:, None, None]
    rank = {"method": method, "rank": ["best", "median", "worst"], "unit": ["px"] * 3}
    # Data without labels.
    labels: dict[str, Any] = {f"mask_{role}": np.zeros((3, 8, 8), np.uint8) for role in ("moving", "fixed", "warped")}
    labels |= {"dice_before": [np.nan] * 3, "dice_after": [np.nan] * 3}
    return {**rank, **texts, **numbers, **labels, "field_error": [np.nan, 1.5, np.nan], **greys, "ddf": ddf}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Results of the identity, an affine method and a network with two seeds, as the workflow writes them."""
    folder = tmp_path_factory.mktemp("results")
    made: Inputs = {kind: [] for kind in ("metrics", "timing", "histories", "comparison", "images", "gallery", "cards")}

    def write(kind: str, name: str, frame: pd.DataFrame) -> None:
        made[kind].append(folder / kind / name)
        write_frame(made[kind][-1], frame)

    for method, seed, gain in (("identity", 0, 0.0), ("affine", 0, 0.1), ("dirnet_bl", 0, 0.2), ("dirnet_bl", 1, 0.3)):
        metrics = metrics_of(method, seed, gain)
        write("metrics", f"{method}_{seed}.csv", metrics)
        timing = metrics[["pair_id", "group", "method", "seed"]].assign(device="cpu", threads=1)
        timing = timing.assign(seconds=np.arange(1.0, len(timing) + 1) * (seed + 1), note="")
        timing.loc[3, "note"] = "failed" if method == "affine" else ""
        write("timing", f"{method}_{seed}.csv", timing)
        for part in GROUPS if method == "dirnet_bl" else ():
            history = pd.DataFrame({"step": [0, 20, 40], "train_loss": [np.nan, -0.6, -0.7]})
            history = history.assign(validation_loss=-0.5 - gain - history["step"] / 100)
            write("histories", f"{part}_{seed}.csv", history.assign(method=method, part=part, seed=seed))
    write("comparison", "comparison.csv", compare(read_results(made["metrics"])))
    squares = {
        f"{g}.{name}": np.full((1, 8, 8), 0.9, np.float32) for g in GROUPS for name in ("moving", "fixed", "warped")
    }
    made["images"].append(folder / "images.npz")
    write_arrays(made["images"][0], squares)
    for method, seed in (("affine", 0), ("dirnet_bl", 0), ("dirnet_bl", 1)):
        made["gallery"].append(folder / f"{method}_{seed}.gallery.npz")
        write_arrays(made["gallery"][-1], examples_of(method))
    made["cards"].append(folder / "card.md")
    front = "".join(f"{key}: {json.dumps(value)}\n" for key, value in CARD.items())
    write_text(made["cards"][0], f"---\n{front}---\n\n# dirnet\n")
    return made


def drawn(about: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    figure, numbers = load("figures", about.function).draw(about, inputs)
    return figure, numbers


Saved = Callable[..., Path]


def save(about: Exhibit, inputs: Inputs, folder: Path) -> Path:
    """Draw and save a figure; returns its PNG, the SVG and the CSV lie beside it."""
    paths = [folder / f"{about.function}.{suffix}" for suffix in ("svg", "pdf", "png", "csv")]
    save_figure(*drawn(about, inputs), about, *paths)
    return paths[2]


@pytest.fixture(scope="module")
def saved(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Draws and saves an exhibit of a function with some changes, each once; do not change the files."""

    @cache
    def make(function: str, **changes: Any) -> Path:
        return save(exhibit(function, **changes), inputs, tmp_path_factory.mktemp("saved"))

    return make


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_no_module_goes_untested() -> None:
    # Those of labelled data, of protocols side by side and of networks fitted to one pair have files of their own.
    from . import (
        test_cardiac_figures,
        test_label_figures,
        test_prior_figures,
        test_protocol,
        test_reduction_figures,
        test_voxelmorph_figures,
    )

    others = (
        test_cardiac_figures,
        test_label_figures,
        test_voxelmorph_figures,
        test_prior_figures,
        test_protocol,
        test_reduction_figures,
    )
    tested = {*DRAWN, *TABLES, *(name for file in others for name in (*file.DRAWN, *file.TABLES))}
    assert names("figures") == sorted(tested)


OTHER_PROCESS = """
import json, sys
from pathlib import Path
from reregister.drawing import Exhibit, save_figure
from reregister.registry import load

exhibits, inputs, folder = json.loads(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
inputs = {kind: [Path(path) for path in paths] for kind, paths in inputs.items()}
for about in (Exhibit(**fields) for fields in exhibits):
    paths = [folder / f"{about.function}.{suffix}" for suffix in ("svg", "pdf", "png", "csv")]
    save_figure(*load("figures", about.function).draw(about, inputs), about, *paths)
"""


def test_another_process_writes_the_same_bytes(saved: Saved, inputs: Inputs, tmp_path: Path) -> None:
    exhibits = json.dumps([asdict(exhibit(function)) for function in reversed(DRAWN)])
    texts = json.dumps({kind: [str(path) for path in paths] for kind, paths in inputs.items()})
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(PROJECT / "scripts"), "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", OTHER_PROCESS, exhibits, texts, str(tmp_path)]
    subprocess.run(command, env=environment, check=True)
    for function in DRAWN:
        for suffix in (".svg", ".pdf", ".png", ".csv"):
            here, there = saved(function).with_suffix(suffix), tmp_path / f"{function}{suffix}"
            assert here.stat().st_size > 100
            assert here.read_bytes() == there.read_bytes(), there.name


def test_a_figure_drawn_again_has_the_same_bytes(saved: Saved, inputs: Inputs, tmp_path: Path) -> None:
    function = "fold_against_similarity"
    first, second = saved(function), save(exhibit(function), inputs, tmp_path)
    for suffix in (".svg", ".pdf", ".png", ".csv"):
        assert first.with_suffix(suffix).read_bytes() == second.with_suffix(suffix).read_bytes()
    assert not plt.get_fignums()


@pytest.mark.parametrize("function", ["gallery", "curves_and_means"])
def test_places_do_not_hang_on_the_last_digits_of_the_layout(function: str, inputs: Inputs, tmp_path: Path) -> None:
    figure, numbers = drawn(exhibit(function), inputs)
    save_figure(
        figure, numbers, exhibit(function), *(tmp_path / f"a.{suffix}" for suffix in ("svg", "pdf", "png", "csv"))
    )
    places = [axes.get_position(original=True).bounds for part in (figure, *figure.subfigs) for axes in part.axes]
    places += [part.bbox_relative.bounds for part in figure.subfigs]
    assert len(places) > 2
    np.testing.assert_allclose(places, np.round(places, 6), rtol=0, atol=1e-12)


@pytest.mark.parametrize("function", TABLES)
def test_a_table_made_again_is_the_same(function: str, inputs: Inputs, tmp_path: Path) -> None:
    for place in ("a.csv", "b.csv"):
        write_frame(tmp_path / place, load("figures", function).tabulate(exhibit(function), inputs))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize("function", DRAWN)
def test_stand_ins_are_stamped_in_the_pixels(function: str, saved: Saved, tmp_path: Path) -> None:
    stamped, real = pixels(saved(function)), pixels(saved(function, synthetic=False))
    height, width = stamped.shape[:2]
    # The stamp alone on an empty page of the same size.
    page = new_figure(height / 200, width / 200)
    look: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 7, "color": GREY}
    page.text(0.995, 0.02 / (height / 200), "synthetic stand-in, smoke scale", **look)
    page.savefig(tmp_path / "page.png", dpi=200)
    plt.close(page)
    line = height - int(STAMP_LINE * 200)
    corner = (slice(line, None), slice(width // 2, None))
    alone = pixels(tmp_path / "page.png")[corner]
    assert (alone < 128).sum() > 100
    np.testing.assert_array_equal(stamped[corner], alone)
    assert (real[corner] != alone).any()
    other = pixels(saved(function, scale="demo"))
    rows, columns = np.nonzero((other != stamped).any(axis=2))
    assert rows.size
    assert rows.min() >= line
    assert columns.min() >= width // 2


@pytest.mark.parametrize("function", DRAWN)
def test_metadata_say_what_the_pixels_say(function: str, saved: Saved) -> None:
    for synthetic in (True, False):
        png = saved(function) if synthetic else saved(function, synthetic=False)
        svg = png.with_suffix(".svg").read_text(encoding="utf-8")
        with Image.open(png) as image:
            text = dict(image.info)
        assert text["Title"] == "fig9_test of dirnet"
        recipe = f"recipe {'ab' * 32}"
        expected = f"synthetic stand-in, smoke scale; {recipe}" if synthetic else recipe
        assert text["Description"] == expected
        assert f"<dc:description>{expected}</dc:description>" in svg
        pdf = png.with_suffix(".pdf").read_bytes()
        assert f"/Subject ({expected})".encode() in pdf
        assert b"/CreationDate" not in pdf
        assert "Software" not in text
        assert "<dc:date>" not in svg
        assert not re.search(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", svg)


def test_real_data_carry_no_stamp_at_any_scale() -> None:
    for scale in ("smoke", "demo", "full"):
        assert exhibit("curves_and_means", synthetic=False, scale=scale).stamp == ""
        assert exhibit("curves_and_means", scale=scale).stamp == f"synthetic stand-in, {scale} scale"


def test_the_stamp_is_the_only_text_that_saving_adds(inputs: Inputs, tmp_path: Path) -> None:
    for synthetic in (True, False):
        about = exhibit("curves_and_means", synthetic=synthetic)
        figure, numbers = new_figure(1, 2), pd.DataFrame({"x": [1]})
        save_figure(figure, numbers, about, *(tmp_path / f"a.{suffix}" for suffix in ("svg", "pdf", "png", "csv")))
        assert [text.get_text() for text in figure.texts] == ([about.stamp] if synthetic else [])


def test_numbers_of_a_figure_are_saved_beside_it(saved: Saved) -> None:
    curves = pd.read_csv(saved("curves_and_means").with_suffix(".csv"), dtype={"part": str})
    assert list(curves.columns) == ["part", "step", "mean", "min", "max"]
    assert curves["part"].tolist() == np.repeat(GROUPS, 3).tolist()
    # Two seeds with gains 0.2 and 0.3: their mean, lowest and highest.
    last = curves[curves["step"] == 40]
    np.testing.assert_allclose(last[["mean", "min", "max"]], [[-1.15, -1.2, -1.1]] * 3)


def test_curves_have_a_band_over_the_seeds(inputs: Inputs) -> None:
    figure, _ = drawn(exhibit("curves_and_means"), inputs)
    (axes,) = figure.subfigs[0].axes
    assert [line.get_label() for line in axes.lines] == list(GROUPS)
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata(), float), [-0.75, -0.95, -1.15])
    band = np.asarray(axes.collections[0].get_paths()[0].vertices, float)
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((-1.2, -0.7))
    plt.close(figure)


def test_curves_of_several_methods_are_refused(inputs: Inputs, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    write_frame(other, pd.read_csv(inputs["histories"][0]).assign(method="other"))
    with pytest.raises(ReregisterError, match="fig9_test draws one trained method and got dirnet_bl, other; name one"):
        drawn(exhibit("curves_and_means"), {**inputs, "histories": [*inputs["histories"], other]})


def test_images_are_shown_or_their_place_says_why_not(saved: Saved, inputs: Inputs, tmp_path: Path) -> None:
    shown, _ = drawn(exhibit("curves_and_means"), inputs)
    assert len(shown.subfigs[1].axes) == 3 * len(GROUPS)
    assert all(len(axes.images) == 1 for axes in shown.subfigs[1].axes)
    np.testing.assert_array_equal(shown.subfigs[1].axes[0].images[0].get_array(), np.full((8, 8), 0.9, np.float32))
    rows = [axes.get_ylabel().replace("\n", " ") for axes in shown.subfigs[1].axes if axes.get_ylabel()]
    assert rows == ["mean of moving", "fixed", "mean of registered"]
    assert [axes.get_title() for axes in shown.subfigs[1].axes[: len(GROUPS)]] == list(GROUPS)
    plt.close(shown)
    # The file with the images is not even opened.
    hidden_inputs = {**inputs, "images": [tmp_path / "none.npz"]}
    hidden, _ = drawn(exhibit("curves_and_means", show_images=False), hidden_inputs)
    assert hidden.subfigs[1].axes == []
    assert "not shown" in hidden.subfigs[1].texts[0].get_text()
    assert "terms" in hidden.subfigs[1].texts[0].get_text()
    plt.close(hidden)
    with_images = saved("curves_and_means")
    without = save(exhibit("curves_and_means", show_images=False), hidden_inputs, tmp_path / "without")
    assert with_images.with_suffix(".svg").read_text(encoding="utf-8").count("<image") == 3 * len(GROUPS)
    assert "<image" not in without.with_suffix(".svg").read_text(encoding="utf-8")
    # Squares of grey 0.9: many such pixels with the images, next to none without.
    grey = [(np.abs(pixels(path) - 230) < 3).all(axis=2).sum() for path in (with_images, without)]
    assert grey[0] > 20 * grey[1] + 10_000


def points(axes: Any) -> dict[str, Any]:
    """The labelled points of a plot by their label."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_points_stand_at_folds_and_similarity(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("fold_against_similarity"), inputs)
    metrics = read_results(inputs["metrics"])
    assert [axes.get_title() for axes in figure.axes] == [f"digit {group}" for group in GROUPS]
    for axes, group in zip(figure.axes, GROUPS, strict=True):
        found = points(axes)
        assert list(found) == list(LABELS.values())
        for method, label in LABELS.items():
            means = metrics[(metrics["method"] == method) & (metrics["group"] == group)][["fold_share", "ncc"]].mean()
            assert (found[label].get_color(), found[label].get_marker()) == (colour(method), marker(method))
            assert found[label].get_ydata() == pytest.approx([means["ncc"]])
            if means["fold_share"]:
                assert found[label].get_xdata() == pytest.approx([np.log10(100 * means["fold_share"])])
            else:
                # Without folds, in the band left of 0.01 %.
                assert axes.get_xlim()[0] < found[label].get_xdata()[0] < -2
            assert axes.get_ylim()[0] < means["ncc"] < axes.get_ylim()[1]
        assert [text.get_text() for text in axes.get_xticklabels()] == ["none", "0.01", "0.1", "1"]
    assert len(numbers) == len(LABELS) * len(GROUPS) * 2
    # Two seeds of four pairs are eight cases of four clusters.
    network = numbers[(numbers["method"] == "dirnet_bl") & (numbers["metric"] == "ncc")]
    assert set(network["n"]) == {2 * PAIRS}
    assert set(network["n_clusters"]) == {PAIRS}
    plt.close(figure)


def test_methods_without_folds_stand_apart(inputs: Inputs, tmp_path: Path) -> None:
    metrics = read_results(inputs["metrics"]).assign(fold_share=0.0)
    write_frame(tmp_path / "metrics.csv", metrics)
    figure, _ = drawn(exhibit("fold_against_similarity"), {"metrics": [tmp_path / "metrics.csv"]})
    for axes in figure.axes:
        places = [line.get_xdata()[0] for line in points(axes).values()]
        assert np.diff(sorted(places)).min() > 0.2
        assert axes.get_xlim()[0] < min(places) < max(places) < -2
    plt.close(figure)


def test_bars_are_the_intervals(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("fold_against_similarity"), inputs)
    cells = numbers.set_index(["method", "group", "metric"])
    for axes, group in zip(figure.axes, GROUPS, strict=True):
        bars = [np.asarray(line.get_ydata(), float) for line in axes.lines if len(line.get_ydata()) == 2]
        upright = {tuple(bar) for bar in bars if bar[0] != bar[1]}
        rows = [cells.loc[(method, group, "ncc")] for method in LABELS]
        assert upright == {(row["low"], row["high"]) for row in rows}
    plt.close(figure)


def test_field_error_has_a_point_for_every_method_and_group(inputs: Inputs, tmp_path: Path) -> None:
    metrics = read_results(inputs["metrics"])
    metrics = metrics.assign(field_error_mean=np.arange(len(metrics)) / 10, unit="mm")
    write_frame(tmp_path / "metrics.csv", metrics)
    figure, numbers = drawn(exhibit("field_error_by_group"), {"metrics": [tmp_path / "metrics.csv"]})
    (axes,) = figure.axes
    assert "mm" in axes.get_ylabel()
    assert [text.get_text() for text in axes.get_xticklabels()] == list(GROUPS)
    found = [line for line in axes.lines if len(line.get_xdata()) == 1]
    expected = metrics.groupby(["group", "method"])["field_error_mean"].mean()
    assert len(found) == len(GROUPS) * len(LABELS) == len(numbers)
    cases = [(group, method) for group in GROUPS for method in LABELS]
    for (group, method), point in zip(cases, found, strict=True):
        assert round(point.get_xdata()[0]) == GROUPS.index(group)
        assert point.get_ydata() == pytest.approx([expected[group, method]])
        assert point.get_marker() == marker(method)
    assert axes.get_ylim()[0] == 0
    plt.close(figure)


def test_field_error_says_that_no_true_field_is_known(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("field_error_by_group", synthetic=False), inputs)
    assert [text.get_text() for text in figure.texts] == ["no true field is known for these data"]
    assert figure.axes == []
    assert set(numbers["n"]) == {0}
    plt.close(figure)


def test_times_have_their_device_median_and_range(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("times_by_method"), inputs)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "DIRNet  (cpu, 1 thread)",
        "Before registration  (cpu, 1 thread)",
        "Affine  (cpu, 1 thread, 1 failed)",
    ]
    medians = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    ranges = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
    assert medians == numbers["seconds_median"].tolist()
    assert ranges == list(zip(numbers["seconds_min"], numbers["seconds_max"], strict=True))
    assert {text.get_text() for text in axes.texts} >= {"6.5 s"}
    plt.close(figure)


def test_schematic_is_drawn_from_the_module_list(inputs: Inputs) -> None:
    figure, blocks = drawn(exhibit("network_schematic"), inputs)
    (axes,) = figure.axes
    assert blocks["kind"].tolist() == ["Conv2d + BatchNorm2d + ELU", "AvgPool2d", "Conv2d"]
    assert blocks["parameters"].tolist() == [80, 0, 10]
    assert blocks[["channels", "height", "width"]].to_numpy().tolist() == [[4, 8, 8], [4, 4, 4], [2, 4, 4]]
    texts = [text.get_text() for text in axes.texts]
    for expected in ("conv\n3×3\n2 → 4", "avg pool\n2×2", "conv\n1×1\n4 → 2", "8×8\n80 par.", "4×4", "4×4\n10 par."):
        assert expected in texts
    assert "4×4, spacing\n2 px" in texts
    assert "quadratic\nB-spline\ntransformer" in texts
    assert any("90 parameters" in text for text in texts)
    dots = next(line for line in axes.lines if line.get_marker() == ".")
    assert len(dots.get_xdata()) == 16
    assert len(axes.images) == 3
    plt.close(figure)
    hidden, _ = drawn(exhibit("network_schematic", show_images=False), inputs)
    assert not hidden.axes[0].images
    plt.close(hidden)


def test_schematic_of_several_methods_is_refused(inputs: Inputs) -> None:
    with pytest.raises(ReregisterError, match="fig9_test draws one network; name one method"):
        drawn(exhibit("network_schematic", methods=list(LABELS.items())), inputs)


def test_gallery_shows_each_rank_of_the_first_seed(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("gallery"), inputs)
    assert numbers["method"].tolist() == ["dirnet_bl"] * 3 + ["affine"] * 3
    assert numbers["rank"].tolist() == ["best", "median", "worst"] * 2
    assert numbers["field_error"].isna().tolist() == [True, False, True] * 2
    rows = np.array(figure.axes[: 6 * 7]).reshape(6, 7)
    # Moving, fixed, warped, difference before and after (absolute), warped below the grid.
    values = [axes.images[0].get_array()[0, 0] for axes in rows[0, 1:]]
    assert values == pytest.approx([0.5, 0, 0.25, 0.5, 0.25, 0.25])
    labels = [" ".join(text.get_text() for text in axes.texts) for axes in rows[:, 0]]
    assert labels[0] == "DIRNet: best digit 0 · NCC 0.500 → 0.900\nfolds 0 %"
    assert labels[4] == "Affine: median digit 1 · NCC 0.500 → 0.800\nfolds 0 %\nfield error 1.50 px"
    (grid,) = rows[0, 6].collections
    # The first line of the fixed grid, one pixel lower and half a pixel to the right.
    np.testing.assert_allclose(grid.get_segments()[0], np.stack([np.arange(8) + 0.5, np.ones(8)], axis=1))
    plt.close(figure)


def test_panels_hold_what_the_page_needs(inputs: Inputs) -> None:
    about = exhibit("gallery")
    panels = load("figures", "gallery").panels(about, inputs)
    assert panels["stamp"] == "synthetic stand-in, smoke scale"
    assert [(item["method"], item["rank"]) for item in panels["items"][2:4]] == [
        ("dirnet_bl", "worst"),
        ("affine", "best"),
    ]
    item = panels["items"][1]
    texts = {"label": "DIRNet", "pair_id": "p2", "moving_id": "b", "fixed_id": "f", "group": "1", "unit": "px"}
    numbers = {"ncc_before": 0.5, "ncc_after": 0.8, "fold_share": 0.0, "field_error": 1.5, "height": 8, "width": 8}
    assert {key: item[key] for key in texts} == texts
    assert {key: item[key] for key in numbers} == numbers
    assert panels["items"][0]["field_error"] is None
    assert item["grid"][0][0] == [0.5, 1.0]
    for name, grey in (("moving", 128), ("fixed", 0), ("warped", 64)):
        data = base64.b64decode(item[name].removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.size == (224, 224)
            assert picture.info["Description"] == f"{about.stamp}; recipe {'ab' * 32}"
            values = np.asarray(picture)
        assert (values[:180] == grey).all()
        assert (values[180:] != grey).any()
    assert json.dumps(panels) == json.dumps(load("figures", "gallery").panels(about, inputs))


def test_a_gallery_whose_images_may_not_be_shown_holds_none(inputs: Inputs, tmp_path: Path) -> None:
    about = exhibit("gallery", show_images=False)
    assert load("figures", "gallery").panels(about, inputs)["items"] == []
    svg = save(about, inputs, tmp_path).with_suffix(".svg").read_text(encoding="utf-8")
    assert "<image" not in svg
    figure, numbers = drawn(about, inputs)
    assert "not shown: the terms" in figure.texts[0].get_text()
    assert len(numbers) == 6
    plt.close(figure)


def test_a_gallery_of_volumes_shows_a_slice_of_each(tmp_path: Path) -> None:
    arrays, rng = examples_of("affine"), np.random.default_rng(3)
    # Axes to the right, to the front and up.
    moving, labels = rng.random((3, 1, 4, 5, 6), dtype=np.float32), np.zeros((3, 4, 5, 6), np.uint8)
    labels[:, 1, 2, 1], labels[:, 2, 2, 4] = 1, 2
    arrays |= dict.fromkeys(("moving", "fixed", "warped"), moving)
    arrays |= {f"mask_{role}": labels for role in ("moving", "fixed", "warped")}
    arrays["ddf"] = np.ones((3, 3, 4, 5, 6), np.float32) * np.array([1, 2, 3])[:, None, None, None]
    write_arrays(tmp_path / "volumes.npz", arrays)
    cases = load("figures", "gallery").cases_of(exhibit("gallery"), {"gallery": [tmp_path / "volumes.npz"]})
    # A coronal slice through the middle: up is up, and the subject's right is on the left.
    np.testing.assert_array_equal(cases[0]["moving"][0], moving[0, 0, :, 2].T[::-1, ::-1])
    assert cases[0]["mask_fixed"].max() == 2
    np.testing.assert_array_equal(cases[0]["ddf"][:, 0, 0], [-3, -1])
    item = load("figures", "gallery").panels(exhibit("gallery"), {"gallery": [tmp_path / "volumes.npz"]})["items"][0]
    assert (item["height"], item["width"]) == (6, 4)
    assert len(item["outlines"]["fixed"]) == 2
    about = replace(exhibit("gallery"), options={"plane": "oblique"})
    with pytest.raises(ReregisterError, match="fig9_test: a plane is sagittal, coronal, axial, not oblique"):
        drawn(about, {"gallery": [tmp_path / "volumes.npz"]})


def test_a_gallery_without_any_defined_pair_says_so(tmp_path: Path) -> None:
    write_arrays(tmp_path / "none.npz", {"method": "affine"})
    figure, numbers = drawn(exhibit("gallery"), {"gallery": [tmp_path / "none.npz"]})
    assert [text.get_text() for text in figure.texts] == ["no pair has a defined NCC"]
    assert numbers.empty
    plt.close(figure)


def test_methods_table(inputs: Inputs) -> None:
    table = load("figures", "methods_table").tabulate(exhibit("methods_table"), inputs)
    assert table["method"].tolist() == ["Before registration", "DIRNet", "Affine"]
    cases = PAIRS * len(GROUPS)
    assert table["cases"].tolist() == [cases, 2 * cases, cases]
    before = 0.5 + 0.01 * np.arange(cases).mean()
    np.testing.assert_allclose(table["ncc"], [before, before + 0.25, before + 0.1])
    np.testing.assert_allclose(table["ncc_gain"], [0, 0.25, 0.1], atol=1e-12)
    assert (table["ncc_low"] < table["ncc"]).all()
    assert (table["ncc"] < table["ncc_high"]).all()
    # No method has an error against a true field: no such column. Folding and SDlogJ stand beside every similarity.
    assert not [column for column in table.columns if column.startswith("field_error")]
    assert {"fold_share", "fold_share_low", "sdlogj", "sdlogj_high"} <= set(table.columns)
    assert list(table.columns[:9]) == [
        "method",
        "cases",
        *(f"ncc{x}" for x in ("", "_low", "_high")),
        *(f"ncc_gain{x}" for x in ("", "_low", "_high")),
        "mse",
    ]


def test_a_metric_that_one_method_lacks_is_an_empty_cell(inputs: Inputs, tmp_path: Path) -> None:
    metrics = read_results(inputs["metrics"])
    metrics.loc[metrics["method"] == "affine", "field_error_mean"] = 1.5
    write_frame(tmp_path / "comparison.csv", compare(metrics))
    table = load("figures", "methods_table").tabulate(
        exhibit("methods_table"), {"comparison": [tmp_path / "comparison.csv"]}
    )
    np.testing.assert_array_equal(table["field_error_mean"], [np.nan, np.nan, 1.5])
    assert table.columns.get_loc("field_error_mean") < table.columns.get_loc("fold_share")


def test_gain_by_group(inputs: Inputs) -> None:
    about = exhibit("gain_by_group")
    table = load("figures", "gain_by_group").tabulate(about, inputs)
    assert table["group"].tolist() == np.repeat(GROUPS, 2).tolist()
    assert table["method"].tolist() == ["DIRNet", "Affine"] * len(GROUPS)
    np.testing.assert_allclose(table["ncc_gain"], [0.25, 0.1] * len(GROUPS))
    np.testing.assert_allclose(table["ncc"] - table["ncc_before"], table["ncc_gain"])
    assert table["cases"].tolist() == [2 * PAIRS, PAIRS] * len(GROUPS)
    only = load("figures", "gain_by_group").tabulate(replace(about, methods=[("affine", "Affine")]), inputs)
    assert set(only["method"]) == {"Affine"}
    none = load("figures", "gain_by_group").tabulate(replace(about, methods=[("identity", "Before")]), inputs)
    assert none.empty
    assert list(none.columns) == list(table.columns)


def test_times_table(inputs: Inputs) -> None:
    table = load("figures", "times_table").tabulate(exhibit("times_table"), inputs)
    assert table["method"].tolist() == list(LABELS.values())
    assert table["cases"].tolist() == [24, 12, 12]
    assert table["failed"].tolist() == [0, 0, 1]
    seconds = np.concatenate([np.arange(1.0, 13), 2 * np.arange(1.0, 13)])
    np.testing.assert_allclose(table["seconds_median"], [np.median(seconds), 6.5, 6.5])
    assert table["seconds_max"].tolist() == [24, 12, 12]
    assert set(table["device"]) == {"cpu"}


def test_colours_and_markers_are_distinct_and_stable() -> None:
    assert colour("identity") == GREY
    assert marker("identity") == "o"
    looks = {(colour(method), marker(method)) for method in ("identity", *METHODS)}
    assert len(looks) == len(METHODS) + 1
    # No other method is grey, and none has the marker of the identity.
    assert all(max(shade) - min(shade) > 0.2 for shade in PALETTE)
    assert "o" not in MARKERS
    new = [(colour(f"net_{n}"), marker(f"net_{n}")) for n in range(20)]
    assert new == [(colour(f"net_{n}"), marker(f"net_{n}")) for n in range(20)]
    assert not looks & set(new)
    assert len(set(new)) > 10


def test_every_method_of_every_paper_has_its_place() -> None:
    papers = [read_yaml(path) for path in (PROJECT / "config" / "papers").glob("*.yaml")]
    methods = {name for paper in papers for setup in paper["experiments"].values() for name in setup["methods"]}
    assert methods - {"identity"} <= set(METHODS)
