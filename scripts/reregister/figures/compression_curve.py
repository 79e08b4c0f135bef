"""What compression costs: overlap and distance of labels against the share pruned, the bits of a weight, and the file."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from reregister.drawing import GREY, Exhibit, Inputs, draw_legend, draw_mean, new_figure
from reregister.errors import ReregisterError
from reregister.exhibits.compressed import FLOAT_BITS, bytes_by_method, compression_of, read_layers
from reregister.exhibits.label_errors import root_mean_square
from reregister.exhibits.measures import read_metrics
from reregister.exhibits.options import options_of
from reregister.figures.accuracy_table import unit_of
from reregister.statistics import cluster_bootstrap_mean

# Column of the numbers to the axis below it.
ACROSS = {"pruned_percent": "weights pruned, %", "bits": "bits of a weight", "megabytes": "file, MB"}


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from metrics and tables of layers, and from weights and sizes where they are read.

    Above Dice, below the target registration error (root mean square), with 95 % intervals over the moving subjects: of
    the pruned networks against the share of zeros, of those in fewer bits against the stored bits of a weight, and of all
    against the bytes on disk. A method without a table of layers is taken for the network before it is compressed: share
    0, 32 bits. Identity is a dashed line. Returns the figure and its numbers, one row per method. Raises ReregisterError
    for data without labels and where no method was compressed.
    """
    options_of(exhibit)
    metrics = read_metrics(exhibit, inputs["metrics"])
    if "tre" not in metrics:
        raise ReregisterError(f"{exhibit.exhibit} needs labels and its data have none; score some")
    numbers = _numbers(exhibit, inputs, metrics)
    columns = [name for name in ACROSS if name != "megabytes" or numbers[name].notna().any()]
    figure = new_figure(4.4)
    grid = figure.subplots(2, len(columns), sharex="col", sharey="row", squeeze=False)
    networks = numbers[numbers["method"] != "identity"]
    below = networks["bits"].round() < FLOAT_BITS
    whole = (networks["pruned_percent"] == 0) & ~below
    for place, name in enumerate(columns):
        own = networks[{"pruned_percent": ~below, "bits": below | whole, "megabytes": networks[name].notna()}[name]]
        for axes, measure in zip(grid[:, place], ("dice", "tre"), strict=True):
            _panel(axes, numbers, own, name, measure)
        _across(grid[1, place], name, own[name])
    for axes, words in zip(grid[:, 0], ("Dice", f"TRE, {unit_of(exhibit, metrics)}"), strict=True):
        axes.set_ylabel(words)
    shown = {method: label for method, label in exhibit.labels.items() if method in set(networks["method"])}
    draw_legend(figure, shown, columns=4)
    return figure, numbers


def _numbers(exhibit: Exhibit, inputs: Inputs, metrics: pd.DataFrame) -> pd.DataFrame:
    found, sizes = compression_of(read_layers(list(inputs["layers"]))), bytes_by_method(inputs)
    if not set(found.index) & set(exhibit.labels):
        raise ReregisterError(f"{exhibit.exhibit} has no layers of its methods; name methods that were compressed")
    rows = []
    for method in exhibit.labels:
        own = metrics[metrics["method"] == method]
        if own.empty:
            raise ReregisterError(f"{exhibit.exhibit} has no metrics of {method}; evaluate it on the same pairs")
        row: dict[str, Any] = {"method": method}
        known = found.loc[method] if method in found.index else {"pruned": 0.0, "bits": FLOAT_BITS}
        network = method != "identity"
        row["pruned_percent"] = 100 * known["pruned"] if network else np.nan
        row["bits"] = known["bits"] if network else np.nan
        row["megabytes"] = sizes.get(method, np.nan) / 1e6 if network else np.nan
        for name, of in (("dice", cluster_bootstrap_mean), ("tre", root_mean_square)):
            interval = of(own[name], own["cluster"])
            row |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
        rows.append(row)
    return pd.DataFrame(rows)


def _panel(axes: Any, numbers: pd.DataFrame, own: pd.DataFrame, across: str, measure: str) -> None:
    for row in numbers[numbers["method"] == "identity"].to_dict("records"):
        axes.axhline(row[measure], color=GREY, linestyle="--", linewidth=1)
        place = {"xycoords": ("axes fraction", "data"), "xytext": (-2, 2), "textcoords": "offset points"}
        axes.annotate("before registration", (1, row[measure]), **place, ha="right", color=GREY, fontsize=7)
    ordered = own.sort_values(across)
    if across != "megabytes":
        axes.plot(ordered[across], ordered[measure], color="0.75", linewidth=1, zorder=1)
    for row in ordered.to_dict("records"):
        y = (row[measure], row[f"{measure}_low"], row[f"{measure}_high"])
        draw_mean(axes, row["method"], (row[across], np.nan, np.nan), y)
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.margins(x=0.1, y=0.12)


def _across(axes: Any, name: str, values: "pd.Series[float]") -> None:
    axes.set_xlabel(ACROSS[name])
    if name == "bits" and len(values):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator([4, 8, 16, FLOAT_BITS]))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
    if name == "megabytes":
        axes.set_xlim(left=0)
