"""Labels carried by a field, and the rows of metrics made of them."""

import math

import numpy as np
import pytest
import torch
from monai.networks.blocks import Warp
from monai.transforms import AsDiscrete

from reregister.metrics.labels import LABEL_METRICS, evaluate_labels, warp_labels
from reregister.metrics.landmark import centroid_distance
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
    with pytest.raises(ValueError, match=r"\(2, 24, 29\)"):
        warp_labels(moving, field[..., 1:], [1])
    with pytest.raises(ValueError, match=r"\(24, 29\)"):
        evaluate_labels(moving, moving[:, 1:], field, (1.0, 1.0), [1])


def volume_of_labels(seed: int, shape: tuple[int, ...] = (18, 30, 24)) -> np.ndarray:
    """Few small labels and a large one that touches the border of the image."""
    found = np.zeros(shape, np.uint8)
    found[:, :9] = 4
    for label in (1, 2, 3, 200):
        start = np.random.default_rng([seed, label]).integers(1, np.array(shape) - 6)
        found[tuple(slice(first, first + 5) for first in start)] = label
    return found


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("drift", [(0, 0, 0), (6.3, -7.2, 2.6), (-40, 3, 0)])
def test_boxes_of_labels_change_nothing(interpolation, padding, drift):
    moving = volume_of_labels(0)
    smooth = np.random.default_rng(1).uniform(-3, 3, (3, *moving.shape)).astype(np.float32)
    field = smooth + np.reshape(drift, (3, 1, 1, 1)).astype(np.float32)
    labels = [4, 200, 2, 77, 1]
    warper = Warp(mode="bilinear" if interpolation == "linear" else "nearest", padding_mode=padding)
    found = warp_labels(moving, field, labels, interpolation, padding)
    assert not found[3].any()
    for label, mask in zip(labels, found, strict=True):
        onehot = torch.from_numpy((moving == label).astype(np.float32))[None, None]
        soft = warper(onehot, torch.from_numpy(field)[None])[0, 0].numpy()
        clear = np.abs(soft - 0.5) > 1e-4
        differing = (mask != (soft >= 0.5)) & clear
        # Of the nearest voxel, rounding decides between two.
        assert differing.sum() <= (0 if interpolation == "linear" else 3)


def test_metrics_in_boxes_are_those_of_whole_volumes():
    moving, fixed = volume_of_labels(0), volume_of_labels(3)
    field = np.random.default_rng(1).uniform(-2, 2, (3, *moving.shape)).astype(np.float32)
    labels, spacing = [1, 2, 3, 4, 200], (1.5, 0.9, 1.2)
    for row, mask in zip(
        evaluate_labels(moving, fixed, field, spacing, labels), warp_labels(moving, field, labels), strict=True
    ):
        target = fixed == row["label"]
        expected = {"dice": dice(mask, target), **surface_metrics(mask, target, spacing)}
        expected |= centroid_distance(mask, target, spacing)
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, nan_ok=True), name


def test_a_label_may_have_another_value_in_the_fixed_map():
    moving, fixed = volume_of_labels(0), volume_of_labels(3)
    renumbered = np.zeros(256, np.uint8)
    renumbered[[1, 2, 4]] = [9, 4, 1]
    field = np.zeros((3, *moving.shape))
    spacing = (1.0, 1.0, 1.0)
    expected = evaluate_labels(moving, fixed, field, spacing, [1, 2, 4])
    found = evaluate_labels(moving, renumbered[fixed], field, spacing, [1, 2, 4], fixed_labels=[9, 4, 1])
    for row, other in zip(found, expected, strict=True):
        for name in LABEL_METRICS:
            assert row[name] == pytest.approx(other[name], nan_ok=True), name


def test_a_shift_moves_the_centroid_by_itself():
    fixed = np.zeros((20, 24, 22), np.uint8)
    fixed[6:12, 7:11, 5:14] = 3
    field = np.zeros((3, 20, 24, 22))
    # Pull-back by (2, -3, 1): the label comes to stand 2 planes before and 3 rows behind its place.
    field[0], field[1], field[2] = 2, -3, 1
    (row,) = evaluate_labels(fixed, fixed, field, (2.0, 1.0, 0.5), [3])
    assert row["centroid_distance_px"] == pytest.approx(np.sqrt(4 + 9 + 1))
    assert row["centroid_distance"] == pytest.approx(np.sqrt(16 + 9 + 0.25))
    field[0] = 60
    (row,) = evaluate_labels(fixed, fixed, field, (2.0, 1.0, 0.5), [3], padding="zeros")
    assert math.isnan(row["centroid_distance"])
    assert math.isnan(row["centroid_distance_px"])
    assert (row["empty_warped"], row["empty_fixed"], row["dice"]) == (1, 0, 0)
