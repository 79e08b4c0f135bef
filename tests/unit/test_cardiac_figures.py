"""Figures, galleries and tables of labelled images and of several networks, from small made-up results."""

import base64
import io
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image
from scipy import stats

from reregister.comparison import compare
from reregister.drawing import Exhibit, colour, marker, save_figure
from reregister.errors import ReregisterError
from reregister.exhibits.blocks import blocks_of, what_it_does, what_it_has
from reregister.exhibits.pixels import frame_uri, grid_lines, heat_uri, outlines
from reregister.figures.cine import phases_of
from reregister.registry import load
from reregister.statistics import holm, wilcoxon_paired
from reregister.tables import read_results, write_arrays, write_frame
from reregister.weights import build_model, list_modules

from .test_figures import OTHER_PROCESS, PROJECT

LABELS = {
    "identity": "Before registration",
    "elastix_bspline": "elastix",
    "dirnet_bl": "BL",
    "dirnet_b2": "B2",
    "dirnet_c1": "C1",
}
NETWORKS = {name: LABELS[name] for name in ("dirnet_bl", "dirnet_b2", "dirnet_c1")}
PAIR = {name: LABELS[name] for name in ("dirnet_c1", "elastix_bspline")}
DRAWN = {
    "cine": {"dirnet_c1": "C1"},
    "losses_by_method": NETWORKS,
    "pair_comparison": PAIR,
    "seeds_by_method": LABELS,
}
TABLES = ("accuracy_table", "pairs_table", "paired_tests")
GAINS = {"identity": 0.0, "elastix_bspline": 0.1, "dirnet_bl": 0.09, "dirnet_b2": 0.05, "dirnet_c1": 0.12}
PAIRS, PATIENTS, FRAMES, SIZE = 24, 6, 7, 16
Inputs = dict[str, list[Path]]


def exhibit(function: str, **changes: Any) -> Exhibit:
    methods = list(DRAWN.get(function, LABELS).items())
    return replace(Exhibit("dirnet", "fig9_test", function, methods, True, "smoke", True, "ab" * 32), **changes)


def metrics_of(method: str, seed: int) -> pd.DataFrame:
    """Dice of PAIRS pairs of PATIENTS, both directions; a distance is unknown for the pair with an empty label."""
    random = np.random.default_rng([seed, *map(ord, method)])
    number = np.arange(PAIRS)
    ids = {"method": method, "seed": seed, "pair_id": [f"test-{n:03d}" for n in number], "moving": "m", "fixed": "f"}
    ids |= {"group": np.where(number % 2, "ES to ED", "ED to ES"), "cluster": [f"SC-{n % PATIENTS}" for n in number]}
    dice = 0.6 + 0.01 * number + GAINS[method] + 0.01 * seed + random.normal(0, 0.005, PAIRS)
    dice[3] = 0.0
    distance = np.where(number == 3, np.nan, 10 * (1 - dice))
    values = {"ncc": 0.8 + GAINS[method], "dice": dice, "hd95": distance, "hd95_pooled": 0.9 * distance}
    values |= {"asd": 0.4 * distance, "empty_labels": (number == 3).astype(int), "fold_share": 0.001}
    return pd.DataFrame({**ids, "unit": "mm", "spacing": "1.3 1.3", **values})


def disc(radius: float) -> np.ndarray:
    rows, columns = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    return (rows**2 + columns**2 <= radius**2).astype(np.uint8)


