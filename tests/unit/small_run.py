"""A small run of two papers as the recorder leaves it: files, receipts, manifests, root and checksums.

`alpha` trains a network on a stand-in, `beta` registers heads that lie with the user. A job takes ten seconds on a clock
of its own, so that the same run has the same bytes.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reregister.provenance import audit, receipt
from reregister.provenance.files import canonical_json, sha256_file, sha256_json
from reregister.report.record import manifest_of

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
VERSIONS = {"numpy": "2.4.6", "snakemake": "9.27.1"}
COMPARISON = (
    "method,group,metric,n,mean,low,high,gain\n"
    "affine,all,dice,4,0.71,0.65,0.77,0.1\n"
    "net,all,dice,4,{net},0.75,0.85,0.2\n"
    "net,all,hd,4,,,,\n"
)
Changes = Mapping[str, Mapping[str, Any]]


def write_text(path: Path, text: str) -> None:
    # Not as the library does, which waits for the disk.
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


class SmallRun:
    """Writes jobs into a run folder, in the order in which they are asked for.

    changes: by receipt, such as "alpha/plot_figure/fig1_loss": parts of it that are otherwise than usual, and `texts` by
    file name, `params` and `versions` of packages.
    """

    def __init__(self, folder: Path, changes: Changes | None = None) -> None:
        self.folder = folder
        self.changes = changes or {}
        self.jobs = 0

    def sha256(self, name: str) -> str:
        return sha256_file(self.folder / name)

    def path(self, place: str) -> Path:
        return self.folder / "receipts" / f"{place}.json"

    def read(self, place: str) -> dict[str, Any]:
        return dict(json.loads(self.path(place).read_text(encoding="utf-8")))

    def edit(self, place: str, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change a receipt as an editor would: nothing else is told."""
        content = self.read(place)
        change(content)
        write_json(self.path(place), content)

    def job(
        self,
        rule: str,
        place: str,
        inputs: Mapping[str, str | list[str]],
        outputs: Mapping[str, str | list[str]],
        wildcards: dict[str, str],
        env: str = "data",
        location: str | None = None,
        sums: Mapping[str, str] | None = None,
    ) -> None:
        """Write a job's outputs and its receipt. sums: of inputs that do not lie in the run."""
        changes = dict(self.changes.get(place, {}))
        texts, params = changes.pop("texts", {}), changes.pop("params", {"seed": 0})
        for file in _flat(outputs):
            if file in texts or not (self.folder / file).exists():
                write_text(self.folder / file, texts.get(file, f"{file} of {place}\n"))
        hashes = {file: (sums or {}).get(file) or self.sha256(file) for file in sorted(_flat(inputs))}
        code = {f"scripts/{rule}.py": hashlib.sha256(rule.encode()).hexdigest()}
        recipe = receipt.build_recipe(rule, wildcards, params, code, hashes, sha256_json(env))
        source, versions = f"# {rule}\n".encode(), VERSIONS | changes.pop("versions", {})
        start = START + timedelta(seconds=10 * self.jobs)
        self.jobs += 1
        content = {
            "recipe": recipe,
            "recipe_id": receipt.recipe_id(recipe),
            "outputs": {
                file: {"sha256": self.sha256(file), "bytes": (self.folder / file).stat().st_size}
                for file in _flat(outputs)
            },
            "code": {f"scripts/{rule}.py": receipt.store(self.folder, "code", source, ".py")},
            "undeclared_code": [],
            "environment": receipt.store(
                self.folder,
                "environment",
                canonical_json({"python": changes.pop("python", "3.11.7"), "packages": versions}).encode(),
                ".json",
            ),
            "git": {"commit": "c" * 40, "dirty": None, "untracked": []},
            "run": {
                "start": start.isoformat(timespec="seconds"),
                "end": (start + timedelta(seconds=8)).isoformat(timespec="seconds"),
                "wall_s": 8.0,
                "peak_memory_mib": 90,
                "threads": 1,
                "device": "cpu",
                "resumed_from": None,
            },
            "determinism": {},
            "undeclared_reads": [],
            "undeclared_writes": [],
            "network": [],
            "programs": [],
            "call": {
                "script": f"scripts/{rule}.py",
                "input": dict(inputs),
                "output": {**outputs, "receipt": f"receipts/{place}.json"},
                "log": f"{place.split('/')[0]}/logs/{rule}.log",
                "params": {"code": {"digest": "0", "entries": []}, "env": {"file": f"envs/{env}.yaml", "digest": "0"}},
                "location": location,
            },
        }
        write_json(self.path(place), content | changes)

    # The jobs of the two papers

    def prepare(self, dataset: str, archive: str, location: str | None, rows: str | None = None) -> None:
        """Fetch a dataset and read it. archive: its member as the record names it."""
        names, folder = {"dataset": dataset}, f"data/{dataset}"
        lies_here = (self.folder / archive).exists()
        sum_ = self.sha256(archive) if lies_here else hashlib.sha256(archive.encode()).hexdigest()
        origin = "synthetic" if location else "original-verified"
        if rows is None:
            rows = f"{archive.removeprefix(f'{location or folder}/')},9,{sum_},{origin}\n"
        write_text(self.folder / folder / "source.csv", f"member,bytes,sha256,origin\n{rows}")
        members: dict[str, str | list[str]] = {"members": [archive]}
        source = {"source": f"{folder}/source.csv"}
        where = {"location": location, "sums": {archive: sum_}}
        self.job("fetch_dataset", f"data/fetch_dataset/{dataset}", members, source, names, **where)
        made = {"images": f"{folder}/images.npy", "subjects": f"{folder}/subjects.csv"}
        self.job("prepare_dataset", f"data/prepare_dataset/{dataset}", source | members, made, names, **where)

    def alpha(self) -> None:
        archive = "data/digits/standin/digits.gz"
        made = {"archives": [archive], "truth": "data/digits/standin_truth.npz"}
        self.job("make_standin", "data/make_standin/digits", {}, made, {})
        self.prepare("digits", archive, "data/digits/standin")
        images, names = "data/digits/images.npy", {"paper": "alpha", "experiment": "e"}
        pairs, truth = "alpha/pairs/e.csv", "data/digits/standin_truth.npz"
        self.job("pair_images", "alpha/pair_images/e", {"images": images, "truth": truth}, {"pairs": pairs}, names)
        weights, history = (f"alpha/models/e/net/all_seed0.{suffix}" for suffix in ("safetensors", "history.csv"))
        trained = names | {"method": "net", "part": "all", "seed": "0"}
        made_by_net: dict[str, str | list[str]] = {"weights": weights, "history": history}
        place = "alpha/train_model/e/net_all_seed0"
        self.job("train_model", place, {"images": images, "pairs": pairs}, made_by_net, trained, "torch")
        methods = {"net": "register_pairs", "affine": "run_baseline"}
        for method, rule in methods.items():
            reads = {"pairs": pairs, "images": images} | ({"weights": [weights]} if method == "net" else {})
            field, wildcards = f"alpha/fields/e/{method}.npy", names | {"method": method}
            registered = {"field": field, "timing": f"alpha/fields/e/{method}.timing.csv"}
            self.job(rule, f"alpha/{rule}/e/{method}", reads, registered, wildcards, "torch")
            metrics, place = f"alpha/metrics/e/{method}.csv", f"alpha/evaluate_registration/e/{method}"
            self.job("evaluate_registration", place, {"field": field, "pairs": pairs}, {"metrics": metrics}, wildcards)
        metrics_of = [f"alpha/metrics/e/{method}.csv" for method in methods]
        compared = "alpha/metrics/e/comparison.csv"
        net = self.changes.get("alpha/compare_methods/e", {}).get("params", {}).get("net", 0.8)
        write_text(self.folder / compared, COMPARISON.format(net=net))
        self.job("compare_methods", "alpha/compare_methods/e", {"metrics": metrics_of}, {"comparison": compared}, names)
        self.exhibit("alpha", "plot_figure", "fig1_loss", [history])
        self.exhibit("alpha", "plot_figure", "fig2_net", [metrics_of[0]])
        self.exhibit("alpha", "plot_gallery", "figS1_affine", [metrics_of[1]])
        self.exhibit("alpha", "make_table", "table1_all", [compared])
        self.exhibit("alpha", "make_table", "tableS1_times", [f"alpha/fields/e/{m}.timing.csv" for m in methods])

    def beta(self, rows: str | None = None) -> None:
        self.prepare("heads", "data/heads/scans/heads.zip", None, rows)
        self.beta_jobs()

    def beta_jobs(self) -> None:
        names, field = {"paper": "beta", "experiment": "f", "method": "syn"}, "beta/fields/f/syn.npy"
        images = "data/heads/images.npy"
        self.job("run_baseline", "beta/run_baseline/f/syn", {"images": images}, {"field": field}, names, "ants")
        metrics, place = "beta/metrics/f/syn.csv", "beta/evaluate_registration/f/syn"
        self.job("evaluate_registration", place, {"field": field}, {"metrics": metrics}, names)
        self.exhibit("beta", "make_table", "table1_all", [metrics])

    def exhibit(self, paper: str, rule: str, name: str, reads: list[str]) -> None:
        table = {"table": f"{paper}/tables/{name}.csv"}
        figure = {kind: f"{paper}/figures/{name}.{kind}" for kind in ("svg", "png", "csv")}
        outputs = table if rule == "make_table" else figure
        names = {"paper": paper, "exhibit": name}
        self.job(rule, f"{paper}/{rule}/{name}", {"metrics": reads}, outputs, names, "plot")

    def write_audit(self) -> None:
        shutil.copyfile(audit.__file__, self.folder / "audit.py")
        reads, sums = "project/scripts/reregister/provenance/audit.py", sha256_file(audit.__file__)
        self.job(
            "write_audit", "write_audit", {"audit": reads}, {"audit": "audit.py"}, {}, "report", sums={reads: sums}
        )

    def receipts(self, *parts: str) -> list[str]:
        found = sorted(path for part in parts for path in (self.folder / "receipts" / part).rglob("*.json"))
        return [path.relative_to(self.folder).as_posix() for path in found if path.parent.name != part_of(path)]

    def page(self, paper: str, dataset: str) -> None:
        """Build a paper's page and the manifest of its receipts."""
        receipts = [
            name for name in self.receipts(paper, "data") if dataset in name or not name.startswith("receipts/d")
        ]
        receipts.append("receipts/write_audit.json")
        write_json(
            self.folder / f"receipts/{paper}/manifest.json",
            manifest_of(self.folder, [self.folder / name for name in receipts]),
        )
        write_json(self.folder / f"receipts/{paper}/summary.json", {"paper": paper})
        template = "project/workflow/report/paper.html.j2"
        made: dict[str, str | list[str]] = {"page": f"report/{paper}.html"}
        made |= {kind: f"receipts/{paper}/{kind}.json" for kind in ("manifest", "summary")}
        reads = {"receipts": receipts, "sources": [f"data/{dataset}/source.csv"], "templates": [template]}
        names, sums = {"paper": paper}, {template: sha256_json("template")}
        self.job("build_report", f"{paper}/build_report", reads, made, names, "report", sums=sums)

    def index(self, *papers: str) -> None:
        """Build the page of all papers with the run's root, and the checksums."""
        manifests = [f"receipts/{paper}/manifest.json" for paper in papers]
        pages = [f"receipts/{paper}/build_report.json" for paper in papers]
        roots = {p: json.loads((self.folder / m).read_text())["root"] for p, m in zip(papers, manifests, strict=True)}
        write_json(self.folder / "receipts/root.json", {"papers": roots, "root": sha256_json(roots)})
        made = {"page": "report/index.html", "root": "receipts/root.json"}
        self.job("build_index", "build_index", {"manifests": manifests, "pages": pages}, made, {}, "report")
        receipts = [*self.receipts(*papers, "data"), "receipts/write_audit.json", *pages, "receipts/build_index.json"]
        sums = {name: self.sha256(name) for name in receipts}
        for name in receipts:
            outputs = json.loads((self.folder / name).read_text())["outputs"]
            sums |= {file: entry["sha256"] for file, entry in outputs.items()}
        text = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
        write_text(self.folder / "SHA256SUMS", text)
        self.job("write_checksums", "write_checksums", {"receipts": receipts}, {"sums": "SHA256SUMS"}, {}, "report")


def part_of(path: Path) -> str:
    # Manifest, summary and the page's own receipt lie beside the folders of a paper's jobs.
    return path.parent.name if path.parent.parent.name == "receipts" else ""


def _flat(named: Mapping[str, str | list[str]]) -> list[str]:
    return [file for value in named.values() for file in (value if isinstance(value, list) else [value])]


def make_run(folder: Path, changes: Changes | None = None) -> SmallRun:
    """Both papers, whole: with logs, benchmarks and what else belongs to no record."""
    run = SmallRun(folder, changes)
    write_json(folder / "run.json", {"scale": "smoke", "data": {"digits": "standin", "heads": "path"}})
    run.alpha()
    run.beta()
    run.write_audit()
    run.page("alpha", "digits")
    run.page("beta", "heads")
    run.index("alpha", "beta")
    for name in ("alpha/logs/train_model/e/net.log", "data/digits/logs/make_standin.log", "logs/build_index.log"):
        write_text(folder / name, "said\n")
    for name in ("alpha/benchmarks/train_model/e.tsv", "benchmark/measure_speed.log", "checkpoints/a.safetensors"):
        write_text(folder / name, "1\n")
    write_text(folder / "SHA256SUMS.sig", "signed\n")
    return run
