"""Tests of claims on single values of a run: orders, bounds, and what holds in every seed or every case."""

import math
from itertools import pairwise

import numpy as np
from scipy import stats

from reregister.claims.finding import Finding, Told, bound, keeps, number, what
from reregister.claims.intervals import FAILS, HOLDS, UNDECIDED
from reregister.claims.records import Missing, Records
from reregister.claims.takes import take
from reregister.statistics import ALPHA


def order(records: Records, experiment: str, told: Told) -> Finding:
    """Values in the order that is claimed, the least first: each and the next. `values` are of `takes.take`.

    With a value for each seed the order holds where all seeds have it, and fails where none has.
    """
    taken = [(name, take(records, experiment, one)) for name, one in told["ascending"].items()]
    words = " < ".join(f"{name} {number(found.value)}" for name, found in taken)
    seeds = min(len(found.each) for _, found in taken)
    rows = (
        [[found.each[place] for _, found in taken] for place in range(seeds)]
        if seeds
        else [[found.value for _, found in taken]]
    )
    met = sum(all(one < other for one, other in pairwise(row)) for row in rows)
    verdict = HOLDS if met == len(rows) else UNDECIDED if met else FAILS
    runs = "1 run" if len(rows) == 1 else f"{len(rows)} seeds"
    return Finding(verdict, f"claimed {words}; so in {met} of {runs}", cases=len(rows))


def lowest(records: Records, experiment: str, told: Told) -> Finding:
    """Some values are lower (`end: largest`: higher) than all others, in every seed.

    told: `which`, names of those; and `takes`, a value of `takes.take` by name, or one `take` for several `methods`.
    """
    sign = -1 if told.get("end") == "largest" else 1
    takes = told.get("takes") or {name: {**told["take"], "method": name} for name in told["methods"]}
    taken = {name: take(records, experiment, one) for name, one in takes.items()}
    which, seeds = told["which"], min(len(found.each) or 1 for found in taken.values())
    rows = [
        {name: sign * (found.each[place] if found.each else found.value) for name, found in taken.items()}
        for place in range(seeds)
    ]
    met = sum(max(row[name] for name in which) < min(row[n] for n in row if n not in which) for row in rows)
    ascending = sorted(taken.items(), key=lambda item: item[1].value)
    words = ", ".join(f"{records.label(experiment, name)} {number(found.value)}" for name, found in ascending)
    verdict = HOLDS if met == seeds else UNDECIDED if met else FAILS
    seeds_ = "1 run" if seeds == 1 else f"{seeds} seeds"
    return Finding(verdict, f"from low to high {words}; as claimed in {met} of {seeds_}", cases=seeds)


def same_order(records: Records, experiment: str, told: Told) -> Finding:
    """Two values of several things have one order: Kendall's tau of the two is 1; it fails at 0 and below.

    told: `first` and `second`, values of `takes.take`; `among`, what each thing adds to them; `absolute`, of the first.
    """
    pairs = [
        tuple(take(records, experiment, _joined(told[name], own)).value for name in ("first", "second"))
        for own in told["among"]
    ]
    first, second = ([pair[place] for pair in pairs] for place in (0, 1))
    if told.get("absolute"):
        first = [abs(value) for value in first]
    tau = float(stats.kendalltau(first, second).statistic)
    verdict = UNDECIDED if np.isnan(tau) else HOLDS if np.isclose(tau, 1) else FAILS if tau <= 0 else UNDECIDED
    least = 2.0 / math.factorial(len(pairs))
    few = f"; with {len(pairs)} values the smallest two-sided p is {least:.2g}" if least > ALPHA else ""
    words = ", ".join(f"{number(a)} and {number(b)}" for a, b in zip(first, second, strict=True))
    return Finding(verdict, f"Kendall's tau {number(tau)} of the pairs {words}{few}", tau, cases=len(pairs))


def _joined(one: Told, other: Told) -> dict[str, object]:
    """A value and what is added to it; the columns that say which row of a table is meant are put together."""
    where = {"where": {**one.get("where", {}), **other.get("where", {})}} if "where" in {**one, **other} else {}
    return {**one, **other, **where}


def all_of(records: Records, experiment: str, told: Told) -> Finding:
    """Every case of a metric, or of the trace of a fit at its first step, keeps to a bound."""
    if told.get("kind") == "start":
        table = records.table("traces", experiment, told["method"])
        table = table[table["step"] == 0]
    elif told.get("kind") == "similarity":
        table = records.table("similarity", experiment)
    else:
        table = records.table("metrics", experiment, told["method"])
    if told["metric"] not in table:
        raise Missing(f"{told['metric']} was not measured here")
    values = table[told["metric"]].dropna().to_numpy(float)
    kept = keeps(values, told)
    verdict = UNDECIDED if not values.size else HOLDS if kept.all() else FAILS
    worst = values.min() if "at_least" in told else values.max()
    said = f"{int(kept.sum())} of {values.size} cases have {what(told)} {bound(told)}; the farthest has {number(worst)}"
    return Finding(verdict, said, float(worst), cases=values.size)


def value(records: Records, experiment: str, told: Told) -> Finding:
    """A value of `takes.take` keeps to a bound: with its interval or in every seed where it has such, else as it is."""
    found = take(records, experiment, told["take"])
    each = np.array(found.each or [found.value])
    if np.isfinite([found.low, found.high]).all() and not found.each:
        kept = keeps(np.array([found.low, found.high]), told)
    else:
        kept = keeps(each, told)
    verdict = HOLDS if kept.all() else UNDECIDED if kept.any() else FAILS
    # Seeds on both sides of a value leave it open, though none has it.
    if verdict == FAILS and "equals" in told and each.min() < told["equals"] < each.max():
        verdict = UNDECIDED
    several = f", {len(each)} seeds from {number(each.min())} to {number(each.max())}" if len(each) > 1 else ""
    unit = f" {told['unit']}" if "unit" in told else ""
    said = f"{number(found.value)}{unit}{several}; claimed {bound(told)}"
    return Finding(verdict, said, found.value, found.low, found.high, found.cases, found.clusters)
