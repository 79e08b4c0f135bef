"""Fields, boxes and traces of networks fitted to one pair, from small made-up results, and tables by their options."""

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

from reregister.card import read_card
from reregister.comparison import compare
from reregister.drawing import Exhibit, colour, marker, save_figure
from reregister.errors import ReregisterError
from reregister.exhibits.pixels import determinants
from reregister.figures.mean_determinant import AMPLITUDES, constructed_field
from reregister.figures.prior_schematic import scales_of
from reregister.metrics.jacobian import jacobian_determinant, jacobian_statistics
from reregister.models.skip_net import SkipNet
from reregister.provenance.files import write_text
from reregister.registry import load
from reregister.statistics import cluster_bootstrap_mean, paired_gain
from reregister.tables import read_results, write_arrays, write_frame

from .test_figures import OTHER_PROCESS, PROJECT

LABELS = {"identity": "Before registration", "affine": "Affine", "itk": "ITK", "prior": "Deep prior"}
FITTED = {"prior": "z drawn anew", "prior_fixed": "z fixed"}
DRAWN = {
    "examples_and_boxes": LABELS,
    "field_maps": {name: LABELS[name] for name in ("prior", "itk")},
    "mean_determinant": LABELS,
    "prior_schematic": {"prior": "Deep prior"},
    "traces_by_method": FITTED,
}
TABLES = ()
PAIRS, SIZE = 12, 24
GAINS = {"identity": 0.0, "affine": 0.05, "itk": 0.2, "prior": 0.25, "prior_fixed": 0.3}
# Amplitude of the field of each method: that of itk folds.
FIELDS = {"prior": 0.4, "itk": 6.0}
Inputs = dict[str, list[Path]]


def exhibit(function: str, options: Any = (), **changes: Any) -> Exhibit:
    methods = list(DRAWN.get(function, LABELS).items())
    made = Exhibit("deep_prior", "fig9_test", function, methods, True, "smoke", True, "ab" * 32, dict(options))
    return replace(made, **changes)


