"""A user's own images: NIfTI and ITK's formats, single DICOM files, grey PNGs, each with the grid on which it lies."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image

from reregister.data.dicom import read_frame
from reregister.errors import ReregisterError
from reregister.pair.grid import Grid
from reregister.pair.nifti import fault_of
from reregister.provenance.files import sha256_file

# Below this no Jacobian can be taken.
SMALLEST = 3
GREY = {"1", "L", "I", "I;16", "I;16B"}


@dataclass(frozen=True)
class UserImage:
    """One image as its file holds it.

    pixels: real, (*grid.shape), in the pixel type of the file; DICOM as the integers that hold it, else float32.
    form: NIfTI, MetaImage, NRRD, DICOM or PNG. notes: what was assumed, as sentences without a full stop.
    """

    path: Path
    pixels: NDArray[np.generic]
    grid: Grid
    form: str
    sha256: str
    notes: list[str] = field(default_factory=list)


def read_image(path: Path) -> UserImage:
    """Read one grey image: .nii, .nii.gz, .mha, .nrrd, .png, .dcm, or DICOM of any name.

    A volume of exactly one slice is a slice in space. DICOM has the place and spacing of its header, PNG 1 px. Raises
    ReregisterError naming the file: missing, damaged, of another format, several channels, more than three axes, fewer
    than 3 pixels along one, sheared, NaN or infinite values, and what `read_frame` raises, a missing PixelSpacing too.
    """
    if not path.is_file():
        raise ReregisterError(f"{path} is no file; give the path of an image")
    form, read = _form_of(path)
    try:
        fault = fault_of(path) if form == "NIfTI" else ""
        if fault:
            raise ReregisterError(f"{path} {fault}; mend or replace it")
        pixels, grid, notes = read(path)
        digest = sha256_file(path)
    except OSError as error:
        raise ReregisterError(f"{path} cannot be read as {form} ({error}); mend or replace it") from error
    _check(path, pixels, grid)
    if pixels.min() == pixels.max():
        notes = [*notes, f"{path} is of one grey value throughout, there is nothing in it to register"]
    return UserImage(path, pixels, grid, form, digest, notes)


Content = tuple[NDArray[np.generic], Grid, list[str]]


def _form_of(path: Path) -> tuple[str, Callable[[Path], Content]]:
    name = path.name.lower()
    for form, endings in {"NIfTI": (".nii", ".nii.gz"), "MetaImage": (".mha",), "NRRD": (".nrrd",)}.items():
        if name.endswith(endings):
            return form, _read_itk
    if name.endswith(".png"):
        return "PNG", _read_png
    # DICOM often has no suffix; its mark stands behind 128 free bytes.
    with path.open("rb") as file:
        marked = file.read(132)[128:] == b"DICM"
    if marked or name.endswith((".dcm", ".dicom", ".ima")):
        return "DICOM", _read_dicom
    raise ReregisterError(f"{path} is of no known format; give .nii, .nii.gz, .mha, .nrrd, .png or DICOM")


def _read_itk(path: Path) -> Content:
    if path.name.endswith(".nii.gz") and path.with_suffix("").exists():
        # The NIfTI library in ITK takes the header of the one and the pixels of the other.
        raise ReregisterError(
            f"{path.with_suffix('')} lies beside {path} and ITK mixes the two up; move one of them away"
        )
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        detail = " ".join(str(error).split("ERROR:")[-1].split())
        raise ReregisterError(
            f"{path} cannot be read by SimpleITK ({detail}); replace it, or, where it is a slice that lies obliquely in "
            "space, save it as a volume of one slice"
        ) from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ReregisterError(
            f"{path} has {image.GetNumberOfComponentsPerPixel()} values per pixel; give a grey image with one"
        )
    ndim, size = image.GetDimension(), image.GetSize()
    if ndim > 3:
        raise ReregisterError(f"{path} has {ndim} axes, {' x '.join(map(str, size))}; give one image or volume of it")
    direction = np.array(image.GetDirection()).reshape(ndim, ndim)
    grid = Grid(size[::-1], image.GetSpacing()[::-1], image.GetOrigin(), direction, "mm")
    return sitk.GetArrayFromImage(image), grid, []


def _read_png(path: Path) -> Content:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            mode = picture.mode
            pixels = np.asarray(picture.convert("L") if mode == "1" else picture)
    except (Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise ReregisterError(f"{path} cannot be read as PNG ({error}); replace it") from error
    if mode not in GREY:
        raise ReregisterError(f"{path} is no plain grey picture but {mode}; convert it to grey of 8 or 16 bits")
    # Older releases of Pillow hand 16 bits over as 32.
    pixels = pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint16)
    return pixels, Grid((pixels.shape[0], pixels.shape[1]), (1.0, 1.0), (0.0, 0.0), np.eye(2), "px"), []


def _read_dicom(path: Path) -> Content:
    """A frame as a slice in space, (1, H, W), as SimpleITK and ANTs read it."""
    with warnings.catch_warnings():
        # Identifiers of real archives often break a rule that does not matter here.
        warnings.filterwarnings("ignore", message="Invalid value for VR")
        frame = read_frame(path.read_bytes(), str(path))
        orientation = pydicom.dcmread(path, stop_before_pixels=True).get("ImageOrientationPatient")
    notes = []
    if not orientation or frame.position is None:
        notes.append(f"{path} states no position and orientation of its own, so it was taken to lie in the axes' plane")
    axes = np.array([float(value) for value in orientation] if orientation else [1, 0, 0, 0, 1, 0], dtype=np.float64)
    if axes.shape != (6,) or (frame.position is not None and len(frame.position) != 3):
        raise ReregisterError(
            f"{path} has a broken ImageOrientationPatient or ImagePositionPatient; correct its header"
        )
    direction = np.stack([axes[:3], axes[3:], np.cross(axes[:3], axes[3:])], axis=1)
    position = frame.position or (0.0, 0.0, 0.0)
    pixels = _as_integers(frame.pixels)[None]
    return pixels, Grid(pixels.shape, (frame.slice_distance or 1.0, *frame.spacing), position, direction, "mm"), notes


def _as_integers(pixels: NDArray[np.float32]) -> NDArray[np.generic]:
    """The same values in the first of int16, uint16, int32 that holds them, as they are where they are not whole."""
    if np.isfinite(pixels).all() and (pixels == np.rint(pixels)).all():
        for kind in (np.int16, np.uint16, np.int32):
            if np.iinfo(kind).min <= pixels.min() and pixels.max() <= np.iinfo(kind).max:
                return pixels.astype(kind)
    return pixels


def _check(path: Path, pixels: NDArray[np.generic], grid: Grid) -> None:
    size = " x ".join(str(length) for length in grid.shape)
    if len(grid.shape) not in (2, 3) or len(grid.plane) < 2:
        raise ReregisterError(f"{path} has {size} pixels, which leaves open its plane; give an image or a volume")
    if min(grid.shape[axis] for axis in grid.plane) < SMALLEST:
        raise ReregisterError(f"{path} has {size} pixels; at least {SMALLEST} along each axis are needed")
    if np.iscomplexobj(pixels) or not np.isfinite(pixels).all():
        raise ReregisterError(f"{path} has pixels that are no finite real numbers; replace its NaN and infinite values")
    if not np.allclose(grid.direction @ grid.direction.T, np.eye(len(grid.shape)), atol=1e-3):
        raise ReregisterError(
            f"{path} has axes that are not at right angles as read ({grid.place_text()}); "
            "save a slice that lies obliquely in space as a volume of one slice"
        )
