"""Running a part of a paper: what `only` names, what is left of its exhibits, and networks that take others' weights."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from reregister.errors import ReregisterError
from reregister.grid import with_cells
from reregister.networks import Place, circular, problem_of, sources
from reregister.validation import check_known, set_by

BASELINE = "identity"

Papers = Mapping[str, Any]


def select(papers: Papers, only: Mapping[str, Mapping[str, Sequence[str]]], place: str) -> dict[str, Any]:
    """The papers' configurations with the experiments and methods alone that `only` names.

    only: paper, then experiment, then methods (none listed: all of them). A paper that it does not name stays whole, but
    for experiments on request, which run where it names them alone. The row before registration is always kept, and so is a
    method whose fields another starts from. Methods that take their weights from one that is left out go with it,
    experiments that have nothing but the row before registration too, and so do exhibits with fewer methods than `least`.
    place: how an error calls where `only` was set. Raises ReregisterError for an unknown paper, experiment or method, and where
    nothing is left of a paper.
    """
    kept = {name: _unasked(paper) for name, paper in papers.items()}
    for name, experiments in only.items():
        check_known(name, papers, ["only"], place)
        paper = papers[name]
        chosen = {}
        for experiment, methods in experiments.items():
            check_known(experiment, paper["experiments"], ["only", name], place)
            setup = paper["experiments"][experiment]
            methods = with_cells(methods, setup["methods"])
            for method in methods:
                check_known(method, setup["methods"], ["only", name, experiment], place)
            wanted = {BASELINE, *(methods or setup["methods"])}
            wanted |= {setup["methods"][method].get("start") for method in wanted}
            chosen[experiment] = {**setup, "methods": {m: s for m, s in setup["methods"].items() if m in wanted}}
        kept[name] = {**paper, "experiments": chosen}
    left = _without_orphans(kept)
    for name in only:
        if not left[name]["experiments"]:
            raise ReregisterError(
                f"{place}: key only.{name} leaves nothing to run beside the row before registration; name a method, and "
                "with a network that takes the weights of another that one, too"
            )
    return left


def _unasked(paper: Mapping[str, Any]) -> dict[str, Any]:
    """What runs of a paper that `only` does not name."""
    experiments = {key: setup for key, setup in paper["experiments"].items() if not setup["on_request"]}
    return {**paper, "experiments": experiments}


def check_sources(papers: Papers, places: Mapping[str, tuple[str, Mapping[str, Any], str]]) -> None:
    """Raise ReregisterError where a method is to take its weights of a network that nothing makes.

    places: by paper its file, what overrode it, and how an error calls that, as `validation.check_known` takes them.
    """
    for name, paper in papers.items():
        for key, experiment in paper["experiments"].items():
            for method, about in experiment["methods"].items():
                where = ("experiments", key, "methods", method)
                if problem := problem_of(about):
                    _refuse([*where, *problem[0]], problem[1], places[name])
                for path, source in sources(name, key, about):
                    spelt = reduce(lambda value, part: value[part], path, about)
                    _check_source(papers, source, [*where, *path], places[name], near=isinstance(spelt, str))
    for name, paper in papers.items():
        for key, experiment in paper["experiments"].items():
            for method, about in experiment["methods"].items():
                if circular(papers, (name, key, method)):
                    path = next(path for path, _ in sources(name, key, about))
                    _refuse(["experiments", key, "methods", method, *path], "leads back to the method", places[name])


def _check_source(
    papers: Papers, source: Place, path: Sequence[str], place: tuple[str, Mapping[str, Any], str], near: bool
) -> None:
    """near: the source is one name, of a method of the same experiment."""
    paper, experiment, method = source
    check_known(paper, papers, [*path, "paper"], *place)
    experiments = papers[paper]["experiments"]
    check_known(experiment, experiments, [*path, "experiment"], *place)
    methods = experiments[experiment]["methods"]
    # Of a network that itself takes its weights of another: give that one.
    made = [m for m, about in methods.items() if about["tool"] == "network" and not about["weights_of"]]
    check_known(method, made, path if near else [*path, "method"], *place)


def _refuse(path: Sequence[str], clause: str, place: tuple[str, Mapping[str, Any], str]) -> None:
    file, overrides, over = place
    raise ReregisterError(f"{over if set_by(overrides, path) else file}: key {'.'.join(path)} {clause}")


def _without_orphans(kept: Papers) -> dict[str, Any]:
    """The papers without methods whose source is gone, as often as one goes with another, and without what needs them."""
    left = dict(kept)
    while True:
        there = {
            (name, key, method)
            for name, paper in left.items()
            for key, setup in paper["experiments"].items()
            for method in setup["methods"]
        }
        thinned = {name: _thinned(name, paper, there) for name, paper in left.items()}
        if thinned == left:
            return {name: _with_exhibits(paper) for name, paper in left.items()}
        left = thinned


def _thinned(name: str, paper: Mapping[str, Any], there: set[Place]) -> dict[str, Any]:
    experiments = {}
    for key, setup in paper["experiments"].items():
        methods = {
            method: about
            for method, about in setup["methods"].items()
            if all(source in there for _, source in sources(name, key, about))
        }
        if set(methods) != {BASELINE}:
            experiments[key] = {**setup, "methods": methods}
    return {**paper, "experiments": experiments}


def _with_exhibits(paper: Mapping[str, Any]) -> dict[str, Any]:
    exhibits = {}
    for key, exhibit in paper["exhibits"].items():
        if exhibit["experiment"] in paper["experiments"]:
            methods = paper["experiments"][exhibit["experiment"]]["methods"]
            left = [m for m in exhibit["methods"] if m in methods]
            if len(left if exhibit["methods"] else methods) >= exhibit["least"]:
                exhibits[key] = {**exhibit, "methods": left}
    shown = {"explorer": [key for key in paper["explorer"] if key in exhibits]} if "explorer" in paper else {}
    return {**paper, "exhibits": exhibits, **shown}