def metrics_of(method: str, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng([seed, *map(ord, method)])
    number = np.arange(PAIRS)
    frame = pd.DataFrame({"method": method, "seed": seed, "pair_id": [f"test-{n:03d}" for n in number]})
    values = {"ssim": 0.5 + GAINS[method] + 0.01 * number + random.normal(0, 0.01, PAIRS), "ncc": 0.6 + GAINS[method]}
    folds = 0.004 * number if method == "itk" else np.zeros(PAIRS)
    values |= {"mean_det": 1 + random.normal(0, 0.02, PAIRS), "fold_share": folds, "min_det": 0.5 - 20 * folds}
    values |= {"std_det": 0.1, "max_displacement": 3.0, "field_error_mean": np.nan}
    ids = {"moving": "m", "fixed": "f", "group": "adjacent", "cluster": [f"TCGA_{n // 2}" for n in number]}
    return frame.assign(**ids, unit="px", spacing="1 1", **values)


def wave(amplitude: float) -> np.ndarray:
    rows, columns = np.meshgrid(*[np.linspace(0, 1, SIZE)] * 2, indexing="ij")
    inside = np.sin(np.pi * rows) * np.sin(np.pi * columns)
    return (amplitude * inside * np.stack([np.sin(4 * np.pi * columns), np.sin(4 * np.pi * rows)])).astype(np.float32)


def examples_of(method: str) -> dict[str, Any]:
    rows, columns = np.indices((SIZE, SIZE)) - SIZE / 2
    head = (np.hypot(rows, 1.3 * columns) < 0.45 * SIZE) * 0.6
    image = (head + 0.3 * (np.hypot(rows - 3, columns + 2) < 4))[None, None].astype(np.float32)
    texts = {"rank": ["best", "median", "worst", "common"], "pair_id": ["b", "m", "w", "test-003"]}
    texts |= {"moving_id": ["TCGA_1_s10"] * 4, "fixed_id": ["TCGA_1_s11"] * 4, "group": ["adjacent"] * 4}
    numbers = {"ncc_before": [0.5] * 4, "ncc_after": [0.9, 0.8, 0.7, 0.85], "fold_share": [0.0] * 4}
    numbers |= {name: [np.nan] * 4 for name in ("dice_before", "dice_after", "field_error")}
    images = {role: np.repeat(np.roll(image, shift, 3), 4, 0) for role, shift in (("fixed", 0), ("moving", 2))}
    images["warped"] = images["fixed"] * 0.9
    masks = {f"mask_{role}": np.zeros((4, SIZE, SIZE), np.uint8) for role in images}
    ddf = np.stack([wave(FIELDS[method])] * 4)
    return {"method": method, "unit": ["px"] * 4, **texts, **numbers, **images, **masks, "ddf": ddf}


def traces_of(method: str) -> pd.DataFrame:
    """A trace of each pair; the loss of pair n is n % above that of the first."""
    steps = np.arange(0, 501, 10)
    end = 0.01 if method == "prior" else 0.002
    frames = [
        pd.DataFrame(
            {"pair_id": f"test-{n:03d}", "step": steps, "loss": (1 + n / 100) * (end + 0.1 * np.exp(-steps / 60))}
        )
        for n in range(PAIRS)
    ]
    return pd.concat(frames).assign(method=method)


def card_of(channels: tuple[int, ...], side: int) -> str:
    """Model card of a skip network, its modules in the order in which they work on one field of noise."""
    network = SkipNet(32, channels, 4)
    modules: list[dict[str, Any]] = []

    def note(name: str, module: Any, output: Any) -> None:
        about = {"kernel": list(getattr(module, "kernel_size", ())) or None, "shape": list(output.shape[1:])}
        about |= {
            key: getattr(module, f"{side}_channels", None) for side, key in (("in", "inputs"), ("out", "outputs"))
        }
        about["parameters"] = sum(p.numel() for p in module.parameters())
        modules.append({"name": name, "type": type(module).__name__, **about})

    for name, module in network.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda module, _, output, name=name: note(name, module, output))
    network(torch.zeros(1, 32, side, side))
    front = {"architecture": "SkipNet", "parameters": sum(p.numel() for p in network.parameters()), "modules": modules}
    return "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in front.items()) + "---\n\n# SkipNet\n"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Results of classical methods and of networks fitted to each pair, as the workflow writes them."""
    folder = tmp_path_factory.mktemp("results")
    metrics = pd.concat([metrics_of(method) for method in GAINS])
    write_frame(folder / "metrics.csv", metrics)
    write_frame(folder / "comparison.csv", compare(metrics))
    made: Inputs = {name: [folder / f"{name}.csv"] for name in ("metrics", "comparison")}
    made["traces"] = [folder / f"{method}.traces.csv" for method in FITTED]
    for path, method in zip(made["traces"], FITTED, strict=True):
        write_frame(path, traces_of(method))
    write_text(folder / "prior.card.md", card_of((8, 16, 16), 32))
    made["cards"] = [folder / "prior.card.md"]
    made["gallery"] = [folder / f"{method}.gallery.npz" for method in FIELDS]
    for path, method in zip(made["gallery"], FIELDS, strict=True):
        write_arrays(path, examples_of(method))
    return made


def drawn(about: Exhibit, inputs: Inputs) -> Any:
    return load("figures", about.function).draw(about, inputs)


def tabulate(function: str, inputs: Inputs, options: Any, **changes: Any) -> pd.DataFrame:
    table: pd.DataFrame = load("figures", function).tabulate(exhibit(function, options, **changes), inputs)
    return table


def test_another_process_writes_the_same_bytes_with_the_stamp(inputs: Inputs, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(PROJECT / "scripts"), "TZ": "Asia/Tokyo"}
    for folder in (here, there):
        folder.mkdir()
    exhibits = json.dumps([asdict(exhibit(function)) for function in reversed(DRAWN)])
    paths = json.dumps({kind: [str(path) for path in paths] for kind, paths in inputs.items()})
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, exhibits, paths, str(there)], env=environment, check=True)
    for function in DRAWN:
        files = [here / f"{function}.{suffix}" for suffix in ("svg", "pdf", "png", "csv")]
        figure, numbers = drawn(exhibit(function), inputs)
        save_figure(figure, numbers, exhibit(function), *files)
        assert "synthetic stand-in, smoke scale" in [text.get_text() for text in figure.texts]
        for path in files:
            assert path.read_bytes() == (there / path.name).read_bytes(), path.name


