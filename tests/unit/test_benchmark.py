"""The speed table: the forms that are compared are equal, and every row says what it was measured against."""

import json
import os

import numpy as np
import pytest
import torch

from reregister.benchmark import bspline, cardiac, contestants, integers, plan, terms, volumes, voxelmorph
from reregister.benchmark.process import in_own_process
from reregister.benchmark.registration import digit_pairs
from reregister.benchmark.rows import Effort, medians
from reregister.benchmark.table import measure
from reregister.errors import ReregisterError
from reregister.runtime import computes_in_bf16
from reregister.terms.label_dice import label_reg_dice
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
    plan_seeds=1,
    prior_steps=2,
    prior_size=128,
    contest_steps=1,
    contest_side=16,
    terms=1,
    terms_side=16,
    dice_side=16,
    memory_size=(32, 32, 32),
    volume_size=(32, 32, 32),
    int8_channels=2,
    int8_side=16,
    int8_passes=1,
)
CONTEST = [f"voxelmorph_64_{precision}_vs_{name}" for precision in ("bf16", "fp32") for name in ("monai", "voxelmorph")]
VOLUMES = [f"volume_160_{permutation}" for permutation in ("default", "maxpool", "reduced", "both")]
# The authors' package is on PyPI alone, and a test of its own where it is installed.
MISSING = [name for name in CONTEST if name.endswith("voxelmorph")]
# A processor that emulates bf16 has no row of it measured.
if not computes_in_bf16(torch.device("cpu")):
    MISSING = sorted({*MISSING, *(name for name in CONTEST if "bf16" in name), "training_step_voxelmorph_bf16"})
VOXELMORPH = {"training_step_voxelmorph_fp32": 1300, "training_step_voxelmorph_bf16": 900}
# Rows whose reference is the target itself.
TIMES = [
    "training_step_28",
    "training_step_256",
    "training_step_voxelmorph_fp32",
    "prior_step_256",
    *VOLUMES,
    "dry_run",
    "plan_many_jobs",
]


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


def test_plain_convolutions_give_the_dice_of_the_loss_with_its_gradient():
    fixed = (torch.rand(1, 2, 14, 9, 11, generator=torch.Generator().manual_seed(1)) > 0.6).float()
    warped = torch.rand(1, 2, 14, 9, 11, generator=torch.Generator().manual_seed(0)).requires_grad_()
    passes = []
    for term in (label_reg_dice, terms.direct_dice):
        value = term(warped, fixed).mean()
        passes.append((value.detach(), torch.autograd.grad(value, warped)[0]))
    assert max(terms.difference(*passes).values()) < 1e-5
    off = (passes[0][0] + 0.5, 1.5 * passes[0][1])
    assert terms.difference(off, passes[0]) == {"value": pytest.approx(0.5), "gradient": pytest.approx(0.5)}


@pytest.mark.parametrize(
    ("monai", "gradient", "met"), [(3.1, 1e-6, "yes"), (2.9, 1e-6, "no"), (100.0, 2e-5, "no"), (100.0, None, "no")]
)
def test_a_term_has_to_be_fast_and_equal(monkeypatch, monai, gradient, met):
    measured = {"ours": 1.0, "monai": monai, "value": 2e-5, "gradient": 0.0, "apart": 0.1}
    if gradient is not None:
        measured |= {"value": 1e-6, "gradient": gradient}
    monkeypatch.setattr(terms, "in_own_process", lambda function, threads, arguments: measured)
    ncc, dice = terms.term_rows(LEAST)
    assert (ncc.name, ncc.met, ncc.ratio) == ("local_ncc", met, monai)
    assert (dice.name, dice.met) == ("label_dice", "yes" if monai >= 15 and met == "yes" else "no")


def test_nothing_is_compared_with_a_package_that_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(contestants, "computes_in_bf16", lambda device: True)
    monkeypatch.setattr(contestants, "in_own_process", lambda function, threads, arguments: {"step_ms": 1.0})
    rows = [*contestants.contest_rows(LEAST), *terms.term_rows(LEAST)]
    assert [row.name for row in rows] == [*CONTEST, "local_ncc", "label_dice"]
    assert {(row.value, row.ratio, row.met) for row in rows} == {(None, None, "not measured")}
    assert {row.note.split()[2] for row in rows} == {"monai", "voxelmorph"}


