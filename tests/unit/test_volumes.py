"""Volumes against nibabel and SimpleITK: headers, axes, resampling, boxes, grey values."""

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import center_of_mass, gaussian_filter

from reregister.data.volume_grids import centroid, extents, isotropic_affine, padded_box, resample, scale_in_mask
from reregister.data.volumes import Volume, affine_text, read_affine, read_volume, require_alike, whole_numbers
from reregister.errors import ReregisterError

SHAPE = (6, 5, 4)
VALUES = np.arange(120, dtype=np.int16).reshape(SHAPE)
# Axes to the left, front and bottom.
AFFINE = np.array([[-0.9, 0, 0, 5.0], [0, 1.5, 0, -7.0], [0, 0, -0.9, 3.0], [0, 0, 0, 1.0]])


def nifti(values=VALUES, affine=AFFINE, **header):
    image = nib.Nifti1Image(values, affine)
    content = bytearray(image.to_bytes())
    raw = nib.Nifti1Header(bytes(content[:348]), check=False)
    for key, value in header.items():
        raw[key] = value
    content[:348] = raw.binaryblock
    return bytes(content)


def test_canonical_axes_and_lps():
    volume = read_volume(gzip.compress(nifti(VALUES[..., np.newaxis])), "a.nii.gz")
    assert volume.axes == "RAS"
    np.testing.assert_array_equal(volume.values, VALUES[::-1, :, ::-1])
    np.testing.assert_allclose(volume.spacing, (0.9, 1.5, 0.9), rtol=1e-6)
    # The same voxel at the same place as nibabel's world, whose first two axes point the other way.
    here = volume.affine @ [5, 2, 3, 1]
    np.testing.assert_allclose(here[:3] * [-1, -1, 1], (AFFINE @ [0, 2, 0, 1])[:3], atol=1e-5)


def test_axes_as_stored():
    volume = read_volume(nifti(), "a.nii", canonical=False)
    assert volume.axes == "LAI"
    np.testing.assert_array_equal(volume.values, VALUES)


@pytest.mark.parametrize("stored", [VALUES[:, :, 0], VALUES[:, :, :1], VALUES[:, :, :1, np.newaxis]])
def test_a_slice_may_have_two_axes(stored):
    volume = read_volume(nifti(stored), "a.nii", canonical=False, flat=True)
    np.testing.assert_array_equal(volume.values, VALUES[:, :, :1])
    np.testing.assert_allclose(volume.affine, np.diag([-1.0, -1, 1, 1]) @ AFFINE)
    assert volume.axes == "LAI"


def test_world_is_that_of_simpleitk(tmp_path):
    oblique = AFFINE.copy()
    oblique[:3, :3] = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]) @ AFFINE[:3, :3]
    (tmp_path / "a.nii").write_bytes(nifti(affine=oblique))
    image = sitk.ReadImage(str(tmp_path / "a.nii"))
    volume = read_volume((tmp_path / "a.nii").read_bytes(), "a.nii", canonical=False)
    for index in ((0, 0, 0), (5, 1, 2)):
        place = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(volume.affine[:3] @ [*index, 1], place, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>", "no NIfTI-1 file"),
        (gzip.compress(nifti())[:-30], "cut off or damaged"),
        (gzip.compress(nifti()[:-20]), "cannot be read as NIfTI"),
        (nifti(pixdim=[1, 0.9, 0, 0.9, 1, 1, 1, 1]), "spacing 0.9 0 0.9 mm in its header; three positive numbers"),
        (nifti(pixdim=[1, -0.9, 1.5, 0.9, 1, 1, 1, 1]), "three positive numbers"),
        (nifti(pixdim=[1, np.nan, 1.5, 0.9, 1, 1, 1, 1]), "three positive numbers"),
        (nifti(pixdim=[1, 0.9, 3, 0.9, 1, 1, 1, 1]), "spacing 0.9 3 0.9 mm but an affine of 0.9 1.5 0.9 mm"),
        (nifti(np.full(SHAPE, np.nan, np.float32)), "NaN or infinite"),
        (nifti(np.zeros((6, 5, 4, 2), np.int16)), r"shape \(6, 5, 4, 2\)"),
        (nifti(np.zeros((6, 5), np.int16)), r"shape \(6, 5\)"),
    ],
)
def test_bad_files_are_named(content, said):
    with pytest.raises(ReregisterError, match=f"(?s)^bad.nii.gz .*{said}"):
        read_volume(content, "bad.nii.gz")


def test_whole_numbers():
    floats = Volume(np.array([[[0.0, 3.0, 41.0]]], np.float32), np.eye(4))
    assert whole_numbers(floats, "a").tolist() == [[[0, 3, 41]]]
    with pytest.raises(ReregisterError, match="no whole numbers"):
        whole_numbers(Volume(floats.values + np.float32(0.25), np.eye(4)), "a")


