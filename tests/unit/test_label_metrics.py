"""Labels carried by a field, and the rows of metrics made of them."""

import math

import numpy as np
import pytest
import torch
from monai.networks.blocks import Warp
from monai.transforms import AsDiscrete

from reregister.metrics.labels import LABEL_METRICS, evaluate_labels, warp_labels
from reregister.metrics.overlap import dice
from reregister.metrics.surface import surface_metrics


def label_map(shape: tuple[int, ...] = (24, 30), seed: int = 0) -> np.ndarray:
    """Labels 0 to 3 in cubes of 6 voxels."""
    blocks = np.random.default_rng(seed).integers(0, 4, [n // 6 for n in shape])
    for axis in range(len(shape)):
        blocks = blocks.repeat(6, axis)
    return blocks.astype(np.uint8)


def random_field(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-4, 4, (len(shape), *shape)).astype(np.float32)


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_no_displacement_gives_the_labels_back(interpolation):
    moving = label_map()
    masks = warp_labels(moving, np.zeros((2, 24, 30)), [3, 0, 7], interpolation)
    assert masks.dtype == bool
    assert np.array_equal(masks, [moving == 3, moving == 0, moving == 7])


@pytest.mark.parametrize("shape", [(24, 30), (12, 18, 24)])
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_linear_equals_monai(shape, padding):
    moving, field = label_map(shape), random_field(shape)
    warper = Warp(mode="bilinear", padding_mode=padding)
    for label, mask in zip((1, 2), warp_labels(moving, field, [1, 2], padding=padding), strict=True):
        onehot = torch.from_numpy((moving == label).astype(np.float32))[None, None]
        soft = warper(onehot, torch.from_numpy(field)[None])[0, 0]
        expected = AsDiscrete(threshold=0.5)(soft).numpy().astype(bool)
        # Rounding may decide a voxel at the threshold either way.
        clear = np.abs(soft.numpy() - 0.5) > 1e-4
        assert clear.mean() > 0.99
        assert np.array_equal(mask[clear], expected[clear])


def test_nearest_takes_the_label_next_to_the_place():
    moving, field = label_map(), np.zeros((2, 24, 30))
    field[0], field[1] = 2.4, -3.3
    rows, columns = np.clip(np.arange(24) + 2, 0, 23), np.clip(np.arange(30) - 3, 0, 29)
    expected = moving[np.ix_(rows, columns)]
    for label, mask in zip(range(4), warp_labels(moving, field, range(4), "nearest"), strict=True):
        assert np.array_equal(mask, expected == label)


def test_the_threshold_is_a_half():
    moving = np.zeros((9, 9), int)
    moving[:, 3:6] = 1
    for shift, columns in ((0.4, [3, 4, 5]), (0.5, [2, 3, 4, 5]), (0.6, [2, 3, 4])):
        field = np.zeros((2, 9, 9))
        field[1] = shift
        mask = warp_labels(moving, field, [1])[0]
        assert np.flatnonzero(mask[4]).tolist() == columns


def test_interpolations_differ_and_are_named_in_the_rows():
    # On single voxels: along a straight edge both give the same mask.
    moving, field = np.random.default_rng(0).integers(0, 3, (24, 30)), random_field((24, 30))
    linear, nearest = warp_labels(moving, field, [1]), warp_labels(moving, field, [1], "nearest")
    assert (linear != nearest).any()
    for name, mask in (("linear", linear[0]), ("nearest", nearest[0])):
        (row,) = evaluate_labels(moving, label_map(seed=5), field, (1.0, 2.0), [1], name)
        assert row["interpolation"] == name
        assert row["dice"] == dice(mask, label_map(seed=5) == 1)


def test_rows_hold_every_metric_of_each_label():
    moving, fixed, field = label_map(), label_map(seed=3), np.zeros((2, 24, 30))
    rows = evaluate_labels(moving, fixed, field, (1.3, 0.9), [2, 1])
    assert [row["label"] for row in rows] == [2, 1]
    for row in rows:
        assert list(row) == ["label", "interpolation", *LABEL_METRICS]
        masks = moving == row["label"], fixed == row["label"]
        assert row["dice"] == dice(*masks)
        assert {name: row[name] for name in ("hd95", "hd95_pooled", "asd")} == surface_metrics(*masks, (1.3, 0.9))


def test_a_label_that_leaves_the_image_is_flagged():
    fixed = np.zeros((20, 20), bool)
    fixed[8:12, 8:12] = True
    field = np.zeros((2, 20, 20))
    field[0] = 40
    (row,) = evaluate_labels(fixed, fixed, field, (1.0, 1.0), [1], padding="zeros")
    assert (row["dice"], row["empty_warped"], row["empty_fixed"]) == (0, 1, 0)
    assert math.isnan(row["hd95"])
    (row,) = evaluate_labels(fixed, np.zeros_like(fixed), np.zeros((2, 20, 20)), (1.0, 1.0), [1])
    assert (row["dice"], row["empty_warped"], row["empty_fixed"]) == (0, 0, 1)
    (row,) = evaluate_labels(fixed, fixed, field, (1.0, 1.0), [9])
    assert math.isnan(row["dice"])
    assert (row["empty_warped"], row["empty_fixed"]) == (1, 1)


def test_a_diverged_field_is_not_scored():
    field = np.zeros((2, 24, 30))
    field[1, 3, 3] = np.nan
    for row in evaluate_labels(label_map(), label_map(), field, (1.0, 1.0), [1, 2]):
        assert all(math.isnan(row[name]) for name in ("dice", "hd95", "hd95_pooled", "asd"))
        assert (row["empty_warped"], row["empty_fixed"]) == (0, 0)


def test_wrong_input_is_refused():
    moving, field = label_map(), np.zeros((2, 24, 30))
    with pytest.raises(ValueError, match="'cubic'"):
        warp_labels(moving, field, [1], "cubic")
    with pytest.raises(ValueError, match=r"whole numbers.*float"):
        warp_labels(moving.astype(float), field, [1])
    with pytest.raises(ValueError, match=r"whole numbers.*float"):
        evaluate_labels(moving, moving.astype(float), field, (1.0, 1.0), [1])
    with pytest.raises(ValueError, match="no labels"):
        warp_labels(moving, field, [])
    with pytest.raises(ValueError, match=r"\(1, 2, 24, 29\)"):
        warp_labels(moving, field[..., 1:], [1])
    with pytest.raises(ValueError, match=r"\(24, 29\)"):
        evaluate_labels(moving, moving[:, 1:], field, (1.0, 1.0), [1])
