"""The word between a published number and ours, where the two may stand side by side."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reregister.claims.axes import FULL, PART, SHORTENED, Axes
from reregister.claims.finding import between, number
from reregister.claims.printed import Printed
from reregister.claims.takes import CASES, EXACT, SEEDS, Taken
from reregister.statistics import Equivalence, Interval, welch_tost

Row = dict[str, Any]


def beside(entry: Mapping[str, Any], axes: Axes, found: Taken, printed: Printed) -> Row:
    """The word between a printed value and ours on the paper's own data, and why."""
    if axes.scope == SHORTENED:
        return {"word": "after a part of the training", "said": sentence(f"{axes.clauses}; no difference is formed")}
    if found.way == EXACT:
        same = bool(np.isclose(found.value, printed.value))
        return {"word": "the same" if same else "not the same", "said": sentence(axes.clauses or "counted")}
    tested = _tost(entry, found, printed)
    least = {"smallest_margin": tested.smallest_margin} if tested else {}
    provable = f"the smallest margin that could be proved is {number(tested.smallest_margin)}" if tested else ""
    if axes.scope == PART:
        words = ["not a test of the published value", axes.clauses, provable, counted(found)]
        return {"word": "side by side", "said": sentence("; ".join(filter(None, words))), **least}
    assert axes.scope == FULL
    if tested is None or "margin" not in entry:
        why = "no margin was set before the run" if tested else _no_test(entry, found, printed)
        return {
            "word": "side by side",
            "said": sentence("; ".join(filter(None, [why, _within(found, printed)]))),
            **least,
        }
    interval = between(Interval(tested.difference, tested.low, tested.high, 0, 0))
    said = f"difference {interval}, margin {entry['margin']:g}; {provable}; {counted(found)}"
    return {"word": tested.verdict, "said": sentence(said), "margin": entry["margin"], **least}


def _tost(entry: Mapping[str, Any], found: Taken, printed: Printed) -> Equivalence | None:
    """Welch's two one-sided tests with the clusters as cases, None where the paper prints too little for it."""
    if found.way != CASES or printed.sd is None or "independent" not in entry or not np.isfinite(found.cluster_sd):
        return None
    # Without a margin of its own only the smallest that could be proved is of interest.
    margin = entry.get("margin", 1.0)
    ours, theirs = (found.value, found.cluster_sd, found.clusters), (printed.value, printed.sd, entry["independent"])
    return welch_tost(*ours, *theirs, margin, printed.rounding)


def _no_test(entry: Mapping[str, Any], found: Taken, printed: Printed) -> str:
    if printed.sd is None:
        return "no standard deviation is printed, so no test can be made"
    if "independent" not in entry:
        return "the number of independent cases is not printed, so no test can be made"
    return f"{found.clusters} independent cases of ours are too few for a test"


def _within(found: Taken, printed: Printed) -> str:
    if len(found.each) < 2:
        return counted(found)
    low, high = min(found.each), max(found.each)
    inside = low - printed.rounding <= printed.value <= high + printed.rounding
    where = f"{'inside' if inside else 'outside'} the range of our {len(found.each)} seeds"
    return f"the published value lies {where}, {number(low)} to {number(high)}"


def counted(found: Taken) -> str:
    if found.way == CASES:
        return f"{found.cases} cases, {found.clusters} independent"
    if found.way == SEEDS:
        return f"{found.cases} seeds, lowest to highest" if found.cases > 1 else "one seed"
    return "counted"


def sentence(text: str) -> str:
    """A clause with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else ""
