"""From a file of a run back to the archives, as text: which jobs made it, with what. Standard library only."""

import csv
import io
import os
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reregister.errors import ReregisterError
from reregister.provenance.audit import Record, dataset_of, read_record, sha256_file

WIDTH = 120
# Params that say what is shown or where archives come from, and not how a number is made.
_PASSED_OVER = ("exhibit", "files", "terms", "accepted", "unpacked", "context")


def run_folder(file: Path) -> Path:
    """The run folder that a file lies in. Raises ReregisterError where it lies in none."""
    for parent in Path(os.path.abspath(file)).parents:
        if (parent / "receipts").is_dir():
            return parent
    raise ReregisterError(f"{file} lies in no run; give a file of a run, such as results/demo/dirnet/figures/NAME.svg")


def lineage(file: Path) -> list[str]:
    """A file, the job that made it, what that job read, and so on to the members of the archives.

    file: of a run, or a receipt, which stands for its job. Each job is told once. Raises ReregisterError where the file
    lies in no run or no receipt names it.
    """
    folder = run_folder(file)
    record, name = read_record(folder), Path(os.path.abspath(file)).relative_to(folder).as_posix()
    if name in record.receipts:
        return list(_job(record, name, 0, set()))
    producer = record.producers.get(name)
    if producer is None:
        raise ReregisterError(f"no receipt says how {file} was made; python3 {folder / 'audit.py'} tells more")
    recorded = record.receipts[producer]["outputs"][name]["sha256"]
    return [f"{name}  {_short(recorded)}  {_state(file, recorded)}", *_job(record, producer, 1, set())]


def _state(file: Path, recorded: str) -> str:
    try:
        found = sha256_file(file)
    except OSError:
        return "(the file is not there)"
    return "(as its receipt says)" if found == recorded else f"(the file is another: {_short(found)})"


def _job(record: Record, name: str, depth: int, told: set[str]) -> Iterator[str]:
    """Lines of a job and all that it rests on; told: jobs that were told before, to which this one is added."""
    receipt, pad = record.receipts[name], "  " * depth
    recipe, ran = receipt["recipe"], receipt["run"]
    # A rule that is written for one dataset or method has no wildcards; its receipt bears the name.
    words = " ".join([recipe["rule"], *(recipe["wildcards"].values() or [Path(name).stem])])
    if name in told:
        yield f"{pad}{words}: see above"
        return
    told.add(name)
    facts = [f"recipe {_short(receipt['recipe_id'])}", f"{ran.get('wall_s')} s"]
    facts += [f"seed {seed}"] if (seed := _seed(recipe)) is not None else []
    yield f"{pad}{words} ({', '.join(facts)}, environment {_short(receipt['environment'])})"
    yield from _params(recipe["params"], depth + 1)
    if recipe["rule"] == "fetch_dataset":
        yield from _members(record, dataset_of(receipt), depth + 1)
    yield from _inputs(record, recipe["inputs"], depth + 1, told)


def _inputs(record: Record, inputs: Mapping[str, str], depth: int, told: set[str]) -> Iterator[str]:
    by_job: dict[str | None, list[str]] = {}
    for file in inputs:
        by_job.setdefault(record.producers.get(file), []).append(file)
    pad = "  " * depth
    for producer, files in by_job.items():
        for file in files:
            yield f"{pad}{file}  {_short(inputs[file])}{_since(record, producer, file, inputs[file])}"
        if producer is not None:
            yield from _job(record, producer, depth + 1, told)


def _since(record: Record, producer: str | None, file: str, read: str) -> str:
    if producer is None:
        return ""
    present = record.receipts[producer]["outputs"][file]["sha256"]
    return "" if present == read else f"  (made again since: {_short(present)})"


def _seed(recipe: Mapping[str, Any]) -> str | None:
    """What the job's random numbers began with, where its wildcards or its params say so."""
    params = recipe["params"]
    settings = params.get("settings")
    for place in (recipe["wildcards"], params, settings if isinstance(settings, dict) else {}):
        for key in ("seed", "seeds"):
            if place.get(key) is not None:
                seeds = place[key] if isinstance(place[key], list) else [place[key]]
                return ", ".join(map(str, seeds))
    return None


def _params(params: Mapping[str, Any], depth: int) -> Iterator[str]:
    told = [f"{key} {in_words(value)}" for key, value in params.items() if key not in _PASSED_OVER and value != {}]
    pad = "  " * depth
    if told:
        yield from textwrap.wrap("; ".join(told), WIDTH, initial_indent=pad, subsequent_indent=f"{pad}  ")


def _members(record: Record, dataset: str, depth: int) -> Iterator[str]:
    """The files of the archive, with the whole sha256 that pins them and their origin."""
    try:
        text = (record.folder / "data" / dataset / "source.csv").read_text(encoding="utf-8")
    except OSError:
        return
    for row in csv.DictReader(io.StringIO(text)):
        yield f"{'  ' * depth}archive: {row.get('member')}, sha256 {row.get('sha256')}, {row.get('origin')}"


def in_words(value: Any) -> str:
    """A param for people: `{name adam, lr 0.001, betas [0.9, 0.999]}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} {in_words(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(in_words(entry) for entry in value) + "]"
    return "none" if value is None else ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _short(sha256: str) -> str:
    return sha256[:12]
