"""Image similarity against MONAI, scikit-image, numpy and closed forms."""

import numpy as np
import pytest
import torch
from monai.metrics import SSIMMetric
from skimage.metrics import mean_squared_error, structural_similarity

from reregister.metrics.intensity import mae, mse, ncc, ssim

SHAPES = [(28, 31), (12, 13, 14)]


def images(shape):
    random = np.random.default_rng(0)
    first = random.random(shape)
    return first, np.clip(0.7 * first + 0.3 * random.random(shape), 0, 1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("contrast", [1.0, 0.05])  # at low contrast the normalisation of the covariances shows
def test_ssim_equals_monai(shape, contrast):
    first, second = (contrast * image for image in images(shape))
    metric = SSIMMetric(spatial_dims=len(shape), data_range=1.0)
    expected = metric(*(torch.from_numpy(image)[None, None] for image in (first, second))).item()
    assert 0.3 < expected < 0.99
    assert ssim(first, second) == pytest.approx(expected, abs=1e-5)


def test_ssim_window_is_11_and_gaussian():
    first, second = images((11, 11))
    assert np.isfinite(ssim(first, second))
    with pytest.raises(ValueError, match=r"at least 11 .* \(10, 28\)"):
        ssim(np.zeros((10, 28)), np.zeros((10, 28)))
    first, second = images((28, 31))
    assert abs(ssim(first, second) - structural_similarity(first, second, data_range=1.0)) > 1e-3


def test_ssim_of_constant_images():
    # Without contrast only the luminance term is left: (2 ab + C1) / (a^2 + b^2 + C1), C1 = 0.01^2.
    a, b = np.full((20, 20), 0.2), np.full((20, 20), 0.6)
    assert ssim(a, b) == pytest.approx((2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4), rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_closed_forms(shape):
    first, second = images(shape)
    assert ncc(first, second) == pytest.approx(np.corrcoef(first.ravel(), second.ravel())[0, 1], abs=1e-12)
    assert mse(first, second) == pytest.approx(mean_squared_error(first, second), rel=1e-12)
    assert mse(first, first + 0.25) == pytest.approx(0.0625)
    assert mae(first, first - 0.25) == pytest.approx(0.25)


@pytest.mark.parametrize("metric", [ncc, mse, mae, ssim])
@pytest.mark.parametrize("shape", SHAPES)
def test_symmetric_and_blind_to_flips(metric, shape):
    first, second = images(shape)
    value = metric(first, second)
    assert metric(second, first) == pytest.approx(value, rel=1e-12)
    assert metric(np.flip(first), np.flip(second)) == pytest.approx(value, rel=1e-9)
    assert metric(first, first) == pytest.approx(1 if metric in (ncc, ssim) else 0, abs=1e-12)


def test_ncc_invariance_and_sign():
    first, second = images((28, 31))
    value = ncc(first, second)
    assert 0.1 < value < 0.99
    assert ncc(3 * first + 7, 0.2 * second - 1) == pytest.approx(value, abs=1e-12)
    assert ncc(-first, second) == pytest.approx(-value, abs=1e-12)


def test_ncc_of_a_constant_image_is_zero():
    first, _ = images((28, 31))
    constant = np.full(first.shape, 0.1)  # its mean is not exactly 0.1
    assert ncc(first, constant) == ncc(constant, first) == ncc(constant, constant) == 0


@pytest.mark.parametrize("metric", [ncc, mse, mae, ssim])
def test_arithmetic_is_double_whatever_the_input(metric):
    first, second = (image.astype(np.float16) for image in images((28, 31)))
    value = metric(first, second)
    assert isinstance(value, float)
    assert value == pytest.approx(metric(first.astype(np.float64), second.astype(np.float64)), rel=1e-12)


def test_unsigned_integers_do_not_wrap():
    assert mae(np.full((12, 12), 3, np.uint8), np.full((12, 12), 5, np.uint8)) == 2


@pytest.mark.parametrize("metric", [ncc, mse, mae, ssim])
def test_undefined_voxels_and_wrong_shapes(metric):
    first, second = images((28, 31))
    first[14, 14] = np.nan
    assert np.isnan(metric(first, second))
    with pytest.raises(ValueError, match=r"\(28, 31\) and \(31, 28\)"):
        metric(second, second.T)
    with pytest.raises(ValueError, match=r"\(2, 3, 4, 5\)"):
        metric(np.zeros((2, 3, 4, 5)), np.zeros((2, 3, 4, 5)))
