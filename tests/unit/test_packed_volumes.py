"""Volumes for a page: turned as nibabel turns them, and unpacked to the numbers that were packed."""

import base64
import zlib
from itertools import combinations

import nibabel as nib
import numpy as np
import pytest
import torch

from reregister.exhibits.packed_volumes import (
    COLOURS,
    PAGE_AXES,
    label_colours,
    pack_field,
    pack_image,
    pack_labels,
    turned,
    turned_field,
)
from reregister.exhibits.planes import PLANES, cut
from reregister.transforms.warp import warp

from .test_colours import DIFFERENT, distance

SHAPE = (4, 6, 9)
AXES = ["RAS", "LIA", "PIR", "SAL"]


def unpack(text: str, kind: str = "u1") -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), kind)


def reoriented(array: np.ndarray, axes: str) -> np.ndarray:
    """nibabel's way from axes to those of a page."""
    change = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(axes), nib.orientations.axcodes2ornt(PAGE_AXES)
    )
    return nib.orientations.apply_orientation(array, change)


@pytest.mark.parametrize("axes", AXES)
def test_volumes_are_turned_as_nibabel_turns_them(axes: str) -> None:
    volume = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    np.testing.assert_array_equal(turned(volume, axes), reoriented(volume, axes))


@pytest.mark.parametrize("axes", AXES)
def test_slices_of_a_turned_volume_are_those_of_the_figures(axes: str) -> None:
    volume = np.random.default_rng(0).random(SHAPE)
    found = turned(volume, axes)
    for plane, (across, down, right) in {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}.items():
        assert (PAGE_AXES[down], PAGE_AXES[right]) == PLANES[plane][1:]
        own = cut(volume, plane, 0.3, axes)
        place = [np.array_equal(found.take(at, across), own) for at in range(found.shape[across])]
        assert place.count(True) == 1


@pytest.mark.parametrize("axes", AXES)
def test_a_turned_field_warps_a_turned_volume(axes: str) -> None:
    random = np.random.default_rng(1)
    volume, ddf = random.random(SHAPE), random.normal(0, 1.5, (3, *SHAPE))

    def pulled(image: np.ndarray, field: np.ndarray) -> np.ndarray:
        tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in (image[None, None], field[None])]
        return warp(*tensors, padding="zeros")[0, 0].numpy()

    here = turned(pulled(volume, ddf), axes)
    np.testing.assert_allclose(pulled(turned(volume, axes), turned_field(ddf, axes)), here, atol=1e-12)


def test_axes_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="axes are named by where they lead, such as RAS, not RAX"):
        turned(np.zeros(SHAPE), "RAX")


def test_images_and_labels_come_back() -> None:
    levels = np.arange(210).reshape(5, 6, 7)
    np.testing.assert_array_equal(unpack(pack_image(levels / 255)), levels.ravel())
    np.testing.assert_array_equal(unpack(pack_image(np.array([-1, 0, 1, 2, np.nan]))), [0, 0, 255, 255, 0])
    np.testing.assert_array_equal(unpack(pack_labels(levels)), levels.ravel())
    # Whatever the order in memory.
    np.testing.assert_array_equal(unpack(pack_labels(levels.T)), levels.T.ravel())


def test_fields_come_back_to_half_a_hundredth_of_a_voxel() -> None:
    ddf = np.random.default_rng(2).normal(0, 40, (3, 5, 6, 7)).astype(np.float32)
    ddf[0, 0, 0, :4] = (1000, -1000, np.nan, 327)
    found = np.cumsum(unpack(pack_field(ddf), "<u2"), dtype=np.uint16).view(np.int16).reshape(ddf.shape) / 100
    np.testing.assert_allclose(found[0, 0, 0, :4], (327.67, -327.68, 0, 327))
    ddf[0, 0, 0, :4] = found[0, 0, 0, :4]
    assert np.abs(found - ddf).max() <= 0.005 + 1e-4
    assert np.abs(found - ddf).max() > 0.001


def test_a_smooth_field_takes_a_part_of_its_bytes() -> None:
    x = np.linspace(0, 3, 32)
    ddf = 3 * np.stack([np.sin(x)[:, None, None] * np.cos(x)[:, None] * np.cos(x)] * 3)
    assert len(pack_field(ddf)) < ddf.size * 2 / 2


def test_the_same_volume_gives_the_same_text() -> None:
    ddf = np.random.default_rng(3).normal(size=(3, 4, 4, 4))
    assert pack_field(ddf) == pack_field(ddf.copy())
    assert pack_field(ddf) != pack_field(ddf + 0.02)


def test_each_label_has_a_colour_and_the_first_ones_are_far_apart() -> None:
    assert label_colours(0) == []
    assert label_colours(7) == list(COLOURS)
    assert len(set(label_colours(35))) == 35
    assert label_colours(40)[:35] == label_colours(35)
    shades = [tuple(part / 255 for part in bytes.fromhex(colour[1:])) for colour in COLOURS]
    assert min(distance(one, other) for one, other in combinations(shades, 2)) > DIFFERENT
