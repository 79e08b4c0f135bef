"""The whole configuration of one run, checked: what the workflow's rules ask their questions of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reregister.config import check, fill_defaults, merge, parse_overrides, read_yaml, resolve_scale
from reregister.errors import ReregisterError
from reregister.registry import module_name

TOOLS = ("itk", "elastix", "ants", "network")


class Settings:
    """config.yaml with its overrides, the datasets and the papers, resolved to one scale.

    base: folder of the project. config: what Snakemake read. overrides: the part of it that the command line or another
    config file set. Raises ReregisterError for the first wrong key, type or value.
    """

    def __init__(self, base: Path, config: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> None:
        self.base = base
        over = parse_overrides(dict(overrides or {}))
        values = merge(config, over)
        self.datasets_all = self._read("config/datasets.yaml", "datasets")
        if isinstance(values.get("data"), str):
            values["data"] = dict.fromkeys(self.datasets_all, values["data"])
        if isinstance(values.get("run"), (int, float)):
            values["run"] = str(values["run"])
        schema = read_yaml(base / "workflow/schemas/config.schema.yaml")
        check(values, schema, "config/config.yaml", over)
        self.config: dict[str, Any] = fill_defaults(values, schema)
        self.scale: str = self.config["scale"]
        self.run: str = self.config["run"] or self.scale
        self.datasets: dict[str, Any] = resolve_scale(self.datasets_all, self.scale)
        names = sorted(path.stem for path in (base / "config/papers").glob("*.yaml"))
        self._known("papers", self.config["papers"], names)
        self.papers = {name: self._paper(name) for name in names}
        self.claims = {name: self._read(f"config/claims/{name}.yaml", "claims") for name in names}
        for key in ("data", "split"):
            self._known(key, self.config[key], list(self.datasets))
        self._known("accept_terms", self.config["accept_terms"], list(self.datasets))

    def _read(self, name: str, schema: str) -> dict[str, Any]:
        content, rules = read_yaml(self.base / name), read_yaml(self.base / f"workflow/schemas/{schema}.schema.yaml")
        check(content, rules, name)
        filled: dict[str, Any] = fill_defaults(content, rules)
        return filled

    def _paper(self, name: str) -> dict[str, Any]:
        file = f"config/papers/{name}.yaml"
        schema = read_yaml(self.base / "workflow/schemas/paper.schema.yaml")
        over = self.config["papers"].get(name, {})
        content = resolve_scale(merge(read_yaml(self.base / file), over), self.scale)
        check(content, schema, file, over)
        paper: dict[str, Any] = fill_defaults(content, schema)
        for key, experiment in paper["experiments"].items():
            where = f"{file}: key experiments.{key}"
            if experiment["dataset"] not in self.datasets:
                raise ReregisterError(
                    f"{where}.dataset is {experiment['dataset']}; allowed is one of {', '.join(self.datasets)}"
                )
            for method in experiment["methods"].values():
                if method["tool"] == "network":
                    module_name("models", method["model"]["name"])
        for key, exhibit in paper["exhibits"].items():
            module_name("figures", exhibit["function"])
            if exhibit["experiment"] not in paper["experiments"]:
                raise ReregisterError(
                    f"{file}: key exhibits.{key}.experiment is {exhibit['experiment']}; allowed is one of "
                    f"{', '.join(paper['experiments'])}"
                )
            methods = list(paper["experiments"][exhibit["experiment"]]["methods"])
            unknown = sorted(set(exhibit.get("methods", [])) - set(methods))
            if unknown:
                raise ReregisterError(
                    f"{file}: key exhibits.{key}.methods has {unknown[0]}; allowed are {', '.join(methods)}"
                )
        return paper

    @staticmethod
    def _known(key: str, names: Any, known: list[str]) -> None:
        for name in names:
            if name not in known:
                raise ReregisterError(
                    f"config: key {key} names {name}, which is not known; allowed are {', '.join(known)}"
                )

    def experiment(self, paper: str, name: str) -> dict[str, Any]:
        experiment: dict[str, Any] = self.papers[paper]["experiments"][name]
        return experiment

    def source(self, dataset: str) -> str:
        """Where a dataset comes from: `standin`, `download` or a path."""
        return str(self.config["data"].get(dataset, "standin"))

    def mode(self, dataset: str) -> str:
        """`standin`, `download` or `path`."""
        source = self.source(dataset)
        return source if source in ("standin", "download") else "path"

    def seeds(self, paper: str, experiment: str, method: str) -> list[int]:
        """Seeds that a method runs with: the configured ones for a network, 0 alone for the rest."""
        setup = self.experiment(paper, experiment)
        if setup["methods"][method]["tool"] != "network":
            return [0]
        return list(self.config["seeds"] or setup["seeds"])

    def methods(self, paper: str, experiment: str, tool: str | None = None) -> list[str]:
        """Names of an experiment's methods, all or those of one tool."""
        methods = self.experiment(paper, experiment)["methods"]
        return [name for name, method in methods.items() if tool in (None, method["tool"])]

    def all_methods(self, tool: str) -> list[str]:
        """Names of every method of a tool in any paper, for wildcard constraints."""
        names = {m for p, paper in self.papers.items() for e in paper["experiments"] for m in self.methods(p, e, tool)}
        return sorted(names)

    def own_split(self, dataset: str) -> dict[str, list[str]] | None:
        """The user's own lists of ids for a dataset, read from their files, or None."""
        lists = self.config["split"].get(dataset)
        if lists is None:
            return None
        return {role: self._ids(dataset, role, value) for role, value in lists.items()}

    @staticmethod
    def _ids(dataset: str, role: str, value: list[str] | str) -> list[str]:
        if isinstance(value, list):
            return value
        path = Path(value)
        if not path.is_file():
            raise ReregisterError(
                f"config: key split.{dataset}.{role} names {path}, which does not exist; give a text file"
            )
        return path.read_text(encoding="utf-8").split()

    def may_show(self, dataset: str) -> bool:
        """Whether the report shows images of a dataset: its terms allow it, it is synthetic, or publishable is off."""
        allowed = self.datasets[dataset]["show_images"] or self.mode(dataset) == "standin"
        return bool(allowed or not self.config["publishable"])

    def members(self, dataset: str) -> list[Path]:
        """The user's own files of a dataset. Raises ReregisterError where the path or a file in it is missing."""
        folder = Path(self.source(dataset))
        files = [folder / file["name"] for file in self.datasets[dataset]["files"]]
        if not folder.is_dir():
            what = "is a file, give the folder it lies in" if folder.exists() else "does not exist"
            raise ReregisterError(
                f"config: key data.{dataset} is {folder}, which {what}; allowed are standin, download, or the folder that "
                f"holds {', '.join(f.name for f in files)}"
            )
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise ReregisterError(
                f"config: key data.{dataset} is {folder}, which has no {', '.join(missing)}; put the official files there"
            )
        return files
