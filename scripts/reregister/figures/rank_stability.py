"""In how many resamples of the cases and seeds each method has each rank: whether an order of methods is one."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reregister.drawing import Exhibit, Inputs, new_figure
from reregister.exhibits.measures import NAMES, read_metrics
from reregister.exhibits.options import options_of
from reregister.exhibits.ranks import Ranks, rank_shares
from reregister.exhibits.scores import HIGHER, has, score_of

# Shares above it are written in white.
DARK = 0.55


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from metrics tables: a field for each method and rank, the best method on top, with the share in per cent.

    Options: scores, the metrics to rank by, a panel each (Dice where there are labels, else NCC). Ranks are those of
    `ranks.rank_shares`. Returns the figure and its numbers, one row per score, method and rank.
    """
    told = options_of(exhibit, scores=[])
    metrics = read_metrics(exhibit, inputs["metrics"])
    asked = [name for name in told["scores"] if has(metrics, name)] or [None]
    scores = list(dict.fromkeys(score_of(exhibit, metrics, name) for name in asked))
    found = {score: rank_shares(metrics, score, HIGHER[score]) for score in scores}
    rows = len(exhibit.labels)
    figure = new_figure(len(scores) * (0.8 + 0.27 * rows))
    panels = figure.subplots(len(scores), 1, squeeze=False)[:, 0]
    for axes, (score, ranks) in zip(panels, found.items(), strict=True):
        _panel(axes, ranks, exhibit)
        axes.set_title(f"by {NAMES.get(score, score.replace('_', ' '))}", pad=4, loc="left")
    panels[-1].set_xlabel("rank (1 is the best)")
    return figure, pd.concat([_numbers(score, ranks, exhibit) for score, ranks in found.items()], ignore_index=True)


def _panel(axes: Any, ranks: Ranks, exhibit: Exhibit) -> None:
    count = len(ranks.methods)
    axes.imshow(ranks.shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(ranks.shares >= 0.005):
        share = ranks.shares[row, column]
        look: dict[str, Any] = {"ha": "center", "va": "center", "color": "white" if share > DARK else "black"}
        axes.text(column, row, f"{100 * share:.0f} %", **look)
    axes.set_xticks(range(count), range(1, count + 1))
    axes.set_yticks(range(count), [exhibit.labels[method] for method in ranks.methods])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _numbers(score: str, ranks: Ranks, exhibit: Exhibit) -> pd.DataFrame:
    rows = [
        {
            "metric": score,
            "method": exhibit.labels[method],
            "mean": ranks.means[place],
            "rank_low": int(ranks.low[place]),
            "rank_high": int(ranks.high[place]),
            "rank": rank + 1,
            "share": ranks.shares[place, rank],
            "clusters": ranks.clusters,
        }
        for place, method in enumerate(ranks.methods)
        for rank in range(len(ranks.methods))
    ]
    return pd.DataFrame(rows)
