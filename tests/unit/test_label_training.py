"""Training on label maps: which labels a step sees, augmentation, and that an interrupted run ends with the same bits."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from reregister.compression.pruning import prunable, prune_globally
from reregister.data.label_map_files import write_label_maps
from reregister.data.label_maps import LabelMaps
from reregister.data.store import ImageStore, write_store
from reregister.errors import ReregisterError
from reregister.losses import Registered, build_loss
from reregister.models.reduced_voxelmorph import ReducedVoxelMorph
from reregister.provenance.files import sha256_file
from reregister.tables import write_frame
from reregister.training import data as data_module
from reregister.training.batches import TrainingData, augmented, make_batch, one_label
from reregister.training.data import training_data
from reregister.training.loop import Trainer, build_optimiser
from reregister.training.schedule import Schedule
from reregister.training.start import hold_zeros, started_from
from reregister.transforms.random_affine import augment
from reregister.weights import load_model, load_tensors, make_card, save_model

CPU = torch.device("cpu")
SIZE, NAMES = (8, 8, 8), ["left", "right", "stem"]
PARAMS = {"permutation": "reduced", "shared": False}
AUGMENTATION = {"corner_scale": 0.1, "origin": "voxel_origin"}
# Values differ from image to image; d has no right, e an empty stem, f stem alone.
VALUES = {
    **{name: {"left": 2, "right": 41, "stem": 16} for name in "abc"},
    "d": {"left": 200, "stem": 7},
    "e": {"left": 1, "right": 2, "stem": 3},
    "f": {"stem": 255},
}


def label_map(identity: str, random: np.random.Generator) -> np.ndarray:
    found = np.zeros(SIZE, np.uint8)
    for place, (name, value) in enumerate(VALUES[identity].items()):
        if (identity, name) != ("e", "stem"):
            low = random.integers(0, 4, 2)
            found[low[0] : low[0] + 4, low[1] : low[1] + 4, 2 * place : 2 * place + 2] = value
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of six subjects, with two images of a: they share its map. Pool a to d, validation of the others."""
    random = np.random.default_rng(0)
    ids = ["a0", "a1", *"bcdef"]
    images = random.random((len(ids), 1, *SIZE), dtype=np.float32)
    subjects = pd.DataFrame({"id": ids, "group": "all", "cluster": ids, "split": "all", "spacing": "1 1 1"})
    write_store(tmp_path / "i.npy", tmp_path / "s.csv", len(ids), [(images, subjects.assign(source="x", sha256="0"))])
    maps = np.stack([label_map(name, random) for name in VALUES])
    owners = [("a0", 0), ("a1", 0), *((name, place + 1) for place, name in enumerate("bcdef"))]
    rows = [
        {"map": place, "id": identity, "label": name, "value": value, "unit": "mm"}
        for identity, place in owners
        for name, value in VALUES[identity[0]].items()
    ]
    write_label_maps(tmp_path / "l.npy", tmp_path / "l.csv", SIZE, [(maps, pd.DataFrame(rows))])
    pool = pd.DataFrame({"id": ["d", "c", "b", "a1", "a0"], "group": "all", "cluster": "x", "moving": ""})
    write_frame(tmp_path / "pool.csv", pool.assign(rule="ordered_distinct_pairs_within_group"))
    pairs = pd.DataFrame({"pair_id": ["v0", "v1"], "moving": ["e", "c"], "fixed": ["d", "e"], "split": "validation"})
    write_frame(tmp_path / "pairs.csv", pairs.assign(group="all", cluster="x"))
    return tmp_path


def data_of(folder: Path, names: list[str] | None = None) -> TrainingData:
    store = ImageStore.open(folder / "i.npy", folder / "s.csv")
    labels = LabelMaps.open(folder / "l.npy", folder / "l.csv")
    return training_data(
        store, folder / "pairs.csv", folder / "pool.csv", "all", labels, NAMES if names is None else names
    )


def rows_of(data: TrainingData, *ids: str) -> np.ndarray:
    return np.array([list(data.ids).index(identity) for identity in ids])


@pytest.mark.parametrize("limit", [data_module.IN_MEMORY_BYTES, 0])
def test_channels_are_the_masks_of_each_image(folder, monkeypatch, limit):
    monkeypatch.setattr(data_module, "IN_MEMORY_BYTES", limit)
    data, labels = data_of(folder), LabelMaps.open(folder / "l.npy", folder / "l.csv")
    assert isinstance(data.labels.maps, np.memmap) == (limit == 0)
    assert len(data.labels.maps) == (5 if limit else 6)
    batch = make_batch(data, rows_of(data, "a1", "d", "e"), rows_of(data, "c", "e", "a0"), CPU)
    for tensor, ids in ((batch.moving_labels, ["a1", "d", "e"]), (batch.fixed_labels, ["c", "e", "a0"])):
        assert (tensor.shape, tensor.dtype) == ((3, 3, *SIZE), torch.float32)
        for row, identity in enumerate(ids):
            for channel, name in enumerate(NAMES):
                wanted = labels.mask(identity, name) if labels.has(identity, name) else np.zeros(SIZE)
                np.testing.assert_array_equal(tensor[row, channel], wanted)
    assert data.labels.values[rows_of(data, "d", "e")].tolist() == [[200, -1, 7], [1, 2, -1]]


