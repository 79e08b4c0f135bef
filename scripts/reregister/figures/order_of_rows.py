"""Why pruning may seem to help: is the image pair better left alone, and does pruning lead back there? (papers.md 5.9, #7)

The hypothesis: weights that make the displacement begin at zero and stay small, so global magnitude pruning takes them
first and draws the displacement towards none; where no registration scores above the trained network, pruning then helps.
"""

from typing import Any

import numpy as np
import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.exhibits.compressed import ALL, read_layers
from reregister.exhibits.measures import read_metrics
from reregister.exhibits.options import options_of
from reregister.figures.sparsity_by_layer import shares_of
from reregister.statistics import Interval, cluster_bootstrap_mean, paired_gain


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from metrics and layers: one row per method, and a last one with the verdict.

    Options: trained and pruned, the methods that the hypothesis is about; marked, how the names of the layers begin that
    make the displacement. Columns: method; place (1 is the highest Dice); Dice and its paired difference from `trained`,
    each with its 95 % interval over the clusters, a method's seeds averaged pair by pair; the mean displacement, in the
    unit of the data; percent of the marked layers' and of all weights that are zero; note, what the numbers say. Raises
    ReregisterError where identity, trained or pruned is missing, or the pruned method has no such layers.
    """
    told = options_of(exhibit, trained="trained", pruned="pruned", marked="summands")
    metrics = read_metrics(exhibit, inputs["metrics"])
    methods = sorted(exhibit.labels, key=lambda name: name != "identity")
    for name in ("identity", told["trained"], told["pruned"]):
        if name not in exhibit.labels or name not in set(metrics["method"]):
            raise ReregisterError(f"{exhibit.exhibit} needs the method {name}; name it among its methods")
    if "dice" not in metrics:
        raise ReregisterError(f"{exhibit.exhibit} needs labels and its data have none; score some")
    zeros = _zeros(exhibit, inputs, told)
    clusters = metrics.groupby("pair_id")["cluster"].first()
    by_pair = metrics.groupby(["method", "pair_id"])[["dice", "mean_displacement"]].mean()
    trained = by_pair.loc[told["trained"], "dice"]
    rows: dict[str, dict[str, Any]] = {}
    for method in methods:
        own = by_pair.loc[method]
        dice = cluster_bootstrap_mean(own["dice"], clusters[own.index])
        gain = paired_gain(own["dice"], trained.reindex(own.index), clusters[own.index])
        row: dict[str, Any] = {"method": exhibit.labels[method], "place": 0, **_cells("dice", dice)}
        row |= {**_cells("dice_minus_trained", gain), "mean_displacement": float(own["mean_displacement"].mean())}
        row |= zeros.get(method, {"zeros_marked_percent": np.nan, "zeros_percent": np.nan})
        rows[method] = {**row, "note": "" if method == told["trained"] else _against(gain)}
    order = sorted(rows, key=lambda name: -rows[name]["dice"])
    for method, row in rows.items():
        row["place"] = order.index(method) + 1
    verdict = _verdict(rows["identity"], rows[told["trained"]], rows[told["pruned"]])
    return pd.DataFrame([*rows.values(), {"method": "Hypothesis", "note": verdict}]).astype({"place": "Int64"})


def _cells(column: str, found: Interval) -> dict[str, float]:
    return {column: found.mean, f"{column}_low": found.low, f"{column}_high": found.high}


def _zeros(exhibit: Exhibit, inputs: Inputs, told: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Percent of zeros in the marked layers and in all, by method."""
    shares = shares_of(read_layers(list(inputs["layers"])), list(exhibit.labels), told["marked"])
    found = {}
    for method, own in shares.groupby("method"):
        marked, whole = own[own["marked"] == "yes"], own.set_index("layer")
        if not marked.empty:
            share = marked["zeros"].sum() / marked["parameters"].sum()
            found[method] = {"zeros_marked_percent": 100 * share, "zeros_percent": 100 * whole.loc[ALL, "share"]}
    if told["pruned"] not in found:
        raise ReregisterError(
            f"{exhibit.exhibit} has no layer {told['marked']} of {told['pruned']}; see its options and its layers"
        )
    return found


def _against(gain: Interval) -> str:
    """Whether a method scores above or below the trained one, by the interval of the difference."""
    if gain.low > 0:
        return "above the trained network"
    return "below the trained network" if gain.high < 0 else "not told apart from the trained network"


def _verdict(identity: dict[str, Any], trained: dict[str, Any], pruned: dict[str, Any]) -> str:
    """The three steps of the hypothesis and whether all of them are met."""
    above = identity["dice_minus_trained_low"] > 0
    first = pruned["zeros_marked_percent"] > pruned["zeros_percent"]
    nearer = pruned["mean_displacement"] < trained["mean_displacement"]
    change = 100 * (pruned["mean_displacement"] / trained["mean_displacement"] - 1)
    steps = [
        f"no registration is {identity['note'] if above else 'not above the trained network'}",
        f"pruning takes {pruned['zeros_marked_percent']:.3g} % of the layers that make the displacement and "
        f"{pruned['zeros_percent']:.3g} % of all weights",
        f"the mean displacement changes by {change:+.3g} %".replace("-", "−"),
    ]
    met = above and first and nearer
    return f"{'holds' if met else 'does not hold'}: {'; '.join(steps)}"
