"""Snakemake's timers, which look for jobs again after a while: 9.27 starts one each time that a job ends.

Each look starts another timer as long as jobs wait, so that their number grows with the jobs that have ended, and a run
ends only after the last of them. Standard library only.
"""

import logging
import threading
from contextlib import suppress

_SCHEDULER = "snakemake.scheduling.job_scheduler"


def cancel_timers(keep: int = 0) -> int:
    """Cancel the scheduler's pending timers but for so many; returns how many were cancelled.

    One must be kept while jobs may wait for the rate limit: it looks for them, and starts the next one. None need be
    kept at the end of a run. Timers of others are left alone.
    """
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    # `function` is no word of the documentation: where a later Python has none, nothing is cancelled.
    pending = [
        timer
        for timer in timers
        if getattr(getattr(timer, "function", None), "__module__", None) == _SCHEDULER and not timer.finished.is_set()
    ]
    surplus = pending[: max(len(pending) - keep, 0)]
    for timer in surplus:
        timer.cancel()
    return len(surplus)


class Timers(logging.Handler):
    """Leaves one of the scheduler's timers each time that Snakemake logs the start of a job."""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) == "job_info":
            with suppress(Exception):
                cancel_timers(keep=1)
