"""What a field does within its image, and what a warp cannot cover: closed forms."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from reregister.losses import grad_l2_forward, normalised_field
from reregister.metrics.intensity import ssim, ssim_map
from reregister.metrics.registration import METRICS, evaluate_pair, field_sd, smoothness, uncovered

SHAPES = [(28, 28), (14, 20), (12, 13, 14)]


def places(shape):
    return np.indices(shape).astype(np.float64)


def row(fixed, warped, ddf=None, spacing=None):
    ddf = np.zeros((fixed.ndim, *fixed.shape)) if ddf is None else ddf
    return evaluate_pair(fixed, fixed, warped, ddf, spacing or [1] * fixed.ndim)


@pytest.mark.parametrize("shape", SHAPES)
def test_smoothness_is_the_term_of_the_loss(shape):
    ddf = np.random.default_rng(0).normal(size=(len(shape), *shape))
    expected = float(grad_l2_forward(normalised_field(torch.from_numpy(ddf)[None])))
    assert smoothness(ddf) == pytest.approx(expected, rel=1e-9)
    assert smoothness(ddf.astype(np.float32)) == pytest.approx(expected, rel=1e-4)


def test_smoothness_of_a_linear_field():
    ddf = np.zeros((2, 28, 28))
    ddf[0] = 0.5 * places((28, 28))[0]
    assert smoothness(ddf) == pytest.approx(0.0625 * (2 / 27) ** 2)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_shift_of_the_whole_image_has_no_spread(shape):
    ddf = np.arange(1.0, len(shape) + 1).reshape(-1, *[1] * len(shape)) * np.ones((len(shape), *shape))
    found = row(np.random.default_rng(0).random(shape), np.zeros(shape), ddf)
    assert found["field_sd"] == found["smoothness"] == 0
    assert found["max_displacement"] > 1


def test_spread_is_that_within_the_image_in_the_unit_of_spacing():
    # Half of the rows move by +3 voxels, half by -1: a standard deviation of 2 voxels along one axis of two.
    ddf = np.zeros((2, 16, 16))
    ddf[0, :8], ddf[0, 8:] = 3, -1
    assert field_sd(ddf, (1, 1)) == pytest.approx(np.sqrt(4 / 2))
    assert field_sd(ddf, (0.5, 7)) == pytest.approx(np.sqrt(1 / 2))
    assert field_sd(ddf[::-1], (0.5, 2)) == pytest.approx(np.sqrt(16 / 2))
    ramp = np.stack([places((11, 11))[0], np.zeros((11, 11))])
    assert field_sd(ramp, (1, 1)) == pytest.approx(np.sqrt(10 / 2))  # variance of 0..10 is 10


def test_what_the_warp_does_not_cover():
    fixed = np.zeros((20, 20))
    fixed[5:15, 4:8] = 1.0  # 40 pixels of stroke
    fixed[9, 8:18] = 0.5  # 10 of a fainter crossbar: 5 of 45
    warped = fixed.copy()
    warped[9, 8:18] = 0
    assert uncovered(warped, fixed) == pytest.approx(5 / 45)
    # Too much elsewhere makes up for nothing.
    warped[0] = 1
    assert uncovered(warped, fixed) == pytest.approx(5 / 45)
    assert uncovered(fixed, fixed) == 0
    assert uncovered(np.ones_like(fixed), fixed) == 0
    assert uncovered(np.zeros_like(fixed), fixed) == 1
    assert uncovered(0.75 * fixed, fixed) == pytest.approx(0.25)
    assert np.isnan(uncovered(warped, np.zeros_like(fixed)))


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_map_is_the_librarys_within_the_edge(shape):
    random = np.random.default_rng(1)
    first, second = random.random(shape), random.random(shape)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    mean, whole = structural_similarity(first, second, full=True, **options)
    found = ssim_map(first, second)
    assert found.shape == tuple(side - 10 for side in shape)
    np.testing.assert_array_equal(found, whole[(slice(5, -5),) * len(shape)])
    assert ssim(first, second) == mean


def test_ssim_of_the_foreground():
    random = np.random.default_rng(2)
    fixed = np.zeros((28, 28))
    fixed[8:20, 10:14] = 0.2 + 0.8 * random.random((12, 4))
    fixed[22, 3] = 1.0  # beside the voxels whose window lies inside
    warped = np.clip(fixed + 0.2 * random.normal(size=fixed.shape), 0, 1)
    found = row(fixed, warped)
    similarity = ssim_map(warped, fixed)
    assert found["ssim_foreground"] == pytest.approx(similarity[3:15, 5:9].mean())
    assert abs(found["ssim_foreground"] - found["ssim"]) > 0.05
    assert row(fixed, fixed)["ssim_foreground"] == pytest.approx(1)
    assert np.isnan(row(np.zeros((28, 28)), warped)["ssim_foreground"])


def test_a_field_with_a_hole_has_no_smoothness_and_no_spread():
    ddf = np.zeros((2, 16, 16))
    ddf[1, 3, 3] = np.nan
    found = row(np.ones((16, 16)), np.ones((16, 16)), ddf)
    assert np.isnan([found["smoothness"], found["field_sd"]]).all()


def test_new_metrics_stand_behind_those_that_were_there():
    last = ["field_error_p95", "smoothness", "field_sd", "uncovered", "ssim_foreground", "mean_displacement"]
    assert list(METRICS)[-6:] == last


@pytest.mark.parametrize("shape", SHAPES)
def test_mean_displacement_is_the_mean_length_in_the_unit_of_spacing(shape):
    ddf = np.zeros((len(shape), *shape))
    # Half of the voxels move by (3, 4) voxels of (1, 2) mm: by the root of 9 + 64.
    ddf[0, : shape[0] // 2], ddf[1, : shape[0] // 2] = 3, 4
    found = row(np.ones(shape), np.ones(shape), ddf, [1.0, 2.0, 5.0][: len(shape)])
    assert found["max_displacement"] == pytest.approx(np.sqrt(73))
    assert found["mean_displacement"] == pytest.approx(np.sqrt(73) / 2)
    ddf[0, 0, 0] = np.nan
    assert np.isnan(row(np.ones(shape), np.ones(shape), ddf)["mean_displacement"])
