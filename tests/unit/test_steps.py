"""What a step costs: the logic of batches and memory on made-up measurements, and one real measurement of a tiny network."""

import copy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from reregister.benchmark.process import in_own_process
from reregister.data.reading import Whole
from reregister.errors import ReregisterError
from reregister.losses import Registered, build_loss
from reregister.steps import batches, reading, table
from reregister.steps.table import COLUMNS, as_table, fitting_batch, line_of, read_rows, step_rows
from reregister.transforms.warp import warp
from reregister.weights import build_model

CASE: dict[str, Any] = {
    "model": {"name": "reduced_voxelmorph", "params": {"permutation": "both"}},
    "loss": {"local_ncc": 1.0, "grad_l2_forward": 1.0},
    "optimiser": {"name": "adam", "lr": 1e-3},
    "padding": "zeros",
    "precision": "fp32",
    "shape": [1, 8, 8, 8],
    "labels": 0,
    "device": "cpu",
    "determinism": "none",
    "threads": 1,
}


def test_memory_is_a_line_over_the_batch() -> None:
    assert line_of({1: 300.0}, 200.0) == (100, 200)
    assert line_of({1: 300.0, 2: 380.0}, 200.0) == pytest.approx((80, 220))
    assert line_of({1: 300.0, 2: 380.0, 4: 540.0}, 0.0) == pytest.approx((80, 220))


def test_largest_batch_that_fits() -> None:
    peaks = {1: 300.0, 2: 380.0, 4: 540.0}
    assert fitting_batch(peaks, 200, 1020) == 10
    assert fitting_batch(peaks, 200, 1019) == 9
    assert fitting_batch(peaks, 200, 250) == 0
    # Where the line and a measurement disagree, the measurement is right.
    assert fitting_batch({1: 300.0, 2: 500.0, 4: 500.0}, 200, 510) == 4
    assert fitting_batch({1: 100.0, 2: 100.0, 3: 400.0}, 50, 390) == 2
    assert fitting_batch({1: 300.0, 2: 290.0}, 200, 1000) is None


class Machine:
    """In place of processes: a step of `ms` and `slope` MB per pair on top of 200 MB, and what was asked of it."""

    def __init__(self, slope: float = 100.0, ms: float = 10.0, bend: int = 1000, fails: int = 1000) -> None:
        self.slope, self.ms, self.bend, self.fails = slope, ms, bend, fails
        self.asked: list[tuple[int, int]] = []

    def __call__(self, function: Any, threads: int, arguments: dict[str, Any]) -> dict[str, Any]:
        assert function is batches.measure_batch
        assert threads == 1
        batch, repeats = arguments["batch"], arguments["repeats"]
        self.asked.append((batch, repeats))
        if batch >= self.fails:
            raise ReregisterError("measure_batch of the benchmark failed in a process of its own: /home/user/x")
        memory = 200 + self.slope * batch * (2 if batch >= self.bend else 1)
        found = {
            "libraries_mb": 200.0,
            "padded": None,
            "step_ms": self.ms * batch,
            "step_n": repeats,
            "memory_mb": memory,
        }
        return found | ({"register_ms": 3.0, "register_n": 5, "register_mb": 250.0} if arguments["register"] else {})


def measured(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, batch: int, memory_mb: float, repeats: int = 3
) -> pd.DataFrame:
    monkeypatch.setattr(table, "in_own_process", machine)
    frame = as_table("net", step_rows(CASE, batch, repeats, memory_mb))
    assert list(frame.columns) == list(COLUMNS)
    assert set(frame["method"]) == {"net"}
    return frame.set_index(["what", "batch"])


def test_rows_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(ms=1000.0)
    rows = measured(monkeypatch, machine, 2, 1000)
    assert machine.asked == [(1, 3), (2, 3), (4, 1)]
    assert rows["value"].to_dict() == {
        ("register", 1): 3.0,
        ("register_memory", 1): 250.0,
        ("step", 1): 1000.0,
        ("memory", 0): 200.0,
        ("memory", 1): 300.0,
        ("step", 2): 2000.0,
        ("memory", 2): 400.0,
        ("memory", 4): 600.0,
        ("largest_batch", 8): 8.0,
    }
    assert rows["unit"].loc["memory"].unique().tolist() == ["MB"]
    assert rows.loc[("largest_batch", 8), "note"].endswith("by the line of memory over batch 1, 2, 4; not run")


def test_one_repeat_leaves_out_twice_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(ms=1000.0)
    rows = measured(monkeypatch, machine, 2, 1000, repeats=1)
    assert machine.asked == [(1, 1), (2, 1)]
    assert rows.loc[("largest_batch", 8), "value"] == 8


def test_batches_that_do_not_fit_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    rows = measured(monkeypatch, machine, 8, 350)
    assert machine.asked == [(1, 3)]
    assert np.isnan(rows.loc[("step", 8), "value"])
    assert np.isnan(rows.loc[("memory", 16), "value"])
    assert rows.loc[("memory", 8), "note"] == "not tried: about 1,000 MB, and the limit is 350 MB"
    assert rows.loc[("largest_batch", 1), "value"] == 1


def test_the_largest_batch_is_tried_where_that_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    rows = measured(monkeypatch, machine, 2, 1000)
    assert machine.asked[-1] == (8, 1)
    assert rows.loc[("largest_batch", 8), "note"].endswith("a step at 8 took 1,000 MB")
    # A batch of 8 takes twice as much as the line says: one that is less stands in its place.
    bent = measured(monkeypatch, Machine(bend=8), 2, 1000)
    assert bent.loc["largest_batch", "value"].iloc[0] < 8
    assert "a step at 8 took 1,800 MB" in bent.loc["largest_batch", "note"].iloc[0]