def examples_of(method: str) -> dict[str, Any]:
    """Four example pairs of discs in the order in which they are not shown; the common one is test-007."""
    after = 0.25 if method == "dirnet_c1" else 0.5
    greys = {"moving": 0.75, "fixed": 0.0, "warped": after}
    images = {name: np.full((4, 1, SIZE, SIZE), grey, np.float32) for name, grey in greys.items()}
    masks = {f"mask_{n}": np.stack([disc(r)] * 4) for n, r in (("moving", 5), ("fixed", 3), ("warped", 3.5))}
    texts = {"rank": ["common", "worst", "median", "best"], "pair_id": ["test-007", "w", "m", "b"]}
    texts |= {"moving_id": ["es"] * 4, "fixed_id": ["ed"] * 4, "group": ["ES to ED"] * 4, "unit": ["mm"] * 4}
    numbers = {"ncc_before": [0.5] * 4, "ncc_after": [0.9, 0.7, 0.8, 0.95], "fold_share": [0.001] * 4}
    numbers |= {"dice_before": [0.6] * 4, "dice_after": [0.9, 0.7, 0.8, 0.95], "field_error": [np.nan] * 4}
    ddf = np.zeros((4, 2, SIZE, SIZE), np.float32)
    return {"method": method, **texts, **numbers, **images, **masks, "ddf": ddf}


def sequence(size: int = SIZE, frames: int = FRAMES) -> dict[str, Any]:
    """A slice in `frames` phases from 4 on; the mask is known in the first alone."""
    random = np.random.default_rng(0)
    images = {name: random.random((frames, 1, size, size)).astype(np.float32) for name in ("moving", "warped")}
    mask = np.zeros((frames, size, size), np.uint8)
    mask[0, 4:8, 4:8] = 1
    ids = np.array([f"case_s02_p{phase:02d}" for phase in range(4, 4 + frames)])
    numbers = {"ncc_before": np.linspace(0.7, 0.8, frames), "ncc_after": np.linspace(0.9, 1, frames)}
    fields = {"ddf": np.ones((frames, 2, size, size), np.float32), "fixed": np.zeros((1, size, size), np.float32)}
    about = {"method": "dirnet_c1", "seed": 0, "ids": ids, "group": "case_s02", "unit": "mm"}
    return {**about, **images, **fields, **numbers, "mask_moving": mask}


def _cycle(inputs: Inputs) -> Inputs:
    """The inputs of an experiment whose pairs are the frames of one sequence."""
    return {"gallery": inputs["sequence"]}


