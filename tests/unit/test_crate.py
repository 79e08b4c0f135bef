"""A run as a Workflow Run RO-Crate: every job, file, hash and parameter of its receipts, valid under roc-validator."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from reregister.crate.build import run_crate
from reregister.crate.history import read_history
from reregister.errors import ReregisterError
from reregister.provenance.files import canonical_json, sha256_file, write_json, write_text
from reregister.provenance.receipt import store

from ..crates import CONTEXTS, METADATA, check_crate, filled_cache, read_crate, violations

ENVIRONMENT = {
    "python": "3.11.7",
    "implementation": "CPython",
    "os": "Linux",
    "cpu": {"model": "A processor", "isa": ["avx2"]},
    "packages": {"numpy": "2.4.6", "snakemake": "9.27.1"},
}
DATASETS = {"mnist": {"title": "MNIST digits", "licence": "CC BY-SA 3.0", "citation": "LeCun 1998"}}
TEMPLATE = "project/workflow/report/index.html.j2"
ARCHIVE = b"archive"


class Run:
    """A small run: a dataset that belongs to the user, two trainings, a figure, a page."""

    def __init__(self, folder: Path, mode: str = "path") -> None:
        self.folder = folder / "smoke"
        self.receipts: list[Path] = []
        self.environment = store(self.folder, "environment", canonical_json(ENVIRONMENT).encode(), ".json")
        archive = {"members": ["data/mnist/train.gz"]} if mode == "path" else {"members": []}
        row = f"train.gz,{len(ARCHIVE)},{hashlib.sha256(ARCHIVE).hexdigest()},original-verified\n"
        source = {"source": "data/mnist/source.csv"}
        images = {"images": "data/mnist/images.npy"}
        names = {"dataset": "mnist"}
        self.job(
            "data", "fetch_dataset", archive, source, names, {"mode": mode}, text="member,bytes,sha256,origin\n" + row
        )
        self.job("data", "prepare_dataset", source | archive, images, names, {"mode": mode})
        for seed in "01":
            name = f"dirnet/models/{seed}"
            made = {"weights": f"{name}.safetensors", "history": f"{name}.history.csv"}
            told = {"loss": {"ncc": 1.0}, "hold_zeros": False}
            self.job("dirnet", "train_model", images, made, {"paper": "dirnet", "seed": seed}, told)
        histories = {"histories": [f"dirnet/models/{seed}.history.csv" for seed in "01"]}
        self.job("dirnet", "plot_figure", histories, {"svg": "dirnet/figures/fig2.svg"}, {"exhibit": "fig2"}, {})
        pages = {"templates": [TEMPLATE], "receipts": ["receipts/dirnet/plot_figure/4.json"]}
        self.job("dirnet", "build_index", pages, {"page": "report/index.html"}, {}, {})

    def job(self, paper: str, rule: str, reads: Any, makes: Any, names: Any, params: Any, text: str = "") -> None:
        """Write a job's outputs and its receipt. reads, makes: files by the names of the rule's inputs and outputs."""
        number = len(self.receipts)
        outputs = {}
        for name in makes.values():
            write_text(self.folder / name, text or f"{number} {name}")
            outputs[name] = {"sha256": sha256_file(self.folder / name), "bytes": (self.folder / name).stat().st_size}
        inputs = [name for named in reads.values() for name in (named if isinstance(named, list) else [named])]
        script, module = f"scripts/{rule}.py", "scripts/reregister/errors.py"
        place = f"receipts/{paper}/{rule}/{number}.json"
        receipt = {
            "recipe": {"rule": rule, "wildcards": names, "params": params, "inputs": {n: self.hash(n) for n in inputs}},
            "recipe_id": f"{number:064d}",
            "outputs": outputs,
            "code": {n: store(self.folder, "code", n.encode(), ".py") for n in (script, module)},
            "environment": self.environment,
            "git": {"commit": "c" * 40, "dirty": None, "untracked": []},
            "run": {
                "start": f"2026-01-01T00:00:{number:02d}+00:00",
                "end": f"2026-01-01T01:30:{number:02d}+00:00",
                "threads": 1,
                "device": "cpu",
            },
            "call": {"script": script, "input": reads, "output": {**makes, "receipt": place}},
        }
        self.receipts.append(self.folder / place)
        write_json(self.receipts[-1], receipt)

    def hash(self, name: str) -> str:
        path = self.folder / name
        return sha256_file(path) if path.exists() else hashlib.sha256(ARCHIVE).hexdigest()

    def change(self, number: int, **changes: Any) -> None:
        """Put other values into a receipt."""
        receipt = json.loads(self.receipts[number].read_text(encoding="utf-8"))
        write_json(self.receipts[number], {**receipt, **changes})

    def export(self) -> dict[str, dict[str, Any]]:
        """Write the crate and give its entities."""
        workflow = [self.folder / "crate" / "Snakefile", self.folder / "crate" / "workflow" / "rules" / "data.smk"]
        for path in workflow:
            write_text(path, f"# {path.name}\n")
        history = read_history(self.folder, self.receipts, [self.folder / "data" / "mnist" / "source.csv"])
        about = {"run": "smoke", "scale": "smoke", "root": "f" * 64, "datasets": DATASETS}
        write_json(self.folder / METADATA, run_crate(history, about, workflow), sort_keys=False)
        return read_crate(self.folder)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def of_type(crate: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [entity for entity in crate.values() if kind in entity["@type"]]


def references(entity: dict[str, Any], key: str) -> list[str]:
    value = entity.get(key, [])
    return [entry["@id"] for entry in (value if isinstance(value, list) else [value])]


def test_each_job_is_an_action_with_its_own_files(run: Run) -> None:
    crate = run.export()
    jobs = [entity for entity in of_type(crate, "CreateAction") if entity["@id"] != "#run"]
    assert len(jobs) == len(of_type(crate, "ControlAction")) == len(run.receipts) == 6
    for path in run.receipts:
        receipt = json.loads(path.read_text(encoding="utf-8"))
        (job,) = (entity for entity in jobs if entity["subjectOf"]["@id"] == path.relative_to(run.folder).as_posix())
        read = {f"#{n}" if n in ("data/mnist/train.gz", TEMPLATE) else n for n in receipt["recipe"]["inputs"]}
        assert {name for name in references(job, "object") if not name.startswith("#value/")} == read
        assert references(job, "result") == list(receipt["outputs"])
        assert (job["startTime"], job["endTime"]) == (receipt["run"]["start"], receipt["run"]["end"])
        assert job["identifier"] == receipt["recipe_id"]
        assert crate[job["agent"]["@id"]]["name"] == "The reregister contributors"
        tool = crate[job["instrument"]["@id"]]
        assert tool["name"] == receipt["recipe"]["rule"]
        assert crate[tool["mainEntity"]["@id"]]["sha256"] == receipt["code"][f"scripts/{tool['name']}.py"]
        assert len(references(tool, "softwareRequirements")) == 3


def test_the_run_goes_from_what_no_job_wrote_to_what_no_job_read(run: Run) -> None:
    crate = run.export()
    whole = crate["#run"]
    assert references(whole, "object") == ["#data/mnist/train.gz", f"#{TEMPLATE}"]
    weights = ["dirnet/models/0.safetensors", "dirnet/models/1.safetensors"]
    assert references(whole, "result") == [*weights, "dirnet/figures/fig2.svg", "report/index.html"]
    assert (whole["startTime"], whole["endTime"]) == ("2026-01-01T00:00:00+00:00", "2026-01-01T01:30:05+00:00")
    assert references(whole, "instrument") == references(crate["./"], "mainEntity") == ["crate/Snakefile"]
    assert references(crate["./"], "mentions") == ["#run", *(e for e in crate if e.startswith("#job/"))]
    (engine,) = of_type(crate, "OrganizeAction")
    assert references(engine, "object") == [e for e in crate if e.startswith("#control/")]
    assert crate[engine["instrument"]["@id"]]["softwareVersion"] == "9.27.1"


def test_every_file_of_the_run_has_its_hash_and_size(run: Run) -> None:
    crate = run.export()
    described = {name for name, entity in crate.items() if "File" in entity["@type"] and not name.startswith("#")}
    present = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file()}
    assert described == present - {METADATA}
    for name in described:
        content = (run.folder / name).read_bytes()
        assert crate[name]["sha256"] == hashlib.sha256(content).hexdigest(), name
        assert crate[name]["contentSize"] == str(len(content)), name
    assert described <= set(references(crate["./"], "hasPart"))


@pytest.mark.parametrize("mode", ["path", "download"])
def test_an_archive_that_is_not_in_the_run_has_hash_size_and_origin(mode: str, tmp_path: Path) -> None:
    # A download is no declared input; its source table names it all the same.
    crate = Run(tmp_path, mode).export()
    archive = crate["#data/mnist/train.gz"]
    assert (archive["sha256"], archive["contentSize"]) == (hashlib.sha256(ARCHIVE).hexdigest(), "7")
    assert crate[archive["additionalProperty"]["@id"]]["value"] == "original-verified"
    for name in ("fetch_dataset/0", "prepare_dataset/1"):
        assert references(crate[f"#job/data/{name}"], "object").count("#data/mnist/train.gz") == 1
    dataset = crate["data/mnist/"]
    assert (dataset["name"], dataset["license"], dataset["citation"]) == tuple(DATASETS["mnist"].values())
    files = ["#data/mnist/train.gz", "data/mnist/source.csv", "data/mnist/images.npy"]
    assert references(dataset, "hasPart") == files


def test_parameters_are_values_of_the_formal_ones_of_their_rule(run: Run) -> None:
    crate = run.export()
    told = [
        {crate[v]["name"]: crate[v]["value"] for v in references(crate[job], "object") if v.startswith("#value/")}
        for job in ("#job/dirnet/train_model/2", "#job/dirnet/train_model/3")
    ]
    common = {"paper": "dirnet", "loss": '{"ncc": 1.0}', "hold_zeros": "false"}
    assert told == [{**common, "seed": "0"}, {**common, "seed": "1"}]
    values = [entity for name, entity in crate.items() if name.startswith("#value/train_model/")]
    assert len(values) == 5
    kinds = {crate[value["exampleOfWork"]["@id"]]["name"]: value["exampleOfWork"]["@id"] for value in values}
    assert {name: crate[slot]["additionalType"] for name, slot in kinds.items()} == {
        "paper": "Text",
        "seed": "Text",
        "loss": "Text",
        "hold_zeros": "Boolean",
    }
    (tool,) = (entity for entity in crate.values() if entity["@id"].startswith("#tool/train_model/"))
    assert set(references(tool, "input")) == {*kinds.values(), "#parameter/train_model/input/images"}
    history = crate["dirnet/models/0.history.csv"]
    assert references(history, "exampleOfWork") == [
        "#parameter/train_model/output/history",
        "#parameter/plot_figure/input/histories",
    ]


def test_code_in_another_environment_is_another_tool_of_the_same_step(run: Run) -> None:
    other = {**ENVIRONMENT, "packages": {"numpy": "2.4.5", "snakemake": "9.27.1"}}
    run.change(3, environment=store(run.folder, "environment", canonical_json(other).encode(), ".json"))
    crate = run.export()
    tools = [name for name in crate if name.startswith("#tool/train_model/")]
    assert len(tools) == 2
    assert references(crate["#step/train_model"], "workExample") == tools
    versions = []
    for tool in tools:
        record = crate[references(crate[tool], "softwareRequirements")[-1]]
        versions.append([crate[name]["softwareVersion"] for name in references(record, "softwareRequirements")])
    assert versions == [["2.4.6", "9.27.1"], ["2.4.5", "9.27.1"]]


def test_the_same_receipts_give_the_same_bytes_and_no_place_of_a_machine(run: Run) -> None:
    run.export()
    before = (run.folder / METADATA).read_bytes()
    run.export()
    assert (run.folder / METADATA).read_bytes() == before
    assert str(run.folder.parent).encode() not in before
    assert not [name for name in read_crate(run.folder) if name.startswith(("/", "file:", ".."))]


def test_uncommitted_changes_and_missing_checkouts_are_said(run: Run) -> None:
    run.change(3, git={"commit": "d" * 40, "dirty": "e" * 64, "untracked": []})
    run.change(5, git=None)
    crate = run.export()
    assert crate["#job/dirnet/train_model/3"]["description"].endswith(f"commit {'d' * 40} with uncommitted changes")
    assert crate["#job/dirnet/build_index/5"]["description"].endswith("no git checkout")
    assert crate["crate/Snakefile"]["version"] == f"{'c' * 40}, {'d' * 40}"


def test_a_file_that_is_gone_stops_the_export(run: Run) -> None:
    (run.folder / "dirnet" / "figures" / "fig2.svg").unlink()
    with pytest.raises(ReregisterError, match=r"fig2\.svg is gone"):
        run.export()


def test_a_file_made_anew_after_it_was_read_stops_the_export(run: Run) -> None:
    receipt = json.loads(run.receipts[2].read_text(encoding="utf-8"))
    receipt["outputs"]["dirnet/models/0.history.csv"]["sha256"] = "0" * 64
    run.change(2, outputs=receipt["outputs"])
    with pytest.raises(ReregisterError, match=r"plot_figure/4\.json read dirnet/models/0\.history\.csv"):
        run.export()


def test_an_altered_record_of_an_environment_stops_the_export(run: Run) -> None:
    path = run.folder / "receipts" / "store" / "environment" / f"{run.environment}.json"
    path.write_text(path.read_text().replace("2.4.6", "2.4.7"))
    with pytest.raises(ReregisterError, match="missing or altered"):
        run.export()


def test_the_excerpts_of_the_contexts_hold_the_terms_of_a_crate_and_no_more(run: Run) -> None:
    run.export()
    content = json.loads((run.folder / METADATA).read_text(encoding="utf-8"))
    assert content["@context"] == list(CONTEXTS)
    terms = {key for entity in content["@graph"] for key in entity if not key.startswith("@")}
    for entity in content["@graph"]:
        terms |= {entity["@type"]} if isinstance(entity["@type"], str) else set(entity["@type"])
    assert terms == {term for context in CONTEXTS.values() for term in context}


def test_a_crate_is_valid_and_without_one_instrument_is_not(run: Run, tmp_path: Path) -> None:
    run.export()
    check_crate(run.folder, tmp_path)


def test_a_crate_that_names_a_file_that_is_not_there_is_not_valid(run: Run, tmp_path: Path) -> None:
    run.export()
    (run.folder / "dirnet" / "figures" / "fig2.svg").unlink()
    ((_, message),) = violations(run.folder, filled_cache(tmp_path))
    assert "dirnet/figures/fig2.svg" in message
