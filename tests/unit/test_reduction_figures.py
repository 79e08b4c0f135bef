"""Figures and tables of networks of several sizes, from small made-up results of volumes."""

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
import torch
from matplotlib import pyplot as plt

from reregister.drawing import Exhibit, colour, save_figure
from reregister.errors import ReregisterError
from reregister.exhibits.shapes import flat_image
from reregister.registry import load
from reregister.statistics import paired_gain
from reregister.tables import write_arrays, write_frame
from reregister.weights import build_model, make_card, write_card

from .test_figures import OTHER_PROCESS, PROJECT

LABELS = {"default": "Default", "maxpool": "Max pooling", "reduced": "Reduced"}
BATCHES = {"default": 2, "maxpool": 8, "reduced": 2}
STEP_MS = {"default": 100.0, "maxpool": 80.0, "reduced": 90.0}
DRAWN = {"loss_and_slices": {"default": "Default"}, "loss_by_budget": LABELS, "permutation_similarity": LABELS}
TABLES = ("permutations_table", "claims_of_reduction")
SHAPE = (8, 10, 12)
SAMPLES, READING = 160, 300.0
Inputs = dict[str, list[Path]]


def exhibit(function: str, **changes: Any) -> Exhibit:
    methods = list(DRAWN.get(function, LABELS).items())
    return replace(Exhibit("reduced", "fig9_test", function, methods, True, "smoke", True, "ab" * 32), **changes)


