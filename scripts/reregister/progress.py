"""How far a job has come: one JSON line per report, written by the job, read by `reregister progress`.

Standard library only. A job's file lies beside its log; the times in it are for the eye and enter no result.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A job that has said nothing for this long is shown as silent: killed, stopped by the scheduler, or in one long step.
SILENT_AFTER_S = 60.0


class Progress:
    """Writes progress lines, at most one a second, the first and the last always."""

    def __init__(self, path: Path | None, job: str, total: int, unit: str) -> None:
        self.path, self.job, self.total, self.unit = path, job, total, unit
        self._start: int | None = None
        self._last = 0.0
        self._done = 0
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)

    def report(self, done: int, **values: float) -> None:
        """Say that `done` of the total units are finished; values (such as the loss) go along."""
        now = time.time()
        if self._start is None:
            self._start = done
        elif done < self.total and now - self._last < 1.0:
            return
        self._last = now
        line = {"time": round(now, 2), "job": self.job, "done": done, "total": self.total, "unit": self.unit}
        if self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps({**line, "from": self._start, **values}) + "\n")

    def advance(self) -> None:
        """Say that one more unit is finished."""
        self._done += 1
        self.report(self._done)


@dataclass(frozen=True)
class State:
    """The state of one job, read from its file. rate in units per second, left in seconds (None where unknown)."""

    job: str
    done: int
    total: int
    unit: str
    rate: float | None
    left: float | None
    silent: float
    values: dict[str, Any]

    @property
    def finished(self) -> bool:
        return self.done >= self.total

    def line(self) -> str:
        """One line for a terminal or a file."""
        text = f"{self.job}: {self.done:,} of {self.total:,} {self.unit}"
        if self.rate:
            text += f", {self.rate:.3g} {self.unit}/s"
        if self.left is not None and not self.finished:
            text += f", {format_seconds(self.left)} left"
        text += "".join(f", {name} {value:.4g}" for name, value in self.values.items())
        if not self.finished and self.silent > SILENT_AFTER_S:
            text += f" (silent for {format_seconds(self.silent)})"
        return text


def format_seconds(seconds: float) -> str:
    """`48 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def read_state(path: Path, now: float | None = None) -> State | None:
    """State of the job that writes `path`; None where it has not reported yet. A half-written line is passed over."""
    first: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        # A job that starts again removes its old file.
        return None
    for text in texts:
        try:
            entry = json.loads(text)
        except json.JSONDecodeError:
            continue
        first, last = first or entry, entry
    if first is None or last is None:
        return None
    seconds, steps = last["time"] - first["time"], last["done"] - first["done"]
    rate = steps / seconds if seconds > 0 and steps > 0 else None
    known = {"time", "job", "done", "total", "unit", "from"}
    return State(
        job=last["job"],
        done=last["done"],
        total=last["total"],
        unit=last["unit"],
        rate=rate,
        left=(last["total"] - last["done"]) / rate if rate else None,
        silent=(time.time() if now is None else now) - last["time"],
        values={key: value for key, value in last.items() if key not in known},
    )


def running(run_folder: Path, now: float | None = None) -> list[State]:
    """Unfinished jobs of a run, by name."""
    states = [read_state(path, now) for path in sorted(run_folder.glob("**/logs/**/*.progress.jsonl"))]
    return [state for state in states if state is not None and not state.finished]
