"""The receipts of a run beside the recipes that its plan gives now, and in words what differs. Standard library only."""

from functools import cached_property
from pathlib import Path
from typing import Any

from reregister.provenance.closure import SCRIPTS, closure, code_hashes
from reregister.provenance.differences import differences
from reregister.provenance.files import sha256_file
from reregister.provenance.planned import PlannedJob, RunPlan
from reregister.provenance.receipt import build_recipe, read_receipt

PROJECT = SCRIPTS.parent


class Recorded:
    """A run as it is recorded, and as it would be now. Each file is read once."""

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self._code: dict[tuple[str, tuple[str, ...]], dict[str, str]] = {}
        self._hashes: dict[str, str] = {}

    @cached_property
    def receipts(self) -> dict[str, dict[str, Any] | None]:
        """The receipts that there are, by their names in the run; None for one that cannot be read."""
        found: dict[str, dict[str, Any] | None] = {}
        for job in self.plan.jobs:
            path = self.plan.run_folder / job.receipt
            if path.exists():
                try:
                    found[job.receipt] = read_receipt(path)
                except (OSError, ValueError):
                    found[job.receipt] = None
        return found

    def recipe(self, job: PlannedJob) -> dict[str, Any]:
        """The recipe that a job would have now; "" for an input whose content is not known before it runs."""
        entries = tuple(job.params["code"]["entries"])
        if (job.rule, entries) not in self._code:
            self._code[job.rule, entries] = code_hashes(closure(SCRIPTS / f"{job.rule}.py", entries))
        inputs = {name: self._input(job, name) for name in job.inputs}
        lock = self._hash(PROJECT / job.params["env"]["file"])
        return build_recipe(job.rule, job.wildcards, job.params, self._code[job.rule, entries], inputs, lock)

    def reasons(self, job: PlannedJob) -> list[str]:
        """Why a job's own result is not what it would be now, one line each; empty where it is."""
        if job.receipt not in self.receipts:
            return ["no receipt: it has not run, or its record is gone"]
        receipt = self.receipts[job.receipt]
        if receipt is None:
            return ["its receipt cannot be read"]
        missing = [name for name in job.outputs if not (self.plan.run_folder / name).exists()]
        changes = recipe_changes(receipt["recipe"], self.recipe(job), job.params["env"]["file"])
        return [*changes, *(f"output: {name} is missing" for name in missing)]

    def cosmetic(self, job: PlannedJob) -> list[str]:
        """Files of a job's code that differ from those it ran in comments, docstrings or layout alone."""
        receipt = self.receipts.get(job.receipt)
        if not receipt:
            return []
        old, new = receipt["recipe"]["code"], self.recipe(job)["code"]
        same = [name for name, sha256 in new.items() if old.get(name) == sha256]
        return [name for name in same if self._hash(PROJECT / name) != receipt["code"][name]]

    def _input(self, job: PlannedJob, name: str) -> str:
        maker = self.plan.makers.get(name)
        if maker and name != maker.receipt:
            receipt = self.receipts.get(maker.receipt) or {"outputs": {}}
            return str(receipt["outputs"].get(name, {"sha256": ""})["sha256"])
        path = Path(job.inputs[name])
        # Archives of the user need not lie beside a run that was moved.
        return self._hash(path) if path.exists() else ""

    def _hash(self, path: Path) -> str:
        if str(path) not in self._hashes:
            self._hashes[str(path)] = sha256_file(path)
        return self._hashes[str(path)]


def recipe_changes(old: dict[str, Any], new: dict[str, Any], environment_file: str) -> list[str]:
    """What differs between two recipes of one job, one line each. An input of `new` that is "" is not compared."""
    lines = [line for key in ("record", "rule", "wildcards") for line in differences(old[key], new[key], [key])]
    lines += differences(old["params"], new["params"])
    lines += _of_files("code", old["code"], new["code"], "")
    if old["environment_lock"] != new["environment_lock"]:
        lines.append(f"environment: {environment_file}")
    return lines + _of_files("input", old["inputs"], new["inputs"], " is not the one it was made from")


def _of_files(kind: str, old: dict[str, str], new: dict[str, str], changed: str) -> list[str]:
    lines = [f"{kind}: {name}{changed}" for name in old if new.get(name) and old[name] != new[name]]
    lines += [f"{kind}: {name} was not there" for name in new if name not in old]
    return lines + [f"{kind}: {name} is not there any more" for name in old if name not in new]
