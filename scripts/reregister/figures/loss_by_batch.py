"""Training loss batch by batch with its mean over each epoch, validation loss epoch by epoch, and where training stopped."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, StrMethodFormatter

from reregister.drawing import PALETTE, Exhibit, Inputs, new_figure
from reregister.errors import ReregisterError
from reregister.exhibits.options import options_of
from reregister.tables import read_results

TRAINING, VALIDATION = PALETTE[0], PALETTE[1]
# Losses that spread further than this stand on a logarithmic axis.
DECADE = 10
SERIES = ("batch", "epoch mean", "validation")


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from histories (CSV) that have a training loss at every step: one panel for each method, on one loss axis.

    An epoch ends where a validation loss stands. Every network (part and seed) of a method has its own lines; the dotted
    line marks its last epoch, and the title says after how many epochs training ended and whether the last validation
    loss exceeded the one before. Options: loss, its name for the axis. Returns the figure and its numbers: method, part,
    seed, series (`SERIES`), step, epoch and loss. Raises ReregisterError where a method has no validation loss after its
    first step.
    """
    told = options_of(exhibit, loss="loss")
    histories = read_results(list(inputs["histories"]))
    order = [method for method in exhibit.labels if method in set(histories["method"])]
    numbers = pd.concat(
        [
            _series(exhibit, history).assign(method=method, part=part, seed=seed)
            for (method, part, seed), history in histories.groupby(["method", "part", "seed"])
            if method in order
        ],
        ignore_index=True,
    )
    numbers = numbers[["method", "part", "seed", "series", "step", "epoch", "loss"]]
    figure = new_figure(3.7)
    panels = figure.subplots(1, len(order), sharey=True, squeeze=False)[0]
    for axes, method in zip(panels, order, strict=True):
        own = numbers[numbers["method"] == method]
        for _, network in own.groupby(["part", "seed"]):
            _network(axes, network)
        axes.set_title(f"{exhibit.labels[method]}\n{_end(own)}", pad=5)
        axes.set_xlabel(_per_epoch(own))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(alpha=0.25, linewidth=0.5)
        axes.set_xlim(left=-0.02 * own["step"].max())
    _scale(panels[0], numbers["loss"].to_numpy(float))
    panels[0].set_ylabel(told["loss"])
    figure.legend(handles=_handles(), loc="outside upper center", ncols=4, frameon=False)
    return figure, numbers


def _series(exhibit: Exhibit, history: pd.DataFrame) -> pd.DataFrame:
    """The three series of one network below each other."""
    history = history.sort_values("step")
    validation = history.dropna(subset="validation_loss")[["step", "validation_loss"]]
    ends = validation.loc[validation["step"] > 0, "step"].to_numpy(int)
    if not len(ends):
        raise ReregisterError(
            f"{exhibit.exhibit} needs a validation loss after each epoch and {history['method'].iloc[0]} has none; "
            "train it with validation pairs"
        )
    batches = history[(history["step"] > 0) & (history["step"] <= ends[-1])].dropna(subset="train_loss")
    batches = batches[["step", "train_loss"]].rename(columns={"train_loss": "loss"})
    batches["epoch"] = np.searchsorted(ends, batches["step"]) + 1
    means = batches.groupby("epoch")["loss"].mean().reset_index()
    means["step"] = ends[means["epoch"] - 1]
    validation = validation.rename(columns={"validation_loss": "loss"})
    validation["epoch"] = np.searchsorted(ends, validation["step"]) + (validation["step"] > 0)
    frames = (batches, means, validation)
    return pd.concat([frame.assign(series=name) for name, frame in zip(SERIES, frames, strict=True)])


def _network(axes: Any, network: pd.DataFrame) -> None:
    series = {name: network[network["series"] == name] for name in SERIES}
    last = int(series["validation"]["step"].max())
    every = max(1, len(series["epoch mean"]) // 12)
    look: dict[str, Any] = {"linewidth": 1.2, "markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.4}
    axes.plot(series["batch"]["step"], series["batch"]["loss"], color=TRAINING, alpha=0.45, linewidth=0.6, zorder=1)
    for name, shade, sign, rank in (("epoch mean", TRAINING, "o", 2), ("validation", VALIDATION, "^", 3)):
        line = series[name]
        axes.plot(line["step"], line["loss"], color=shade, marker=sign, markevery=every, zorder=rank, **look)
    axes.axvline(last, color="0.3", linewidth=0.9, linestyle=":", zorder=0)


def _end(own: pd.DataFrame) -> str:
    """After how many epochs the networks of a method ended, and for what reason."""
    epochs, rose = [], []
    for _, network in own[own["series"] == "validation"].groupby(["part", "seed"]):
        losses = network.sort_values("step")["loss"].to_numpy(float)
        epochs.append(int(network["epoch"].max()))
        rose.append(len(losses) > 1 and losses[-1] > losses[-2])
    few, many = min(epochs), max(epochs)
    end = f"{few} epoch{'s' * (few != 1)}" if few == many else f"{few} to {many} epochs"
    reason = "validation loss rose" if all(rose) else f"validation loss rose in {sum(rose)} of {len(rose)} networks"
    return f"stop after {end}: {reason}" if any(rose) else f"end after {end}"


def _per_epoch(own: pd.DataFrame) -> str:
    steps = np.diff([0, *own.loc[(own["series"] == "epoch mean"), "step"].unique()])
    counts = set(steps[steps > 0].tolist())
    return f"batch ({counts.pop():,} each epoch)" if len(counts) == 1 else "batch"


def _scale(axes: Any, losses: np.ndarray) -> None:
    """A logarithmic axis for positive losses over more than a decade, with ticks that can be read as numbers."""
    losses = losses[np.isfinite(losses)]
    if losses.size and losses.min() > 0 and losses.max() > DECADE * losses.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.minorticks_off()


def _handles() -> list[Line2D]:
    look: dict[str, Any] = {"linewidth": 1.2, "markersize": 4.5}
    return [
        Line2D([], [], color=TRAINING, alpha=0.45, linewidth=1, label="training, each batch"),
        Line2D([], [], color=TRAINING, marker="o", label="training, mean of the epoch", **look),
        Line2D([], [], color=VALIDATION, marker="^", label="validation", **look),
        Line2D([], [], color="0.3", linewidth=0.9, linestyle=":", label="end of training"),
    ]
