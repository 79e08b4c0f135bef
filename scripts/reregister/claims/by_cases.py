"""Tests of claims on the cases of a run: differences between methods and groups, with intervals over the patients."""

import numpy as np

from reregister.claims.finding import Finding, Told, between, bound, found_of, keeps, number, what
from reregister.claims.intervals import (
    FAILS,
    HOLDS,
    UNDECIDED,
    Cases,
    cases_of,
    decide,
    difference,
    sd_of,
    together,
    too_small,
)
from reregister.claims.intervals import (
    paired_difference as of_pairs,
)
from reregister.claims.records import Missing, Records


def _values(records: Records, experiment: str, told: Told, method: str, group: str | None = None) -> Cases:
    """Cases of a metric, or of a sum of metrics with weights (`terms`), as a loss is one."""
    table = records.table("metrics", experiment, method)
    terms = told.get("terms") or {told["metric"]: 1.0}
    if missing := [name for name in terms if name not in table]:
        raise Missing(f"{method} has no {missing[0]} here")
    value = sum(weight * table[name] for name, weight in terms.items())
    found = cases_of(table.assign(**{"value of the test": value}), "value of the test", group)
    if not found.values.size:
        raise Missing(f"no case of {method} has {', '.join(terms)}")
    return found


def _named(records: Records, experiment: str, told: Told) -> str:
    return " minus ".join(records.label(experiment, told[name]) for name in ("first", "second"))


def paired_difference(records: Records, experiment: str, told: Told) -> Finding:
    """A metric of one method minus that of another, pair by pair; `each: group` asks it of every group."""
    groups: list[str | None] = [told.get("group")]
    if told.get("each") == "group":
        groups = sorted(set(records.table("metrics", experiment, told["first"])["group"]))
    rows = []
    for group in groups:
        first, second = (_values(records, experiment, told, told[name], group) for name in ("first", "second"))
        rows.append((group, of_pairs(first, second)))
    verdicts = [decide(found, told["direction"], told.get("margin", 0.0)) for _, found in rows]
    words = "; ".join(f"{group + ': ' if group else ''}{between(found)}" for group, found in rows)
    margin = f", margin {told['margin']:g}" if "margin" in told else ""
    said = f"{what(told)}, {_named(records, experiment, told)}{margin}: {words}"
    return found_of(rows[0][1], together(verdicts), said)


def extreme(records: Records, experiment: str, told: Told) -> Finding:
    """Some methods, or groups of one method, have the largest or the smallest mean of a metric: each against each other."""
    grouped = "groups" in told
    names = told["groups"] if grouped else told["methods"]
    cases = {
        name: _values(records, experiment, told, told["method"] if grouped else name, name if grouped else None)
        for name in names
    }
    direction = {"largest": "greater", "smallest": "less"}[told["end"]]
    rows = [
        (one, other, difference(cases[one], cases[other]) if grouped else of_pairs(cases[one], cases[other]))
        for one in told["which"]
        for other in names
        if other not in told["which"]
    ]
    verdicts = [decide(found, direction) for *_, found in rows]
    nearest = min(rows, key=lambda row: row[2].mean if told["end"] == "largest" else -row[2].mean)
    called = {name: name if grouped else records.label(experiment, name) for name in names}
    means = ", ".join(f"{called[name]} {number(float(own.values.mean()))}" for name, own in cases.items())
    said = f"{what(told)}: {means}; nearest, {called[nearest[0]]} minus {called[nearest[1]]}: {between(nearest[2])}"
    return found_of(nearest[2], together(verdicts), said)


def ratio_of_times(records: Records, experiment: str, told: Told) -> Finding:
    """Seconds of one method over those of another: the geometric mean over the pairs, with its interval."""
    tables = [records.table("timing", experiment, told[name]).dropna(subset="seconds") for name in ("first", "second")]
    logs = [
        Cases(*(np.log(t["seconds"].to_numpy(float)), t["pair_id"].to_numpy(object), t["pair_id"].to_numpy(object)))
        for t in (table.groupby("pair_id", as_index=False)["seconds"].mean() for table in tables)
    ]
    found = of_pairs(*logs)
    mean, low, high = (float(np.exp(value)) for value in (found.mean, found.low, found.high))
    ratio = found._replace(mean=mean, low=low, high=high)
    ends = np.array([ratio.low, ratio.high])
    kept = keeps(ends, told)
    verdict = UNDECIDED
    if np.isfinite(ends).all() and not too_small(found):
        aside = ("at_least" in told and ratio.high < told["at_least"]) or (
            "at_most" in told and ratio.low > told["at_most"]
        )
        verdict = HOLDS if kept.all() else FAILS if aside else UNDECIDED
    first, second = (records.label(experiment, told[name]) for name in ("first", "second"))
    devices = "; ".join(dict.fromkeys(f"{t['device'].iloc[0]}, {t['threads'].iloc[0]} thread(s)" for t in tables))
    said = f"{first} takes {between(ratio)} times the time of {second} ({devices}); claimed {bound(told)}"
    return found_of(ratio, verdict, said)


def spread(records: Records, experiment: str, told: Told) -> Finding:
    """The standard deviation of a metric over the cases, of one method minus another."""
    first, second = (_values(records, experiment, told, told[name]) for name in ("first", "second"))
    found = difference(first, second, sd_of)
    said = f"standard deviation of {what(told)}, {_named(records, experiment, told)}: {between(found)}"
    return found_of(found, decide(found, told["direction"]), said)
