#!/usr/bin/env python3
"""Audit a run of reregister: is each file the one that its receipt names, and was each made from the ones it names?

    python3 audit.py [FOLDER] [--json | --quiet]

This one file lies in every run folder and needs Python's standard library alone. It reads every receipt, hashes every
file that a receipt names, recomputes every recipe, holds the receipts to the manifests and to the run's root, and walks
the chain from each figure and table back to the archives: what a job read must be what another job wrote.

Each exhibit gets one word: `verified`; `stale`, built from something that has since been made again; `altered`, it or
something that it was made from is not what the record says; `unverifiable`, a file or a record is missing, or something
came in that no record pins. Archives that lie with the user or in a cache are not hashed: their sums are pinned in
`source.csv`, and they read "pinned, not present".

What this proves and what not: hashes prove that files and records agree with each other. That nothing was changed since,
records included, is proved by a root that was published or signed at the time. That the computation gives these files,
only a rebuild proves. What a job read beside its declared inputs is known from Python's audit hook, which does not see
what C++ libraries open by themselves and what child processes do.

Exit status: 0, or 1 where a finding could change a result, or 2 where the folder is no run.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Receipt = dict[str, Any]

# Rules whose outputs are a paper's exhibits.
EXHIBIT_RULES = ("plot_figure", "plot_gallery", "make_table")
# What a finding makes of the exhibits downstream; a kind that is not here leaves them their word.
WORDS = {
    "changed": "altered",
    "record-changed": "altered",
    "missing": "unverifiable",
    "record-missing": "unverifiable",
    "source-unpinned": "unverifiable",
    "undeclared reads": "unverifiable",
    "undeclared code": "unverifiable",
    "network": "unverifiable",
    "generation": "stale",
}
# From the best word to the worst: an exhibit gets the worst that a finding gives it.
ORDER = ("verified", "stale", "unverifiable", "altered")
# What is worth knowing and can change no result.
REMARKS = ("dirty", "unfinished", "unlisted")
# Packages that are loaded beside the work and compute nothing: their versions may differ within a run.
_NOT_COMPUTING = re.compile(
    r"snakemake(-.*)?|setuptools|pip|certifi|charset-normalizer|idna|urllib3|requests|pysocks|packaging|typing.extensions",
    re.I,
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RECEIPT_OF_EXHIBIT = re.compile(rf"receipts/([^/]+)/({'|'.join(EXHIBIT_RULES)})/([^/]+)\.json")
_FILE_OF_EXHIBIT = re.compile(r"([^/]+)/(?:figures|tables)/([^/.]+)[^/]*")
_PAGE = re.compile(r"receipts/([^/]+)/build_report\.json")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
_SUMMARIES = re.compile(r"receipts/(?:[^/]+/(?:manifest|summary)|root)\.json")
# Files of a run that are no results: of the run itself, of jobs, and temporary ones that a kill left.
_NO_RESULT = re.compile(
    r"run\.json|audit\.py|SHA256SUMS\.\w+|(?:checkpoints|receipts/store|__pycache__)/.*"
    r"|(?:data/)?(?:[^/]+/)?(?:logs|benchmarks)/.*|benchmark/[^/]+\.(?:log|progress\.jsonl)"
    r"|(?:.*/)?(?:\.[0-9a-f]{12}\.[^/]+|\.DS_Store|\.nfs[^/]*|\.snakemake_timestamp)"
)
_PARTS = {
    "recipe": dict,
    "recipe_id": str,
    "outputs": dict,
    "code": dict,
    "undeclared_code": list,
    "environment": str,
    "run": dict,
    "undeclared_reads": list,
    "undeclared_writes": list,
    "network": list,
    "call": dict,
}
_PARTS_OF_RECIPE = {"rule": str, "wildcards": dict, "params": dict, "inputs": dict}
_BLOCK = 1 << 20


class NoRun(ValueError):
    """The folder is no run's: it has neither receipts nor a run.json."""


def sha256_json(value: Any) -> str:
    """sha256 of a value's canonical JSON: sorted keys, no spaces. This is how recipes and manifests are hashed."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # What JSON cannot hold, half a character or NaN, no recipe has: it hashes to something else, and is found.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def sha256_file(path: Path) -> str:
    """sha256 of a file, read block by block. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


# ---------------------------------------------------------------------------------------------------------------------
# The record: receipts, and who makes and who reads each file


