"""Losses at equal samples, updates and seconds, from curves that are known in closed form."""

import numpy as np
import pandas as pd
import pytest

from reregister.errors import ReregisterError
from reregister.exhibits.budgets import common_budget, costs_of, curves_of, ends_of, loss_at, loss_kind, samples_until


def steps_of(method: str, batch: int, ms: float, **others: float) -> pd.DataFrame:
    rows = [("register", 1, 3.0), ("step", 1, 10.0), ("memory", 0, 200.0), ("memory", 1, 300.0)]
    rows += [("step", batch, ms), ("memory", batch, 200.0 + 100 * batch), ("largest_batch", 7, 7.0)]
    rows += [(what, 1, value) for what, value in others.items()]
    return pd.DataFrame(rows, columns=["what", "batch", "value"]).assign(method=method, unit="", n=1, note="")


def history(method: str, steps: int, loss, seed: int = 0, validated: bool = False) -> pd.DataFrame:
    step = np.arange(steps + 1)
    values = loss(step.astype(float))
    frame = pd.DataFrame({"method": method, "part": "all", "seed": seed, "step": step})
    frame["train_loss"] = np.where(step > 0, values, np.nan)
    return frame.assign(validation_loss=values if validated else np.nan)


COSTS = costs_of(pd.concat([steps_of("slow", 2, 40.0, read_archive=50.0), steps_of("fast", 8, 40.0)]))


def test_costs_of_a_method() -> None:
    slow = COSTS.loc["slow"]
    assert slow[["batch", "step_ms", "sample_ms"]].tolist() == [2, 40, 20]
    assert slow[["libraries_mb", "memory_1_mb", "memory_mb", "largest_batch"]].tolist() == [200, 300, 400, 7]
    assert slow["read_archive_ms"] == 50
    assert np.isnan(COSTS.loc["fast", "read_archive_ms"])
    # A batch that could not be run: the time of a pair is that of a step at batch 1.
    unfit = steps_of("big", 4, np.nan)
    assert costs_of(unfit).loc["big", ["batch", "sample_ms"]].tolist() == [4, 10]


def test_curves_count_samples_and_seconds() -> None:
    histories = pd.concat([history(m, 40, lambda s: -s / 100, validated=True) for m in ("slow", "fast")])
    assert loss_kind(histories) == "validation"
    curves = curves_of(histories, COSTS)
    last = curves[curves["steps"] == 40].set_index("method")
    assert last["samples"].to_dict() == {"slow": 80, "fast": 320}
    assert last["seconds"].to_dict() == pytest.approx({"slow": 1.6, "fast": 1.6})
    assert common_budget(curves, "samples") == 80
    assert common_budget(curves, "steps") == 40
    # After 80 samples the fast one has made 10 updates.
    assert loss_at(curves, "samples", 80).to_dict() == pytest.approx({"slow": -0.4, "fast": -0.1})
    assert loss_at(curves, "steps", 40).to_dict() == pytest.approx({"slow": -0.4, "fast": -0.4})
    assert loss_at(curves, "steps", 2.5)["slow"] == pytest.approx(-0.025)


def test_samples_of_epochs_are_exact() -> None:
    # Batches of 8 out of 10 images: two steps an epoch, of which the second has 2 images.
    frame = history("fast", 4, lambda s: -s).assign(epoch=lambda f: f["step"] / 2)
    curves = curves_of(frame, COSTS, images=10)
    assert curves["samples"].tolist() == [5, 10, 15, 20]


def test_training_losses_are_averaged_over_the_last_tenth() -> None:
    histories = pd.concat([history(m, 100, lambda s: (s % 2) * 2 - 1) for m in ("slow", "fast")])
    assert loss_kind(histories) == "training"
    curves = curves_of(histories, COSTS)
    slow = curves[curves["method"] == "slow"]["loss"].to_numpy()
    fast = curves[curves["method"] == "fast"]["loss"].to_numpy()
    # The window is 20 samples: ten steps of the one, and the three of the other that end in it.
    np.testing.assert_allclose(slow[9:], 0, atol=1e-12)
    assert slow[0] == 1
    np.testing.assert_allclose(slow[2], 1 / 3)
    np.testing.assert_allclose(np.abs(fast[2:]), 1 / 3)


def test_a_row_counts_by_its_steps() -> None:
    frame = pd.DataFrame({"method": "slow", "part": "all", "seed": 0, "step": [0, 30, 40], "validation_loss": np.nan})
    frame["train_loss"] = [np.nan, 1.0, 5.0]
    curves = curves_of(frame, COSTS)
    assert curves["loss"].tolist() == [1.0, 5.0]
    wide = curves_of(pd.concat([frame, frame.assign(step=[0, 38, 40])], ignore_index=True).iloc[3:], COSTS)
    # The window of 8 samples reaches back 4 steps: over all of the last row and the one before.
    assert wide["loss"].tolist() == [1.0, pytest.approx((38 * 1 + 2 * 5) / 40)]


def test_share_of_the_way_and_ends() -> None:
    down = pd.concat([history("slow", 20, lambda s: 1 - s / 10, validated=True, seed=seed) for seed in (0, 1)])
    curves = curves_of(down, COSTS)
    # From 1 to -1: 95 % of the way is -0.9, which is there at step 19.
    assert samples_until(curves, 0.95).to_dict() == {"slow": 38}
    ends = ends_of(down, {"slow": 2}, images=8).loc["slow"]
    # An epoch of 8 images is 4 steps.
    assert ends.to_dict() == pytest.approx({"last": -1.0, "minimum": -1.0, "last_epoch": -0.85})
    by_epochs = down.assign(epoch=down["step"] / 10)
    assert ends_of(by_epochs, {"slow": 2}).loc["slow", "last_epoch"] == pytest.approx(-0.55)


def test_a_method_without_measured_steps_is_named() -> None:
    with pytest.raises(ReregisterError, match="the steps of other were not measured"):
        curves_of(history("other", 4, lambda s: -s), COSTS)
