"""The seven cardiac variants of DIRNet: parameters of the paper, start, receptive fields, and the probe for B1."""

import pytest
import torch
from scipy.interpolate import BSpline
from torch import nn
from torch.nn import functional

from reregister.errors import ReregisterError
from reregister.exhibits.blocks import blocks_of
from reregister.losses import global_ncc
from reregister.models.dirnet import DIRNet
from reregister.transforms.bspline import bspline_ddf, torchir_shift
from reregister.transforms.thin_plate import thin_plate_ddf
from reregister.transforms.warp import warp
from reregister.weights import build_model, count_parameters, list_modules, load_model, make_card, save_model

VARIANTS = {
    "BL": {},
    "A1": {"pooling": "max"},
    "A2": {"pooling": "strided"},
    "B1": {"order": 2},
    "B1 probe": {"order": 2, "transformer": "bspline_misaligned"},
    "B2": {"transformer": "thin_plate"},
    "C1": {"overlap": True},
    "C2": {"head": "dense", "image_size": [256, 256]},
}
PARAMETERS = dict.fromkeys(VARIANTS, 7938) | {"A2": 12162, "C1": 12610, "C2": 2635712}
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def small(variant: str, **more: object) -> DIRNet:
    """The variant for 64 x 64 images with a grid of 4 x 4 and, where it is dense, few nodes."""
    size = {"image_size": [64, 64], "nodes": 24} if variant == "C2" else {}
    return DIRNet(**{**VARIANTS[variant], **size, **more})


def images(batch: int, side: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    moving, fixed = torch.rand(2, batch, 1, side, side, generator=generator)
    return moving, fixed


def parameters_of_blocks(model: DIRNet) -> list[int]:
    return [count for block in model.regressor if (count := count_parameters(block))]


@every_variant
def test_parameters_grid_and_start_of_the_paper(variant):
    model = DIRNet(**VARIANTS[variant]).eval()
    assert count_parameters(model) == PARAMETERS[variant]
    moving, fixed = images(1, 256)
    shapes: list[torch.Size] = []
    model.regressor.register_forward_hook(lambda _module, _inputs, output: shapes.append(output.shape))
    with torch.no_grad():
        field = model(moving, fixed)
    assert shapes == [(1, 2, 16, 16)]
    assert field.shape == (1, 2, 256, 256)
    assert not field.any()
    torch.testing.assert_close(warp(moving, field), moving, atol=1e-4, rtol=0)


def test_layers_of_the_larger_variants():
    conv1, conv3, last = 288, 2336, 34
    pools = [16 * 16 * 2 * 2 + 2 * 16] * 4
    assert parameters_of_blocks(DIRNet(**VARIANTS["A2"])) == [
        *[320, pools[0], conv3, pools[1], conv3, pools[2], conv3, pools[3]],
        *[conv1, conv1, last],
    ]
    c1 = DIRNet(**VARIANTS["C1"])
    assert parameters_of_blocks(c1) == [320, conv3, conv3, conv3, conv3, conv3, conv1, conv1, last]
    kinds = ["pool" if isinstance(block, nn.AvgPool2d) else "conv" for block in c1.regressor]
    assert kinds[6:10] == ["conv", "conv", "pool", "conv"]
    assert parameters_of_blocks(DIRNet(**VARIANTS["C2"])) == [
        *[320, conv3, conv3, conv3, conv3],
        # The features that enter are 8 x 8 x 16 = 1,024; 512 = 16 x 16 x 2 leave.
        *[1024 * 1024 + 2 * 1024, 1024 * 1024 + 2 * 1024, 1024 * 512 + 512],
    ]


def test_poolings_are_what_they_are_called():
    kinds = {variant: [type(block) for block in small(variant).regressor] for variant in ("BL", "A1", "A2", "C2")}
    assert [kinds[variant].count(nn.AvgPool2d) for variant in kinds] == [4, 0, 0, 5]
    assert kinds["A1"].count(nn.MaxPool2d) == 4
    strided = [m for m in small("A2").modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    assert [(m.kernel_size, m.padding, m.bias) for m in strided] == [((2, 2), (0, 0), None)] * 4


def test_normalisation_and_activation_of_every_hidden_layer():
    for variant, hidden in {"A2": 10, "C1": 8, "C2": 7}.items():
        model = small(variant)
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        assert len(norms) == sum(isinstance(m, nn.ELU) for m in model.modules()) == hidden
        assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-4, 0.1)}
        layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert [layer.bias is not None for layer in layers] == [False] * hidden + [True]


