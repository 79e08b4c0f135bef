"""What the training histories of a method say: its losses at the end, how long it trained, how they part."""

from collections.abc import Callable

import pandas as pd


def losses(history: pd.DataFrame, what: str, column: str) -> "pd.Series[float]":
    """One value for each network of a history.

    what: `last` or `minimum` of a loss; `epochs`, how many were trained; `gap`, between the validation and the training
    loss at the end, as a share of the latter; `rise`, by how much the validation loss at the end lies above its minimum,
    as a share of its fall.
    """
    return history.groupby(["part", "seed"], sort=True).apply(_LOSSES[what], column)


def _gap(one: pd.DataFrame, _: str) -> float:
    validation = one.dropna(subset="validation_loss").sort_values("step")
    training = one.dropna(subset="train_loss").sort_values("step")
    if validation.empty or training.empty:
        return float("nan")
    # A batch says little: the steps since the validation before the last.
    steps = validation["step"].to_numpy()
    since = training[training["step"] > (steps[-2] if steps.size > 1 else -1)]["train_loss"]
    train = float((training["train_loss"].tail(1) if since.empty else since).mean())
    return abs(float(validation["validation_loss"].iloc[-1]) - train) / abs(train) if train else float("nan")


def _rise(one: pd.DataFrame, _: str) -> float:
    values = one.sort_values("step")["validation_loss"].dropna().to_numpy(float)
    fall = values[0] - values.min() if values.size else 0.0
    return float((values[-1] - values.min()) / fall) if fall > 0 else float("nan")


def _edge(which: str) -> Callable[[pd.DataFrame, str], float]:
    def value(one: pd.DataFrame, column: str) -> float:
        values = one.sort_values("step")[column].dropna()
        return float(values.iloc[-1] if which == "last" else values.min()) if len(values) else float("nan")

    return value


_LOSSES: dict[str, Callable[[pd.DataFrame, str], float]] = {
    "last": _edge("last"),
    "minimum": _edge("minimum"),
    "epochs": lambda one, _: float(one["epoch"].max()) if "epoch" in one else float("nan"),
    "gap": _gap,
    "rise": _rise,
}
