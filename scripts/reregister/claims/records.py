"""What a run left of a paper, by experiment and method: receipts and results, and what the paper's own scale would be."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reregister.tables import TEXT, read_frame, read_results

Receipt = Mapping[str, Any]
# How deep a file lies below the folder of its kind: with its experiment and method, its experiment alone, or neither.
OF_METHODS = ("metrics", "labels", "timing", "traces", "histories", "layers")
OF_EXPERIMENTS = ("pairs", "pool", "similarity")


class Missing(LookupError):
    """What a row needs was not run, or cannot be had: the reason, as a clause."""


class Records:
    """The receipts and results of one paper.

    receipts: by their names in the run. files: paths of results by kind, `OF_METHODS`, `OF_EXPERIMENTS` and `tables`.
    sources: the source tables of the datasets. full: what the jobs would be told at the paper's own scale, see
    `full_scale.full_scale`. timed: names of the tables that hold times. labels: what methods are called, by experiment.
    """

    def __init__(
        self,
        receipts: Mapping[str, Receipt],
        files: Mapping[str, Sequence[Path]],
        sources: Sequence[Path],
        full: Mapping[str, Any],
        timed: Sequence[str] = (),
        labels: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.full, self.timed = full, frozenset(timed)
        self._receipts, self._labels = receipts, labels or {}
        self._makers = {file: name for name, receipt in receipts.items() for file in receipt["outputs"]}
        self._files: dict[tuple[str, ...], list[Path]] = {}
        for kind, paths in files.items():
            for path in map(Path, paths):
                self._files.setdefault((kind, *_place(kind, path)), []).append(path)
        self._sources = {path.parent.name: path for path in sources}
        self._read: dict[tuple[str, ...], pd.DataFrame] = {}

    def receipt(self, rule: str, **wildcards: str) -> Receipt:
        """The receipt of one job. Raises Missing where it has not run."""
        for receipt in self._receipts.values():
            recipe = receipt["recipe"]
            if recipe["rule"] == rule and wildcards.items() <= recipe["wildcards"].items():
                return receipt
        raise Missing(f"{' '.join(wildcards.values())} is not part of this run")

    def chain(self, experiment: str, method: str) -> list[Receipt]:
        """The jobs that a method's metrics rest on, their own first."""
        todo, found = [self.receipt("evaluate_registration", experiment=experiment, method=method)], []
        while todo:
            receipt = todo.pop(0)
            if receipt not in found:
                found.append(receipt)
                made = (self._makers.get(file) for file in receipt["recipe"]["inputs"])
                todo += [self._receipts[name] for name in dict.fromkeys(made) if name]
        return found

    def dataset(self, experiment: str) -> str:
        """Name of an experiment's dataset, from what its pairs were made of."""
        inputs = self.receipt("pair_images", experiment=experiment)["recipe"]["inputs"]
        return next(file.split("/")[1] for file in inputs if file.startswith("data/"))

    def origins(self, experiment: str) -> list[str]:
        """Origin classes of an experiment's data, see `data.source.Member`."""
        return sorted(set(read_frame(self._sources[self.dataset(experiment)])["origin"]))

    def table(self, kind: str, *place: str) -> pd.DataFrame:
        """Results of one kind of an experiment and method, an experiment, or an exhibit. Raises Missing."""
        key = (kind, *place)
        if key not in self._files:
            raise Missing(f"{' '.join(place)} is not part of this run")
        if key not in self._read:
            text = () if kind == "tables" else (*TEXT, "first", "second", "label", "id")
            self._read[key] = read_results(self._files[key], text)
        return self._read[key]

    def label(self, experiment: str, method: str) -> str:
        """What a method is called."""
        return self._labels.get(experiment, {}).get(method, method)


def _place(kind: str, path: Path) -> tuple[str, ...]:
    name = path.name.split(".")[0]
    if kind in ("histories", "layers"):
        return path.parent.parent.name, path.parent.name
    if kind in OF_METHODS:
        return path.parent.name, name
    return (path.parent.name,) if kind == "similarity" else (name,)
