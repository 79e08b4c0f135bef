"""A run that was stopped, by a signal or by force, ends with the bytes of one that was not."""

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from reregister.errors import ReregisterError
from reregister.losses import build_loss
from reregister.provenance.files import sha256_file
from reregister.tables import write_frame
from reregister.training.checkpoint import load_checkpoint
from reregister.training.data import history_frame
from reregister.training.loop import Trainer, TrainingData, build_optimiser
from reregister.training.schedule import Schedule, make_schedule
from reregister.weights import build_model, load_tensors, make_card, save_model, save_tensors

ITERATIONS, EVERY = 12, 5
PARAMS = {"poolings": 2, "kernels": 4}
CPU = torch.device("cpu")
# Each run is a process of its own, so that it can be killed; they are forked from one that has imported torch, and what
# torch imports when the first optimiser is made.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pytest", "torch._dynamo", "reregister.models.dirnet", "reregister.training.data"])


class Interrupted(Exception):
    """What the tests stop a run with inside their own process."""


def blob_data() -> TrainingData:
    centres = np.random.default_rng(0).uniform(5, 11, (20, 2, 1, 1))
    images = np.exp(-((np.indices((16, 16)) - centres) ** 2).sum(1, keepdims=True) / 12).astype(np.float32)
    validation = (np.arange(12, 16), np.arange(16, 20))
    return TrainingData(images, [str(i) for i in range(20)], np.arange(12), ["a"] * 7 + ["b"] * 5, validation)


def dirnet(**more: int) -> nn.Module:
    return build_model("dirnet", {**PARAMS, **more})


def make_trainer(report=lambda step, **values: None, build: Callable[[], nn.Module] = dirnet) -> Trainer:
    torch.manual_seed(3)
    model = build()
    optimiser = build_optimiser(model, {"name": "adam", "lr": 0.01})
    schedule = Schedule(ITERATIONS, 3, EVERY, "border")
    return Trainer(model, build_loss({"ncc": 1.0}), blob_data(), schedule, optimiser, 3, CPU, report)


# Twelve images in batches of 5: steps 1 to 3 are the first epoch, whose last batch holds two.
BY_EPOCHS = {"epochs": 4, "batch": 5, "padding": "zeros", "log_every": 1, "precision": "bf16", "stop": None}
VOXELMORPH = {"filters": 3, "output_norm": False, "dropout": 0.3}


def make_epoch_trainer(report=lambda step, **values: None, **more) -> Trainer:
    """A network with dropout, trained by epochs in bf16, with a row of the history for each step."""
    torch.manual_seed(3)
    model = build_model("mnist_voxelmorph", VOXELMORPH)
    data = replace(blob_data(), each_once=True)
    schedule = make_schedule({**BY_EPOCHS, **more}, len(data.pool), True)
    optimiser = build_optimiser(model, {"name": "adam", "lr": 0.01})
    loss = build_loss({"mse": 1.0, "grad_l2_forward_normalised": 0.1})
    return Trainer(model, loss, data, schedule, optimiser, 3, CPU, report)


