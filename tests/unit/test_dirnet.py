"""DIRNet against the paper's numbers, and the registry that finds it."""

import ast
from pathlib import Path

import pytest
import torch
from torch import nn

from reregister import registry
from reregister.errors import ReregisterError
from reregister.models.dirnet import DIRNet
from reregister.transforms.bspline import bspline_ddf
from reregister.transforms.warp import warp
from reregister.weights import build_model, count_parameters

FORMS = [pytest.param(2, 28, 7, id="mnist"), pytest.param(4, 256, 16, id="cardiac")]


def images(batch: int, side: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    moving, fixed = torch.rand(2, batch, 1, side, side, generator=generator)
    return moving, fixed


def with_settled_statistics(model: DIRNet, side: int) -> DIRNet:
    """Evaluation mode after a few training passes, so that normalisation is not the identity."""
    for seed in range(3):
        model(*images(4, side, seed))
    return model.eval()


@pytest.mark.parametrize(("poolings", "side", "grid"), FORMS)
def test_layers_and_parameters_of_the_paper(poolings, side, grid):
    model = DIRNet(poolings=poolings)
    assert count_parameters(model) == 7938
    # Weights of convolution and normalisation of layers 1 to 6, then the linear layer with its bias.
    blocks = [sum(p.numel() for p in m.parameters()) for m in model.regressor if not isinstance(m, nn.AvgPool2d)]
    assert blocks == [320, 2336, 2336, 2336, 288, 288, 34]
    assert sum(isinstance(m, nn.AvgPool2d) for m in model.regressor) == poolings
    coefficients = model.regressor(torch.cat(images(2, side), 1))
    assert coefficients.shape == (2, 2, grid, grid)


def test_settings_of_lasagne():
    norms = [m for m in DIRNet().modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 6
    assert {(norm.eps, norm.momentum, norm.affine, norm.track_running_stats) for norm in norms} == {
        (1e-4, 0.1, True, True)
    }
    assert sum(isinstance(m, nn.ELU) for m in DIRNet().modules()) == 6
    convolutions = [m for m in DIRNet().modules() if isinstance(m, nn.Conv2d)]
    assert [c.bias is not None for c in convolutions] == [False] * 6 + [True]
    assert {c.padding_mode for c in convolutions} == {"zeros"}


def test_hidden_layers_start_by_glorot():
    torch.manual_seed(0)
    for layer in DIRNet().modules():
        if isinstance(layer, nn.Conv2d) and layer.out_channels == 16:
            fan = (layer.in_channels + layer.out_channels) * layer.kernel_size[0] ** 2
            bound = (6 / fan) ** 0.5
            assert 0.9 * bound < layer.weight.abs().max() <= bound


@pytest.mark.parametrize(("poolings", "side", "grid"), FORMS)
def test_starts_at_the_identity(poolings, side, grid):
    model = DIRNet(poolings=poolings)
    moving, fixed = images(2, side)
    field = model(moving, fixed)
    assert field.shape == (2, 2, side, side)
    assert field.dtype == torch.float32
    assert not field.any()
    torch.testing.assert_close(warp(moving, field), moving, atol=1e-4, rtol=0)
    field.sum().backward()
    assert model.regressor[-1].weight.grad.any()


def test_glorot_start_is_no_identity():
    torch.manual_seed(0)
    field = DIRNet(poolings=2, init_last="glorot")(*images(2, 28))
    assert field.abs().max() > 0.01
    assert not torch.equal(field[0], field[1])


@pytest.mark.parametrize(("poolings", "side", "reach"), [(2, 56, 26), (4, 128, 46)])
def test_receptive_field(poolings, side, reach):
    torch.manual_seed(1)
    model = with_settled_statistics(DIRNet(poolings=poolings, init_last="glorot"), side)
    pair = torch.cat(images(1, side), 1).requires_grad_()
    coefficients = model.regressor(pair)
    middle = coefficients.shape[-1] // 2
    coefficients[0, :, middle, middle].sum().backward()
    for profile in (pair.grad.abs().sum((0, 1, 2)), pair.grad.abs().sum((0, 1, 3))):
        seen = profile.nonzero().flatten()
        assert len(seen) == reach
        assert seen[-1] - seen[0] == reach - 1
        # It lies around the control point, which stands at s k + s/2 - 1/2.
        assert (seen[0] + seen[-1]) / 2 == 2**poolings * middle + 2**poolings / 2 - 0.5


def test_field_is_the_bspline_of_the_regressed_control_points():
    torch.manual_seed(2)
    for order, pad in ((3, "zero"), (2, "replicate")):
        model = with_settled_statistics(DIRNet(poolings=2, order=order, pad=pad, init_last="glorot"), 28)
        moving, fixed = images(3, 28, seed=9)
        expected = bspline_ddf(model.regressor(torch.cat([moving, fixed], 1)), (28, 28), order, pad)
        torch.testing.assert_close(model(moving, fixed), expected, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(model(fixed, moving), expected, atol=1e-2)


def test_one_pair_does_not_depend_on_its_batch():
    torch.manual_seed(3)
    model = with_settled_statistics(DIRNet(poolings=2, init_last="glorot"), 28)
    moving, fixed = images(5, 28, seed=4)
    torch.testing.assert_close(model(moving, fixed)[2:3], model(moving[2:3], fixed[2:3]), atol=1e-5, rtol=1e-4)


def test_sides_may_differ():
    moving = torch.zeros(1, 1, 32, 48)
    assert DIRNet(poolings=4)(moving.expand(2, -1, -1, -1), moving.expand(2, -1, -1, -1)).shape == (2, 2, 32, 48)


@pytest.mark.parametrize(
    ("moving", "fixed"),
    [
        ((1, 1, 28, 28), (1, 1, 32, 28)),
        ((2, 1, 28, 28), (1, 1, 28, 28)),
        ((1, 2, 28, 28), (1, 2, 28, 28)),
        ((1, 28, 28), (1, 28, 28)),
        ((1, 1, 28, 28, 28), (1, 1, 28, 28, 28)),
        ((1, 1, 30, 28), (1, 1, 30, 28)),
        ((1, 1, 28, 30), (1, 1, 28, 30)),
    ],
)
def test_size_errors_name_the_size(moving, fixed):
    with pytest.raises(ValueError, match=str(moving[-1])):
        DIRNet(poolings=2)(torch.zeros(moving), torch.zeros(fixed))


@pytest.mark.parametrize("arguments", [{"poolings": 0}, {"poolings": 5}, {"init_last": "ones"}, {"kernel": 16}])
def test_wrong_arguments(arguments):
    key, value = next(iter(arguments.items()))
    with pytest.raises((ValueError, TypeError), match=key):
        DIRNet(**arguments)
    with pytest.raises(ReregisterError, match=f"dirnet cannot be built.*{key}.*{value}"):
        build_model("dirnet", arguments)


def test_registry_finds_every_module_by_its_file_name():
    assert registry.names("models") == sorted(
        path.stem for path in Path(registry.__file__).parent.glob("models/[!_]*.py")
    )
    assert registry.load("models", "dirnet").build is DIRNet
    assert registry.module_name("data/standins", "mnist") == "reregister.data.standins.mnist"
    assert isinstance(build_model("dirnet", {"poolings": 2}), DIRNet)


@pytest.mark.parametrize("name", ["voxelmorf", "__init__", "", "../losses", "dirnet.DIRNet"])
def test_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ReregisterError) as caught:
        build_model(name, {})
    assert "models has no entry named" in str(caught.value)
    assert repr(name) in str(caught.value)
    assert all(known in str(caught.value) for known in registry.names("models"))


def test_unknown_kind_has_no_entries():
    with pytest.raises(ReregisterError, match="it has none"):
        registry.module_name("no_such_kind", "dirnet")


def test_every_network_has_a_builder():
    for name in registry.names("models"):
        tree = ast.parse((Path(registry.__file__).parent / "models" / f"{name}.py").read_text(encoding="utf-8"))
        targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
        named = {target.id for target in targets if isinstance(target, ast.Name)}
        assert "build" in named | {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