def test_determinants_of_maps_are_those_of_the_metrics() -> None:
    field = np.random.default_rng(0).normal(0, 1, (2, 9, 13))
    np.testing.assert_allclose(determinants(field), jacobian_determinant(field[None])[0], atol=1e-12)


def test_two_fields_with_one_mean(inputs: Inputs) -> None:
    smooth, folded = (jacobian_statistics(constructed_field(amplitude)) for amplitude in AMPLITUDES.values())
    assert abs(smooth["mean_det"] - folded["mean_det"]) < 1e-3
    assert smooth["fold_share"] == 0
    assert smooth["min_det"] > 0.5
    assert 0.05 < folded["fold_share"] < 0.08
    assert not np.any(constructed_field(1.0)[:, [0, -1]].round(12))
    figure, numbers = drawn(exhibit("mean_determinant"), inputs)
    made = numbers[numbers["method"] == "constructed"].set_index("pair_id")
    keys = ["mean_det", "fold_share", "min_det", "std_det"]
    for name, found in (("smooth", smooth), ("folded", folded)):
        assert made.loc[name, keys].tolist() == pytest.approx([found[key] for key in keys])
    assert len(numbers) == 2 + len(LABELS) * PAIRS
    maps, pairs = figure.subfigs
    assert maps.axes[0].get_ylabel() == "smooth field"
    folds = maps.axes[3].images[1].get_array()
    assert np.ma.count(folds) / folds.size == pytest.approx(folded["fold_share"])
    (axes,) = pairs.axes
    assert [line.get_marker() for line in axes.lines].count("*") == 2
    metrics = read_results(inputs["metrics"])
    own = metrics[metrics["method"] == "itk"]
    points = next(line for line in axes.lines if line.get_marker() == marker("itk"))
    assert (points.get_color(), points.get_marker()) == (colour("itk"), marker("itk"))
    shares = np.asarray(points.get_xdata(), float)
    np.testing.assert_allclose(shares[1:], 100 * own["fold_share"].iloc[1:])
    # Fields without a fold stand in a band of their own, each method at its own place.
    none = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == PAIRS]
    assert len(set(none)) == len(LABELS)
    assert axes.get_xlim()[0] < min(none)
    assert max(none) < 0
    np.testing.assert_allclose(points.get_ydata(), own["mean_det"])
    plt.close(figure)


def test_fields_of_one_pair_by_each_method(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("field_maps"), inputs)
    expected = [jacobian_statistics(wave(FIELDS[method])) for method in ("prior", "itk")]
    assert numbers["pair_id"].tolist() == ["test-003"] * 2
    for name in ("min_det", "fold_share", "mean_det", "std_det"):
        np.testing.assert_allclose(numbers[name], [found[name] for found in expected], atol=1e-6)
    assert numbers["fold_share"].tolist()[0] == 0
    assert numbers["fold_share"].tolist()[1] > 0.02
    top, middle, bottom = figure.axes[:3], figure.axes[3:6], figure.axes[6:9]
    assert [axes.get_title() for axes in top] == ["fixed", "Deep prior", "ITK"]
    assert middle[0].get_title() == "moving"
    assert [len(axes.collections) for axes in middle] == [0, 1, 1]
    # One scale around 1 for all maps, and black where the field folds.
    ends = {axes.images[0].get_clim() for axes in bottom[1:]}
    ((low, high),) = ends
    assert (low + high) / 2 == pytest.approx(1)
    assert [np.ma.count(axes.images[1].get_array()) > 0 for axes in bottom[1:]] == [False, True]
    assert "folds 0 %" in bottom[1].get_xlabel()
    plt.close(figure)
    hidden, numbers = drawn(exhibit("field_maps", show_images=False), inputs)
    assert "not shown: the terms" in hidden.texts[0].get_text()
    assert len(numbers) == 2
    plt.close(hidden)