def kill_at_checkpoint(number: int) -> None:
    """Die while the checkpoint of that number is written: its data are there, its name is not."""
    replace, done = os.replace, [0]

    def dying(source: str, target: str) -> None:
        done[0] += str(target).endswith("checkpoint.safetensors")
        if done[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = dying


def train(folder: Path, how: str, when: int, epochs: bool = False) -> None:
    """A job's work: train, resuming where there is a checkpoint, and write weights and history."""
    torch.set_num_threads(1)

    def report(step: int, **values: float) -> None:
        (folder / "progress").write_text(str(step))
        if how == "slow":
            time.sleep(0.01)
        elif how in ("SIGKILL", "SIGTERM") and step == when:
            os.kill(os.getpid(), getattr(signal, how))

    if how == "saving":
        kill_at_checkpoint(when)
    trainer = make_epoch_trainer(report) if epochs else make_trainer(report)
    history, resumed = trainer.run(folder / "checkpoint.safetensors")
    card = make_card(trainer.model, "dirnet", PARAMS, "0" * 64, "blobs", (1, 28, 28))
    save_model(folder / "model.safetensors", folder / "model.md", trainer.model, card)
    write_frame(folder / "history.csv", history_frame(history, "dirnet", "all", 3, trainer.schedule.steps_per_epoch))
    (folder / "resumed").write_text(str(resumed))


def job(folder: Path, how: str = "", when: int = 0, epochs: bool = False) -> int:
    """Exit status of one run in `folder`; negative where a signal killed it."""
    folder.mkdir(exist_ok=True)
    process = PROCESSES.Process(target=train, args=(folder, how, when, epochs))
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def digests(folder: Path) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in ("model.safetensors", "history.csv", "model.md")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert job(folder) == 0
    assert (folder / "resumed").read_text() == "None"
    assert len((folder / "history.csv").read_text().splitlines()) == 1 + 4
    return digests(folder)


def test_two_uninterrupted_runs_are_alike(tmp_path, uninterrupted):
    assert job(tmp_path) == 0
    assert digests(tmp_path) == uninterrupted


@pytest.mark.parametrize(
    ("how", "when", "status", "taken_up"),
    [
        # kill -9: before the first checkpoint, just after one, between two, after the last step.
        ("SIGKILL", 0, -9, None),
        ("SIGKILL", 4, -9, None),
        ("SIGKILL", 5, -9, 5),
        ("SIGKILL", 8, -9, 5),
        ("SIGKILL", 10, -9, 10),
        ("SIGKILL", 12, -9, 12),
        # kill -9 while the first, second and last checkpoint is written.
        ("saving", 1, -9, None),
        ("saving", 2, -9, 5),
        ("saving", 3, -9, 10),
        # SIGTERM: the next step ends, and is saved.
        ("SIGTERM", 1, 143, 2),
        ("SIGTERM", 4, 143, 5),
        ("SIGTERM", 5, 143, 6),
        ("SIGTERM", 8, 143, 9),
        ("SIGTERM", 11, 143, 12),
    ],
)
def test_stopped_and_resumed_run_has_the_bytes_of_an_uninterrupted_one(
    tmp_path, uninterrupted, how, when, status, taken_up
):
    assert job(tmp_path, how, when) == status
    assert not (tmp_path / "model.safetensors").exists()
    assert job(tmp_path) == 0
    assert (tmp_path / "resumed").read_text() == str(taken_up)
    assert digests(tmp_path) == uninterrupted


def test_run_that_is_stopped_again_and_again(tmp_path, uninterrupted):
    stops = [("SIGKILL", 3), ("SIGTERM", 2), ("saving", 1), ("SIGTERM", 6), ("SIGTERM", 8), ("SIGKILL", 11)]
    for how, when in stops:
        assert job(tmp_path, how, when) in (-9, 143)
    assert job(tmp_path) == 0
    assert (tmp_path / "resumed").read_text() == "10"
    assert digests(tmp_path) == uninterrupted


def test_sigterm_from_outside_at_any_moment(tmp_path, uninterrupted):
    process = PROCESSES.Process(target=train, args=(tmp_path, "slow", 0))
    process.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / "progress").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(0.05)
    process.terminate()
    process.join(60)
    assert process.exitcode == 143
    step = load_tensors(tmp_path / "checkpoint.safetensors")[1]["step"]
    assert job(tmp_path) == 0
    assert (tmp_path / "resumed").read_text() == str(step)
    assert digests(tmp_path) == uninterrupted


