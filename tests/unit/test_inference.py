"""Networks as a method: which network registers which pair, and in what order the fields come back."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from reregister import inference
from reregister.baselines.batch import fields_file, run_baseline
from reregister.data.store import SUBJECT_COLUMNS, write_store
from reregister.errors import ReregisterError
from reregister.inference import network_method, register_by_part
from reregister.models.dirnet import DIRNet
from reregister.progress import Progress
from reregister.tables import read_frame, write_frame

CPU = torch.device("cpu")
SIDE = 16


class Telling(nn.Module):
    """Its field says which network made it and of which moving and fixed image (each is constant)."""

    def __init__(self, name: float) -> None:
        super().__init__()
        self.name = name

    def forward(self, moving: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
        assert moving.shape == fixed.shape == (1, 1, SIDE, SIDE)
        value = 10_000 * self.name + 100 * moving[0, 0, 0, 0] + fixed[0, 0, 0, 0]
        return torch.stack([value.expand(SIDE, SIDE), -value.expand(SIDE, SIDE)])[None]


def numbered_images(n: int = 12) -> np.ndarray:
    return np.broadcast_to(np.arange(n, dtype=np.float32)[:, None, None], (n, SIDE, SIDE)).copy()


def interleaved_pairs(groups: str = "abcacbbac") -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = {"moving_row": random.integers(12, size=len(groups)), "fixed_row": random.integers(12, size=len(groups))}
    return pd.DataFrame({"pair_id": range(len(groups)), "group": list(groups), **rows})


def expected(pairs: pd.DataFrame, name: dict[str, float]) -> np.ndarray:
    return (10_000 * pairs["group"].map(name) + 100 * pairs["moving_row"] + pairs["fixed_row"]).to_numpy()


def register(models, pairs, images=None, report=lambda done: None, spacing=None):
    images = numbered_images() if images is None else images
    spacing = np.ones((len(images), 2)) if spacing is None else spacing
    fields = np.full((len(pairs), 2, SIDE, SIDE), np.nan, np.float32)
    timing = register_by_part(models, images, pairs, spacing, CPU, report, fields)
    return fields, timing


def test_each_pair_gets_the_network_of_its_group_in_the_order_of_the_pairs():
    pairs, names = interleaved_pairs(), {"c": 3.0, "a": 1.0, "b": 2.0}
    fields, timing = register({name: Telling(value) for name, value in names.items()}, pairs)
    np.testing.assert_array_equal(fields[:, 0, 0, 0], expected(pairs, names))
    np.testing.assert_array_equal(fields[:, 1], -fields[:, 0])
    assert timing.index.tolist() == list(range(9))
    assert (timing["seconds"] > 0).all()
    assert (timing["note"] == "").all()


def test_index_of_the_pairs_has_no_say():
    pairs, names = interleaved_pairs(), {"a": 1.0, "b": 2.0, "c": 3.0}
    models = {name: Telling(value) for name, value in names.items()}
    shuffled = pairs.set_axis([7, 7, 3, 0, 1, 20, 5, -1, 2])
    np.testing.assert_array_equal(register(models, shuffled)[0], register(models, pairs)[0])


def test_times_and_notes_stay_with_their_pair(monkeypatch):
    def timed(method, images, moving, fixed, spacing, settings, out, report, places, start):
        rows = pd.DataFrame({"seconds": 0.5 * moving, "note": [f"fixed {row}" for row in fixed]})
        return np.zeros((len(moving), 2, SIDE, SIDE)), rows

    monkeypatch.setattr(inference, "register_pairs", timed)
    pairs = interleaved_pairs()
    _, timing = register({name: Telling(1.0) for name in "cab"}, pairs)
    assert timing["seconds"].tolist() == (0.5 * pairs["moving_row"]).tolist()
    assert timing["note"].tolist() == [f"fixed {row}" for row in pairs["fixed_row"]]


def test_fields_of_each_seed_go_to_their_place_in_one_mapped_file(tmp_path):
    pairs = interleaved_pairs()
    mapped = np.lib.format.open_memmap(tmp_path / "fields.npy", "w+", "float32", (2, len(pairs), 2, SIDE, SIDE))
    for seed in range(2):
        models = {name: Telling(value + 3 * seed) for value, name in enumerate("abc")}
        register_by_part(models, numbered_images(), pairs, np.ones((12, 2)), CPU, lambda done: None, mapped[seed])
    mapped.flush()
    found = np.load(tmp_path / "fields.npy")
    for seed in range(2):
        names = {name: value + 3.0 * seed for value, name in enumerate("abc")}
        np.testing.assert_array_equal(found[seed, :, 0, 5, 5], expected(pairs, names))


def test_a_classical_tool_gives_a_file_of_one_seed(tmp_path):
    """What `run_baseline` writes has the axes of what `register_pairs` writes: seeds, pairs, components, space."""
    images = np.random.default_rng(0).random((3, 1, SIDE, SIDE), dtype=np.float32)
    subjects = pd.DataFrame({column: ["a", "b", "c"] for column in SUBJECT_COLUMNS}).assign(spacing="1 2")
    write_store(tmp_path / "i.npy", tmp_path / "s.csv", 3, [(images, subjects)])
    pairs = pd.DataFrame({"pair_id": ["p0", "p1"], "moving": ["a", "c"], "fixed": ["b", "a"], "split": "test"})
    write_frame(tmp_path / "pairs.csv", pairs.assign(group="7", cluster="x"))
    job = SimpleNamespace(
        input=SimpleNamespace(
            images=tmp_path / "i.npy", subjects=tmp_path / "s.csv", pairs=tmp_path / "pairs.csv", start=[]
        ),
        output=SimpleNamespace(fields=tmp_path / "fields.npy", timing=tmp_path / "timing.csv"),
        params=SimpleNamespace(settings={"shift": 3}),
        wildcards={"method": "mine"},
        threads=1,
        progress=lambda total, unit: Progress(tmp_path / "p.jsonl", "run_baseline", total, unit),
    )

    def register_one(moving, fixed, spacing, *, settings):
        assert spacing == (1.0, 2.0)
        return np.full((2, SIDE, SIDE), settings["shift"] + moving[0, 0] - fixed[0, 0], np.float32), "noted"

    run_baseline(job, register_one)
    corner = images[:, 0, 0, 0]
    fields = np.load(tmp_path / "fields.npy")
    assert fields.shape == (1, 2, 2, SIDE, SIDE)
    np.testing.assert_allclose(fields[0, :, 1, 4, 4], [3 + corner[0] - corner[1], 3 + corner[2] - corner[0]])
    timing = read_frame(tmp_path / "timing.csv")
    assert timing[["method", "seed", "pair_id", "note"]].to_numpy().tolist() == [
        ["mine", "0", "p0", "noted"],
        ["mine", "0", "p1", "noted"],
    ]


def test_part_all_registers_every_group():
    pairs = interleaved_pairs()
    fields, timing = register({"all": Telling(5.0)}, pairs)
    np.testing.assert_array_equal(fields[:, 0, 3, 3], expected(pairs, dict.fromkeys("abc", 5.0)))
    assert len(timing) == len(pairs)


def test_group_without_a_network_is_named():
    models = {"a": Telling(1.0), "c": Telling(2.0)}
    with pytest.raises(ReregisterError, match=r"no network was trained for the group b; add it to training\.parts"):
        register(models, interleaved_pairs())


def test_network_without_a_pair_is_left_out():
    pairs = interleaved_pairs("aaa")
    fields, timing = register({"z": Telling(9.0), "a": Telling(1.0)}, pairs)
    np.testing.assert_array_equal(fields[:, 0, 0, 0], expected(pairs, {"a": 1.0}))
    assert len(timing) == 3


def test_progress_counts_over_all_parts():
    told: list[int] = []
    register({name: Telling(1.0) for name in "abc"}, interleaved_pairs(), report=told.append)
    assert told == list(range(1, 10))


def test_field_that_is_not_finite_is_refused():
    with pytest.raises(ReregisterError, match="not finite"):
        register({"all": Telling(float("nan"))}, interleaved_pairs())


def settled_dirnet() -> DIRNet:
    torch.manual_seed(0)
    model = DIRNet(poolings=2, init_last="glorot")
    for _ in range(3):
        model(*torch.rand(2, 8, 1, SIDE, SIDE))
    return model.eval()


def test_dirnet_gives_what_it_gives_to_a_batch(tmp_path):
    images = np.random.default_rng(0).random((12, SIDE, SIDE), dtype=np.float32)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    model, pairs = settled_dirnet(), interleaved_pairs()
    fields, _ = register({"all": model}, pairs, mapped)
    moving, fixed = (torch.from_numpy(images[pairs[name]])[:, None] for name in ("moving_row", "fixed_row"))
    with torch.no_grad():
        batch = model(moving, fixed).numpy()
    assert np.abs(batch).max() > 0.01
    np.testing.assert_allclose(fields, batch, atol=1e-5, rtol=1e-4)
    again, _ = register({"all": model}, pairs, images)
    np.testing.assert_array_equal(again, fields)


def test_registering_leaves_the_network_as_it_was():
    model = settled_dirnet()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    register({"all": model}, interleaved_pairs())
    assert not model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(before[name], tensor)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_network_method_returns_one_field_and_no_note():
    moving, fixed = numbered_images()[[3, 4]]
    ddf, note = network_method(Telling(1.0), CPU)(moving, fixed, (1.0, 1.0), settings={})
    assert ddf.shape == (2, SIDE, SIDE)
    assert ddf[0, 0, 0] == 10_304
    assert note == ""


def test_fields_go_to_their_file_or_nowhere(tmp_path):
    values = np.random.default_rng(0).random((2, 3, 2, 4, 5), dtype=np.float32)
    with fields_file(tmp_path / "f.npy", values.shape) as fields:
        assert isinstance(fields, np.memmap)
        fields[:] = values
    np.save(tmp_path / "whole.npy", values)
    assert (tmp_path / "f.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    with pytest.raises(KeyError), fields_file(tmp_path / "none.npy", (1, 2)):
        raise KeyError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npy", "whole.npy"]