def test_siblings_must_be_alike():
    volume = Volume(VALUES, AFFINE)
    require_alike(volume, "a", Volume(VALUES, AFFINE + 1e-4 * np.eye(4)), "b")
    flipped, moved = AFFINE @ np.diag([-1.0, 1, 1, 1]), AFFINE.copy()
    moved[0, 3] += 0.5
    for other, said in (
        (Volume(VALUES[1:], AFFINE), r"shape \(6, 5, 4\) but b \(5, 5, 4\)"),
        (Volume(VALUES, flipped), "axes .* but b"),
        (Volume(VALUES, moved), "other places than b"),
    ):
        with pytest.raises(ReregisterError, match=said):
            require_alike(volume, "a", other, "b")
    require_alike(volume, "a", Volume(VALUES, moved), "b", places=False)


def test_affines_survive_as_text():
    affine = np.vstack([np.random.default_rng(0).normal(size=(3, 4)) * 100, [0, 0, 0, 1]])
    np.testing.assert_allclose(read_affine(affine_text(affine)), affine, rtol=1e-8)
    with pytest.raises(ReregisterError, match="twelve numbers"):
        read_affine("1 0 0")


def test_centroid_and_extents():
    mask = np.random.default_rng(1).random((9, 8, 7)) > 0.6
    mask[0] = False
    np.testing.assert_allclose(centroid(mask, "a"), center_of_mass(mask))
    places = np.argwhere(mask)
    np.testing.assert_array_equal(extents(mask, "a"), [places.min(axis=0), places.max(axis=0)])
    for measure in (centroid, extents):
        with pytest.raises(ReregisterError, match="a is empty"):
            measure(mask & False, "a")


def test_box_holds_all_and_is_padded():
    first, shape = padded_box([[-10, -8, -3], [-9, -9, -3]], [[9, 20, 4], [12, 19, 4]], 16)
    assert shape == (32, 32, 16)
    # 23, 30 and 8 voxels: margins 9, 2 and 8, shared.
    np.testing.assert_array_equal(first, [-14, -10, -7])
    assert padded_box([0, 0], [15, 16], 16)[1] == (16, 32)


@pytest.mark.parametrize("nearest", [False, True])
def test_resampling_is_that_of_simpleitk(nearest):
    rng = np.random.default_rng(2)
    values = gaussian_filter(rng.normal(size=(20, 14, 18)), 1).astype(np.float32)
    values = (values > 0).astype(np.uint8) * 7 if nearest else values
    volume = Volume(values, np.diag([0.9, -1.5, 0.8, 1.0]))
    grid = isotropic_affine(volume.affine, np.array([9.2, 6.1, 8.3]), 1.37, [-7, -8, -6])
    shape = (15, 16, 13)
    image = sitk.GetImageFromArray(values.transpose(2, 1, 0))
    image.SetSpacing((0.9, 1.5, 0.8))
    image.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(shape)
    resampler.SetOutputSpacing((1.37,) * 3)
    resampler.SetOutputDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
    resampler.SetOutputOrigin(grid[:3, 3].tolist())
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    wanted = sitk.GetArrayFromImage(resampler.Execute(image)).transpose(2, 1, 0)
    found = resample(volume, grid, shape, nearest)
    assert found.dtype == (np.uint8 if nearest else np.float32)
    inner = (slice(3, -3),) * 3  # the two differ in what they take the border to be
    np.testing.assert_allclose(found[inner], wanted[inner], atol=1e-5)


def test_centre_lies_on_its_voxel():
    affine, centre, first = np.diag([0.9, -1.5, 0.8, 1.0]), np.array([9.2, 6.1, 8.3]), np.array([-7, -8, -6])
    grid = isotropic_affine(affine, centre, 2.0, first)
    np.testing.assert_allclose(grid @ [*-first, 1], affine @ [*centre, 1])
    np.testing.assert_allclose(np.linalg.norm(grid[:3, :3], axis=0), 2.0)


def test_scaling_in_a_mask():
    values = np.arange(2000, dtype=np.float32).reshape(10, 10, 20)
    mask = values >= 1000
    scaled = scale_in_mask(values, mask, "a")
    low, high = np.percentile(values[mask], (0.5, 99.5))
    assert scaled.dtype == np.float32
    assert scaled[~mask].max() == 0
    np.testing.assert_allclose(scaled[mask], np.clip((values[mask] - low) / (high - low), 0, 1), atol=1e-6)
    with pytest.raises(ReregisterError, match="no voxel inside its mask"):
        scale_in_mask(values, mask & False, "a")
    with pytest.raises(ReregisterError, match="one grey value"):
        scale_in_mask(values * 0, mask, "a")
