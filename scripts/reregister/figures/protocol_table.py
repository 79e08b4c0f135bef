"""All methods on one dataset, by the same measures: accuracy, regularity, time and size, the worst cases and the seeds."""

from pathlib import Path

import numpy as np
import pandas as pd

from reregister.card import read_card
from reregister.drawing import Exhibit, Inputs
from reregister.exhibits.measures import by_pair, read_metrics
from reregister.exhibits.options import options_of
from reregister.exhibits.scores import HIGHER, LENGTHS, has
from reregister.figures.accuracy_table import unit_of
from reregister.statistics import summarise
from reregister.tables import read_results

REGULARITY = ("fold_share", "sdlogj", "min_det")
# Share of the pairs that are the worst ones.
WORST = 0.3


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from metrics, timings and cards: one row per method, identity first.

    Each measure of `HIGHER` and of regularity that is known: mean over the cases, a case being one pair with one seed, with
    its 95 % interval, resampled over the clusters. For the measures that the option `beside` names, Dice, NCC and the error
    against the true field: the mean over the worst 30 % of the pairs (<measure>_worst), a pair's seeds averaged first,
    and from the lowest to the highest mean of a seed (<measure>_seed_range), empty where there is one seed. Seconds for one
    pair, median over the cases, the start included that its field was composed with; trainable parameters.
    """
    told = options_of(exhibit, beside=["dice", "ncc", "field_error_mean"])
    metrics = read_metrics(exhibit, inputs["metrics"])
    names = [name for name in HIGHER if has(metrics, name)]
    shown = [*names, *(name for name in REGULARITY if has(metrics, name))]
    unit, cells = unit_of(exhibit, metrics), summarise(metrics, ["method"], shown).set_index(["method", "metric"])
    times, sizes = _seconds(read_results(list(inputs["timing"]))), _parameters(list(inputs.get("cards", ())))
    pairs, present = by_pair(metrics, names), set(metrics["method"])
    rows = []
    for method in sorted((m for m in exhibit.labels if m in present), key=lambda name: name != "identity"):
        own = metrics[metrics["method"] == method]
        row: dict[str, object] = {"method": exhibit.labels[method], "pairs": own["pair_id"].nunique()}
        row |= {"clusters": own["cluster"].nunique(), "seeds": own["seed"].nunique()}
        for name in shown:
            cell, column = cells.loc[(method, name)], _column(name, unit)
            row |= {column: cell["mean"], f"{column}_low": cell["low"], f"{column}_high": cell["high"]}
        for name in (name for name in told["beside"] if name in names):
            row[f"{_column(name, unit)}_worst"] = worst_mean(pairs.loc[pairs["method"] == method, name], HIGHER[name])
            row[f"{_column(name, unit)}_seed_range"] = seed_range(own, name)
        row |= times.get(method, {"seconds": np.nan, "device": ""}) | {"parameters": sizes.get(method, "")}
        rows.append(row)
    return pd.DataFrame(rows)


def worst_mean(values: "pd.Series[float]", higher: bool, share: float = WORST) -> float:
    """Mean of the worst values, at least one and so many that they are `share` of all or more; NaN without a defined one.

    higher: whether a higher value is better.
    """
    defined = np.sort(values.to_numpy(np.float64)[np.isfinite(values.to_numpy(np.float64))])
    if not defined.size:
        return float("nan")
    # A share such as 0.3 of 10 is 3, also where the product is a little more.
    count = max(int(np.ceil(round(share * defined.size, 9))), 1)
    return float(defined[:count].mean() if higher else defined[-count:].mean())


def seed_range(metrics: pd.DataFrame, name: str) -> float:
    """Distance from the lowest to the highest mean of a seed; NaN with one seed."""
    means = metrics.groupby("seed")[name].mean()
    return float(means.max() - means.min()) if len(means) > 1 else float("nan")


def _column(name: str, unit: str) -> str:
    return f"{name}_{unit}" if name in LENGTHS else name


def _seconds(timing: pd.DataFrame) -> dict[str, dict[str, object]]:
    """Median seconds for one pair and device, by method; what a method starts from belongs to its time."""
    alone = timing.groupby(["method", "pair_id"])["seconds"].median()
    found = {}
    for method, own in timing.groupby("method"):
        seconds = own.set_index("pair_id")["seconds"]
        if "start" in own and own["start"].notna().all():
            seconds = seconds + alone.loc[own["start"].iloc[0]].reindex(seconds.index)
        found[str(method)] = {"seconds": float(seconds.median()), "device": "; ".join(sorted(set(own["device"])))}
    return found


def _parameters(cards: list[Path]) -> dict[str, int]:
    """Trainable parameters by method: cards lie at <method>/<part>_seed<n>.card.md, those of a prior at <method>.card.md."""
    return {
        (path.parent.name if "_seed" in path.name else path.name.split(".")[0]): int(read_card(path)["parameters"])
        for path in cards
    }
