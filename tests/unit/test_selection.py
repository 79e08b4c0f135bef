"""A part of a paper: which experiments, methods and exhibits are left, and where weights may be taken of."""

import copy
from typing import Any

import pytest

from reregister.errors import ReregisterError
from reregister.networks import model_of, source_of
from reregister.selection import check_sources, select


def method(tool: str) -> dict[str, Any]:
    none = dict.fromkeys(("weights_of", "start_from", "compress"))
    return {"tool": tool, **none, "hold_zeros": False, "settings": {}}


def network(of: tuple[str, str, str] | None = None) -> dict[str, Any]:
    return method("network") | {
        "weights_of": dict(zip(("paper", "experiment", "method"), of, strict=True)) if of else None,
    }


def classical(tool: str) -> dict[str, Any]:
    return method(tool)


def plain(methods: dict[str, Any], **about: Any) -> dict[str, Any]:
    return {"methods": methods, "on_request": False, **about}


def exhibit(experiment: str, methods: list[str], least: int = 1) -> dict[str, Any]:
    return {"experiment": experiment, "methods": methods, "least": least, "kind": "table"}


@pytest.fixture
def papers() -> dict[str, Any]:
    scd = {"identity": classical("itk"), "elastix": classical("elastix"), "bl": network(), "c1": network()}
    cycle = {"identity": classical("itk"), "c1": network(("dirnet", "scd", "c1"))}
    digits = {"identity": classical("itk"), "affine": classical("elastix"), "bl": network()}
    other = {"identity": classical("itk"), "mine": network(), "theirs": network(("dirnet", "scd", "bl"))}
    exhibits = {
        "losses": exhibit("scd", ["bl", "c1"]),
        "tests": exhibit("scd", ["elastix", "c1"], 2),
        "table": exhibit("scd", [], 3),
        "cine": exhibit("scd_cycle", ["c1"]),
        "curves": exhibit("mnist", ["bl"]),
    }
    experiments = {"mnist": digits, "scd": scd, "scd_cycle": cycle}
    return {
        "dirnet": {
            "title": "DIRNet",
            "experiments": {name: plain(methods, dataset=name[:5]) for name, methods in experiments.items()},
            "exhibits": exhibits,
        },
        "other": {"experiments": {"scd": plain(other)}, "exhibits": {"table": exhibit("scd", ["theirs"])}},
    }


def left(chosen: dict[str, Any], paper: str = "dirnet") -> dict[str, list[str]]:
    return {name: list(setup["methods"]) for name, setup in chosen[paper]["experiments"].items()}


def test_nothing_chosen_is_everything(papers: dict[str, Any]) -> None:
    assert select(papers, {}, "here") == papers


def test_one_method_and_the_row_before_registration(papers: dict[str, Any]) -> None:
    before = copy.deepcopy(papers)
    chosen = select(papers, {"dirnet": {"scd": ["c1"]}}, "here")
    assert left(chosen) == {"scd": ["identity", "c1"]}
    assert chosen["dirnet"]["title"] == "DIRNet"
    assert chosen["dirnet"]["experiments"]["scd"]["dataset"] == "scd"
    # Exhibits of other experiments go, and those that need more methods than are left.
    assert {name: about["methods"] for name, about in chosen["dirnet"]["exhibits"].items()} == {"losses": ["c1"]}
    assert papers == before


def test_methods_keep_the_order_of_the_paper(papers: dict[str, Any]) -> None:
    chosen = select(papers, {"dirnet": {"scd": ["c1", "elastix"]}}, "here")
    assert left(chosen) == {"scd": ["identity", "elastix", "c1"]}
    assert chosen["dirnet"]["exhibits"]["tests"]["methods"] == ["elastix", "c1"]
    # All methods of the experiment are meant where an exhibit names none.
    assert chosen["dirnet"]["exhibits"]["table"]["methods"] == []


def test_no_methods_named_are_all(papers: dict[str, Any]) -> None:
    chosen = select(papers, {"dirnet": {"scd": [], "scd_cycle": []}}, "here")
    assert left(chosen) == {"scd": ["identity", "elastix", "bl", "c1"], "scd_cycle": ["identity", "c1"]}
    assert list(chosen["dirnet"]["exhibits"]) == ["losses", "tests", "table", "cine"]