def test_the_weights_of_a_seed_are_those_of_the_mnist_form():
    """What the new arguments must not move: order and number of the random draws of the first form of the network."""
    torch.manual_seed(5)
    convolutions = [nn.Conv2d(2 if i == 0 else 16, 16, 3, padding=1, bias=False) for i in range(4)]
    convolutions += [nn.Conv2d(16, 16, 1, bias=False) for _ in range(2)]
    convolutions.append(nn.Conv2d(16, 2, 1))
    for layer in convolutions:
        nn.init.xavier_uniform_(layer.weight)
    for form in ({"poolings": 2}, {}, VARIANTS["A1"], VARIANTS["B1"], VARIANTS["B2"]):
        torch.manual_seed(5)
        made = [m for m in DIRNet(**form).modules() if isinstance(m, nn.Conv2d)]
        assert all(torch.equal(a.weight, b.weight) for a, b in zip(made[:-1], convolutions[:-1], strict=True))
        assert not made[-1].weight.any()
    assert set(DIRNet(**VARIANTS["B2"]).state_dict()) == set(DIRNet().state_dict())


@every_variant
def test_gradients_reach_every_parameter(variant):
    torch.manual_seed(0)
    model = small(variant, init_last="glorot")
    moving, fixed = images(3, 64)
    (-global_ncc(warp(moving, model(moving, fixed)), fixed).mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


@every_variant
def test_every_variant_learns_to_move_a_disc(variant):
    torch.manual_seed(1)
    model = small(variant)
    centre = torch.arange(64) - 31.5
    fixed = torch.exp(-(centre[:, None] ** 2 + centre**2) / 200).expand(4, 1, 64, 64)
    moving = torch.exp(-((centre[:, None] - 5) ** 2 + (centre + 4) ** 2) / 200).expand(4, 1, 64, 64)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(25):
        loss = -global_ncc(warp(moving, model(moving, fixed)), fixed).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.02


def sensitivity(model: DIRNet, side: int) -> torch.Tensor:
    """Which pixels the middle control point depends on, (H, W)."""
    for seed in range(3):
        model(*images(4, side, seed))
    pair = torch.cat(images(1, side), 1).requires_grad_()
    coefficients = model.eval().regressor(pair)
    middle = coefficients.shape[-1] // 2
    coefficients[0, :, middle, middle].sum().backward()
    assert pair.grad is not None
    return pair.grad.abs().sum((0, 1)) > 0


@pytest.mark.parametrize(("variant", "reach"), [("BL", 46), ("A2", 46), ("C1", 94)])
def test_receptive_field(variant, reach):
    torch.manual_seed(1)
    seen = sensitivity(small(variant, init_last="glorot"), 160)
    for axis in (0, 1):
        pixels = seen.any(axis).nonzero().flatten()
        assert len(pixels) == pixels[-1] - pixels[0] + 1 == reach
        # It lies around the control point: the sixth of ten, at s k + s/2 - 1/2.
        assert (pixels[0] + pixels[-1]) / 2 == 16 * 5 + 7.5


def test_the_dense_head_sees_the_whole_image():
    torch.manual_seed(1)
    assert sensitivity(small("C2", init_last="glorot"), 64).all()


def test_fields_are_those_of_their_transformers():
    moving, fixed = images(2, 64, seed=3)
    for variant, expected in {
        "B1": lambda c: bspline_ddf(c, (64, 64), 2),
        "B1 probe": lambda c: bspline_ddf(c, (64, 64), 2, alignment="torchir"),
        "B2": lambda c: thin_plate_ddf(c, (64, 64)),
    }.items():
        torch.manual_seed(2)
        model = small(variant, init_last="glorot").eval()
        field = model(moving, fixed)
        torch.testing.assert_close(
            field, expected(model.regressor(torch.cat([moving, fixed], 1))), atol=1e-4, rtol=1e-4
        )
        assert field.abs().max() > 0.01


def test_a_dense_head_takes_one_size_alone():
    model = small("C2")
    with pytest.raises(ValueError, match=r"\(96, 64\) is not \(64, 64\)"):
        model(*torch.zeros(2, 2, 1, 96, 64))
    wide = DIRNet(poolings=2, head="dense", image_size=(16, 24), nodes=8)
    assert wide(*torch.rand(2, 3, 1, 16, 24)).shape == (3, 2, 16, 24)
    # At a spacing of 16 it would be no multiple.
    assert wide.regressor(torch.rand(3, 2, 16, 24)).shape == (3, 2, 4, 6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"pooling": "mean"},
        {"transformer": "tps"},
        {"head": "fc"},
        {"head": "dense"},
        {"image_size": [256, 256]},
        {"image_size": [256], "head": "dense"},
        {"image_size": [256, 240], "head": "dense"},
        {"image_size": [0, 256], "head": "dense"},
    ],
)
def test_wrong_arguments(arguments):
    key = "image_size" if "dense" in arguments.values() else next(iter(arguments))
    with pytest.raises(ValueError, match=key):
        DIRNet(**arguments)
    with pytest.raises(ReregisterError, match=f"dirnet cannot be built.*{key}"):
        build_model("dirnet", arguments)


