"""Exhibits of labels and of compression from small made-up results: right numbers, errors, images only where allowed."""

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
from reregister.exhibits.compressed import bytes_by_method, compression_of, read_layers
from reregister.exhibits.label_errors import frozen_list, root_mean_square
from reregister.exhibits.planes import cut
from reregister.figures.training_and_inference import WAYS, squared
from reregister.registry import load
from reregister.statistics import cluster_bootstrap_mean, paired_gain
from reregister.tables import read_results, write_arrays, write_frame

from .test_figures import OTHER_PROCESS, PROJECT

LABELS = {"identity": "Before registration", "trained": "Trained", "pruned": "Pruned", "quantised": "Quantised"}
SPEEDS = {name: LABELS[name] for name in ("trained", "quantised")} | {"openvino_int8": "Integers"}
DRAWN = {
    "compression_curve": LABELS,
    "sparsity_by_layer": LABELS,
    "training_and_inference": {"trained": "Trained"},
    "volume_examples": LABELS,
    "volumes": SPEEDS,
}
TABLES = ("accuracy_by_label", "int8_speed", "order_of_rows")
PAIRS, STRUCTURES, SHAPE = 6, ("white matter", "stem", "CSF"), (12, 14, 16)
SCORED = STRUCTURES[:2]
# Before registration pairs overlap better than after it, as in the order of the printed rows.
DICE = {"identity": 0.62, "trained": 0.55, "pruned": 0.6, "quantised": 0.56, "openvino_int8": 0.54}
MOVED = {"identity": 0.0, "trained": 2.0, "pruned": 1.5, "quantised": 2.0, "openvino_int8": 2.0}
LAYERS = {"down.0.weight": 600, "up.0.weight": 300, "summands.0.weight": 90, "summands.0.bias": 10}
ZEROS = {"pruned": (120, 40, 80, 10), "quantised": (130, 50, 82, 10)}
Inputs = dict[str, list[Path]]


def exhibit(function: str, options: Any = (), **changes: Any) -> Exhibit:
    default = SPEEDS if function == "int8_speed" else LABELS
    methods = list(DRAWN.get(function, default).items())
    made = Exhibit("label_driven", "fig9_test", function, methods, True, "smoke", True, "ab" * 32, dict(options))
    return replace(made, **changes)


def drawn(about: Exhibit, inputs: Inputs) -> Any:
    return load("figures", about.function).draw(about, inputs)


def tabled(about: Exhibit, inputs: Inputs) -> pd.DataFrame:
    return load("figures", about.function).tabulate(about, inputs)


def cases_of(method: str, seed: int) -> pd.DataFrame:
    number = np.arange(PAIRS)
    ids = {"pair_id": [f"test-{n:03d}" for n in number], "moving": [f"IBSR_0{n // 2}" for n in number]}
    frame = pd.DataFrame({"method": method, "seed": seed, **ids, "fixed": "IBSR_09", "group": "all"})
    return frame.assign(cluster=frame["moving"], unit="mm", spacing="1.5 1.5 1.5")


