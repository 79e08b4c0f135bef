"""One job of the workflow: what goes in, what comes out, and how the record names its files."""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from reregister.errors import ReregisterError
from reregister.progress import Progress
from reregister.provenance import closure, receipt
from reregister.provenance.child import Seen

PROJECT = closure.SCRIPTS.parent


@dataclass
class Job:
    """One job of the workflow as a script sees it.

    input, output: named paths (a Path, or a list of them); params: named values, the only thing that decides what a
    script does; location: folder of files that belong to the user or the cache (None for most rules).
    """

    rule: str
    script: Path
    run_folder: Path
    input: SimpleNamespace
    output: SimpleNamespace
    params: SimpleNamespace
    wildcards: dict[str, str]
    threads: int
    log: Path | None
    recipe_id: str = ""
    resumed_from: int | None = None
    determinism: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    #: Name, driver and memory_mib of the GPU; None on a CPU.
    gpu: dict[str, Any] | None = None
    #: What the job found amiss though it could go on, a sentence each.
    warnings: list[str] = field(default_factory=list)
    #: Of a network's arithmetic in training, settled by the job; None for jobs that train none.
    precision: str | None = None
    #: What processes that the job started saw, where they kept a watch; what others did is not known.
    seen: Seen = field(default_factory=Seen)

    @property
    def location(self) -> Path | None:
        where = getattr(self.params, "location", None)
        return Path(where) if where else None

    @property
    def checkpoint(self) -> Path:
        """Where this recipe keeps its checkpoint: undeclared, so that Snakemake does not delete it before a rerun."""
        return self.run_folder / "checkpoints" / f"{self.recipe_id}.safetensors"

    def progress(self, total: int, unit: str) -> Progress:
        """A writer of this job's `.progress.jsonl`, beside its log."""
        path = self.log.with_suffix(".progress.jsonl") if self.log else None
        return Progress(path, self.label, total, unit)

    def warn(self, sentence: str) -> None:
        """Say in the log, the receipt and so on the page of the paper what is amiss though the job goes on."""
        print(f"warning: {sentence}", flush=True)
        self.warnings.append(sentence)

    @property
    def label(self) -> str:
        """The job in words, for messages."""
        return " ".join([self.rule, *self.wildcards.values()])

    def own_files(self) -> list[Path]:
        """Files that belong to the job and are no result: log and progress."""
        return [self.log, self.log.with_suffix(".progress.jsonl")] if self.log else []

    def call(self) -> dict[str, Any]:
        """What a later run by hand needs beside the recipe."""
        where, root = self.location and self.location.resolve(), self.run_folder.resolve()
        return {
            "script": f"scripts/{self.script.name}",
            "input": names_of(self, self.input),
            "output": names_of(self, self.output),
            "log": name_of(self, self.log) if self.log else None,
            "params": {"code": self.params.code, "env": self.params.env},
            "location": where.relative_to(root).as_posix() if where and where.is_relative_to(root) else None,
        }


def _as_paths(value: Any) -> Any:
    return Path(value) if isinstance(value, str) else [Path(v) for v in value]


def flat(named: SimpleNamespace) -> Iterator[Path]:
    for value in vars(named).values():
        yield from value if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    """A param as JSON keeps it, whether it came from Snakemake or from a receipt."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return [_plain(v) for v in sorted(value, key=str)]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def from_snakemake(snakemake: Any, script: Path) -> Job:
    output = SimpleNamespace(**{k: _as_paths(v) for k, v in snakemake.output.items()})
    return Job(
        rule=script.stem,
        script=script,
        run_folder=receipt.run_folder_of(output.receipt),
        input=SimpleNamespace(**{k: _as_paths(v) for k, v in snakemake.input.items()}),
        output=output,
        params=SimpleNamespace(**{k: _plain(v) for k, v in snakemake.params.items()}),
        wildcards={k: str(v) for k, v in snakemake.wildcards.items()},
        threads=int(snakemake.threads),
        log=Path(snakemake.log[0]) if snakemake.log else None,
    )


def from_command_line(script: Path) -> Job:
    parser = argparse.ArgumentParser(prog=script.name, description="Run again the job that a receipt records.")
    parser.add_argument("receipt", type=Path)
    parser.add_argument("--into", type=Path, help="run folder to read from and write to (default: the receipt's own)")
    parser.add_argument("--location", type=Path, help="folder of the user's own data, which no receipt names")
    arguments = parser.parse_args()
    try:
        record = receipt.read_receipt(arguments.receipt)
        folder = arguments.into or receipt.run_folder_of(arguments.receipt.resolve())
    except (OSError, ValueError) as error:
        raise ReregisterError(f"cannot use {arguments.receipt} ({error}); give a receipt in its run folder") from None
    call, recipe = record["call"], record["recipe"]
    if recipe["rule"] != script.stem:
        raise ReregisterError(f"{arguments.receipt} records a job of {recipe['rule']}; run it with {call['script']}")

    params = {**recipe["params"], **call["params"]}
    location = arguments.location or (folder / call["location"] if call["location"] else None)
    if location:
        params["location"] = str(location)

    def places(group: dict[str, Any], where: Path | None) -> SimpleNamespace:
        def place(value: str | list[str]) -> Path | list[Path]:
            return (
                [place_of(v, folder, where) for v in value]
                if isinstance(value, list)
                else place_of(value, folder, where)
            )

        return SimpleNamespace(**{key: place(value) for key, value in group.items()})

    return Job(
        rule=recipe["rule"],
        script=script,
        run_folder=folder,
        input=places(call["input"], location),
        # Outputs lie in the run folder: nothing is ever written among the user's own files.
        output=places(call["output"], None),
        params=SimpleNamespace(**params),
        wildcards=recipe["wildcards"],
        threads=record["run"]["threads"],
        log=folder / call["log"] if call["log"] else None,
    )


def name_of(job: Job, path: Path) -> str:
    """How the record names a file.

    Relative to the run folder; `data/<dataset>/<member>` for the user's own; `project/<path>` for a file of the project.
    """
    inside_run = _below(path, job.run_folder)
    if inside_run:
        return inside_run
    member = _below(path, job.location) if job.location else None
    if member:
        # A rule that is not about a dataset alone says which it reads in its params.
        return f"data/{job.wildcards.get('dataset') or job.params.dataset}/{member}"
    inside_project = _below(path, PROJECT)
    return f"project/{inside_project}" if inside_project else f"outside/{path.name}"


def _below(path: Path, folder: Path) -> str | None:
    # As the paths are written first: a member of the user's folder may be a link to another disk.
    written = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    for file, root in (written, (path.resolve(), folder.resolve())):
        if file.is_relative_to(root):
            return file.relative_to(root).as_posix()
    return None


def place_of(name: str, run_folder: Path, location: Path | None) -> Path:
    """Where a file lies that the record names: the inverse of `name_of`."""
    if name.startswith("project/"):
        return PROJECT / name.removeprefix("project/")
    path = run_folder / name
    if location and not path.exists() and name.startswith("data/"):
        return location / name.split("/", 2)[2]
    return path


def names_of(job: Job, group: SimpleNamespace) -> dict[str, Any]:
    """`name_of` for named paths and lists of paths."""

    def names(value: Path | list[Path]) -> str | list[str]:
        return [name_of(job, path) for path in value] if isinstance(value, list) else name_of(job, value)

    return {key: names(value) for key, value in vars(group).items()}