def test_one_label_of_those_that_both_images_have(folder):
    data, generator = data_of(folder), torch.Generator().manual_seed(0)
    moving, fixed = rows_of(data, *["a0"] * 3000), rows_of(data, *["c"] * 1000, *["d"] * 1000, *["e"] * 1000)
    of_moving, of_fixed = one_label(data, moving, fixed, generator)
    assert of_moving.shape == of_fixed.shape == (3000, 1)
    pairs = np.concatenate([of_moving, of_fixed], 1).tolist()
    counts = [pairs[:1000].count([value, value]) for value in (2, 41, 16)]
    assert sum(counts) == 1000
    assert min(counts) > 280
    # The same label on both sides, by each map's own values; right is not in d, and stem has no voxel in e.
    assert {tuple(pair) for pair in pairs[1000:2000]} == {(2, 200), (16, 7)}
    assert {tuple(pair) for pair in pairs[2000:]} == {(2, 1), (41, 2)}
    batch = make_batch(data, moving[2999:], fixed[2999:], CPU, (of_moving[2999:], of_fixed[2999:]))
    assert batch.moving_labels.shape == (1, 1, *SIZE)
    name = NAMES[[2, 41, 16].index(pairs[2999][0])]
    labels = LabelMaps.open(folder / "l.npy", folder / "l.csv")
    np.testing.assert_array_equal(batch.fixed_labels[0, 0], labels.mask("e", name))


def test_labels_that_are_not_there(folder):
    with pytest.raises(ReregisterError, match=r"training\.labels names 99, which the data do not have"):
        data_of(folder, ["left", "99"])
    with pytest.raises(ReregisterError, match="the image d has none of the labels right"):
        data_of(folder, ["right"])
    data = data_of(folder, ["right", "stem"])
    with pytest.raises(ReregisterError, match="no label of right, stem is in both images of e>d"):
        one_label(data, rows_of(data, "d", "e"), rows_of(data, "c", "d"), torch.Generator())


