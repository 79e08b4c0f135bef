"""Local NCC, label-reg's Dice and the smoothness terms against MONAI, plain convolutions and the values of papers.md."""

import pytest
import torch
from monai.losses import BendingEnergyLoss, DiffusionLoss, LocalNormalizedCrossCorrelationLoss
from torch.nn import functional

from reregister.terms.label_dice import SCALES, dice_per_scale, label_reg_dice
from reregister.terms.local_ncc import local_ncc
from reregister.terms.smoothness import (
    bending_compact,
    bending_wide,
    grad_l2_central,
    grad_l2_forward,
    image_grad_l1,
)

FIELD_TERMS = [bending_compact, bending_wide, grad_l2_central, grad_l2_forward]
SIZES = [(40, 21, 33), (5, 6, 7), (24, 37)]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def convolution(ndim: int):
    return functional.conv2d if ndim == 2 else functional.conv3d


def ncc_by_convolution(a: torch.Tensor, b: torch.Tensor, window: int) -> torch.Tensor:
    ndim = a.ndim - 2
    kernel = torch.ones(1, 1, *[window] * ndim, dtype=a.dtype)
    sums = [convolution(ndim)(values, kernel, padding=window // 2) for values in (a, b, a * a, b * b, a * b)]
    n = window**ndim
    cross = sums[4] - sums[0] * sums[1] / n
    variances = (sums[2] - sums[0] ** 2 / n) * (sums[3] - sums[1] ** 2 / n)
    return (cross**2 / (variances + 1e-5)).mean()


@pytest.mark.parametrize("window", [3, 9])
@pytest.mark.parametrize("size", SIZES)
def test_local_ncc_is_that_of_box_convolutions(size, window):
    a, b = noise(1, 1, *size), noise(1, 1, *size, seed=1)
    a, b = (image.requires_grad_() for image in (a, (a.detach() + b) / 2))
    found, wanted = local_ncc(a, b, window), ncc_by_convolution(a, b, window)
    torch.testing.assert_close(found[0], wanted, rtol=0, atol=1e-5)
    for gradient, reference in zip(
        torch.autograd.grad(found.sum(), (a, b)), torch.autograd.grad(wanted, (a, b)), strict=True
    ):
        torch.testing.assert_close(gradient, reference, rtol=0, atol=1e-5 * float(reference.abs().max()) + 1e-9)


def test_local_ncc_is_monais_on_noise():
    a, b = noise(2, 1, 20, 24, 28), noise(2, 1, 20, 24, 28, seed=1)
    monai = LocalNormalizedCrossCorrelationLoss(spatial_dims=3, kernel_size=9)
    torch.testing.assert_close(-local_ncc(a, b).mean(), monai(a, b), rtol=0, atol=1e-5)


def test_local_ncc_of_a_cube_with_itself():
    volume = torch.zeros(1, 1, 40, 40, 40)
    volume[..., 10:30, 10:30, 10:30] = noise(20, 20, 20)
    assert float(local_ncc(volume, volume)) == pytest.approx(0.3430, abs=1e-4)


def test_gradient_of_local_ncc_by_differences():
    a, b = noise(2, 1, 5, 4, 6).double().requires_grad_(), noise(2, 1, 5, 4, 6, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: local_ncc(a, b, 3), (a, b))


def test_local_ncc_of_each_sample_alone_and_of_constant_images():
    a, b = noise(3, 1, 12, 12), noise(3, 1, 12, 12, seed=1)
    torch.testing.assert_close(local_ncc(a, b)[1], local_ncc(a[1:2], b[1:2])[0])
    constant = torch.ones(1, 1, 12, 12, requires_grad=True)
    value = local_ncc(constant, b[:1], 3)
    assert torch.isfinite(torch.autograd.grad(value.sum(), constant)[0]).all()


def smoothed(labels: torch.Tensor, sigma: float) -> torch.Tensor:
    """label-reg's `separable_filter3d`, as convolutions."""
    if sigma == 0:
        return labels
    tail, ndim = int(3 * sigma), labels.ndim - 2
    kernel = torch.exp(-0.5 * (torch.arange(-tail, tail + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in range(ndim):
        shape, padding = [1, 1] + [1] * ndim, [0] * ndim
        shape[axis + 2], padding[axis] = len(kernel), tail
        labels = convolution(ndim)(labels, kernel.reshape(shape), padding=padding)
    return labels


@pytest.mark.parametrize("size", [(20, 17, 30), (26, 33)])
def test_dice_is_that_of_smoothed_labels(size):
    warped = noise(1, 1, *size).requires_grad_()
    fixed = (noise(1, 1, *size, seed=1) > 0.7).float()
    found = dice_per_scale(warped, fixed)[0, 0]
    wanted = torch.stack(
        [
            2
            * (smoothed(warped, scale) * smoothed(fixed, scale)).sum()
            / (smoothed(warped, scale).sum() + smoothed(fixed, scale).sum() + 1e-6)
            for scale in SCALES
        ]
    )
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    gradient, reference = (torch.autograd.grad(values.sum(), warped)[0] for values in (found, wanted))
    torch.testing.assert_close(gradient, reference, rtol=0, atol=1e-5 * float(reference.abs().max()))
    torch.testing.assert_close(label_reg_dice(warped, fixed)[0, 0], 1 - wanted.mean(), rtol=0, atol=1e-5)


def test_dice_of_a_cube_with_itself():
    cube = torch.zeros(1, 1, 48, 48, 48)
    cube[..., 14:34, 14:34, 14:34] = 1
    assert float(label_reg_dice(cube, cube)) == pytest.approx(0.4565, abs=1e-4)
    per_scale = 1 - dice_per_scale(cube, cube)[0, 0]
    assert per_scale.tolist() == pytest.approx([0, 0.153, 0.298, 0.532, 0.810, 0.947], abs=5e-4)


def test_dice_of_each_label_and_sample_alone():
    warped, fixed = noise(2, 3, 10, 11, 12), noise(2, 3, 10, 11, 12, seed=1)
    values = label_reg_dice(warped, fixed)
    assert values.shape == (2, 3)
    torch.testing.assert_close(values[1, 2], label_reg_dice(warped[1:, 2:], fixed[1:, 2:])[0, 0])
    assert label_reg_dice(torch.zeros_like(fixed), torch.zeros_like(fixed)).tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize(("ours", "monai"), [(bending_compact, BendingEnergyLoss), (grad_l2_central, DiffusionLoss)])
@pytest.mark.parametrize("size", [(9, 10, 11), (3, 4, 5), (12, 7)])
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_smoothness_is_monais(ours, monai, size):
    ddf = torch.randn(2, len(size), *size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found, wanted = ours(ddf).mean(), monai()(ddf)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    gradient, reference = (torch.autograd.grad(value, ddf)[0] for value in (found, wanted))
    torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-6)


def label_reg_bending(ddf: torch.Tensor) -> torch.Tensor:
    """Central differences taken twice, cut by one voxel on every side each time, as label-reg's functions are nested."""
    axes = range(2, ddf.ndim)

    def slope(values, axis):
        parts = [values.narrow(axis, start, values.shape[axis] - 2) for start in (2, 0)]
        for other in axes:
            if other != axis:
                parts = [part.narrow(other, 1, part.shape[other] - 2) for part in parts]
        return (parts[0] - parts[1]) / 2

    return sum(slope(slope(ddf, one), other).square() for one in axes for other in axes).mean()


@pytest.mark.parametrize("size", [(9, 10, 11), (5, 6, 5), (12, 7)])
def test_wide_bending_is_label_regs(size):
    ddf = torch.randn(1, len(size), *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(bending_wide(ddf)[0], label_reg_bending(ddf))


def test_values_on_a_linear_field():
    ddf = torch.zeros(1, 2, 20, 20)
    ddf[:, 0] = 0.5 * torch.arange(20.0)[:, None]
    wanted = {grad_l2_forward: 0.0625, grad_l2_central: 0.125, bending_wide: 0, bending_compact: 0}
    for term, value in wanted.items():
        assert float(term(ddf)) == pytest.approx(value, abs=1e-7), term.__name__


def test_bending_energies_agree_on_a_parabola_and_not_on_noise():
    ddf = torch.zeros(1, 3, 20, 20, 20)
    ddf[:, 0] = 0.05 * torch.arange(20.0)[:, None, None] ** 2
    assert float(bending_wide(ddf)) == pytest.approx(0.003333, abs=1e-6)
    assert float(bending_compact(ddf)) == pytest.approx(0.003333, abs=1e-6)
    rough = functional.avg_pool3d(torch.randn(1, 3, 24, 24, 24, generator=torch.Generator().manual_seed(0)), 3, 1)
    assert 2 < float(bending_compact(rough) / bending_wide(rough)) < 8


def test_gradients_of_an_image():
    image = torch.zeros(1, 1, 4, 6)
    image[..., 1, 2] = 2.0
    # Two steps of 2 in 3 x 6 differences along the first axis and in 4 x 5 along the second.
    assert float(image_grad_l1(image)) == pytest.approx((4 / 18 + 4 / 20) / 2)
    assert float(grad_l2_forward(image)) == pytest.approx((8 / 18 + 8 / 20) / 2)


@pytest.mark.parametrize("term", [*FIELD_TERMS, image_grad_l1])
def test_smoothness_has_one_value_per_sample(term):
    values = noise(3, 3, 8, 9, 7)
    torch.testing.assert_close(term(values)[2], term(values[2:])[0])


def test_terms_are_single_precision_under_autocast():
    a, b = noise(1, 1, 16, 16, 16), noise(1, 1, 16, 16, 16, seed=1)
    ddf = noise(1, 3, 16, 16, 16)
    terms = [lambda: local_ncc(a, b), lambda: label_reg_dice(a, b), lambda: bending_wide(ddf)]
    wanted = [term() for term in terms]
    with torch.autocast("cpu", torch.bfloat16):
        for term, value in zip(terms, wanted, strict=True):
            assert torch.equal(term(), value)
    assert local_ncc(a.bfloat16(), b=b).dtype == torch.float32


def test_shapes_and_settings_that_do_not_fit():
    a = noise(1, 1, 8, 8, 8)
    for wrong in (
        lambda: local_ncc(a, a[..., :4]),
        lambda: label_reg_dice(a, a[:, :, 0]),
        lambda: local_ncc(a[0], a[0, 0]),
    ):
        with pytest.raises(ValueError, match="of one shape"):
            wrong()
    with pytest.raises(ValueError, match="odd"):
        local_ncc(a, a, 4)
    for scales in ((), (1.0, -1.0)):
        with pytest.raises(ValueError, match="scales"):
            label_reg_dice(a, a, scales)
    for term, least in ((bending_wide, 5), (bending_compact, 3), (grad_l2_central, 3), (grad_l2_forward, 2)):
        with pytest.raises(ValueError, match=f"at least {least} voxels"):
            term(noise(1, 3, 8, 8, least - 1))
