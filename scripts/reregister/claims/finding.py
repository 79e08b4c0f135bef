"""What a test found of a claim, and how it says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reregister.claims.intervals import too_small
from reregister.statistics import Interval

Told = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """A verdict (`HOLDS`, `FAILS`, `UNDECIDED`), the number it rests on with its interval where it has one, and a clause."""

    verdict: str
    said: str
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    cases: int = 0
    clusters: int = 0


def number(value: float) -> str:
    """A number in a sentence: three digits, an undefined one in words."""
    return f"{value:.3g}".replace("-", "−") if np.isfinite(value) else "undefined"


def between(found: Interval) -> str:
    """An interval in a sentence."""
    if not np.isfinite([found.low, found.high]).all():
        return f"{number(found.mean)}, without an interval"
    return f"{number(found.mean)} ({number(found.low)} to {number(found.high)})"


def found_of(interval: Interval, verdict: str, said: str) -> Finding:
    few = too_small(interval)
    return Finding(verdict, f"{said}; {few}" if few else said, *interval)


def keeps(values: Any, told: Told) -> Any:
    checks = [values >= told["at_least"]] if "at_least" in told else []
    checks += [values <= told["at_most"]] if "at_most" in told else []
    checks += [np.isclose(values, told["equals"], atol=told.get("tolerance", 1e-9))] if "equals" in told else []
    return np.logical_and.reduce(checks)


def bound(told: Told) -> str:
    words = {"at_least": "at least", "at_most": "at most", "equals": "equal to"}
    text = " and ".join(f"{words[key]} {told[key]:g}" for key in words if key in told)
    return f"{text}, within {told['tolerance']:g}" if "tolerance" in told else text


def what(told: Told) -> str:
    """What a test calls its metric."""
    return str(told.get("called") or told.get("metric"))
