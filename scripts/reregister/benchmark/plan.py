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

TARGET_S = 5.0
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


def dry_run(config: Mapping[str, Any] | None, plans: int) -> Row:
    """Seconds of `snakemake -n` in the current folder, start of Python included.

    config: of `plan_config`. The target holds for a run with nothing left to do; with jobs left it takes longer, and
    the note says how many there were.
    """

    def row(value: float | None, met: str, note: str) -> Row:
        return Row("dry_run", value, "s", "the target itself", None, f"<= {TARGET_S:g} s", met, note)

    if config is None:
        return row(None, NOT_MEASURED, "not measured: data or split name paths of the user, which no record holds")
    if importlib.util.find_spec("snakemake") is None:
        return row(None, NOT_MEASURED, "not measured: snakemake not in this environment")
    seconds, jobs = [], None
    for _ in range(1 + plans):
        start = time.perf_counter()
        done = subprocess.run(_command(config), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        seconds.append(time.perf_counter() - start)
        jobs = _jobs(done.stdout)
        if done.returncode or jobs is None:
            # Into the log and not into the table: a message may name folders of the user.
            print(done.stdout)
            return row(None, NOT_MEASURED, f"not measured: snakemake -n ended with {done.returncode}; see the log")
    value = statistics.median(seconds[1:])
    state = "nothing to do" if jobs == 0 else f"the run is not finished, {jobs} jobs in the plan"
    return row(value, yes_no(value <= TARGET_S), f"snakemake -n, {state}")
