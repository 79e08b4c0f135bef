"""Which files a run is made of: from the settings to the names that the workflow's rules take as inputs and params."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reregister.data.download import cache_folder
from reregister.errors import ReregisterError
from reregister.provenance.files import write_json
from reregister.settings import Settings

# Files that an experiment yields for each method and seed; those of a network, for each of its parts.
_PATTERNS = {
    "metrics": "metrics/{experiment}/{method}_seed{seed}.csv",
    "images": "metrics/{experiment}/{method}_seed{seed}.images.npz",
    "gallery": "metrics/{experiment}/{method}_seed{seed}.gallery.npz",
    "timing": "fields/{experiment}/{method}_seed{seed}.timing.csv",
}
_PATTERNS_OF_NETWORKS = {
    "histories": "models/{experiment}/{method}/{part}_seed{seed}.history.csv",
    "cards": "models/{experiment}/{method}/{part}_seed{seed}.card.md",
    "weights": "models/{experiment}/{method}/{part}_seed{seed}.safetensors",
    "trainings": "train_model/{experiment}/{method}_{part}_seed{seed}.json",
}
# Rules that make exhibits, by the kind of exhibit.
EXHIBIT_RULES = {"figure": "plot_figure", "gallery": "plot_gallery", "table": "make_table"}


class Plan:
    """The files of one run, relative to the working folder. settings: the checked configuration."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = f"results/{settings.run}"

    def identity(self) -> dict[str, Any]:
        """Scale and sources of the data: what a run folder is made with."""
        return {
            "scale": self.settings.scale,
            "data": {name: self.settings.mode(name) for name in self.datasets()},
        }

    def refuse_foreign_folder(self) -> None:
        """Raise ReregisterError where the run folder was made with another scale or other sources of the data."""
        path = Path(self.folder, "run.json")
        if not path.exists():
            return
        made, asked = json.loads(path.read_text(encoding="utf-8")), self.identity()
        differs = [f"scale {made['scale']}, not {asked['scale']}"] if made["scale"] != asked["scale"] else []
        for dataset, mode in asked["data"].items():
            if made["data"].get(dataset, mode) != mode:
                differs.append(f"data.{dataset} {made['data'][dataset]}, not {mode}")
        if differs:
            raise ReregisterError(
                f"{self.folder} was made with {' and '.join(differs)}; choose another folder with --config run=NAME"
            )

    def claim_folder(self) -> None:
        """Write down what the run folder is made with, unless it stands there."""
        path = Path(self.folder, "run.json")
        if not path.exists():
            write_json(path, self.identity())

    def datasets(self, paper: str | None = None) -> list[str]:
        """Datasets of one paper, or of all papers."""
        papers = [self.settings.papers[paper]] if paper else self.settings.papers.values()
        return sorted({experiment["dataset"] for entry in papers for experiment in entry["experiments"].values()})

    def members(self, dataset: str) -> list[str]:
        """The archive's files as far as they exist before the run, or another rule makes them."""
        mode = self.settings.mode(dataset)
        if mode == "standin":
            return [f"{self.location(dataset)}/{file['name']}" for file in self.settings.datasets[dataset]["files"]]
        return [] if mode == "download" else [str(file) for file in self.settings.members(dataset)]

    def location(self, dataset: str) -> str:
        """Folder of the archive's files. It says where, not what, and enters no recipe."""
        mode = self.settings.mode(dataset)
        if mode == "standin":
            return f"{self.folder}/data/{dataset}/standin"
        return str(cache_folder()) if mode == "download" else self.settings.source(dataset)

    def truth(self, dataset: str) -> list[str]:
        """The truth file of a stand-in; real data have none."""
        return [f"{self.folder}/data/{dataset}/standin_truth.npz"] if self.settings.mode(dataset) == "standin" else []

    def store(self, dataset: str) -> dict[str, str]:
        """Images and subjects of a dataset."""
        folder = f"{self.folder}/data/{dataset}"
        return {"images": f"{folder}/images.npy", "subjects": f"{folder}/subjects.csv"}

    def sources(self, paper: str) -> list[str]:
        """The source tables of a paper's datasets."""
        return [f"{self.folder}/data/{dataset}/source.csv" for dataset in self.datasets(paper)]

    def each_method(self, paper: str, experiment: str, methods: Sequence[str] = ()) -> list[tuple[str, int]]:
        """(method, seed) for the methods of an experiment, or for those that are named."""
        names = methods or self.settings.methods(paper, experiment)
        return [(name, seed) for name in names for seed in self.settings.seeds(paper, experiment, name)]

    def parts(
        self, kind: str, paper: str, experiment: str, method: str, seed: int | str, folder: str | None = None
    ) -> list[str]:
        """Files of one kind for each network that makes up a method with one seed, in the order of the parts."""
        names = {"experiment": experiment, "method": method, "seed": seed}
        pattern = f"{folder or f'{self.folder}/{paper}'}/{_PATTERNS_OF_NETWORKS[kind]}"
        parts = self.settings.experiment(paper, experiment)["training"]["parts"]
        return [pattern.format(part=part, **names) for part in parts]

    def results(self, paper: str, experiment: str, kind: str, methods: Sequence[str] = ()) -> list[str]:
        """Files of one kind that an experiment yields for all its methods and seeds, or for those that are named."""
        folder = f"{self.folder}/{paper}"
        if kind == "comparison":
            return [f"{folder}/metrics/{experiment}/comparison.csv"]
        files = []
        for method, seed in self.each_method(paper, experiment, methods):
            if kind in _PATTERNS:
                files.append(f"{folder}/{_PATTERNS[kind]}".format(experiment=experiment, method=method, seed=seed))
            elif method in self.settings.methods(paper, experiment, "network"):
                files += self.parts(kind, paper, experiment, method, seed)
        return files

    def exhibit(self, paper: str, name: str) -> dict[str, Any]:
        """One exhibit as the paper's config has it."""
        exhibit: dict[str, Any] = self.settings.papers[paper]["exhibits"][name]
        return exhibit

    def exhibits(self, paper: str, *kinds: str) -> list[str]:
        """Names of a paper's exhibits of some kinds, in the order of the config."""
        exhibits = self.settings.papers[paper]["exhibits"]
        return [name for name, exhibit in exhibits.items() if exhibit["kind"] in kinds]

    def exhibit_inputs(self, paper: str, name: str) -> dict[str, list[str]]:
        """Named inputs of one figure, gallery or table."""
        exhibit = self.exhibit(paper, name)
        where, methods = exhibit["experiment"], exhibit["methods"]
        return {kind: self.results(paper, where, kind, methods) for kind in exhibit["reads"]}

    def exhibit_params(self, paper: str, name: str) -> dict[str, Any]:
        """What the drawing function is told: its exhibit, the methods' labels, and where the data come from."""
        exhibit = self.exhibit(paper, name)
        setup = self.settings.experiment(paper, exhibit["experiment"])
        shown = exhibit["methods"] or list(setup["methods"])
        return {
            "paper": paper,
            "exhibit": name,
            "function": exhibit["function"],
            # A list, because the order of a mapping does not enter the recipe and that of the rows should.
            "methods": [[method, setup["methods"][method]["label"]] for method in shown],
            "synthetic": self.settings.mode(setup["dataset"]) == "standin",
            "scale": self.settings.scale,
            "show_images": self.settings.may_show(setup["dataset"]),
        }

    def pictures(self, paper: str, suffix: str) -> list[str]:
        """Files of one kind that lie beside each figure and gallery of a paper."""
        names = [*self.exhibits(paper, "figure"), *self.exhibits(paper, "gallery")]
        return [f"{self.folder}/{paper}/figures/{name}.{suffix}" for name in names]

    def receipts(self, paper: str) -> list[str]:
        """Every receipt of a paper except its page's own, in the order of the work."""
        folder, own = f"{self.folder}/receipts/data", f"{self.folder}/receipts/{paper}"
        receipts = []
        for dataset in self.datasets(paper):
            steps = [*(["make_standin"] if self.truth(dataset) else []), "fetch_dataset", "prepare_dataset"]
            receipts += [f"{folder}/{step}/{dataset}.json" for step in steps]
        for experiment, setup in self.settings.papers[paper]["experiments"].items():
            receipts.append(f"{own}/pair_images/{experiment}.json")
            for method, seed in self.each_method(paper, experiment):
                tool = setup["methods"][method]["tool"]
                if tool == "network":
                    receipts += self.parts("trainings", paper, experiment, method, seed, own)
                for step in ("register_pairs" if tool == "network" else f"run_{tool}", "evaluate_registration"):
                    receipts.append(f"{own}/{step}/{experiment}/{method}_seed{seed}.json")
            receipts.append(f"{own}/compare_methods/{experiment}.json")
        for kind, step in EXHIBIT_RULES.items():
            receipts += [f"{own}/{step}/{name}.json" for name in self.exhibits(paper, kind)]
        return receipts

    def page_context(self, paper: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """What a page says of its paper that no receipt holds: titles, captions, choices and claims.

        overrides: what the command line set; the commands on the page say it again, but for lists of ids.
        """
        entry, about = self.settings.papers[paper], ("title", "licence", "citation")
        experiments = {}
        for name, setup in entry["experiments"].items():
            methods = {m: {key: s[key] for key in ("label", "note")} for m, s in setup["methods"].items()}
            experiments[name] = {key: setup[key] for key in ("title", "section", "dataset")} | {"methods": methods}
        said = {key: entry[key] for key in ("title", "authors", "reference", "summary", "exhibits", "choices")}
        apart = ("run", "scale", "data", "accept_terms", "split")
        return said | {
            "paper": paper,
            "scale": self.settings.scale,
            "settings": {key: value for key, value in overrides.items() if key not in apart},
            "experiments": experiments,
            "datasets": {name: {k: self.settings.datasets[name][k] for k in about} for name in self.datasets(paper)},
            "claims": self.settings.claims[paper],
        }
