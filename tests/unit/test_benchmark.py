"""The speed table: the forms that are compared are equal, and every row says what it was measured against."""

import json
import os

import numpy as np
import pytest
import torch

from reregister.benchmark import bspline, cardiac, plan
from reregister.benchmark.process import in_own_process
from reregister.benchmark.registration import digit_pairs
from reregister.benchmark.rows import Effort, medians
from reregister.benchmark.table import measure
from reregister.errors import ReregisterError
from reregister.transforms.bspline import bspline_ddf

COLUMNS = ["name", "value", "unit", "reference", "ratio", "target", "met", "note"]
MODEL = {"poolings": 2, "kernels": 16, "order": 3, "pad": "zero", "init_last": "zero"}
TRAINING = {"batch": 4, "optimiser": {"name": "adam", "lr": 0.001}, "loss": {"ncc": 1.0}, "padding": "border"}
ELASTIX = {
    "transform": "bspline",
    "metric": "AdvancedNormalizedCorrelation",
    "iterations": 10,
    "resolutions": 2,
    "image_pyramid": [2, 2, 1, 1],
    "samples": 256,
    "seed": 1,
    "grid_spacing_schedule": [2, 1],
    "final_spacing": 4,
}
# As little as gives every row.
LEAST = Effort(
    steps=1,
    fields_28=1,
    fields_256=1,
    images=20,
    slices=1,
    rounds=1,
    processes=1,
    cardiac_steps=1,
    voxelmorph_steps=1,
    voxelmorph_filters=4,
    plans=1,
    prior_steps=2,
    prior_size=128,
)
VOXELMORPH = {"training_step_voxelmorph_fp32": 1300, "training_step_voxelmorph_bf16": 900}


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize(
    ("grid", "size"), [((7, 7), (28, 28)), ((16, 16), (256, 256)), ((3, 5), (18, 30)), ((1, 2), (2, 4))]
)
def test_the_transposed_convolution_is_the_same_b_spline(order, grid, size):
    generator = torch.Generator().manual_seed(order)
    coefficients = torch.randn(2, 2, *grid, generator=generator).requires_grad_(True)
    upstream = torch.randn(2, 2, *size, generator=generator)
    spacing = size[0] // grid[0]
    ours = bspline_ddf(coefficients, size, order)
    theirs = bspline.conv_transpose_ddf(coefficients, bspline.kernel_2d(spacing, order), spacing, order)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    gradients = [torch.autograd.grad(field, coefficients, upstream)[0] for field in (ours, theirs)]
    scale = float(gradients[1].abs().max())
    torch.testing.assert_close(gradients[0] / scale, gradients[1] / scale, rtol=0, atol=1e-5)


def test_an_odd_spacing_has_no_transposed_convolution_of_this_form():
    with pytest.raises(ValueError, match="even spacing"):
        bspline.kernel_2d(5, 3)


def test_a_field_that_differs_misses_the_target_however_fast_it_is(monkeypatch):
    monkeypatch.setattr(bspline, "bspline_ddf", lambda c, size, order: 1.0001 * bspline_ddf(c, size, order))
    monkeypatch.setattr(bspline, "medians", lambda calls, repeats: {"ours": 1.0, "reference": 100.0})
    row = bspline.compare(7, 28, 1)
    assert row.ratio == 100
    assert row.met == "no"


@pytest.mark.parametrize(("reference", "met"), [(5.1, "yes"), (4.9, "no")])
def test_the_ratio_decides_where_the_fields_are_equal(monkeypatch, reference, met):
    monkeypatch.setattr(bspline, "medians", lambda calls, repeats: {"ours": 1.0, "reference": reference})
    assert bspline.compare(7, 28, 1).met == met


def test_calls_take_turns_and_the_first_ones_do_not_count(monkeypatch):
    clock, order = [0.0], []
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def call(name, *seconds):
        left = list(seconds)

        def work():
            order.append(name)
            clock[0] += left.pop(0)

        return work

    times = medians({"a": call("a", 9, 1, 2, 6), "b": call("b", 9, 3, 4, 5)}, 3)
    assert order == ["a", "b"] * 4
    assert times == {"a": 2000, "b": 4000}


