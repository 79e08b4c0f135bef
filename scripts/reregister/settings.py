"""The whole configuration of one run, checked: what the workflow's rules ask their questions of."""

import os
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from reregister.config import fill_defaults, merge, parse_overrides, read_yaml, resolve_scale
from reregister.data.unpacked import unpacked_files
from reregister.errors import ReregisterError
from reregister.grid import expand_grids, with_cells
from reregister.methods import Methods
from reregister.networks import starts
from reregister.own_ids import read_ids
from reregister.prior.settings import check_tools
from reregister.registry import names
from reregister.selection import check_sources, select
from reregister.validation import check, check_known, set_by

CONFIG, DATASETS = "config/config.yaml", "config/datasets.yaml"
#: Folders of what is run: papers, and protocols over all papers' methods.
KINDS = ("papers", "protocols")


@cache
def _schema(path: Path) -> dict[str, Any]:
    # All papers are held to one schema, and reading it takes longer than any of them.
    return read_yaml(path)


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


class Settings(Methods):
    """config.yaml with its overrides, the datasets and the papers, resolved to one scale.

    base: folder of the project. config: what Snakemake read. overrides: the part of it that the command line or another
    config file set. Raises ReregisterError for the first wrong key, type or value.
    """

    def __init__(self, base: Path, config: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> None:
        self.base = base
        schema = self._schema("config")
        # Snakemake takes the last of two equal keys; this refuses them.
        read_yaml(base / CONFIG)
        # A paper's values are parsed by its own schema, in `_paper`.
        own = {key: value for key, value in (overrides or {}).items() if key == "papers"}
        self._over = {**parse_overrides(dict(overrides or {}), schema), **own}
        self.datasets_all = self._read(DATASETS, "datasets")
        values = self._plain(merge(config, self._over))
        check(values, schema, CONFIG, self._over)
        self.config: dict[str, Any] = fill_defaults(values, schema)
        self.scale: str = self.config["scale"]
        self.run: str = self.config["run"] or self.scale
        self.datasets: dict[str, Any] = resolve_scale(self.datasets_all, self.scale, DATASETS)
        for name, entry in self.datasets.items():
            for kind in ("data/readers", "data/standins"):
                check_known(entry["reader"], names(kind), [name, "reader"], DATASETS)
        # Protocols go all papers' way; what they are apart is said by the pages alone.
        self.files = {name: f"config/{kind}/{name}.yaml" for kind in KINDS for name in _stems(base / "config" / kind)}
        papers = list(self.files)
        for key in ("papers", "data", "split", "accept_terms"):
            for name in self.config[key]:
                check_known(name, papers if key == "papers" else self.datasets, [key], CONFIG, self._over)
        self._anatomy = self._label_map()
        self._places: dict[str, tuple[str, Any, str]] = {}
        self.papers_all = {name: self._paper(name) for name in papers}
        check_sources(self.papers_all, self._places)
        self.papers = select(self.papers_all, self.config["only"], self._place("only"))
        self.protocols = [name for name in papers if self.files[name].startswith("config/protocols/")]
        printed = [name for name in papers if name not in self.protocols]
        # A protocol prints and claims nothing.
        self.claims: dict[str, Any] = {name: {"numbers": [], "claims": []} for name in self.protocols}
        self.claims |= {name: self._read(f"config/claims/{name}.yaml", "claims") for name in printed}

    def _schema(self, name: str) -> dict[str, Any]:
        return _schema(self.base / f"workflow/schemas/{name}.schema.yaml")

    def _read(self, name: str, schema: str) -> dict[str, Any]:
        content, rules = read_yaml(self.base / name), self._schema(schema)
        check(content, rules, name)
        filled: dict[str, Any] = fill_defaults(content, rules)
        return filled

    def _plain(self, values: dict[str, Any]) -> dict[str, Any]:
        """`values` with one word for all datasets spelt out, and a number or a date as the text that names a run."""
        if isinstance(values.get("data"), (str, int, float)):
            values["data"] = dict.fromkeys(self.datasets_all, str(values["data"]))
        if isinstance(values.get("run"), (int, float, date)) and not isinstance(values["run"], bool):
            values["run"] = str(values["run"])
        return values

    def _place(self, *path: str) -> str:
        """Where a key of config.yaml was set."""
        return "--config" if set_by(self._over, path) else CONFIG

    def _paper(self, name: str) -> dict[str, Any]:
        file, schema = self.files[name], self._schema("paper")
        over = parse_overrides(self.config["papers"].get(name, {}), schema)
        place = f"{self._place('papers', name)} papers.{name}"
        content = resolve_scale(merge(read_yaml(self.base / file), over), self.scale, file)
        check(content, schema, file, over, place)
        paper: dict[str, Any] = fill_defaults(content, schema)
        paper["experiments"] = {key: expand_grids(setup) for key, setup in paper["experiments"].items()}

        self._places[name] = (file, over, place)
        for key, experiment in paper["experiments"].items():
            if problem := check_tools(experiment):
                path = ("experiments", key, *problem[0])
                raise ReregisterError(f"{place if set_by(over, path) else file}: key {'.'.join(path)} {problem[1]}")

        def known(found: str, allowed: Any, *path: str) -> None:
            check_known(found, allowed, path, *self._places[name])

        for key, experiment in paper["experiments"].items():
            known(experiment["dataset"], self.datasets, "experiments", key, "dataset")
            for method, setup in experiment["methods"].items():
                where = ("experiments", key, "methods", method)
                if "model" in setup:
                    known(setup["model"]["name"], names("models"), *where, "model", "name")
                if setup["start"]:
                    known(setup["start"], starts(experiment), *where, "start")
        for key, exhibit in paper["exhibits"].items():
            known(exhibit["function"], names("figures"), "exhibits", key, "function")
            known(exhibit["experiment"], paper["experiments"], "exhibits", key, "experiment")
            methods = paper["experiments"][exhibit["experiment"]]["methods"]
            exhibit["methods"] = with_cells(exhibit["methods"], methods)
            for method in exhibit["methods"]:
                known(method, methods, "exhibits", key, "methods")
        for exhibit in paper["explorer"]:
            known(exhibit, [key for key, about in paper["exhibits"].items() if about["kind"] == "table"], "explorer")
        return paper

    def at_full_scale(self, paper: str) -> dict[str, Any]:
        """A paper at its own scale as its file has it, whatever the run's scale is and the command line sets."""
        file = f"config/papers/{paper}.yaml"
        content: dict[str, Any] = fill_defaults(
            resolve_scale(read_yaml(self.base / file), "full", file), self._schema("paper")
        )
        experiments = {key: expand_grids(setup) for key, setup in content["experiments"].items()}
        return {**content, "experiments": experiments}

    def reading_at_full_scale(self, dataset: str) -> dict[str, Any]:
        """How a dataset's archive is read at the scale full."""
        reading: dict[str, Any] = resolve_scale(self.datasets_all[dataset], "full", DATASETS)["reading"]
        return reading

    def source(self, dataset: str) -> str:
        """Where a dataset comes from: `standin`, `download` or a path, `~` spelt out."""
        source = str(self.config["data"].get(dataset, "standin"))
        return str(Path(source).expanduser()) if source.startswith("~") else source

    def mode(self, dataset: str) -> str:
        """`standin`, `download` or `path`."""
        source = self.source(dataset)
        return source if source in ("standin", "download") else "path"

    def anatomy(self, dataset: str) -> Path | None:
        """The label map whose anatomy a dataset's stand-in shows, None where it has its own."""
        return self._anatomy if self.datasets[dataset]["standin"]["anatomy"] else None

    def _label_map(self) -> Path | None:
        """The user's label map, `~` spelt out. Raises ReregisterError where it is no file, or none that can be read."""
        if self.config["anatomy"] is None:
            return None
        path = Path(self.config["anatomy"]).expanduser()
        if path.is_file() and os.access(path, os.R_OK):
            return path
        what = "cannot be read" if path.is_file() else "is a folder" if path.is_dir() else "does not exist"
        raise ReregisterError(
            f"{self._place('anatomy')}: key anatomy is {path}, which {what}; allowed is null or the path of a label map"
        )

    def own_split(self, dataset: str) -> dict[str, list[str]] | None:
        """The user's own lists of ids for a dataset, read from their files, or None.

        Raises ReregisterError where a file is missing or no text.
        """
        lists = self.config["split"].get(dataset)
        if lists is None:
            return None
        return {
            role: read_ids(value, f"split.{dataset}.{role}", self._place("split", dataset, role))
            for role, value in lists.items()
        }

    def may_show(self, dataset: str) -> bool:
        """Whether the report shows images of a dataset: its terms allow it, it is synthetic, or publishable is off."""
        allowed = self.datasets[dataset]["show_images"] or self.mode(dataset) == "standin"
        return bool(allowed or not self.config["publishable"])

    def members(self, dataset: str) -> list[Path]:
        """The user's own files of a dataset: its archives, or what they hold where the dataset may be taken unpacked.

        Raises ReregisterError where the path or a file in it is missing.
        """
        entry, folder = self.datasets[dataset], Path(self.source(dataset))
        files = [folder / file["name"] for file in entry["files"]]
        key = f"{self._place('data', dataset)}: key data.{dataset}"
        if not folder.is_dir():
            what = "is a file, give the folder it lies in" if folder.exists() else "does not exist"
            raise ReregisterError(
                f"{key} is {folder}, which {what}; allowed are standin, download, or the folder that holds "
                f"{', '.join(f.name for f in files)}"
            )
        missing = [file.name for file in files if not file.is_file()]
        found = unpacked_files(folder, entry["files"], entry["unpacked"]) if missing and entry["unpacked"] else []
        if missing and not found:
            raise ReregisterError(f"{key} is {folder}, which has no {', '.join(missing)}; put the official files there")
        return found or files
