"""How long Snakemake takes to see what is to be done."""

import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reregister.benchmark.rows import NOT_MEASURED, Row, yes_no

# For a run with nothing left to do, and for the plan of 5,000 jobs.
TARGET_S, TARGET_MANY_S = 5.0, 60.0
_NO_SNAKEMAKE = "not measured: snakemake not in this environment"
_FAILED = "not measured: snakemake -n failed; see the log"
_SNAKEFILE = Path(__file__).resolve().parents[3] / "Snakefile"


def plan_config(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `--config` has to say for a plan of the same run, or None where that would put the user's paths on record.

    config: the whole checked config of a run. Values that are left empty are left out.
    """
    paths = [where for where in config["data"].values() if where not in ("standin", "download")]
    if paths or config["split"]:
        return None
    return {key: value for key, value in config.items() if value not in (None, [], {})}


def _command(config: Mapping[str, Any]) -> list[str]:
    # The Snakemake that runs this job holds the lock of the folder. A plan changes nothing, so it need not wait.
    python = [sys.executable, "-m", "snakemake", "-n", "--nolock", "-s", os.path.relpath(_SNAKEFILE)]
    return [*python, "--config", *(f"{key}={json.dumps(value)}" for key, value in config.items())]


def _jobs(output: str) -> int | None:
    """Number of jobs in the output of a dry run; None where it says nothing of jobs."""
    if "Nothing to be done" in output:
        return 0
    total = re.search(r"^total\s+(\d+)\s*$", output, re.MULTILINE)
    return int(total.group(1)) if total else None


def _timed(config: Mapping[str, Any]) -> tuple[float, int | None]:
    """Seconds of one dry run and the jobs in it, None where it failed."""
    start = time.perf_counter()
    done = subprocess.run(_command(config), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seconds, jobs = time.perf_counter() - start, _jobs(done.stdout)
    if done.returncode or jobs is None:
        # Into the log and not into the table: a message may name folders of the user.
        print(done.stdout)
        return seconds, None
    return seconds, jobs


def _row(name: str, target: float, value: float | None, note: str) -> Row:
    met = NOT_MEASURED if value is None else yes_no(value <= target)
    return Row(name, value, "s", "the target itself", None, f"<= {target:g} s", met, note)


def plan_rows(config: Mapping[str, Any] | None, plans: int, seeds: int) -> list[Row]:
    """Seconds of `snakemake -n` in the current folder, start of Python included: of the run itself, and of a large one.

    config: of `plan_config`. plans: dry runs of the run itself, beside one that does not count. seeds: of the large run.
    """
    return [dry_run(config, plans), plan_many(seeds)]


def dry_run(config: Mapping[str, Any] | None, plans: int) -> Row:
    """The plan of the run itself.

    The target holds for a run with nothing left to do; with jobs left it takes longer, and the note says how many there
    were.
    """
    if config is None:
        return _row(
            "dry_run", TARGET_S, None, "not measured: data or split name paths of the user, which no record holds"
        )
    if importlib.util.find_spec("snakemake") is None:
        return _row("dry_run", TARGET_S, None, _NO_SNAKEMAKE)
    seconds = []
    for _ in range(1 + plans):
        took, jobs = _timed(config)
        if jobs is None:
            return _row("dry_run", TARGET_S, None, _FAILED)
        seconds.append(took)
    state = "nothing to do" if jobs == 0 else f"the run is not finished, {jobs} jobs in the plan"
    return _row("dry_run", TARGET_S, statistics.median(seconds[1:]), f"snakemake -n, {state}")


def plan_many(seeds: int) -> Row:
    """The plan of all papers with so many seeds, of which nothing has been run; one dry run. 107 seeds are 5,000 jobs."""
    if importlib.util.find_spec("snakemake") is None:
        return _row("plan_many_jobs", TARGET_MANY_S, None, _NO_SNAKEMAKE)
    took, jobs = _timed({"scale": "smoke", "run": "plan_many_jobs", "seeds": list(range(seeds))})
    if jobs is None:
        return _row("plan_many_jobs", TARGET_MANY_S, None, _FAILED)
    note = f"snakemake -n of all papers at smoke scale with {seeds} seed(s), {jobs} jobs in the plan"
    return _row("plan_many_jobs", TARGET_MANY_S, took, note)
