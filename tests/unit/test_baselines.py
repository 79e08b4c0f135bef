"""Classical baselines: known deformations, spacing, repeatability, and pairs that cannot be registered."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Read by ITK at its first use; ANTs on small images is several times slower with two threads.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import ants as antspy
import itk
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from reregister.baselines import ants, elastix
from reregister.baselines import itk as simpleitk
from reregister.baselines.batch import register_pairs
from reregister.errors import ReregisterError

BSPLINE: dict[str, Any] = {
    "transform": "bspline",
    "metric": "AdvancedNormalizedCorrelation",
    "iterations": 100,
    "resolutions": 2,
    "image_pyramid": [2, 1],
    "grid_spacing_schedule": [2, 1],
    "final_spacing": 8,
    "samples": 2048,
    "seed": 7,
}
AFFINE = {**BSPLINE, "transform": "affine"}
SYN: dict[str, Any] = {"transform": "antsRegistrationSyNRepro[so]", "seed": 7}
METHODS = [
    pytest.param(elastix.register, BSPLINE, id="elastix"),
    pytest.param(ants.register, SYN, id="ants"),
]
Register = Callable[..., tuple[np.ndarray, str]]


def warp(moving: np.ndarray, ddf: np.ndarray) -> np.ndarray:
    grid = np.indices(moving.shape, dtype=np.float64)
    return map_coordinates(moving, grid + ddf, order=1, mode="nearest").astype(np.float32)


def blobs(shape: tuple[int, ...], seed: int = 0, width: float = 3.0) -> np.ndarray:
    """Blurred noise under a window that falls to zero at the edge, [0, 1]."""
    image = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), width)
    for axis, n in enumerate(shape):
        image = image * np.hanning(n).reshape([-1 if k == axis else 1 for k in range(len(shape))])
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def deformed_pair(shape: tuple[int, ...], amplitude: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """moving, fixed and the ddf that takes the one into the other: fixed(x) = moving(x + ddf(x))."""
    moving = blobs(shape, seed)
    rng = np.random.default_rng(seed + 1)
    ddf = np.stack([gaussian_filter(rng.standard_normal(shape), min(shape) / 6) for _ in shape])
    ddf *= amplitude / np.abs(ddf).max()
    return moving, warp(moving, ddf), ddf


def mse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean((a - b) ** 2))


@pytest.mark.parametrize(("register", "settings"), METHODS)
def test_known_deformation_is_recovered(register: Register, settings: Mapping[str, Any]) -> None:
    moving, fixed, truth = deformed_pair((64, 64), 4.0)
    ddf, note = register(moving, fixed, (1.0, 1.0), settings=settings)
    assert note == ""
    assert ddf.shape == (2, 64, 64)
    assert ddf.dtype == np.float32
    assert mse(warp(moving, ddf), fixed) < mse(moving, fixed) / 5
    centre = (slice(None), slice(16, 48), slice(16, 48))
    assert mse(ddf[centre], truth[centre]) < mse(0 * truth[centre], truth[centre]) / 5


@pytest.mark.parametrize(("register", "settings"), METHODS)
def test_three_dimensions(register: Register, settings: Mapping[str, Any]) -> None:
    moving, fixed, _ = deformed_pair((20, 24, 28), 2.0)
    ddf, note = register(moving, fixed, (1.0, 1.0, 1.0), settings=settings)
    assert note == ""
    assert ddf.shape == (3, 20, 24, 28)
    assert mse(warp(moving, ddf), fixed) < mse(moving, fixed) / 3


def test_affine_recovers_a_translation() -> None:
    moving = blobs((64, 64))
    fixed = warp(moving, np.array([3.0, -2.0]).reshape(2, 1, 1))
    ddf, note = elastix.register(moving, fixed, (1.0, 1.0), settings=AFFINE)
    assert note == ""
    np.testing.assert_allclose(ddf.mean(axis=(1, 2)), [3.0, -2.0], atol=0.1)
    second_differences = np.diff(ddf, n=2, axis=1), np.diff(ddf, n=2, axis=2)
    assert max(np.abs(d).max() for d in second_differences) < 1e-4  # an affine field is linear


@pytest.mark.parametrize(("register", "settings"), METHODS)
def test_28_by_28(register: Register, settings: Mapping[str, Any]) -> None:
    moving, fixed, _ = deformed_pair((28, 28), 2.5, seed=4)
    ddf, note = register(moving, fixed, (1.0, 1.0), settings={**settings, "final_spacing": 4})
    assert note == ""
    assert mse(warp(moving, ddf), fixed) < mse(moving, fixed) / 5


@pytest.mark.parametrize(("register", "settings"), METHODS)
def test_anisotropic_spacing_gives_voxels(register: Register, settings: Mapping[str, Any]) -> None:
    """The same anatomy with rows half as dense, 2 mm apart: the field must still warp in voxels of that grid."""
    moving, fixed, truth = deformed_pair((64, 64), 4.0)
    moving, fixed = (np.ascontiguousarray(zoom(image, (0.5, 1), order=1)) for image in (moving, fixed))
    ddf, note = register(moving, fixed, (2.0, 1.0), settings=settings)
    assert note == ""
    assert ddf.shape == (2, 32, 64)
    assert mse(warp(moving, ddf), fixed) < mse(moving, fixed) / 5
    rows = zoom(truth[0], (0.5, 1), order=1)[8:24, 16:48] / 2
    assert mse(ddf[0, 8:24, 16:48], rows) < mse(0 * rows, rows) / 3


def test_both_libraries_see_the_image_as_simpleitk_does(tmp_path: Path) -> None:
    array = blobs((5, 6, 7), width=1.0)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 2.0, 3.0))
    sitk.WriteImage(image, str(tmp_path / "image.nii.gz"))
    from_file, ours = antspy.image_read(str(tmp_path / "image.nii.gz")), ants._ants_image(array, (3.0, 2.0, 1.0))
    assert antspy.image_physical_space_consistency(from_file, ours)
    np.testing.assert_array_equal(from_file.numpy(), ours.numpy())
    ours = elastix._itk_image(array, (3.0, 2.0, 1.0))
    assert tuple(ours.GetSpacing()) == image.GetSpacing()
    assert ours.GetPixel((6, 2, 1)) == image.GetPixel((6, 2, 1))


def test_spacing_sets_the_grid_of_control_points() -> None:
    """8 mm are 4 voxels of 2 mm: the physical grid spacing follows the image's spacing, that in pixels does not."""
    moving, fixed, _ = deformed_pair((32, 32), 2.0)
    fields = {}
    for unit, spacing in (("mm", 1.0), ("mm", 2.0), ("px", 1.0), ("px", 2.0)):
        settings = {**BSPLINE, "final_spacing_unit": unit}
        fields[unit, spacing], _ = elastix.register(moving, fixed, (spacing, spacing), settings=settings)
    assert np.abs(fields["px", 1.0] - fields["px", 2.0]).max() < 0.1
    assert np.abs(fields["mm", 1.0] - fields["mm", 2.0]).max() > 0.3


