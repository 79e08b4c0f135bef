"""Fields one after the other: warping twice, closed forms, and methods that start from another's field."""

import numpy as np
import pandas as pd
import pytest
import torch

from reregister.baselines.batch import read_start, register_pairs, timing_table
from reregister.errors import ReregisterError
from reregister.transforms.compose import composed, pulled_back
from reregister.transforms.warp import warp


def smooth(shape, seed, size=1.5):
    """A smooth field (ndim, *shape) that vanishes at the border, at most `size` voxels."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(0, np.pi, n) for n in shape), indexing="ij")
    window = np.prod([np.sin(axis) for axis in axes], axis=0)
    waves = [np.sin(rng.uniform(0.5, 1.5) * sum(axes) + rng.uniform(0, 6)) for _ in shape]
    return np.stack([size * window * wave for wave in waves]).astype(np.float32)


def picture(shape, seed=0):
    rng = np.random.default_rng(seed)
    places = np.indices(shape)
    centres = rng.uniform(0.3, 0.7, (3, len(shape))) * np.array(shape)
    bumps = [np.exp(-(((places - c.reshape(-1, *[1] * len(shape))) / 8) ** 2).sum(0)) for c in centres]
    return sum(bumps).astype(np.float32)


def warped(image, ddf):
    return warp(torch.from_numpy(image)[None, None], torch.from_numpy(ddf)[None])[0, 0].numpy()


@pytest.mark.parametrize("shape", [(40, 48), (24, 20, 28)])
def test_an_image_is_pulled_back_as_by_warp(shape):
    image, ddf = picture(shape), smooth(shape, 1, size=30.0)
    # Far outside, too: both keep the value of the edge.
    assert np.abs(ddf).max() > 20
    np.testing.assert_allclose(pulled_back(image, ddf), warped(image, ddf), atol=1e-5)


@pytest.mark.parametrize("shape", [(40, 48), (24, 20, 28)])
def test_one_field_warps_as_two_do_one_after_the_other(shape):
    image, first, then = picture(shape), smooth(shape, 1, size=3.0), smooth(shape, 2, size=3.0)
    twice, once = warped(warped(image, first), then), warped(image, composed(first, then))
    # But for the second interpolation, which blurs.
    assert np.abs(twice - once).max() < 0.04
    # Which way round is no matter of taste: the other order, and a sum, are further off.
    for wrong in (composed(then, first), first + then):
        assert np.abs(twice - warped(image, wrong)).mean() > 3 * np.abs(twice - once).mean()


def test_affine_maps_compose_as_their_matrices_do():
    shape = (21, 25)
    grid = np.indices(shape, dtype=np.float64)
    one, other = np.array([[1.05, 0.02], [-0.03, 0.97]]), np.array([[0.96, -0.04], [0.01, 1.02]])
    shifts = np.array([0.4, -0.3]).reshape(2, 1, 1), np.array([-0.2, 0.5]).reshape(2, 1, 1)
    first, then = (np.einsum("ij,jab->iab", m, grid) + t - grid for m, t in zip((one, other), shifts, strict=True))
    # x -> one (other x + t') + t, inside of where `then` stays on the grid.
    expected = np.einsum("ij,jab->iab", one @ other, grid) + np.einsum("ij,jab->iab", one, shifts[1]) + shifts[0] - grid
    found = composed(first, then)
    places = grid + then
    inside = ((places >= 0) & (places <= np.array(shape).reshape(2, 1, 1) - 1)).all(axis=0)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(found[:, inside], expected[:, inside], atol=1e-4)


def test_no_field_on_either_side_changes_nothing():
    field, none = smooth((12, 16), 3), np.zeros((2, 12, 16), np.float32)
    np.testing.assert_array_equal(composed(none, field), field)
    np.testing.assert_allclose(composed(field, none), field, atol=1e-6)


@pytest.mark.parametrize(("first", "then"), [((2, 8, 9), (2, 9, 8)), ((3, 8, 9), (2, 8, 9)), ((2, 8, 9), (3, 8, 9))])
def test_fields_of_other_shapes_are_refused(first, then):
    with pytest.raises(ValueError, match="has shape"):
        composed(np.zeros(first, np.float32), np.zeros(then, np.float32))


def test_a_method_sees_the_image_that_its_start_has_warped():
    images = np.stack([picture((20, 24), seed) for seed in range(3)])
    start = np.stack([smooth((20, 24), seed) for seed in (5, 6)])
    own, seen = smooth((20, 24), 7), []

    def register_one(moving, fixed, spacing, *, settings):
        seen.append(moving)
        return own, "a note"

    fields, timing = register_pairs(register_one, images, [0, 1], [2, 2], (1.0, 1.0), {}, start=start)
    # The first pair once more beforehand, uncounted.
    for moving, (image, field) in zip(seen[1:], zip(images, start, strict=False), strict=True):
        np.testing.assert_array_equal(moving, pulled_back(image, field))
    for found, field in zip(fields, start, strict=True):
        np.testing.assert_array_equal(found, composed(field, own))
    assert timing["note"].tolist() == ["a note", "a note"]


def test_where_only_some_pairs_are_registered_each_has_its_own_start():
    images, start = (
        np.stack([picture((20, 24), seed) for seed in range(2)]),
        np.stack([smooth((20, 24), s) for s in range(4)]),
    )
    none, out = np.zeros((2, 20, 24), np.float32), np.zeros((4, 2, 20, 24), np.float32)
    register_pairs(
        lambda m, f, s, settings: (none, ""), images, [0, 0], [1, 1], (1.0, 1.0), {}, out, rows=[1, 3], start=start
    )
    np.testing.assert_allclose(out[[1, 3]], start[[1, 3]], atol=1e-6)
    assert not out[[0, 2]].any()


def test_a_field_of_a_wrong_shape_is_named_before_it_is_composed():
    images, start = np.zeros((2, 12, 12), np.float32), np.zeros((1, 2, 12, 12), np.float32)
    with pytest.raises(ReregisterError, match="The field of pair 0 has shape"):
        register_pairs(
            lambda m, f, s, settings: (np.zeros((2, 9, 9), np.float32), ""),
            images,
            [0],
            [1],
            (1.0, 1.0),
            {},
            start=start,
        )


def test_times_say_what_a_method_started_from(tmp_path):
    np.save(tmp_path / "affine.npy", np.ones((1, 3, 2, 8, 8), np.float32))
    fields, name = read_start([tmp_path / "affine.npy"])
    assert (fields.shape, name, read_start([])) == ((3, 2, 8, 8), "affine", (None, ""))
    pairs = pd.DataFrame({"pair_id": ["a"], "group": ["all"]})
    timing = pd.DataFrame({"seconds": [0.5], "note": [""]})
    assert timing_table(timing, pairs, "syn", 0, "cpu", 1, name)["start"].tolist() == ["affine"]
    assert "start" not in timing_table(timing, pairs, "affine", 0, "cpu", 1)