def test_a_process_that_ends_early_leaves_an_empty_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = measured(monkeypatch, Machine(fails=4), 2, 10_000)
    assert np.isnan(rows.loc[("memory", 4), "value"])
    assert rows.loc[("memory", 4), "note"] == "the process ended before its first steps were done, see the log"
    assert "/home/user" in capsys.readouterr().out
    assert not rows["note"].str.contains("home").any()
    # Without a step at batch 1 there is nothing to say of the network.
    with pytest.raises(ReregisterError, match="measure_batch"):
        measured(monkeypatch, Machine(fails=1), 2, 10_000)


def test_calls_are_counted_up_to_the_budget() -> None:
    calls: list[int] = []
    milliseconds, count = batches.median_ms(lambda: calls.append(1), 5, 60.0)
    assert (len(calls), count) == (6, 5)
    assert milliseconds >= 0
    calls.clear()
    assert batches.median_ms(lambda: calls.append(1), 5, 0.0)[1] == 1
    assert len(calls) == 2


@pytest.mark.parametrize("labels", [0, 2])
def test_a_step_is_that_of_training(labels: int) -> None:
    torch.manual_seed(0)
    model = build_model("reduced_voxelmorph", {"permutation": "both"})
    other = copy.deepcopy(model)
    moving, fixed = torch.rand(2, 2, 1, 8, 8, 8)
    loss = {"label_dice": 1.0} if labels else CASE["loss"]
    # A start away from zero, else the labels are not moved.
    for one in (model, other):
        one.flow.bias.data.fill_(0.4)
    torch.manual_seed(1)
    batches._step(model, moving, fixed, CASE | {"labels": labels, "loss": loss})()
    torch.manual_seed(1)
    maps = (torch.rand(2, 2, labels, 8, 8, 8) > 0.5).float()
    ddf = other(moving, fixed)
    warped, warped_maps = warp(moving, ddf, padding="zeros"), warp(maps[0], ddf, padding="zeros") if labels else None
    pair = Registered(moving, fixed, warped, ddf, *((maps[0], maps[1], warped_maps) if labels else ()))
    build_loss(loss)(pair).backward()
    torch.optim.Adam(other.parameters(), lr=1e-3).step()
    for got, wanted in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-6)


def test_a_real_measurement_in_a_process_of_its_own() -> None:
    arguments = {"case": CASE | {"shape": [1, 6, 8, 8]}, "batch": 2, "repeats": 2, "budget_s": 60.0, "register": True}
    found = in_own_process(batches.measure_batch, 1, arguments)
    assert (found["step_n"], found["register_n"]) == (2, 2)
    assert found["padded"] == [8, 8, 8]
    assert found["register_ms"] > 0
    assert found["step_ms"] > 0
    # torch alone takes more than 50 MB, and peaks never fall.
    assert 50 < found["libraries_mb"] <= found["register_mb"] <= found["memory_mb"]


def test_peak_of_a_process_is_not_that_of_its_parent() -> None:
    ballast = np.ones(60_000_000)
    arguments = {"case": CASE, "batch": 1, "repeats": 1, "budget_s": 0.0, "register": False}
    found = in_own_process(batches.measure_batch, 1, arguments)
    assert ballast.nbytes == 480e6
    assert found["libraries_mb"] < 450


class Subjects:
    """A reading that yields the two images of a subject at a time."""

    count = 6

    def __enter__(self) -> "Subjects":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __iter__(self) -> Iterator[Any]:
        for _ in range(3):
            yield np.zeros((2, 1, 4, 4), np.float32), None


def test_reading_the_archive_iterates_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def read(members: Any, sha256: Any, expect: Any, **more: Any) -> Any:
        asked.update(members=members, sha256=sha256, expect=expect, **more)
        return Subjects()

    clock = iter(np.arange(0.0, 100.0, 0.5))
    monkeypatch.setattr(reading, "load", lambda kind, name: SimpleNamespace(read=read))
    monkeypatch.setattr(reading.time, "perf_counter", lambda: next(clock))
    found = reading.read_archive("oasis", {"a.tar": "/x/a.tar"}, {"a.tar": "00"}, {"half": True}, 2)
    assert asked == {"members": {"a.tar": Path("/x/a.tar")}, "sha256": {"a.tar": "00"}, "expect": {}, "half": True}
    # Half a second for each iteration of two images, which are one pair.
    assert found == {"ms": 500.0, "n": 2, "whole": False}
    assert reading.read_archive("oasis", {}, {}, {}, 10)["n"] == 3
    # All images at once: the opening counts, and a pair is two of four.
    whole = Whole(np.zeros((4, 1, 4, 4), np.float32), pd.DataFrame())
    monkeypatch.setattr(reading, "load", lambda kind, name: SimpleNamespace(read=lambda *_: whole))
    assert reading.read_archive("mnist", {}, {}, {}, 10) == {"ms": 500.0, "n": 1, "whole": True}


def test_reading_the_store(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((5, 1, 4, 4), np.float32))
    found = reading.read_store(str(tmp_path / "images.npy"), 10)
    assert found["n"] == 2
    assert found["ms"] > 0
    (row,) = read_rows(None, str(tmp_path / "images.npy"), 1, 1)
    assert (row["what"], row["unit"], row["n"]) == ("read_store", "ms", 1)
    np.save(tmp_path / "one.npy", np.zeros((1, 1, 4, 4), np.float32))
    with pytest.raises(ReregisterError, match="holds 1 images and a pair needs two"):
        reading.read_store(str(tmp_path / "one.npy"), 10)