def metrics_of(method: str, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng([seed, *map(ord, method)])
    step = 0.01 * np.arange(PAIRS) + random.normal(0, 0.002, PAIRS)
    values = {"dice": DICE[method] + step, "tre": 3 - MOVED[method] / 4 + 10 * step, "empty_labels": 0}
    values |= {"tre_px": values["tre"] / 1.5, "fold_share": 0.001 * np.arange(PAIRS) * MOVED[method]}
    values |= {"mean_displacement": MOVED[method] + step * (method != "identity"), "ncc": 0.8}
    return cases_of(method, seed).assign(**values)


def labels_of(method: str, seed: int = 0) -> pd.DataFrame:
    """Distance (place of the label + 1) x (1 + place of the pair) mm; CSF is not there in the last two pairs."""
    frames = []
    for place, name in enumerate(STRUCTURES):
        own = cases_of(method, seed).assign(label=name, scored="yes" if name in SCORED else "", interpolation="linear")
        far = (place + 1.0) * (1 + np.arange(PAIRS)) * (0.5 if method == "trained" else 1.0)
        dice = DICE[method] + 0.1 * place - 0.01 * np.arange(PAIRS)
        here = np.where((name == "CSF") & (np.arange(PAIRS) > 3), np.nan, 1.0)
        frames.append(own.assign(dice=dice * here, centroid_distance=far * here, centroid_distance_px=far / 1.5 * here))
    return pd.concat(frames)


def layers_of(method: str) -> pd.DataFrame:
    """8 bits a weight with a scale of 4 bytes for the quantised network, biases in single precision."""
    counts = list(LAYERS.values())
    stored = [4 * n for n in counts] if method == "pruned" else [n + 4 for n in counts[:3]] + [4 * counts[3]]
    frame = pd.DataFrame({"layer": list(LAYERS), "parameters": counts, "zeros": ZEROS[method], "bytes": stored})
    whole = {"layer": "all", "parameters": sum(counts), "zeros": sum(ZEROS[method]), "bytes": sum(stored) + 500}
    frame = pd.concat([frame, pd.DataFrame([whole])], ignore_index=True)
    return frame.assign(share=frame["zeros"] / frame["parameters"])[["layer", "parameters", "zeros", "share", "bytes"]]


def examples_of(method: str) -> dict[str, Any]:
    """A ball that was moved along the last axis, with its two halves as labels."""
    away = np.indices(SHAPE) - np.reshape(np.array(SHAPE) / 2 - 0.5, (3, 1, 1, 1))
    ball = np.sqrt((away**2).sum(0)) < 4.5
    halves = np.where(away[0] < 0, 1, 2) * ball
    images = {"fixed": 0.8 * ball, "moving": np.roll(0.8 * ball, 2, 2)}
    images["warped"] = images["moving"] if method == "identity" else 0.9 * images["fixed"]
    masks = {"fixed": halves, "moving": np.roll(halves, 2, 2)}
    masks["warped"] = masks["moving"] if method == "identity" else masks["fixed"]
    ddf = np.zeros((4, 3, *SHAPE), np.float32)
    ddf[:, 2] = 0 if method == "identity" else 2
    texts = {"rank": ["best", "median", "worst", "common"], "pair_id": ["b", "m", "w", "test-003"]}
    texts |= {"moving_id": ["IBSR_01"] * 4, "fixed_id": ["IBSR_09"] * 4, "group": ["all"] * 4, "unit": ["mm"] * 4}
    numbers = {"ncc_before": [0.5] * 4, "ncc_after": [0.9] * 4, "fold_share": [0.01] * 4, "field_error": [np.nan] * 4}
    numbers |= {"dice_before": [0.5] * 4, "dice_after": [DICE[method]] * 4}
    arrays = {role: np.repeat(image[None, None].astype(np.float32), 4, 0) for role, image in images.items()}
    arrays |= {f"mask_{role}": np.repeat(mask[None].astype(np.uint8), 4, 0) for role, mask in masks.items()}
    about = {"spacing": [[1.5] * 3] * 4, "axes": ["RAS"] * 4, "label_names": [["first half", "second half"]] * 4}
    return {"method": method, **texts, **numbers, **about, **arrays, "ddf": ddf}


def timing_of(method: str, seconds: float, seed: int = 0) -> pd.DataFrame:
    times = seconds * (1 + 0.1 * np.arange(PAIRS))
    case = cases_of(method, seed)[["pair_id", "group", "method", "seed"]]
    return case.assign(device="cpu", threads=1, seconds=times, note=np.nan)


def write_inputs(folder: Path) -> Inputs:
    found: Inputs = {}

    def put(kind: str, place: str, frame: pd.DataFrame) -> None:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_frame(path, frame)
        found.setdefault(kind, []).append(path)

    for method in DICE:
        seeds = [0] if method == "identity" else [0, 1]
        put("metrics", f"metrics/{method}.csv", pd.concat([metrics_of(method, seed) for seed in seeds]))
        put("labels", f"metrics/{method}.labels.csv", pd.concat([labels_of(method, seed) for seed in seeds]))
        write_arrays(folder / f"metrics/{method}.gallery.npz", examples_of(method))
        found.setdefault("gallery", []).append(folder / f"metrics/{method}.gallery.npz")
    for method in ZEROS:
        for seed in (0, 1):
            put("layers", f"models/x/{method}/all_seed{seed}.layers.csv", layers_of(method))
    for method, seconds in (("trained", 2.0), ("quantised", 2.5), ("openvino_int8", 0.5)):
        put("timing", f"fields/{method}.timing.csv", timing_of(method, seconds))
    put("sizes", "fields/openvino_int8.sizes.csv", pd.DataFrame({"seed": [0, 1], "precision": "int8", "bytes": 1200}))
    for seed, size in ((0, 4000), (1, 4200)):
        path = folder / f"models/x/trained/all_seed{seed}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
        found.setdefault("weights", []).append(path)
    return found


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("results"))


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