@pytest.mark.parametrize(("register", "settings"), METHODS)
def test_first_and_last_in_a_batch_are_identical(register: Register, settings: Mapping[str, Any]) -> None:
    pairs = [deformed_pair((40, 40), 3.0, seed)[:2] for seed in (0, 10, 20)]
    images = np.stack([image for pair in pairs for image in pair])
    fields, timing = register_pairs(register, images, [0, 2, 4, 0], [1, 3, 5, 1], (1.0, 1.0), settings)
    assert fields.shape == (4, 2, 40, 40)
    assert fields[0].tobytes() == fields[3].tobytes()
    assert fields[0].tobytes() != fields[1].tobytes()
    assert list(timing.columns) == ["seconds", "note"]
    assert (timing["seconds"] > 0).all()
    assert (timing["note"] == "").all()


@pytest.mark.parametrize(("register", "settings"), METHODS)
@pytest.mark.parametrize("which", ["moving", "fixed"])
def test_constant_image_gives_zeros_and_a_note(register: Register, settings: Mapping[str, Any], which: str) -> None:
    pair = {"moving": blobs((28, 28)), "fixed": blobs((28, 28), 1)}
    pair[which] = np.full((28, 28), 0.5, np.float32)
    ddf, note = register(pair["moving"], pair["fixed"], (1.0, 1.0), settings=settings)
    assert note == f"{which} image is constant"
    assert not ddf.any()


