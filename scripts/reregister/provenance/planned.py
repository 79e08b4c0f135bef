"""The jobs that the present configuration and code give, as Snakemake plans them. Standard library only.

`scripts/snakemake_report_plugin_plan` writes them, and `plan_of` reads them back: this needs neither a finished run nor
`.snakemake`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reregister.errors import ReregisterError
from reregister.provenance.closure import SCRIPTS
from reregister.provenance.files import write_json
from reregister.provenance.job import Job, flat, name_of

PROJECT = SCRIPTS.parent


@dataclass(frozen=True)
class PlannedJob:
    """One job of the plan, with files named as receipts name them.

    params: all of them, those that enter no recipe too. inputs: name to path. outputs: without the receipt.
    """

    rule: str
    wildcards: dict[str, str]
    params: dict[str, Any]
    inputs: dict[str, str]
    outputs: list[str]
    receipt: str

    @property
    def label(self) -> str:
        """The job in words: its rule and where its receipt lies, which tells apart rules without wildcards too."""
        place = Path(self.receipt).relative_to("receipts").with_suffix("").parts
        return " ".join([self.rule, *(part for part in place if part != self.rule)])

    @property
    def exhibit(self) -> str | None:
        """`paper/exhibit` where the job makes one."""
        names = self.wildcards
        return f"{names['paper']}/{names['exhibit']}" if "exhibit" in names else None


@dataclass(frozen=True)
class RunPlan:
    """The jobs of one run in the order of the work. run_folder: relative to the working folder."""

    run_folder: Path
    jobs: tuple[PlannedJob, ...]

    @cached_property
    def makers(self) -> dict[str, PlannedJob]:
        """The job that makes a file, by the file's name; receipts are files too."""
        return {name: job for job in self.jobs for name in (*job.outputs, job.receipt)}

    def needed(self, wanted: Iterable[PlannedJob]) -> list[PlannedJob]:
        """Some jobs and all that they are made from, in the order of the work."""
        todo, found = list(wanted), set()
        while todo:
            job = todo.pop()
            if job.receipt not in found:
                found.add(job.receipt)
                todo += [self.makers[name] for name in job.inputs if name in self.makers]
        return [job for job in self.jobs if job.receipt in found]

    def made_from(self, origins: Iterable[PlannedJob]) -> list[PlannedJob]:
        """The jobs that take what some jobs make, at any remove, without those jobs."""
        reached = {job.receipt for job in origins}
        users = []
        for job in self.jobs:
            makers = {self.makers[name].receipt for name in job.inputs if name in self.makers}
            if makers & reached and job.receipt not in reached:
                reached.add(job.receipt)
                users.append(job)
        return users


def planned(job: Job) -> PlannedJob:
    """A job as the plan keeps it."""
    receipt = name_of(job, job.output.receipt)
    return PlannedJob(
        rule=job.rule,
        wildcards=job.wildcards,
        params=vars(job.params),
        inputs={name_of(job, path): str(path) for path in flat(job.input)},
        outputs=[name for path in flat(job.output) if (name := name_of(job, path)) != receipt],
        receipt=receipt,
    )


def write_plan(path: Path, jobs: Sequence[Job]) -> None:
    """Write jobs, in the order of the work, for `read_plan`."""
    folders = {str(job.run_folder) for job in jobs}
    # Params keep their order, as in receipts.
    write_json(path, {"run_folders": sorted(folders), "jobs": [asdict(planned(job)) for job in jobs]}, sort_keys=False)


def read_plan(path: Path) -> RunPlan:
    """What `write_plan` wrote. Raises ReregisterError where the jobs are not those of one run."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if len(content["run_folders"]) != 1:
        raise ReregisterError("the targets make no result of a run; name papers or files of one run")
    return RunPlan(Path(content["run_folders"][0]), tuple(PlannedJob(**job) for job in content["jobs"]))


def snakemake_command(targets: Sequence[str], words: Sequence[str], *options: str) -> list[str]:
    """The call of this project's workflow. words: those after `--config`.

    Raises ReregisterError where the library is not in a checkout, or the working folder is another checkout.
    """
    snakefile, here = PROJECT / "Snakefile", Path("Snakefile")
    if not snakefile.is_file():
        raise ReregisterError(
            f"there is no Snakefile in {PROJECT}; install reregister from a checkout, with pip install -e"
        )
    if here.exists() and not here.samefile(snakefile):
        raise ReregisterError(
            f"this checkout is not the one that this command belongs to, {PROJECT}; run pip install -e . here"
        )
    config = ["--config", *words] if words else []
    return [sys.executable, "-m", "snakemake", *targets, "--snakefile", str(snakefile), *options, *config]


def search_path() -> dict[str, str]:
    """The environment of a call of Snakemake in which it finds the plugin and the library."""
    paths = [str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def plan_of(targets: Sequence[str], words: Sequence[str]) -> RunPlan:
    """The plan of some targets (none: all papers) in the working folder. words: as after `snakemake --config`.

    Raises ReregisterError with what Snakemake said where it cannot plan.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan.json")
        options = ("--cores", "1", "--rerun-incomplete", "--reporter", "plan", "--report-plan-path", str(path))
        command = snakemake_command(targets, words, *options)
        done = subprocess.run(command, env=search_path(), capture_output=True, text=True, check=False)
        if done.returncode or not path.exists():
            raise ReregisterError(_last_error(done.stderr))
        return read_plan(path)


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return said[-1] if said else " ".join(lines[-5:])