def test_a_root_mean_square_and_its_interval() -> None:
    values, clusters = np.array([3.0, 4.0, 0.0, 5.0, np.nan]), ["a", "a", "b", "b", "b"]
    found = root_mean_square(values, clusters)
    assert found.mean == pytest.approx(np.sqrt(50 / 4))
    # Of two clusters: each alone is as far as a resample can go.
    assert (found.low, found.high) == pytest.approx((np.sqrt(12.5), np.sqrt(12.5)))
    assert (found.n_values, found.n_clusters) == (4, 2)
    wider = root_mean_square([1.0, 7.0], ["a", "b"])
    assert (wider.low, wider.high) == pytest.approx((1, 7))


def test_one_list_of_pairs_and_labels_for_all() -> None:
    both = pd.concat([labels_of("identity"), labels_of("trained"), labels_of("trained", 1)], ignore_index=True)
    assert len(frozen_list(both, ["identity", "trained"])) == 3 * (3 * PAIRS - 2)
    # What one seed of one method loses is taken from every row.
    lost = (both["method"] == "trained") & (both["seed"] == 1) & (both["pair_id"] == "test-000")
    both.loc[lost & (both["label"] == "stem"), "centroid_distance"] = np.nan
    kept = frozen_list(both, ["identity", "trained"])
    assert len(kept) == 3 * (3 * PAIRS - 3)
    assert kept[(kept["pair_id"] == "test-000") & (kept["label"] == "stem")].empty
    assert len(frozen_list(both, ["identity"])) == 3 * PAIRS - 2
    with pytest.raises(ReregisterError, match="pruned has no labels to compare"):
        frozen_list(both, ["identity", "pruned"])
    with pytest.raises(ReregisterError, match="no label of a pair is defined for every method"):
        frozen_list(both.assign(dice=np.nan), ["identity"])


def test_accuracy_is_that_of_one_list(inputs: Inputs, tmp_path: Path) -> None:
    # The pruned network loses a label of the first pair.
    lost = labels_of("pruned")
    lost.loc[(lost["pair_id"] == "test-000") & (lost["label"] == "stem"), ["dice", "centroid_distance"]] = [0, np.nan]
    write_frame(tmp_path / "pruned.labels.csv", lost)
    paths = [path for path in inputs["labels"] if "pruned" not in path.name]
    table = tabled(exhibit("accuracy_by_label"), {**inputs, "labels": [*paths, tmp_path / "pruned.labels.csv"]})
    assert table["method"].tolist() == list(LABELS.values())
    assert (table["left_out"] == 1).all()
    assert (table["pairs"] == PAIRS).all()
    assert (table["labels"] == 2).all()
    assert table["cases"].tolist() == [11, 22, 11, 22]
    for row, method in zip(table.to_dict("records"), LABELS, strict=True):
        labels = labels_of(method)
        labels = labels[~((labels["pair_id"] == "test-000") & (labels["label"] == "stem"))]
        scored = labels[labels["label"].isin(SCORED)]
        distance = np.sqrt((scored["centroid_distance"] ** 2).mean())
        assert row["tre_mm"] == pytest.approx(distance)
        assert row["tre_voxels"] == pytest.approx(distance / 1.5)
        assert row["dice"] == pytest.approx(scored["dice"].mean())
        assert row["dice_all_labels"] == pytest.approx(labels["dice"].mean())
        for name in SCORED:
            assert row[f"Dice, {name}"] == pytest.approx(scored.loc[scored["label"] == name, "dice"].mean())
        assert row["tre_mm_low"] < row["tre_mm"] < row["tre_mm_high"]
    one = cluster_bootstrap_mean(scored["dice"], scored["cluster"])
    assert table["dice_low"].iloc[-1] < one.mean < table["dice_high"].iloc[-1]
    assert "Dice, CSF" not in table
    folds = 100 * metrics_of("trained")["fold_share"].mean()
    assert table.loc[table["method"] == "Trained", "folds_percent"].item() == pytest.approx(folds)


