"""The files that a run is made of."""

import json
from pathlib import Path
from typing import Any

import pytest

from reregister.config import read_yaml
from reregister.errors import ReregisterError
from reregister.plan import EXHIBIT_RULES, Plan, escaped
from reregister.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]


def plan(**over: Any) -> Plan:
    """The plan of the project's own config with some values put over it."""
    config = read_yaml(PROJECT / "config" / "config.yaml")
    return Plan(Settings(PROJECT, config, {"scale": "smoke", **over}))


def test_results_stand_in_the_runs_folder_once_for_every_method() -> None:
    made = plan(run="mine", seeds=[3, 4])
    methods = list(made.settings.experiment("dirnet", "mnist")["methods"])
    for kind, suffix in {"metrics": ".csv", "labels": ".labels.csv", "gallery": ".gallery.npz"}.items():
        found = made.results("dirnet", "mnist", kind)
        # One file for all seeds.
        assert found == [f"results/mine/dirnet/metrics/mnist/{name}{suffix}" for name in methods]
    timing = made.results("dirnet", "scd", "timing", ["dirnet_c1", "affine"])
    assert timing == [f"results/mine/dirnet/fields/scd/{name}.timing.csv" for name in ("dirnet_c1", "affine")]
    assert made.results("dirnet", "scd", "pool") == ["results/mine/dirnet/pairs/scd.pool.csv"]
    assert made.results("dirnet", "scd", "comparison") == ["results/mine/dirnet/metrics/scd/comparison.csv"]


def test_networks_alone_have_histories_one_for_each_part() -> None:
    made = plan()
    histories = made.results("dirnet", "mnist", "histories")
    folder = "results/smoke/dirnet/models/mnist/dirnet_bl"
    assert histories == [f"{folder}/{digit}_seed0.history.csv" for digit in range(10)]
    for kind, suffix in {"weights": ".safetensors", "exports": ".onnx", "cards": ".card.md"}.items():
        found = made.parts(kind, "dirnet", "mnist", "dirnet_bl")
        assert found == [name.replace(".history.csv", suffix) for name in histories]
        assert made.results("dirnet", "mnist", kind) == found


def test_weights_come_seed_by_seed_in_the_order_of_the_parts() -> None:
    own = {"dirnet": {"experiments": {"mnist": {"training": {"parts": ["1", "0"]}}}}}
    found = plan(seeds=[7, 3], papers=own).weights("dirnet", "mnist", "dirnet_bl")
    folder = "results/smoke/dirnet/models/mnist/dirnet_bl"
    assert found == [f"{folder}/{part}_seed{seed}.safetensors" for seed in (7, 3) for part in "10"]


def test_a_network_with_the_weights_of_another_is_registered_and_not_trained() -> None:
    made = plan(seeds=[0, 1])
    folder = "results/smoke/dirnet/models/scd/dirnet_c1"
    weights = [f"{folder}/all_seed{seed}.safetensors" for seed in (0, 1)]
    assert made.weights("dirnet", "scd_cycle", "dirnet_c1") == made.weights("dirnet", "scd", "dirnet_c1") == weights
    assert set(weights) <= set(made.results("dirnet", "scd", "weights"))
    # Of the seeds it takes its own, not all that were trained.
    assert plan().weights("dirnet", "scd_cycle", "dirnet_c1") == weights[:1]
    assert plan().weights("dirnet", "scd", "dirnet_c1") == weights
    for kind in ("weights", "exports", "histories", "cards"):
        assert made.results("dirnet", "scd_cycle", kind) == []
    receipts = made.receipts("dirnet")
    folder = "results/smoke/receipts/dirnet"
    assert f"{folder}/register_pairs/scd_cycle/dirnet_c1.json" in receipts
    assert not [name for name in receipts if "train_model/scd_cycle" in name or "export_models/scd_cycle" in name]


def test_networks_are_exported_where_they_are_trained() -> None:
    made = plan()
    assert made.network_experiments("dirnet") == ["mnist", "scd"]
    assert made.architectures("dirnet", "scd") == ["dirnet"]
    assert made.architectures("dirnet", "scd_cycle") == []
    exports = made.results("dirnet", "scd", "exports")
    assert len(exports) == len(set(exports)) == len(made.results("dirnet", "scd", "weights"))
    folder = "results/smoke/receipts/dirnet/export_models"
    assert [name for name in made.receipts("dirnet") if "export" in name] == [
        f"{folder}/{n}.json" for n in ("mnist", "scd")
    ]


