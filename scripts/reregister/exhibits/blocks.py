"""The blocks of a network as its model card lists its modules, with a few words on each."""

from typing import Any

import pandas as pd

SHORT = {"Conv2d": "conv", "AvgPool2d": "avg pool", "MaxPool2d": "max pool", "Linear": "dense"}
# Modules that only reorder numbers: no part of a block's kind.
SHAPES = ("Flatten", "Unflatten")
# Parameters from which on a count is given in millions.
MANY = 100_000


def blocks_of(card: dict[str, Any]) -> pd.DataFrame:
    """Blocks of a network: each convolution, dense layer or pooling with the modules without a kernel that follow it.

    Returns kind (types, joined by " + "), kernel, inputs, outputs, parameters, and channels, height and width put out.
    """
    rows: list[dict[str, Any]] = []
    for module in (entry for entry in card["modules"] if entry["name"]):
        if not rows or module["kernel"] or module["type"] == "Linear":
            kernel = "×".join(str(side) for side in module["kernel"] or [])
            rows.append({"kind": [], "kernel": kernel, "inputs": module["inputs"], "outputs": module["outputs"]})
            rows[-1]["parameters"] = 0
        rows[-1]["parameters"] += module["parameters"]
        if module["type"] not in SHAPES:
            rows[-1]["kind"].append(module["type"])
        if module["type"] != "Flatten":
            # A block of features keeps its size although they leave it in a row.
            rows[-1] |= dict(zip(("channels", "height", "width"), [*module["shape"], 1, 1], strict=False))
    frame = pd.DataFrame(rows).astype({"inputs": "Int64", "outputs": "Int64"})
    return frame.assign(kind=frame["kind"].map(" + ".join))


def what_it_does(row: dict[str, Any], before: int) -> str:
    """Type, kernel, channels in and out of a block, in lines. before: the height that the block before it puts out.

    A convolution that steps over places has `/2` (or how much it steps) beside its kernel.
    """
    first = row["kind"].split(" + ")[0]
    lines = [SHORT.get(first, first), *([row["kernel"]] if row["kernel"] else [])]
    if first == "Conv2d" and row["height"] < before:
        lines[-1] += f" /{round(before / row['height'])}"
    if row["parameters"] and row["kernel"]:
        lines.append(f"{row['inputs']} → {row['outputs']}")
    elif row["parameters"]:
        lines += [f"{row['inputs']:,}", f"→ {row['outputs']:,}"]
    return "\n".join(lines)


def what_it_has(row: dict[str, Any], word: str = " par.") -> str:
    """Size that a block puts out (values, of a dense layer) and its trainable parameters, in lines."""
    size = f"{row['height']}×{row['width']}" if row["height"] > 1 else f"{row['channels']:,}"
    count = f"{row['parameters']:,}" if row["parameters"] < MANY else f"{row['parameters'] / 1e6:.2f} M"
    return f"{size}\n{count}{word}" if row["parameters"] else size