def test_accuracy_needs_scored_labels_in_one_unit(inputs: Inputs, tmp_path: Path) -> None:
    plain = labels_of("identity").assign(scored="")
    write_frame(tmp_path / "none.csv", plain)
    write_frame(tmp_path / "px.csv", labels_of("trained").assign(unit="px"))
    with pytest.raises(ReregisterError, match="needs scored labels and its data have none"):
        tabled(exhibit("accuracy_by_label"), {**inputs, "labels": [tmp_path / "none.csv"]})
    with pytest.raises(ReregisterError, match="one unit and got mm and px"):
        tabled(exhibit("accuracy_by_label"), {**inputs, "labels": [*inputs["labels"], tmp_path / "px.csv"]})
    with pytest.raises(ReregisterError, match="has the option labels"):
        tabled(exhibit("accuracy_by_label", {"labels": 1}), inputs)


def test_what_files_say_of_compressed_networks(inputs: Inputs, tmp_path: Path) -> None:
    layers = read_layers(inputs["layers"])
    assert set(layers[["method", "part", "seed"]].itertuples(index=False, name=None)) == {
        (method, "all", seed) for method in ZEROS for seed in (0, 1)
    }
    found = compression_of(layers)
    assert found["pruned"].to_dict() == pytest.approx({"pruned": 0.25, "quantised": 0.272})
    assert found["bits"].to_dict() == pytest.approx({"pruned": 32, "quantised": 8 * (990 + 12 + 40) / 1000})
    sizes = bytes_by_method(inputs)
    assert sizes == {"trained": 4100, "openvino_int8": 1200, "pruned": 4500, "quantised": 1542}
    with pytest.raises(ReregisterError, match="no table of layers"):
        read_layers([])
    write_frame(tmp_path / "layers.csv", layers_of("pruned"))
    with pytest.raises(ReregisterError, match=r"layers\.csv is no file of a network"):
        read_layers([tmp_path / "layers.csv"])


def test_whole_numbers_are_compared_with_the_network_as_it_is(inputs: Inputs) -> None:
    table = tabled(exhibit("int8_speed"), inputs).set_index("method")
    assert table.index.tolist() == list(SPEEDS.values())
    assert table["seconds_median"].tolist() == pytest.approx([2.5, 3.125, 0.625])
    assert table["times_faster"].tolist() == pytest.approx([1, 0.8, 4])
    assert table["bytes"].tolist() == [4100, 1542, 1200]
    assert table["times_smaller"].tolist() == pytest.approx([1, 4100 / 1542, 4100 / 1200])
    by_pair = [pd.concat([metrics_of(m, s) for s in (0, 1)]).groupby("pair_id") for m in ("openvino_int8", "trained")]
    own, reference = (group["dice"].mean().to_numpy() for group in by_pair)
    gain = paired_gain(own, reference, by_pair[0]["cluster"].first())
    assert table.loc["Integers", "dice"] == pytest.approx(own.mean())
    columns = ["dice_change", "dice_change_low", "dice_change_high"]
    assert table.loc["Integers", columns].tolist() == pytest.approx([gain.mean, gain.low, gain.high])
    assert table.loc["Trained", columns].tolist() == [0, 0, 0]
    # A size that no file gives is unknown.
    unknown = tabled(exhibit("int8_speed"), {**inputs, "weights": []}).set_index("method")
    assert np.isnan(unknown.loc["Trained", "bytes"])
    assert unknown["times_smaller"].isna().all()
    other = tabled(exhibit("int8_speed", {"reference": "openvino_int8"}), inputs).set_index("method")
    assert other["times_faster"].tolist() == pytest.approx([0.25, 0.2, 1])
    with pytest.raises(ReregisterError, match="has the reference affine, which is none of its methods"):
        tabled(exhibit("int8_speed", {"reference": "affine"}), inputs)
    with pytest.raises(ReregisterError, match="has no metrics of trained"):
        tabled(exhibit("int8_speed"), {**inputs, "metrics": [p for p in inputs["metrics"] if "trained" not in p.name]})


