"""How alike the images are that several networks warp, and how their Dice differs, on the same pairs (papers.md 6.8, rv3)."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reregister.drawing import Exhibit, Inputs, new_figure
from reregister.errors import ReregisterError
from reregister.exhibits.options import options_of
from reregister.statistics import cluster_bootstrap_mean, paired_gain
from reregister.tables import read_results

ENDS = ("", "_low", "_high")


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from the similarity of warped images and the metrics (CSV): two maps, each cell two methods.

    Left the mean SSIM of their warped images; right, where there are labels, the mean difference in Dice, row minus
    column, with a frame where its 95 % interval, resampled over the clusters, leaves out 0. Seeds are averaged pair by
    pair for Dice; SSIM is that of the first seed. Returns the figure and its numbers, one row for each two methods: first,
    second, pairs, ssim with its interval and least value, dice_difference (first minus second) with its interval.
    Raises ReregisterError for fewer than two methods.
    """
    options_of(exhibit)
    similarity = read_results(list(inputs["similarity"]), text=("pair_id", "first", "second"))
    metrics = read_results(list(inputs["metrics"]))
    present = {*similarity["first"], *similarity["second"]}
    order = [method for method in exhibit.labels if method in present]
    if len(order) < 2:
        raise ReregisterError(f"{exhibit.exhibit} compares warped images; name two or more methods that were compared")
    numbers = _numbers(similarity, metrics, order)
    labelled = numbers["dice_difference"].notna().any()
    names = [exhibit.labels[method] for method in order]
    figure = new_figure(1.7 + 0.52 * len(order))
    panels = figure.subplots(1, 2 if labelled else 1, squeeze=False)[0]
    _map(panels[0], _square(numbers, order, "ssim", 1), names, "SSIM of the warped images", None)
    if labelled:
        differs = (numbers["dice_difference_low"] > 0) | (numbers["dice_difference_high"] < 0)
        frames = _square(numbers.assign(differs=differs.astype(float)), order, "differs", 1)
        _map(panels[1], _square(numbers, order, "dice_difference", -1), names, "Dice, row minus column", frames)
    return figure, numbers


def _numbers(similarity: pd.DataFrame, metrics: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    clusters = metrics.groupby("pair_id")["cluster"].first()
    dice = metrics.groupby(["method", "pair_id"])["dice"].mean() if "dice" in metrics else None
    rows: list[dict[str, Any]] = []
    for (first, second), own in similarity.groupby(["first", "second"], sort=False):
        if first not in order or second not in order:
            continue
        found = cluster_bootstrap_mean(own["ssim"], clusters.loc[own["pair_id"]])
        row = {"first": first, "second": second, "pairs": len(own), "ssim": found.mean}
        row |= {"ssim_low": found.low, "ssim_high": found.high, "ssim_least": own["ssim"].min()}
        gain = [np.nan] * 3
        if dice is not None:
            one, other = (dice.loc[method].reindex(own["pair_id"]) for method in (first, second))
            difference = paired_gain(one, other, clusters.loc[own["pair_id"]])
            gain = [difference.mean, difference.low, difference.high]
        rows.append(row | {f"dice_difference{end}": value for end, value in zip(ENDS, gain, strict=True)})
    return pd.DataFrame(rows)


def _square(numbers: pd.DataFrame, order: list[str], name: str, sign: int) -> np.ndarray:
    """Values of all two methods, (M, M), NaN on the diagonal; sign: of the value with the methods exchanged."""
    square = np.full((len(order), len(order)), np.nan)
    for row in numbers.to_dict("records"):
        first, second = order.index(row["first"]), order.index(row["second"])
        square[first, second], square[second, first] = row[name], sign * row[name]
    return square


def _map(axes: Any, square: np.ndarray, names: list[str], title: str, frames: np.ndarray | None) -> None:
    look: dict[str, Any] = {"cmap": "crest_r", "vmin": min(np.nanmin(square), 0.9), "vmax": 1}
    if frames is not None:
        reach = max(float(np.nanmax(np.abs(square))), 0.01)
        look = {"cmap": "vlag", "vmin": -reach, "vmax": reach}
    text = np.vectorize(lambda value: _words(value, signed=frames is not None))(square)
    sns.heatmap(square, ax=axes, annot=text, fmt="", cbar=False, square=True, linewidths=0.8, **look)
    axes.set_title(title, pad=6)
    axes.tick_params(length=0)
    axes.set_xticklabels(names, rotation=30, ha="right")
    axes.set_yticklabels(names, rotation=0)
    for row, column in np.argwhere(np.nan_to_num(frames) > 0) if frames is not None else ():
        corners = np.array([(0.06, 0.06), (0.94, 0.06), (0.94, 0.94), (0.06, 0.94), (0.06, 0.06)])
        axes.plot(*(corners + np.array([column, row])).T, color="0.2", linewidth=1)


def _words(value: float, signed: bool) -> str:
    """A number with three digits, nothing for NaN; signed: with its sign, which 0 does not have."""
    if np.isnan(value):
        return ""
    rounded = round(float(value), 3) + 0.0
    return ("+" if signed and rounded > 0 else "") + f"{rounded:.3f}".replace("-", "−")
