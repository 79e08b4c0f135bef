"""What a run is made of and says: its files, its exhibits, its receipts and the words of its pages."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from reregister.provenance.varying import TIMES
from reregister.report.exhibits import label_of
from reregister.run_files import RunFiles

# Rules that make exhibits, by the kind of exhibit.
EXHIBIT_RULES = {"figure": "plot_figure", "gallery": "plot_gallery", "table": "make_table"}
# Rules that make a method's fields, by its tool; every other tool is a baseline.
REGISTER_RULES = {"network": "register_pairs", "prior": "run_prior", "openvino": "run_openvino"}
# Results that the claims of a paper are held against, besides its tables.
WEIGHED = ("metrics", "labels", "timing", "traces", "histories", "layers", "pairs", "pool", "similarity")


def escaped(text: str) -> str:
    """Text that reStructuredText shows as it stands."""
    return re.sub(r"([\\*`|_])", r"\\\1", text)


class Plan(RunFiles):
    """The plan of one run, which the workflow's rules ask for their inputs and params."""

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
        # Left out where empty, so that they enter the recipes of the exhibits alone that have them.
        options = {"options": exhibit["options"]} if exhibit["options"] else {}
        return {
            "paper": paper,
            "exhibit": name,
            "function": exhibit["function"],
            # A list, because the order of a mapping does not enter the recipe and that of the rows should.
            "methods": [[method, setup["methods"][method]["label"]] for method in shown],
            "synthetic": self.settings.mode(setup["dataset"]) == "standin",
            "scale": self.settings.scale,
            "show_images": self.settings.may_show(setup["dataset"]),
            **options,
        }

    def listed(self, targets: Collection[str]) -> list[str]:
        """What the index and the checksums hold: all papers, and the protocols that the run has.

        targets: those that Snakemake was called with. A run has a protocol where a target asks for it, or all that there is,
        and where it was run before.
        """
        asked = {*targets} & {"all", *self.settings.protocols}
        return [
            name
            for name in self.settings.papers
            if name not in self.settings.protocols
            or asked & {"all", name}
            or Path(self.folder, "receipts", name, "manifest.json").exists()
        ]

    def exhibit_labels(self, paper: str, name: str) -> dict[str, str]:
        """What the list of `snakemake --report` says of one exhibit."""
        return {
            "exhibit": label_of(name, self.exhibit(paper, name)),
            "name": name,
            "place": self.exhibit(paper, name)["place"],
        }

    def captions(self) -> dict[str, dict[str, dict[str, str]]]:
        """By paper and exhibit its place, caption and methods, escaped for the reStructuredText of `snakemake --report`."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for paper, entry in self.settings.papers.items():
            found[paper] = {}
            for name, about in entry["exhibits"].items():
                labels = "; ".join(label for _, label in self.exhibit_params(paper, name)["methods"])
                words = {"place": about["place"], "caption": about["caption"], "methods": labels}
                found[paper][name] = {key: escaped(text) for key, text in words.items()}
        return found

    def pictures(self, paper: str, suffix: str) -> list[str]:
        """Files of one kind that lie beside each figure and gallery of a paper."""
        names = [*self.exhibits(paper, "figure"), *self.exhibits(paper, "gallery")]
        return [f"{self.folder}/{paper}/figures/{name}.{suffix}" for name in names]

    def receipts(self, paper: str) -> list[str]:
        """Every receipt of a paper except its page's own, in the order of the work."""
        weighed = [] if paper in self.settings.protocols else [f"{self.folder}/receipts/{paper}/weigh_claims.json"]
        told = [f"{self.folder}/receipts/{paper}/run_notebook.json"] if self.notebook(paper) else []
        return [*self.work_receipts(paper), *weighed, *told, f"{self.folder}/receipts/write_audit.json"]

    def work_receipts(self, paper: str) -> list[str]:
        """Receipts of all jobs that made a paper's results and exhibits, in the order of the work."""
        folder, own = f"{self.folder}/receipts/data", f"{self.folder}/receipts/{paper}"
        receipts = []
        for dataset in self.datasets(paper):
            steps = [*(["make_standin"] if self.truth(dataset) else []), "fetch_dataset", "prepare_dataset"]
            receipts += [f"{folder}/{step}/{dataset}.json" for step in steps]
        for experiment, setup in self.settings.papers[paper]["experiments"].items():
            receipts.append(f"{own}/pair_images/{experiment}.json")
            for method, about in setup["methods"].items():
                tool = about["tool"]
                if method in self.settings.trained(paper, experiment):
                    receipts += self.parts("trainings", paper, experiment, method)
                if method in self.settings.compressed(paper, experiment):
                    receipts += self.parts("compressions", paper, experiment, method)
                for step in (REGISTER_RULES.get(tool, "run_baseline"), "evaluate_registration"):
                    receipts.append(f"{own}/{step}/{experiment}/{method}.json")
            if experiment in self.network_experiments(paper):
                receipts.append(f"{own}/export_models/{experiment}.json")
            measured = self.read(paper, experiment, "steps")
            for method in self.with_results(paper, experiment, "steps"):
                receipts += [f"{own}/measure_step/{experiment}/{method}.json"] if method in measured else []
            if self.read(paper, experiment, "similarity"):
                receipts.append(f"{own}/compare_warped/{experiment}.json")
            receipts.append(f"{own}/compare_methods/{experiment}.json")
        for kind, step in EXHIBIT_RULES.items():
            receipts += [f"{own}/{step}/{name}.json" for name in self.exhibits(paper, kind)]
        return receipts

    def weighed(self, paper: str) -> dict[str, list[str]]:
        """Results of a paper that its claims are held against, by kind."""
        found: dict[str, list[str]] = {}
        for experiment in self.settings.papers[paper]["experiments"]:
            for kind in WEIGHED:
                if kind != "similarity" or self.read(paper, experiment, kind):
                    found.setdefault(kind, []).extend(self.results(paper, experiment, kind))
        tables = [f"{self.folder}/{paper}/tables/{name}.csv" for name in self.exhibits(paper, "table")]
        return {**{kind: [] for kind in WEIGHED}, **found, "tables": tables}

    def method_labels(self, paper: str) -> dict[str, dict[str, str]]:
        """What the methods of a paper are called, by experiment."""
        experiments = self.settings.papers[paper]["experiments"]
        return {
            name: {m: about["label"] for m, about in setup["methods"].items()} for name, setup in experiments.items()
        }

    def timed_tables(self, paper: str) -> list[str]:
        """Names of a paper's tables that hold times."""
        return [name for name in self.exhibits(paper, "table") if set(TIMES) & set(self.exhibit(paper, name)["reads"])]

    def notebook(self, paper: str) -> Path | None:
        """The notebook of a paper, None where it has none."""
        path = self.settings.base / "workflow" / "notebooks" / f"{paper}.ipynb"
        return path if path.is_file() else None

    def notebook_about(self, paper: str) -> dict[str, Any]:
        """What a paper's notebook is told: titles, the methods' names, and what of the paper the run leaves out."""
        everything = self.settings.papers_all[paper]["experiments"]
        experiments = []
        # Lists of pairs, because the order of a mapping does not enter the recipe and that of the rows should.
        for name, setup in self.settings.papers[paper]["experiments"].items():
            methods = [[method, about["label"]] for method, about in setup["methods"].items()]
            missing = [about["label"] for m, about in everything[name]["methods"].items() if m not in setup["methods"]]
            told = {"title": setup["title"], "dataset": setup["dataset"], "methods": methods, "missing": missing}
            experiments.append([name, told])
        missing = [[name, setup["title"]] for name, setup in everything.items() if name not in dict(experiments)]
        return {
            "title": self.settings.papers[paper]["title"],
            "scale": self.settings.scale,
            "datasets": [[name, self.settings.datasets[name]["title"]] for name in self.datasets(paper)],
            "experiments": experiments,
            "missing": missing,
        }

    def notebook_inputs(self, paper: str) -> dict[str, list[str]]:
        """Named inputs of a paper's notebook: every table that it may read."""
        experiments = self.settings.papers[paper]["experiments"]
        kinds = {"comparisons": "comparison", "metrics": "metrics", "histories": "histories", "traces": "traces"}
        tables = {
            key: [file for experiment in experiments for file in self.results(paper, experiment, kind)]
            for key, kind in kinds.items()
        }
        return {"sources": self.sources(paper), **tables}

    def credits(self, paper: str | None = None) -> dict[str, dict[str, str]]:
        """Title, licence and citation of the datasets of one paper, or of all papers."""
        about = ("title", "licence", "citation")
        return {name: {key: self.settings.datasets[name][key] for key in about} for name in self.datasets(paper)}

    def _note(self, paper: str, experiment: str, method: str) -> str:
        """What a page says beside a method: of which other its network is, and its note."""
        about, source = self.settings.experiment(paper, experiment)["methods"][method], None
        if place := self.settings.taken_of(paper, experiment, method):
            setup = self.settings.experiment(*place[:2])
            source = setup["methods"][place[2]]["label"]
            if place[:2] != (paper, experiment):
                source = f"{source} ({setup['title']})"
        words = {"weights_of": "Weights of", "start_from": "Trained from the weights of", "compress": "Made of"}
        way = next((text for key, text in words.items() if about[key]), "Network of")
        zeros = ", its zeros held" if about["hold_zeros"] else ""
        zeros += "".join(f", {key} {value}" for key, value in about["inference"].items())
        return " ".join(filter(None, [f"{way}: {source}{zeros}." if source else "", about["note"]]))

    def page_context(self, paper: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """What a page says of its paper that no receipt holds: titles, captions, choices and claims.

        overrides: what the command line set; the commands on the page say it again, but for lists of ids and places of files.
        """
        entry = self.settings.papers[paper]
        experiments = {}
        for name, setup in entry["experiments"].items():
            methods = {
                m: {"label": s["label"], "note": self._note(paper, name, m)} for m, s in setup["methods"].items()
            }
            experiments[name] = {key: setup[key] for key in ("title", "section", "dataset")} | {"methods": methods}
        said = {
            key: entry[key] for key in ("title", "authors", "reference", "summary", "exhibits", "choices", "explorer")
        }
        apart = ("run", "scale", "data", "accept_terms", "split", "anatomy", "report")
        return said | {
            "paper": paper,
            "kind": "protocol" if paper in self.settings.protocols else "paper",
            "scale": self.settings.scale,
            "strict": self.settings.config["report"]["strict"],
            "settings": {key: value for key, value in overrides.items() if key not in apart},
            "experiments": experiments,
            "datasets": self.credits(paper),
            "claims": self.settings.claims[paper],
            "notebook": f"../{paper}/notebooks/{paper}" if self.notebook(paper) else None,
        }
