"""What a notebook reads of one paper's run: its tables of results, in the experiments and methods that the run has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from reregister.comparison import ALL
from reregister.errors import ReregisterError
from reregister.provenance.receipt import read_receipt
from reregister.report.origins import data_origin
from reregister.tables import read_results

#: Where runs lie in a checkout of the project.
RESULTS = Path(__file__).resolve().parents[3] / "results"


class Value(NamedTuple):
    """Mean with its 95 % interval, and the paired gain over the images before registration with its own."""

    mean: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class Run:
    """One paper's part of a run.

    folder: of the run. files: those that the notebook may read, relative to it. about: of `Plan.notebook_about`.
    """

    paper: str
    folder: Path
    files: frozenset[str]
    about: Mapping[str, Any]

    def place(self, name: str) -> Path:
        """The path of one file. Raises ReregisterError for one that is no input of the notebook."""
        if name not in self.files:
            raise ReregisterError(
                f"{name} is no input of the notebook of {self.paper}; add it to the rule run_notebook"
            )
        return self.folder / name

    @cached_property
    def origins(self) -> dict[str, dict[str, Any]]:
        """Of each dataset its title, and what `data_origin` says of it."""
        return {
            name: {**data_origin(self.place(f"data/{name}/source.csv")), "title": title}
            for name, title in self.about["datasets"]
        }

    @property
    def synthetic(self) -> bool:
        """Whether any data of the run are a stand-in."""
        return any("synthetic" in origin["origins"] for origin in self.origins.values())

    @property
    def experiments(self) -> dict[str, "Experiment"]:
        """All experiments of the run, in the order of the config."""
        return {name: Experiment(self, name, told) for name, told in self.about["experiments"]}

    def experiment(self, name: str) -> "Experiment | None":
        """One experiment, None where the run does not have it."""
        return self.experiments.get(name)


@dataclass(frozen=True)
class Experiment:
    """One experiment of a run. told: its title, dataset, methods (name and label) and the labels of those left out."""

    run: Run
    name: str
    told: Mapping[str, Any]

    @property
    def title(self) -> str:
        return str(self.told["title"])

    @property
    def labels(self) -> dict[str, str]:
        """Method to name for people, of those that the run has."""
        return dict(self.told["methods"])

    @property
    def stamp(self) -> str:
        """What stands in pictures of this experiment that were not made from the dataset itself."""
        origin = self.run.origins[self.told["dataset"]]
        return f"synthetic stand-in, {self.run.about['scale']} scale" if "synthetic" in origin["origins"] else ""

    def present(self, *methods: str) -> list[str]:
        """Those of some methods that the run has; of all, where none is named."""
        return [method for method in methods or self.labels if method in self.labels]

    def has(self, *methods: str) -> bool:
        """Whether the run has all of some methods."""
        return set(methods) <= set(self.labels)

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """The methods side by side, see `comparison.compare`."""
        return read_results([self.run.place(f"{self.run.paper}/metrics/{self.name}/comparison.csv")])

    @cached_property
    def groups(self) -> list[str]:
        """Groups of pairs, without the one of all."""
        return [str(group) for group in self.comparison["group"].unique() if group != ALL]

    def metrics(self, *methods: str) -> pd.DataFrame:
        """One row of metrics for each case of some methods."""
        folder = f"{self.run.paper}/metrics/{self.name}"
        return read_results([self.run.place(f"{folder}/{method}.csv") for method in self.present(*methods)])

    def histories(self, *methods: str) -> pd.DataFrame:
        """Losses during training, of those methods that have any; empty where none has."""
        folder = f"{self.run.paper}/models/{self.name}"
        return self._read(f"{folder}/{method}/" for method in self.present(*methods))

    def traces(self, *methods: str) -> pd.DataFrame:
        """Losses during the fit of each pair, of those methods that have any; empty where none has."""
        folder = f"{self.run.paper}/fields/{self.name}"
        return self._read(f"{folder}/{method}.traces.csv" for method in self.present(*methods))

    def _read(self, beginnings: Iterable[str]) -> pd.DataFrame:
        names = [name for start in beginnings for name in sorted(self.run.files) if name.startswith(start)]
        return read_results([self.run.place(name) for name in names]) if names else pd.DataFrame()

    def value(self, method: str, metric: str, group: str = ALL) -> Value:
        """One mean. Raises ReregisterError where the comparison has no such row."""
        table = self.comparison
        row = table[(table["method"] == method) & (table["metric"] == metric) & (table["group"] == group)]
        if row.empty:
            raise ReregisterError(f"{self.name} has no {metric} of {method} in the group {group}")
        return Value(*(float(row.iloc[0][name]) for name in Value._fields))

    def measured(self, *metrics: str) -> list[str]:
        """Those of some metrics that the comparison has."""
        known = set(self.comparison["metric"])
        return [metric for metric in metrics if metric in known]

    def order(self, metric: str, *methods: str, highest: bool = True) -> list[str]:
        """Methods by their mean, the best first; without those whose mean is undefined."""
        means = {method: self.value(method, metric).mean for method in self.present(*methods)}
        return sorted((m for m in means if means[m] == means[m]), key=lambda m: means[m], reverse=highest)


def open_run(
    paper: str,
    run_folder: str | Path | None = None,
    files: Iterable[str] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Run:
    """The part of a run that a paper's notebook reads.

    run_folder: None takes the run under results/ in which the notebook was run last. files, about: given by the job; by
    hand they come from the receipt of that job. Raises ReregisterError where there is no such run.
    """
    if run_folder is not None and files is not None and about is not None:
        return Run(paper, Path(run_folder), frozenset(files), about)
    folder = Path(run_folder) if run_folder is not None else _newest(paper)
    place = folder / "receipts" / paper / "run_notebook.json"
    try:
        receipt = read_receipt(place)
    except (OSError, ValueError):
        raise ReregisterError(
            f"{folder} holds no finished run of {paper}, it lacks receipts/{paper}/run_notebook.json; set run_folder to the "
            "folder of one, such as results/demo"
        ) from None
    return Run(paper, folder, frozenset(receipt["recipe"]["inputs"]), receipt["recipe"]["params"]["about"])


def _newest(paper: str) -> Path:
    # Jupyter starts a notebook in the notebook's own folder; a run may lie with the project or where one works.
    here = Path.cwd()
    roots = [*(folder / "results" for folder in (here, *here.parents)), RESULTS]
    found = [path for root in roots for path in root.glob(f"*/receipts/{paper}/run_notebook.json")]
    if not found:
        raise ReregisterError(
            f"there is no finished run of {paper} under {RESULTS}; make one with `snakemake --cores all {paper}`, or set "
            "run_folder to the folder of one"
        )
    return max(found, key=lambda path: path.stat().st_mtime).parents[2]
