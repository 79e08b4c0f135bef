"""The end of a job's log: the error that it names, and the lines before it. Standard library only."""

import re
from pathlib import Path

LOG_LINES = 10
_TAIL_BYTES = 1 << 16
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_TRACEBACK = "Traceback (most recent call last)"


def last_words(log: Path, count: int = LOG_LINES) -> tuple[str, list[str]]:
    """The error that a log names last ("" where it names none) and its last lines without that one.

    An error is a line `error: ...` as the door of a job writes it, or the exception under a traceback. Empty lines are
    left out, control characters removed; of a long log only the end is read. A log that cannot be read gives ("", []).
    """
    lines = _end_of(log)
    at = max(_of_the_door(lines), _of_a_traceback(lines))
    if at < 0:
        return "", lines[-count:]
    return lines[at].removeprefix("error: "), [*lines[:at], *lines[at + 1 :]][-count:]


def _end_of(log: Path) -> list[str]:
    try:
        with open(log, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    # splitlines parts at carriage returns too: of a progress bar, each state is a line.
    lines = (_ESCAPES.sub("", line).replace("\t", "    ").rstrip() for line in text.splitlines())
    return [shown for line in lines if (shown := "".join(c for c in line if c.isprintable()))]


def _of_the_door(lines: list[str]) -> int:
    return max((i for i, line in enumerate(lines) if line.startswith("error: ")), default=-1)


def _of_a_traceback(lines: list[str]) -> int:
    start = max((i for i, line in enumerate(lines) if line.startswith(_TRACEBACK)), default=None)
    if start is None:
        return -1
    return next((i for i in range(start + 1, len(lines)) if not lines[i].startswith(" ")), -1)
