"""What Snakemake logs of its jobs, and what of it a reader can do without. Standard library only."""

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from reregister.slurm import why_ended

logger = logging.getLogger("snakemake.logging")
_CHATTER = {"job_started", "job_finished", "progress"}
_Signature = tuple[int, int, int] | None


class Events(logging.Handler):
    """Notes of each job when it started, how its files were then, and what the executor said if it failed.

    It takes the events that Snakemake gives to logger plugins. said: messages of executors, by job id; ended: why Slurm
    ended a job, where it did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[int, str] = {}
        self.ended: dict[int, str] = {}
        self._since: dict[int, float] = {}
        self._before: dict[Path, _Signature] = {}

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            event, fields = getattr(record, "event", None), vars(record)
            if event == "job_info":
                self._note(fields["jobid"], fields["log"])
            elif event == "group_error":
                members = fields["job_error_info"]
                self._failed([member["jobid"] for member in members], "group of jobs", fields["aux_logs"])
            elif event == "job_error" and fields["rule_msg"]:
                # Not of the members of a group, of which nothing more is said than of the group before.
                self.said[fields["jobid"]] = " ".join(fields["rule_msg"].split())
                self._failed([fields["jobid"]], fields["rule_name"], fields["log"])

    def since(self, job: Any) -> float:
        """Monotonic time at which a job was started, or was first asked for where Snakemake logged no start."""
        if job.jobid not in self._since:
            self._note(job.jobid, job.log)
        return self._since[job.jobid]

    def is_new(self, file: Path) -> bool:
        """Whether a job's log or progress file is there and is not what an older run left."""
        # By what the file is, not by the clock: a node's may differ from that of this machine.
        return _signature(file) not in (None, self._before.get(file))

    def _failed(self, jobids: list[int], name: str, logs: Iterable[str]) -> None:
        reason = why_ended(logs)
        # An attempt may fail for another reason than the one before.
        self.ended |= dict.fromkeys(jobids, reason)
        if reason:
            # Snakemake's own words are `FAILED` and that the reason is not known.
            logger.warning(f"{name}: {reason}")

    def _note(self, jobid: int, logs: Iterable[str]) -> None:
        self._since[jobid] = time.monotonic()
        for log in map(Path, logs):
            self._before |= {file: _signature(file) for file in (log, progress_file(log))}


def calm(handlers: Iterable[logging.Handler]) -> None:
    """Keep from the console what the lines of the run say in its place. A file gets everything."""
    for handler in handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(lambda record: not is_chatter(record))


def is_chatter(record: logging.LogRecord) -> bool:
    """Whether a record of Snakemake's is news of no kind: a selection, a count, or a script that ended with status 1."""
    event, text = getattr(record, "event", None), str(record.msg)
    # Of a failed script the end of the run says more; any other exit status is news.
    failed = event == "error" and "CalledProcessError" in text and text.rstrip().endswith("non-zero exit status 1.")
    return event in _CHATTER or text == "Select jobs to execute..." or failed


def progress_file(log: Path) -> Path:
    """Where the job with this log reports its progress."""
    return log.with_suffix(".progress.jsonl")


def _signature(file: Path) -> _Signature:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
