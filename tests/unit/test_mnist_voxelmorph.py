"""The VoxelMorph of digits: its layers, its field's unit and size, and that it trains in either precision."""

import numpy as np
import pytest
import torch
from torch import nn

from reregister.errors import ReregisterError
from reregister.export import export_onnx
from reregister.losses import build_loss
from reregister.models.mnist_voxelmorph import MnistVoxelMorph, conv_of_doubled
from reregister.training.loop import Trainer, TrainingData, build_optimiser
from reregister.training.schedule import Schedule
from reregister.weights import build_model, count_parameters, list_modules


def images(batch: int = 3, size: tuple[int, int] = (28, 28), seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    moving, fixed = torch.rand(2, batch, 1, *size, generator=generator)
    return moving, fixed


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({}, 2_372_358),
        ({"output_norm": False}, 2_372_354),
        ({"output_norm": False, "init_last": "normal"}, 2_372_354),
        # Twice as many inputs of the three layers up.
        ({"skip": True}, 2_372_358 + 9 * 256 * (256 + 256 + 2)),
    ],
)
def test_parameters(params, count):
    assert count_parameters(build_model("mnist_voxelmorph", params)) == count


def test_layers_have_the_sizes_of_the_specification():
    found = list_modules(MnistVoxelMorph(filters=8), (1, 28, 28))
    convolutions = [(m["inputs"], m["outputs"], m["shape"][1:]) for m in found if m["type"] == "Conv2d"]
    assert convolutions == [
        (2, 8, [32, 32]),
        (8, 8, [16, 16]),
        (8, 8, [8, 8]),
        (8, 8, [8, 8]),
        (8, 8, [16, 16]),
        (8, 2, [32, 32]),
    ]
    assert [m["shape"][1:] for m in found if m["type"] == "MaxPool2d"] == [[16, 16], [8, 8], [4, 4]]
    assert found[-1]["shape"] == [2, 28, 28]


def by_hand(model: MnistVoxelMorph, moving: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
    """The table of papers.md 4.2 with plain functions, for 28 x 28, in evaluation mode and without skips."""
    f = nn.functional
    x = f.pad(torch.cat([moving, fixed], 1), (2, 2, 2, 2))
    for block in model.down:
        x = f.max_pool2d(f.leaky_relu(block.norm(block.conv(x)), 0.2), 2)
    for block in model.up:
        x = f.leaky_relu(block.norm(block.conv(f.interpolate(x, scale_factor=2, mode="nearest"))), 0.2)
    x = model.last_norm(model.last(f.interpolate(x, scale_factor=2, mode="nearest")))
    return 13.5 * torch.tanh(x)[:, :, 2:30, 2:30]


@pytest.mark.parametrize("output_norm", [True, False])
def test_forward_is_the_table_of_layers(output_norm):
    torch.manual_seed(0)
    model = MnistVoxelMorph(6, output_norm=output_norm)
    for _ in range(3):
        model(*images(8))  # running statistics of their own
    model.eval()
    found = model(*images())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, by_hand(model, *images()), rtol=0, atol=1e-5)


def test_fields_stay_within_half_an_image():
    model = MnistVoxelMorph(4).eval()
    nn.init.constant_(model.last_norm.bias, 50.0)
    moving, fixed = images(2, (28, 20))
    found = model(moving, fixed)
    assert found.shape == (2, 2, 28, 20)
    torch.testing.assert_close(found[:, 0], torch.full_like(found[:, 0], 13.5))
    torch.testing.assert_close(found[:, 1], torch.full_like(found[:, 1], 9.5))


