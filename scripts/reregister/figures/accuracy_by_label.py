"""How near labels come to their places, method by method, on one list of pairs and labels: Table 1 of label_driven."""

import pandas as pd

from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.exhibits.label_errors import frozen_list, root_mean_square
from reregister.exhibits.options import options_of
from reregister.figures.accuracy_table import unit_of
from reregister.statistics import Interval, cluster_bootstrap_mean
from reregister.tables import read_results


def tabulate(exhibit: Exhibit, inputs: Inputs) -> pd.DataFrame:
    """Table from labels and metrics: one row per method (identity first), all on one frozen list (`frozen_list`).

    Of the scored labels the target registration error (root mean square of the centroids' distances, in the unit of the
    data and in voxels) and Dice; Dice of each scored label, then over all labels; each with low and high of its 95 %
    interval, resampled over the moving subjects. folds_percent: folded voxels over all pairs. pairs, labels and cases
    (a pair, a scored label and a seed) say how many were compared, left_out how many pairs and scored labels the list
    lacks, since they are undefined for one method at least. Raises ReregisterError without scored labels, for lengths in
    several units, and as `frozen_list`.
    """
    options_of(exhibit)
    labels, metrics = (read_results(list(inputs[name])) for name in ("labels", "metrics"))
    methods = sorted(exhibit.labels, key=lambda name: name != "identity")
    labels, metrics = (frame[frame["method"].isin(methods)] for frame in (labels, metrics))
    wanted = labels[labels["scored"] == "yes"]
    if wanted.empty:
        raise ReregisterError(f"{exhibit.exhibit} needs scored labels and its data have none; see score_labels")
    unit, every = unit_of(exhibit, labels), frozen_list(labels, methods)
    scored = every[every["scored"] == "yes"]
    if scored.empty:
        raise ReregisterError(f"{exhibit.exhibit} has no scored label that every method defines; score other labels")
    names = list(dict.fromkeys(wanted["label"]))
    asked = len(wanted.drop_duplicates(["pair_id", "label"]))
    rows = []
    for method in methods:
        own, of_all, pairs = (frame[frame["method"] == method] for frame in (scored, every, metrics))
        row: dict[str, object] = {"method": exhibit.labels[method]}
        for column, source in ((f"tre_{unit}", "centroid_distance"), ("tre_voxels", "centroid_distance_px")):
            row |= _cells(column, root_mean_square(own[source], own["cluster"]))
        row |= _cells("dice", cluster_bootstrap_mean(own["dice"], own["cluster"]))
        for name in names:
            label = own[own["label"] == name]
            row |= _cells(f"Dice, {name}", cluster_bootstrap_mean(label["dice"], label["cluster"]))
        row |= _cells("dice_all_labels", cluster_bootstrap_mean(of_all["dice"], of_all["cluster"]))
        row |= _cells("folds_percent", cluster_bootstrap_mean(100 * pairs["fold_share"], pairs["cluster"]))
        row |= {"pairs": own["pair_id"].nunique(), "labels": own["label"].nunique(), "cases": len(own)}
        row |= {"left_out": asked - len(own.drop_duplicates(["pair_id", "label"]))}
        rows.append(row)
    return pd.DataFrame(rows)


def _cells(column: str, found: Interval) -> dict[str, float]:
    return {column: found.mean, f"{column}_low": found.low, f"{column}_high": found.high}
