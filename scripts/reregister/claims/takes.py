"""What of a run stands where a paper prints a number: means of metrics, times, losses, counts, settings, cells of tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reregister.claims.histories import losses
from reregister.claims.intervals import LEVEL, Cases
from reregister.claims.records import Missing, Records
from reregister.statistics import cluster_bootstrap_mean

#: How a number may be held against ours: by its cases, by its seeds, exactly, or as a setting that was chosen.
CASES, SEEDS, EXACT, SETTING = "cases", "seeds", "exact", "setting"
SCORED = "yes"


@dataclass(frozen=True)
class Taken:
    """A value of ours. low, high: 95 % interval of `CASES`, lowest and highest of `SEEDS`, else NaN.

    sd: over the cases. cluster_sd: of the clusters' means. each: the value of each seed or network, where it has several.
    """

    value: float
    way: str
    low: float = float("nan")
    high: float = float("nan")
    sd: float = float("nan")
    cases: int = 0
    clusters: int = 0
    cluster_sd: float = float("nan")
    each: tuple[float, ...] = ()


Take = Mapping[str, Any]


def of_cases(cases: Cases, seeds: "pd.Series[float] | None" = None, rms: bool = False) -> Taken:
    """A mean over cases, or the root of the mean square, with its interval over clusters. seeds: the value of each."""
    values = cases.values**2 if rms else cases.values
    found = cluster_bootstrap_mean(values, cases.clusters, level=LEVEL)
    means = pd.Series(values).groupby(cases.clusters).mean().to_numpy(float)
    ends = [float(np.sqrt(x)) if rms else x for x in (found.mean, found.low, found.high)]
    several = tuple(float(x) for x in seeds) if seeds is not None and len(seeds) > 1 else ()
    sd = float(cases.values.std(ddof=1)) if cases.values.size > 1 else float("nan")
    # The spread of a root of means is no spread of the cases.
    spread = float(means.std(ddof=1)) if means.size > 1 and not rms else float("nan")
    return Taken(ends[0], CASES, ends[1], ends[2], sd, found.n_values, found.n_clusters, spread, several)


def of_seeds(each: "pd.Series[float]") -> Taken:
    """A mean over seeds with the lowest and the highest. Raises Missing where none is defined."""
    values = each[np.isfinite(each)].to_numpy(float)
    if not values.size:
        raise Missing("no value was recorded")
    ends = (float(values.min()), float(values.max())) if values.size > 1 else (float("nan"), float("nan"))
    return Taken(float(values.mean()), SEEDS, *ends, cases=values.size, each=tuple(map(float, values)))


def take(records: Records, experiment: str, told: Take) -> Taken:
    """The value that `told` names. told: `of`, a key of `WAYS`, and what that takes. Raises Missing where it was not run."""
    return WAYS[told["of"]](records, experiment, told)


def table_of(records: Records, experiment: str, told: Take) -> pd.DataFrame:
    """Metrics of the method that `told` names, or of its labels where it names a label or a metric of labels alone."""
    kind = "labels" if told.get("labels") else "metrics"
    table = records.table(kind, experiment, told["method"])
    if told.get("labels") == "scored":
        table = table[table["scored"] == SCORED]
    if told["metric"] not in table or not np.isfinite(table[told["metric"]]).any():
        raise Missing(f"{told['method']} has no {told['metric']} here")
    return table


def _metric(records: Records, experiment: str, told: Take) -> Taken:
    table = table_of(records, experiment, told)
    if told.get("group") is not None:
        table = table[table["group"] == told["group"]]
    table = table[np.isfinite(table[told["metric"]])]
    if table.empty:
        raise Missing(f"no case of {told.get('group')} has {told['metric']}")
    rms = told.get("statistic") == "rms"
    squares = table[told["metric"]] ** 2 if rms else table[told["metric"]]
    seeds = squares.groupby(table["seed"]).mean()
    columns = (table[name].to_numpy() for name in (told["metric"], "cluster", "pair_id"))
    return of_cases(Cases(*columns), np.sqrt(seeds) if rms else seeds, rms)


def _seconds(records: Records, experiment: str, told: Take) -> Taken:
    table = records.table("timing", experiment, told["method"]).dropna(subset="seconds")
    return of_cases(Cases(*(table[name].to_numpy() for name in ("seconds", "pair_id", "pair_id"))))


def _training_seconds(records: Records, experiment: str, told: Take) -> Taken:
    """Wall time of the trainings of a method, one for each seed."""
    jobs = [job for job in records.chain(experiment, told["method"]) if job["recipe"]["rule"] == "train_model"]
    seconds = pd.Series({job["recipe"]["wildcards"]["seed"]: job["run"]["wall_s"] for job in jobs}, dtype=float)
    return of_seeds(seconds)


def _loss(records: Records, experiment: str, told: Take) -> Taken:
    history = records.table("histories", experiment, told["method"])
    return of_seeds(losses(history, told["what"], told.get("loss", "train_loss")))


def _count(records: Records, experiment: str, told: Take) -> Taken:
    """Pairs of `test` or `validation`, `test_images`, `pool` (training images), `ordered_pairs` of two different ones of it."""
    group = told.get("group")
    if told["what"] in ("test", "validation"):
        pairs = records.table("pairs", experiment)
        pairs = pairs[pairs["split"] == told["what"]]
        return Taken(float(len(pairs if group is None else pairs[pairs["group"] == group])), EXACT)
    if told["what"] == "test_images":
        pairs = records.table("pairs", experiment)
        pairs = pairs[pairs["split"] == "test"]
        return Taken(float(len({*pairs["moving"], *pairs["fixed"]})), EXACT)
    pool = records.table("pool", experiment)
    sizes = (pool if group is None else pool[pool["group"] == group]).groupby("group").size()
    counts = {"pool": sizes, "ordered_pairs": sizes * (sizes - 1)}
    return Taken(float(counts[told["what"]].sum()), EXACT)


def _setting(records: Records, experiment: str, told: Take) -> Taken:
    """A param of the job that fitted a method, or that paired the images. key: its path, with dots."""
    rule = told.get("rule", "train_model")
    names = {"experiment": experiment} | ({"method": told["method"]} if "method" in told else {})
    value: Any = records.receipt(rule, **names)["recipe"]["params"]
    for part in told["key"].split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Missing(f"{told['key']} is no number here")
    return Taken(float(value), SETTING)


def _zeros(records: Records, experiment: str, told: Take) -> Taken:
    """Share of the weights that are zero, of each network of a compressed method."""
    layers = records.table("layers", experiment, told["method"])
    return of_seeds(layers.loc[layers["layer"] == "all", "share"])


def _cell(records: Records, experiment: str, told: Take) -> Taken:
    """A cell of an exhibit's table. where: the values of some columns in its row."""
    del experiment
    table = records.table("tables", told["table"])
    for column, value in told["where"].items():
        if column not in table:
            raise Missing(f"{told['table']} has no column {column}")
        own = table[column]
        alike = np.isclose(own, value) if isinstance(value, (int, float)) else own.astype(str) == value
        table = table[alike]
    if len(table) != 1 or not np.isfinite(table[told["column"]].iloc[0]):
        raise Missing(f"{told['table']} has no such row")
    return Taken(float(table[told["column"]].iloc[0]), EXACT)


WAYS: dict[str, Callable[[Records, str, Take], Taken]] = {
    "metric": _metric,
    "seconds": _seconds,
    "training_seconds": _training_seconds,
    "loss": _loss,
    "count": _count,
    "setting": _setting,
    "zeros": _zeros,
    "cell": _cell,
}
#: Those that hold times, which vary from run to run.
TIMED = ("seconds", "training_seconds")
