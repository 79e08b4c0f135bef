"""Snakemake's own timers, made by its own scheduler, and which of them are cancelled."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

from reregister.snakemake_timers import cancel_timers


class Scheduler(SimpleNamespace):
    """As much of Snakemake's scheduler as its timers know: the semaphore that a timer releases."""

    def __init__(self) -> None:
        super().__init__(_open_jobs=threading.Semaphore(0))

    def look_again_after(self, seconds: int | float) -> None:
        JobScheduler._schedule_reevalutation(self, seconds)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    yield Scheduler()
    cancel_timers()


@pytest.fixture
def another() -> Iterator[threading.Timer]:
    """A timer that is not Snakemake's."""
    timer = threading.Timer(600, lambda: None)
    timer.start()
    yield timer
    timer.cancel()


def timers() -> list[threading.Timer]:
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def ended(condition: Callable[[], bool]) -> bool:
    """Whether the threads end of whose timers nothing is left."""
    for timer in timers():
        if timer.finished.is_set():
            timer.join(timeout=20)
    return condition()


def test_all_are_cancelled_and_no_thread_is_left_to_wait_for(scheduler: Scheduler, another: threading.Timer) -> None:
    for _ in range(50):
        scheduler.look_again_after(600)
    assert cancel_timers() == 50
    assert ended(lambda: timers() == [another])
    assert not scheduler._open_jobs.acquire(blocking=False)
    assert cancel_timers() == 0


def test_one_that_is_kept_still_looks_for_jobs(scheduler: Scheduler) -> None:
    for _ in range(5):
        scheduler.look_again_after(0.2)
    assert cancel_timers(keep=1) in range(5)
    assert scheduler._open_jobs.acquire(timeout=20)


def test_nothing_is_cancelled_where_no_more_are_there(scheduler: Scheduler) -> None:
    scheduler.look_again_after(600)
    assert cancel_timers(keep=1) == 0
    assert cancel_timers(keep=5) == 0
    assert cancel_timers() == 1