def test_each_side_has_an_affine_map_of_its_own_that_image_and_labels_share(folder):
    data = data_of(folder)
    batch = make_batch(data, rows_of(data, "a0", "b"), rows_of(data, "a0", "b"), CPU)
    found = augmented(batch, AUGMENTATION, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    for side in ("moving", "fixed"):
        images, labels = (getattr(batch, name) for name in (side, f"{side}_labels"))
        wanted = augment([images, labels], generator, 0.1, "voxel_origin")
        torch.testing.assert_close(getattr(found, side), wanted[0])
        torch.testing.assert_close(getattr(found, f"{side}_labels"), wanted[1])
    assert not torch.allclose(found.moving, found.fixed, atol=0.01)


def make_trainer(data: TrainingData, schedule: Schedule, report=lambda step, **values: None, loss=None) -> Trainer:
    torch.manual_seed(3)
    model = ReducedVoxelMorph(**PARAMS)
    loss = loss or build_loss({"label_dice": 1.0, "bending_wide": 0.5})
    return Trainer(model, loss, data, schedule, build_optimiser(model, {"name": "adam", "lr": 1e-3}), 3, CPU, report)


def test_labels_are_warped_as_the_image_and_validation_sees_all(folder):
    seen: list[Registered] = []

    def loss(pair: Registered) -> torch.Tensor:
        seen.append(pair)
        return pair.ddf.square().mean()

    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.by = nn.Parameter(torch.tensor(0.5))

        def forward(self, moving: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
            return self.by.expand(len(moving), 3, *SIZE)

    schedule = Schedule(2, 2, 2, "zeros", one_label=True, augmentation=AUGMENTATION)
    trainer = make_trainer(data_of(folder), schedule, loss=loss)
    trainer.model = Shift()
    trainer.step(1)
    assert seen[0].moving_labels.shape == seen[0].warped_labels.shape == (2, 1, *SIZE)
    trainer.validate()
    assert seen[1].warped_labels.shape == (2, 3, *SIZE)
    # Half a voxel along each axis: the mean of eight neighbours, zeros beyond.
    padded = nn.functional.pad(seen[1].moving_labels, (0, 1) * 3)
    torch.testing.assert_close(seen[1].warped_labels, nn.functional.avg_pool3d(padded, 2, 1), atol=1e-5, rtol=0)
    padded = nn.functional.pad(seen[1].moving, (0, 1) * 3)
    torch.testing.assert_close(seen[1].warped, nn.functional.avg_pool3d(padded, 2, 1), atol=1e-5, rtol=0)


def test_terms_are_logged_and_the_loss_falls(folder):
    trainer = make_trainer(data_of(folder), Schedule(30, 4, 30, "zeros"))
    history, _ = trainer.run(folder / "c.safetensors")
    assert set(history[-1]["terms"]) == {"label_dice", "bending_wide"}
    assert history[0]["terms"]["bending_wide"] < 1e-6
    first = make_trainer(data_of(folder), Schedule(1, 64, 1, "zeros")).step(1)
    assert history[-1]["train_loss"] < first - 0.005


@pytest.mark.parametrize("rule", ["ordered_distinct_pairs_within_group", "each_other_image_once", "same_subject"])
@pytest.mark.parametrize("stop", [1, 2, 4, 5])
def test_a_run_with_labels_and_augmentation_that_is_stopped_has_the_same_bits(folder, rule, stop):
    pool = pd.read_csv(folder / "pool.csv", keep_default_na=False).assign(rule=rule)
    moving = list(reversed(pool["id"])) if rule == "same_subject" else ""
    write_frame(folder / "pool.csv", pool.assign(moving=moving))
    data, schedule = data_of(folder), Schedule(7, 2, 4, "zeros", one_label=True, augmentation=AUGMENTATION)
    whole = make_trainer(data, schedule)
    history, _ = whole.run(folder / "whole.safetensors")

    def report(step: int, **values: float) -> None:
        if step == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    path = folder / "stopped.safetensors"
    with pytest.raises(SystemExit):
        make_trainer(data, schedule, report).run(path)
    resumed = make_trainer(data, schedule)
    found, taken_up = resumed.run(path)
    assert taken_up == stop + 1
    assert found == history
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def saved(model: nn.Module, path: Path, **more) -> Path:
    card = make_card(model, "reduced_voxelmorph", PARAMS, "first", "blobs", (1, *SIZE)) | more
    save_model(path, path.with_suffix(".md"), model, card)
    return path


def test_pruned_weights_are_trained_further_with_the_same_zeros(folder):
    torch.manual_seed(0)
    model = ReducedVoxelMorph(**PARAMS)
    # Its layer of displacements starts next to zero and would go as a whole, and with it every gradient.
    nn.init.normal_(model.flow.weight, 0, 0.1)
    masks = prune_globally(model, 0.25)
    steps = [{"way": "prune", "ratio": 0.25, "pool": "weights", "of": "source"}]
    start = saved(model, folder / "pruned.safetensors", compression=steps)
    digest = sha256_file(start)

    def tuned(name: str, stop: int = 0) -> nn.Module:
        def report(step: int, **values: float) -> None:
            if stop and step == stop:
                raise InterruptedError

        network = load_model(start, "reduced_voxelmorph", PARAMS)
        optimiser = build_optimiser(network, {"name": "adam", "lr": 1e-3})
        hold_zeros(network, start, optimiser)
        schedule, loss = Schedule(6, 2, 3, "zeros"), build_loss({"label_dice": 1.0, "bending_wide": 0.5})
        trainer = Trainer(network, loss, data_of(folder), schedule, optimiser, 0, CPU, report)
        trainer.run(folder / name)
        return network

    network = tuned("whole.safetensors")
    for name, parameter in prunable(network).items():
        assert torch.equal(parameter == 0, ~masks[name]), name
        assert torch.equal(parameter, dict(model.named_parameters())[name]) == (not masks[name].any())
    assert sha256_file(start) == digest
    # The checkpoint wins over the weights that it started from, and the zeros are held after it too.
    with pytest.raises(InterruptedError):
        tuned("stopped.safetensors", 4)
    resumed = tuned("stopped.safetensors")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    about = started_from(start, True)
    assert about["started_from"] == {"recipe_id": "first", "trained_on": "blobs", "zeros_held": True}
    assert about["compression"] == steps
    assert "compression" not in started_from(start, False)
    path = saved(network, folder / "tuned.safetensors", **about)
    assert load_tensors(path)[1]["compression"] == steps
    assert "Compressed (prune: pool weights, ratio 0.25)" in path.with_suffix(".md").read_text()


def test_zeros_are_held_of_pruned_weights_alone(folder):
    model = ReducedVoxelMorph(**PARAMS)
    optimiser = build_optimiser(model, {"name": "adam", "lr": 1e-3})
    for start in (None, saved(model, folder / "whole.safetensors")):
        with pytest.raises(ReregisterError, match="was not pruned; name a pruned method as start_from"):
            hold_zeros(model, start, optimiser)
    assert started_from(None, False) == {}


def test_training_in_half_precision_has_the_gradients_of_single(folder):
    """At 8 the deepest level of `reduced` has a depth of 2, where a bf16 weight gradient is garbage without the guard."""
    data = replace(data_of(folder), labels=None)
    found = []
    for precision in ("fp32", "bf16"):
        trainer = make_trainer(data, Schedule(1, 2, 1, "zeros", precision), loss=build_loss({"mse": 1.0}))
        torch.manual_seed(4)
        nn.init.normal_(trainer.model.flow.weight, 0, 0.1)
        trainer.step(1)
        found.append({name: parameter.grad.clone() for name, parameter in trainer.model.named_parameters()})
    single, half = found
    differences = {name: float((half[name] - gradient).norm() / gradient.norm()) for name, gradient in single.items()}
    assert max(differences.values()) < 0.3, differences
    assert max(differences.values()) > 1e-4
