"""What decides a claim: a few tests, each named in the claims file by `by`, and told there what it is about."""

from collections.abc import Callable, Mapping
from typing import Any

from reregister.claims import by_cases, by_values
from reregister.claims.finding import Finding, Told
from reregister.claims.intervals import FAILS, HOLDS, UNDECIDED, together
from reregister.claims.records import Records
from reregister.claims.takes import TIMED


def weigh(records: Records, experiment: str, told: Told) -> Finding:
    """The finding of the test that `told` names. Raises Missing where something that it needs was not run."""
    return DECIDERS[told["by"]](records, experiment, told)


def timed(records: Records, told: Any) -> bool:
    """Whether a test or a value rests on times, which vary from run to run."""
    if isinstance(told, Mapping):
        here = told.get("of") in TIMED or told.get("by") == "ratio_of_times" or told.get("table") in records.timed
        return here or any(timed(records, value) for value in told.values())
    return isinstance(told, list) and any(timed(records, value) for value in told)


def _all(records: Records, experiment: str, told: Told) -> Finding:
    """Several tests, all of which must hold."""
    found = [weigh(records, experiment, one) for one in told["tests"]]
    first = found[0]
    said = "; ".join(f"{one.verdict}: {one.said}" for one in found)
    return Finding(
        together([one.verdict for one in found]), said, cases=first.cases, clusters=min(one.clusters for one in found)
    )


def _mixed(records: Records, experiment: str, told: Told) -> Finding:
    """Several tests of which some hold and others fail."""
    found = [weigh(records, experiment, one) for one in told["tests"]]
    verdicts = [one.verdict for one in found]
    alike = set(verdicts) in ({HOLDS}, {FAILS})
    verdict = HOLDS if {HOLDS, FAILS} <= set(verdicts) else FAILS if alike else UNDECIDED
    return Finding(verdict, "; ".join(f"{one.verdict}: {one.said}" for one in found), cases=found[0].cases)


DECIDERS: dict[str, Callable[[Records, str, Told], Finding]] = {
    "paired_difference": by_cases.paired_difference,
    "extreme": by_cases.extreme,
    "order": by_values.order,
    "lowest": by_values.lowest,
    "same_order": by_values.same_order,
    "all_of": by_values.all_of,
    "value": by_values.value,
    "ratio_of_times": by_cases.ratio_of_times,
    "spread": by_cases.spread,
    "all": _all,
    "mixed": _mixed,
}
#: Ways of `by` that decide nothing and give a reason in place of it, and the word of such a row.
REASONS = {"cannot_stand": "cannot stand", "not_attempted": "not attempted", "setting": "taken as a setting"}


def methods_of(told: Any) -> list[str]:
    """Methods that a test or a value rests on."""
    found: list[str] = []
    if isinstance(told, Mapping):
        for key, value in told.items():
            if key in ("first", "second", "method") and isinstance(value, str):
                found.append(value)
            elif key == "methods":
                found += value
            elif key == "where":
                # Rows of a table, which has methods by their labels.
                continue
            else:
                found += methods_of(value)
    elif isinstance(told, list):
        found = [name for value in told for name in methods_of(value)]
    return list(dict.fromkeys(found))