@dataclass(frozen=True)
class Record:
    """The receipts of a run, read once. Files are named as receipts name them, mostly relative to `folder`.

    receipts: by their name. flawed: those that cannot be used, with the reason. sums: sha256 of every file read.
    manifests: per paper, the receipts that its page was built from and what they hash to. root: content of root.json.
    """

    folder: Path
    receipts: dict[str, Receipt]
    flawed: dict[str, str]
    sums: dict[str, str]
    manifests: dict[str, dict[str, Any]]
    root: dict[str, Any]

    @cached_property
    def pages(self) -> frozenset[str]:
        """Papers whose page was built."""
        built = (_PAGE.fullmatch(name) for name in self.receipts)
        return frozenset({*self.manifests, *(page[1] for page in built if page)})

    @cached_property
    def listed(self) -> frozenset[str]:
        """Receipts that some page was built from."""
        names = {name for manifest in self.manifests.values() for name in manifest["receipts"]}
        for paper in self.pages:
            page = self.receipts.get(f"receipts/{paper}/build_report.json")
            names.update(filter(_is_receipt, page["recipe"]["inputs"] if page else ()))
        return frozenset(names)

    @cached_property
    def producers(self) -> dict[str, str]:
        """Name of the receipt that tells how a file was made.

        A rule that was renamed leaves its old receipt behind: of several the one that a manifest names counts, then the
        last.
        """
        order = sorted(self.receipts, key=lambda name: (name in self.listed, self.receipts[name]["run"]["end"]))
        return {file: name for name in order for file in self.receipts[name]["outputs"]}

    @cached_property
    def consumers(self) -> dict[str, list[str]]:
        """Names of the receipts of all jobs that read a file."""
        found: dict[str, list[str]] = {}
        for name, receipt in self.receipts.items():
            for file in receipt["recipe"]["inputs"]:
                found.setdefault(file, []).append(name)
        return found

    @cached_property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """Per receipt, the receipts of the jobs whose outputs its job read, in the order of its inputs."""
        made, found = self.producers, {}
        for name, receipt in self.receipts.items():
            found[name] = tuple(dict.fromkeys(made[file] for file in receipt["recipe"]["inputs"] if file in made))
        return found

    def rule(self, name: str) -> str:
        """The rule of a receipt; of one that is gone, what its path says."""
        if name in self.receipts:
            return str(self.receipts[name]["recipe"]["rule"])
        parts = name.split("/")
        return parts[2] if len(parts) > 3 else parts[-1].partition(".")[0]

    def environment(self, name: str) -> dict[str, Any]:
        """The environment that a receipt's job ran in; empty where its record is gone or is none."""
        identity = self.receipts[name]["environment"]
        try:
            value = json.loads((self.folder / _stored("environment", identity)).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}


def _stored(kind: str, identity: str) -> str:
    suffix = {"environment": ".json", "code": ".py", "patch": ".diff"}[kind]
    return f"receipts/store/{kind}/{identity}{suffix}"


def read_record(folder: Path) -> Record:
    """Every receipt of the run in `folder`, its manifests and its root. Raises NoRun where the folder is no run's."""
    if not (folder / "receipts").is_dir() and not (folder / "run.json").is_file():
        raise NoRun(f"{folder} is no run: it has neither receipts/ nor run.json")
    receipts: dict[str, Receipt] = {}
    flawed: dict[str, str] = {}
    sums: dict[str, str] = {}
    summaries: dict[str, dict[str, Any]] = {}
    for name in _json_files(folder):
        try:
            content = (folder / name).read_bytes()
            value = json.loads(content)
        except (OSError, ValueError) as error:
            flawed[name] = f"cannot be read: {error}"
            continue
        sums[name] = hashlib.sha256(content).hexdigest()
        if _SUMMARIES.fullmatch(name):
            summaries[name] = value if isinstance(value, dict) else {}
        elif flaw := _flaw(value, name):
            flawed[name] = flaw
        else:
            receipts[name] = value
    manifests = {name.split("/")[1]: _manifest(value) for name, value in summaries.items() if _is_manifest(name)}
    return Record(folder, receipts, flawed, sums, manifests, summaries.get("receipts/root.json", {}))


def _json_files(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder / "receipts"):
        folders[:] = sorted(set(folders) - ({"store"} if Path(place) == folder / "receipts" else set()))
        base = Path(place).relative_to(folder).as_posix()
        yield from (f"{base}/{file}" for file in sorted(files) if file.endswith(".json") and file[0] != ".")


def _is_manifest(name: str) -> bool:
    return name.endswith("/manifest.json")


def _manifest(value: dict[str, Any]) -> dict[str, Any]:
    receipts = value.get("receipts")
    return {"receipts": receipts if isinstance(receipts, dict) else {}, "root": value.get("root")}


def _flaw(value: Any, name: str) -> str | None:
    """Why a JSON value is not the receipt `name`; None where it is."""
    if not isinstance(value, dict):
        return "is no receipt"
    recipe = value.get("recipe")
    parts = [part for part, kind in _PARTS.items() if not isinstance(value.get(part), kind)]
    if not parts and isinstance(recipe, dict):
        parts = [part for part, kind in _PARTS_OF_RECIPE.items() if not isinstance(recipe.get(part), kind)]
    if parts:
        return f"lacks {', '.join(parts)}"
    if not isinstance(value.get("git"), (dict, type(None))):
        return "names no commit"
    if not all(_TIME.fullmatch(str(value["run"].get(time))) for time in ("start", "end")):
        return "lacks the times of its job"
    if any(not isinstance(entry, dict) for entry in value["outputs"].values()):
        return "lacks the hashes of its outputs"
    sums = [*value["recipe"]["inputs"].values(), *(entry.get("sha256") for entry in value["outputs"].values())]
    sums += [value["environment"], *value["code"].values()]
    sums += [value["git"]["dirty"]] if value.get("git") and value["git"].get("dirty") else []
    if not all(isinstance(sha256, str) and _SHA256.fullmatch(sha256) for sha256 in sums):
        return "names files without a sha256"
    if any(file.startswith("/") or ".." in file.split("/") for file in value["outputs"]):
        return "names an output outside of the run"
    written = _inner(value["call"], "output", "receipt")
    return None if written == name else f"was written as {written}"


