"""Runs of `snakemake --profile slurm` from the root of a copy of the project, each under a watchdog."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

from .slurm_node import SlurmNode

QUICK = Path(__file__).with_name("quick_snakemake.py")
Found = TypeVar("Found")


class SlurmRun:
    """One Snakemake process that submits to Slurm.

    project: root of a copy of the project, where the run is made. console: what it says, in a file, since a pipe would be
    kept open by what it leaves behind.
    """

    def __init__(self, node: SlurmNode, project: Path, *arguments: str, seed: str = "0", **variables: str) -> None:
        self.node, self.project = node, project
        own = {name: value for name, value in os.environ.items() if not name.startswith("REREGISTER_SLURM_")}
        self._log = project / "console.txt"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(QUICK), "--profile", "slurm", "--cores", "2", *arguments],
                cwd=project,
                env={**own, "PYTHONHASHSEED": seed, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def console(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self, seconds: float) -> int:
        """The exit status. After so many seconds the run and its jobs are ended, and the test fails."""
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.give_up(f"still running after {seconds:.0f} s")
        except BaseException:
            # It is in a session of its own, where Ctrl-C does not reach it.
            self.kill()
            raise

    def until(self, what: str, find: Callable[[], Found], seconds: float = 300) -> Found:
        """What `find` returns once that is something; fails where the run ends before, or after so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := find():
                return found
            if self.process.poll() is not None:
                self.give_up(f"ended with {self.process.returncode} before {what}")
            time.sleep(0.02)
        self.give_up(f"no {what} after {seconds:.0f} s")

    def give_up(self, why: str) -> NoReturn:
        queue = self.node.ask("squeue", "--all")
        self.kill()
        self.node.cancel_all()
        logs = sorted(self.project.glob(".snakemake/slurm_logs/**/*.log"), key=lambda path: path.stat().st_mtime)
        last = logs[-1].read_text(encoding="utf-8", errors="replace")[-3000:] if logs else ""
        pytest.fail(f"the run is {why}:\n{self.console[-6000:]}\n{queue}\n{last}")

    def kill(self) -> None:
        """SIGKILL for the Snakemake process and what it started here; its jobs on the cluster stay."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=30)
