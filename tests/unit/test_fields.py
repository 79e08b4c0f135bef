"""Field conversion: closed form, round trip, files, and two other programs applying them."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import ants
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, map_coordinates

from reregister.errors import ReregisterError
from reregister.transforms.fields import ddf_to_itk, itk_to_ddf, read_field, write_field


def rotation(ndim: int) -> np.ndarray:
    if ndim == 2:
        return np.array(sitk.Euler2DTransform((0, 0), 0.4).GetMatrix()).reshape(2, 2)
    return np.array(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.5, 0.7).GetMatrix()).reshape(3, 3)


def flipped(ndim: int) -> np.ndarray:
    """A left-handed grid, as scanners write them: the second ITK axis runs against LPS."""
    matrix = rotation(ndim)
    matrix[:, 1] *= -1
    return matrix


GRIDS = {2: ((1.3, 0.7), (-20.0, 11.0), (30, 44)), 3: ((2.5, 1.25, 0.8), (12.0, -7.0, 31.0), (20, 26, 33))}
CASES = [pytest.param(n, f, id=f"{n}d-{f.__name__}") for n in (2, 3) for f in (rotation, flipped)]


def smooth_ddf(shape: tuple[int, ...], amplitude: float, dtype: type = np.float32) -> np.ndarray:
    rng = np.random.default_rng(3)
    ddf = np.stack([gaussian_filter(rng.standard_normal(shape), 4) for _ in shape])
    return (amplitude * ddf / np.abs(ddf).max()).astype(dtype)


def smooth_image(shape: tuple[int, ...]) -> np.ndarray:
    image = gaussian_filter(np.random.default_rng(5).standard_normal(shape), 1.5)
    return (image / np.abs(image).max()).astype(np.float32)


def warp(moving: np.ndarray, ddf: np.ndarray) -> np.ndarray:
    grid = np.indices(moving.shape, dtype=np.float64)
    return map_coordinates(moving.astype(np.float64), grid + ddf, order=1, mode="nearest")


def inside(array: np.ndarray, margin: int = 4) -> np.ndarray:
    """Away from the edge, where the programs differ in what they take for outside."""
    return array[(slice(margin, -margin),) * array.ndim]


def test_one_voxel_along_each_axis_in_closed_form() -> None:
    quarter_turn = np.array([[0.0, -1.0], [1.0, 0.0]])  # ITK x runs along physical +y, ITK y along physical -x
    ddf = np.zeros((2, 4, 5))
    ddf[0] = 1  # one row down = +1 in ITK's y index, of 3 mm
    np.testing.assert_array_equal(ddf_to_itk(ddf, (3.0, 0.5))[1, 2], [0, 3])
    np.testing.assert_array_equal(ddf_to_itk(ddf, (3.0, 0.5), quarter_turn)[1, 2], [-3, 0])
    ddf = np.zeros((3, 4, 5, 6))
    ddf[2] = 2  # two columns = +2 in ITK's x index, of 0.25 mm
    np.testing.assert_array_equal(ddf_to_itk(ddf, (9.0, 3.0, 0.25))[0, 0, 0], [0.5, 0, 0])


@pytest.mark.parametrize(("ndim", "make_direction"), CASES)
def test_vectors_are_the_difference_of_physical_points(ndim: int, make_direction: Callable[[int], np.ndarray]) -> None:
    spacing, origin, shape = GRIDS[ndim]
    direction = make_direction(ndim)
    image = sitk.Image(shape[::-1], sitk.sitkUInt8)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin(origin)
    image.SetDirection(direction.ravel().tolist())
    ddf = smooth_ddf(shape, 3.0, np.float64)
    vectors = ddf_to_itk(ddf, spacing, direction)
    voxel = (7, 11, 13)[:ndim]
    target = [float(voxel[axis] + ddf[(axis, *voxel)]) for axis in range(ndim)]
    start_point = np.array(image.TransformIndexToPhysicalPoint(voxel[::-1]))
    end_point = np.array(image.TransformContinuousIndexToPhysicalPoint(target[::-1]))
    np.testing.assert_allclose(vectors[voxel], end_point - start_point, atol=1e-10)


@pytest.mark.parametrize(("ndim", "make_direction"), CASES)
@pytest.mark.parametrize(("dtype", "atol"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_round_trip(ndim: int, make_direction: Callable[[int], np.ndarray], dtype: type, atol: float) -> None:
    spacing, _, shape = GRIDS[ndim]
    ddf = smooth_ddf(shape, 5.0, dtype)
    back = itk_to_ddf(ddf_to_itk(ddf, spacing, make_direction(ndim)), spacing, make_direction(ndim))
    assert back.dtype == dtype
    assert back.flags.c_contiguous
    np.testing.assert_allclose(back, ddf, rtol=0, atol=atol)


def test_half_precision_becomes_single() -> None:
    assert ddf_to_itk(smooth_ddf((6, 7), 1.0, np.float16), (1, 1)).dtype == np.float32


@pytest.mark.parametrize(
    "call",
    [
        lambda: ddf_to_itk(np.zeros((2, 4, 5, 6)), (1, 1)),
        lambda: ddf_to_itk(np.zeros((2, 4, 5)), (1, 1, 1)),
        lambda: ddf_to_itk(np.zeros((2, 4, 5)), (1, 0)),
        lambda: ddf_to_itk(np.zeros((2, 4, 5)), (1, 1), np.eye(3)),
        lambda: itk_to_ddf(np.zeros((2, 4, 5)), (1, 1)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call: Callable[[], np.ndarray]) -> None:
    with pytest.raises(ValueError, match="must"):
        call()


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize(("ndim", "make_direction"), CASES)
def test_file_round_trip(tmp_path: Path, ndim: int, make_direction: Callable[[int], np.ndarray], suffix: str) -> None:
    spacing, origin, shape = GRIDS[ndim]
    ddf = smooth_ddf(shape, 5.0)
    path = tmp_path / f"field{suffix}"
    write_field(path, ddf, spacing, origin, make_direction(ndim))
    field = read_field(path)
    np.testing.assert_allclose(field.ddf, ddf, rtol=0, atol=1e-5)
    np.testing.assert_allclose(field.spacing, spacing, rtol=1e-6)
    np.testing.assert_allclose(field.origin, origin, rtol=1e-6)
    np.testing.assert_allclose(field.direction, make_direction(ndim), atol=1e-6)


@pytest.mark.parametrize(("ndim", "make_direction"), CASES)
def test_simpleitk_applies_the_file(tmp_path: Path, ndim: int, make_direction: Callable[[int], np.ndarray]) -> None:
    spacing, origin, shape = GRIDS[ndim]
    ddf, moving = smooth_ddf(shape, 3.0), smooth_image(shape)
    write_field(tmp_path / "field.nii.gz", ddf, spacing, origin, make_direction(ndim))
    field = sitk.ReadImage(str(tmp_path / "field.nii.gz"))
    image = sitk.GetImageFromArray(moving)
    image.CopyInformation(field)
    transform = sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))
    warped = sitk.GetArrayFromImage(sitk.Resample(image, image, transform, sitk.sitkLinear))
    assert np.abs(inside(warped) - inside(moving)).max() > 0.1
    np.testing.assert_allclose(inside(warped), inside(warp(moving, ddf)), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("ndim", "make_direction"), CASES)
def test_ants_applies_the_file(tmp_path: Path, ndim: int, make_direction: Callable[[int], np.ndarray]) -> None:
    spacing, origin, shape = GRIDS[ndim]
    ddf, moving = smooth_ddf(shape, 3.0), smooth_image(shape)
    direction = make_direction(ndim)
    write_field(tmp_path / "field.nii.gz", ddf, spacing, origin, direction)
    image = ants.from_numpy(moving.T, origin=origin, spacing=spacing[::-1], direction=direction)
    warped = ants.apply_transforms(image, image, [str(tmp_path / "field.nii.gz")]).numpy().T
    assert np.abs(inside(warped) - inside(moving)).max() > 0.1
    np.testing.assert_allclose(inside(warped), inside(warp(moving, ddf)), rtol=0, atol=1e-3)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
def test_same_field_same_bytes_and_nothing_left_beside_it(tmp_path: Path, suffix: str) -> None:
    ddf = smooth_ddf((9, 12), 2.0)
    hashes = set()
    for name in ("first", "another_name"):
        write_field(tmp_path / name / f"{name}{suffix}", ddf, (1.0, 2.0))
        hashes.add(hashlib.sha256((tmp_path / name / f"{name}{suffix}").read_bytes()).hexdigest())
        assert [path.name for path in (tmp_path / name).iterdir()] == [f"{name}{suffix}"]
    assert len(hashes) == 1


def test_a_gzip_header_without_a_clock(tmp_path: Path) -> None:
    write_field(tmp_path / "field.nii.gz", smooth_ddf((9, 12), 2.0), (1.0, 2.0))
    header = (tmp_path / "field.nii.gz").read_bytes()[:10]
    assert header[3:8] == bytes(5)  # flags (no file name) and modification time


def test_unknown_suffix_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ReregisterError, match=r"suffix"):
        write_field(tmp_path / "field.xyz", smooth_ddf((9, 12), 2.0), (1.0, 2.0))
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_field(tmp_path: Path) -> None:
    with pytest.raises(ReregisterError, match="does not exist"):
        read_field(tmp_path / "missing.nii.gz")
    (tmp_path / "text.nii.gz").write_text("no image")
    with pytest.raises(ReregisterError, match="no image"):
        read_field(tmp_path / "text.nii.gz")
    sitk.WriteImage(sitk.Image([4, 5, 6], sitk.sitkFloat32), str(tmp_path / "scalar.nii.gz"))
    with pytest.raises(ReregisterError, match="no displacement field"):
        read_field(tmp_path / "scalar.nii.gz")
