"""Each method against one reference on the same pairs: differences with intervals, and tests by pair and by patient."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.exhibits.measures import LENGTHS as UNITS
from reregister.exhibits.measures import NAMES
from reregister.exhibits.options import options_of
from reregister.figures.accuracy_table import LENGTHS, unit_of
from reregister.statistics import ALPHA, Wilcoxon, holm, paired_gain, wilcoxon_paired
from reregister.tables import read_results

# Metrics with their names for people; the unit is added to lengths.
METRICS = {"dice": "Dice", "hd95": "HD95 (95SD)", "asd": "MAD (ASD)"}
TESTS = ("p_wilcoxon", "p_t", "p_wilcoxon_patients", "p_t_patients")


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from the metrics: each further method of the exhibit minus the reference.

    Options: references, methods of the exhibit to compare all others with (the first where left out); metrics, those to
    test (Dice and the distances between surfaces where left out).
    The seeds of a trained method are averaged pair by pair, over those in which the metric is defined, before anything is
    tested, so that seeds are not taken for independent cases. One row per method and metric: patients (clusters), pairs
    in which both are defined, mean difference with its clustered 95 % interval; two-sided p of Wilcoxon's signed-rank
    test and of the paired t test, both by pair and by patient (on the mean difference of each), each of the four adjusted
    by Holm over all rows of the table (`.._holm`). smallest_p is the least p that the signed-rank test can reach with so
    many patients, and note says where that exceeds 0.05.
    Each reference is compared with all others but those before it. Raises ReregisterError for fewer than two methods, for
    data without the metrics and for lengths in several units.
    """
    told = options_of(exhibit, references=list(exhibit.labels)[:1], metrics=list(METRICS))
    metrics = read_results(list(inputs["metrics"]))
    metrics = metrics[metrics["method"].isin(exhibit.labels)].replace([np.inf, -np.inf], np.nan)
    names = [name for name in told["metrics"] if name in metrics]
    references = [method for method in told["references"] if method in exhibit.labels]
    pairs = [
        (reference, method)
        for place, reference in enumerate(references)
        for method in exhibit.labels
        if method not in references[: place + 1]
    ]
    if not pairs or not names:
        missing = ", ".join(told["metrics"]) if "metrics" in exhibit.options else "labels"
        what = missing if pairs else "a reference and at least one more method"
        raise ReregisterError(f"{exhibit.exhibit} needs {what}; see its methods and its experiment's dataset")
    unit = unit_of(exhibit, metrics) if set(names) & {*LENGTHS, *UNITS} else ""
    clusters = metrics.groupby("pair_id")["cluster"].first()
    means = metrics.groupby(["method", "pair_id"])[names].mean()
    rows: list[dict[str, Any]] = []
    for (reference, method), name in product(pairs, names):
        both = pd.concat([means.loc[method][name], means.loc[reference][name]], axis=1, join="inner").dropna()
        first, second = (both.iloc[:, column].to_numpy(np.float64) for column in (0, 1))
        words = {"method": exhibit.labels[method], "reference": exhibit.labels[reference]}
        words["metric"] = METRICS.get(name, NAMES.get(name, name))
        words["metric"] += f", {unit}" if name in {*LENGTHS, *UNITS} else ""
        rows.append(words | _row(first, second, clusters[both.index].to_numpy()))
    table = pd.DataFrame(rows)
    for test in TESTS:
        table.insert(int(table.columns.get_indexer([test])[0]) + 1, f"{test}_holm", holm(table[test]))
    return table


def _row(first: NDArray[np.float64], second: NDArray[np.float64], clusters: NDArray[Any]) -> dict[str, Any]:
    """Difference and tests of one metric of two methods over the same pairs."""
    gain = paired_gain(first, second, clusters)
    by_patient = wilcoxon_paired(first, second, clusters)
    differences = pd.Series(first - second)
    return {
        "patients": gain.n_clusters,
        "pairs": gain.n_values,
        "difference": gain.mean,
        "difference_low": gain.low,
        "difference_high": gain.high,
        "p_wilcoxon": wilcoxon_paired(first, second).p,
        "p_t": _p_t(differences),
        "p_wilcoxon_patients": by_patient.p,
        "p_t_patients": _p_t(differences.groupby(clusters).mean()),
        "smallest_p": by_patient.smallest_p,
        "note": _note(by_patient),
    }


def _p_t(differences: "pd.Series[float]") -> float:
    """Two-sided p of the paired t test [Student 1908; scipy.stats]; NaN where no two differences differ."""
    if differences.nunique() < 2:
        return float("nan")
    return float(stats.ttest_1samp(differences.to_numpy(np.float64), 0.0).pvalue)


def _note(test: Wilcoxon) -> str:
    return (
        f"too few patients: no p below {test.smallest_p:.2g} can be had, {ALPHA:g} is out of reach"
        if test.too_small
        else ""
    )
