"""The warp against MONAI, scipy and the displacement convention."""

import numpy as np
import pytest
import torch
from monai.networks.blocks import Warp
from scipy.ndimage import map_coordinates

from reregister.transforms import warp as module
from reregister.transforms.warp import warp

SHAPES = [(9, 14), (6, 7, 8)]
monai_warns = pytest.mark.filterwarnings("ignore:monai.networks.blocks.Warp")


def random_pair(spatial, batch=2, channels=3, scale=2.0):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((batch, channels, *spatial), generator=generator)
    ddf = scale * torch.randn((batch, len(spatial), *spatial), generator=generator)
    return image, ddf


@monai_warns
@pytest.mark.parametrize("spatial", SHAPES)
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_equals_monai_with_gradients(spatial, padding):
    image, ddf = random_pair(spatial)
    results = []
    for function in (lambda i, d: warp(i, d, padding=padding), Warp(padding_mode=padding)):
        i, d = image.clone().requires_grad_(), ddf.clone().requires_grad_()
        warped = function(i, d)
        (warped * torch.linspace(0, 1, warped.numel()).view_as(warped)).sum().backward()
        results.append((warped.detach(), i.grad, d.grad))
    for ours, theirs in zip(*results, strict=True):
        assert theirs.abs().max() > 0.1
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@monai_warns
@pytest.mark.parametrize("spatial", SHAPES)
def test_nearest_equals_monai(spatial):
    image, ddf = random_pair(spatial)
    expected = Warp(mode="nearest", padding_mode="zeros")(image, ddf)
    torch.testing.assert_close(warp(image, ddf, mode="nearest", padding="zeros"), expected)


@pytest.mark.parametrize("spatial", SHAPES)
def test_analytic_gradients(spatial):
    image, ddf = (t.double().requires_grad_() for t in random_pair([4] * len(spatial), batch=1, channels=1, scale=0.3))
    assert torch.autograd.gradcheck(lambda i, d: warp(i, d, padding="zeros"), (image, ddf), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("spatial", SHAPES)
def test_channel_k_moves_along_axis_k(spatial):
    image, _ = random_pair(spatial)
    for axis in range(len(spatial)):
        ddf = torch.zeros(2, len(spatial), *spatial)
        ddf[:, axis] = 1
        warped = warp(image, ddf)
        n = spatial[axis]
        torch.testing.assert_close(warped.narrow(axis + 2, 0, n - 1), image.narrow(axis + 2, 1, n - 1))
        torch.testing.assert_close(warped.narrow(axis + 2, n - 1, 1), image.narrow(axis + 2, n - 1, 1))


@pytest.mark.parametrize("spatial", SHAPES)
@pytest.mark.parametrize(("padding", "mode"), [("zeros", "grid-constant"), ("border", "nearest")])
def test_padding_equals_scipy(spatial, padding, mode):
    image, ddf = (t.double() for t in random_pair(spatial, batch=1, channels=1, scale=3.0))
    coordinates = np.indices(spatial) + ddf[0].numpy()
    assert (coordinates < 0).any()
    expected = map_coordinates(image[0, 0].numpy(), coordinates, order=1, mode=mode)
    np.testing.assert_allclose(warp(image, ddf, padding=padding)[0, 0].numpy(), expected, atol=1e-12)


def test_half_precision_field_keeps_its_coordinates():
    # Coordinates of the last columns of a 256-pixel row, 255 + 0.25, do not exist in bfloat16.
    image = torch.linspace(0, 1, 256).expand(1, 1, 4, 256)
    ddf = torch.full((1, 2, 4, 256), 0.25, dtype=torch.bfloat16)
    warped = warp(image, ddf)
    assert warped.dtype == torch.float32
    torch.testing.assert_close(warped, warp(image, ddf.float()))
    assert warp(image.bfloat16(), ddf).dtype == torch.bfloat16


def test_grid_is_cached_and_serves_training_after_inference():
    module._identity_grid.cache_clear()
    image, ddf = random_pair((5, 6))
    with torch.inference_mode():
        warp(image, ddf)
    learnt = ddf.clone().requires_grad_()
    warp(image, learnt).sum().backward()
    assert learnt.grad is not None
    warp(image, 2 * ddf)
    info = module._identity_grid.cache_info()
    assert (info.misses, info.hits) == (1, 2)
    assert info.maxsize is not None
    torch.testing.assert_close(warp(image, torch.zeros_like(ddf)), image)


@pytest.mark.parametrize(
    ("image", "ddf", "message"),
    [
        ((1, 1, 8), (1, 1, 8), r"\(1, 1, 8\)"),
        ((1, 1, 8, 9), (1, 2, 9, 8), r"\(1, 2, 8, 9\), got \(1, 2, 9, 8\)"),
        ((2, 1, 8, 9), (1, 2, 8, 9), r"\(2, 2, 8, 9\), got \(1, 2, 8, 9\)"),
        ((1, 1, 8, 9), (1, 3, 8, 9), r"got \(1, 3, 8, 9\)"),
    ],
)
def test_errors_name_the_shapes(image, ddf, message):
    with pytest.raises(ValueError, match=message):
        warp(torch.zeros(image), torch.zeros(ddf))


def test_errors_name_dtype_mode_and_padding():
    image, ddf = random_pair((5, 6))
    with pytest.raises(ValueError, match=r"floating image, got torch\.int64"):
        warp(image.long(), ddf)
    with pytest.raises(ValueError, match="'bicubic'"):
        warp(image, ddf, mode="bicubic")
    with pytest.raises(ValueError, match="'reflection'"):
        warp(image, ddf, padding="reflection")