class Dropping(nn.Module):
    """A network that draws from torch's own generator, as dropout and noise do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 3, padding=1)
        self.drop = nn.Dropout(0.5)

    def forward(self, moving: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
        field: torch.Tensor = self.layer(self.drop(torch.cat([moving, fixed], 1)))
        return field


@pytest.mark.parametrize("stop", [2, 5, 7, 11])
def test_the_networks_own_random_numbers_go_on_too(tmp_path, stop):
    def report(step: int, **values: float) -> None:
        if step == stop:
            raise Interrupted

    whole = make_trainer(build=Dropping)
    history, _ = whole.run(tmp_path / "whole.safetensors")
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        make_trainer(report, Dropping).run(path)
    resumed = make_trainer(build=Dropping)
    if path.exists():
        torch.rand(17)  # the generator of the process has gone elsewhere
    assert resumed.run(path)[0] == history
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name])


@pytest.fixture(scope="module")
def whole_epochs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("epochs")
    assert job(folder, epochs=True) == 0
    history = pd.read_csv(folder / "history.csv")
    assert history["step"].tolist() == list(range(13))
    assert history.loc[history["validation_loss"].notna(), "epoch"].tolist() == [0, 1, 2, 3, 4]
    return digests(folder)


@pytest.mark.parametrize(
    ("how", "when", "status", "taken_up"),
    [
        ("SIGKILL", 2, -9, None),
        # At the end of an epoch, within one, and after the last.
        ("SIGKILL", 3, -9, 3),
        ("SIGKILL", 7, -9, 6),
        ("SIGKILL", 12, -9, 12),
        ("saving", 2, -9, 3),
        ("SIGTERM", 2, 143, 3),
        ("SIGTERM", 4, 143, 5),
        ("SIGTERM", 11, 143, 12),
    ],
)
def test_training_by_epochs_that_is_stopped_and_resumed(tmp_path, whole_epochs, how, when, status, taken_up):
    assert job(tmp_path, how, when, epochs=True) == status
    assert job(tmp_path, epochs=True) == 0
    assert (tmp_path / "resumed").read_text() == str(taken_up)
    assert digests(tmp_path) == whole_epochs


def rising(trainer: Trainer) -> Trainer:
    """The same run with validation losses that rise from the third epoch on."""
    values = iter([5.0, 4.0, 3.0, 3.5, 4.0])
    trainer._validated = lambda: {"validation_loss": next(values)}
    return trainer


def test_a_run_that_ended_early_has_nothing_left_to_train(tmp_path):
    stop = {"at_least": 2, "when": "validation_rises"}
    first = rising(make_epoch_trainer(stop=stop, log_every=None))
    path = tmp_path / "c.safetensors"
    history, _ = first.run(path)
    assert [row["step"] for row in history] == [0, 3, 6, 9]
    assert [row.get("end") for row in history] == [None, None, None, "validation_rises"]
    # Killed after its last checkpoint: the weights are there and stay what they are.
    again = make_epoch_trainer(stop=stop, log_every=None)
    again.step = lambda number: pytest.fail("there is nothing left to train")
    assert again.run(path) == (history, 9)
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name])


@pytest.mark.parametrize("last", [4, 7, 8])
def test_the_rule_to_stop_sees_what_was_validated_before_an_interruption(tmp_path, last):
    stop, path = {"at_least": 2, "when": "validation_rises"}, tmp_path / "c.safetensors"
    expected, _ = rising(make_epoch_trainer(stop=stop)).run(tmp_path / "whole.safetensors")

    def report(step: int, **values: float) -> None:
        if step == last:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit):
        rising(make_epoch_trainer(report, stop=stop)).run(path)
    resumed = rising(make_epoch_trainer(stop=stop))
    values = iter([3.0, 3.5] if last == 4 else [3.5])
    resumed._validated = lambda: {"validation_loss": next(values)}
    assert resumed.run(path)[0] == expected


def test_handler_of_sigterm_is_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    make_trainer().run(tmp_path / "checkpoint.safetensors")
    assert signal.getsignal(signal.SIGTERM) is before


def finished(folder: Path) -> Path:
    make_trainer().run(folder / "checkpoint.safetensors")
    return folder / "checkpoint.safetensors"


def test_no_checkpoint_is_a_start_from_zero(tmp_path):
    trainer = make_trainer()
    found = load_checkpoint(tmp_path / "none", trainer.model, trainer.optimiser, trainer.sampler.generator)
    assert found == (0, [])


def test_checkpoint_of_another_architecture(tmp_path):
    path = finished(tmp_path)
    for build in (Dropping, partial(dirnet, kernels=5), partial(dirnet, poolings=3, kernels=5)):
        with pytest.raises(ReregisterError, match=r"does not fit this network .* delete it to start afresh") as caught:
            make_trainer(build=build).run(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_weights_are_no_checkpoint(tmp_path):
    model = dirnet()
    path = tmp_path / "model.safetensors"
    save_model(path, tmp_path / "model.md", model, make_card(model, "dirnet", PARAMS, "0", "blobs", (1, 28, 28)))
    with pytest.raises(ReregisterError, match="delete it to start afresh"):
        make_trainer().run(path)


def test_checkpoint_that_lacks_a_part(tmp_path):
    path = finished(tmp_path)
    tensors, header = load_tensors(path)
    for name in ("sampler", "generator.cpu", "optimiser.0.step", "model.regressor.0.0.weight"):
        save_tensors(path, {key: t for key, t in tensors.items() if key != name}, header)
        with pytest.raises(ReregisterError, match="does not fit this network"):
            make_trainer().run(path)
    for name in ("step", "history", "optimiser"):
        save_tensors(path, tensors, {key: value for key, value in header.items() if key != name})
        with pytest.raises(ReregisterError, match="does not fit this network"):
            make_trainer().run(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x02garbage", b"PK\x03\x04garbage", bytes(range(256)) * 9, None])
def test_corrupt_checkpoint(tmp_path, content):
    path = finished(tmp_path)
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(ReregisterError, match="cannot be read; delete it to start afresh") as caught:
        make_trainer().run(path)
    assert str(caught.value).startswith(f"the checkpoint {path} ")


def test_full_disk_keeps_the_checkpoint_before(tmp_path, uninterrupted):
    assert job(tmp_path, "SIGKILL", 5) == -9
    path = tmp_path / "checkpoint.safetensors"
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ReregisterError, match="cannot be written"):
            make_trainer().run(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert job(tmp_path) == 0
    assert digests(tmp_path) == uninterrupted
