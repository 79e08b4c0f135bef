"""Networks of several sizes side by side: parameters, work, time with reading apart, memory, loss at equal budgets, Dice."""

from typing import Any

import numpy as np
import pandas as pd

from reregister.card import read_card
from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.exhibits.budgets import BUDGETS, common_budget, costs_of, curves_of, ends_of, loss_at
from reregister.exhibits.macs import count_macs, scaled_macs
from reregister.exhibits.options import options_of
from reregister.statistics import cluster_bootstrap_mean
from reregister.tables import read_frame, read_results

# Of the costs of a step, those that the table shows, in their order.
SHOWN = ("batch", "step_ms", "sample_ms", "read_archive_ms", "read_store_ms", "register_ms", "memory_1_mb", "memory_mb")
METRICS = ("dice", "fold_share")


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from cards, histories, measured steps and metrics: one row for each network of the exhibit's methods.

    Columns: method; parameters; gmac, 1e9 multiply-accumulates for a pair of the run's images, and with the option size
    (such as [160, 192, 224]) gmac_full for that; `SHOWN` (times in ms, of a pair where a step is not meant: sample_ms is
    compute alone, read_archive_ms and read_store_ms are the reading of its two images); largest_batch in the memory that
    was set; loss_equal_<budget>, the loss of `budgets.curves_of` at the largest budget that all methods reached, which
    equal_<budget> gives; loss_last, loss_minimum and loss_last_epoch (mean) of the training loss, with their sign; mean of
    Dice, where there are labels, and of the share of folds, with 95 % intervals by cluster. Options: size; without, columns
    to leave out. Columns without any value are left out. Raises ReregisterError where no method has a card.
    """
    told = options_of(exhibit, size=None, without=[])
    cards = _cards(exhibit, inputs)
    order = [method for method in exhibit.labels if method in cards]
    if not order:
        raise ReregisterError(
            f"{exhibit.exhibit} compares networks and none of its methods has a card; name such methods"
        )
    table = pd.DataFrame(index=pd.Index(order, name="method"))
    table["parameters"] = [cards[method]["parameters"] for method in order]
    table["gmac"] = [count_macs(cards[method]["modules"]) / 1e9 for method in order]
    if told["size"]:
        table["gmac_full"] = [scaled_macs(cards[method], told["size"]) / 1e9 for method in order]
    costs = costs_of(read_results(list(inputs["steps"])))
    table = table.join(costs[[*SHOWN, "largest_batch"]])
    table = table.join(_losses(inputs, order, costs)).join(_metrics(inputs))
    table = table.drop(columns=[name for name in told["without"] if name in table]).dropna(axis=1, how="all")
    return table.reset_index().assign(method=[exhibit.labels[method] for method in order])


def _cards(exhibit: Exhibit, inputs: Inputs) -> dict[str, dict[str, Any]]:
    """The first card of each method: its networks differ in seed and part alone."""
    found: dict[str, dict[str, Any]] = {}
    for path in inputs["cards"]:
        # models/<experiment>/<method>/<part>_seed<n>.card.md
        found.setdefault(path.parent.name, read_card(path))
    return {method: card for method, card in found.items() if method in exhibit.labels}


def _losses(inputs: Inputs, order: list[str], costs: pd.DataFrame) -> pd.DataFrame:
    histories = read_results(list(inputs["histories"]))
    histories = histories[histories["method"].isin(order)]
    images = len(read_frame(inputs["pool"][0])) if inputs.get("pool") else None
    curves = curves_of(histories, costs, images)
    found = pd.DataFrame(index=pd.Index(order, name="method"))
    for budget in BUDGETS:
        common = common_budget(curves, budget)
        found[f"loss_equal_{budget}"] = loss_at(curves, budget, common)
        found[f"equal_{budget}"] = common
    return found.join(ends_of(histories, costs["batch"].to_dict(), images).add_prefix("loss_"))


def _metrics(inputs: Inputs) -> pd.DataFrame:
    """Mean and clustered interval of each of `METRICS` that the methods have; a case is one pair with one seed."""
    if not inputs.get("metrics"):
        return pd.DataFrame(index=pd.Index([], name="method"))
    metrics = read_results(list(inputs["metrics"]))
    rows = {}
    for method, cases in metrics.groupby("method"):
        row: dict[str, float] = {}
        for name in (name for name in METRICS if name in metrics):
            values = cases[name].to_numpy(np.float64, na_value=np.nan)
            found = cluster_bootstrap_mean(values, cases["cluster"])
            row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
        rows[method] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