def test_boxes_hold_every_pair(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("examples_and_boxes"), inputs)
    strip, below = figure.subfigs
    assert [part.get_suptitle() for part in strip.subfigs] == [
        "Deep prior, median pair: NCC 0.500 → 0.800",
        "Deep prior, worst pair: NCC 0.500 → 0.700",
    ]
    assert [axes.get_title() for axes in strip.subfigs[0].axes] == ["fixed", "moving", "warped"]
    ssim, mean_det = below.axes
    assert (ssim.get_xlabel(), mean_det.get_xlabel()) == ("SSIM", "mean det J")
    assert [text.get_text() for text in ssim.get_yticklabels()] == list(LABELS.values())
    metrics = read_results(inputs["metrics"])
    cells = numbers.set_index(["method", "metric"])
    for method in LABELS:
        own = metrics[metrics["method"] == method]
        row = cells.loc[method, "SSIM"]
        assert row["quartile_1"] == pytest.approx(own["ssim"].quantile(0.25))
        assert row["mean"] == pytest.approx(own["ssim"].mean())
        assert row["low"] == cluster_bootstrap_mean(own["ssim"], own["cluster"]).low
    points = [line for line in ssim.lines if len(line.get_xdata()) == PAIRS]
    assert [line.get_marker() for line in points] == [marker(method) for method in LABELS]
    np.testing.assert_allclose(points[3].get_xdata(), metrics[metrics["method"] == "prior"]["ssim"])
    plt.close(figure)


def test_boxes_of_seeds_and_of_chosen_examples(inputs: Inputs, tmp_path: Path) -> None:
    write_frame(tmp_path / "m.csv", metrics_of("prior", 1))
    about = exhibit("examples_and_boxes", {"example": "prior", "ranks": ["common"], "measures": ["ncc"]})
    figure, numbers = drawn(about, {**inputs, "metrics": [*inputs["metrics"], tmp_path / "m.csv"]})
    strip, below = figure.subfigs
    assert [part.get_suptitle() for part in strip.subfigs] == ["Deep prior, common pair: NCC 0.500 → 0.850"]
    # Two seeds of a pair are one point.
    assert set(numbers["n"]) == {PAIRS}
    assert len(below.axes) == 1
    plt.close(figure)
    hidden, _ = drawn(exhibit("examples_and_boxes", show_images=False), inputs)
    assert "not shown: the terms" in hidden.subfigs[0].texts[0].get_text()
    assert len(hidden.subfigs[1].axes) == 2
    plt.close(hidden)


def test_schematic_has_every_scale_of_the_card(inputs: Inputs) -> None:
    options = {"loss": "mean |warped − fixed|", "noise": "drawn anew\nin each iteration"}
    figure, scales = drawn(exhibit("prior_schematic", options), inputs)
    assert scales[["scale", "role"]].to_numpy().tolist() == [[n, r] for n in range(3) for r in ("down", "skip", "up")]
    second = scales.set_index(["scale", "role"]).loc[1]
    assert second["inputs"].tolist() == [8, 8, 20]
    assert second["outputs"].tolist() == [16, 4, 16]
    assert second["height"].tolist() == [8, 16, 16]
    assert second.loc["down", "convolutions"] == "3×3, 3×3"
    # All but the last convolution, which makes the two channels of the field.
    assert scales["parameters"].sum() == read_card(inputs["cards"][0])["parameters"] - 2 * 8 - 2
    words = [text.get_text() for text in figure.axes[0].texts]
    assert {"z: 32 channels", "32 → 8, 16×16", "20 → 16, 16×16", *options.values()} <= set(words)
    assert len(figure.axes[0].images) == 4
    plt.close(figure)
    hidden, _ = drawn(exhibit("prior_schematic", show_images=False), inputs)
    # The noise alone.
    assert len(hidden.axes[0].images) == 1
    plt.close(hidden)


def test_other_networks_have_no_such_schematic(inputs: Inputs) -> None:
    about = exhibit("prior_schematic")
    with pytest.raises(ReregisterError, match="draws a skip network and its card lists none"):
        scales_of(about, {"modules": [{"name": "0", "kernel": [3, 3], "parameters": 1, "shape": [1, 2, 2]}]})
    with pytest.raises(ReregisterError, match="draws one network; name one method"):
        drawn(exhibit("prior_schematic", methods=list(FITTED.items())), inputs)


