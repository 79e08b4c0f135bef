"""Jobs of a run as entities of its crate: what the rules take, what each job ran with, took and gave."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reregister.crate.files import add_entity
from reregister.crate.history import History
from reregister.provenance.files import canonical_json, sha256_json

# What additionalType says of a parameter whose values are all of one type; every other is text, nested ones as JSON.
_TYPES = {bool: "Boolean", int: "Integer", float: "Float"}
# Rules that read the files of a dataset's archive whether or not they are inputs: a download has no path beforehand.
_READERS = ("fetch_dataset", "prepare_dataset")
COMPLETED = "http://schema.org/CompletedActionStatus"


@dataclass(frozen=True)
class Parts:
    """Entities that jobs refer to: files by name, code and environments by sha256, and the agent."""

    files: Mapping[str, Any]
    code: Mapping[str, Any]
    environments: Mapping[str, Any]
    agent: Any


@dataclass(frozen=True)
class Actions:
    """tools: what ran, once for each code and environment. steps: by rule. jobs, controls: one of each per receipt."""

    tools: list[Any]
    steps: dict[str, Any]
    jobs: list[Any]
    controls: list[Any]


def add_actions(crate: Any, history: History, parts: Parts) -> Actions:
    """One CreateAction a job with the ControlAction that set it off, their tools and steps."""
    slots = _Slots(crate, history)
    tools: dict[str, Any] = {}
    steps: dict[str, Any] = {}
    jobs, controls = [], []
    for name, receipt in history.receipts.items():
        rule, label = receipt["recipe"]["rule"], name.removeprefix("receipts/").removesuffix(".json")
        tool = _add_tool(crate, receipt, parts, slots)
        step = add_entity(crate, f"#step/{rule}", "HowToStep", name=rule)
        if tool.id not in tools:
            step.append_to("workExample", tool)
        tools[tool.id], steps[rule] = tool, step
        job = add_entity(crate, f"#job/{label}", "CreateAction", name=label, instrument=tool)
        _fill_job(job, name, history, parts, slots)
        jobs.append(job)
        control = add_entity(crate, f"#control/{label}", "ControlAction", name=label, instrument=step, object=job)
        controls.append(control)
    return Actions(list(tools.values()), steps, jobs, controls)


def parameters_of(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """What a job was told: its wildcards, the seed of a training among them, and its params."""
    recipe = receipt["recipe"]
    return {**recipe["wildcards"], **recipe["params"]}


def _add_tool(crate: Any, receipt: Mapping[str, Any], parts: Parts, slots: "_Slots") -> Any:
    rule, code, environment = receipt["recipe"]["rule"], receipt["code"], receipt["environment"]
    digest = sha256_json([code, environment])[:16]
    script = receipt["call"]["script"]
    modules = [parts.code[sha256] for name, sha256 in code.items() if name != script]
    return add_entity(
        crate,
        f"#tool/{rule}/{digest}",
        "SoftwareApplication",
        name=rule,
        description=f"{script} with {len(modules)} modules of the library, in one environment",
        softwareVersion=digest,
        mainEntity=parts.code[code[script]],
        softwareRequirements=[parts.code[code[script]], *modules, parts.environments[environment]],
        **slots.of_tool(rule),
    )


def _state(git: Mapping[str, Any] | None) -> str:
    if git is None:
        return "no git checkout"
    return f"commit {git['commit']}" + (" with uncommitted changes" if git["dirty"] else "")


def _fill_job(job: Any, name: str, history: History, parts: Parts, slots: "_Slots") -> None:
    receipt = history.receipts[name]
    recipe, run = receipt["recipe"], receipt["run"]
    read = list(recipe["inputs"])
    if recipe["rule"] in _READERS:
        archives = history.archives[recipe["wildcards"]["dataset"]]
        read += [archive.name for archive in archives if archive.name not in read]
    values = [slots.value(recipe["rule"], key, value) for key, value in parameters_of(receipt).items()]
    job["description"] = f"On {run['device']} with {run['threads']} thread(s), code of {_state(receipt['git'])}"
    job["identifier"] = receipt["recipe_id"]
    job["object"] = [*(parts.files[file] for file in read), *values]
    job["result"] = [parts.files[file] for file in receipt["outputs"]]
    job["startTime"], job["endTime"], job["actionStatus"] = run["start"], run["end"], COMPLETED
    job["agent"], job["subjectOf"] = parts.agent, parts.files[name]
    for way in ("input", "output"):
        for key, named in receipt["call"][way].items():
            for file in named if isinstance(named, list) else [named]:
                slots.fill(parts.files[file], recipe["rule"], way, key)


class _Slots:
    """The formal parameters of each rule: named inputs, named outputs, and what its jobs are told."""

    def __init__(self, crate: Any, history: History) -> None:
        self._crate = crate
        self._slots: dict[tuple[str, str, str], Any] = {}
        types: dict[tuple[str, str], set[str]] = {}
        for receipt in history.receipts.values():
            rule = receipt["recipe"]["rule"]
            for way in ("input", "output"):
                for key, named in receipt["call"][way].items():
                    if named:
                        self._add(rule, way, key, "File")
            for key, value in parameters_of(receipt).items():
                types.setdefault((rule, key), set()).add(_TYPES.get(type(value), "Text"))
        for (rule, key), found in types.items():
            self._add(rule, "parameter", key, found.pop() if len(found) == 1 else "Text")

    def _add(self, rule: str, way: str, key: str, kind: str) -> None:
        identifier = f"#parameter/{rule}/{way}/{key}"
        self._slots[rule, way, key] = add_entity(
            self._crate, identifier, "FormalParameter", name=key, additionalType=kind
        )

    def of_tool(self, rule: str) -> dict[str, list[Any]]:
        """The slots of a rule's tools, as their `input` and `output`."""
        mine = [(way, slot) for (of, way, _), slot in self._slots.items() if of == rule]
        return {
            "input": [slot for way, slot in mine if way != "output"],
            "output": [slot for way, slot in mine if way == "output"],
        }

    def value(self, rule: str, key: str, value: Any) -> Any:
        """A parameter's value; jobs that were told the same share it."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        digest = sha256_json([key, canonical_json(value)])[:12]
        slot = self._slots[rule, "parameter", key]
        identifier = f"#value/{rule}/{key}/{digest}"
        return add_entity(self._crate, identifier, "PropertyValue", name=key, value=text, exampleOfWork=slot)

    def fill(self, file: Any, rule: str, way: str, key: str) -> None:
        """Say that a file is what a job took or gave under a name."""
        slot = self._slots[rule, way, key]
        if {"@id": slot.id} not in file.properties().get("exampleOfWork", []):
            file.append_to("exampleOfWork", slot)
