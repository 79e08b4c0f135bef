"""Slices of volumes stand as people expect them, whatever the order of the axes, and so do the fields in them."""

import nibabel as nib
import numpy as np
import pytest
import torch

from reregister.exhibits.planes import PLANES, cut, cut_field
from reregister.transforms.warp import warp

SHAPE = (6, 8, 10)
# Where a mark lies in a volume whose axes lead right, anterior, superior.
RIGHT, FRONT, TOP = 5, 7, 9


def marked(axis: int, index: int) -> np.ndarray:
    volume = np.zeros(SHAPE)
    volume[(slice(None),) * axis + (index,)] = 1
    return volume


@pytest.mark.parametrize(
    ("plane", "shape", "up", "left"),
    [
        ("coronal", (10, 6), (2, TOP), (0, RIGHT)),
        ("axial", (8, 6), (1, FRONT), (0, RIGHT)),
        ("sagittal", (10, 8), (2, TOP), (1, FRONT)),
    ],
)
def test_slices_stand_upright_with_the_right_side_on_the_left(plane, shape, up, left) -> None:
    top = cut(marked(*up), plane)
    assert top.shape == shape
    assert top[0].all()
    assert not top[1:].any()
    side = cut(marked(*left), plane)
    assert side[:, 0].all()
    assert not side[:, 1:].any()


@pytest.mark.parametrize("axes", ["LIA", "PSR", "SAL"])
@pytest.mark.parametrize("plane", PLANES)
def test_axes_in_another_order_give_the_same_slice(axes, plane) -> None:
    volume = np.random.default_rng(0).random(SHAPE)
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(axes))
    )
    turned = nib.orientations.apply_orientation(volume, turn)
    side = dict(zip("RAS", SHAPE, strict=True))[{"sagittal": "R", "coronal": "A", "axial": "S"}[plane]]
    # Between two voxels a turned axis falls on the other one: the middle of a voxel is the same from both ends.
    place = 2.5 / side
    ends = {cut(turned, plane, p, axes).tobytes() for p in (place, 1 - place)}
    assert cut(volume, plane, place).tobytes() in ends
    channels = np.stack([turned, 2 * turned])
    np.testing.assert_array_equal(cut(channels, plane, place, axes)[1], 2 * cut(turned, plane, place, axes))


@pytest.mark.parametrize("plane", PLANES)
def test_a_field_in_a_slice_warps_the_slice(plane) -> None:
    volume = np.random.default_rng(1).random(SHAPE)
    field = np.zeros((3, *SHAPE))
    # Nothing leads out of the slice.
    across = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    for axis in {0, 1, 2} - {across}:
        field[axis] = np.random.default_rng(axis).uniform(-2, 2, SHAPE)
    arrays = (torch.from_numpy(array)[None] for array in (volume[None], field))
    whole = cut(warp(*arrays)[0, 0].numpy(), plane)
    flat = (np.ascontiguousarray(a) for a in (cut(volume, plane)[None], cut_field(field, plane)))
    np.testing.assert_allclose(warp(*(torch.from_numpy(a)[None] for a in flat))[0, 0].numpy(), whole, atol=1e-6)


def test_slices_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="a plane is sagittal, coronal, axial, not frontal"):
        cut(np.zeros(SHAPE), "frontal")
    with pytest.raises(ValueError, match=r"place lies in 0 to 1, got 1\.5"):
        cut(np.zeros(SHAPE), "axial", 1.5)
    for axes in ("RAL", "RA", "XYZ"):
        with pytest.raises(ValueError, match=f"such as RAS, not {axes}"):
            cut(np.zeros(SHAPE), "axial", axes=axes)
    np.testing.assert_array_equal(cut(marked(2, TOP), "axial", 1.0), np.ones((8, 6)))
