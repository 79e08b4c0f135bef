"""A network that goes down to small sizes and up again, level by level, read from the modules that its card lists."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pandas as pd

# What a layer is on its way through the network.
DOWN, UP, FIELD, POOL = "down", "up", "field", "pool"
COLUMNS = (
    "name",
    "use",
    "kind",
    "kernel",
    "inputs",
    "outputs",
    "parameters",
    "level",
    "role",
    "joined",
    "strided",
    "size",
)


def goes_up(card: Mapping[str, Any]) -> bool:
    """Whether the features grow again on their way, as in an encoder with a decoder."""
    sides = [max(module["shape"][1:], default=0) for module in card["modules"] if module["name"]]
    return any(after > before > 1 for before, after in pairwise(sides))


def layers_of(card: Mapping[str, Any]) -> pd.DataFrame:
    """Every convolution and pooling in the order in which it works, once for each time that it is used.

    Returns the columns `COLUMNS`: name in the network; use, 1 for the first time and more where the weights are used
    again, and then parameters is 0; kind, the types of it and of what follows it without a kernel; kernel such as 3×3×3;
    channels in and out; level, how often the size that it puts out was halved; role: `down` to the first convolution at
    the deepest level, `up` after it, `pool`, or `field`, a bare convolution to as many channels as there are axes; joined,
    the channels that it takes besides those of the layer before it, which is the skip of a U-net; strided, whether it steps
    over places itself; and size.
    """
    *modules, whole = card["modules"]
    ndim, full = len(whole["shape"]) - 1, max(card.get("padded_to") or whole["shape"][1:])
    rows: list[dict[str, Any]] = []
    for module in modules:
        if module["kernel"]:
            rows.append({name: module[name] for name in ("name", "inputs", "outputs")} | {"kind": [], "parameters": 0})
            rows[-1]["kernel"] = "×".join(str(side) for side in module["kernel"])
            rows[-1]["size"] = "×".join(str(side) for side in module["shape"][1:])
            rows[-1]["level"] = round(math.log2(full / max(module["shape"][1:])))
        if rows:
            rows[-1]["kind"].append(module["type"])
            rows[-1]["parameters"] += module["parameters"]
    _roles(rows, ndim)
    uses: dict[str, int] = {}
    before: dict[str, Any] | None = None
    level = 0
    for row in rows:
        row["use"] = uses[row["name"]] = uses.get(row["name"], 0) + 1
        row["parameters"] *= row["use"] == 1
        row["joined"] = row["inputs"] - before["outputs"] if row["role"] == UP and before else 0
        row["kind"] = " + ".join(row["kind"])
        row["strided"], level = row["role"] == DOWN and row["level"] > level, row["level"]
        before = row if row["role"] in (DOWN, UP) else before
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"inputs": "Int64", "outputs": "Int64"})


def _roles(rows: list[dict[str, Any]], ndim: int) -> None:
    deepest = max(row["level"] for row in rows if row["inputs"])
    role = DOWN
    for row in rows:
        if not row["inputs"]:
            row["role"] = POOL
        elif row["outputs"] == ndim and len(row["kind"]) == 1:
            row["role"] = FIELD
        else:
            row["role"] = role
            role = UP if row["level"] == deepest else role
