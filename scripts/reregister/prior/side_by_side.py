"""All pairs of a job: on a CPU as many side by side as it has threads, one thread each; on a GPU one after the other.

A pair is fitted on one thread in any case, so the fields are the same however many run at a time.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from reregister.errors import ReregisterError
from reregister.prior import worker
from reregister.prior.pairs import Pair, fit_pair
from reregister.prior.settings import PriorSettings
from reregister.runtime import torch_settings

_SCRIPTS = Path(__file__).resolve().parents[2]
_THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
#: Told how many steps of all pairs are done, and the loss of the last.
Report = Callable[[int, float], None]


class _Count:
    """Steps of all pairs that are done, those of pairs in hand included."""

    def __init__(self, done: int, each: int, report: Report) -> None:
        self._lock, self._done, self._each, self._report = Lock(), done, each, report
        self._in_hand: dict[str, int] = {}

    def step(self, pair: Pair, step: int, loss: float) -> None:
        with self._lock:
            self._in_hand[pair.pair_id] = step
            self._report(self._done + sum(self._in_hand.values()), loss)

    def finish(self, pair: Pair) -> None:
        with self._lock:
            self._in_hand.pop(pair.pair_id, None)
            self._done += self._each


def fit_pairs(
    pairs: Sequence[Pair],
    setup: worker.Setup,
    threads: int,
    device: torch.device,
    done: int = 0,
    report: Report = lambda done, loss: None,
) -> dict[str, Any]:
    """Fit pairs, each kept in its file as soon as it is finished; returns the record of determinism.

    threads: pairs side by side, on a CPU. done: steps of pairs that were finished before. Raises ReregisterError where a
    pair cannot be fitted or a worker ends; the others are stopped, and pairs that are finished stay kept.
    """
    settings = PriorSettings.of(setup.settings)
    count = _Count(done, settings.iterations, report)
    if device.type == "cpu" and min(threads, len(pairs)) > 1:
        warned = _side_by_side(pairs, setup, min(threads, len(pairs)), count)
        return {"mode": setup.determinism, "warned": warned}
    images = np.load(setup.images, mmap_mode="r", allow_pickle=False)
    with torch_settings(1, setup.determinism, device) as record:
        for place, pair in enumerate(pairs):

            def tell(step: int, loss: float, pair: Pair = pair) -> None:
                count.step(pair, step, loss)

            fit_pair(images, pair, setup.model, settings, device, tell, place == 0, setup.fields())
            count.finish(pair)
    return record


@contextmanager
def _workers(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    paths = [str(_SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment |= {f"{name}_NUM_THREADS": "1" for name in _THREADS}
    processes: list[subprocess.Popen[str]] = []
    try:
        for _ in range(count):
            command = [sys.executable, "-m", worker.__name__]
            processes.append(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, bufsize=1
                )
            )
        yield processes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def _side_by_side(pairs: Sequence[Pair], setup: worker.Setup, number: int, count: _Count) -> list[str]:
    waiting, lock = iter(pairs), Lock()

    def next_pair() -> Pair | None:
        with lock:
            return next(waiting, None)

    # The processes outside of the threads that speak with them: where one fails, or a signal comes, all are ended first,
    # and the threads that wait for an answer with them.
    with ThreadPoolExecutor(number) as pool, _workers(number) as processes:
        talks = [pool.submit(_talk, process, setup, next_pair, count) for process in processes]
        # Not each in turn: the first may be at work for long after another has failed.
        ended = wait(talks, return_when=FIRST_EXCEPTION).done
        return sorted({operator for talk in ended for operator in talk.result()})


def _talk(
    process: "subprocess.Popen[str]", setup: worker.Setup, next_pair: Callable[[], Pair | None], count: _Count
) -> list[str]:
    """Give a worker pair after pair; returns the operators that it found to have no deterministic form."""
    assert process.stdin is not None
    assert process.stdout is not None
    _say(process, setup.line())
    while (pair := next_pair()) is not None:
        _say(process, json.dumps(vars(pair)))
        while "finished" not in (answer := _hear(process)):
            count.step(pair, answer["step"], answer["loss"])
        count.finish(pair)
    process.stdin.close()
    warned: list[str] = _hear(process)["warned"]
    return warned


def _say(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(line + "\n")
    except BrokenPipeError:
        _hear(process)


def _hear(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ReregisterError(
            f"a process that fits pairs ended with {process.wait()} before it had answered; see the log for its last words, "
            "and run again: finished pairs are kept"
        )
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise ReregisterError(answer["error"])
    return answer