def _inner(value: Any, *keys: str) -> Any:
    """What stands under nested keys, None where something on the way is missing or of another kind."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def upstream(record: Record, file: str) -> list[str]:
    """Receipts of all jobs that a file rests on: its own first, each one before those whose outputs it read.

    file: as receipts name it. Empty for a file that no job wrote.
    """
    producer = record.producers.get(file)
    return chain(record, producer) if producer else []


def chain(record: Record, receipt: str) -> list[str]:
    """A job and all that it rests on: receipts, each one before those whose outputs it read."""
    order: list[str] = []
    seen = {receipt}
    # Depth first without recursion: a job is put down when all that it rests on has been.
    stack = [(receipt, iter(record.sources[receipt]))]
    while stack:
        name, sources = stack[-1]
        following = next((source for source in sources if source not in seen), None)
        if following is None:
            order.append(name)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(record.sources[following])))
    return order[::-1]


@dataclass(frozen=True)
class Exhibit:
    """A figure, gallery or table of a paper. files: empty where its receipt is gone."""

    paper: str
    name: str
    rule: str
    receipt: str
    files: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.name} of {self.paper}"


def exhibits(record: Record) -> list[Exhibit]:
    """The exhibits of a run, by paper and name: those that the paper's page shows, or all while it has no page."""
    found = []
    for name in sorted({*record.receipts, *record.flawed, *record.listed}):
        place = _RECEIPT_OF_EXHIBIT.fullmatch(name)
        if place and (place[1] not in record.pages or name in record.listed):
            files = tuple(record.receipts[name]["outputs"]) if name in record.receipts else ()
            found.append(Exhibit(place[1], place[3], place[2], name, files))
    return sorted(found, key=lambda exhibit: (exhibit.paper, exhibit.name))


# ---------------------------------------------------------------------------------------------------------------------
# The audit