def test_a_package_that_fails_leaves_the_other_rows(monkeypatch, capsys):
    def measured(function, threads, arguments):
        if "case" in arguments:
            return {"step_ms": 10.0 if arguments["case"]["precision"] == "bf16" else 20.0}
        if arguments["package"] == "voxelmorph":
            raise ReregisterError("no such network")
        return {"ms": 23.0 if arguments["settings"] else 24.0, "parameters": 5}

    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr(contestants, "computes_in_bf16", lambda device: True)
    monkeypatch.setattr(contestants, "in_own_process", measured)
    rows = {row.name: row for row in contestants.contest_rows(LEAST)}
    assert "no such network" in capsys.readouterr().out
    assert [rows[name].met for name in CONTEST] == ["no", "not measured", "yes", "not measured"]
    assert [rows[name].ratio for name in CONTEST] == [2.4, None, 1.2, None]
    assert "23 ms without its integration" in rows[CONTEST[0]].note
    assert rows[CONTEST[1]].note == "not measured: voxelmorph failed, see the log"


def test_bf16_is_not_measured_where_it_is_emulated(monkeypatch):
    def measured(function, threads, arguments):
        assert arguments.get("case", arguments).get("precision", "fp32") == "fp32"
        if function is voxelmorph.voxelmorph_step:
            return 20.0
        return {"step_ms": 20.0} if "case" in arguments else {"ms": 24.0, "parameters": 5}

    monkeypatch.setattr(contestants, "PACKAGES", ("monai",))
    for module in (contestants, voxelmorph):
        monkeypatch.setattr(module, "computes_in_bf16", lambda device: False)
        monkeypatch.setattr(module, "in_own_process", measured)
    rows = {row.name: row for row in [*contestants.contest_rows(LEAST), *voxelmorph.voxelmorph_rows(LEAST)]}
    assert list(rows) == [*CONTEST, *VOXELMORPH]
    emulated = {name: row for name, row in rows.items() if "emulates" in row.note}
    assert set(emulated) == {name for name in rows if "bf16" in name}
    assert {(row.value, row.ratio, row.met) for row in emulated.values()} == {(None, None, "not measured")}
    assert rows["voxelmorph_64_fp32_vs_monai"].met == "yes"


def test_ours_has_to_run(monkeypatch):
    def measured(function, threads, arguments):
        raise ReregisterError("no such network")

    monkeypatch.setattr(contestants, "in_own_process", measured)
    with pytest.raises(ReregisterError, match="no such network"):
        contestants.contest_rows(LEAST)


def test_the_package_of_the_authors_trains():
    pytest.importorskip("voxelmorph", minversion="0.3")
    threads = torch.get_num_threads()
    found = contestants.package_step("voxelmorph", {}, 32, 1)
    torch.set_num_threads(threads)
    assert found["ms"] > 0
    assert found["parameters"] > 50_000


@pytest.mark.parametrize(("pooled", "met"), [(449.0, "yes"), (451.0, "no")])
def test_the_share_of_the_memory_decides(monkeypatch, pooled, met):
    def measured(function, threads, arguments):
        permutation = arguments["case"]["model"]["params"]["permutation"]
        memory = {"default": 1000.0, "maxpool": pooled}[permutation]
        return {"memory_mb": memory, "libraries_mb": 1.0, "step_ms": 1.0}

    monkeypatch.setattr(volumes, "in_own_process", measured)
    row = volumes.maxpool_memory(LEAST)
    assert (row.value, row.ratio, row.met) == (pooled, 1000 / pooled, met)


def test_a_volume_that_does_not_fit_misses_the_target(monkeypatch, capsys):
    def measured(function, threads, arguments):
        assert arguments["case"]["shape"] == [1, 160, 192, 224]
        if arguments["case"]["model"]["params"]["permutation"] == "default":
            raise ReregisterError("killed")
        return {"memory_mb": 16_001.0, "libraries_mb": 1.0, "step_ms": 1.0, "register_ms": 1.0, "register_mb": 5.0}

    monkeypatch.setattr(volumes, "in_own_process", measured)
    monkeypatch.setattr(volumes, "_machine_gb", lambda: 16.5)
    rows = volumes.volume_rows(Effort())
    assert [row.name for row in rows] == VOLUMES
    assert [(row.value, row.met) for row in rows] == [(None, "no"), *[(16.001, "no")] * 3]
    assert "killed" in capsys.readouterr().out
    monkeypatch.setattr(volumes, "_machine_gb", lambda: 15.9)
    assert {(row.value, row.met) for row in volumes.volume_rows(Effort())} == {(None, "not measured")}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    def here(function, threads, arguments):
        return json.loads(json.dumps(function(**arguments)))

    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        # A process more would import elastix or MONAI once more, many seconds; those of other rows are real ones.
        for module in (cardiac, contestants, terms, volumes, integers):
            patch.setattr(module, "in_own_process", here)
        patch.setattr(contestants, "PACKAGES", ("monai",))
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
        *CONTEST,
        "local_ncc",
        "label_dice",
        "maxpool_memory",
        *VOLUMES,
        "int8_vs_openvino_48",
        "int8_vs_torch_48",
        "allocator",
        "dry_run",
        "plan_many_jobs",
    ]
    rows = table.set_index("name")
    assert (rows["value"].drop(MISSING) > 0).all()
    assert (rows["ratio"].drop([*TIMES, *MISSING]) > 0).all()
    assert rows.loc[[*TIMES, *MISSING], "ratio"].isna().all()
    assert set(rows.loc[MISSING, "met"]) == {"not measured"}
    assert not table.drop(columns=["value", "ratio"]).isin(["", None]).any().any()