def test_a_part_of_a_paper_plans_nothing_else() -> None:
    made = plan(only={"dirnet": {"scd": ["dirnet_c1"]}}, seeds=[0])
    assert made.datasets("dirnet") == ["scd"]
    assert [Path(name).stem for name in made.results("dirnet", "scd", "metrics")] == ["identity", "dirnet_c1"]
    receipts = [name.removeprefix("results/smoke/receipts/") for name in made.receipts("dirnet")]
    assert not [name for name in receipts if "mnist" in name or "elastix" in name]
    assert [name for name in receipts if "train_model" in name] == ["dirnet/train_model/scd/dirnet_c1_all_seed0.json"]
    shown = made.exhibits("dirnet", *EXHIBIT_RULES)
    assert shown
    inputs = [file for name in shown for files in made.exhibit_inputs("dirnet", name).values() for file in files]
    methods = {Path(file).name.split(".")[0] for file in inputs if "/metrics/" in file} - {"comparison"}
    assert methods <= {"identity", "dirnet_c1"}


def test_store_and_labels_of_a_dataset() -> None:
    folder = "results/smoke/data/scd"
    assert plan().store("scd") == {"images": f"{folder}/images.npy", "subjects": f"{folder}/subjects.csv"}
    assert plan().labels("scd") == {"labels": f"{folder}/labels.npy", "label_table": f"{folder}/labels.csv"}


def test_receipts_are_named_once_and_cover_every_exhibit() -> None:
    made = plan()
    receipts = made.receipts("dirnet")
    assert len(receipts) == len(set(receipts))
    for kind, rule in EXHIBIT_RULES.items():
        for name in made.exhibits("dirnet", kind):
            assert f"results/smoke/receipts/dirnet/{rule}/{name}.json" in receipts
    assert "results/smoke/receipts/data/make_standin/mnist.json" in receipts
    downloaded = plan(data="download").receipts("dirnet")
    assert set(receipts) - set(downloaded) == {
        f"results/smoke/receipts/data/make_standin/{n}.json" for n in ("mnist", "scd")
    }
    folder = "results/smoke/receipts/dirnet"
    assert f"{folder}/run_baseline/mnist/affine.json" in receipts
    assert f"{folder}/run_baseline/scd/ants_syn.json" in receipts
    assert f"{folder}/register_pairs/scd/dirnet_b2.json" in receipts
    # A probe has its own number of seeds.
    seeds = {
        m: len([n for n in receipts if f"train_model/scd/{m}_all_seed" in n]) for m in ("dirnet_bl", "dirnet_bl_batch")
    }
    assert seeds == {"dirnet_bl": 2, "dirnet_bl_batch": 1}


def test_members_are_declared_where_they_can_be(tmp_path: Path) -> None:
    standin = plan()
    assert standin.members("mnist")[0] == "results/smoke/data/mnist/standin/train-images-idx3-ubyte.gz"
    assert standin.location("mnist") == "results/smoke/data/mnist/standin"
    assert standin.truth("mnist") == ["results/smoke/data/mnist/standin_truth.npz"]
    download = plan(data="download")
    assert (download.members("mnist"), download.truth("mnist")) == ([], [])
    for name in standin.settings.datasets["mnist"]["files"]:
        (tmp_path / name["name"]).touch()
    own = plan(data={"mnist": str(tmp_path)})
    assert own.members("mnist")[0] == str(tmp_path / "train-images-idx3-ubyte.gz")
    assert own.location("mnist") == str(tmp_path)


def test_an_anatomy_is_declared_by_its_place_and_said_by_none(tmp_path: Path) -> None:
    path = tmp_path / "labels.nii.gz"
    path.touch()
    made = plan(anatomy=str(path))
    assert (made.anatomy("oasis"), made.anatomy_folder("oasis")) == ([str(path)], str(tmp_path))
    assert (made.anatomy("scd"), made.anatomy_folder("scd")) == ([], None)
    assert (plan().anatomy("oasis"), plan().anatomy_folder("oasis")) == ([], None)
    context = made.page_context("label_driven", {"anatomy": str(path), "device": "cpu"})
    assert context["settings"] == {"device": "cpu"}


def test_an_experiment_on_request_adds_no_receipt_to_the_rest() -> None:
    receipts = plan().receipts("reduced_voxelmorph")
    assert not [name for name in receipts if "slices" in name or "oasis_2d" in name]
    asked = plan(only={"reduced_voxelmorph": {"slices": []}})
    assert asked.datasets("reduced_voxelmorph") == ["oasis_2d"]
    made = {Path(name).stem for name in asked.receipts("reduced_voxelmorph")}
    assert {"oasis_2d", "slices", "tableS7_slices", "figS4_slices_losses"} <= made