def histories() -> pd.DataFrame:
    """Three networks with two seeds each; B2 trains three times as long."""
    rows = []
    for (method, end), seed in product((("dirnet_bl", 40), ("dirnet_b2", 120), ("dirnet_c1", 40)), (0, 1)):
        steps = np.arange(0, end + 1, 10)
        loss = -0.8 - GAINS[method] * steps / end - 0.01 * seed
        history = pd.DataFrame({"step": steps, "train_loss": np.where(steps > 0, loss - 0.002, np.nan)})
        rows.append(history.assign(validation_loss=loss, method=method, part="all", seed=seed))
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Results of the identity, elastix and three networks with two seeds, as the workflow writes them."""
    folder = tmp_path_factory.mktemp("results")
    frames = [metrics_of(m, seed) for m in LABELS for seed in ((0, 1) if m in NETWORKS else (0,))]
    tables = {"metrics": pd.concat(frames), "comparison": compare(pd.concat(frames)), "histories": histories()}
    pairs = [("v-0", "a", "b", "validation", "s1", "P1"), ("v-1", "b", "a", "validation", "s1", "P1")]
    pairs += [("t-0", "x", "y", "test", "ED to ES", "P2"), ("t-1", "y", "x", "test", "ES to ED", "P2")]
    pairs += [("t-2", "u", "v", "test", "ED to ES", "P3")]
    tables["pairs"] = pd.DataFrame(pairs, columns=["pair_id", "moving", "fixed", "split", "group", "cluster"])
    pool = [(f"{slice_}{n}", slice_, "P0") for slice_, count in (("g", 20), ("h", 3)) for n in range(count)]
    tables["pool"] = pd.DataFrame(pool, columns=["id", "group", "cluster"])
    tables["pool"]["rule"] = "ordered_distinct_pairs_within_group"
    made: Inputs = {name: [folder / f"{name}.csv"] for name in tables}
    for name, table in tables.items():
        write_frame(made[name][0], table)
    made["gallery"] = [folder / f"{method}.gallery.npz" for method in PAIR]
    for path, method in zip(made["gallery"], PAIR, strict=True):
        write_arrays(path, examples_of(method))
    made["sequence"] = [folder / "sequence.npz"]
    write_arrays(made["sequence"][0], sequence())
    return made


def drawn(about: Exhibit, inputs: Inputs) -> Any:
    return load("figures", about.function).draw(about, inputs)


def tabulate(function: str, inputs: Inputs, **changes: Any) -> pd.DataFrame:
    table: pd.DataFrame = load("figures", function).tabulate(exhibit(function, **changes), inputs)
    return table


def panels(function: str, inputs: Inputs, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = load("figures", function).panels(exhibit(function, **changes), inputs)
    return found


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2], validate=True)))


def test_another_process_writes_the_same_bytes_with_the_stamp(inputs: Inputs, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(PROJECT / "scripts"), "TZ": "Asia/Tokyo"}
    for folder in (here, there):
        folder.mkdir()
    given = {function: _cycle(inputs) if function == "cine" else inputs for function in reversed(DRAWN)}
    for own in (_cycle(inputs), inputs):
        exhibits = json.dumps([asdict(exhibit(function)) for function in given if given[function] == own])
        texts = json.dumps({kind: [str(path) for path in paths] for kind, paths in own.items()})
        subprocess.run([sys.executable, "-c", OTHER_PROCESS, exhibits, texts, str(there)], env=environment, check=True)
    for function, own in given.items():
        paths = [here / f"{function}.{suffix}" for suffix in ("svg", "pdf", "png", "csv")]
        figure, numbers = drawn(exhibit(function), own)
        save_figure(figure, numbers, exhibit(function), *paths)
        assert "synthetic stand-in, smoke scale" in [text.get_text() for text in figure.texts]
        assert not numbers.empty
        for path in paths:
            assert path.read_bytes() == (there / path.name).read_bytes(), path.name


def test_losses_end_where_the_histories_end(inputs: Inputs) -> None:
    figure, curves = drawn(exhibit("losses_by_method"), inputs)
    first, longer, ends = figure.axes
    assert first.get_ylabel() == "validation loss $L_{NCC}$ = −NCC"
    assert list(curves.columns) == ["method", "loss", "step", "mean", "low", "high"]
    last = curves[(curves["method"] == "dirnet_b2") & (curves["step"] == 120)]
    np.testing.assert_allclose(last[["mean", "low", "high"]], [[-0.855, -0.86, -0.85]])
    # The common schedule has the whole first panel; only the longer one goes on in the second.
    assert first.get_xlim()[1] < 45
    assert [line.get_label() for line in first.lines] == list(NETWORKS)
    (line,) = longer.lines
    assert (line.get_label(), line.get_xdata()[0], line.get_xdata()[-1]) == ("dirnet_b2", 40, 120)
    assert longer.get_ylim() == first.get_ylim()
    for index, method in enumerate(NETWORKS):
        assert (first.lines[index].get_color(), first.lines[index].get_marker()) == (colour(method), marker(method))
    assert [text.get_text() for text in ends.get_yticklabels()] == list(NETWORKS.values())
    points = [line.get_xdata()[0] for line in ends.lines if len(line.get_xdata()) == 1]
    np.testing.assert_allclose(points, [-0.895, -0.855, -0.925])
    plt.close(figure)


def test_schedules_of_one_length_need_no_further_panel(inputs: Inputs) -> None:
    two = [(name, LABELS[name]) for name in ("dirnet_c1", "dirnet_bl")]
    figure, curves = drawn(exhibit("losses_by_method", methods=two), inputs)
    assert len(figure.axes) == 2
    assert list(dict.fromkeys(curves["method"])) == ["dirnet_c1", "dirnet_bl"]
    plt.close(figure)


def test_another_loss_is_called_by_its_own_name(inputs: Inputs) -> None:
    figure, _ = drawn(exhibit("losses_by_method", options={"loss": "(MSE)"}), inputs)
    assert figure.axes[0].get_ylabel() == "validation loss (MSE)"
    plt.close(figure)


def test_without_validation_pairs_the_axis_speaks_of_training(inputs: Inputs, tmp_path: Path) -> None:
    write_frame(tmp_path / "h.csv", histories().assign(validation_loss=np.nan))
    figure, curves = drawn(exhibit("losses_by_method"), {"histories": [tmp_path / "h.csv"]})
    assert figure.axes[0].get_ylabel().startswith("training loss $L_{NCC}$ = −NCC")
    assert set(curves["loss"]) == {"training"}
    # Before the first step nothing has been trained on.
    assert curves["step"].min() == 10
    plt.close(figure)


def test_accuracy_table(inputs: Inputs) -> None:
    order = ("dirnet_c1", "identity", "elastix_bspline")
    table = tabulate("accuracy_table", inputs, methods=[(name, LABELS[name]) for name in order])
    metrics = read_results(inputs["metrics"]).set_index("method")
    assert table["method"].tolist() == ["Before registration", "C1", "elastix"]
    assert table["patients"].tolist() == [PATIENTS] * 3
    assert table["cases"].tolist() == [PAIRS, 2 * PAIRS, PAIRS]
    own = metrics.loc["dirnet_c1"]
    row = table.iloc[1]
    assert row["dice"] == pytest.approx(own["dice"].mean())
    assert row["dice_sd"] == pytest.approx(own["dice"].std())
    assert row["hd95_mm"] == pytest.approx(own["hd95"].mean())
    assert row["asd_mm_low"] < row["asd_mm"] < row["asd_mm_high"]
    assert row["dice_gain"] == pytest.approx(own["dice"].mean() - metrics.loc["identity"]["dice"].mean())
    assert row["dice_gain_low"] > 0
    assert table["empty_labels"].tolist() == [1, 2, 1]
    assert table["undefined"].tolist() == [1, 2, 1]


def test_lengths_in_two_units_and_data_without_labels_are_refused(inputs: Inputs, tmp_path: Path) -> None:
    metrics = read_results(inputs["metrics"])
    metrics.loc[0, "unit"] = "px"
    write_frame(tmp_path / "m.csv", metrics)
    for function in ("accuracy_table", "paired_tests"):
        with pytest.raises(ReregisterError, match="fig9_test needs lengths in one unit and got mm and px"):
            tabulate(function, {**inputs, "metrics": [tmp_path / "m.csv"]})
    bare = read_results(inputs["metrics"]).drop(columns=["dice", "hd95", "hd95_pooled", "asd", "empty_labels"])
    write_frame(tmp_path / "m.csv", bare)
    write_frame(tmp_path / "c.csv", compare(bare))
    without = {"metrics": [tmp_path / "m.csv"], "comparison": [tmp_path / "c.csv"]}
    with pytest.raises(ReregisterError, match="needs labels and its data have none"):
        tabulate("accuracy_table", without)
    with pytest.raises(ReregisterError, match="fig9_test needs labels"):
        tabulate("paired_tests", without)


def test_paired_tests_compare_seed_means_with_the_first_method(inputs: Inputs) -> None:
    methods = [(name, LABELS[name]) for name in ("elastix_bspline", "dirnet_c1", "dirnet_bl")]
    table = tabulate("paired_tests", inputs, methods=methods)
    assert table["method"].tolist() == ["C1"] * 3 + ["BL"] * 3
    assert set(table["reference"]) == {"elastix"}
    assert table["metric"].tolist()[:3] == ["Dice", "HD95 (95SD), mm", "MAD (ASD), mm"]
    assert table["pairs"].tolist() == [PAIRS, PAIRS - 1, PAIRS - 1] * 2
    metrics = read_results(inputs["metrics"])
    means = metrics.groupby(["method", "pair_id"])["dice"].mean()
    first, second = means["dirnet_c1"], means["elastix_bspline"]
    clusters = [f"SC-{int(pair[-3:]) % PATIENTS}" for pair in first.index]
    row = table.iloc[0]
    assert row["difference"] == pytest.approx((first - second).mean())
    assert row["p_wilcoxon"] == wilcoxon_paired(first, second).p
    assert row["p_wilcoxon_patients"] == wilcoxon_paired(first, second, clusters).p
    assert row["p_t"] == pytest.approx(stats.ttest_rel(first, second).pvalue)
    by_patient = (first - second).groupby(clusters).mean()
    assert row["p_t_patients"] == pytest.approx(stats.ttest_1samp(by_patient, 0).pvalue)
    for test in ("p_wilcoxon", "p_t", "p_wilcoxon_patients", "p_t_patients"):
        np.testing.assert_allclose(table[f"{test}_holm"], holm(table[test]))
    # Six patients can just reach 0.03.
    assert row["smallest_p"] == 2.0**-5
    assert set(table["note"]) == {""}


def test_too_few_patients_are_said(inputs: Inputs, tmp_path: Path) -> None:
    metrics = read_results(inputs["metrics"])
    metrics = metrics[metrics["cluster"].isin(["SC-0", "SC-1"])]
    write_frame(tmp_path / "m.csv", metrics)
    methods = [(name, LABELS[name]) for name in ("elastix_bspline", "dirnet_c1")]
    table = tabulate("paired_tests", {"metrics": [tmp_path / "m.csv"]}, methods=methods)
    assert table["smallest_p"].tolist() == [0.5] * 3
    assert set(table["note"]) == {"too few patients: no p below 0.5 can be had, 0.05 is out of reach"}
    with pytest.raises(ReregisterError, match="needs a reference and at least one more method"):
        tabulate("paired_tests", inputs, methods=methods[:1])


def test_pairs_table_counts_what_the_rule_allows(inputs: Inputs, tmp_path: Path) -> None:
    table = tabulate("pairs_table", inputs).set_index("role")
    assert table.index.tolist() == ["train", "validation", "test"]
    # 20 x 19 and 3 x 2 ordered pairs; two frozen pairs of the test are each other's reverse.
    assert table.loc["train"].to_dict() == {"patients": 1, "groups": 2, "images": 23, "pairs": 386, "unordered": 193}
    assert table.loc["validation"].tolist() == [1, 1, 2, 2, 1]
    assert table.loc["test"].tolist() == [2, 2, 4, 3, 2]
    pool = pd.read_csv(inputs["pool"][0])
    write_frame(tmp_path / "p.csv", pool.assign(rule="ordered_pairs_within_group"))
    replaced = tabulate("pairs_table", {**inputs, "pool": [tmp_path / "p.csv"]}).set_index("role")
    assert replaced.loc["train", ["pairs", "unordered"]].tolist() == [409, 216]
    write_frame(tmp_path / "p.csv", pool.assign(rule="any"))
    with pytest.raises(ReregisterError, match="cannot count training pairs of the rule any; it knows ordered_pairs"):
        tabulate("pairs_table", {**inputs, "pool": [tmp_path / "p.csv"]})


def test_seeds_stand_beside_their_mean(inputs: Inputs, tmp_path: Path) -> None:
    figure, numbers = drawn(exhibit("seeds_by_method"), inputs)
    assert [axes.get_title() for axes in figure.axes] == ["all pairs", "ED to ES", "ES to ED"]
    assert figure.axes[0].get_xlabel() == "Dice"
    cells = numbers.set_index(["method", "group", "seed"])["mean"]
    metrics = read_results(inputs["metrics"])
    own = metrics[(metrics["method"] == "dirnet_c1") & (metrics["group"] == "ED to ES")]
    assert cells["dirnet_c1", "ED to ES", "1"] == pytest.approx(own.loc[own["seed"] == 1, "dice"].mean())
    assert cells["dirnet_c1", "ED to ES", "all"] == pytest.approx(own["dice"].mean())
    small = [line for line in figure.axes[1].lines if line.get_markerfacecolor() == "none"]
    assert [len(line.get_xdata()) for line in small] == [1, 1, 2, 2, 2]
    plt.close(figure)
    write_frame(tmp_path / "m.csv", metrics.assign(dice=np.nan))
    figure, _ = drawn(exhibit("seeds_by_method"), {"metrics": [tmp_path / "m.csv"]})
    assert figure.axes[0].get_xlabel() == "NCC of warped and fixed"
    plt.close(figure)


def test_pair_comparison_shows_one_pair_by_every_method(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("pair_comparison"), inputs)
    assert numbers["pair_id"].tolist() == ["test-007"] * 2
    assert numbers["method"].tolist() == list(PAIR)
    top, bottom = figure.axes[:4], figure.axes[4:8]
    titles = [axes.get_title() for axes in top]
    assert titles == [
        "fixed",
        "before registration\nNCC 0.500, Dice 0.600",
        "C1\nNCC 0.900, Dice 0.900",
        "elastix\nNCC 0.900, Dice 0.900",
    ]
    # One outline on the fixed image, two on the others.
    assert [len(axes.lines) for axes in top] == [1, 2, 2, 2]
    assert {line.get_linestyle() for line in top[2].lines} == {"-", "--"}
    assert [axes.images[0].get_array()[0, 0] for axes in bottom[1:]] == [0.75, 0.25, 0.5]
    assert {axes.images[0].get_clim() for axes in bottom[1:]} == {(0, 0.75)}
    plt.close(figure)


def test_panels_of_the_pair_have_outlines_and_heat_maps(inputs: Inputs) -> None:
    found = panels("pair_comparison", inputs)
    assert [(item["method"], item["rank"], item["dice_after"]) for item in found["items"]] == [
        ("dirnet_c1", "common", 0.9),
        ("elastix_bspline", "common", 0.9),
    ]
    item = found["items"][0]
    assert item["difference_highest"] == 0.75
    assert {role: len(lines) for role, lines in item["outlines"].items()} == {"moving": 1, "fixed": 1, "warped": 1}
    before, after = (
        np.asarray(opened(item[f"difference_{when}"]).convert("RGB"))[0, 0] for when in ("before", "after")
    )
    assert before.sum() > after.sum() > 0
    assert panels("pair_comparison", inputs, show_images=False)["items"] == []
    hidden, numbers = drawn(exhibit("pair_comparison", show_images=False), inputs)
    assert "not shown: the terms" in hidden.texts[0].get_text()
    assert len(numbers) == 2
    plt.close(hidden)


def test_methods_with_different_pairs_are_not_compared(inputs: Inputs, tmp_path: Path) -> None:
    other = examples_of("elastix_bspline")
    other["pair_id"] = ["test-008", "w", "m", "b"]
    write_arrays(tmp_path / "other.npz", other)
    with pytest.raises(ReregisterError, match="compares one pair and its methods hold test-007 and test-008"):
        drawn(exhibit("pair_comparison"), {"gallery": [inputs["gallery"][0], tmp_path / "other.npz"]})


def test_a_gallery_of_labelled_pairs_has_dice_outlines_and_an_order(inputs: Inputs) -> None:
    about = exhibit("gallery", methods=list(PAIR.items()))
    figure, numbers = drawn(about, inputs)
    assert numbers["rank"].tolist() == ["best", "median", "worst", "common"] * 2
    assert numbers["dice_after"].tolist() == [0.95, 0.8, 0.7, 0.9] * 2
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["C1: best", "ES to ED · folds 0.1 %\nNCC 0.500 → 0.950\nDice 0.600 → 0.950"]
    assert [len(axes.lines) for axes in figure.axes[1:5]] == [2, 1, 2, 0]
    plt.close(figure)


def test_cine_shows_six_phases_and_the_curve(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("cine"), _cycle(inputs))
    strip, curve = figure.subfigs
    assert numbers["phase"].tolist() == list(range(4, 11))
    titles = [axes.get_title() for axes in strip.axes[1:7]]
    assert titles == [f"phase {phase}" for phase in (4, 5, 6, 8, 9, 10)]
    assert [len(axes.images) for axes in strip.axes[:28]] == [0, *[1] * 13, 0, *[1] * 6, 0, *[1] * 6]
    # The outline of the one mask that is known.
    assert [len(axes.lines) for axes in strip.axes[1:7]] == [1, 0, 0, 0, 0, 0]
    before, after = curve.axes[0].lines[:2]
    np.testing.assert_allclose(before.get_ydata(), numbers["ncc_before"])
    np.testing.assert_allclose(after.get_ydata(), numbers["ncc_after"])
    plt.close(figure)
    hidden, numbers = drawn(exhibit("cine", show_images=False), _cycle(inputs))
    assert "not shown: the terms" in hidden.subfigs[0].texts[0].get_text()
    assert len(numbers) == FRAMES
    assert not [axes for part in hidden.subfigs for axes in part.axes if axes.images]
    plt.close(hidden)


def test_panels_of_a_cine_hold_each_frame(inputs: Inputs) -> None:
    found = panels("cine", _cycle(inputs))
    assert (found["kind"], found["stamp"], found["label"]) == ("sequence", "synthetic stand-in, smoke scale", "C1")
    assert [frame["phase"] for frame in found["frames"]] == list(range(4, 11))
    frame = found["frames"][0]
    assert (frame["id"], frame["ncc_before"], len(frame["outline"])) == ("case_s02_p04", 0.7, 1)
    assert frame["grid"] == grid_lines(np.ones((2, SIZE, SIZE)))
    assert opened(frame["warped"]).size == (224, 224)
    assert panels("cine", _cycle(inputs), show_images=False)["frames"] == []
    assert json.dumps(found) == json.dumps(panels("cine", _cycle(inputs)))


def test_a_cine_of_noisy_full_size_images_can_be_sent(tmp_path: Path) -> None:
    arrays = sequence(256, 20)
    rows, columns = np.indices((256, 256)) / 256
    smooth = 0.3 + 0.2 * np.sin(20 * rows) * np.cos(17 * columns)
    for name in ("moving", "warped"):
        arrays[name] = (smooth + 0.06 * (arrays[name] - 0.5)).astype(np.float32)
    write_arrays(tmp_path / "s.npz", arrays)
    assert len(json.dumps(panels("cine", {"gallery": [tmp_path / "s.npz"]}))) < 1_500_000


def test_sequences_that_cannot_be_shown_are_refused(inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(ReregisterError, match="fig9_test shows one method's sequence; name one method"):
        drawn(exhibit("cine", methods=list(PAIR.items())), _cycle(inputs))
    write_arrays(tmp_path / "v.npz", {**sequence(), "moving": np.zeros((2, 1, 4, 4, 4))})
    with pytest.raises(ReregisterError, match=r"shows flat images and .*v\.npz holds volumes"):
        drawn(exhibit("cine"), {"gallery": [tmp_path / "v.npz"]})


def test_phases_are_the_numbers_of_the_ids_where_they_differ() -> None:
    assert phases_of(np.array(["a_p07", "a_p20"])) == [7, 20]
    assert phases_of(np.array(["a1", "b1", "c"])) == [1, 2, 3]


def test_outlines_lie_between_inside_and_outside() -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5, 3] = 1
    (line,) = outlines(mask)
    assert line[0] == line[-1]
    points = np.array(line)
    np.testing.assert_allclose([points.min(0), points.max(0)], [[2.5, 1.5], [3.5, 4.5]])
    assert outlines(np.zeros((8, 8))) == []
    # A mask that fills the image has a closed outline along its edge.
    (edge,) = outlines(np.ones((4, 6)))
    np.testing.assert_allclose([np.min(edge, 0), np.max(edge, 0)], [[-0.5, -0.5], [5.5, 3.5]])


def test_frames_are_the_shorter_of_two_codings() -> None:
    noise = np.random.default_rng(0).random((256, 256))
    assert frame_uri(noise, "", "r").startswith("data:image/jpeg;base64,")
    assert opened(frame_uri(noise, "", "r")).info["comment"] == b"recipe r"
    assert frame_uri(np.zeros((256, 256)), "", "r").startswith("data:image/png;base64,")
    smooth = np.tile(np.linspace(0, 1, 256), (256, 1)) + 0.02 * (noise - 0.5)
    back = np.asarray(opened(frame_uri(smooth, "", "r"))) / 255
    assert np.abs(back - np.clip(smooth, 0, 1)).mean() < 0.01


def test_heat_maps_grow_lighter_up_to_the_highest_value() -> None:
    ramp = np.tile(np.linspace(0, 0.5, 256), (256, 1))
    picture = opened(heat_uri(ramp, 0.5, "", "r"))
    light = np.asarray(picture.convert("L")).astype(int)[0]
    assert (np.diff(light) >= 0).mean() > 0.98
    assert light[0] < 10
    assert light[-1] > 220


VARIANTS: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "a1": ({"pooling": "max"}, ["max pool\n2×2"], "cubic\nB-spline\ntransformer"),
    "a2": ({"pooling": "strided"}, ["conv\n2×2 /2\n16 → 16"], "cubic\nB-spline\ntransformer"),
    "b1": ({"order": 2}, ["avg pool\n2×2"], "quadratic\nB-spline\ntransformer"),
    "b1_misaligned": (
        {"order": 2, "transformer": "bspline_misaligned"},
        ["avg pool\n2×2"],
        "quadratic\nB-spline\ntransformer\n(misaligned)",
    ),
    "b2": ({"transformer": "thin_plate"}, ["avg pool\n2×2"], "thin-plate\nspline\ntransformer"),
    "c2": (
        {"head": "dense", "image_size": [32, 32], "nodes": 24},
        ["dense\n16\n→ 24", "dense\n24\n→ 8"],
        "cubic\nB-spline\ntransformer",
    ),
}


def card_of(params: dict[str, Any]) -> dict[str, Any]:
    """A model card of a network; the listed modules of dense layers get their ends from the layers themselves."""
    model = build_model("dirnet", params)
    modules = list_modules(model, (1, 32, 32))
    for entry in modules:
        if entry["type"] == "Linear":
            layer: Any = model.get_submodule(entry["name"])
            entry |= {"inputs": layer.in_features, "outputs": layer.out_features}
    return {"params": params, "parameters": 7938, "image_shape": [1, 32, 32], "modules": modules}


@pytest.mark.parametrize("variant", VARIANTS)
def test_schematic_of_every_variant(variant: str, inputs: Inputs, tmp_path: Path) -> None:
    params, expected, transformer = VARIANTS[variant]
    card = tmp_path / "card.md"
    front = "".join(f"{key}: {json.dumps(value)}\n" for key, value in card_of({"order": 3, **params}).items())
    card.write_text(f"---\n{front}---\n", encoding="utf-8")
    about = exhibit("network_schematic", methods=[("dirnet_x", "X")])
    figure, blocks = drawn(about, {"cards": [card], "gallery": inputs["gallery"]})
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert transformer in texts
    for text in expected:
        assert text in texts
    # Control points 16 px apart, whatever the layers before them.
    assert blocks[["channels", "height", "width"]].iloc[-1].tolist() == [2, 2, 2]
    assert not {"Flatten", "Unflatten"} & {word for kind in blocks["kind"] for word in kind.split(" + ")}
    plt.close(figure)


def test_blocks_that_stand_close_have_short_numbers() -> None:
    row = blocks_of(card_of(VARIANTS["c2"][0])).iloc[-3].to_dict()
    assert what_it_has(row) == "24\n432 par."
    assert what_it_has({**row, "parameters": 1_050_624}, "") == "24\n1.05 M"
    assert what_it_does({**row, "inputs": 1024, "outputs": 1024}, 1) == "dense\n1,024\n→ 1,024"