def test_curves_of_compression(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("compression_curve"), inputs)
    rows = numbers.set_index("method")
    assert rows["pruned_percent"].tolist() == pytest.approx([np.nan, 0, 25, 27.2], nan_ok=True)
    assert rows["bits"].tolist() == pytest.approx([np.nan, 32, 32, 8.336], nan_ok=True)
    assert rows["megabytes"].tolist() == pytest.approx([np.nan, 0.0041, 0.0045, 0.001542], nan_ok=True)
    metrics = read_results(inputs["metrics"])
    own = metrics[metrics["method"] == "pruned"]
    assert rows.loc["pruned", "dice"] == pytest.approx(own["dice"].mean())
    assert rows.loc["pruned", "tre"] == pytest.approx(np.sqrt((own["tre"] ** 2).mean()))
    assert rows.loc["pruned", "tre_low"] == root_mean_square(own["tre"], own["cluster"]).low
    pruned, bits, sizes = figure.axes[:3]

    def shown(axes: Any) -> list[str]:
        markers = [line.get_marker() for line in axes.lines]
        return [method for method in LABELS if marker(method) in markers]

    # The network as it is stands at the start of both ways; a pruned one has 32 bits, a quantised one fewer.
    assert shown(pruned) == ["trained", "pruned"]
    assert shown(bits) == ["trained", "quantised"]
    assert shown(sizes) == ["trained", "pruned", "quantised"]
    assert [axes.get_xlabel() for axes in figure.axes[3:]] == ["weights pruned, %", "bits of a weight", "file, MB"]
    assert figure.axes[3].get_ylabel() == "TRE, mm"
    dashed = [line for line in pruned.lines if line.get_linestyle() == "--"]
    assert dashed[0].get_ydata()[0] == pytest.approx(rows.loc["identity", "dice"])
    plt.close(figure)


def test_curves_need_labels_and_compressed_networks(inputs: Inputs, tmp_path: Path) -> None:
    write_frame(tmp_path / "m.csv", metrics_of("trained").drop(columns="tre"))
    with pytest.raises(ReregisterError, match="needs labels and its data have none"):
        drawn(exhibit("compression_curve"), {**inputs, "metrics": [tmp_path / "m.csv"]})
    with pytest.raises(ReregisterError, match="has no layers of its methods"):
        drawn(exhibit("compression_curve", methods=[("trained", "Trained")]), inputs)
    with pytest.raises(ReregisterError, match="has no metrics of elsewhere"):
        drawn(exhibit("compression_curve", methods=[*LABELS.items(), ("elsewhere", "Elsewhere")]), inputs)


def test_zeros_of_each_layer(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("sparsity_by_layer"), inputs)
    assert numbers["method"].tolist() == ["pruned"] * 5 + ["quantised"] * 5
    own = numbers[numbers["method"] == "pruned"].set_index("layer")
    assert own["share"].tolist() == pytest.approx([0.2, 40 / 300, 80 / 90, 1.0, 0.25])
    assert own["marked"].tolist() == ["", "", "yes", "yes", ""]
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == list(LAYERS)
    points = next(line for line in axes.lines if line.get_marker() == marker("pruned"))
    np.testing.assert_allclose(points.get_xdata(), 100 * own["share"].iloc[:4])
    assert points.get_color() == colour("pruned")
    bands = [patch.get_y() for patch in axes.patches]
    assert bands == [1.5, 2.5]
    dotted = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted == pytest.approx([25, 27.2])
    plt.close(figure)
    with pytest.raises(ReregisterError, match="has no layers of its methods"):
        drawn(exhibit("sparsity_by_layer", methods=[("trained", "Trained")]), inputs)


