"""Every figure and table from small made-up results: right numbers, stable bytes, the stamp, images only where allowed."""

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
from reregister.drawing import MARKERS, METHODS, PALETTE, Exhibit, colour, marker, new_figure, save_figure
from reregister.errors import ReregisterError
from reregister.registry import load, names
from reregister.tables import read_results, write_arrays, write_frame

PROJECT = Path(__file__).resolve().parents[2]
LABELS = {"dirnet_bl": "DIRNet", "identity": "Before registration", "affine": "Affine"}
GROUPS = ("0", "1", "7")
PAIRS = 4
DRAWN = {
    "curves_and_means": {"dirnet_bl": "DIRNet"},
    "fold_against_similarity": LABELS,
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


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Results of the identity, an affine method and a network with two seeds, as the workflow writes them."""
    folder = tmp_path_factory.mktemp("results")
    made: Inputs = {kind: [] for kind in ("metrics", "timing", "histories", "comparison", "images")}

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
    return made


def drawn(about: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    figure, numbers = load("figures", about.function).draw(about, inputs)
    return figure, numbers


Saved = Callable[..., Path]


def save(about: Exhibit, inputs: Inputs, folder: Path) -> Path:
    """Draw and save a figure; returns its PNG, the SVG and the CSV lie beside it."""
    paths = [folder / f"{about.function}.{suffix}" for suffix in ("svg", "png", "csv")]
    save_figure(*drawn(about, inputs), about, *paths)
    return paths[1]


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
    assert names("figures") == sorted([*DRAWN, *TABLES])


OTHER_PROCESS = """
import json, sys
from pathlib import Path
from reregister.drawing import Exhibit, save_figure
from reregister.registry import load

exhibits, inputs, folder = json.loads(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
inputs = {kind: [Path(path) for path in paths] for kind, paths in inputs.items()}
for about in (Exhibit(**fields) for fields in exhibits):
    paths = [folder / f"{about.function}.{suffix}" for suffix in ("svg", "png", "csv")]
    save_figure(*load("figures", about.function).draw(about, inputs), about, *paths)
"""


def test_another_process_writes_the_same_bytes(saved: Saved, inputs: Inputs, tmp_path: Path) -> None:
    exhibits = json.dumps([asdict(exhibit(function)) for function in reversed(DRAWN)])
    texts = json.dumps({kind: [str(path) for path in paths] for kind, paths in inputs.items()})
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(PROJECT / "scripts"), "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", OTHER_PROCESS, exhibits, texts, str(tmp_path)]
    subprocess.run(command, env=environment, check=True)
    for function in DRAWN:
        for suffix in (".svg", ".png", ".csv"):
            here, there = saved(function).with_suffix(suffix), tmp_path / f"{function}{suffix}"
            assert here.stat().st_size > 100
            assert here.read_bytes() == there.read_bytes(), there.name


def test_a_figure_drawn_again_has_the_same_bytes(saved: Saved, inputs: Inputs, tmp_path: Path) -> None:
    function = "fold_against_similarity"
    first, second = saved(function), save(exhibit(function), inputs, tmp_path)
    for suffix in (".svg", ".png", ".csv"):
        assert first.with_suffix(suffix).read_bytes() == second.with_suffix(suffix).read_bytes()
    assert not plt.get_fignums()


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
    page = new_figure(width / 200, height / 200)
    page.text(0.995, 0.005, "synthetic stand-in, smoke scale", ha="right", va="bottom", fontsize=7, color="0.35")
    page.savefig(tmp_path / "page.png", dpi=200)
    plt.close(page)
    corner = (slice(int(height * 0.965), None), slice(width // 2, None))
    alone = pixels(tmp_path / "page.png")[corner]
    assert (alone < 128).sum() > 100
    np.testing.assert_array_equal(stamped[corner], alone)
    assert (real[corner] != alone).any()
    other = pixels(saved(function, scale="demo"))
    rows, columns = np.nonzero((other != stamped).any(axis=2))
    assert rows.size
    assert rows.min() >= int(height * 0.965)
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
        figure, numbers = new_figure(2, 1), pd.DataFrame({"x": [1]})
        save_figure(figure, numbers, about, tmp_path / "a.svg", tmp_path / "a.png", tmp_path / "a.csv")
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
    rows = [axes.get_ylabel() for axes in shown.subfigs[1].axes if axes.get_ylabel()]
    assert rows == ["mean of moving", "fixed", "mean of registered"]
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


def test_points_stand_at_folds_and_similarity(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("fold_against_similarity"), inputs)
    (axes,) = figure.axes
    assert len(axes.containers) == len(LABELS)
    containers: list[Any] = list(axes.containers)
    for (method, label), container in zip(LABELS.items(), containers, strict=True):
        points = container.lines[0]
        metrics = read_results([path for path in inputs["metrics"] if path.name.startswith(method)])
        means = metrics.groupby("group")[["fold_share", "ncc"]].mean()
        assert container.get_label() == label
        assert (points.get_color(), points.get_marker()) == (colour(method), marker(method))
        np.testing.assert_allclose(np.asarray(points.get_xdata(), float), 100 * means["fold_share"])
        np.testing.assert_allclose(np.asarray(points.get_ydata(), float), means["ncc"])
    assert len(numbers) == len(LABELS) * len(GROUPS) * 2
    # Two seeds of four pairs are eight cases of four clusters.
    network = numbers[(numbers["method"] == "dirnet_bl") & (numbers["metric"] == "ncc")]
    assert set(network["n"]) == {2 * PAIRS}
    assert set(network["n_clusters"]) == {PAIRS}
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
    assert colour("identity") == (0.45, 0.45, 0.45)
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
