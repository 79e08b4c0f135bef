"""Running a part of a paper: what `only` names, what is left of its exhibits, and networks that take others' weights."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reregister.errors import ReregisterError
from reregister.grid import with_cells
from reregister.validation import check_known

BASELINE = "identity"

Papers = Mapping[str, Any]


def select(papers: Papers, only: Mapping[str, Mapping[str, Sequence[str]]], place: str) -> dict[str, Any]:
    """The papers' configurations with the experiments and methods alone that `only` names.

    only: paper, then experiment, then methods (none listed: all of them). A paper that it does not name stays whole. The
    row before registration is always kept. Methods that take their weights from one that is left out go with it,
    experiments that have nothing but the row before registration too, and so do exhibits with fewer methods than `least`.
    place: how an error calls where `only` was set. Raises ReregisterError for an unknown paper, experiment or method, and
    where nothing is left of a paper.
    """
    if not only:
        return dict(papers)
    kept = dict(papers)
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
            chosen[experiment] = {**setup, "methods": {m: s for m, s in setup["methods"].items() if m in wanted}}
        kept[name] = {**paper, "experiments": chosen}
    left = {name: _without_orphans(paper, kept) for name, paper in kept.items()}
    for name in only:
        if not left[name]["experiments"]:
            raise ReregisterError(
                f"{place}: key only.{name} leaves nothing to run beside the row before registration; name a method, and "
                "with a network that takes the weights of another that one, too"
            )
    return left


def check_sources(papers: Papers, places: Mapping[str, tuple[str, Mapping[str, Any], str]]) -> None:
    """Raise ReregisterError where weights are to be taken of a network that nothing trains.

    places: by paper its file, what overrode it, and how an error calls that, as `validation.check_known` takes them.
    """
    for name, paper in papers.items():
        for key, method, source in _sources(paper):
            path = ("experiments", key, "methods", method, "weights_of")
            check_known(source["paper"], papers, [*path, "paper"], *places[name])
            experiments = papers[source["paper"]]["experiments"]
            check_known(source["experiment"], experiments, [*path, "experiment"], *places[name])
            methods = experiments[source["experiment"]]["methods"]
            trained = [m for m, about in methods.items() if about["tool"] == "network" and not about["weights_of"]]
            check_known(source["method"], trained, [*path, "method"], *places[name])


def _sources(paper: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Experiment, method and source of all networks of a paper that take others' weights."""
    for key, experiment in paper["experiments"].items():
        for method, about in experiment["methods"].items():
            if about["weights_of"]:
                yield key, method, about["weights_of"]


def _without_orphans(paper: Mapping[str, Any], kept: Papers) -> dict[str, Any]:
    def has_weights(source: Mapping[str, str] | None) -> bool:
        if not source:
            return True
        experiment = kept[source["paper"]]["experiments"].get(source["experiment"], {"methods": {}})
        return source["method"] in experiment["methods"]

    experiments = {}
    for key, setup in paper["experiments"].items():
        methods = {m: about for m, about in setup["methods"].items() if has_weights(about["weights_of"])}
        if set(methods) != {BASELINE}:
            experiments[key] = {**setup, "methods": methods}
    exhibits = {}
    for key, exhibit in paper["exhibits"].items():
        if exhibit["experiment"] in experiments:
            methods = experiments[exhibit["experiment"]]["methods"]
            left = [m for m in exhibit["methods"] if m in methods]
            if len(left if exhibit["methods"] else methods) >= exhibit["least"]:
                exhibits[key] = {**exhibit, "methods": left}
    return {**paper, "experiments": experiments, "exhibits": exhibits}