def test_the_order_of_the_rows_is_explained_by_numbers(inputs: Inputs) -> None:
    table = tabled(exhibit("order_of_rows"), inputs).set_index("method")
    assert table["place"].tolist()[:4] == [1, 4, 2, 3]
    assert pd.isna(table.loc["Hypothesis", "place"])
    before, trained, pruned = (table.loc[LABELS[name]] for name in ("identity", "trained", "pruned"))
    assert before["note"] == pruned["note"] == "above the trained network"
    assert (trained["note"], trained["dice_minus_trained"]) == ("", 0)
    assert pruned["zeros_marked_percent"] == pytest.approx(90)
    assert pruned["zeros_percent"] == pytest.approx(25)
    assert before["mean_displacement"] == 0
    verdict = table.loc["Hypothesis", "note"]
    assert verdict.startswith("holds: no registration is above the trained network; pruning takes 90 % of the layers")
    assert "25 % of all weights; the mean displacement changes by −" in verdict


@pytest.mark.parametrize("change", ["identity", "zeros", "displacement"])
def test_the_hypothesis_fails_with_any_of_its_steps(inputs: Inputs, tmp_path: Path, change: str) -> None:
    metrics, layers = list(inputs["metrics"]), list(inputs["layers"])
    if change == "identity":
        write_frame(tmp_path / "identity.csv", metrics_of("identity").assign(dice=lambda own: own["dice"] - 0.2))
        metrics = [tmp_path / "identity.csv", *(path for path in metrics if path.name != "identity.csv")]
    if change == "displacement":
        write_frame(tmp_path / "pruned.csv", metrics_of("pruned").assign(mean_displacement=2.5))
        metrics = [tmp_path / "pruned.csv", *(path for path in metrics if path.name != "pruned.csv")]
    if change == "zeros":
        path = tmp_path / "pruned/all_seed0.layers.csv"
        path.parent.mkdir()
        write_frame(path, layers_of("pruned").assign(zeros=[240, 0, 10, 0, 250]))
        layers = [path]
    table = tabled(exhibit("order_of_rows"), {"metrics": metrics, "layers": layers}).set_index("method")
    verdict = table.loc["Hypothesis", "note"]
    assert verdict.startswith("does not hold: ")
    if change == "identity":
        assert table.loc["Before registration", "note"] == "below the trained network"
        assert "no registration is not above the trained network" in verdict
    if change == "displacement":
        assert "changes by +2" in verdict


def test_the_hypothesis_needs_its_methods_and_layers(inputs: Inputs) -> None:
    for name in ("identity", "trained", "pruned"):
        methods = [entry for entry in LABELS.items() if entry[0] != name]
        with pytest.raises(ReregisterError, match=f"needs the method {name}"):
            tabled(exhibit("order_of_rows", methods=methods), inputs)
    with pytest.raises(ReregisterError, match="has no layer last of pruned"):
        tabled(exhibit("order_of_rows", {"marked": "last"}), inputs)


def test_volumes_are_shown_in_one_slice_with_their_labels(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("volume_examples", {"plane": "sagittal", "place": 0.4}), inputs)
    assert numbers["pair_id"].tolist() == ["test-003"] * 4
    assert numbers["dice_after"].tolist() == pytest.approx([DICE[method] for method in LABELS])
    grid = np.array(figure.axes).reshape(4, 4)
    assert [axes.get_title() for axes in grid[0]] == ["moving", "fixed", "warped", "grid"]
    whole = examples_of("trained")
    np.testing.assert_array_equal(grid[1, 1].images[0].get_array(), cut(whole["fixed"][3, 0], "sagittal", 0.4))
    # At 0.4 along the first axis one half of the ball alone: one outline of the fixed image, and one of each other.
    assert [len(axes.lines) for axes in grid[1]] == [2, 1, 2, 0]
    assert "Trained\nDice 0.550\nfolds 1 %" in grid[1, 0].get_ylabel()
    plt.close(figure)
    figure, _ = drawn(exhibit("volume_examples", {"last": "difference"}), inputs)
    grid = np.array(figure.axes).reshape(4, 4)
    assert [len(axes.lines) for axes in grid[0]] == [4, 2, 4, 0]
    left = np.abs(cut(whole["warped"][3, 0] - whole["fixed"][3, 0], "coronal"))
    np.testing.assert_allclose(grid[1, 3].images[0].get_array(), left)
    # One scale for all methods.
    ((low, high),) = {axes.images[0].get_clim() for axes in grid[:, 3]}
    assert (low, high) == pytest.approx((0, 0.8))
    plt.close(figure)


