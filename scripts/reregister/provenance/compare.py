"""Two runs job by job: parameters, code, environment and files; and their metrics with intervals. Standard library only.

Jobs are matched by the names of their receipts. What a job read from a job that differs is not told again: the reason
is told where it arises. Files may differ by name where they hold times, and so may what is made of those and of nothing
else that differs.
"""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reregister.errors import ReregisterError
from reregister.provenance.audit import NoRun, Receipt, Record, computes, read_record
from reregister.provenance.lineage import in_words

# These read the record itself.
_OF_THE_RECORD = ("weigh_claims", "build_report", "build_index", "write_checksums", "write_audit")
# Rules whose outputs are measured times.
_MEASURED = ("measure_speed", "measure_step")
_SUFFIX_OF_TIMES = ".timing.csv"
# What of an environment can move a number, packages apart.
_SURROUNDINGS = ("python", "implementation", "cpu", "torch", "variables")
_KEY, _VALUES = ("method", "group", "metric"), ("mean", "low", "high")


@dataclass
class Differences:
    """What differs between two runs, as lines. serious: whether any of it can change a result."""

    jobs: dict[str, list[str]] = field(default_factory=dict)
    code: dict[str, list[str]] = field(default_factory=dict)
    environment: dict[str, list[str]] = field(default_factory=dict)
    harmless: dict[str, list[str]] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    same_metrics: int = 0

    @property
    def serious(self) -> bool:
        return bool(self.jobs or self.code or self.environment or self.metrics)


def compare(first: Path, second: Path) -> Differences:
    """What differs between the runs in two folders. Raises ReregisterError where a folder is no run's."""
    one, two = _read(first), _read(second)
    found = Differences()
    for name in sorted(_work(one) ^ _work(two)):
        found.jobs[name] = [f"only in {first if name in one.receipts else second}"]
    both = sorted(_work(one) & _work(two))
    varying = _varying(one, two, both)
    for name in both:
        _compare_jobs(found, one, two, name, varying)
    for name in sorted(_comparisons(one) & _comparisons(two)):
        _compare_metrics(found, one.folder / name, two.folder / name, name)
    return found


def _read(folder: Path) -> Record:
    try:
        return read_record(folder)
    except NoRun as error:
        raise ReregisterError(f"{error}; give the folders of two runs, such as results/demo") from None


def _work(record: Record) -> set[str]:
    return {name for name in record.receipts if record.rule(name) not in _OF_THE_RECORD}


def _comparisons(record: Record) -> set[str]:
    return {name for name in record.producers if name.endswith("/comparison.csv")}


def _sums(receipt: Receipt) -> dict[str, str]:
    return {file: entry["sha256"] for file, entry in receipt["outputs"].items()}


def _varying(one: Record, two: Record, both: list[str]) -> set[str]:
    """Files that hold times, or are made from those and from nothing else that differs."""
    timed = {file for record in (one, two) for file in record.producers if file.endswith(_SUFFIX_OF_TIMES)}
    timed |= {file for name in both if one.rule(name) in _MEASURED for file in one.receipts[name]["outputs"]}
    while True:
        more = set()
        for name in both:
            first, second = one.receipts[name]["recipe"], two.receipts[name]["recipe"]
            others = _differing(first["inputs"], second["inputs"])
            alike = all(first[part] == second[part] for part in ("rule", "params", "code"))
            if others and alike and set(others) <= timed:
                more |= set(one.receipts[name]["outputs"]) - timed
        if not more:
            return timed
        timed |= more


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*first, *second} if first.get(key) != second.get(key))


def _compare_jobs(found: Differences, one: Record, two: Record, name: str, varying: set[str]) -> None:
    first, second = one.receipts[name], two.receipts[name]
    lines = list(_params(first["recipe"]["params"], second["recipe"]["params"]))
    if first["run"].get("threads") != second["run"].get("threads"):
        lines.append(f"threads: {first['run'].get('threads')} -> {second['run'].get('threads')}")
    lines += _inputs(one, two, name, varying)
    if first["recipe_id"] == second["recipe_id"]:
        others = [f for f in _differing(_sums(first), _sums(second)) if f not in varying]
        lines += [f"same recipe, other bytes: {file}" for file in others]
    if lines:
        found.jobs[name] = lines
    _compare_code(found, first, second, name)
    for text, serious in _environment(one.environment(name), two.environment(name)):
        (found.environment if serious else found.harmless).setdefault(text, []).append(name)
    if first["recipe"]["environment_lock"] != second["recipe"]["environment_lock"]:
        found.harmless.setdefault("another text of the environment file", []).append(name)