def test_every_image_meets_the_next_of_its_digit():
    images, moving, fixed = digit_pairs(40)
    assert images.shape == (40, 28, 28)
    assert images.dtype == "float32"
    assert images.min() == 0
    assert 0.9 < images.max() <= 1
    assert sorted(moving) == sorted(fixed) == list(range(40))
    assert (moving != fixed).all()


def test_cardiac_pairs_are_one_beat_both_ways():
    images, moving, fixed, spacing = cardiac.cardiac_pairs(2)
    assert (images.shape, images.dtype) == ((4, 256, 256), "float32")
    assert 0 <= images.min() < 1e-3
    assert images.max() == 1
    assert list(zip(moving, fixed, strict=True)) == [(0, 1), (1, 0), (2, 3), (3, 2)]
    assert spacing.shape == (4, 2)
    assert (spacing[moving] == spacing[fixed]).all()
    correlation = np.corrcoef(images.reshape(4, -1))
    # Two phases of a slice look more alike than two patients, and differ by more than their noise.
    assert correlation[0, 1] > correlation[0, 2] + 0.1
    assert np.abs(images[0] - images[1]).max() > 0.3


@pytest.mark.parametrize(
    ("openvino", "difference", "met"),
    [
        (2.0, 1e-5, ["yes", "reported", "yes"]),
        (2.0, 2e-4, ["yes", "reported", "no"]),
        (4.0, 2e-4, ["yes", "no", "reported"]),
    ],
)
def test_of_the_runtimes_the_faster_one_has_the_target(monkeypatch, openvino, difference, met):
    measured = {
        "milliseconds": {"torch": 5.0, "onnxruntime": 3.0, "openvino": openvino, "elastix": 100.0},
        "pairs": 2,
        "failed": 0,
        "difference": {"onnxruntime": 0.0, "openvino": difference},
    }
    monkeypatch.setattr(cardiac, "in_own_process", lambda function, threads, arguments: measured)
    rows = cardiac.cardiac_rows(MODEL, ELASTIX, LEAST)
    assert [row.met for row in rows] == met
    assert [row.ratio for row in rows] == [20, pytest.approx(100 / 3), 100 / openvino]


def test_a_process_has_its_own_threads_and_its_failure_is_told():
    assert in_own_process(os.getenv, 3, {"key": "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"}) == "3"
    with pytest.raises(
        ReregisterError, match=r"(?s)getenv of the benchmark failed in a process of its own: .*TypeError"
    ):
        in_own_process(os.getenv, 1, {"nothing": ""})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    def here(function, threads, arguments):
        return json.loads(json.dumps(function(**arguments)))

    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        # A process more would import elastix once more, ten seconds; those of the training steps are real ones.
        patch.setattr(cardiac, "in_own_process", here)
        yield measure(1, MODEL, TRAINING, ELASTIX, {"scale": "smoke"}, LEAST)
    torch.set_num_threads(threads)


def test_the_table_has_every_row_and_column(table):
    assert list(table.columns) == COLUMNS
    assert list(table["name"]) == [
        "training_step_28",
        "bspline_28",
        "bspline_256",
        "dirnet_vs_elastix_28",
        "training_step_256",
        "dirnet_torch_vs_elastix_256",
        "dirnet_onnxruntime_vs_elastix_256",
        "dirnet_openvino_vs_elastix_256",
        *VOXELMORPH,
        "prior_step_256",
        "prior_side_by_side_256",
        "allocator",
        "dry_run",
    ]
    assert (table["value"] > 0).all()
    ratios = table.set_index("name")["ratio"]
    times = ["training_step_28", "training_step_256", "training_step_voxelmorph_fp32", "prior_step_256", "dry_run"]
    assert (ratios.drop(times) > 0).all()
    assert ratios[times].isna().all()
    assert not table.drop(columns=["value", "ratio"]).isin(["", None]).any().any()


