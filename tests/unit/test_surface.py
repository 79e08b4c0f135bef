"""Surface distances against MONAI and known shapes."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.ndimage import gaussian_filter

from reregister.metrics.surface import LARGE, STATISTICS, surface_distances, surface_metrics


def blobs(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """A random mask of several smooth pieces, some of which touch the border of the image."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2.5)
    return noise > noise.std() * 0.6


def square(start: tuple[int, int] = (20, 20), side: int = 30) -> np.ndarray:
    mask = np.zeros((80, 80), bool)
    mask[start[0] : start[0] + side, start[1] : start[1] + side] = True
    return mask


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((64, 64), (1.0, 1.0)),
        ((64, 48), (1.28, 1.28)),
        ((50, 70), (0.7, 2.3)),
        ((16, 30, 26), (1.0, 1.0, 1.0)),
        ((12, 34, 28), (8.0, 1.25, 1.4)),
        # Of more voxels than `LARGE`.
        ((40, 34, 28), (2.0, 1.25, 1.4)),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_equals_monai(shape, spacing, seed):
    first, second = blobs(shape, seed), blobs(shape, seed + 100)
    assert first.any()
    assert second.any()
    pair = [torch.from_numpy(mask)[None, None].float() for mask in (first, second)]
    found = surface_metrics(first, second, spacing)
    hausdorff = compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=spacing)
    assert found["hd95"] == pytest.approx(float(hausdorff), rel=1e-5)
    mean = compute_average_surface_distance(*pair, include_background=True, symmetric=True, spacing=spacing)
    assert found["asd"] == pytest.approx(float(mean), rel=1e-5)
    # One direction alone, so that a mistake in the order of the two is seen.
    to_fixed, _ = surface_distances(first, second, spacing)
    directed = compute_average_surface_distance(*pair, include_background=True, spacing=spacing)
    assert to_fixed.mean() == pytest.approx(float(directed), rel=1e-5)


def test_shifted_square():
    found = surface_metrics(square(), square((20, 23)), (1.28, 1.28))
    assert found["hd95"] == pytest.approx(3.84)
    assert found["hd95_pooled"] == pytest.approx(3.84)
    assert found["asd"] == pytest.approx(1.92, abs=0.005)


@pytest.mark.parametrize(("axis", "expected"), [(0, 3 * 2.0), (1, 3 * 0.5)])
def test_spacing_is_in_the_order_of_the_tensor_axes(axis, expected):
    start = (23, 20) if axis == 0 else (20, 23)
    assert surface_metrics(square(), square(start), (2.0, 0.5))["hd95"] == pytest.approx(expected)


def test_pooled_is_another_value_than_the_larger_one():
    # A small piece far away is more than 5 % of the one surface and less than 5 % of both together.
    plain, speck = square(), square()
    speck[70:72, 70:74] = True
    to_fixed, to_warped = surface_distances(speck, plain, (1.0, 1.0))
    assert (len(to_fixed), len(to_warped)) == (4 * 29 + 8, 4 * 29)
    assert not to_warped.any()
    far = np.sort(to_fixed)[-8:]
    assert far.min() == pytest.approx(math.hypot(21, 21))
    found = surface_metrics(speck, plain, (1.0, 1.0))
    assert found["hd95"] == pytest.approx(np.percentile(to_fixed, 95))
    assert found["hd95"] > 20
    assert found["hd95_pooled"] == 0
    assert found["asd"] == pytest.approx(far.sum() / (8 + 8 * 29))


def test_identical_masks_and_order_of_arguments():
    first, second = blobs((40, 40), 1), blobs((40, 40), 2)
    assert surface_metrics(first, first, (1.3, 1.3)) == dict.fromkeys(STATISTICS, 0)
    assert surface_metrics(first, second, (1.3, 1.3)) == pytest.approx(surface_metrics(second, first, (1.3, 1.3)))


def test_whole_image_has_its_border_as_surface():
    inner = np.zeros((20, 20), bool)
    inner[5:15, 5:15] = True
    to_fixed, to_warped = surface_distances(np.ones((20, 20), bool), inner, (1.0, 1.0))
    assert (len(to_fixed), len(to_warped)) == (4 * 19, 4 * 9)
    assert to_fixed.max() == pytest.approx(math.hypot(5, 5))
    assert to_warped.min() == to_warped.max() == 5


def test_place_in_the_image_has_no_influence():
    small = surface_metrics(square((30, 30), 9), square((33, 28), 12), (1.0, 2.0))
    assert surface_metrics(square((0, 2), 9), square((3, 0), 12), (1.0, 2.0)) == pytest.approx(small)


def test_empty_masks_are_undefined():
    empty = np.zeros((80, 80), bool)
    for pair in ((empty, square()), (square(), empty), (empty, empty)):
        found = surface_metrics(*pair, (1.0, 1.0))
        assert set(found) == set(STATISTICS)
        assert all(math.isnan(value) for value in found.values())
        assert [distances.size for distances in surface_distances(*pair, (1.0, 1.0))] == [0, 0]


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 1.0, 1.0), (1.0, 0.0), (1.0, -2.0), (1.0, math.nan)])
def test_wrong_spacing_is_refused_also_for_empty_masks(spacing):
    for mask in (square(), np.zeros((80, 80), bool)):
        with pytest.raises(ValueError, match="2 positive spacings"):
            surface_metrics(mask, mask, spacing)


def test_wrong_masks_are_refused():
    with pytest.raises(ValueError, match=r"\(80, 80\) and \(80, 79\)"):
        surface_metrics(square(), square()[:, 1:], (1.0, 1.0))
    with pytest.raises(ValueError, match="0 and 1"):
        surface_metrics(square() * 2, square(), (1.0, 1.0))


def test_equal_volumes_are_at_no_distance():
    mask = blobs((40, 34, 28), 0)
    assert mask.size > LARGE
    assert surface_metrics(mask, mask, (2.0, 1.0, 1.3)) == dict.fromkeys(STATISTICS, 0)
