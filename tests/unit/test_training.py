"""The training loop and its data on small images of blobs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from reregister.data.store import ImageStore, write_store
from reregister.errors import ReregisterError
from reregister.losses import Registered, build_loss, global_ncc
from reregister.models.dirnet import DIRNet
from reregister.tables import read_frame, write_frame
from reregister.training import data as data_module
from reregister.training import loop as loop_module
from reregister.training.data import history_frame, training_data
from reregister.training.loop import Trainer, TrainingData, build_optimiser
from reregister.training.sampling import PairSampler
from reregister.training.schedule import Schedule, make_schedule
from reregister.transforms.warp import warp

CPU = torch.device("cpu")
ADAM = {"name": "adam", "lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}


def blobs(n: int, side: int = 16, seed: int = 0) -> np.ndarray:
    """Gaussian blobs of one size at random places, (n, 1, side, side) in [0, 1]."""
    centres = np.random.default_rng(seed).uniform(0.35 * side, 0.65 * side, (n, 2, 1, 1))
    squares = (np.indices((side, side)) - centres) ** 2
    return np.exp(-squares.sum(1, keepdims=True) / (2 * 2.5**2)).astype(np.float32)


def blob_data(n: int = 24, pairs: int = 10) -> TrainingData:
    images = blobs(n + 2 * pairs)
    rows = np.arange(n, n + 2 * pairs)
    ids = [f"blob{i:02d}" for i in range(len(images))]
    return TrainingData(images, ids, np.arange(n), ["a", "b"] * (n // 2), (rows[:pairs], rows[pairs:]))


def blob_trainer(
    data: TrainingData, iterations: int = 6, every: int = 3, batch: int = 4, seed: int = 0, **more
) -> Trainer:
    torch.manual_seed(seed)
    model = DIRNet(poolings=2, kernels=6)
    schedule = Schedule(iterations, batch, every, "border")
    return Trainer(model, build_loss({"ncc": 1.0}), data, schedule, build_optimiser(model, ADAM), seed, CPU, **more)


def state(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_same_state(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@pytest.fixture
def store(tmp_path):
    """Twelve images in three groups, with the tables of the pool and of the frozen pairs."""
    images, groups = blobs(12), list("abcabcabcabc")
    ids = [f"img{i:03d}" for i in range(12)]
    subjects = pd.DataFrame({"id": ids, "group": groups, "cluster": ids, "split": "train", "spacing": "1 1"})
    subjects = subjects.assign(source="blobs", sha256="0")
    write_store(tmp_path / "i.npy", tmp_path / "s.csv", len(images), [(images, subjects)])
    pool = list(reversed(range(9)))
    table = pd.DataFrame({"id": [ids[i] for i in pool], "group": [groups[i] for i in pool]})
    write_frame(tmp_path / "pool.csv", table.assign(cluster=table["id"], rule="ordered_pairs_within_group", moving=""))
    cases = [(9, 0, "a", "validation"), (1, 10, "b", "validation"), (4, 10, "b", "validation"), (3, 9, "a", "test")]
    frozen = [(f"p{n}", ids[m], ids[f], s, g, ids[m]) for n, (m, f, g, s) in enumerate(cases)]
    columns = ["pair_id", "moving", "fixed", "split", "group", "cluster"]
    write_frame(tmp_path / "pairs.csv", pd.DataFrame(frozen, columns=columns))
    return ImageStore.open(tmp_path / "i.npy", tmp_path / "s.csv")


@pytest.mark.parametrize("limit", [data_module.IN_MEMORY_BYTES, 0])
@pytest.mark.parametrize(
    ("part", "pool", "moving", "fixed"),
    [("all", [8, 7, 6, 5, 4, 3, 2, 1, 0], [9, 1, 4], [0, 10, 10]), ("b", [7, 4, 1], [1, 4], [10, 10])],
)
def test_training_data_of_a_part(store, tmp_path, monkeypatch, limit, part, pool, moving, fixed):
    monkeypatch.setattr(data_module, "IN_MEMORY_BYTES", limit)
    found = training_data(store, tmp_path / "pairs.csv", tmp_path / "pool.csv", part)
    for rows, expected in zip((found.pool, *found.validation), (pool, moving, fixed), strict=True):
        assert [found.ids[row] for row in rows] == [f"img{i:03d}" for i in expected]
        np.testing.assert_array_equal(found.images[rows], store.images[expected])
    assert found.groups == ["abc"[i % 3] for i in pool]
    assert len(found.ids) == len(found.images)
    if limit:
        assert not isinstance(found.images, np.memmap)
        assert len(found.images) == len({*pool, *moving, *fixed})
    else:
        assert found.images is store.images


def test_mapped_images_train_the_same_network(store, tmp_path, monkeypatch):
    results = []
    for limit in (data_module.IN_MEMORY_BYTES, 0):
        monkeypatch.setattr(data_module, "IN_MEMORY_BYTES", limit)
        data = training_data(store, tmp_path / "pairs.csv", tmp_path / "pool.csv", "all")
        trainer = blob_trainer(data)
        history, _ = trainer.run(tmp_path / f"{limit}.safetensors")
        results.append((state(trainer), history))
    assert_same_state(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


@pytest.mark.parametrize("rule", ["ordered_pairs_within_group", "ordered_distinct_pairs_within_group"])
def test_rule_of_the_pool_says_whether_pairs_are_distinct(store, tmp_path, rule):
    pool = read_frame(tmp_path / "pool.csv").assign(rule=rule)
    write_frame(tmp_path / "pool.csv", pool)
    data = training_data(store, tmp_path / "pairs.csv", tmp_path / "pool.csv", "b")
    trainer = blob_trainer(data)
    moving, fixed = trainer.sampler.draw(300)
    assert bool((moving == fixed).any()) == (rule == "ordered_pairs_within_group")


def test_experiment_without_validation_pairs_trains_unwatched(store, tmp_path):
    frozen = read_frame(tmp_path / "pairs.csv")
    write_frame(tmp_path / "pairs.csv", frozen[frozen["split"] == "test"])
    for part, count in (("all", 9), ("c", 3)):
        data = training_data(store, tmp_path / "pairs.csv", tmp_path / "pool.csv", part)
        assert len(data.pool) == count
        assert [len(rows) for rows in data.validation] == [0, 0]
    reports = []
    trainer = blob_trainer(data, iterations=5, every=2, report=lambda step, **values: reports.append((step, values)))
    assert trainer.validate() is None
    before = state(trainer)
    history, _ = trainer.run(tmp_path / "c.safetensors")
    assert [row["step"] for row in history] == [0, 2, 4, 5]
    assert [row["validation_loss"] for row in history] == [None] * 4
    assert not torch.equal(before["regressor.0.0.weight"], state(trainer)["regressor.0.0.weight"])
    # Of a network that nothing watches, the training loss is told once there is one.
    seen = {"loss": history[1]["train_loss"]}
    assert [values for _, values in reports[:4]] == [{}, {}, seen, seen]
    write_frame(tmp_path / "history.csv", history_frame(history, "m", "c", 0))
    table = read_frame(tmp_path / "history.csv")
    assert (table["validation_loss"] == "").all()
    assert table["train_loss"].tolist()[0] == ""
    assert np.isfinite(table["train_loss"][1:].astype(float)).all()
    # Taken up from its checkpoint it goes on.
    longer = blob_trainer(data, iterations=7, every=2)
    more, resumed = longer.run(tmp_path / "c.safetensors")
    assert resumed == 5
    assert more[:4] == history
    assert more[-1]["validation_loss"] is None


def test_validation_batches_hold_no_more_voxels_than_their_limit(monkeypatch):
    data, sizes = blob_data(pairs=10), []
    trainer = blob_trainer(data)
    whole = trainer.validate()
    forward = trainer.model.forward
    trainer.model.forward = lambda moving, fixed: sizes.append(len(moving)) or forward(moving, fixed)
    monkeypatch.setattr(loop_module, "VALIDATION_VOXELS", 4 * 16 * 16 + 1)
    assert trainer.validate() == pytest.approx(whole, abs=1e-6)
    assert sizes == [4, 4, 2]
    monkeypatch.setattr(loop_module, "VALIDATION_VOXELS", 1)
    assert trainer.validate() == pytest.approx(whole, abs=1e-6)
    assert sizes[3:] == [1] * 10


def test_part_without_images_or_pairs(store, tmp_path):
    for part, counts in (("c", "3 training images and 0 validation pairs"), ("z", "0 training images and 0")):
        with pytest.raises(ReregisterError, match=f"part {part} has {counts}"):
            training_data(store, tmp_path / "pairs.csv", tmp_path / "pool.csv", part)


def test_loss_falls(tmp_path):
    trainer = blob_trainer(blob_data(), iterations=80, every=40, batch=8)
    history, resumed = trainer.run(tmp_path / "c.safetensors")
    assert resumed is None
    assert history[-1]["validation_loss"] < history[0]["validation_loss"] - 0.1
    assert history[2]["train_loss"] < history[1]["train_loss"] - 0.05


def test_history_has_a_row_per_validation(tmp_path):
    losses, reports = [], []
    trainer = blob_trainer(blob_data(), iterations=7, every=3, report=lambda step, **v: reports.append((step, v)))
    step = trainer.step
    trainer.step = lambda number: losses.append(step(number)) or losses[-1]
    history, _ = trainer.run(tmp_path / "c.safetensors")
    frame = history_frame(history, "dirnet_bl", "7", 5)
    assert list(frame.columns) == ["method", "part", "seed", "step", "train_loss", "validation_loss"]
    assert frame["step"].tolist() == [0, 3, 6, 7]
    assert (frame["method"] == "dirnet_bl").all()
    assert (frame["part"] == "7").all()
    assert (frame["seed"] == 5).all()
    assert np.isnan(frame["train_loss"][0])
    expected = [np.mean(losses[0:3]), np.mean(losses[3:6]), losses[6]]
    np.testing.assert_array_equal(frame["train_loss"][1:], expected)
    assert frame["validation_loss"].notna().all()
    assert frame["validation_loss"].iloc[-1] == trainer.validate()
    assert [number for number, _ in reports] == list(range(8))
    assert reports[4][1] == {"loss": frame["validation_loss"][1]}


def test_one_seed_one_network(tmp_path):
    states = []
    for number, seed in enumerate((0, 0, 1)):
        trainer = blob_trainer(blob_data(), seed=seed)
        trainer.run(tmp_path / f"{number}.safetensors")
        states.append(state(trainer))
    assert_same_state(states[0], states[1])
    assert not torch.equal(states[0]["regressor.0.0.weight"], states[2]["regressor.0.0.weight"])


def test_step_is_the_gradient_step_of_the_drawn_batch():
    data = blob_data()
    trainer, reference = blob_trainer(data), blob_trainer(data)
    moving, fixed = (torch.from_numpy(data.images[rows]) for rows in PairSampler(data.groups, 0).draw(4))
    ddf = reference.model.train()(moving, fixed)
    loss = -global_ncc(warp(moving, ddf), fixed).mean()
    loss.backward()
    reference.optimiser.step()
    assert trainer.step(1) == loss.item()
    assert_same_state(state(trainer), state(reference))


def test_validation_uses_running_statistics_and_all_pairs():
    data = blob_data(pairs=300)
    trainer = blob_trainer(data)
    for number in range(1, 6):
        trainer.step(number)
    found = trainer.validate()
    moving, fixed = (torch.from_numpy(data.images[rows]) for rows in data.validation)
    with torch.no_grad():
        settled = global_ncc(warp(moving, trainer.model.eval()(moving, fixed)), fixed)
        by_batch = global_ncc(warp(moving, trainer.model.train()(moving, fixed)), fixed)
    assert found == pytest.approx(-settled.mean().item(), abs=1e-6)
    assert abs(found + by_batch.mean().item()) > 1e-3
    # The last batch of validation is smaller than the first, and must not count as much.
    assert abs(found + (settled[:256].mean() + settled[256:].mean()).item() / 2) > 1e-6


def test_validation_changes_nothing():
    trainer = blob_trainer(blob_data())
    trainer.step(1)
    before = state(trainer), trainer.sampler.generator.get_state(), torch.get_rng_state()
    first, second = trainer.validate(), trainer.validate()
    assert first == second
    assert_same_state(before[0], state(trainer))
    assert torch.equal(before[1], trainer.sampler.generator.get_state())
    assert torch.equal(before[2], torch.get_rng_state())
    # The next step trains again: batch statistics, running ones updated.
    trainer.step(2)
    assert trainer.model.training
    assert state(trainer)["regressor.0.1.num_batches_tracked"] == 2


def test_how_often_one_validates_does_not_move_the_weights(tmp_path):
    states = []
    for every in (1, 6):
        trainer = blob_trainer(blob_data(), iterations=6, every=every)
        trainer.run(tmp_path / f"{every}.safetensors")
        states.append(state(trainer))
    assert_same_state(*states)


def test_nan_image_is_reported_with_step_and_batch(tmp_path):
    data, bad, batch = blob_data(), 5, 4
    data.images[bad, 0, 3, 3] = np.nan
    sampler, number, rows = PairSampler(data.groups, 0), 0, np.empty(0)
    while bad not in rows:
        moving, fixed = sampler.draw(batch)
        rows, number = torch.cat([moving, fixed]).numpy(), number + 1
    with pytest.raises(ReregisterError) as caught:
        blob_trainer(data, iterations=100, every=100, batch=batch).run(tmp_path / "c.safetensors")
    message = str(caught.value)
    assert f"the loss is nan at step {number};" in message
    assert "blob05" in message
    pairs = ", ".join(f"blob{m:02d}>blob{f:02d}" for m, f in zip(moving.tolist(), fixed.tolist(), strict=True))
    assert message.endswith(pairs)
    assert not (tmp_path / "c.safetensors").exists()


def test_nan_in_a_validation_image(tmp_path):
    data = blob_data()
    data.images[data.validation[0][3]] = np.nan
    with pytest.raises(ReregisterError, match="validation loss is not finite"):
        blob_trainer(data).run(tmp_path / "c.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_padding_of_the_schedule_reaches_the_loss():
    seen: list[Registered] = []

    def loss(pair: Registered) -> torch.Tensor:
        seen.append(pair)
        return pair.ddf.square().mean()

    class Shift(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.far = torch.nn.Parameter(torch.tensor(100.0))

        def forward(self, moving: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
            return self.far.expand(len(moving), 2, *moving.shape[2:])

    data = blob_data()
    data.images[:] += 1
    for padding, lowest in (("zeros", 0.0), ("border", 1.0)):
        model = Shift()
        optimiser = build_optimiser(model, ADAM)
        Trainer(model, loss, data, Schedule(1, 2, 1, padding), optimiser, 0, CPU).validate()
        assert float(seen[-1].warped.min()) == pytest.approx(lowest, abs=0.1)
        torch.testing.assert_close(seen[-1].fixed, torch.from_numpy(data.images[data.validation[1]]))


def test_optimiser_takes_its_settings():
    optimiser = build_optimiser(DIRNet(), {**ADAM, "lr": 0.5, "betas": [0.8, 0.9], "weight_decay": 0.1})
    (group,) = optimiser.param_groups
    assert isinstance(optimiser, torch.optim.Adam)
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (0.5, (0.8, 0.9), 1e-8, 0.1)
    assert len(group["params"]) == len(list(DIRNet().parameters()))


def test_unknown_optimiser():
    with pytest.raises(ReregisterError, match="'sgd' is not known; known is adam"):
        build_optimiser(DIRNet(), {"name": "sgd", "lr": 0.1})


def epoch_trainer(data: TrainingData, stop: bool = False, **more) -> Trainer:
    torch.manual_seed(0)
    model = DIRNet(poolings=2, kernels=6)
    rule = {"at_least": 2, "when": "validation_rises"} if stop else None
    values = {"epochs": 3, "batch": 10, "padding": "border", "stop": rule, **more}
    schedule = make_schedule(values, len(data.pool), True)
    loss = build_loss({"mse": 1.0, "grad_l2_forward_normalised": 0.5})
    return Trainer(model, loss, data, schedule, build_optimiser(model, ADAM), 0, CPU)


def test_history_of_a_training_by_epochs_has_every_batch_and_term(tmp_path):
    data = replace(blob_data(24), each_once=True)
    trainer = epoch_trainer(data, log_every=1)
    losses, sizes, step, register = [], [], trainer.step, loop_module._register
    trainer.step = lambda number: losses.append(step(number)) or losses[-1]
    loop_module._register = lambda model, batch, *more: (
        sizes.append((model.training, len(batch.moving))) or register(model, batch, *more)
    )
    try:
        history, _ = trainer.run(tmp_path / "c.safetensors")
    finally:
        loop_module._register = register
    # 24 images in batches of 10: each image once, the last four in a batch of their own.
    assert [size for training, size in sizes if training] == [10, 10, 4] * 3
    frame = history_frame(history, "net", "7", 2, trainer.schedule.steps_per_epoch)
    assert list(frame.columns) == [
        *("method", "part", "seed", "step", "train_loss", "validation_loss"),
        *("validation_grad_l2_forward_normalised", "validation_mse", "epoch", "end"),
    ]
    assert frame["step"].tolist() == list(range(10))
    assert frame["train_loss"].tolist()[1:] == losses
    assert frame["end"].tolist() == [""] * 9 + ["epochs"]
    ends = frame[frame["validation_loss"].notna()]
    assert ends["epoch"].tolist() == [0, 1, 2, 3]
    total = ends["validation_mse"] + 0.5 * ends["validation_grad_l2_forward_normalised"]
    np.testing.assert_allclose(ends["validation_loss"], total, rtol=1e-6)
    assert (ends["validation_grad_l2_forward_normalised"][1:] > 0).all()
    assert trainer.validate() == ends["validation_loss"].iloc[-1]


def test_an_epochs_row_is_the_mean_of_its_batches(tmp_path):
    data = replace(blob_data(24), each_once=True)
    every, last = (epoch_trainer(data, log_every=log).run(tmp_path / f"{log}.safetensors")[0] for log in (1, None))
    assert [row["step"] for row in last] == [0, 3, 6, 9]
    means = [np.mean([row["train_loss"] for row in every[start : start + 3]]) for start in (1, 4, 7)]
    assert [row["train_loss"] for row in last[1:]] == means


def test_training_ends_after_the_epoch_in_which_the_validation_loss_rises(tmp_path):
    data = replace(blob_data(24), each_once=True)
    trainer = epoch_trainer(data, stop=True, epochs=9)
    values = iter([1.0, 2.0, 3.0, 0.0])
    trainer._validated = lambda: {"validation_loss": next(values)}
    reports = []
    trainer.report = lambda step, **more: reports.append(step)
    history, _ = trainer.run(tmp_path / "c.safetensors")
    # The first rise is in epoch 1, before the two that are trained in any case.
    assert history[-1]["step"] == reports[-1] == 6
    assert history[-1]["end"] == "validation_rises"
    weights = state(trainer)
    assert not torch.equal(weights["regressor.0.0.weight"], state(epoch_trainer(data))["regressor.0.0.weight"])


def test_the_pools_rule_decides_how_pairs_are_drawn(store, tmp_path):
    for rule, each_once, distinct in (
        ("each_image_once", True, False),
        ("each_other_image_once", True, True),
        ("ordered_pairs_within_group", False, False),
        ("ordered_distinct_pairs_within_group", False, True),
    ):
        write_frame(tmp_path / "own.csv", read_frame(tmp_path / "pool.csv").assign(rule=rule))
        found = training_data(store, tmp_path / "pairs.csv", tmp_path / "own.csv", "all")
        assert (found.each_once, found.distinct, found.partners) == (each_once, distinct, None)


@pytest.mark.parametrize("limit", [data_module.IN_MEMORY_BYTES, 0])
def test_fixed_pairs_of_a_pool_are_trained_in_order(store, tmp_path, monkeypatch, limit):
    monkeypatch.setattr(data_module, "IN_MEMORY_BYTES", limit)
    pool = pd.DataFrame({"id": ["img003", "img000", "img005"], "moving": ["img007", "img003", "img001"]})
    write_frame(tmp_path / "own.csv", pool.assign(group="same subject", cluster="x", rule="same_subject"))
    data = training_data(store, tmp_path / "pairs.csv", tmp_path / "own.csv", "all")
    trainer = blob_trainer(data, batch=2)
    seen, forward = [], trainer.model.forward
    trainer.model.forward = lambda moving, fixed: seen.append((moving, fixed)) or forward(moving, fixed)
    for number in range(3):
        trainer.step(number)
    for (moving, fixed), places in zip(seen, ([0, 1], [2], [0, 1]), strict=True):
        for images, column in ((moving, "moving"), (fixed, "id")):
            wanted = store.images[store.index(pool[column].iloc[places].tolist())]
            torch.testing.assert_close(images, torch.from_numpy(wanted))
    # By epochs or by iterations alike.
    assert make_schedule({"epochs": 2, "batch": 2, "padding": "zeros"}, len(data.pool), data.each_once).iterations == 4


def test_rules_of_epochs_go_with_a_schedule_by_iterations(store, tmp_path):
    write_frame(tmp_path / "own.csv", read_frame(tmp_path / "pool.csv").assign(rule="each_other_image_once"))
    data = training_data(store, tmp_path / "pairs.csv", tmp_path / "own.csv", "all")
    trainer = blob_trainer(data, iterations=5, every=2)
    history, _ = trainer.run(tmp_path / "c.safetensors")
    # Nine images in batches of 4: the third step has the one that is left.
    assert [row["step"] for row in history] == [0, 2, 4, 5]