def test_met_follows_from_ratio_and_target(table):
    rows = table.set_index("name")
    assert rows.loc["allocator", ["target", "met"]].tolist() == ["none", "reported"]
    least_ratios = {"bspline_28": 5, "bspline_256": 5, "dirnet_vs_elastix_28": 10, "dirnet_torch_vs_elastix_256": 15}
    for name, least in least_ratios.items():
        assert rows.loc[name, "met"] == ("yes" if rows.loc[name, "ratio"] >= least else "no")
    for name, most in (("training_step_28", 8), ("training_step_256", 170), ("dry_run", 5), *VOXELMORPH.items()):
        assert rows.loc[name, "met"] == ("yes" if rows.loc[name, "value"] <= most else "no")


def test_the_references_are_named_with_their_own_time(table):
    rows = table.set_index("name")
    for name in rows.index.drop(
        ["training_step_28", "training_step_256", "training_step_voxelmorph_fp32", "prior_step_256", "dry_run"]
    ):
        words = rows.loc[name, "reference"].split()
        reference = float(words[words.index("ms") - 1])
        assert reference / rows.loc[name, "value"] == pytest.approx(rows.loc[name, "ratio"], rel=0.02, abs=0.005)
    for name in ("dirnet_vs_elastix_28", "dirnet_torch_vs_elastix_256"):
        assert " 0 of its registrations failed" in rows.loc[name, "note"]


def test_the_exported_networks_give_the_field_of_torch_and_the_faster_has_the_target(table):
    rows = table.set_index("name")
    runtimes = rows.loc[["dirnet_onnxruntime_vs_elastix_256", "dirnet_openvino_vs_elastix_256"]]
    for note in runtimes["note"]:
        assert 0 < float(note.split("from torch ")[1].split()[0]) <= 1e-4
        assert "2 threads each" in note
    faster = runtimes.loc[runtimes["value"].idxmin()]
    assert faster["met"] == ("yes" if faster["ratio"] >= 40 else "no")
    assert sorted(set(runtimes["met"]) - {"yes", "no"}) == ["reported"]


def test_the_voxelmorph_of_digits_is_measured_in_both_precisions_at_the_papers_size(table):
    rows = table.set_index("name")
    for name, most in VOXELMORPH.items():
        assert rows.loc[name, "target"] == f"<= {most} ms"
        assert "with 4 filters" in rows.loc[name, "note"]
        assert "batch 179, 2 threads" in rows.loc[name, "note"]
    assert Effort().voxelmorph_filters == 256


def test_a_plan_of_a_fresh_run_says_how_many_jobs_are_left(table):
    note = table.set_index("name").loc["dry_run", "note"]
    assert "the run is not finished" in note
    assert int(note.split("finished, ")[1].split()[0]) > 10


def test_the_plan_is_not_measured_where_the_record_would_hold_paths():
    config = {
        "scale": "demo",
        "run": None,
        "data": {"mnist": "standin"},
        "split": {},
        "publishable": True,
        "seeds": [0],
    }
    assert plan.plan_config(config) == {
        "scale": "demo",
        "data": {"mnist": "standin"},
        "publishable": True,
        "seeds": [0],
    }
    assert plan.plan_config({**config, "data": {"mnist": "elsewhere/mnist"}}) is None
    assert plan.plan_config({**config, "split": {"mnist": {"test": "ids.txt"}}}) is None
    row = plan.dry_run(None, 1)
    assert (row.value, row.met) == (None, "not measured")


def test_the_plan_is_not_measured_without_snakemake(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    row = plan.dry_run({"scale": "smoke"}, 1)
    assert (row.value, row.met) == (None, "not measured")
    assert row.note == "not measured: snakemake not in this environment"


def test_a_plan_that_fails_is_not_measured(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    row = plan.dry_run({"scale": "gigantic"}, 1)
    assert (row.value, row.met) == (None, "not measured")
    assert "gigantic" in capfd.readouterr().out
