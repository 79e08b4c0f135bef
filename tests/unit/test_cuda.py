"""What a GPU computes, held to what the CPU does. Skipped where torch sees none; each test makes its case as a job would."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reregister.devices import take_device
from reregister.inference import network_method
from reregister.losses import build_loss
from reregister.prior.optimise import fit
from reregister.prior.settings import PriorSettings
from reregister.runtime import choose_precision, torch_settings
from reregister.steps.batches import measure_batch
from reregister.training.batches import TrainingLabels, make_batch
from reregister.training.loop import Trainer, TrainingData, build_optimiser
from reregister.training.schedule import Schedule
from reregister.weights import build_model

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")]
CPU = torch.device("cpu")
DIRNET = ("dirnet", {"poolings": 2, "kernels": 4})
VOXELMORPH = ("mnist_voxelmorph", {"filters": 3, "output_norm": False, "dropout": 0.3})
# Products of a GPU may be rounded to TF32, of which ten bits are left.
TF32 = 2e-2


@pytest.fixture
def gpu() -> torch.device:
    device, described = take_device("cuda", pytest.fail)
    assert described is not None
    return device


def blobs() -> np.ndarray:
    centres = np.random.default_rng(0).uniform(5, 11, (20, 2, 1, 1))
    return np.exp(-((np.indices((16, 16)) - centres) ** 2).sum(1, keepdims=True) / 12).astype(np.float32)


def data() -> TrainingData:
    pool, validation = np.arange(12), (np.arange(12, 16), np.arange(16, 20))
    return TrainingData(blobs(), [str(i) for i in range(20)], pool, ["a"] * 7 + ["b"] * 5, validation)


def trainer(device: torch.device, network: tuple[str, dict[str, Any]] = DIRNET, precision: str = "fp32") -> Trainer:
    torch.manual_seed(3)
    model = build_model(*network).to(device)
    optimiser = build_optimiser(model, {"name": "adam", "lr": 0.01})
    schedule = Schedule(12, 3, 4, "border", precision=precision)
    return Trainer(model, build_loss({"ncc": 1.0}), data(), schedule, optimiser, 3, device)


def losses(made: Trainer, checkpoint: Path) -> list[float]:
    return [row["validation_loss"] for row in made.run(checkpoint)[0]]


def test_a_gpu_is_described() -> None:
    device, gpu = take_device("auto", pytest.fail)
    assert gpu is not None
    assert (device.type, gpu["name"]) == ("cuda", torch.cuda.get_device_name(device))
    assert gpu["memory_mib"] == torch.cuda.mem_get_info(device)[1] >> 20
    assert re.fullmatch(r"\d+(\.\d+)+", gpu["driver"] or "")


def test_what_is_copied_from_pinned_memory_arrives_whole(gpu: torch.device) -> None:
    maps = np.random.default_rng(1).integers(0, 3, (20, 16, 16), dtype=np.uint8)
    values = np.tile(np.array([[1, 2]], np.int16), (20, 1))
    given = replace(data(), labels=TrainingLabels(("one", "two"), maps, np.arange(20), values))
    moving, fixed = np.array([3, 1, 7]), np.array([2, 2, 19])
    for _ in range(20):
        there, here = make_batch(given, moving, fixed, gpu), make_batch(given, moving, fixed, CPU)
        for name in ("moving", "fixed", "moving_labels", "fixed_labels"):
            assert getattr(there, name).device == gpu
            assert torch.equal(getattr(there, name).cpu(), getattr(here, name))


def test_a_training_goes_the_way_that_it_goes_on_the_cpu(gpu: torch.device, tmp_path: Path) -> None:
    there, here = losses(trainer(gpu), tmp_path / "there"), losses(trainer(CPU), tmp_path / "here")
    assert there == pytest.approx(here, abs=TF32)
    assert there[-1] < there[0]


def test_autocast_computes_in_bf16_and_trains(gpu: torch.device, tmp_path: Path) -> None:
    made, types = trainer(gpu, precision="bf16"), set()
    convolution = next(module for module in made.model.modules() if isinstance(module, nn.Conv2d))
    convolution.register_forward_hook(lambda module, given, out: types.add((module.training, out.dtype)))
    found = losses(made, tmp_path / "checkpoint")
    # Validation is in single precision.
    assert types == {(True, torch.bfloat16), (False, torch.float32)}
    assert found[-1] < found[0]
    assert found == pytest.approx(losses(trainer(CPU), tmp_path / "here"), abs=0.1)


def test_auto_is_bf16_where_the_gpu_computes_in_it(gpu: torch.device) -> None:
    # From the Ampere generation on.
    newer = torch.cuda.get_device_capability(gpu) >= (8, 0)
    assert choose_precision("auto", gpu) == ("bf16" if newer else "fp32")


def test_warn_names_the_operators_that_have_no_deterministic_form(gpu: torch.device, tmp_path: Path) -> None:
    with torch_settings(1, "warn", gpu) as record:
        trainer(gpu).run(tmp_path / "checkpoint")
    assert "grid_sampler_2d_backward_cuda" in record["warned"]
    # cuBLAS was given its workspace, so that products of matrices are not among them.
    assert not [name for name in record["warned"] if "cublas" in name.lower()]


def test_strict_stops_at_such_an_operator(gpu: torch.device, tmp_path: Path) -> None:
    with torch_settings(1, "strict", gpu), pytest.raises(RuntimeError, match="grid_sampler_2d_backward_cuda"):
        trainer(gpu).run(tmp_path / "checkpoint")


@pytest.fixture
def stopped() -> type[Exception]:
    class Stopped(Exception):
        pass

    return Stopped


def test_a_stopped_training_goes_on_with_the_generator_of_the_gpu(
    gpu: torch.device, tmp_path: Path, stopped: type[Exception]
) -> None:
    whole = trainer(gpu, VOXELMORPH)
    whole.run(tmp_path / "whole")

    def stop(step: int, **values: float) -> None:
        if step == 8:
            raise stopped

    first = trainer(gpu, VOXELMORPH)
    first.report = stop
    with pytest.raises(stopped):
        first.run(tmp_path / "stopped")
    second = trainer(gpu, VOXELMORPH)
    torch.cuda.manual_seed_all(99)
    assert second.run(tmp_path / "stopped")[1] == 8
    # Not the same bits: the gradient of a warp is summed in no fixed order.
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], value, rtol=1e-2, atol=1e-3)


def test_a_network_registers_as_on_the_cpu(gpu: torch.device) -> None:
    moving, fixed = blobs()[:2, 0]
    fields = []
    for device in (gpu, CPU):
        torch.manual_seed(5)
        register = network_method(build_model(*DIRNET).to(device).eval(), device)
        fields.append(register(moving, fixed, (1.0, 1.0), settings={})[0])
    np.testing.assert_allclose(fields[0], fields[1], atol=TF32)


@pytest.mark.parametrize("z", ["fixed", "resample"])
def test_a_prior_in_channels_last_brings_the_images_together(gpu: torch.device, z: str) -> None:
    places = np.indices((32, 32))
    moving, fixed = (
        np.exp(-((places - np.array(centre)[:, None, None]) ** 2).sum(0) / 50).astype(np.float32)
        for centre in ((14, 16), (17, 15))
    )
    model = {"name": "skip_net", "params": {"z_channels": 4, "channels": [4, 8], "skip_channels": 2}}
    settings = PriorSettings.of({"iterations": 150, "trace_every": 5, "lr": 0.003, "z": z})
    found = fit(moving, fixed, model, settings, 1, gpu)
    assert found.trace[-1, 1] < 0.5 * found.trace[0, 1]
    assert found.ddf[0, 17, 15] < -1


def test_a_step_is_measured_with_the_memory_of_the_gpu(gpu: torch.device) -> None:
    case = {
        "model": {"name": "cvpr_voxelmorph", "params": {"variant": "VM-1"}},
        "loss": {"local_ncc": 1.0},
        "optimiser": {"name": "adam", "lr": 0.001},
        "padding": "zeros",
        "precision": "bf16",
        "shape": [1, 32, 32, 32],
        "device": str(gpu),
        "determinism": "warn",
        "threads": 1,
    }
    found = measure_batch(case, batch=2, repeats=2, budget_s=60, register=True)
    assert found["memory_mb"] > found["register_mb"] > 1
    assert min(found["step_ms"], found["register_ms"]) > 0
