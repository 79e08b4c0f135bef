"""What a training had cost when its loss was where it was: in samples, steps and seconds, from histories and measured steps."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from reregister.errors import ReregisterError

BUDGETS = {"samples": "samples", "steps": "updates", "seconds": "seconds of training steps"}
COSTS = (
    "batch",
    "step_ms",
    "sample_ms",
    "register_ms",
    "register_memory_mb",
    "libraries_mb",
    "memory_1_mb",
    "memory_mb",
    "largest_batch",
    "read_archive_ms",
    "read_store_ms",
)
# Share of the smallest number of samples over which a training loss is averaged: one batch says little.
WINDOW = 0.1


def costs_of(steps: pd.DataFrame) -> pd.DataFrame:
    """Costs of each method, from the rows of `measure_step`: an index of methods with the columns `COSTS`.

    batch: the method's own; step_ms at it, NaN where it was not measured; sample_ms: milliseconds of a step per pair, at
    that batch or else at 1; memory_1_mb and memory_mb: peak at batch 1 and at its own. NaN for what has no row.
    """
    rows = []
    for method, own in steps.groupby("method", sort=False):
        values = own.set_index(["what", "batch"])["value"].to_dict()
        batch = int(own.loc[own["what"] == "step", "batch"].max())
        step, single = values.get(("step", batch), np.nan), values.get(("step", 1), np.nan)
        largest = own.loc[own["what"] == "largest_batch", "value"]
        named = {
            "step_ms": step,
            "sample_ms": step / batch if np.isfinite(step) else single,
            "register_ms": values.get(("register", 1), np.nan),
            "register_memory_mb": values.get(("register_memory", 1), np.nan),
            "libraries_mb": values.get(("memory", 0), np.nan),
            "memory_1_mb": values.get(("memory", 1), np.nan),
            "memory_mb": values.get(("memory", batch), np.nan),
            "largest_batch": largest.iloc[0] if len(largest) else np.nan,
            "read_archive_ms": values.get(("read_archive", 1), np.nan),
            "read_store_ms": values.get(("read_store", 1), np.nan),
        }
        rows.append({"method": method, "batch": batch, **named})
    return pd.DataFrame(rows, columns=["method", *COSTS]).set_index("method")


def loss_kind(histories: pd.DataFrame) -> str:
    """`validation` where every method has a validation loss after its first step, else `training`."""
    later = histories[histories["step"] > 0]
    return (
        "validation"
        if later.groupby("method")["validation_loss"].apply(lambda c: c.notna().any()).all()
        else "training"
    )


def curves_of(histories: pd.DataFrame, costs: pd.DataFrame, images: int | None = None) -> pd.DataFrame:
    """Losses of every network with what it had cost: method, part, seed, steps, samples, seconds, loss.

    histories: of training (`training.data.history_frame`). costs: of `costs_of`. images: of the training pool, for the
    samples of a training by epochs, whose last batch may be smaller. The loss is that of `loss_kind`; a training loss is
    the mean of the rows that end within the last tenth (WINDOW) of the smallest number of samples. seconds: of training steps
    alone, without reading. Raises ReregisterError for a method whose steps were not measured.
    """
    missing = sorted(set(histories["method"]) - set(costs.index))
    if missing:
        raise ReregisterError(f"the steps of {missing[0]} were not measured; add steps to what the exhibit reads")
    column = "validation_loss" if loss_kind(histories) == "validation" else "train_loss"
    frame = histories.dropna(subset=column).rename(columns={"step": "steps"})
    own = costs.loc[frame["method"]]
    samples = frame["steps"].to_numpy(float) * own["batch"].to_numpy()
    if images and "epoch" in frame:
        samples = np.where(frame["epoch"].notna(), frame["epoch"] * images, samples)
    frame = frame.assign(samples=samples, seconds=samples * own["sample_ms"].to_numpy() / 1e3, loss=frame[column])
    if column == "train_loss":
        window = WINDOW * frame.groupby("method")["samples"].max().min()
        parts = [_trailing(one, window) for _, one in frame.groupby(["method", "part", "seed"], sort=False)]
        frame = pd.concat(parts)
    return frame[["method", "part", "seed", "steps", "samples", "seconds", "loss"]].reset_index(drop=True)


def _trailing(one: pd.DataFrame, window: float) -> pd.DataFrame:
    """One network's rows with each loss averaged over the rows of the last `window` samples."""
    at, losses = one["samples"].to_numpy(float), one["loss"].to_numpy(float)
    # A row is the mean of the steps since the row before, and counts by their number.
    sizes = np.diff(at, prepend=0)
    first = np.searchsorted(at, at - window, side="right").clip(max=np.arange(len(at)))
    sums = [np.concatenate([[0], np.cumsum(values)]) for values in (sizes * losses, sizes)]
    ends = np.arange(1, len(at) + 1)
    return one.assign(loss=(sums[0][ends] - sums[0][first]) / (sums[1][ends] - sums[1][first]))


def common_budget(curves: pd.DataFrame, budget: str) -> float:
    """The largest budget (`BUDGETS`) that every method reached: the smallest of their maxima."""
    return float(curves.groupby("method")[budget].max().min())


def loss_at(curves: pd.DataFrame, budget: str, value: float) -> pd.Series:
    """Loss of each method at one budget, on straight lines between its points; mean over its networks."""
    found = {
        key: np.interp(value, one[budget].to_numpy(float), one["loss"].to_numpy(float))
        for key, one in curves.sort_values("steps").groupby(["method", "part", "seed"])
    }
    return pd.Series(found).groupby(level=0).mean()


def samples_until(curves: pd.DataFrame, share: float) -> pd.Series:
    """Samples after which each method had come `share` of the way from its first loss to its last; mean over networks.

    A share of the way and not of the loss itself, which may have any sign.
    """
    found: dict[object, float] = {}
    for key, one in curves.sort_values("steps").groupby(["method", "part", "seed"]):
        losses = one["loss"].to_numpy(float)
        reached = losses <= losses[0] + share * (losses[-1] - losses[0])
        found[key] = float(one["samples"].iloc[int(np.argmax(reached))])
    return pd.Series(found).groupby(level=0).mean()


def ends_of(histories: pd.DataFrame, costs: Mapping[str, float], images: int | None = None) -> pd.DataFrame:
    """Training losses with their sign, mean over networks: last (row), minimum, and last_epoch, the mean of that epoch.

    costs: batch by method. Without epochs and without the number of images of the pool an epoch is a tenth of the steps.
    Returns an index of methods with these columns.
    """
    rows = []
    for (method, _, _), one in histories.dropna(subset="train_loss").groupby(["method", "part", "seed"], sort=False):
        one = one.sort_values("step")
        last = one["step"].iloc[-1]
        if "epoch" in one and one["epoch"].notna().all():
            within = one["epoch"] > one["epoch"].iloc[-1] - 1
        else:
            within = one["step"] > last - (images / costs[str(method)] if images else WINDOW * last)
        losses = one["train_loss"]
        mean = losses[within].mean() if within.any() else losses.iloc[-1]
        rows.append({"method": method, "last": losses.iloc[-1], "minimum": losses.min(), "last_epoch": mean})
    return pd.DataFrame(rows, columns=["method", "last", "minimum", "last_epoch"]).groupby("method").mean()
