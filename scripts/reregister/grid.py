"""Grid searches: one entry of the config that stands for a trained network of each combination of values."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

# How a value is called in the name of a cell and in its label.
_CALLED = {
    "optimiser.lr": ("lr", "lr"),
    "optimiser.weight_decay": ("decay", "weight decay"),
    "loss.grad_l2_forward_normalised": ("lambda", "λ"),
}


def expand_grids(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment in which each method with a `grid` is replaced by its cells, in the place where it stood.

    experiment: as the schema of papers has it, defaults filled in. grid: by the place of a value in the training, such as
    `optimiser.lr`, the values that it takes; the last varies fastest. A cell is a method of its own: named
    `grid_lr0p1_lambda1` where the method is `grid`, labelled by its values behind the method's label, trained by the
    method's training with its values put in, and `cell` says them again.
    """
    methods: dict[str, Any] = {}
    for name, method in experiment["methods"].items():
        if method["grid"]:
            methods |= _cells(name, method, experiment["training"])
        else:
            methods[name] = method
    return {**experiment, "methods": methods}


def with_cells(names: Iterable[str], methods: Mapping[str, Any]) -> list[str]:
    """Names of methods in which that of a grid stands for all its cells. methods: of an experiment, expanded."""
    found = []
    for name in names:
        cells = [cell for cell, method in methods.items() if method.get("grid_of") == name]
        found += cells or [name]
    return found


def _cells(name: str, method: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    places = list(method["grid"])
    cells = {}
    for values in product(*method["grid"].values()):
        cell = dict(zip(places, values, strict=True))
        own = {**training, **method["training"]}
        changed: dict[str, Any] = {}
        for place, value in cell.items():
            section, key = place.split(".")
            changed[section] = {**changed.get(section, own[section]), key: value}
        words = [f"{_CALLED[place][1]} {value:g}" for place, value in cell.items()]
        cells["_".join([name, *(f"{_CALLED[place][0]}{_plain(value)}" for place, value in cell.items())])] = {
            **method,
            "label": ", ".join(filter(None, [method["label"], *words])),
            "training": {**method["training"], **changed},
            "grid": None,
            "grid_of": name,
            "cell": cell,
        }
    return cells


def _plain(value: float) -> str:
    """A number in letters that a method's name may have: 0.1 is 0p1, 1e-05 is 1em05."""
    return f"{value:g}".replace(".", "p").replace("-", "m").replace("+", "")
