"""The experiments and methods of a run: what trains them, with which seeds, and whose weights they have."""

from collections.abc import Mapping
from typing import Any

from reregister.networks import Place, model_of, source_of


def by_steps(training: Mapping[str, Any]) -> dict[str, Any]:
    """A training by samples as one by steps: iterations and validate_every for its samples, batch and validations.

    Steps are whole and as many as show every sample, and are validated at equal distances and after the last.
    """
    steps = -(-training["samples"] // training["batch"])
    left = {key: value for key, value in training.items() if key not in ("samples", "validations")}
    return {"iterations": steps, "validate_every": max(steps // training["validations"], 1), **left}


class Methods:
    """What the rules ask of the papers' methods. papers: the configurations, checked and at the run's scale."""

    config: dict[str, Any]
    papers: dict[str, Any]

    def experiment(self, paper: str, name: str) -> dict[str, Any]:
        """One experiment of a paper, at the run's scale."""
        experiment: dict[str, Any] = self.papers[paper]["experiments"][name]
        return experiment

    def methods(self, paper: str, experiment: str, tool: str | None = None) -> list[str]:
        """Names of an experiment's methods, all or those of one tool."""
        methods = self.experiment(paper, experiment)["methods"]
        return [name for name, method in methods.items() if tool in (None, method["tool"])]

    def all_methods(self, tool: str) -> list[str]:
        """Names of every method of a tool in any paper, for wildcard constraints."""
        return sorted(
            {m for p, paper in self.papers.items() for e in paper["experiments"] for m in self.methods(p, e, tool)}
        )

    def seeds(self, paper: str, experiment: str, method: str) -> list[int]:
        """Seeds that a method runs with: the configured ones for a network, its own first, and 0 alone for the rest."""
        setup = self.experiment(paper, experiment)
        about = setup["methods"][method]
        if about["tool"] == "openvino":
            source = source_of(self.papers, (paper, experiment, method))
            assert source is not None
            return self.seeds(*source)
        if about["tool"] != "network":
            return [0]
        seeds = list(self.config["seeds"] or setup["seeds"])
        return seeds[: about["first_seeds"]] if about["first_seeds"] else seeds

    def training(self, paper: str, experiment: str, method: str) -> dict[str, Any]:
        """How a network is trained: as its experiment says, but for the values that the method has of its own.

        A training by samples is given as one by steps: as many as show so many pairs with the method's own batch.
        """
        setup = self.experiment(paper, experiment)
        # Whole values: the terms of a loss replace those of the experiment and are not added to them.
        training = {**setup["training"], **setup["methods"][method]["training"]}
        return training if "samples" not in training else by_steps(training)

    def fitting(self, paper: str, experiment: str) -> dict[str, Any]:
        """Padding, threads, mem_mb and runtime with which pairs are registered one by one: `fitting`, or else `training`."""
        setup = self.experiment(paper, experiment)
        found: dict[str, Any] = setup.get("fitting") or setup["training"]
        return {key: found[key] for key in ("padding", "threads", "mem_mb", "runtime")}

    def model(self, paper: str, experiment: str, method: str) -> dict[str, Any]:
        """Name and params of a method's network, be it that of the method it takes its weights of."""
        return model_of(self.papers, (paper, experiment, method))

    def taken_of(self, paper: str, experiment: str, method: str) -> Place | None:
        """The method that another takes its weights or its network of, None where it has its own from the start."""
        return source_of(self.papers, (paper, experiment, method))

    def weighted_as(self, paper: str, experiment: str, method: str) -> Place:
        """Paper, experiment and method under which a network's weights lie: its own, or those of `weights_of`."""
        about = self.experiment(paper, experiment)["methods"][method]
        place = self.taken_of(paper, experiment, method) if about["weights_of"] or about["tool"] == "openvino" else None
        return place or (paper, experiment, method)

    def parts_of(self, paper: str, experiment: str, method: str) -> list[str]:
        """Parts that a network's training was divided into, wherever it was trained."""
        where = self.weighted_as(paper, experiment, method)
        parts: list[str] = self.experiment(*where[:2])["training"]["parts"]
        return parts

    def trained(self, paper: str, experiment: str) -> list[str]:
        """Networks that an experiment trains itself."""
        return self._networks(paper, experiment, compressed=False)

    def compressed(self, paper: str, experiment: str) -> list[str]:
        """Networks that an experiment makes of others without training."""
        return self._networks(paper, experiment, compressed=True)

    def made(self, paper: str, experiment: str) -> list[str]:
        """Networks whose weights an experiment makes, by training or by compression, in the order of its methods."""
        made = {*self.trained(paper, experiment), *self.compressed(paper, experiment)}
        return [name for name in self.methods(paper, experiment, "network") if name in made]

    def _networks(self, paper: str, experiment: str, compressed: bool) -> list[str]:
        methods = self.experiment(paper, experiment)["methods"]
        return [
            name
            for name in self.methods(paper, experiment, "network")
            if not methods[name]["weights_of"] and bool(methods[name]["compress"]) == compressed
        ]