def _params(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    before, after = _flat(first), _flat(second)
    for key in _differing(before, after):
        told = [in_words(values[key]) if key in values else "(not there)" for values in (before, after)]
        yield f"{key}: {told[0]} -> {told[1]}"


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested params by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{before}{key}.") if inner else {f"{before}{key}": value}
    return flat


def _inputs(one: Record, two: Record, name: str, varying: set[str]) -> Iterator[str]:
    """Inputs that differ and whose makers do not account for it: they are not the same files, or no job made them."""
    first, second = one.receipts[name]["recipe"]["inputs"], two.receipts[name]["recipe"]["inputs"]
    for file in _differing(first, second):
        if file not in first or file not in second:
            yield f"input only in {'the second' if file in second else 'the first'}: {file}"
        elif file not in varying and not (file in one.producers and file in two.producers):
            yield f"input: {file} {first[file][:12]} -> {second[file][:12]}"
        elif file not in varying and _made(one, file) == _made(two, file):
            yield f"input from another generation: {file} {first[file][:12]} -> {second[file][:12]}"


def _made(record: Record, file: str) -> str:
    return str(record.receipts[record.producers[file]]["outputs"][file]["sha256"])


def _compare_code(found: Differences, first: Receipt, second: Receipt, name: str) -> None:
    trees = first["recipe"].get("code", {}), second["recipe"].get("code", {})
    changed = _differing(*trees)
    for file in changed:
        found.code.setdefault(file, []).append(name)
    for file in _differing(first["code"], second["code"]):
        if file not in changed:
            found.harmless.setdefault(f"comments or layout of {file}", []).append(name)


def _environment(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """What differs between two environments, and whether it can change a result."""
    packages = first.get("packages", {}), second.get("packages", {})
    # Packages that only one has loaded are no other versions.
    for package in sorted(set(packages[0]) & set(packages[1])):
        if packages[0][package] != packages[1][package]:
            yield f"{package} {packages[0][package]} -> {packages[1][package]}", computes(package)
    for key in _SURROUNDINGS:
        if first.get(key) != second.get(key):
            yield f"{key}: {in_words(first.get(key))} -> {in_words(second.get(key))}", True
    if first.get("os") != second.get("os"):
        yield f"os: {first.get('os')} -> {second.get('os')}", False


def _compare_metrics(found: Differences, first: Path, second: Path, name: str) -> None:
    before, after = _rows(first), _rows(second)
    for key in sorted({*before, *after}):
        if before.get(key) == after.get(key):
            found.same_metrics += 1
        else:
            told = [_interval(rows.get(key)) for rows in (before, after)]
            found.metrics.append(f"{name.removesuffix('/comparison.csv')} {' '.join(key)}: {told[0]} -> {told[1]}")


def _rows(path: Path) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Mean and interval by method, group and metric. Raises ReregisterError where the table cannot be read."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return {tuple(row[k] for k in _KEY): tuple(row[v] for v in _VALUES) for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise ReregisterError(f"cannot read {path} as a table of means ({error}); audit the run first") from None


def _interval(values: tuple[str, ...] | None) -> str:
    if values is None:
        return "(not there)"
    numbers = [float(value) if value else math.nan for value in values]
    return f"{numbers[0]:.5g} [{numbers[1]:.5g}, {numbers[2]:.5g}]"


def text_of(found: Differences) -> list[str]:
    """The differences for people, what can change a result first."""
    lines = [line for name, told in found.jobs.items() for line in (f"job {name}", *(f"  {text}" for text in told))]
    for title, differing in (("code", found.code), ("environment", found.environment), ("harmless", found.harmless)):
        lines += [f"{title} {text}: in {_jobs(names)}" for text, names in differing.items()]
    lines += [f"metric {text}" for text in found.metrics]
    counts = f"{len(found.metrics)} of {len(found.metrics) + found.same_metrics} means or intervals differ"
    verdict = "what differs can change a result" if found.serious else "nothing differs that can change a result"
    return [*lines, f"{verdict}; {counts}"]


def _jobs(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} jobs such as {names[0]}"