@pytest.mark.parametrize(("size", "top", "left"), [((28, 28), 2, 2), ((29, 24), 1, 0), ((32, 19), 0, 2)])
def test_any_size_is_padded_and_cropped(size, top, left):
    model = MnistVoxelMorph(3, output_norm=False).eval()
    moving, fixed = images(2, size)
    rows, columns = ((side + 7) // 8 * 8 for side in size)
    whole = [torch.zeros(2, 1, rows, columns) for _ in range(2)]
    for padded, image in zip(whole, (moving, fixed), strict=True):
        padded[:, :, top : top + size[0], left : left + size[1]] = image
    crop = model(*whole)[:, :, top : top + size[0], left : left + size[1]]
    scale = [(side - 1) / (padded - 1) for side, padded in zip(size, (rows, columns), strict=True)]
    expected = crop * torch.tensor(scale).view(1, 2, 1, 1)
    torch.testing.assert_close(model(moving, fixed), expected, rtol=1e-4, atol=1e-5)


def test_normal_start_is_the_identity_and_normalised_output_is_a_scramble():
    torch.manual_seed(1)
    moving, fixed = images(16)
    still = MnistVoxelMorph(16, output_norm=False, init_last="normal")
    assert still.last.weight.std().item() == pytest.approx(1e-5, rel=0.2)
    assert not still.last.bias.any()
    assert still.train()(moving, fixed).abs().max() < 0.02
    scrambled = MnistVoxelMorph(16).train()(moving, fixed)
    # tanh of a variable of unit variance has a standard deviation of 0.63, of 13.5 px.
    assert 7 < scrambled.std() < 10


def test_dropout_is_of_training_alone_and_touches_no_displacement():
    torch.manual_seed(0)
    model = MnistVoxelMorph(8, output_norm=False, dropout=0.5)
    pair = images()
    assert torch.equal(model.eval()(*pair), model(*pair))
    model.train()
    assert not torch.equal(model(*pair), model(*pair))
    assert (model(*pair) != 0).all()


def test_dropped_values_have_their_rate_and_the_others_its_scale():
    torch.manual_seed(0)
    block = MnistVoxelMorph(8, dropout=0.3).down[0].train()
    block.norm = nn.Identity()
    features = torch.randn(40, 8, 30, 31).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = block.after(features)
    dropped = out == 0
    # Three standard deviations of the share; along each axis too, so that neighbours are not dropped together.
    assert dropped.float().mean().item() == pytest.approx(0.3, abs=3 * (0.21 / dropped.numel()) ** 0.5)
    for axis in range(4):
        both = (dropped & dropped.roll(1, axis)).float().mean().item()
        assert both == pytest.approx(0.09, abs=5 * (0.09 / dropped.numel()) ** 0.5)
    expected = nn.functional.leaky_relu(features, 0.2) / 0.7
    torch.testing.assert_close(out[~dropped], expected[~dropped], rtol=1e-4, atol=1e-6)
    gradient = torch.autograd.grad(out.sum(), features)[0]
    torch.testing.assert_close(gradient * features, out, rtol=1e-5, atol=1e-6)
    torch.manual_seed(3)
    first = block.after(features)
    torch.manual_seed(3)
    assert torch.equal(block.after(features), first)
    assert not torch.equal(block.after(features), first)


def test_convolution_of_doubled_pixels_in_one_with_its_gradients():
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, 3, padding=1).double()
    features = torch.randn(2, 5, 4, 6).double().requires_grad_()
    doubled = nn.functional.interpolate(features, scale_factor=2, mode="nearest")
    upstream = torch.randn(2, 7, 8, 12).double()
    values = (conv_of_doubled(features, conv), conv(doubled))
    torch.testing.assert_close(*values)
    gradients = [torch.autograd.grad(value, (features, conv.weight, conv.bias), upstream) for value in values]
    for found, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("skip", [False, True])
def test_training_and_inference_are_one_network(skip):
    torch.manual_seed(0)
    model = MnistVoxelMorph(6, output_norm=False, dropout=0.0, skip=skip)
    # Normalisation is what differs between the two by its own nature.
    for block in (*model.down, *model.up):
        block.norm = nn.Identity()
    torch.testing.assert_close(model.train()(*images()), model.eval()(*images()), rtol=0, atol=1e-5)


