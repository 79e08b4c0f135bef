"""What was measured for the claims on time, memory and loss of the reduced VoxelMorph paper (papers.md 6.8)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reregister.card import read_card
from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.exhibits.budgets import costs_of, curves_of, ends_of, samples_until
from reregister.exhibits.macs import count_macs
from reregister.exhibits.options import options_of
from reregister.tables import read_frame, read_results

COLUMNS = ("claim", "quantity", "method", "value", "unit", "said")
# Of the way from the first to the last loss.
SHARE = 0.95

Row = dict[str, Any]


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from cards, histories and measured steps: for each claim a row for each method, and what they say together.

    Claims rv1 (time for a pair, with reading and without), rv2 (pairs until 95 % of the way to the last loss), rv5
    (absolute loss of the last epoch beside multiplications), rv6 (peak memory by batch) and rv7 (memory of a method to
    that of the first). Columns: claim, quantity, method, value, unit, said; `said` stands in the first row of a quantity:
    orders and ratios of the values, no verdict. Options: claims, those to show. Raises ReregisterError for fewer than two
    methods with a card.
    """
    told = options_of(exhibit, claims=["rv1", "rv2", "rv5", "rv6", "rv7"])
    steps = read_results(list(inputs["steps"]))
    histories = read_results(list(inputs["histories"]))
    cards = {path.parent.name: read_card(path) for path in reversed(inputs["cards"])}
    order = [method for method in exhibit.labels if method in cards and method in set(steps["method"])]
    if len(order) < 2:
        raise ReregisterError(f"{exhibit.exhibit} compares networks; name two or more whose steps are measured")
    steps, histories = (frame[frame["method"].isin(order)] for frame in (steps, histories))
    costs = costs_of(steps).loc[order]
    images = len(read_frame(inputs["pool"][0])) if inputs.get("pool") else None
    macs = {method: count_macs(cards[method]["modules"]) / 1e9 for method in order}
    losses = ends_of(histories, costs["batch"].to_dict(), images)["last_epoch"].to_dict()
    reached = samples_until(curves_of(histories, costs, images), SHARE).to_dict()
    rows = [
        *_times(costs, exhibit.labels),
        *_rows("rv2", "pairs until 95 % of the way to the last loss", reached, "pairs", exhibit.labels, order),
        *_work(losses, macs, exhibit.labels, order),
        *_batches(steps, costs, exhibit.labels),
        *_memory(costs, exhibit.labels),
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table[table["claim"].isin(told["claims"])].reset_index(drop=True)


def _rows(
    claim: str,
    quantity: str,
    values: Mapping[str, float],
    unit: str,
    labels: Mapping[str, str],
    order: list[str],
    said: str | None = None,
) -> list[Row]:
    """One row for each method; without words, those of the order of the values."""
    words = _order(values, labels) if said is None else said
    about = {"claim": claim, "quantity": quantity, "unit": unit}
    return [
        {**about, "method": labels[method], "value": values[method], "said": words if place == 0 else ""}
        for place, method in enumerate(order)
    ]


def _order(values: Mapping[str, float], labels: Mapping[str, str]) -> str:
    """Methods from the least value to the largest, in words; nothing where there are not two to compare."""
    known = sorted((method for method in values if np.isfinite(values[method])), key=lambda method: values[method])
    signs = [" = " if values[one] == values[other] else " < " for one, other in pairwise(known)]
    return "".join(f"{labels[method]}{sign}" for method, sign in zip(known, [*signs, ""], strict=True)) if signs else ""


def _times(costs: pd.DataFrame, labels: Mapping[str, str]) -> list[Row]:
    order = list(costs.index)
    step, compute, reading = costs["step_ms"], costs["sample_ms"], costs["read_archive_ms"]
    share = 100 * reading / (reading + compute)
    rows = _rows("rv1", "one update at the method's batch", step.to_dict(), "ms", labels, order)
    rows += _rows("rv1", "compute for a pair", compute.to_dict(), "ms", labels, order)
    rows += _rows("rv1", "reading and compute for a pair", (compute + reading).to_dict(), "ms", labels, order)
    spread = f"slowest to fastest: compute {_ratio(compute)}, with reading {_ratio(compute + reading)}"
    return rows + _rows("rv1", "share of reading from the archive", share.to_dict(), "%", labels, order, spread)


def _ratio(values: "pd.Series[float]") -> str:
    return f"{values.max() / values.min():.2f}"


def _work(losses: Row, macs: Mapping[str, float], labels: Mapping[str, str], order: list[str]) -> list[Row]:
    size = {method: abs(value) for method, value in losses.items()}
    pair = [size[method] for method in order], [macs[method] for method in order]
    # Undefined where all values of one are alike.
    tau = stats.kendalltau(*pair).statistic if min(len(set(values)) for values in pair) > 1 else np.nan
    agree = f"Kendall's tau of absolute loss and multiplications {tau:.2f}, {len(order)} networks"
    rows = _rows("rv5", "training loss of the last epoch, with its sign", losses, "", labels, order)
    rows += _rows("rv5", "absolute loss of the last epoch", size, "", labels, order, agree)
    return rows + _rows("rv5", "multiply-accumulates for a pair", macs, "GMAC", labels, order)


def _batches(steps: pd.DataFrame, costs: pd.DataFrame, labels: Mapping[str, str]) -> list[Row]:
    memory = steps[(steps["what"] == "memory") & (steps["batch"] > 0)]
    rows = []
    for batch, own in memory.groupby("batch"):
        values = dict(zip(own["method"], own["value"], strict=True))
        present = [method for method in costs.index if method in values]
        notes = own.loc[own["value"].isna(), "note"].tolist()
        said = "; ".join(dict.fromkeys(notes)) if notes else None
        rows += _rows("rv6", f"peak memory at batch {batch}", values, "MB", labels, present, said)
    limits = steps.loc[steps["what"] == "largest_batch", "note"]
    said = limits.iloc[0].partition(";")[0] if len(limits) else ""
    return rows + _rows(
        "rv6", "largest batch", costs["largest_batch"].to_dict(), "pairs", labels, list(costs.index), said
    )


def _memory(costs: pd.DataFrame, labels: Mapping[str, str]) -> list[Row]:
    """Memory at batch 1 as a share of that of the first method, and the same without what the libraries take."""
    order = list(costs.index)
    whole, own = costs["memory_1_mb"], costs["memory_1_mb"] - costs["libraries_mb"]
    said = f"share of {labels[order[0]]}"
    rows = _rows(
        "rv7", "share of peak memory at batch 1", (100 * whole / whole.iloc[0]).to_dict(), "%", labels, order, said
    )
    quantity = "the same without interpreter and libraries"
    return rows + _rows("rv7", quantity, (100 * own / own.iloc[0]).to_dict(), "%", labels, order, said)