def test_traces_are_medians_over_the_pairs(inputs: Inputs) -> None:
    options = {"loss": "mean absolute difference", "measures": ["ssim", "fold_share"]}
    figure, numbers = drawn(exhibit("traces_by_method", options), inputs)
    curves, ssim, folds = figure.axes
    assert curves.get_ylabel().startswith("mean absolute difference\n")
    assert curves.get_yscale() == "log"
    first = numbers[(numbers["method"] == "prior") & (numbers["step"] == 500)].iloc[0]
    losses = traces_of("prior").query("step == 500")["loss"]
    assert first["median"] == pytest.approx(losses.median())
    assert (first["low"], first["high"]) == pytest.approx((losses.quantile(0.1), losses.quantile(0.9)))
    assert first["pairs"] == PAIRS
    assert [line.get_marker() for line in curves.lines] == [marker(method) for method in FITTED]
    assert ssim.get_xlabel() == "SSIM"
    assert [text.get_text() for text in ssim.get_yticklabels()] == list(FITTED.values())
    ends = numbers[numbers["measure"] == "SSIM"].set_index("method")
    metrics = read_results(inputs["metrics"])
    assert ends.loc["prior_fixed", "mean"] == pytest.approx(
        metrics.loc[metrics["method"] == "prior_fixed", "ssim"].mean()
    )
    assert folds.texts[0].get_text() == "0"
    plt.close(figure)


def test_traces_alone_and_none_at_all(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("traces_by_method"), {"traces": inputs["traces"]})
    assert len(figure.axes) == 1
    assert list(numbers.columns) == ["method", "step", "pairs", "median", "low", "high"]
    plt.close(figure)
    with pytest.raises(ReregisterError, match="fig9_test has no traces of its methods"):
        drawn(exhibit("traces_by_method", methods=[("itk", "ITK")]), inputs)


def test_methods_table_shows_the_metrics_asked_for(inputs: Inputs) -> None:
    options = {"metrics": ["ssim", "ssim_raw", "mean_det", "min_det"], "sd": ["ssim", "mean_det"], "gain": ["ssim"]}
    table = tabulate("methods_table", inputs, options)
    # No method has the SSIM of raw intensities.
    columns = ["method", "cases"]
    columns += [f"ssim{end}" for end in ("", "_low", "_high", "_sd", "_gain", "_gain_low", "_gain_high")]
    columns += [f"mean_det{end}" for end in ("", "_low", "_high", "_sd")] + ["min_det", "min_det_low", "min_det_high"]
    assert list(table.columns) == columns
    metrics = read_results(inputs["metrics"])
    own, before = (metrics[metrics["method"] == method].reset_index() for method in ("prior", "identity"))
    row = table.iloc[3]
    assert row["mean_det_sd"] == pytest.approx(own["mean_det"].std())
    gain = paired_gain(own["ssim"], before["ssim"], own["cluster"])
    assert (row["ssim_gain"], row["ssim_gain_low"]) == pytest.approx((gain.mean, gain.low))
    assert table["cases"].tolist() == [PAIRS] * 4
    with pytest.raises(ReregisterError, match="fig9_test has none of its metrics"):
        tabulate("methods_table", inputs, {"metrics": ["ssim_raw"]})


def test_gains_over_several_references(inputs: Inputs) -> None:
    options = {"references": ["identity", "affine"], "metrics": ["ssim", "max_displacement"]}
    table = tabulate("paired_tests", inputs, options)
    compared = list(dict.fromkeys(zip(table["method"], table["reference"], strict=True)))
    before = LABELS["identity"]
    assert compared[:3] == [("Affine", before), ("ITK", before), ("Deep prior", before)]
    assert compared[3:] == [("ITK", "Affine"), ("Deep prior", "Affine")]
    assert table["metric"].tolist()[:2] == ["SSIM", "largest displacement, px"]
    metrics = read_results(inputs["metrics"])
    own, affine = (metrics[metrics["method"] == method].reset_index() for method in ("prior", "affine"))
    gain = paired_gain(own["ssim"], affine["ssim"], own["cluster"])
    row = table[(table["method"] == "Deep prior") & (table["reference"] == "Affine")].iloc[0]
    assert (row["difference"], row["difference_low"], row["difference_high"]) == pytest.approx(gain[:3])
    assert row["difference_low"] > 0
    assert (row["patients"], row["pairs"]) == (PAIRS // 2, PAIRS)
    with pytest.raises(ReregisterError, match="fig9_test needs dice; see"):
        tabulate("paired_tests", inputs, {"metrics": ["dice"]})
    with pytest.raises(ReregisterError, match="fig9_test needs a reference and at least one more method"):
        tabulate("paired_tests", inputs, {**options, "references": ["elsewhere"]})