def test_met_follows_from_ratio_and_target(table):
    rows = table.set_index("name")
    assert rows.loc["allocator", ["target", "met"]].tolist() == ["none", "reported"]
    least_ratios = {"bspline_28": 5, "bspline_256": 5, "dirnet_vs_elastix_28": 10, "dirnet_torch_vs_elastix_256": 15}
    least_ratios |= {"voxelmorph_64_bf16_vs_monai": 2.5, "voxelmorph_64_fp32_vs_monai": 1.2}
    least_ratios |= {"local_ncc": 3, "label_dice": 15, "maxpool_memory": 1 / 0.45}
    for name, least in least_ratios.items():
        if name in MISSING:
            continue
        assert rows.loc[name, "met"] == ("yes" if rows.loc[name, "ratio"] >= least else "no")
    largest = {
        "training_step_28": 8,
        "training_step_256": 170,
        "dry_run": 5,
        "plan_many_jobs": 60,
        **VOXELMORPH,
        **dict.fromkeys(VOLUMES, 16),
    }
    for name, most in largest.items():
        if name in MISSING:
            continue
        assert rows.loc[name, "met"] == ("yes" if rows.loc[name, "value"] <= most else "no")


def test_the_references_are_named_with_their_own_time(table):
    rows = table.set_index("name")
    for name in rows.index.drop([*TIMES, *MISSING]):
        words = rows.loc[name, "reference"].split()
        reference = float(words[words.index(rows.loc[name, "unit"].split()[0]) - 1])
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


def test_terms_are_compared_and_equal_at_any_size(table):
    rows = table.set_index("name")
    for name in ("local_ncc", "label_dice"):
        words = rows.loc[name, "note"].split("difference of the value ")[1]
        assert float(words.split(",")[0]) <= 1e-5
        assert float(words.split("of the gradient ")[1].split()[0]) <= 1e-5


def test_int8_gives_a_field_near_that_of_torch(table):
    note = table.set_index("name").loc["int8_vs_torch_48", "note"]
    assert 0 < float(note.split("int8 is ")[1].split()[0]) < 0.3


def test_the_volumes_that_count_are_those_of_the_papers():
    effort = Effort()
    assert (effort.contest_side, effort.memory_size, effort.volume_size) == (64, (80, 96, 112), (160, 192, 224))
    assert (effort.int8_channels, effort.int8_side) == (16, 48)


def test_the_voxelmorph_of_digits_is_measured_in_both_precisions_at_the_papers_size(table):
    rows = table.set_index("name")
    for name, most in VOXELMORPH.items():
        assert rows.loc[name, "target"] == f"<= {most} ms"
        if name in MISSING:
            continue
        assert "with 4 filters" in rows.loc[name, "note"]
        assert "batch 179, 2 threads" in rows.loc[name, "note"]
    assert Effort().voxelmorph_filters == 256


def test_a_plan_of_a_fresh_run_says_how_many_jobs_are_left(table):
    note = table.set_index("name").loc["dry_run", "note"]
    assert "the run is not finished" in note
    assert int(note.split("finished, ")[1].split()[0]) > 10


def test_a_plan_of_all_papers_says_how_many_jobs_it_has(table):
    note = table.set_index("name").loc["plan_many_jobs", "note"]
    assert int(note.split("1 seed(s), ")[1].split()[0]) > 100


@pytest.mark.parametrize(("took", "met"), [(59.0, "yes"), (61.0, "no")])
def test_the_large_plan_has_the_jobs_of_its_seeds_and_a_target(monkeypatch, took, met):
    asked = []
    monkeypatch.setattr(plan, "_timed", lambda config: (asked.append(config), (took, 5011))[1])
    row = plan.plan_many(Effort().plan_seeds)
    assert [config["seeds"] for config in asked] == [list(range(107))]
    assert (row.value, row.met, row.target) == (took, met, "<= 60 s")
    assert "107 seed(s), 5011 jobs" in row.note


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
    assert plan.plan_many(1).note == row.note


def test_a_plan_that_fails_is_not_measured(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    row = plan.dry_run({"scale": "gigantic"}, 1)
    assert (row.value, row.met) == (None, "not measured")
    assert "gigantic" in capfd.readouterr().out
