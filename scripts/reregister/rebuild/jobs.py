"""Jobs of a rebuild beside those of the run: one word for each, and one for the exhibit that they make."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reregister.provenance.differences import differences
from reregister.provenance.files import sha256_file
from reregister.provenance.planned import PlannedJob
from reregister.provenance.receipt import read_receipt
from reregister.provenance.recorded import recipe_changes
from reregister.provenance.varying import TIMES, matches
from reregister.rebuild.sameness import (
    ATOL,
    DIFFERENT,
    EQUAL,
    EQUIVALENT,
    IDENTICAL,
    RTOL,
    UNDECIDED,
    WORDS,
    Sameness,
    compare_files,
    compare_metrics,
    worst,
)

VARIES = "may vary"
_METRICS, _NO_METRICS = ("*/metrics/*.csv",), ("*/comparison.csv", "*/similarity.csv")
# What chance decides on another machine; what is measured of it says whether that matters.
_BY_CHANCE = ("*/models/*", "*/fields/*")
_DRAWINGS = ("*/figures/*.svg", "*/figures/*.pdf", "*/figures/*.png", "*/figures/*.panels.json")


@dataclass(frozen=True)
class Row:
    """One job of the rebuild: its word, `VARIES` where it makes nothing but times, and why, one line each."""

    job: PlannedJob
    word: str
    why: list[str]


class Comparison:
    """A run folder and a rebuild of a part of it. Numbers are equal as `compare_files` says."""

    def __init__(self, run_folder: Path, rebuilt: Path, rtol: float = RTOL, atol: float = ATOL) -> None:
        self.old, self.new, self.rtol, self.atol = run_folder, rebuilt, rtol, atol

    def row(self, job: PlannedJob) -> Row:
        """Compare the outputs of one job, but for those that hold times."""
        try:
            receipts = tuple(read_receipt(folder / job.receipt) for folder in (self.old, self.new))
        except (OSError, ValueError):
            return Row(job, UNDECIDED, ["it has no receipt that can be read"])
        timed = job.exhibit and any(matches(name, TIMES.values()) for name in job.inputs)
        names = [] if timed else [name for name in job.outputs if not matches(name, TIMES.values())]
        found = {name: self._file(name, names, receipts) for name in names}
        unlike = [f"{name}: {same.why}" for name, same in found.items() if same.word != IDENTICAL]
        reasons = self.surroundings(receipts) if unlike else []
        return Row(job, worst([same.word for same in found.values()]) if names else VARIES, [*unlike, *reasons])

    def surroundings(self, receipts: tuple[dict[str, Any], ...]) -> list[str]:
        """What differs between the two jobs besides their inputs: recipe, environment, threads and device."""
        first, second = ({**receipt["recipe"], "inputs": {}} for receipt in receipts)
        old, new = (
            {
                **json.loads((folder / f"receipts/store/environment/{receipt['environment']}.json").read_text("utf-8")),
                **{key: receipt["run"][key] for key in ("threads", "device", "resumed_from")},
            }
            for folder, receipt in zip((self.old, self.new), receipts, strict=True)
        )
        changes = recipe_changes(first, second, receipts[0]["call"]["params"]["env"]["file"]) + differences(old, new)
        return changes or ["nothing that is recorded of the two jobs differs but their inputs"]

    def _file(self, name: str, names: list[str], receipts: tuple[dict[str, Any], ...]) -> Sameness:
        old, new = self.old / name, self.new / name
        recorded = receipts[0]["outputs"].get(name)
        if not old.exists() or not recorded:
            return Sameness(DIFFERENT, "the run does not have it")
        if sha256_file(old) != recorded["sha256"]:
            return Sameness(DIFFERENT, "in the run it was altered after its receipt was written")
        if recorded["sha256"] == receipts[1]["outputs"][name]["sha256"]:
            return Sameness(IDENTICAL)
        if matches(name, _DRAWINGS):
            return self._drawing(names, receipts)
        same = compare_files(old, new, self.rtol, self.atol)
        if same.word != DIFFERENT:
            return same
        if _is_metrics(name):
            return compare_metrics(old, new)
        excused = matches(name, _BY_CHANCE) or receipts[0]["recipe"]["inputs"] != receipts[1]["recipe"]["inputs"]
        return Sameness(UNDECIDED if excused else DIFFERENT, same.why)

    def _drawing(self, names: list[str], receipts: tuple[dict[str, Any], ...]) -> Sameness:
        numbers = next(name for name in names if name.endswith(".csv"))
        same = self._file(numbers, names, receipts)
        if WORDS.index(same.word) > WORDS.index(EQUAL):
            return Sameness(same.word, f"as {numbers}")
        if receipts[0]["recipe_id"] != receipts[1]["recipe_id"]:
            return Sameness(EQUAL, "the recipe's id stands in it, so its numbers were compared")
        return Sameness(UNDECIDED, "it was drawn differently from the same numbers; look at both")


def verdict(rows: Sequence[Row]) -> str:
    """One word for an exhibit: the worst of its jobs.

    Where that is `undecided` and every table of metrics was compared with success, at least one by its means, it is
    `statistically equivalent`: the metrics decide on what chance made before them and on what is drawn from them.
    """
    word = worst([row.word for row in rows if row.word != VARIES])
    measured = [row.word for row in rows if any(_is_metrics(name) for name in row.job.outputs)]
    return EQUIVALENT if word == UNDECIDED and measured and worst(measured) == EQUIVALENT else word


def _is_metrics(name: str) -> bool:
    return matches(name, _METRICS) and not matches(name, _NO_METRICS)
