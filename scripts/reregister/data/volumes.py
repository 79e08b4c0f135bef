"""Volumes as NIfTI files hold them: decoded, with what must hold of their headers; and affines as text."""

import gzip
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike, NDArray

from reregister.errors import ReregisterError

Floats = NDArray[np.floating[Any]]

_HEADER = 348
#: NIfTI's world is RAS millimetres, ours LPS, as ITK's.
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
#: Share by which the lengths of the affine's columns may differ from the header's spacing, which some files round.
_SPACING_TOLERANCE = 1e-2
#: Millimetres by which voxels of two files on one grid may lie apart.
_PLACE_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Volume:
    """A volume in memory. values: (X, Y, Z) as stored. affine: (4, 4), voxel indices to LPS millimetres."""

    values: NDArray[Any]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighbouring voxels along each axis, mm."""
        return tuple(np.linalg.norm(self.affine[:3, :3], axis=0).tolist())

    @property
    def axes(self) -> str:
        """Where the axes lead, such as `RAS`."""
        return "".join(nib.aff2axcodes(_RAS_TO_LPS @ self.affine))


def read_volume(content: bytes, name: str, canonical: bool = True, flat: bool = False) -> Volume:
    """Decode a NIfTI-1 file, gzipped or not.

    content: its bytes. name: for messages. canonical: turn the axes to the nearest of right, anterior, superior; else
    they stay as stored. flat: whether a slice of two axes is taken, too, as (X, Y, 1). Trailing axes of length 1 are
    squeezed.
    Raises ReregisterError for bytes that are cut, damaged or no NIfTI, other than three axes, spacing that is missing,
    zero, negative or unlike that of the affine, and values that are NaN or infinite.
    """
    plain = _unpacked(content, name)
    header = _checked_spacing(plain, name)
    try:
        image = nib.Nifti1Image.from_stream(BytesIO(plain))
        while len(image.shape) > 3 and image.shape[-1] == 1:
            image = image.slicer[..., 0]
        if flat and len(image.shape) == 2:
            image = nib.Nifti1Image(np.asarray(image.dataobj)[..., np.newaxis], image.affine, image.header)
        if len(image.shape) != 3:
            raise ReregisterError(f"{name} has shape {tuple(image.shape)}; a volume of three axes is needed.")
        _check_affine(image.affine, header, name)
        stored = nib.as_closest_canonical(image) if canonical else image
        values = np.asarray(stored.dataobj)
    except (OSError, ValueError, EOFError, nib.filebasedimages.ImageFileError) as error:
        raise ReregisterError(f"{name} cannot be read as NIfTI ({error}); fetch it again.") from error
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ReregisterError(f"{name} holds NaN or infinite values; fetch it again.")
    return Volume(values, _RAS_TO_LPS @ stored.affine)


def _unpacked(content: bytes, name: str) -> bytes:
    try:
        plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise ReregisterError(f"{name} is cut off or damaged ({error}); fetch it again.") from error
    if len(plain) < _HEADER or plain[:4] not in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        raise ReregisterError(f"{name} is no NIfTI-1 file; fetch it again.")
    return plain


def _checked_spacing(plain: bytes, name: str) -> Floats:
    # Unchecked, because nibabel otherwise mends a spacing of zero to 1 mm and says nothing to the user.
    header = nib.Nifti1Header(plain[:_HEADER], check=False)
    spacing = np.array(header["pixdim"][1:4], dtype=np.float64)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise ReregisterError(
            f"{name} has the spacing {numbers_text(np.round(spacing, 5))} mm in its header; three positive numbers are needed, "
            "so correct its header."
        )
    return spacing


def _check_affine(affine: Floats, spacing: Floats, name: str) -> None:
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(lengths, spacing, rtol=_SPACING_TOLERANCE, atol=0):
        found, other = numbers_text(np.round(spacing, 5)), numbers_text(np.round(lengths, 5))
        raise ReregisterError(f"{name} has the spacing {found} mm but an affine of {other} mm; correct its header.")


def numbers_text(numbers: ArrayLike) -> str:
    """Numbers with blanks between, each with up to nine digits."""
    return " ".join(f"{number:.9g}" for number in np.asarray(numbers, dtype=np.float64).ravel())


def affine_text(affine: Floats) -> str:
    """The first three rows of an affine as twelve numbers, the form of the column `affine` of a table of subjects."""
    return numbers_text(affine[:3])


def read_affine(text: str) -> NDArray[np.float64]:
    """The (4, 4) affine of `affine_text`. Raises ReregisterError where the text is not twelve numbers."""
    try:
        return np.vstack([np.array(text.split(), dtype=np.float64).reshape(3, 4), [0.0, 0.0, 0.0, 1.0]])
    except ValueError:
        raise ReregisterError(f"The affine {text!r} is not twelve numbers; prepare the data again.") from None


def whole_numbers(volume: Volume, name: str) -> NDArray[np.int32]:
    """Values of a label volume, which some files store as floats. Raises ReregisterError where they are no integers."""
    values = np.asarray(volume.values)
    if values.dtype.kind != "f":
        return values.astype(np.int32)
    whole = np.rint(values)
    if not np.array_equal(values, whole):
        raise ReregisterError(f"{name} holds values that are no whole numbers; a label volume is needed.")
    return whole.astype(np.int32)


def require_alike(volume: Volume, name: str, sibling: Volume, sibling_name: str, places: bool = True) -> None:
    """Raise ReregisterError where two volumes differ in shape or orientation, or, with `places`, in spacing or place."""
    if volume.values.shape != sibling.values.shape:
        what = f"shape {volume.values.shape} but {sibling_name} {sibling.values.shape}"
    elif volume.axes != sibling.axes:
        what = f"axes {volume.axes} but {sibling_name} {sibling.axes}"
    else:
        corners = np.array(np.meshgrid(*[(0, size - 1) for size in volume.values.shape], [1])).reshape(4, -1)
        if not places or np.abs((volume.affine - sibling.affine) @ corners).max() <= _PLACE_TOLERANCE:
            return
        what = f"its voxels in other places than {sibling_name}"
    raise ReregisterError(f"{name} has {what}; fetch both again.")