def test_an_exhibit_is_told_its_methods_in_their_order() -> None:
    made = plan()
    told = made.exhibit_params("dirnet", "tableS1_mnist_methods")
    assert [name for name, _ in told["methods"]] == list(made.settings.experiment("dirnet", "mnist")["methods"])
    assert told["synthetic"] is True
    assert made.exhibit_params("dirnet", "tableS2_mnist_gain_by_digit")["methods"] == [["dirnet_bl", "DIRNet"]]


def test_the_datasets_of_a_run_are_credited_those_of_one_paper_or_all() -> None:
    made = plan()
    assert set(made.credits("dirnet")) == {"mnist", "scd"}
    everything = made.credits()
    assert set(everything) == set(made.datasets()) > {"mnist", "scd"}
    assert set(everything["scd"]) == {"title", "licence", "citation"}
    assert everything["scd"]["licence"] == "CC0 1.0"


def test_a_folder_is_claimed_once_and_refused_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine = plan(run="mine")
    mine.refuse_foreign_folder()
    mine.claim_folder()
    mine.refuse_foreign_folder()
    assert json.loads(Path("results/mine/run.json").read_text(encoding="utf-8")) == mine.identity()
    with pytest.raises(ReregisterError, match="made with scale smoke, not full and"):
        plan(run="mine", scale="full", data="download").refuse_foreign_folder()
    plan(run="mine", scale="full").claim_folder()
    assert json.loads(Path("results/mine/run.json").read_text(encoding="utf-8"))["scale"] == "smoke"


def test_a_page_repeats_what_the_command_line_set_but_no_lists_of_ids() -> None:
    over = {"run": "mine", "seeds": [1], "split": {"mnist": {}}, "device": "cpu"}
    context = plan().page_context("dirnet", over)
    assert context["settings"] == {"seeds": [1], "device": "cpu"}
    assert set(context["datasets"]) == {"mnist", "scd"}
    assert context["experiments"]["mnist"]["methods"]["elastix_bspline"]["note"]


def test_jobs_grow_with_the_seeds_and_by_the_same_number_for_each() -> None:
    def jobs(seeds: int) -> int:
        made = plan(seeds=list(range(seeds)))
        named = [name for paper in made.settings.papers for name in made.receipts(paper)]
        # Data and the audit are named by every paper that they belong to.
        return len(set(named))

    few, more, many = jobs(10), jobs(20), jobs(1000)
    assert more > few
    assert many - more == 98 * (more - few)
    assert many > 40_000


def test_a_notebook_may_read_every_table_of_the_methods_that_the_run_has_and_is_told_of_the_others() -> None:
    made = plan(only={"dirnet": {"scd": ["dirnet_c1"]}})
    about, inputs = made.notebook_about("dirnet"), made.notebook_inputs("dirnet")
    [[name, told]] = about["experiments"]
    assert (name, dict(told["methods"])) == (
        "scd",
        {"identity": "Before registration", "dirnet_c1": "DIRNet-C1 (larger receptive field)"},
    )
    assert "DIRNet-BL" in told["missing"]
    assert [name for name, _ in about["missing"]] == ["mnist", "scd_cycle"]
    assert about["scale"] == "smoke"
    folder = "results/smoke/dirnet"
    assert inputs == {
        "sources": ["results/smoke/data/scd/source.csv"],
        "comparisons": [f"{folder}/metrics/scd/comparison.csv"],
        "metrics": [f"{folder}/metrics/scd/{method}.csv" for method in ("identity", "dirnet_c1")],
        "histories": [f"{folder}/models/scd/dirnet_c1/all_seed{seed}.history.csv" for seed in (0, 1)],
        "traces": [],
    }
    assert "results/smoke/receipts/dirnet/run_notebook.json" in made.receipts("dirnet")
    assert plan().notebook_about("deep_prior")["missing"] == []
    # What runs on request alone is left out of any other run.
    assert [name for name, _ in plan().notebook_about("reduced_voxelmorph")["missing"]] == ["slices"]


def test_captions_are_those_of_the_config_escaped_for_restructuredtext() -> None:
    from docutils.core import publish_parts

    made = plan()
    for paper, entry in made.settings.papers.items():
        assert list(made.captions()[paper]) == list(entry["exhibits"])
    told = made.captions()["dirnet"]["fig3_cardiac_validation_loss"]
    assert told["place"] == "Fig. 3"
    assert told["methods"].startswith("DIRNet-BL; DIRNet-A1")
    text = "a_ *b* `c` |d| e\\f L_NCC"
    assert f"<p>{text}</p>" in publish_parts(escaped(text), writer="html")["body"]
    assert made.exhibit_labels("dirnet", "tableS1_mnist_methods")["exhibit"] == "Table S1"