@dataclass(frozen=True)
class Finding:
    """One thing that is not as the record says.

    rule: of the job that it is about, "" where there is none. exhibits: those downstream, as "fig2 of dirnet".
    """

    kind: str
    file: str
    rule: str
    what: str
    exhibits: tuple[str, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether it could change a result."""
        return self.kind not in REMARKS


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    words: per exhibit, as "fig2 of dirnet". origins: per dataset its origin classes and the members of its archives, each
    with its sha256 and its state. root: the hash over the whole record, of the run or of its only paper, else None.
    """

    run: str
    root: str | None
    receipts: int
    files: int
    bytes: int
    findings: tuple[Finding, ...]
    exhibits: tuple[Exhibit, ...]
    words: dict[str, str]
    origins: tuple[dict[str, Any], ...]

    @property
    def status(self) -> int:
        """0, or 1 where a finding could change a result."""
        return int(any(finding.counts for finding in self.findings))


def audit(folder: Path) -> Audit:
    """Audit the run in `folder`; nothing is written. Raises NoRun where the folder is no run's."""
    return _Auditor(read_record(folder)).run()


@dataclass(frozen=True)
class _Table:
    """The table of a dataset's archive members. rows: None where it is gone or is no such table."""

    dataset: str
    rows: dict[str, dict[str, str]] | None


class _Auditor:
    """One pass over a record. What one check finds keeps the next from naming the same thing again."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.findings: list[Finding] = []
        self.sums: dict[str, str | None] = dict(record.sums)
        self.bytes = 0
        # Receipts that are not what was written, and files that are not what their receipt says.
        self.distrusted: set[str] = set()
        self.unsound: set[str] = set()
        # Members of archives that are named already: the job that fetched them comes before those that read them.
        self.unpinned: set[str] = set()
        self.exhibits = exhibits(record)
        self.labels = {exhibit.receipt: exhibit.label for exhibit in self.exhibits}
        self.shown = {(exhibit.paper, exhibit.name): exhibit for exhibit in self.exhibits}
        self.words: dict[str, str] = {exhibit.label: ORDER[0] for exhibit in self.exhibits}

    def run(self) -> Audit:
        pins = self._check_records()
        self._check_files()
        tables = self._tables()
        self._check_chain(pins, tables)
        self._check_unrecorded()
        self._check_store()
        self._check_what_jobs_noticed()
        self._check_environments()
        self._check_unlisted()
        for finding in self.findings:
            for label in finding.exhibits:
                words = (self.words.get(label, ORDER[0]), WORDS.get(finding.kind, ORDER[0]))
                self.words[label] = max(words, key=ORDER.index)
        return Audit(
            run=self.record.folder.resolve().name,
            root=self._root(),
            receipts=len(self.record.receipts),
            files=sum(sha256 is not None for sha256 in self.sums.values()),
            bytes=self.bytes,
            findings=tuple(self.findings),
            exhibits=tuple(self.exhibits),
            words=self.words,
            origins=tuple(self._origin(table) for table in tables.values()),
        )

    # Helpers

    def _root(self) -> str | None:
        roots = [manifest["root"] for manifest in self.record.manifests.values()]
        return self.record.root.get("root") or (roots[0] if len(roots) == 1 else None)

    def _add(self, kind: str, file: str, rule: str, what: str, found: Iterable[str] = ()) -> None:
        self.findings.append(Finding(kind, file, rule, what, tuple(sorted(set(found)))))

    def _below(self, jobs: Iterable[str]) -> set[str]:
        """Exhibits among some jobs and all that read what they made, at any remove."""
        seen = set(jobs)
        todo = list(seen)
        while todo:
            name = todo.pop()
            outputs = self.record.receipts[name]["outputs"] if name in self.record.receipts else ()
            for reader in (job for file in outputs for job in self.record.consumers.get(file, ())):
                if reader not in seen:
                    seen.add(reader)
                    todo.append(reader)
        return {self.labels[name] for name in seen if name in self.labels}

    def _below_file(self, file: str) -> set[str]:
        """Exhibits that a file is part of, or that rest on it."""
        own = self.record.producers.get(file)
        found = self._below(self.record.consumers.get(file, ()))
        return found | ({self.labels[own]} if own in self.labels else set())

    def _sum(self, name: str) -> str | None:
        """sha256 of a file of the run, read once; None where it is not there or cannot be read."""
        if name not in self.sums:
            path = self.record.folder / name
            try:
                self.sums[name] = sha256_file(path)
                self.bytes += path.stat().st_size
            except (OSError, ValueError):
                # ValueError: a name that no file can have.
                self.sums[name] = None
        return self.sums[name]

    # Receipts against themselves, the manifests and the root

    def _check_records(self) -> dict[str, dict[str, None]]:
        """Returns, per job, the receipts that were made anew since it read them."""
        for name, flaw in self.record.flawed.items():
            self._distrust(name, f"The receipt {flaw}.")
        for name, receipt in self.record.receipts.items():
            if sha256_json(receipt["recipe"]) != receipt["recipe_id"]:
                self._distrust(name, "The recipe does not give the recipe_id that stands beside it.")
        newer: dict[str, dict[str, None]] = {}
        gone: dict[str, None] = {}
        for name, sha256, job in self._pins():
            found = self.record.sums.get(name)
            if found is None and name not in self.record.flawed:
                gone[name] = None
            elif found != sha256 and name not in self.distrusted:
                if job in self.record.receipts and name in self.record.receipts and self._is_newer(name, job):
                    newer.setdefault(job, {})[name] = None
                else:
                    self._distrust(name, f"The receipt has sha256 {_short(found)}, and {job} read {_short(sha256)}.")
        for name in gone:
            what = "The receipt is gone: nothing says any more how its files were made."
            found_below = self._below([name]) | self._below_lost(name)
            self._add("record-missing", name, self.record.rule(name), what, found_below)
        self._check_roots()
        return newer

    def _distrust(self, name: str, what: str) -> None:
        self.distrusted.add(name)
        self._add("record-changed", name, self.record.rule(name), what, self._below([name]) | self._below_lost(name))

    def _is_newer(self, name: str, than: str) -> bool:
        """Whether a job began after another had ended, so that this other could not know its receipt."""
        return bool(self.record.receipts[name]["run"]["start"] >= self.record.receipts[than]["run"]["end"])

    def _pins(self) -> Iterator[tuple[str, str, str]]:
        """Receipts that were read by later jobs: their name, the sha256 that they had, and the later job's receipt."""
        for paper, manifest in self.record.manifests.items():
            if self._is_sound_manifest(paper):
                for name, sha256 in manifest["receipts"].items():
                    yield name, sha256, f"receipts/{paper}/build_report.json"
        for job, receipt in self.record.receipts.items():
            for name, sha256 in receipt["recipe"]["inputs"].items():
                if _is_receipt(name) and job not in self.distrusted:
                    yield name, sha256, job

    def _is_sound_manifest(self, paper: str) -> bool:
        name, manifest = f"receipts/{paper}/manifest.json", self.record.manifests[paper]
        job = self.record.receipts.get(self.record.producers.get(name, ""))
        written = job is None or job["outputs"][name]["sha256"] == self.record.sums[name]
        return written and sha256_json(manifest["receipts"]) == manifest["root"]

    def _below_lost(self, receipt: str) -> set[str]:
        """Exhibits that rest on files without a receipt in the part of the run that a lost receipt belongs to."""
        parts = receipt.split("/")
        if len(parts) < 4:
            return set()
        part = f"data/{Path(receipt).stem}/" if parts[1] == "data" else f"{parts[1]}/"
        files = [f for f in self.record.consumers if f.startswith(part) and f not in self.record.producers]
        return {label for file in files for label in self._below_file(file)}

    def _check_roots(self) -> None:
        papers, root = self.record.root.get("papers"), self.record.root.get("root")
        if self.record.root and sha256_json(papers) != root:
            self._distrust("receipts/root.json", "The run's root is not the hash of the papers' roots.")
        named = papers if isinstance(papers, dict) and "receipts/root.json" not in self.distrusted else {}
        for paper, manifest in self.record.manifests.items():
            name = f"receipts/{paper}/manifest.json"
            if sha256_json(manifest["receipts"]) != manifest["root"]:
                self._distrust(name, "The manifest's root is not the hash of the receipts that it lists.")
            elif named.get(paper, manifest["root"]) != manifest["root"] and not self._page_is_newer(paper):
                what = f"The manifest has the root {_short(manifest['root'])}, and that of the run names "
                self._distrust(name, f"{what}{_short(named[paper])}.")

    def _page_is_newer(self, paper: str) -> bool:
        page, index = f"receipts/{paper}/build_report.json", "receipts/build_index.json"
        return {page, index} <= set(self.record.receipts) and self._is_newer(page, index)

    # Files against their receipts

    def _check_files(self) -> None:
        for name, receipt in self.record.receipts.items():
            for file, entry in receipt["outputs"].items():
                if self.record.producers[file] != name:
                    continue
                found = self._sum(file)
                if found == entry["sha256"]:
                    continue
                self.unsound.add(file)
                if found is None:
                    self._add("missing", file, self.record.rule(name), "The file is not there.", self._below_file(file))
                elif file not in self.distrusted:
                    what = f"The file has sha256 {_short(found)}, and its receipt says {_short(entry['sha256'])}."
                    self._add("changed", file, self.record.rule(name), what, self._below_file(file))

    # What jobs read against what others wrote

    def _check_chain(self, newer: dict[str, dict[str, None]], tables: dict[str, _Table]) -> None:
        for name, receipt in self.record.receipts.items():
            if name in self.distrusted:
                continue
            older = [f"{file} as it was before that job ran again" for file in newer.get(name, ())]
            for file, sha256 in receipt["recipe"]["inputs"].items():
                producer = self.record.producers.get(file)
                if producer is None or producer in self.distrusted or file in self.unsound:
                    continue
                present = self.record.receipts[producer]["outputs"][file]["sha256"]
                if present != sha256:
                    older.append(f"{file} as it was with sha256 {_short(sha256)}, not {_short(present)} as it is now")
            older += self._check_members(name, tables)
            if older:
                file = next(iter(receipt["outputs"]), name)
                what = f"Built from {_list(older)}."
                self._add("generation", file, self.record.rule(name), what, self._below([name]))

    def _check_members(self, name: str, tables: dict[str, _Table]) -> list[str]:
        """Hold the archive members that a job read to the table of its dataset; returns those that were others."""
        receipt, others = self.record.receipts[name], []
        rule, inputs = self.record.rule(name), receipt["recipe"]["inputs"]
        dataset = dataset_of(receipt)
        source = f"data/{dataset}/source.csv"
        if rule == "prepare_dataset" and source not in inputs:
            what = "The images were read without the table that pins their archive."
            self._add("source-unpinned", source, rule, what, self._below([name]))
        rows = tables[dataset].rows if dataset in tables else None
        if source in self.unsound or source not in self.record.producers:
            return []
        if not rows and source in receipt["outputs"]:
            self._add("source-unpinned", source, rule, "The table pins no file of the archive.", self._below([name]))
        if not rows:
            return []
        for file in _members(receipt):
            row = rows.get(_member_name(receipt, dataset, file))
            if row is None or (rule == "fetch_dataset" and row["sha256"] != inputs[file]):
                what = f"{source} does not pin this file, which the job read."
                if file not in self.unpinned:
                    self._add("source-unpinned", file, rule, what, self._below([name]))
                self.unpinned.add(file)
            elif row["sha256"] != inputs[file]:
                others.append(f"{file} with sha256 {_short(inputs[file])}, and {source} pins {_short(row['sha256'])}")
        return others

    # Files that no receipt names

    def _check_unrecorded(self) -> None:
        read = {file for file in self.record.consumers if not self._is_known(file)}
        lying = {file for file in _walk(self.record.folder) if not self._is_known(file)}
        left: dict[str, list[str]] = {}
        for file in sorted(read | lying):
            place = _FILE_OF_EXHIBIT.fullmatch(file)
            if file not in read and not place and (owner := self._unfinished_owner(file)):
                left.setdefault(owner, []).append(file)
                continue
            jobs = self.record.consumers.get(file, [])
            what = "No receipt says how this file was made"
            what += "." if file in lying else ", and it is not there."
            what += f" It was read by {_list(sorted({self.record.rule(job) for job in jobs}))}." if jobs else ""
            found = self._below(jobs) | (self._exhibit_without_receipt(place[1], place[2]) if place else set())
            self._add("record-missing", file, self.record.rule(jobs[0]) if jobs else "", what, found)
        for owner, files in left.items():
            what = f"Without a receipt lie {_list(files)}: a job that is running or was killed left them, and none read them."
            self._add("unfinished", owner, "", what)

    def _exhibit_without_receipt(self, paper: str, name: str) -> set[str]:
        # A file beside an exhibit that has its receipt is no part of it.
        shown = self.shown.get((paper, name))
        return set() if shown and shown.files else {f"{name} of {paper}"}

    def _is_known(self, file: str) -> bool:
        if file in self.record.producers or file.startswith("project/") or _NO_RESULT.fullmatch(file):
            return True
        if _is_receipt(file):
            # Those that are gone are named where the manifests are checked.
            return True
        return self._is_archive_elsewhere(file) and not (self.record.folder / file).exists()

    def _is_archive_elsewhere(self, file: str) -> bool:
        """Whether a file lies with the user, whom no receipt names: a member of an archive, or the anatomy of a stand-in."""
        jobs = [self.record.receipts[name] for name in self.record.consumers.get(file, ())]
        return bool(jobs) and all(
            file in (*_members(job), *_inputs(job, "anatomy")) and job["call"].get("location") is None for job in jobs
        )

    def _unfinished_owner(self, file: str) -> str | None:
        """The paper or dataset that a file would belong to, where its last receipt is not there yet."""
        parts = file.split("/")
        if parts[0] == "data" and len(parts) > 2:
            last = f"receipts/data/prepare_dataset/{parts[1]}.json"
            return None if last in self.record.receipts else f"data/{parts[1]}"
        if len(parts) < 3 or parts[0] in ("receipts", "report"):
            return None
        return None if parts[0] in self.record.pages else parts[0]

    # Environments, code and patches, which are kept once by their hash

    def _check_store(self) -> None:
        named: dict[str, tuple[str, list[str]]] = {}
        for name, receipt in self.record.receipts.items():
            entries = [("environment", receipt["environment"])]
            entries += [("code", identity) for identity in receipt["code"].values()]
            if (receipt.get("git") or {}).get("dirty"):
                entries.append(("patch", receipt["git"]["dirty"]))
            for kind, identity in entries:
                named.setdefault(_stored(kind, str(identity)), (str(identity), []))[1].append(name)
        for file, (identity, jobs) in named.items():
            found = self._sum(file)
            if found != identity:
                kind = "record-missing" if found is None else "record-changed"
                what = "is not there" if found is None else f"has sha256 {_short(found)} in place of that in its name"
                what = f"What {_count(len(jobs), 'receipt')} names {what}."
                rules = {self.record.rule(job) for job in jobs}
                self._add(kind, file, rules.pop() if len(rules) == 1 else "", what, self._below(jobs))

    # What jobs noticed themselves

    def _check_what_jobs_noticed(self) -> None:
        dirty: list[str] = []
        untracked: set[str] = set()
        for name, receipt in self.record.receipts.items():
            rule = self.record.rule(name)
            for key in ("undeclared_reads", "undeclared_writes", "undeclared_code"):
                kind = key.replace("_", " ")
                for file in receipt[key]:
                    self._add(kind, str(file), rule, f"{name} tells of it.", self._below([name]))
            if receipt["network"] and not _is_download(receipt):
                what = f"The job connected to {_list(map(str, receipt['network']))}."
                self._add("network", name, rule, what, self._below([name]))
            git = receipt.get("git") or {}
            dirty += [name] if git.get("dirty") else []
            untracked.update(map(str, git["untracked"]) if isinstance(git.get("untracked"), list) else ())
        if dirty:
            what = f"{_count(len(dirty), 'job')} ran with uncommitted changes, which receipts/store/patch keeps."
            self._add("dirty", dirty[0], "", what)
        if untracked:
            self._add("dirty", min(untracked), "", f"No commit holds {_list(sorted(untracked))}.")

    # Environments against each other

    def _check_environments(self) -> None:
        versions = {name: self._versions(name) for name in self.record.receipts}
        mixed: dict[str, dict[str, set[str]]] = {}
        named: dict[str, set[str]] = {}
        for exhibit in self.exhibits:
            jobs = chain(self.record, exhibit.receipt) if exhibit.files else []
            for package, found in _differing(jobs, versions).items():
                named.setdefault(package, set()).add(exhibit.label)
                _merge(mixed.setdefault(package, {}), found)
        for jobs in self._alike().values():
            for package, found in _differing(jobs, versions).items():
                named.setdefault(package, set()).update(self._below(_odd(found)))
                _merge(mixed.setdefault(package, {}), found)
        for package in sorted(mixed):
            found = mixed[package]
            first = min(_odd(found))
            parts = [f"{version} in {_jobs(sorted(jobs))}" for version, jobs in sorted(found.items())]
            self._add("mixed-environment", first, self.record.rule(first), f"{package} {_list(parts)}.", named[package])

    def _versions(self, name: str) -> dict[str, str]:
        identity = self.record.receipts[name]["environment"]
        if identity not in self._known_versions:
            record = self.record.environment(name)
            packages = record.get("packages")
            found = {"Python": str(record["python"])} if "python" in record else {}
            for package, version in packages.items() if isinstance(packages, dict) else ():
                if computes(package):
                    found[package] = str(version)
            self._known_versions[identity] = found
        return self._known_versions[identity]

    @cached_property
    def _known_versions(self) -> dict[str, dict[str, str]]:
        return {}

    def _alike(self) -> dict[tuple[str, str], list[str]]:
        """Jobs of one rule and one environment file, which should have loaded the same."""
        found: dict[tuple[str, str], list[str]] = {}
        for name, receipt in self.record.receipts.items():
            file = str(_inner(receipt["call"], "params", "env", "file"))
            found.setdefault((self.record.rule(name), file), []).append(name)
        return found

    def _check_unlisted(self) -> None:
        for paper in sorted(self.record.pages):
            own = f"receipts/{paper}/"
            names = [n for n in self.record.receipts if n.startswith(own) and n not in self.record.listed]
            for name in names:
                if self.record.rule(name) != "build_report":
                    what = "The paper's page does not list this job: it is left from another plan, or came later."
                    self._add("unlisted", name, self.record.rule(name), what)

    # Where the data come from

    def _tables(self) -> dict[str, _Table]:
        named = {name.split("/")[1] for name in self.record.producers if re.fullmatch(r"data/[^/]+/source\.csv", name)}
        named |= {dataset_of(r) for r in self.record.receipts.values() if r["recipe"]["rule"] == "prepare_dataset"}
        return {dataset: _Table(dataset, self._rows(dataset)) for dataset in sorted(named)}

    def _rows(self, dataset: str) -> dict[str, dict[str, str]] | None:
        try:
            text = (self.record.folder / "data" / dataset / "source.csv").read_text(encoding="utf-8")
            rows = list(csv.DictReader(io.StringIO(text)))
        except (OSError, UnicodeDecodeError, csv.Error):
            return None
        if not all(
            {"member", "sha256", "origin"} <= set(row) and _SHA256.fullmatch(row["sha256"] or "") for row in rows
        ):
            return None
        return {row["member"]: row for row in rows}

    def _origin(self, table: _Table) -> dict[str, Any]:
        rows = (table.rows or {}).values()
        members = [
            {
                "member": r["member"],
                "sha256": r["sha256"],
                "origin": r["origin"],
                "state": self._state(table.dataset, r),
            }
            for r in rows
        ]
        return {"dataset": table.dataset, "origins": sorted({row["origin"] for row in rows}), "members": members}

    def _state(self, dataset: str, row: dict[str, str]) -> str:
        file = f"data/{dataset}/standin/{row['member']}"
        if file not in self.record.producers:
            return "pinned, not present"
        found = self._sum(file)
        return "missing" if found is None else "verified" if found == row["sha256"] else "altered"


def _is_receipt(file: str) -> bool:
    return file.startswith("receipts/") and file.endswith(".json") and not _SUMMARIES.fullmatch(file)


def _is_download(receipt: Receipt) -> bool:
    recipe = receipt["recipe"]
    return bool(recipe["rule"] == "fetch_dataset" and recipe["params"].get("mode") == "download")


def dataset_of(receipt: Receipt) -> str:
    """The dataset that a job fetches, reads or measures."""
    recipe = receipt["recipe"]
    return str(recipe["wildcards"].get("dataset") or recipe["params"].get("dataset"))


def _members(receipt: Receipt) -> list[str]:
    """Inputs of a job that are members of an archive."""
    return _inputs(receipt, "members")


def _inputs(receipt: Receipt, name: str) -> list[str]:
    """Inputs of a job that its rule has under one name."""
    files = _inner(receipt["call"], "input", name)
    files = files if isinstance(files, list) else [files]
    return [file for file in files if isinstance(file, str) and file in receipt["recipe"]["inputs"]]


def _member_name(receipt: Receipt, dataset: str, file: str) -> str:
    folder = str(receipt["call"].get("location") or f"data/{dataset}")
    return file[len(folder) + 1 :] if file.startswith(f"{folder}/") else file


def _walk(folder: Path) -> Iterator[str]:
    """Files of a run by their names, the store and the checkpoints left out."""
    for place, folders, files in os.walk(folder):
        base = os.path.relpath(place, folder).replace(os.sep, "/")
        if base == ".":
            base, folders[:] = "", [name for name in folders if name != "checkpoints"]
        elif base == "receipts":
            folders[:] = [name for name in folders if name != "store"]
        yield from (f"{base}/{file}" if base else file for file in files)


def computes(package: str) -> bool:
    """Whether a package's version can move a number; others are loaded beside the work."""
    return not _NOT_COMPUTING.fullmatch(package)


def _differing(jobs: Collection[str], versions: dict[str, dict[str, str]]) -> dict[str, dict[str, set[str]]]:
    """Packages of which some jobs loaded different versions: per package and version, the jobs."""
    found: dict[str, dict[str, set[str]]] = {}
    # Jobs that share an environment share its dictionary, so that each is looked through once.
    alike: dict[int, list[str]] = {}
    for job in jobs:
        alike.setdefault(id(versions[job]), []).append(job)
    for same in alike.values():
        for package, version in versions[same[0]].items():
            found.setdefault(package, {}).setdefault(version, set()).update(same)
    return {package: by_version for package, by_version in found.items() if len(by_version) > 1}


def _merge(into: dict[str, set[str]], found: dict[str, set[str]]) -> None:
    for version, jobs in found.items():
        into.setdefault(version, set()).update(jobs)


def _odd(found: dict[str, set[str]]) -> set[str]:
    """Jobs whose version is not the one that most have; all of them where no version is ahead."""
    most = max(len(jobs) for jobs in found.values())
    usual = [version for version, jobs in found.items() if len(jobs) == most]
    return {job for version, jobs in found.items() if len(usual) > 1 or version != usual[0] for job in jobs}


# ---------------------------------------------------------------------------------------------------------------------
# The audit as text


def _short(sha256: Any) -> str:
    return str(sha256)[:12]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _list(words: Iterable[str], most: int = 5) -> str:
    all_words = list(words)
    more = len(all_words) - most
    return ", ".join(all_words[:most]) + (f" and {more} more" if more > 0 else "")


def _jobs(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{_count(len(names), 'job')} such as {names[0]}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _finding_lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.kind}: {finding.file}" + (f" ({finding.rule})" if finding.rule else "")
    yield f"  {finding.what}"
    if finding.exhibits:
        yield f"  exhibits: {_list(finding.exhibits, 1000)}"


def _origin_lines(origin: dict[str, Any]) -> Iterator[str]:
    states: dict[str, int] = {}
    for member in origin["members"]:
        states[member["state"]] = states.get(member["state"], 0) + 1
    told = _list([f"{_count(number, 'file')} {state}" for state, number in sorted(states.items())]) or "not pinned"
    yield f"data {origin['dataset']}: {_list(origin['origins']) or 'unknown'}; {told}"


def text_of(found: Audit) -> str:
    """The audit for people: what was looked at, each finding, and a word for each exhibit."""
    root = f"; root {found.root}" if found.root else ""
    lines = [f"run {found.run}: {_count(found.receipts, 'receipt')}, {_count(found.files, 'file')} hashed"]
    lines[0] += f" ({_size(found.bytes)}){root}"
    for origin in found.origins:
        lines += _origin_lines(origin)
    # What most exhibits rest on is told first.
    for finding in sorted(found.findings, key=lambda finding: (not finding.counts, -len(finding.exhibits))):
        lines += ["", *_finding_lines(finding)]
    if found.words:
        width = max(map(len, found.words))
        lines += ["", *(f"{label:<{width}}  {word}" for label, word in sorted(found.words.items(), key=_by_paper))]
    return "\n".join([*lines, "", summary_of(found)])


def _by_paper(entry: tuple[str, str]) -> tuple[str, str]:
    name, _, paper = entry[0].rpartition(" of ")
    return paper, name


def summary_of(found: Audit) -> str:
    """One line: how many exhibits have each word, and how many findings could change a result."""
    words = list(found.words.values())
    told = _list([f"{words.count(word)} {word}" for word in ORDER if word in words]) or "none"
    serious = sum(finding.counts for finding in found.findings)
    remarks = len(found.findings) - serious
    return f"{_count(len(words), 'exhibit')}: {told}; {_count(serious, 'finding')}, {_count(remarks, 'remark')}"


def json_of(found: Audit) -> str:
    """The audit for machines."""
    exhibits_ = [{**asdict(exhibit), "word": found.words[exhibit.label]} for exhibit in found.exhibits]
    value = {**asdict(found), "exhibits": exhibits_, "status": found.status}
    return json.dumps(value, indent=1, ensure_ascii=False)


def main(arguments: list[str] | None = None) -> int:
    """Audit a folder and print the outcome; returns the exit status."""
    parser = argparse.ArgumentParser(description="Audit a run of reregister: its files, its receipts and their chain.")
    parser.add_argument(
        "folder", type=Path, nargs="?", help="folder of the run (default: the one that this file lies in)"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print the outcome as JSON")
    how.add_argument("--quiet", action="store_true", help="print the findings alone, one line each")
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name from a damaged record is shown as it is, not refused.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        found = audit(options.folder or Path(__file__).resolve().parent)
    except NoRun as error:
        print(f"audit: {error}; give the folder of a run, such as results/demo", file=sys.stderr)
        return 2
    if options.json:
        print(json_of(found))
    elif options.quiet:
        for finding in found.findings:
            if finding.counts:
                print(next(_finding_lines(finding)))
    else:
        print(text_of(found))
    return found.status


if __name__ == "__main__":
    sys.exit(main())