@every_variant
def test_card_and_weights_of_a_variant(variant, tmp_path):
    params = {**VARIANTS[variant], **({"image_size": [64, 64], "nodes": 24} if variant == "C2" else {})}
    torch.manual_seed(4)
    model = build_model("dirnet", {**params, "init_last": "glorot"}).eval()
    card = make_card(model, "dirnet", {**params, "init_last": "glorot"}, "0" * 64, "all", (1, 64, 64))
    save_model(tmp_path / "m.safetensors", tmp_path / "m.md", model, card)
    again = load_model(tmp_path / "m.safetensors", "dirnet", {**params, "init_last": "glorot"})
    pair = images(2, 64)
    with torch.no_grad():
        assert torch.equal(again(*pair), model(*pair))
    # The last block that the schematic draws is the grid of control points.
    blocks = blocks_of({"modules": list_modules(model, (1, 64, 64))})
    assert blocks["parameters"].sum() == count_parameters(model)
    assert blocks.iloc[-1][["channels", "height", "width"]].tolist() == [2, 4, 4]


# The probe


def torchir_field(coefficients: torch.Tensor, size: int, order: int, extra: int) -> torch.Tensor:
    """The field by a transposed convolution laid out as TorchIR's: its kernel, its crop, `extra` outputs at the end."""
    spacing = size // coefficients.shape[-1]
    length = (order + 1) * spacing
    spline = BSpline.basis_element(torch.arange(order + 2.0).numpy(), extrapolate=False)
    # The first sample stands one step inside the support, the last one at its end, where the value is 0.
    kernel = torch.from_numpy(spline((torch.arange(length) + 1).numpy() / spacing)).nan_to_num()
    weights = torch.outer(kernel, kernel)[None, None].expand(2, -1, -1, -1)
    return functional.conv_transpose2d(
        coefficients, weights, stride=spacing, padding=int(length * 3 / 8), output_padding=extra, groups=2
    )


def test_shifts_of_torchir():
    assert torchir_shift(16, 2) == -2.5
    assert torchir_shift(16, 3) == -0.5


@pytest.mark.parametrize(("order", "side"), [(2, 252), (3, 256)])
def test_the_probe_is_the_field_of_such_kernels(order, side):
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.randn(2, 2, 16, 16, generator=generator, dtype=torch.float64)
    assert torchir_field(coefficients, 256, order, 0).shape[-2:] == (side, side)
    field = bspline_ddf(coefficients, (256, 256), order, alignment="torchir")
    torch.testing.assert_close(field, torchir_field(coefficients, 256, order, 256 - side), atol=1e-12, rtol=0)
    # Of the 252 outputs alone, as of the 256 of order 3, the grid of control points is half a voxel off the centre.
    assert 7.5 * 16 + 7.5 + torchir_shift(16, order) - (side - 1) / 2 == -0.5


@pytest.mark.parametrize(("order", "shift"), [(2, -2.5), (3, -0.5)])
def test_the_probe_is_off_by_the_stated_shift(order, shift):
    # A spline whose coefficients are the places of its control points is the identity where none is missing.
    places = torch.arange(16, dtype=torch.float64) * 16 + 7.5
    coefficients = torch.stack(torch.meshgrid(places, places, indexing="ij"))[None]
    inside = (slice(None), slice(None), slice(48, -48), slice(48, -48))
    aligned = bspline_ddf(coefficients, (256, 256), order)[inside]
    probe = bspline_ddf(coefficients, (256, 256), order, alignment="torchir")[inside]
    torch.testing.assert_close(aligned[0, 0, :, 0], torch.arange(48.0, 208.0, dtype=torch.float64))
    torch.testing.assert_close(probe, aligned - shift)


def test_the_probe_is_off_by_default_and_has_one_name():
    coefficients = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    plain = bspline_ddf(coefficients, (64, 64), 2)
    assert torch.equal(plain, bspline_ddf(coefficients, (64, 64), 2, alignment="centred"))
    assert not torch.allclose(plain, bspline_ddf(coefficients, (64, 64), 2, alignment="torchir"), atol=0.01)
    with pytest.raises(ValueError, match=r"alignment.*'shifted'"):
        bspline_ddf(coefficients, (64, 64), 2, alignment="shifted")
    ones = torch.ones(1, 2, 4, 4)
    replicated = bspline_ddf(ones, (64, 64), 2, "replicate", "torchir")
    torch.testing.assert_close(replicated, torch.ones_like(replicated))
