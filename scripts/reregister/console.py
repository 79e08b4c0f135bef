"""What a run says of itself: jobs done of all, how far the running ones are, where the report is, and what failed.

It lives in Snakemake's main process, called by the handlers of the Snakefile, and speaks through Snakemake's logger, so
that lines do not mix and `--quiet` holds. It only looks: an exception here becomes one line and never ends a run.
The time left is said per job; for the whole run nobody knows it before each rule has run once. Standard library only.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reregister.last_words import last_words
from reregister.progress import format_seconds, read_state
from reregister.snakemake_log import Events, calm, progress_file
from reregister.snakemake_timers import Timers, cancel_timers

logger = logging.getLogger("snakemake.logging")
WIDTH = 120
# A cluster runs hundreds of jobs at once: so many are shown at a time, and so many failed ones with their log.
RUNNING_SHOWN, LOGS_SHOWN = 8, 10


class Console:
    """The voice of one run. workflow: Snakemake's own object (9.27), of which scheduler, dag and settings are read."""

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        self._events = Events()
        self._start = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="console", daemon=True)

    def start(self) -> None:
        """Begin to tell, unless the user asked for `--quiet progress`. With `--quiet rules` Snakemake tells less."""
        with _harmless():
            self._start = time.monotonic()
            quiet = self._quiet()
            if "RULES" in quiet:
                calm(logger.handlers)
            logger.addHandler(self._events)
            logger.addHandler(Timers())
            if "ALL" not in quiet:
                # Jobs leave it to the end of the run to say what failed.
                os.environ["REREGISTER_CONSOLE"] = "1"
            if not quiet & {"PROGRESS", "ALL"}:
                self._thread.start()

    def succeed(self) -> None:
        """Say in one line that the run is done, and where the report is if this run was asked for it."""
        with self._last_line():
            page = next(iter(_pages(self._workflow.dag.jobs)), None)
            text = f"done: {_jobs(self._workflow.scheduler.finished_jobs)} in {self._elapsed()}"
            logger.info(text + (f"; report: {page}" if page else ""))

    def fail(self) -> None:
        """Say what failed, each with its error and the end of its log, and how to go on."""
        with self._last_line():
            failed = sorted(self._failed(), key=_label)
            lines = [f"{'failed' if failed else 'stopped'} after {self._elapsed()}: {self._count(failed=failed)}"]
            for number, job in enumerate(failed):
                lines += self._block(job, with_log=number < LOGS_SHOWN and not self._logs_are_shown())
            what = "Put that right and run the same command again" if failed else "To go on, run the same command again"
            lines.append(f"{what}: finished jobs are kept, and a training goes on from its last checkpoint.")
            logger.error("\n".join(lines))

    def status(self) -> list[str]:
        """The lines of this moment: jobs done of all, then each running job. At most WIDTH columns each."""
        running, failed = (
            _single(jobs) for jobs in (self._workflow.scheduler.running, self._workflow.scheduler.failed)
        )
        lines = sorted(self._line(job) for job in running if job.log)
        more = len(lines) - RUNNING_SHOWN
        # A job that waits sorts behind those that run; what is shown is their text.
        shown = [f"  {text}" for _, text in lines[:RUNNING_SHOWN]] + ([f"  and {more} more"] if more > 0 else [])
        return [clip(line, WIDTH) for line in [self._count(running=running, failed=failed), *shown]]

    def _tell(self) -> None:
        with _harmless():
            told: list[str] = []
            for wait in pauses(lambda: time.monotonic() - self._start):
                if self._end.wait(wait):
                    return
                lines = self.status()
                if lines != told:
                    logger.info("\n".join([f"after {self._elapsed()}: {lines[0]}", *lines[1:]]))
                told = lines

    @contextmanager
    def _last_line(self) -> Iterator[None]:
        self._end.set()
        with _harmless():
            cancel_timers()
            if self._thread.is_alive():
                self._thread.join(timeout=5)
            yield

    def _elapsed(self) -> str:
        return format_seconds(time.monotonic() - self._start)

    def _quiet(self) -> set[str]:
        return {level.name for level in self._workflow.output_settings.quiet or ()}

    def _logs_are_shown(self) -> bool:
        # --show-failed-logs prints them whole, with the rule: nothing is said twice.
        return bool(self._workflow.output_settings.show_failed_logs) and "RULES" not in self._quiet()

    def _count(self, **counts: list[Any]) -> str:
        several = "".join(f", {len(jobs)} {name}" for name, jobs in counts.items() if jobs)
        return f"{self._workflow.scheduler.finished_jobs} of {_jobs(len(self._workflow.dag))} done{several}"

    def _failed(self) -> list[Any]:
        """Jobs that failed; of a group those whose own log names an error, or all where none does."""
        failed = []
        for job in list(self._workflow.scheduler.failed):
            members = _single([job])
            failed += [member for member in members if self._error(member)] or members
        return failed

    def _error(self, job: Any) -> str:
        log = Path(job.log[0]) if job.log else None
        return last_words(log)[0] if log and self._events.is_new(log) else ""

    def _line(self, job: Any) -> tuple[bool, str]:
        log = Path(job.log[0])
        since = self._events.since(job)
        state = read_state(progress_file(log)) if self._events.is_new(progress_file(log)) else None
        if state:
            return False, state.line()
        waits, took = not self._events.is_new(log), format_seconds(time.monotonic() - since)
        return waits, f"{_label(job)}: {'waiting to start' if waits else 'running'} for {took}"

    def _block(self, job: Any, with_log: bool) -> list[str]:
        log = Path(job.log[0]) if job.log else None
        written = log is not None and self._events.is_new(log)
        error, tail = last_words(log) if log and written else ("", [])
        said = self._events.said.get(job.jobid, "") or "no error in its log: see above, else it was killed"
        error = self._events.ended.get(job.jobid, "") or error or said
        wildcards = ", ".join(f"{name}={value}" for name, value in job.wildcards_dict.items())
        lines = [f"failed: {job.rule.name}" + (f" ({wildcards})" if wildcards else ""), f"  error: {error}"]
        lines.append(f"  log: {log}" if written else "  log: none written")
        return lines + [f"    | {clip(line, 2 * WIDTH)}" for line in tail if with_log]


def pauses(elapsed: Any) -> Iterator[float]:
    """Seconds to wait before each look: 2 at first, soon 15, and 60 in a run of hours, so that a file stays small.

    elapsed: a function that gives the seconds since the start.
    """
    pause = 2.0
    while True:
        yield pause
        pause = min(pause * 1.5, max(15.0, min(elapsed() / 40, 60.0)))


def clip(text: str, width: int) -> str:
    """The text, cut to at most `width` columns with three dots at its end."""
    return text if len(text) <= width else text[: width - 3] + "..."


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        logger.warning(f"the run goes on, but says no more of itself: {type(error).__name__}: {error}")


def _single(jobs: Iterable[Any]) -> list[Any]:
    # The outer copy is made at once: the scheduler changes its sets while this thread reads them.
    return [single for job in list(jobs) for single in (job if job.is_group() else [job])]


def _pages(jobs: Iterable[Any]) -> list[str]:
    found = {str(out) for job in jobs if job.rule.name == "build_index" for out in job.output}
    found = found or {str(out) for job in jobs if job.rule.name == "build_report" for out in job.output}
    return sorted(page for page in found if page.endswith(".html"))


def _label(job: Any) -> str:
    return " ".join([job.rule.name, *map(str, job.wildcards_dict.values())])


def _jobs(count: int) -> str:
    return f"{count:,} job" + ("" if count == 1 else "s")