def steps_of(method: str) -> pd.DataFrame:
    batch, ms = BATCHES[method], STEP_MS[method]
    slope = 50.0 if method == "maxpool" else 200.0 if method == "default" else 190.0
    rows = [("register", 1, 9.0, "ms"), ("register_memory", 1, 220.0, "MB"), ("step", 1, ms / 2, "ms")]
    rows += [("step", batch, ms, "ms"), ("memory", 0, 200.0, "MB"), ("read_archive", 1, READING, "ms")]
    rows += [("memory", size, 200 + slope * size, "MB") for size in (1, batch, 2 * batch)]
    rows += [("largest_batch", 5, (1000 - 200) // slope, "pairs"), ("read_store", 1, 2.0, "ms")]
    frame = pd.DataFrame(rows, columns=["what", "batch", "value", "unit"]).assign(method=method, n=1, note="")
    frame.loc[frame["what"] == "largest_batch", "note"] = "limit 1,000 MB; by the line"
    unfit = (frame["what"] == "memory") & (frame["value"] > 900)
    frame.loc[unfit, ["value", "note"]] = [np.nan, "not tried: about 1,000 MB"]
    return frame


def history(method: str, seed: int) -> pd.DataFrame:
    """A loss that goes from 0 to -0.5 (-0.4, -0.45) on a straight line over 160 samples."""
    end = {"default": -0.5, "maxpool": -0.4, "reduced": -0.45}[method] - 0.01 * seed
    step = np.arange(SAMPLES // BATCHES[method] + 1)
    loss = end * step / step[-1]
    frame = pd.DataFrame({"method": method, "part": "all", "seed": seed, "step": step})
    frame["train_loss"] = np.where(step > 0, loss, np.nan)
    return frame.assign(validation_loss=np.where(step % 5 == 0, loss, np.nan))


def metrics_of(method: str) -> pd.DataFrame:
    number = np.arange(6)
    frame = pd.DataFrame({"method": method, "seed": 0, "pair_id": [f"t-{n}" for n in number]})
    frame["cluster"] = [f"s{n}" for n in number]
    gain = {"default": 0.05, "maxpool": 0.0, "reduced": 0.05}[method]
    return frame.assign(group="all", dice=0.7 + 0.01 * number + gain, fold_share=0.001 * number)


def examples(ranks: list[str], method: str = "default") -> dict[str, Any]:
    """Volumes whose value is the index along the last axis, of fixed twice as bright."""
    ramp = np.broadcast_to(np.arange(SHAPE[-1]) / 24, (len(ranks), 1, *SHAPE)).astype(np.float32)
    images = {"moving": ramp, "warped": ramp, "fixed": 2 * ramp, "ddf": np.zeros((len(ranks), 3, *SHAPE), np.float32)}
    return {"method": method, "rank": ranks, "pair_id": [f"t-{n}" for n in range(len(ranks))], **images}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Results of three networks, the first with two seeds, as the workflow writes them."""
    folder = tmp_path_factory.mktemp("results")
    pairs = [("default", "maxpool", 0.9), ("default", "reduced", 0.98), ("maxpool", "reduced", 0.92)]
    rows = [(f"t-{n}", *both, value - 0.01 * n) for n in range(6) for *both, value in pairs]
    tables = {
        "metrics": pd.concat([metrics_of(method) for method in LABELS]),
        "steps": pd.concat([steps_of(method) for method in LABELS]),
        "histories": pd.concat([history(m, s) for m in LABELS for s in ((0, 1) if m == "default" else (0,))]),
        "similarity": pd.DataFrame(rows, columns=["pair_id", "first", "second", "ssim"]),
    }
    made: Inputs = {name: [folder / f"{name}.csv"] for name in tables}
    for name, table in tables.items():
        write_frame(made[name][0], table)
    made["gallery"] = [folder / "gallery.npz"]
    write_arrays(made["gallery"][0], examples(["common", "worst", "median", "best"]))
    made["cards"] = []
    for method in LABELS:
        params = {"permutation": method, "shared": False}
        with torch.device("meta"):
            model = build_model("reduced_voxelmorph", params)
        card = make_card(model, "reduced_voxelmorph", params, "ab" * 32, "nothing", (1, 32, 64, 64))
        made["cards"].append(folder / "models" / "x" / method / "all_seed0.card.md")
        write_card(made["cards"][-1], card)
    return made


def drawn(about: Exhibit, inputs: Inputs) -> Any:
    return load("figures", about.function).draw(about, inputs)


def tabulate(function: str, inputs: Inputs, **changes: Any) -> pd.DataFrame:
    table: pd.DataFrame = load("figures", function).tabulate(exhibit(function, **changes), inputs)
    return table


def schematic(**changes: Any) -> Exhibit:
    methods = [("default", "Default")]
    return exhibit("network_schematic", methods=methods, options={"title": "Default", "axes": "LIA"}, **changes)


def test_figures_made_again_have_the_same_bytes(inputs: Inputs, tmp_path: Path) -> None:
    abouts = [*(exhibit(function) for function in DRAWN), schematic()]
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    for about in abouts:
        paths = [tmp_path / "here" / f"{about.function}.{suffix}" for suffix in ("svg", "pdf", "png", "csv")]
        save_figure(*drawn(about, inputs), about, *paths)
    texts = json.dumps({kind: [str(path) for path in paths] for kind, paths in inputs.items()})
    exhibits = json.dumps([asdict(about) for about in reversed(abouts)])
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(PROJECT / "scripts")}
    command = [sys.executable, "-c", OTHER_PROCESS, exhibits, texts, str(tmp_path / "there")]
    subprocess.run(command, env=environment, check=True)
    written = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert len(written) == 4 * len(abouts)
    for name in written:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name
    assert not plt.get_fignums()


def test_slices_stand_upright_at_their_place() -> None:
    volume = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    # Of OASIS, whose axes lead left, down and to the front.
    np.testing.assert_array_equal(flat_image(volume, "coronal", 0.5, "LIA"), volume[0, :, :, 2].T)
    np.testing.assert_array_equal(flat_image(volume, "coronal", 1, "LIA"), volume[0, :, :, 4].T)
    np.testing.assert_array_equal(flat_image(volume[:, 0], "coronal", 0.5, "LIA"), volume[0, 0])
    # Of the paper: slice 112 of 224.
    whole = np.broadcast_to(np.arange(224), (1, 2, 2, 224))
    assert flat_image(whole, "coronal", 0.5, "LIA")[0, 0] == 112
    with pytest.raises(ReregisterError, match=r"a plane is .*, not frontal; mend plane, place or axes"):
        flat_image(volume, "frontal", 0.5, "LIA")


def test_loss_and_slices_of_one_network(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("loss_and_slices", options={"axes": "LIA"}), inputs)
    left, right = figure.subfigs
    training, validation = left.axes[0].lines
    assert training.get_ydata()[-1] == pytest.approx(-0.505)
    assert len(training.get_xdata()) == SAMPLES // 2
    assert list(validation.get_xdata()) == list(range(0, SAMPLES // 2 + 1, 5))
    assert numbers.groupby("loss").size().to_dict() == {"training": 80, "validation": 17}
    assert set(numbers["method"]) == {"default"}
    titles = [axes.get_title() for axes in right.axes[:4]]
    assert titles == ["best", "median", "worst", "common"]
    shown = [axes.images[0].get_array() for axes in right.axes]
    assert len(shown) == 12
    assert shown[0].shape == (SHAPE[1], SHAPE[0])
    assert [float(shown[4 * row][0, 0]) for row in range(3)] == [0.5, 0.25, 0.25]
    plt.close(figure)
    other, _ = drawn(exhibit("loss_and_slices", options={"axes": "LIA", "place": 0.25, "loss": "−LNCC"}), inputs)
    assert float(other.subfigs[1].axes[0].images[0].get_array()[0, 0]) == 0.25
    assert other.subfigs[0].axes[0].get_ylabel() == "−LNCC"
    plt.close(other)


def test_slices_that_may_not_be_shown_are_not(inputs: Inputs) -> None:
    figure, _ = drawn(exhibit("loss_and_slices", show_images=False), inputs)
    assert "not shown: the terms" in figure.subfigs[1].texts[0].get_text()
    assert not [axes for part in figure.subfigs for axes in part.axes if axes.images]
    plt.close(figure)
    with pytest.raises(ReregisterError, match="fig9_test shows one network"):
        drawn(exhibit("loss_and_slices", methods=list(LABELS.items())), inputs)


def test_losses_end_where_each_budget_ends(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("loss_by_budget"), inputs)
    ends = numbers.groupby(["budget", "method"])["at"].max()
    assert ends["samples"].to_dict() == dict.fromkeys(LABELS, SAMPLES)
    assert ends["steps"].to_dict() == {"default": 80, "maxpool": 20, "reduced": 80}
    assert ends["seconds"].to_dict() == pytest.approx({"default": 8.0, "maxpool": 1.6, "reduced": 7.2})
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == ["samples", "updates", "seconds of training steps"]
    assert figure.axes[0].get_ylabel() == "validation loss"
    # The budget that all reached.
    assert [axes.lines[-1].get_xdata()[0] for axes in figure.axes] == pytest.approx([SAMPLES, 20, 1.6])
    line = next(line for line in figure.axes[1].lines if line.get_label() == "maxpool")
    assert line.get_color() == colour("maxpool")
    assert (line.get_xdata()[-1], line.get_ydata()[-1]) == (20, pytest.approx(-0.4))
    last = numbers[(numbers["budget"] == "steps") & (numbers["method"] == "default")].iloc[-1]
    assert last[["mean", "low", "high"]].tolist() == pytest.approx([-0.505, -0.51, -0.5])
    plt.close(figure)


def test_permutations_side_by_side(inputs: Inputs) -> None:
    table = tabulate("permutations_table", inputs, options={"size": [160, 192, 224]})
    assert table["method"].tolist() == list(LABELS.values())
    assert table["parameters"].tolist() == [320_665, 320_665, 154_649]
    assert table["gmac_full"].round(1).tolist() == [276.4, 36.0, 272.2]
    np.testing.assert_allclose(table["gmac"], table["gmac_full"] * 32 * 64 * 64 / (160 * 192 * 224))
    assert table["batch"].tolist() == [2, 8, 2]
    assert table["sample_ms"].tolist() == [50, 10, 45]
    assert table["read_archive_ms"].tolist() == [READING] * 3
    assert table["memory_mb"].tolist() == [600, 600, 580]
    assert table["largest_batch"].tolist() == [4, 16, 4]
    assert set(table["equal_steps"]) == {20}
    assert table["loss_equal_samples"].tolist() == pytest.approx([-0.505, -0.4, -0.45])
    assert table["loss_equal_steps"].tolist() == pytest.approx([-0.505 / 4, -0.4, -0.45 / 4])
    assert table["loss_equal_seconds"].tolist() == pytest.approx([-0.505 / 5, -0.4, -0.45 * 1.6 / 7.2])
    assert table["loss_last"].tolist() == pytest.approx([-0.505, -0.4, -0.45])
    assert (table["loss_last_epoch"] > table["loss_last"]).all()
    assert table["dice"].tolist() == pytest.approx([0.775, 0.725, 0.775])
    assert (table["dice_low"] < table["dice"]).all()
    assert table["fold_share"].tolist() == pytest.approx([0.0025] * 3)


def test_columns_of_the_permutations_may_be_left_out(inputs: Inputs, tmp_path: Path) -> None:
    without = ["fold_share", "fold_share_low", "fold_share_high", "register_ms"]
    table = tabulate("permutations_table", inputs, options={"without": without})
    assert not {*without, "gmac_full"} & set(table)
    assert "dice" in table
    steps = pd.concat([steps_of(method) for method in LABELS])
    write_frame(tmp_path / "steps.csv", steps[steps["what"] != "read_archive"])
    bare = {name: paths for name, paths in inputs.items() if name != "metrics"} | {"steps": [tmp_path / "steps.csv"]}
    table = tabulate("permutations_table", bare)
    assert not {"dice", "read_archive_ms"} & set(table)
    assert "read_store_ms" in table
    with pytest.raises(ReregisterError, match="none of its methods has a card"):
        tabulate("permutations_table", inputs, methods=[("identity", "Before")])


def test_claims_say_what_was_measured(inputs: Inputs) -> None:
    table = tabulate("claims_of_reduction", inputs)
    assert table["claim"].unique().tolist() == ["rv1", "rv2", "rv5", "rv6", "rv7"]
    cells = table.set_index(["quantity", "method"])

    def values(quantity: str) -> list[float]:
        return [float(value) for value in cells.loc[quantity, "value"]]

    def said(quantity: str) -> str:
        return str(cells.loc[quantity, "said"].iloc[0])

    assert values("compute for a pair") == [50, 10, 45]
    assert said("compute for a pair") == "Max pooling < Reduced < Default"
    assert values("reading and compute for a pair") == [350, 310, 345]
    share = "share of reading from the archive"
    assert values(share) == pytest.approx([100 * 300 / 350, 100 * 300 / 310, 100 * 300 / 345])
    assert said(share) == "slowest to fastest: compute 5.00, with reading 1.13"
    # Points every fifth step: 95 % of 80 steps is step 80 (after 75), of 20 steps step 20.
    assert values("pairs until 95 % of the way to the last loss") == [160, 160, 160]
    assert said("pairs until 95 % of the way to the last loss") == "Default = Max pooling = Reduced"
    assert said("peak memory at batch 8") == ""
    sizes = values("absolute loss of the last epoch")
    assert sizes[0] > sizes[2] > sizes[1]
    assert said("absolute loss of the last epoch") == (
        "Kendall's tau of absolute loss and multiplications 1.00, 3 networks"
    )
    assert [value < 0 for value in values("training loss of the last epoch, with its sign")] == [True] * 3
    # Default at batch 4 was not tried.
    assert np.isnan(values("peak memory at batch 4")[0])
    assert said("peak memory at batch 4") == "not tried: about 1,000 MB"
    assert said("largest batch") == "limit 1,000 MB"
    assert values("peak memory at batch 1") == [400, 250, 390]
    assert values("share of peak memory at batch 1") == pytest.approx([100, 62.5, 97.5])
    assert values("the same without interpreter and libraries") == pytest.approx([100, 25, 95])
    one = tabulate("claims_of_reduction", inputs, options={"claims": ["rv7"]})
    assert set(one["claim"]) == {"rv7"}
    with pytest.raises(ReregisterError, match="name two or more whose steps are measured"):
        tabulate("claims_of_reduction", inputs, methods=[("default", "Default")])


def test_similarity_of_each_two_networks(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("permutation_similarity"), inputs)
    cells = numbers.set_index(["first", "second"])
    assert cells["ssim"].to_dict() == pytest.approx(
        {("default", "maxpool"): 0.875, ("default", "reduced"): 0.955, ("maxpool", "reduced"): 0.895}
    )
    assert cells.loc[("default", "maxpool"), "ssim_least"] == pytest.approx(0.85)
    assert cells["dice_difference"].tolist() == pytest.approx([0.05, 0.0, -0.05], abs=1e-12)
    dice = [metrics_of(method)["dice"] for method in ("default", "maxpool")]
    expected = paired_gain(*dice, metrics_of("default")["cluster"])
    assert cells.loc[("default", "maxpool"), "dice_difference_low"] == pytest.approx(expected.low)
    similarity, difference = figure.axes
    texts = [text.get_text() for text in similarity.texts]
    assert texts == ["0.875", "0.955", "0.875", "0.895", "0.955", "0.895"]
    assert [text.get_text() for text in difference.texts][:3] == ["+0.050", "0.000", "−0.050"]
    # A frame for each difference whose interval leaves out 0: max pooling to either other, in both directions.
    assert len(difference.lines) == 4
    plt.close(figure)


def test_similarity_without_labels_is_one_map(inputs: Inputs, tmp_path: Path) -> None:
    write_frame(tmp_path / "metrics.csv", pd.concat([metrics_of(m) for m in LABELS]).drop(columns="dice"))
    figure, numbers = drawn(exhibit("permutation_similarity"), {**inputs, "metrics": [tmp_path / "metrics.csv"]})
    assert len(figure.axes) == 1
    assert numbers["dice_difference"].isna().all()
    plt.close(figure)
    with pytest.raises(ReregisterError, match="two or more methods that were compared"):
        drawn(exhibit("permutation_similarity", methods=[("default", "Default")]), inputs)


def test_schematic_of_a_network_with_a_decoder(inputs: Inputs) -> None:
    figure, layers = drawn(schematic(), inputs)
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert any(text.startswith("Default: 320,665 parameters, 5.3 GMAC") for text in texts)
    assert "conv 3³ /2\n16 → 32\n13,856" in texts
    assert texts.count("conv 3³ /2\n32 → 32\n27,680") == 3
    assert texts.count("32 channels joined") == 3
    assert texts.count("16 channels joined") == 1
    assert texts.count("up 2") == 4
    assert {"32×64×64", "16×32×32", "8×16×16", "4×8×8", "2×4×4"} <= set(texts)
    assert len(layers) == 13
    assert [image.get_array().shape for image in axes.images] == [(SHAPE[1], SHAPE[0])] * 3
    plt.close(figure)
    hidden, _ = drawn(schematic(show_images=False), inputs)
    assert not hidden.axes[0].images
    plt.close(hidden)


def test_schematic_draws_shared_layers_as_often_as_they_work(inputs: Inputs, tmp_path: Path) -> None:
    for name, params, skips in (
        ("reduced_voxelmorph", {"permutation": "maxpool"}, "concatenated"),
        ("label_reg_local_net", {"channels": 4}, "added"),
    ):
        with torch.device("meta"):
            model = build_model(name, params)
        path = tmp_path / f"{name}.card.md"
        write_card(path, make_card(model, name, params, "ab" * 32, "nothing", (1, 32, 64, 64)))
        about = exhibit("network_schematic", methods=[("default", "D")], options={"skips": skips})
        figure, layers = drawn(about, {**inputs, "cards": [path]})
        texts = [text.get_text() for text in figure.axes[0].texts]
        if skips == "added":
            assert texts.count("added") == 4
            assert "sum" in texts
            assert "max pool 2" in texts
            assert texts.count("max pool 2") == 4
            assert {"×2", "×4", "×8", "×16"} <= set(texts)
        else:
            assert texts.count("conv 3³ /2\n32 → 32\nsame weights") == 2
            assert texts.count("conv 3³\n64 → 32\nsame weights") == 2
            assert texts.count("max pool 2") == 1
            assert "added" not in texts
        assert layers["role"].isin(["down", "up", "field", "pool"]).all()
        plt.close(figure)