def test_an_experiment_on_request_runs_only_where_it_is_named(papers: dict[str, Any]) -> None:
    whole = select(papers, {}, "here")
    slices = {"identity": classical("itk"), "flat": network()}
    papers["dirnet"]["experiments"]["slices"] = plain(slices) | {"on_request": True}
    papers["dirnet"]["exhibits"]["flat"] = exhibit("slices", [])
    assert select(papers, {}, "here") == whole
    assert select(papers, {"other": {"scd": []}}, "here")["dirnet"] == whole["dirnet"]
    assert left(select(papers, {"dirnet": {"scd": []}}, "here")) == {"scd": ["identity", "elastix", "bl", "c1"]}
    chosen = select(papers, {"dirnet": {"slices": []}}, "here")
    assert left(chosen) == {"slices": ["identity", "flat"]}
    assert list(chosen["dirnet"]["exhibits"]) == ["flat"]
    both = select(papers, {"dirnet": {"mnist": [], "slices": ["flat"]}}, "here")
    assert list(both["dirnet"]["exhibits"]) == ["curves", "flat"]


def test_what_takes_the_weights_of_an_experiment_on_request_runs_with_it_alone(papers: dict[str, Any]) -> None:
    papers["dirnet"]["experiments"]["scd"]["on_request"] = True
    chosen = select(papers, {}, "here")
    assert left(chosen) == {"mnist": ["identity", "affine", "bl"]}
    assert left(chosen, "other") == {"scd": ["identity", "mine"]}


def test_networks_go_with_the_one_whose_weights_they_take(papers: dict[str, Any]) -> None:
    chosen = select(papers, {"dirnet": {"scd": ["bl"], "scd_cycle": ["c1"]}}, "here")
    assert left(chosen) == {"scd": ["identity", "bl"]}
    assert left(chosen, "other") == {"scd": ["identity", "mine", "theirs"]}
    # Also in a paper that is not named.
    chosen = select(papers, {"dirnet": {"scd": ["c1"], "scd_cycle": []}}, "here")
    assert left(chosen) == {"scd": ["identity", "c1"], "scd_cycle": ["identity", "c1"]}
    assert left(chosen, "other") == {"scd": ["identity", "mine"]}
    assert chosen["other"]["exhibits"] == {}


@pytest.mark.parametrize(
    ("only", "sentence"),
    [
        ({"dirnat": {"scd": []}}, "here: key only names dirnat, which is not known; allowed is one of dirnet, other"),
        (
            {"dirnet": {"sdc": []}},
            "here: key only.dirnet names sdc, which is not known; allowed is one of mnist, scd, scd_",
        ),
        (
            {"dirnet": {"scd": ["c2"]}},
            "here: key only.dirnet.scd names c2, which is not known; allowed is one of identity",
        ),
        ({"dirnet": {"scd_cycle": ["c1"]}}, "here: key only.dirnet leaves nothing to run beside the row before"),
        ({"other": {"scd": ["identity"]}}, "here: key only.other leaves nothing to run beside the row before"),
    ],
)
def test_what_only_got_wrong_is_said(papers: dict[str, Any], only: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ReregisterError) as caught:
        select(papers, only, "here")
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (("dirnat", "scd", "c1"), "paper names dirnat, which is not known; allowed is one of dirnet, other"),
        (("dirnet", "sdc", "c1"), "experiment names sdc, which is not known; allowed is one of mnist, scd, scd_cycle"),
        (("dirnet", "scd", "c2"), "method names c2, which is not known; allowed is one of bl, c1"),
        (("dirnet", "scd", "elastix"), "method names elastix, which is not known; allowed is one of bl, c1"),
        (("dirnet", "scd_cycle", "c1"), "method names c1, which is not known; allowed is one of none"),
    ],
)
def test_weights_of_what_nothing_trains_are_refused(
    papers: dict[str, Any], source: tuple[str, str, str], said: str
) -> None:
    places = {name: (f"{name}.yaml", {}, "--config") for name in papers}
    check_sources(papers, places)
    papers["other"]["experiments"]["scd"]["methods"]["theirs"] = network(source)
    with pytest.raises(ReregisterError) as caught:
        check_sources(papers, places)
    assert str(caught.value) == f"other.yaml: key experiments.scd.methods.theirs.weights_of.{said}"