def test_skips_carry_the_features_of_their_size():
    torch.manual_seed(0)
    model = MnistVoxelMorph(4, output_norm=False, skip=True).eval()
    # With all weights from below set to 0 what is left of the first layer reaches the last by its skip.
    with torch.no_grad():
        for block in (*model.down[1:], *model.up):
            block.conv.weight.zero_()
            block.conv.bias.zero_()
    first, second = (model(*images(seed=seed)) for seed in (0, 1))
    assert not torch.allclose(first, second)
    with torch.no_grad():
        model.last.weight[:, 4:] = 0
    first, second = (model(*images(seed=seed)) for seed in (0, 1))
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"filters": 0}, "filters must be at least 1"),
        ({"dropout": 1.0}, "dropout must lie"),
        ({"init_last": "zero"}, "init_last must be default or normal"),
        ({"init_last": "normal"}, "needs output_norm false"),
    ],
)
def test_wrong_arguments(params, words):
    with pytest.raises(ReregisterError, match=words):
        build_model("mnist_voxelmorph", params)


def test_wrong_images():
    model = MnistVoxelMorph(2)
    moving, fixed = images()
    for wrong in (fixed[:2], fixed[..., :20], fixed[:, 0]):
        with pytest.raises(ValueError, match="expected two"):
            model(moving, wrong)


def digits(count: int = 40) -> np.ndarray:
    """Bars of one length at random places and slants, (count, 1, 28, 28) in [0, 1]."""
    random = np.random.default_rng(0)
    rows, columns = np.indices((28, 28)) - 13.5
    slant, place = random.uniform(-0.4, 0.4, (count, 1, 1)), random.uniform(-3, 3, (count, 1, 1))
    bar = np.exp(-((columns - place - slant * rows) ** 2) / 6) * (abs(rows) < 9)
    return bar[:, None].astype(np.float32)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_beats_the_identity_in_either_precision(tmp_path, precision):
    torch.manual_seed(0)
    model = MnistVoxelMorph(12, output_norm=False, init_last="normal", dropout=0.0)
    rows = np.arange(40)
    data = TrainingData(
        digits(), [str(r) for r in rows], rows[:30], ["1"] * 30, (rows[30:], rows[39:29:-1]), each_once=True
    )
    schedule = Schedule(90, 10, 3, "zeros", precision=precision, steps_per_epoch=3)
    loss = build_loss({"mse": 1.0, "grad_l2_forward_normalised": 0.1})
    optimiser = build_optimiser(model, {"name": "adam", "lr": 0.003})
    trainer = Trainer(model, loss, data, schedule, optimiser, 0, torch.device("cpu"))
    history, _ = trainer.run(tmp_path / "c.safetensors")
    assert history[-1]["terms"]["mse"] < 0.8 * history[0]["terms"]["mse"]
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert history[-1]["end"] == "epochs"


def test_bf16_is_used_in_training_and_fp32_to_validate():
    seen = {}
    model = MnistVoxelMorph(4, output_norm=False)
    model.pool.register_forward_hook(lambda module, _, output: seen.update({module.training: output.dtype}))
    fields = {}
    model.register_forward_hook(lambda module, _, output: fields.update({module.training: output.dtype}))
    rows = np.arange(8)
    data = TrainingData(digits(8), [str(r) for r in rows], rows, ["1"] * 8, (rows, rows[::-1]))
    schedule = Schedule(1, 4, 1, "zeros", precision="bf16")
    optimiser = build_optimiser(model, {"name": "adam", "lr": 0.001})
    trainer = Trainer(model, build_loss({"mse": 1.0}), data, schedule, optimiser, 0, torch.device("cpu"))
    trainer.step(1)
    trainer.validate()
    assert seen == {True: torch.bfloat16, False: torch.float32}
    assert set(fields.values()) == {torch.float32}


def test_exported_network_gives_the_same_field(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    model = MnistVoxelMorph(4, output_norm=False).eval()
    export_onnx(model, tmp_path / "m.onnx", (1, 28, 28), {})
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    moving, fixed = images(1)
    names = [entry.name for entry in session.get_inputs()]
    (found,) = session.run(None, dict(zip(names, (moving.numpy(), fixed.numpy()), strict=True)))
    np.testing.assert_allclose(found, model(moving, fixed).detach().numpy(), rtol=0, atol=1e-4)