def test_rejected_pairs_give_zeros_and_the_libraries_reason() -> None:
    image = blobs((28, 28))
    unusable = image.copy()
    unusable[10, 10] = np.nan
    ddf, note = elastix.register(unusable, image, (1.0, 1.0), settings=BSPLINE)
    assert note == "elastix rejected the pair: Too many samples map outside moving image buffer: 0 / 2048"
    assert not ddf.any()
    tiny = blobs((3, 3), width=0.5) + np.eye(3, dtype=np.float32)
    ddf, note = elastix.register(tiny, tiny, (1.0, 1.0), settings=BSPLINE)
    assert "less than 4" in note
    assert not ddf.any()
    ddf, note = ants.register(unusable, image, (1.0, 1.0), settings=SYN)
    assert note.startswith("ANTs rejected the pair: moving image has NaNs")
    assert not ddf.any()


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working directory and temporary folder at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("register", "settings"), METHODS)
def test_silent_and_no_files_left(
    register: Register, settings: Mapping[str, Any], empty_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = blobs((28, 28))
    register(image, np.roll(image, 1, axis=0), (1.0, 1.0), settings=settings)
    register(image * np.nan, image, (1.0, 1.0), settings=settings)
    assert list(empty_folder.iterdir()) == []
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_parameter_map_is_what_the_specification_says() -> None:
    """Against elastix's own default map, of which everything else must stay."""
    settings = {**BSPLINE, "final_spacing": 4, "image_pyramid": [2, 2, 1, 1]}
    ours = elastix.parameter_map(settings, 2)
    default = itk.ParameterObject.GetDefaultParameterMap("bspline", 2, 4.0)
    changed = {name: values for name, values in ours.items() if name not in default or list(default[name]) != values}
    assert changed == {
        "Registration": ["MultiResolutionRegistration"],
        "Metric": ["AdvancedNormalizedCorrelation"],
        "MaximumNumberOfIterations": ["100"],
        "ImagePyramidSchedule": ["2", "2", "1", "1"],
        "GridSpacingSchedule": ["2", "2", "1", "1"],
        "RandomSeed": ["7"],
        "WriteResultImage": ["false"],
        "FinalGridSpacingInPhysicalUnits": ["4.0"],
    }
    assert set(default) - set(ours) == {"Metric0Weight", "Metric1Weight"}
    assert elastix.parameter_map(BSPLINE, 3)["ImagePyramidSchedule"] == ["2", "2", "2", "1", "1", "1"]
    in_pixels = elastix.parameter_map({**BSPLINE, "final_spacing_unit": "px"}, 2)
    assert in_pixels["FinalGridSpacingInVoxels"] == ["8.0"]
    assert "FinalGridSpacingInPhysicalUnits" not in in_pixels
    assert "GridSpacingSchedule" not in elastix.parameter_map(AFFINE, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "Nonsense"}, "choose one of AdvancedNormalizedCorrelation"),
        ({"transform": "spline"}, "choose one of affine, bspline"),
        ({"image_pyramid": [4, 2, 1]}, "image_pyramid has 3 values for 2 resolutions"),
        ({"final_spacing_unit": "cm"}, "choose one of mm, px"),
    ],
)
def test_wrong_elastix_settings(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ReregisterError, match=message):
        elastix.parameter_map({**BSPLINE, **change}, 2)


def test_missing_settings_are_named() -> None:
    with pytest.raises(ReregisterError, match="baseline elastix lack the key 'seed'"):
        elastix.parameter_map({key: value for key, value in BSPLINE.items() if key != "seed"}, 2)
    with pytest.raises(ReregisterError, match="baseline ants lack the key 'radius'"):
        ants.registration_arguments({"transform": "SyNOnly", "seed": 1, "metric": "CC"})


def test_ants_settings_that_would_be_ignored_are_refused() -> None:
    ants.registration_arguments({**SYN, "metric": "CC", "radius": 2, "iterations": [100, 70, 50, 20]})
    for change in ({"radius": 4}, {"iterations": [40, 20]}, {"metric": "mattes"}):
        with pytest.raises(ReregisterError, match="take SyNOnly"):
            ants.registration_arguments({**SYN, **change})
    with pytest.raises(ReregisterError, match="choose antsRegistrationSyNRepro"):
        ants.registration_arguments({**SYN, "transform": "SyN"})


def test_ants_synonly_obeys_its_settings() -> None:
    moving, fixed, _ = deformed_pair((40, 40), 3.0)
    settings = {"transform": "SyNOnly", "metric": "CC", "radius": 2, "iterations": [40, 20, 10], "seed": 1}
    long, _ = ants.register(moving, fixed, (1.0, 1.0), settings=settings)
    short, _ = ants.register(moving, fixed, (1.0, 1.0), settings={**settings, "iterations": [1, 0, 0]})
    assert mse(warp(moving, long), fixed) < mse(warp(moving, short), fixed) / 2


