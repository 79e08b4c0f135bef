"""Losses batch by batch, examples and measures by group, and a grid search, from small made-up results."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from reregister.drawing import Exhibit, colour, marker, save_figure
from reregister.errors import ReregisterError
from reregister.registry import load
from reregister.statistics import summarise
from reregister.tables import read_results, write_arrays, write_frame

from .test_figures import OTHER_PROCESS, PROJECT

LABELS = {"identity": "Before registration", "literal": "As published", "repaired": "Repaired"}
NETWORKS = {name: LABELS[name] for name in ("literal", "repaired")}
GRID = {f"grid_{a}_{b}": f"lr {a}, λ {b}" for a in (0.1, 0.01, 0.001) for b in (0.01, 0.1, 1)}
DRAWN = {
    "examples_by_group": NETWORKS,
    "grid_map": GRID,
    "loss_by_batch": NETWORKS,
    "metrics_by_group": LABELS,
}
TABLES = ("grid_table",)
GROUPS, PAIRS, BATCHES = ("1", "4", "6", "7"), 8, 5
EPOCHS = {"literal": 4, "repaired": 6}
TOTAL = {"label": "total loss", "terms": {"mse": 1.0, "smoothness": 0.1}}
Inputs = dict[str, list[Path]]


def exhibit(function: str, options: Any = (), **changes: Any) -> Exhibit:
    methods = list((GRID if function == "grid_table" else DRAWN[function]).items())
    made = Exhibit("mnist_voxelmorph", "fig9_test", function, methods, True, "smoke", True, "ab" * 32, dict(options))
    return replace(made, **changes)


def history(method: str, seed: int = 0) -> pd.DataFrame:
    """A training loss at every batch and a validation loss after each epoch; that of `literal` rises in the last."""
    last = EPOCHS[method]
    steps = np.arange(0, last * BATCHES + 1)
    start = 1.0 if method == "literal" else 0.09
    noise = np.random.default_rng(seed).normal(0, 0.002, len(steps))
    loss = 0.06 + start * np.exp(-steps / 6) + noise + 0.001 * seed
    frame = pd.DataFrame({"step": steps, "train_loss": np.where(steps > 0, loss, np.nan)})
    validation = np.where(steps % BATCHES == 0, 0.065 + start * np.exp(-steps / 5), np.nan)
    if method == "literal":
        validation[-1] = validation[-1 - BATCHES] + 0.001
    return frame.assign(validation_loss=validation, method=method, part="7", seed=seed)


def metrics_of(method: str, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng([seed, *map(ord, method)])
    groups = np.repeat(GROUPS, PAIRS)
    ids = [f"test-{group}-{n}" for group, n in zip(groups, np.tile(np.arange(PAIRS), len(GROUPS)), strict=True)]
    frame = pd.DataFrame({"method": method, "seed": seed, "pair_id": ids, "moving": "m", "fixed": "f", "group": groups})
    gain = {"identity": 0.0, "literal": 0.01}.get(method, 0.03)
    spread = {"identity": 0.0, "literal": 0.0}.get(method, 1.5)
    values = {"mse": 0.09 - gain + random.normal(0, 0.01, len(ids)) + 0.005 * (groups == "6"), "ncc": 0.5 + gain}
    values |= {"smoothness": 0.01 * spread, "field_sd": spread, "max_displacement": 4.0 * (method != "identity")}
    values |= {"uncovered": 0.4 - 5 * gain + random.normal(0, 0.02, len(ids))}
    return frame.assign(cluster=ids, unit="px", spacing="1 1", **values)


def examples_of(method: str) -> dict[str, Any]:
    """Best, median and worst of each group, and the common pair; the value of an image tells its group."""
    cases = [(group, rank) for rank in ("worst", "best", "median") for group in reversed(GROUPS)]
    cases.append(("7", "common"))
    count = len(cases)
    texts = {"rank": [rank for _, rank in cases], "group": [group for group, _ in cases], "unit": ["px"] * count}
    texts |= {name: [f"{name}{n}" for n in range(count)] for name in ("pair_id", "moving_id", "fixed_id")}
    before = {"ncc_before": [0.25] * count, "ncc_after": [0.75] * count, "fold_share": [0.0] * count}
    before |= {name: [np.nan] * count for name in ("dice_before", "dice_after", "field_error")}
    shade = np.array([int(group) / 10 for group, _ in cases], np.float32)[:, None, None, None]
    rows, columns = np.indices((28, 28))
    line = (np.abs(columns - 14) < 2).astype(np.float32) * (np.abs(rows - 14) < 10)
    images = {"fixed": line * shade, "moving": np.roll(line, 4, 1) * shade, "warped": np.roll(line, 1, 1) * shade}
    masks = {f"mask_{role}": np.zeros((count, 28, 28), np.uint8) for role in images}
    return {"method": method, **texts, **before, **images, **masks, "ddf": np.zeros((count, 2, 28, 28), np.float32)}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Results of the identity and two networks, and of a grid of nine, as the workflow writes them."""
    folder = tmp_path_factory.mktemp("results")
    tables = {"histories": pd.concat([history(method) for method in NETWORKS])}
    tables["metrics"] = pd.concat([metrics_of(method) for method in LABELS])
    kinds = {"moving_kind": ["plain", "crossbar"], "fixed_kind": ["plain", "plain"]}
    sevens = [f"test-7-{n}" for n in range(PAIRS)]
    tables["pairs"] = pd.DataFrame({"pair_id": sevens, **{name: kind * (PAIRS // 2) for name, kind in kinds.items()}})
    tables["pairs"].loc[7, "moving_kind"] = ""
    made: Inputs = {name: [folder / f"{name}.csv"] for name in tables}
    for name, table in tables.items():
        write_frame(made[name][0], table)
    made["gallery"] = [folder / f"{method}.gallery.npz" for method in NETWORKS]
    for path, method in zip(made["gallery"], NETWORKS, strict=True):
        write_arrays(path, examples_of(method))
    return made


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Histories and metrics of the nine cells; the lowest validation loss is that of lr 0.01, λ 0.1."""
    folder = tmp_path_factory.mktemp("grid")
    losses, tests = [], []
    for place, method in enumerate(GRID):
        loss = 0.2 - 0.02 * place if place < 5 else 0.1 + 0.05 * place
        steps = {"step": [0, 5, 10], "train_loss": [np.nan, 0.3, 0.2], "validation_loss": [0.4, 0.05, loss]}
        losses.append(pd.DataFrame({**steps, "method": method, "part": "7", "seed": 0}))
        tests.append(metrics_of(method).assign(mse=0.1 + 0.01 * place))
    write_frame(folder / "h.csv", pd.concat(losses))
    write_frame(folder / "m.csv", pd.concat(tests))
    return {"histories": [folder / "h.csv"], "metrics": [folder / "m.csv"]}


def drawn(about: Exhibit, inputs: Inputs) -> Any:
    return load("figures", about.function).draw(about, inputs)


def texts_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_another_process_writes_the_same_bytes_with_the_stamp(inputs: Inputs, grid: Inputs, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(PROJECT / "scripts"), "TZ": "Asia/Tokyo"}
    for folder in (here, there):
        folder.mkdir()
    for own, functions in ((grid, ["grid_map"]), (inputs, [name for name in DRAWN if name != "grid_map"])):
        exhibits = json.dumps([asdict(exhibit(function)) for function in functions])
        paths = json.dumps({kind: [str(path) for path in paths] for kind, paths in own.items()})
        subprocess.run([sys.executable, "-c", OTHER_PROCESS, exhibits, paths, str(there)], env=environment, check=True)
        for function in functions:
            files = [here / f"{function}.{suffix}" for suffix in ("svg", "pdf", "png", "csv")]
            figure, numbers = drawn(exhibit(function), own)
            save_figure(figure, numbers, exhibit(function), *files)
            assert "synthetic stand-in, smoke scale" in texts_of(figure)
            for path in files:
                assert path.read_bytes() == (there / path.name).read_bytes(), path.name


def test_every_batch_and_every_epoch_is_drawn(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("loss_by_batch", {"loss": "MSE"}), inputs)
    literal, repaired = figure.axes
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "As published\nstop after 4 epochs: validation loss rose"
    assert titles[1] == "Repaired\nend after 6 epochs"
    assert literal.get_xlabel() == f"batch ({BATCHES} each epoch)"
    assert literal.get_ylabel() == "MSE"
    batch, mean, validation, end = repaired.lines
    expected = history("repaired")
    np.testing.assert_allclose(batch.get_ydata(), expected["train_loss"].iloc[1:])
    by_epoch = expected["train_loss"].iloc[1:].to_numpy().reshape(6, BATCHES).mean(axis=1)
    np.testing.assert_allclose(mean.get_ydata(), by_epoch)
    np.testing.assert_array_equal(mean.get_xdata(), np.arange(1, 7) * BATCHES)
    np.testing.assert_allclose(validation.get_ydata(), expected["validation_loss"].dropna())
    assert end.get_xdata() == [30, 30]
    # Losses of the two protocols are a decade apart, and stand on one axis that shows both.
    assert literal.get_yscale() == "log"
    assert literal.get_ylim() == repaired.get_ylim()
    counts = numbers.groupby(["method", "series"]).size()
    assert counts["repaired"].to_dict() == {"batch": 30, "epoch mean": 6, "validation": 7}
    plt.close(figure)


def test_networks_that_end_apart_are_counted(inputs: Inputs, tmp_path: Path) -> None:
    longer = history("repaired", 1)
    longer = longer[longer["step"] <= 4 * BATCHES]
    longer.loc[longer["step"] == 4 * BATCHES, "validation_loss"] = 0.5
    write_frame(tmp_path / "h.csv", longer)
    about = exhibit("loss_by_batch", methods=[("repaired", "Repaired")])
    figure, _ = drawn(about, {"histories": [*inputs["histories"], tmp_path / "h.csv"]})
    (axes,) = figure.axes
    assert axes.get_title() == "Repaired\nstop after 4 to 6 epochs: validation loss rose in 1 of 2 networks"
    assert len(axes.lines) == 8
    plt.close(figure)
    write_frame(tmp_path / "h.csv", history("repaired").assign(validation_loss=np.nan))
    with pytest.raises(ReregisterError, match="needs a validation loss after each epoch and repaired has none"):
        drawn(about, {"histories": [tmp_path / "h.csv"]})


def test_examples_stand_in_the_order_asked_for(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("examples_by_group", {"groups": ["6", "1"]}), inputs)
    # Twelve pairs do not fit beside each other: the protocols stand below each other.
    first, second = figure.subfigs
    assert [part.get_suptitle() for part in figure.subfigs] == list(NETWORKS.values())
    assert first.bbox.y0 > second.bbox.y0
    titles = [axes.get_title() for axes in first.axes[:6]]
    assert titles == [f"digit {group}\n{rank}" for group in "61" for rank in ("best", "median", "worst")]
    assert [axes.images[0].get_array().max() for axes in first.axes[:6]] == pytest.approx([0.6] * 3 + [0.1] * 3)
    assert [axes.get_ylabel() for axes in first.axes if axes.get_ylabel()] == [
        "goal\n(fixed)",
        "original\n(moving)",
        "reconstruction\n(warped)",
    ]
    for place, shift in ((0, 0), (6, 4), (12, 1)):
        shown = first.axes[place].images[0].get_array()
        assert int(np.argmax(shown[14])) == 13 + shift
    assert first.axes[12].get_xlabel() == "NCC\n0.25 → 0.75"
    assert numbers["group"].tolist() == (["6"] * 3 + ["1"] * 3) * 2
    assert "common" not in set(numbers["rank"])
    plt.close(figure)


def test_few_examples_stand_in_one_row(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("examples_by_group", {"groups": [7]}), inputs)
    first, second = figure.subfigs
    assert first.bbox.y0 == second.bbox.y0
    assert len(first.axes) == 9
    assert len(numbers) == 6
    plt.close(figure)
    hidden, numbers = drawn(exhibit("examples_by_group", show_images=False), inputs)
    assert "not shown: the terms" in texts_of(hidden)[0]
    assert len(numbers) == 24
    plt.close(hidden)
    none, _ = drawn(exhibit("examples_by_group", {"groups": ["3"]}), inputs)
    assert texts_of(none) == ["no pair of these groups has a defined NCC"]
    plt.close(none)


def test_a_measure_is_a_weighted_sum(inputs: Inputs) -> None:
    about = exhibit("metrics_by_group", {"measures": [TOTAL, "mse", "field_sd"], "groups": ["7", "1", "4", "6"]})
    figure, numbers = drawn(about, inputs)
    total, mse, spread, unused = figure.axes
    assert not unused.get_visible()
    assert [axes.get_ylabel().split("\n")[0] for axes in (total, mse, spread)] == [
        "total loss",
        "mean squared error",
        "SD of the displacement within",
    ]
    assert [text.get_text() for text in total.get_xticklabels()] == ["7", "1", "4", "6"]
    metrics = read_results(inputs["metrics"])
    own = metrics[(metrics["method"] == "repaired") & (metrics["group"] == "6")]
    cells = numbers.set_index(["method", "group", "metric"])
    found = cells.loc["repaired", "6", "total loss"]
    assert found["mean"] == pytest.approx((own["mse"] + 0.1 * own["smoothness"]).mean())
    expected = summarise(own, ["method"], ["mse"]).iloc[0]
    assert cells.loc["repaired", "6", "mean squared error"]["low"] == expected["low"]
    # The points of a group in the order of the methods, in their looks.
    points = [line for line in mse.lines if len(line.get_xdata()) == 1]
    assert [round(point.get_xdata()[0]) for point in points] == np.repeat(range(4), 3).tolist()
    looks = [(point.get_color(), point.get_marker()) for point in points[:3]]
    assert looks == [(colour(method), marker(method)) for method in LABELS]
    assert points[-1].get_ydata() == pytest.approx([own["mse"].mean()])
    # The network that shifts whole images has no spread at all.
    assert (cells.xs("SD of the displacement within the image, px", level="metric").loc["literal", "mean"] == 0).all()
    assert spread.get_ylim()[0] == 0
    plt.close(figure)


def test_kinds_of_images_become_groups(inputs: Inputs, tmp_path: Path) -> None:
    options = {"measures": ["uncovered"], "by": ["moving_kind", "fixed_kind"], "kinds": ["plain", "crossbar"]}
    figure, numbers = drawn(exhibit("metrics_by_group", {**options, "groups": ["7"]}), inputs)
    (axes,) = figure.axes
    # The pair whose moving image is of no known kind is left out.
    words = [text.get_text() for text in axes.get_xticklabels()]
    assert words == ["plain → plain\n4 pairs", "crossbar → plain\n3 pairs"]
    metrics = read_results(inputs["metrics"])
    own = metrics[(metrics["method"] == "repaired") & metrics["pair_id"].isin(["test-7-1", "test-7-3", "test-7-5"])]
    found = numbers.set_index(["method", "group"]).loc["repaired", "crossbar → plain"]
    assert found["mean"] == pytest.approx(own["uncovered"].mean())
    plt.close(figure)
    unknown = pd.read_csv(inputs["pairs"][0]).assign(moving_kind="", fixed_kind="")
    for table in (unknown, unknown[["pair_id"]]):
        write_frame(tmp_path / "p.csv", table)
        figure, numbers = drawn(exhibit("metrics_by_group", options), {**inputs, "pairs": [tmp_path / "p.csv"]})
        assert texts_of(figure) == ["kinds of images are not known for these data"]
        assert numbers.empty
        plt.close(figure)


def test_measures_that_cannot_be_shown_are_refused(inputs: Inputs) -> None:
    for measures, message in (
        (["dice"], "fig9_test shows dice, which the metrics of its experiment do not have"),
        ([{"label": "x"}], "fig9_test has the measure .*; give the name of a metric, or label and terms"),
    ):
        with pytest.raises(ReregisterError, match=message):
            drawn(exhibit("metrics_by_group", {"measures": measures}), inputs)
    with pytest.raises(
        ReregisterError, match="has the option measure, which metrics_by_group does not take; allowed is"
    ):
        drawn(exhibit("metrics_by_group", {"measure": "mse"}), inputs)
    with pytest.raises(ReregisterError, match="fig9_test has no metrics of its methods"):
        drawn(exhibit("metrics_by_group", methods=[("other", "Other")]), inputs)


def test_grid_table_names_the_place_of_every_cell(grid: Inputs) -> None:
    about = exhibit("grid_table", {"marked": "grid_0.1_0.1"})
    table = load("figures", "grid_table").tabulate(about, grid)
    assert table[["lr", "λ"]].to_numpy().tolist() == [[a, b] for a in (0.1, 0.01, 0.001) for b in (0.01, 0.1, 1)]
    # The last validation loss counts, not the lowest on the way.
    np.testing.assert_allclose(table["validation_loss"], [0.2, 0.18, 0.16, 0.14, 0.12, 0.35, 0.4, 0.45, 0.5])
    assert table["validation_rank"].tolist() == [5, 4, 3, 2, 1, 6, 7, 8, 9]
    np.testing.assert_allclose(table["mse"], 0.1 + 0.01 * np.arange(9))
    assert table["test_rank"].tolist() == list(range(1, 10))
    assert table["note"].tolist() == ["", "optimum of the paper", *[""] * 7]
    alone = load("figures", "grid_table").tabulate(about, {"histories": grid["histories"]})
    assert "mse" not in alone
    with pytest.raises(ReregisterError, match="shows a grid and a has the label rate 1; give it the two settings"):
        load("figures", "grid_table").tabulate(exhibit("grid_table", methods=[("a", "rate 1")]), grid)


def test_grid_map_marks_the_optima(grid: Inputs) -> None:
    figure, table = drawn(exhibit("grid_map", {"marked": "grid_0.1_0.1"}), grid)
    loss, test = figure.axes
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("weight of the smoothness term, λ", "learning rate")
    assert [text.get_text() for text in loss.get_yticklabels()] == ["0.1", "0.01", "0.001"]
    assert [text.get_text() for text in loss.get_xticklabels()] == ["0.01", "0.1", "1"]
    cells = {(round(t.get_position()[0]), round(t.get_position()[1])): t.get_text() for t in loss.texts}
    assert cells[1, 1] == "0.1200"
    assert len(cells) == len(table) == 9
    (star,) = loss.lines
    assert (star.get_xdata()[0], round(star.get_ydata()[0] + 0.3)) == (1, 1)
    (frame,) = loss.patches
    assert frame.get_center() == pytest.approx((1, 0))
    assert test.get_title() == "mean squared error of the test pairs"
    plt.close(figure)


def test_cells_that_were_not_searched_are_empty(grid: Inputs) -> None:
    some = [(method, label) for method, label in GRID.items() if label != "lr 0.001, λ 1"]
    figure, _ = drawn(exhibit("grid_map", {"marked": "elsewhere"}, methods=some), grid)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words.count("–") == 1
    assert len(words) == 9
    assert not figure.axes[0].patches
    plt.close(figure)