def test_volumes_are_not_shown_where_they_may_not_be(inputs: Inputs) -> None:
    figure, numbers = drawn(exhibit("volume_examples", show_images=False), inputs)
    assert "not shown: the terms" in figure.texts[0].get_text()
    assert not figure.axes
    assert len(numbers) == 4
    plt.close(figure)


def test_volumes_that_cannot_be_compared(inputs: Inputs, tmp_path: Path) -> None:
    other = examples_of("pruned") | {"pair_id": ["b", "m", "w", "test-004"]}
    write_arrays(tmp_path / "other.npz", other)
    paths = [tmp_path / "other.npz", *inputs["gallery"]]
    with pytest.raises(ReregisterError, match="its methods hold test-003 and test-004"):
        drawn(exhibit("volume_examples"), {"gallery": paths})
    flat = {name: array[..., 0] if name in ("fixed", "moving", "warped") else array for name, array in other.items()}
    write_arrays(tmp_path / "flat.npz", flat)
    with pytest.raises(ReregisterError, match="shows slices of volumes and its images are flat"):
        drawn(exhibit("volume_examples"), {"gallery": [tmp_path / "flat.npz"]})
    with pytest.raises(ReregisterError, match="fig9_test: a plane is sagittal, coronal, axial, not frontal"):
        drawn(exhibit("volume_examples", {"plane": "frontal"}), inputs)
    with pytest.raises(ReregisterError, match="has the option last arrows; it is grid or difference"):
        drawn(exhibit("volume_examples", {"last": "arrows"}), inputs)
    write_arrays(tmp_path / "none.npz", {"method": "trained"})
    figure, numbers = drawn(exhibit("volume_examples"), {"gallery": [tmp_path / "none.npz"]})
    assert "no pair has a defined score" in figure.texts[0].get_text()
    assert numbers.empty
    plt.close(figure)


def test_training_has_labels_and_inference_has_none(inputs: Inputs) -> None:
    options = {"network": "LocalNet", "loss": "Dice", "augmentation": "random affine"}
    figure, ways = drawn(exhibit("training_and_inference", options), inputs)
    flows = set(ways.itertuples(index=False, name=None))
    assert flows == set(WAYS)
    assert not any("labels" in f"{start} {end}" for part, start, end in flows if part == "inference")
    (axes,) = figure.axes
    words = [text.get_text() for text in axes.texts]
    assert words.count("LocalNet") == 2
    assert words.count("Dice") == words.count("random affine") == words.count("warped labels") == 1
    # Two images and three maps of labels in training, three images in inference.
    assert len(axes.images) == 8
    maps = [image.get_array() for image in axes.images if image.get_array().max() == 2]
    assert len(maps) == 3
    assert (axes.get_xlim()[1], axes.get_ylim()[1]) == (8.4, 5.5)
    plt.close(figure)
    hidden, _ = drawn(exhibit("training_and_inference", show_images=False), inputs)
    assert not hidden.axes[0].images
    # The field is no image of the data.
    assert len(hidden.axes[0].collections) == 2
    plt.close(hidden)
    with pytest.raises(ReregisterError, match="draws one network; name one method"):
        drawn(exhibit("training_and_inference", methods=list(LABELS.items())), inputs)


def test_a_square_holds_the_whole_image_in_its_middle() -> None:
    found = squared(np.ones((4, 7)))
    assert found.shape == (7, 7)
    assert found[1:5].all()
    assert found.sum() == 28
