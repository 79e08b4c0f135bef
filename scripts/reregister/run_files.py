"""The files of one run by name: from the settings to what the workflow's rules take as inputs and outputs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reregister.data.download import cache_folder
from reregister.errors import ReregisterError
from reregister.provenance.files import write_json
from reregister.settings import Settings

# Files that an experiment yields once, and for each of its methods or those of one kind; those of a network, for each
# seed and part.
_PATTERNS_OF_EXPERIMENTS = {
    "similarity": "metrics/{experiment}/similarity.csv",
    "pairs": "pairs/{experiment}.csv",
    "pool": "pairs/{experiment}.pool.csv",
    "comparison": "metrics/{experiment}/comparison.csv",
}
_PATTERNS = {
    "metrics": "metrics/{experiment}/{method}.csv",
    "labels": "metrics/{experiment}/{method}.labels.csv",
    "images": "metrics/{experiment}/{method}.images.npz",
    "gallery": "metrics/{experiment}/{method}.gallery.npz",
    "fields": "fields/{experiment}/{method}.npy",
    "timing": "fields/{experiment}/{method}.timing.csv",
    "traces": "fields/{experiment}/{method}.traces.csv",
    "sizes": "fields/{experiment}/{method}.sizes.csv",
    "steps": "steps/{experiment}/{method}.csv",
}
_PATTERNS_OF_NETWORKS = {
    "histories": "models/{experiment}/{method}/{part}_seed{seed}.history.csv",
    "cards": "models/{experiment}/{method}/{part}_seed{seed}.card.md",
    "weights": "models/{experiment}/{method}/{part}_seed{seed}.safetensors",
    "exports": "models/{experiment}/{method}/{part}_seed{seed}.onnx",
    "int8": "models/{experiment}/{method}/{part}_seed{seed}.xml",
    "layers": "models/{experiment}/{method}/{part}_seed{seed}.layers.csv",
    "trainings": "train_model/{experiment}/{method}_{part}_seed{seed}.json",
    "compressions": "compress_model/{experiment}/{method}_{part}_seed{seed}.json",
}


class RunFiles:
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

    def anatomy(self, dataset: str) -> list[str]:
        """The user's label map whose anatomy a dataset's stand-in shows, none where the stand-in has its own."""
        path = self.settings.anatomy(dataset)
        return [str(path)] if path else []

    def anatomy_folder(self, dataset: str) -> str | None:
        """Folder of that label map. It says where, not what, and enters no recipe."""
        path = self.settings.anatomy(dataset)
        return str(path.parent) if path else None

    def truth(self, dataset: str) -> list[str]:
        """The truth file of a stand-in; real data have none."""
        return [f"{self.folder}/data/{dataset}/standin_truth.npz"] if self.settings.mode(dataset) == "standin" else []

    def store(self, dataset: str) -> dict[str, str]:
        """Images and subjects of a dataset."""
        folder = f"{self.folder}/data/{dataset}"
        return {"images": f"{folder}/images.npy", "subjects": f"{folder}/subjects.csv"}

    def labels(self, dataset: str) -> dict[str, str]:
        """Masks of a dataset and their table."""
        folder = f"{self.folder}/data/{dataset}"
        return {"labels": f"{folder}/labels.npy", "label_table": f"{folder}/labels.csv"}

    def sources(self, paper: str) -> list[str]:
        """The source tables of a paper's datasets."""
        return [f"{self.folder}/data/{dataset}/source.csv" for dataset in self.datasets(paper)]

    def parts(
        self, kind: str, paper: str, experiment: str, method: str, seeds: Sequence[int] | None = None
    ) -> list[str]:
        """Files of one kind for each network that makes up a method: seed by seed, in the order of the parts.

        seeds: those to name, the method's own where left out.
        """
        folder = f"{self.folder}/{paper}"
        if kind in ("trainings", "compressions"):
            folder = f"{self.folder}/receipts/{paper}"
        parts = self.settings.parts_of(paper, experiment, method)
        return [
            f"{folder}/{_PATTERNS_OF_NETWORKS[kind]}".format(experiment=experiment, method=method, seed=seed, part=part)
            for seed in (self.settings.seeds(paper, experiment, method) if seeds is None else seeds)
            for part in parts
        ]

    def network_experiments(self, paper: str) -> list[str]:
        """Experiments of a paper whose networks are exported: that make some themselves, and are no protocol's."""
        if paper in self.settings.protocols:
            return []
        return [name for name in self.settings.papers[paper]["experiments"] if self.settings.made(paper, name)]

    def architectures(self, paper: str, experiment: str) -> list[str]:
        """Names of the networks whose weights an experiment makes."""
        made = self.settings.made(paper, experiment)
        return sorted({self.settings.model(paper, experiment, name)["name"] for name in made})

    def weights(self, paper: str, experiment: str, method: str, kind: str = "weights") -> list[str]:
        """The networks that a method registers with, which another experiment may have made: seed by seed, part by part.

        kind: `weights`, or `exports` for the same as ONNX.
        """
        place = self.settings.weighted_as(paper, experiment, method)
        return self.parts(kind, *place, self.settings.seeds(paper, experiment, method))

    def int8_networks(self, paper: str, experiment: str, method: str) -> list[str]:
        """The networks in whole numbers that a method of tool openvino writes, for each seed .xml and then .bin."""
        if self.settings.experiment(paper, experiment)["methods"][method]["settings"]["precision"] != "int8":
            return []
        seeds = self.settings.seeds(paper, experiment, method)
        names = [
            _PATTERNS_OF_NETWORKS["int8"].format(experiment=experiment, method=method, part="all", seed=s)
            for s in seeds
        ]
        return [f"{self.folder}/{paper}/{Path(name).with_suffix(end)}" for name in names for end in (".xml", ".bin")]

    def taken_weights(self, paper: str, experiment: str, method: str, part: str, seed: str) -> list[str]:
        """The weights of one network that another is made of, or trained further from; none where it is trained anew."""
        place = self.settings.taken_of(paper, experiment, method)
        if place is None:
            return []
        name = _PATTERNS_OF_NETWORKS["weights"].format(experiment=place[1], method=place[2], part=part, seed=seed)
        return [f"{self.folder}/{place[0]}/{name}"]

    def start(self, paper: str, experiment: str, method: str) -> list[str]:
        """The fields that a method's pairs start from; none where they start from the images as they are."""
        name = self.settings.experiment(paper, experiment)["methods"][method]["start"]
        return self.results(paper, experiment, "fields", [name]) if name else []

    def with_results(self, paper: str, experiment: str, kind: str) -> list[str]:
        """Methods of an experiment that have a kind of result which not all have."""
        settings = self.settings
        if kind in ("traces", "sizes"):
            return settings.methods(paper, experiment, {"traces": "prior", "sizes": "openvino"}[kind])
        if kind in ("histories", "steps"):
            return settings.trained(paper, experiment)
        return settings.compressed(paper, experiment) if kind == "layers" else settings.made(paper, experiment)

    def results(self, paper: str, experiment: str, kind: str, methods: Sequence[str] = ()) -> list[str]:
        """Files of one kind that an experiment yields, for all its methods or for those that are named."""
        folder = f"{self.folder}/{paper}"
        if kind in _PATTERNS_OF_EXPERIMENTS:
            return [f"{folder}/{_PATTERNS_OF_EXPERIMENTS[kind]}".format(experiment=experiment)]
        names = list(methods or self.settings.methods(paper, experiment))
        if kind in ("traces", "sizes", "steps"):
            names = [name for name in names if name in self.with_results(paper, experiment, kind)]
        if kind in _PATTERNS:
            return [f"{folder}/{_PATTERNS[kind]}".format(experiment=experiment, method=method) for method in names]
        if kind == "cards":
            # The networks of a prior are as many as pairs: one card says what they are, and no weights are kept.
            priors = [name for name in names if name in self.settings.methods(paper, experiment, "prior")]
            cards = [f"{folder}/models/{experiment}/{method}.card.md" for method in priors]
        else:
            cards = []
        made = [name for name in names if name in self.with_results(paper, experiment, kind)]
        return cards + [file for method in made for file in self.parts(kind, paper, experiment, method)]

    def read(self, paper: str, experiment: str, kind: str) -> list[str]:
        """Methods of an experiment whose results of a kind some exhibit reads."""
        found: set[str] = set()
        for exhibit in self.settings.papers[paper]["exhibits"].values():
            if exhibit["experiment"] == experiment and kind in exhibit["reads"]:
                found |= set(exhibit["methods"] or self.settings.methods(paper, experiment))
        return [name for name in self.settings.methods(paper, experiment) if name in found]