@pytest.fixture
def chain(papers: dict[str, Any]) -> dict[str, Any]:
    """trained -> pruned -> retrained -> quantised -> int8, and a sweep elsewhere that begins at `trained`."""
    far = {"paper": "small", "experiment": "main", "method": "trained"}
    main = {
        "identity": method("itk"),
        "trained": method("network") | {"model": {"name": "net"}},
        "pruned": method("network") | {"compress": {"of": "trained", "prune": {"ratio": 0.25}}},
        "retrained": method("network") | {"start_from": "pruned", "hold_zeros": True},
        "quantised": method("network") | {"compress": {"of": "retrained", "quantise": {"bits": 8}}},
        "int8": method("openvino") | {"settings": {"of": "retrained", "precision": "int8", "calibration": 2}},
    }
    sweep = {"identity": method("itk"), "half": method("network") | {"compress": {"of": far, "prune": {"ratio": 0.5}}}}
    experiments = {"main": plain(main), "sweep": plain(sweep)}
    return {"small": {"experiments": experiments, "exhibits": {"table": exhibit("main", ["trained", "int8"], 2)}}}


def places(papers: dict[str, Any]) -> dict[str, Any]:
    return {name: (f"{name}.yaml", {}, "--config") for name in papers}


def test_a_chain_goes_as_a_whole(chain: dict[str, Any]) -> None:
    check_sources(chain, places(chain))
    chosen = select(chain, {"small": {"main": ["trained", "retrained", "quantised", "int8"], "sweep": []}}, "here")
    # Without the pruned network there is none to train further, and nothing behind it.
    assert left(chosen, "small") == {"main": ["identity", "trained"], "sweep": ["identity", "half"]}
    assert chosen["small"]["exhibits"] == {}
    with pytest.raises(ReregisterError, match="leaves nothing to run"):
        select(chain, {"small": {"sweep": []}}, "here")


def test_a_network_is_that_of_the_method_at_the_beginning_of_its_chain(chain: dict[str, Any]) -> None:
    for name in ("trained", "quantised", "int8"):
        assert model_of(chain, ("small", "main", name)) == {"name": "net"}
    assert model_of(chain, ("small", "sweep", "half")) == {"name": "net"}
    assert source_of(chain, ("small", "main", "int8")) == ("small", "main", "retrained")
    assert source_of(chain, ("small", "main", "trained")) is None


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        (
            "pruned",
            {"compress": {"of": "tained", "prune": {}}},
            "compress.of names tained, which is not known; allowed is",
        ),
        (
            "retrained",
            {"start_from": "identity"},
            "start_from names identity, which is not known; allowed is one of trai",
        ),
        ("retrained", {"start_from": None}, "hold_zeros needs start_from, whose zeros are held"),
        ("retrained", {"compress": {"of": "trained"}}, "compress cannot stand beside start_from: a network has its"),
        ("identity", {"start_from": "trained"}, "start_from is for the tool network, and the tool is itk"),
        ("pruned", {"compress": {"of": "quantised", "prune": {}}}, "compress.of leads back to the method"),
        ("int8", {"settings": {"of": "trained"}}, "settings must have of (a method), precision (f32 or int8) and cal"),
        (
            "int8",
            {"settings": {"of": "trained", "precision": "int4", "calibration": 1}},
            "settings must have precision f32",
        ),
    ],
)
def test_a_chain_that_cannot_be_is_refused(chain: dict[str, Any], name: str, values: dict[str, Any], said: str) -> None:
    chain["small"]["experiments"]["main"]["methods"][name] |= values
    with pytest.raises(ReregisterError) as caught:
        check_sources(chain, places(chain))
    assert str(caught.value).startswith(f"small.yaml: key experiments.main.methods.{name}.{said}")