@pytest.mark.parametrize("shape", [(28, 30), (10, 12, 14)])
def test_identity_is_zero(shape: tuple[int, ...]) -> None:
    image = blobs(shape)
    ddf, note = simpleitk.register(image, image, (2.0, 1.0, 3.0)[: len(shape)], settings={"transform": "identity"})
    assert (ddf.shape, ddf.dtype, note) == ((len(shape), *shape), np.float32, "")
    assert not ddf.any()
    with pytest.raises(ReregisterError, match="choose one of identity, affine, affine_displacement_field"):
        simpleitk.register(image, image, (1.0,) * len(shape), settings={"transform": "demons"})


@pytest.mark.parametrize("register", [elastix.register, ants.register, simpleitk.register])
def test_pairs_that_do_not_fit_are_refused(register: Register) -> None:
    for shapes, spacing in ((((8, 8), (8, 9)), (1.0, 1.0)), (((8, 8), (8, 8)), (1.0,)), (((8,), (8,)), (1.0,))):
        with pytest.raises(ReregisterError, match="give"):
            register(np.zeros(shapes[0]), np.zeros(shapes[1]), spacing, settings={})


class Recorder:
    """A method that shifts by its image numbers and remembers how it was called."""

    def __init__(self, spoil: Callable[[np.ndarray], np.ndarray] = lambda ddf: ddf) -> None:
        self.calls: list[tuple[float, float, tuple[float, ...]]] = []
        self.spoil = spoil

    def __call__(
        self, moving: np.ndarray, fixed: np.ndarray, spacing: Any, *, settings: Mapping[str, Any]
    ) -> tuple[np.ndarray, str]:
        self.calls.append((float(moving[0, 0]), float(fixed[0, 0]), tuple(spacing)))
        ddf = np.full((2, *fixed.shape), fixed[0, 0] - moving[0, 0], np.float32)
        return (self.spoil(ddf) if len(self.calls) == 3 else ddf), settings["note"]


IMAGES = np.arange(4.0).reshape(4, 1, 1) * np.ones((1, 5, 6))


def test_batch_order_warm_up_and_spacing_of_the_fixed_image() -> None:
    method = Recorder()
    spacing = np.array([[1, 1], [2, 1], [3, 1], [4, 1]])
    fields, timing = register_pairs(method, IMAGES, [0, 3], [1, 2], spacing, {"note": "n"})
    assert method.calls == [(0, 1, (2, 1)), (0, 1, (2, 1)), (3, 2, (3, 1))]
    assert fields.dtype == np.float32
    np.testing.assert_array_equal(fields[:, 0, 0, 0], [1, -1])
    assert list(timing["note"]) == ["n", "n"]


def test_batch_fills_the_array_it_is_given() -> None:
    out = np.full((2, 2, 5, 6), 9, np.float16)
    fields, _ = register_pairs(Recorder(), IMAGES, [0, 3], [1, 2], (1, 1), {"note": ""}, out=out)
    assert fields is out
    np.testing.assert_array_equal(out[:, 1, 4, 5], [1, -1])
    with pytest.raises(ValueError, match="out must have shape"):
        register_pairs(Recorder(), IMAGES, [0], [1], (1, 1), {"note": ""}, out=out)


def test_batch_names_the_pair_that_went_wrong() -> None:
    with pytest.raises(ReregisterError, match="pair 1 has values that are not finite"):
        register_pairs(Recorder(lambda ddf: ddf * np.inf), IMAGES, [0, 3], [1, 2], (1, 1), {"note": ""})
    with pytest.raises(ReregisterError, match=r"pair 1 has shape \(5, 6, 2\)"):
        register_pairs(Recorder(lambda ddf: np.moveaxis(ddf, 0, -1)), IMAGES, [0, 3], [1, 2], (1, 1), {"note": ""})


def test_batch_without_pairs() -> None:
    fields, timing = register_pairs(Recorder(), IMAGES, [], [], (1, 1), {"note": ""})
    assert fields.shape == (0, 2, 5, 6)
    assert list(timing.columns) == ["seconds", "note"]
    assert len(timing) == 0


