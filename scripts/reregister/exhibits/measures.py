"""Measures that an exhibit is told to show: a metric, or a weighted sum of several, with a name for people."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from reregister.drawing import Exhibit
from reregister.errors import ReregisterError
from reregister.tables import read_results

NAMES = {
    "ncc": "NCC",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "ssim": "SSIM",
    "ssim_raw": "SSIM of raw intensities / 255",
    "ssim_foreground": "SSIM of the foreground",
    "dice": "Dice",
    "min_det": "smallest det J",
    "mean_det": "mean det J",
    "std_det": "SD of det J within the image",
    "sdlogj": "SD of log det J",
    "fold_share": "share of folded pixels",
    "max_displacement": "largest displacement",
    "field_sd": "SD of the displacement within the image",
    "field_error_mean": "error against the true field",
    "smoothness": "smoothness term",
    "uncovered": "share of the target not covered",
    "mean_displacement": "mean displacement",
    "tre": "target registration error of labels",
    "tre_px": "target registration error of labels, voxels",
}
# Their unit stands beside the name.
LENGTHS = ("max_displacement", "mean_displacement", "field_sd", "field_error_mean", "tre")


class Measure(NamedTuple):
    """label: for people. terms: metric to weight."""

    label: str
    terms: Mapping[str, float]


def measures_of(exhibit: Exhibit, asked: Sequence[Any], metrics: pd.DataFrame) -> list[Measure]:
    """Measures as an exhibit's option lists them: each the name of a metric, or {label, terms: {metric: weight}}.

    metrics: a table of them; the unit of lengths is that of its first row. Raises ReregisterError for a measure in
    another form and for a metric that the table does not have.
    """
    found = []
    for entry in asked:
        if isinstance(entry, str):
            unit = f", {metrics['unit'].iloc[0]}" if entry in LENGTHS and len(metrics) else ""
            measure = Measure(NAMES.get(entry, entry.replace("_", " ")) + unit, {entry: 1.0})
        elif isinstance(entry, Mapping) and set(entry) == {"label", "terms"} and isinstance(entry["terms"], Mapping):
            measure = Measure(str(entry["label"]), entry["terms"])
        else:
            raise ReregisterError(
                f"{exhibit.exhibit} has the measure {entry}; give the name of a metric, or label and terms"
            )
        missing = [name for name in measure.terms if name not in metrics]
        if missing:
            raise ReregisterError(
                f"{exhibit.exhibit} shows {missing[0]}, which the metrics of its experiment do not have; "
                "take a metric of their table"
            )
        found.append(measure)
    return found


def with_measures(metrics: pd.DataFrame, measures: Sequence[Measure]) -> pd.DataFrame:
    """A table of metrics with a further column for each measure, named by its label."""
    sums = {m.label: sum(weight * metrics[name] for name, weight in m.terms.items()) for m in measures}
    return metrics.assign(**sums)


def read_metrics(exhibit: Exhibit, paths: Sequence[Any]) -> pd.DataFrame:
    """Metrics of an exhibit's methods. Raises ReregisterError where none of them has any."""
    metrics = read_results(list(paths))
    metrics = metrics[metrics["method"].isin(exhibit.labels)]
    if metrics.empty:
        raise ReregisterError(f"{exhibit.exhibit} has no metrics of its methods; name methods of its experiment")
    return metrics


def by_pair(metrics: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """One row per method and pair, a method's seeds averaged, so that they are not taken for further pairs."""
    means = metrics.groupby(["method", "pair_id"])[list(names)].mean()
    return means.join(metrics.groupby(["method", "pair_id"])["cluster"].first()).reset_index()
