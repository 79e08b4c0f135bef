"""The 3-D convolution by planes: the same sums as torch's own, values and gradients, and only where torch is slow."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from reregister.layers import LAYOUTS, Conv3d


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def planes(monkeypatch) -> list[tuple[int, ...]]:
    """Shapes of what was convolved in two dimensions."""
    seen: list[tuple[int, ...]] = []
    convolve = functional.conv2d

    def note(features, *arguments, **more):
        seen.append(tuple(features.shape))
        return convolve(features, *arguments, **more)

    monkeypatch.setattr(functional, "conv2d", note)
    return seen


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("channels", "shape"), [(2, (1, 5, 6, 7)), (3, (2, 1, 4, 5)), (1, (1, 8, 2, 3))])
def test_by_planes_is_the_same_convolution(planes, channels, shape, bias):
    torch.manual_seed(0)
    batch, *size = shape
    layer = Conv3d(channels, 4, 3, padding=1, bias=bias).double()
    features = torch.randn(batch, channels, *size, dtype=torch.double).contiguous(memory_format=LAYOUTS[3])
    upstream = torch.randn(batch, 4, *size, dtype=torch.double)
    found = []
    for convolve in (layer, super(Conv3d, layer).forward):
        image = features.clone().requires_grad_(True)
        out = convolve(image)
        found.append([out, *torch.autograd.grad(out, [image, *layer.parameters()], upstream)])
    assert planes == [(batch * size[0], 3 * channels, *size[1:])]
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "size", "expected"),
    [
        (Conv3d(4, 2, 3, padding=1), (1, 4, 64, 80, 2), True),
        # One voxel of depth more is handed to oneDNN.
        (Conv3d(4, 2, 3, padding=1), (1, 4, 65, 80, 2), False),
        (Conv3d(4, 2, 3, stride=2, padding=1), (1, 4, 8, 8, 8), False),
        (Conv3d(4, 2, 7, padding=3), (1, 4, 8, 8, 8), False),
        (Conv3d(4, 2, 3), (1, 4, 8, 8, 8), False),
        (Conv3d(4, 2, 3, padding=1, groups=2), (1, 4, 8, 8, 8), False),
        (Conv3d(4, 2, 3, padding=2, dilation=2), (1, 4, 8, 8, 8), False),
        (Conv3d(4, 2, 3, padding=1, padding_mode="replicate"), (1, 4, 8, 8, 8), False),
    ],
)
def test_planes_are_for_small_inputs_of_plain_layers(planes, layer, size, expected):
    with torch.no_grad():
        features = torch.rand(*size)
        out = layer(features)
        assert bool(planes) == expected
        torch.testing.assert_close(out, nn.Conv3d.forward(layer, features))


def test_with_two_threads_torch_does_it_itself(planes):
    torch.set_num_threads(2)
    Conv3d(2, 2, 3, padding=1)(torch.rand(1, 2, 4, 4, 4))
    assert not planes


def test_under_autocast_planes_are_left_alone(planes):
    with torch.autocast("cpu", torch.bfloat16):
        out = Conv3d(2, 2, 3, padding=1)(torch.rand(1, 2, 4, 4, 4))
    assert out.dtype == torch.bfloat16
    assert not planes