ITK = {
    "transform": "affine",
    "shrink": [2, 1],
    "smoothing": [1, 0],
    "seed": 3,
    "affine": {"bins": 20, "lr": 1.0, "iterations": 30},
    "field": {"radius": 4, "lr": 1.0, "iterations": 30, "variance_update": 0.0, "variance_total": 1.5},
}
BOTH = {**ITK, "transform": "affine_displacement_field"}


def head(shift: tuple[float, float], bulge: float = 0.0) -> np.ndarray:
    """A disc with two rings of other greys and a spot, 64 x 64, moved, and bulging to one side."""
    row, column = np.indices((64, 64)) - np.array([31.5 + shift[0], 31.5 + shift[1]])[:, None, None]
    radius = np.hypot(row, column) - bulge * np.exp(-((column - 15) ** 2 + row**2) / 60)
    soft = [1 / (1 + np.exp(2 * (radius - edge))) for edge in (25, 20, 9)]
    spot = np.exp(-((row + 10) ** 2 + (column - 6) ** 2) / 8)
    return (0.5 * soft[0] - 0.3 * soft[1] + 0.5 * soft[2] + 0.4 * spot).astype(np.float32)


def error_after(moving: np.ndarray, fixed: np.ndarray, ddf: np.ndarray) -> float:
    places = np.indices(fixed.shape) + ddf
    return float(np.abs(map_coordinates(moving, places, order=1, mode="nearest") - fixed).mean())


def test_affine_by_simpleitk_gains_on_a_shift() -> None:
    moving, fixed = head((-3, 2)), head((1, 0))
    ddf, note = simpleitk.register(moving, fixed, (1.0, 1.0), settings=ITK)
    assert note == ""
    assert error_after(moving, fixed, ddf) < 0.5 * error_after(moving, fixed, np.zeros_like(ddf))
    # Affine: no second differences.
    assert np.abs(np.diff(ddf, 2, axis=1)).max() < 1e-3
    assert np.abs(np.diff(ddf, 2, axis=2)).max() < 1e-3


def test_the_field_comes_after_the_affine_transform_and_gains_more() -> None:
    moving, fixed = head((-3, 2)), head((1, 0), bulge=4)
    before = error_after(moving, fixed, np.zeros((2, 64, 64)))
    affine, both = (simpleitk.register(moving, fixed, (1.0, 1.0), settings=own) for own in (ITK, BOTH))
    assert both[1] == ""
    assert error_after(moving, fixed, both[0]) < min(0.6 * error_after(moving, fixed, affine[0]), 0.4 * before)


def test_simpleitk_gives_the_same_field_first_and_last_in_a_batch() -> None:
    images = np.stack([head((-2, 1)), head((1, 0), bulge=3), head((0, 2))])
    own = {**BOTH, "sampling": 0.6}
    fields, _ = register_pairs(simpleitk.register, images, [0, 1, 0], [1, 2, 1], (1.0, 1.0), own)
    assert fields[0].any()
    assert fields[0].tobytes() == fields[2].tobytes()


def test_spacing_of_simpleitk_is_that_of_the_axes() -> None:
    moving, fixed = head((-3, 2)), head((1, 0))
    square, _ = simpleitk.register(moving, fixed, (1.0, 1.0), settings=ITK)
    double, _ = simpleitk.register(moving, fixed, (2.0, 2.0), settings={**ITK, "smoothing": [2, 0]})
    np.testing.assert_allclose(double, square, atol=0.1)


def test_simpleitk_says_why_it_found_nothing() -> None:
    flat, image = np.full((64, 64), 0.4, np.float32), head((0, 0))
    assert simpleitk.register(flat, image, (1.0, 1.0), settings=BOTH)[1] == "moving image is constant"
    # It has no centre of mass.
    weightless = np.where(np.indices((64, 64))[1] < 32, -1, 1).astype(np.float32)
    ddf, note = simpleitk.register(weightless, image, (1.0, 1.0), settings=BOTH)
    assert note.startswith("ITK rejected the pair: ")
    assert "0x" not in note
    assert not ddf.any()
    for wrong in ([-1, 1], [1.5, 1], [2]):
        with pytest.raises(ReregisterError, match="shrink and smoothing are"):
            simpleitk.register(image, image, (1.0, 1.0), settings={**ITK, "shrink": wrong})
    for key in ("affine", "field", "shrink", "seed"):
        with pytest.raises(ReregisterError, match=f"lack the key '{key}'"):
            simpleitk.register(image, image, (1.0, 1.0), settings={k: v for k, v in BOTH.items() if k != key})
