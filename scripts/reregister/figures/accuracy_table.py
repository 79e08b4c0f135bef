"""How well labels agree after registration, method by method: Table 1 of de Vos 2017, with intervals and paired gains."""

import pandas as pd

from reregister.comparison import ALL
from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.tables import read_results

# Lengths, whose unit stands in the name of the column: hd95_mm.
LENGTHS = ("hd95", "hd95_pooled", "asd")
WITH_SD = ("dice", "hd95", "asd")


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from the comparison and the metrics: one row per method (identity first).

    patients is the number of clusters, a case one pair with one seed. Of Dice (0 to 1), the distances between surfaces
    (in the unit of the data) and the share of folded voxels: mean, low and high of its clustered 95 % interval, and the
    standard deviation over the cases for the first three that the paper prints; the paired gain in Dice over the
    identity. empty_labels counts cases in which a label is empty before or after warping, undefined those that no
    distance is known of and that the means of distances leave out.
    Raises ReregisterError for data without labels and for lengths in several units.
    """
    comparison = read_results(list(inputs["comparison"]))
    comparison = comparison[(comparison["group"] == ALL) & comparison["method"].isin(exhibit.labels)]
    metrics = read_results(list(inputs["metrics"]))
    metrics = metrics[metrics["method"].isin(exhibit.labels)]
    unit = unit_of(exhibit, metrics)
    if "dice" not in set(comparison["metric"]):
        raise ReregisterError(
            f"{exhibit.exhibit} needs labels and its data have none; take methods_table for such data"
        )
    cells = comparison.set_index(["method", "metric"])
    empty = metrics[metrics["empty_labels"] > 0].groupby("method").size()
    methods = [method for method in exhibit.labels if (method, "dice") in cells.index]
    rows = []
    for method in sorted(methods, key=lambda name: name != "identity"):
        of = {
            name: cells.loc[(method, name)]
            for name in ("dice", "hd95", "asd", "fold_share", "hd95_pooled")
            if (method, name) in cells.index
        }
        dice, cases = of["dice"], metrics[metrics["method"] == method]
        row: dict[str, object] = {"method": exhibit.labels[method]}
        for name, cell in of.items():
            column = f"{name}_{unit}" if name in LENGTHS else name
            row |= {column: cell["mean"], f"{column}_low": cell["low"], f"{column}_high": cell["high"]}
            row |= {f"{column}_sd": cell["sd"]} if name in WITH_SD else {}
            if name == "asd":
                # Behind the paper's own three columns.
                row |= {f"dice_gain{end}": dice[f"gain{end}"] for end in ("", "_low", "_high")}
        row |= {"patients": cases["cluster"].nunique(), "cases": len(cases)}
        row |= {"empty_labels": int(empty.get(method, 0)), "undefined": int(of["hd95"]["n_undefined"])}
        rows.append(row)
    return pd.DataFrame(rows)


def unit_of(exhibit: Exhibit, metrics: pd.DataFrame) -> str:
    """The one unit of all lengths in metrics tables. Raises ReregisterError where there are several, or no row."""
    units = sorted(metrics["unit"].unique())
    if len(units) != 1:
        raise ReregisterError(
            f"{exhibit.exhibit} needs lengths in one unit and got {' and '.join(units) or 'none'}; "
            "leave out the images without a known spacing"
        )
    return str(units[0])
