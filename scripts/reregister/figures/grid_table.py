"""A search over a grid of two settings, cell by cell: final validation loss, test error, and the place of each."""

from typing import Any

import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.exhibits.measures import read_metrics
from reregister.exhibits.options import options_of
from reregister.statistics import summarise
from reregister.tables import read_results

OPTIONS: dict[str, Any] = {"metric": "mse", "marked": ""}


def settings_of(exhibit: Exhibit) -> pd.DataFrame:
    """Settings of each method as its label tells them, such as `lr 0.1, λ 1`: two columns of numbers by method.

    Raises ReregisterError for a label in another form and for methods whose settings have different names.
    """
    rows: dict[str, dict[str, float]] = {}
    for method, label in exhibit.methods:
        try:
            pairs = [part.rsplit(" ", 1) for part in label.split(", ")]
            rows[method] = {name.strip(): float(value) for name, value in pairs}
        except ValueError:
            rows[method] = {}
        if len(rows[method]) != 2 or list(rows[method]) != list(next(iter(rows.values()))):
            raise ReregisterError(
                f"{exhibit.exhibit} shows a grid and {method} has the label {label}; "
                "give it the two settings, such as lr 0.1, λ 1"
            )
    return pd.DataFrame.from_dict(rows, orient="index")


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from histories (and metrics, where read): one row per method of the grid, sorted by its settings.

    Options: metric, the one of the test pairs (mse); marked, the method that the paper names the best, which the last
    column says; lower is better in both. validation_loss is that of the last step, the mean over seeds, with low and high
    the lowest and the highest where there are several; validation_rank is the place by it, 1 the lowest. The metric has
    its 95 % interval and test_rank its place. steps is the mean number of iterations. Undefined losses have no place.
    """
    told = options_of(exhibit, **OPTIONS)
    settings = settings_of(exhibit)
    histories = read_results(list(inputs["histories"]))
    validated = histories[histories["method"].isin(settings.index)].dropna(subset="step")
    last = validated.loc[
        validated.dropna(subset="validation_loss").groupby(["method", "part", "seed"])["step"].idxmax()
    ]
    ends = last.groupby("method").agg(
        steps=("step", "mean"),
        validation_loss=("validation_loss", "mean"),
        validation_loss_low=("validation_loss", "min"),
        validation_loss_high=("validation_loss", "max"),
    )
    table = settings.join(ends)
    if last.groupby("method").size().max() < 2:
        table = table.drop(columns=["validation_loss_low", "validation_loss_high"])
    table["validation_rank"] = table["validation_loss"].rank(method="min").astype("Int64")
    if inputs.get("metrics"):
        metric = told["metric"]
        found = summarise(read_metrics(exhibit, inputs["metrics"]), ["method"], [metric]).set_index("method")
        table[metric], table[f"{metric}_low"], table[f"{metric}_high"] = found["mean"], found["low"], found["high"]
        table["test_rank"] = table[metric].rank(method="min").astype("Int64")
    words = {told["marked"]: "optimum of the paper"}
    table["note"] = [words.get(method, "") for method in table.index]
    return table.sort_values(list(settings.columns), ascending=[False, True]).reset_index(drop=True)
