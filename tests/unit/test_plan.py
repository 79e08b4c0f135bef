"""The files that a run is made of."""

import json
from pathlib import Path
from typing import Any

import pytest

from reregister.config import read_yaml
from reregister.errors import ReregisterError
from reregister.plan import EXHIBIT_RULES, Plan
from reregister.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]


def plan(**over: Any) -> Plan:
    """The plan of the project's own config with some values put over it."""
    config = read_yaml(PROJECT / "config" / "config.yaml")
    return Plan(Settings(PROJECT, config, {"scale": "smoke", **over}))


def test_results_stand_in_the_runs_folder_for_every_method_and_seed() -> None:
    made = plan(run="mine", seeds=[3, 4])
    metrics = made.results("dirnet", "mnist", "metrics")
    assert "results/mine/dirnet/metrics/mnist/dirnet_bl_seed3.csv" in metrics
    assert "results/mine/dirnet/metrics/mnist/dirnet_bl_seed4.csv" in metrics
    # Only a network is trained with a seed.
    assert [name for name in metrics if "identity" in name] == ["results/mine/dirnet/metrics/mnist/identity_seed0.csv"]
    assert len(metrics) == 6


def test_networks_alone_have_histories_one_for_each_part() -> None:
    made = plan()
    histories = made.results("dirnet", "mnist", "histories")
    folder = "results/smoke/dirnet/models/mnist/dirnet_bl"
    assert histories == [f"{folder}/{digit}_seed0.history.csv" for digit in range(10)]
    weights = made.parts("weights", "dirnet", "mnist", "dirnet_bl", 0)
    assert weights == [name.replace(".history.csv", ".safetensors") for name in histories]


def test_receipts_are_named_once_and_cover_every_exhibit() -> None:
    made = plan()
    receipts = made.receipts("dirnet")
    assert len(receipts) == len(set(receipts))
    for kind, rule in EXHIBIT_RULES.items():
        for name in made.exhibits("dirnet", kind):
            assert f"results/smoke/receipts/dirnet/{rule}/{name}.json" in receipts
    assert "results/smoke/receipts/data/make_standin/mnist.json" in receipts
    downloaded = plan(data="download").receipts("dirnet")
    assert set(receipts) - set(downloaded) == {"results/smoke/receipts/data/make_standin/mnist.json"}


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


def test_an_exhibit_is_told_its_methods_in_their_order() -> None:
    made = plan()
    told = made.exhibit_params("dirnet", "tableS1_mnist_methods")
    assert [name for name, _ in told["methods"]] == list(made.settings.experiment("dirnet", "mnist")["methods"])
    assert told["synthetic"] is True
    assert made.exhibit_params("dirnet", "tableS2_mnist_gain_by_digit")["methods"] == [["dirnet_bl", "DIRNet"]]


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
    assert set(context["datasets"]) == {"mnist"}
    assert context["experiments"]["mnist"]["methods"]["elastix_bspline"]["note"]
