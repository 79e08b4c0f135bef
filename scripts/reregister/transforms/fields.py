"""Displacement fields between our tensor convention and ITK's, and as files that ITK, ANTs and SimpleITK can apply.

Ours: `ddf` (ndim, *spatial), channel k along tensor axis k, voxels of the fixed grid, pull-back. ITK's: one vector per
voxel, components (x, y, z), LPS millimetres, pull-back too. The moving image is taken to lie on the fixed image's grid
(same spacing, origin and direction), as everywhere in this project. This is the only module that converts.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path


class Field(NamedTuple):
    """A displacement field and the grid on which it lies.

    ddf: (ndim, *spatial), voxels. spacing: mm, tensor axis order. origin: LPS mm, (x, y, z) order, centre of voxel 0.
    direction: (ndim, ndim), ITK's matrix, column k = the LPS direction in which ITK index k grows.
    """

    ddf: np.ndarray
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: np.ndarray


def _working_grid(ndim: int, spacing: Sequence[float], direction: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Spacing in ITK's (x, y, z) order and direction as float64 arrays, checked against the dimension."""
    spacing_xyz = np.asarray(spacing, dtype=np.float64)[::-1]
    if spacing_xyz.shape != (ndim,) or not (np.isfinite(spacing_xyz).all() and (spacing_xyz > 0).all()):
        raise ValueError(f"spacing must be {ndim} positive numbers in tensor axis order, got {tuple(spacing)}")
    matrix = np.eye(ndim) if direction is None else np.asarray(direction, dtype=np.float64)
    if matrix.shape != (ndim, ndim):
        raise ValueError(f"direction must have shape {(ndim, ndim)}, got {matrix.shape}")
    return spacing_xyz, matrix


def _field_dtype(array: np.ndarray) -> type[np.floating]:
    """float64 stays, everything else becomes float32 (float16 fields are for storage, ITK has no such pixel)."""
    return np.float64 if array.dtype == np.float64 else np.float32


def ddf_to_itk(ddf: np.ndarray, spacing: Sequence[float], direction: ArrayLike | None = None) -> np.ndarray:
    """ITK's displacement vectors of a tensor displacement field: components reversed, times spacing, rotated.

    ddf: (ndim, *spatial), channel k along tensor axis k, voxels, ndim 2 or 3.
    spacing: mm per voxel in TENSOR AXIS ORDER, that is (row, column) or (z, y, x).
    direction: ITK's direction matrix, 2x2 or 3x3, in (x, y, z) order; None means the identity.
    Returns (*spatial, ndim), components (x, y[, z]) in LPS mm; float64 for float64 input, otherwise float32.
    Raises ValueError where shapes do not fit.
    """
    ndim = ddf.shape[0]
    if ndim not in (2, 3) or ddf.ndim != ndim + 1:
        raise ValueError(f"ddf must have shape (2, H, W) or (3, D, H, W), got {ddf.shape}")
    spacing_xyz, matrix = _working_grid(ndim, spacing, direction)
    vectors = np.moveaxis(ddf[::-1], 0, -1) * spacing_xyz
    return np.ascontiguousarray(vectors @ matrix.T, dtype=_field_dtype(ddf))


def itk_to_ddf(vectors: np.ndarray, spacing: Sequence[float], direction: ArrayLike | None = None) -> np.ndarray:
    """Tensor displacement field of ITK's displacement vectors, the inverse of `ddf_to_itk`.

    vectors: (*spatial, ndim), the array of an ITK vector image ((H, W, 2) or (D, H, W, 3)), components (x, y[, z]) in
    LPS mm.
    spacing: mm per voxel in TENSOR AXIS ORDER, that is (row, column) or (z, y, x).
    direction: ITK's direction matrix, 2x2 or 3x3, in (x, y, z) order; None means the identity.
    Returns (ndim, *spatial), voxels; float64 for float64 input, otherwise float32.
    Raises ValueError where shapes do not fit, numpy.linalg.LinAlgError where direction is singular.
    """
    ndim = vectors.shape[-1]
    if ndim not in (2, 3) or vectors.ndim != ndim + 1:
        raise ValueError(f"vectors must have shape (H, W, 2) or (D, H, W, 3), got {vectors.shape}")
    spacing_xyz, matrix = _working_grid(ndim, spacing, direction)
    voxels = vectors @ np.linalg.inv(matrix).T / spacing_xyz
    return np.ascontiguousarray(np.moveaxis(voxels, -1, 0)[::-1], dtype=_field_dtype(vectors))


def write_field(
    path: str | os.PathLike[str],
    ddf: np.ndarray,
    spacing: Sequence[float],
    origin: Sequence[float] | None = None,
    direction: ArrayLike | None = None,
) -> None:
    """Write a field as SimpleITK's vector image, for SimpleITK and ANTs to apply as it stands (NIfTI intent 1007).

    path: the suffix chooses the format; `.nii.gz` is the one that ANTs reads too. Same field, same bytes.
    ddf: (ndim, *spatial), voxels. spacing: mm, tensor axis order. origin: LPS mm, (x, y, z) order, None means zero.
    direction: ITK's matrix, None means the identity. NIfTI keeps the three in float32.
    Raises ValueError where shapes do not fit, ReregisterError where SimpleITK cannot write that format.
    """
    import SimpleITK as sitk

    ndim = ddf.shape[0]
    image = sitk.GetImageFromArray(ddf_to_itk(ddf, spacing, direction), isVector=True)
    spacing_xyz, matrix = _working_grid(ndim, spacing, direction)
    image.SetSpacing(spacing_xyz.tolist())
    image.SetOrigin([0.0] * ndim if origin is None else [float(value) for value in origin])
    image.SetDirection(matrix.ravel().tolist())
    with atomic_path(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary))
        except RuntimeError as error:
            message = f"The field {path} could not be written: give it a suffix that ITK knows, such as .nii.gz."
            raise ReregisterError(message) from error


def read_field(path: str | os.PathLike[str]) -> Field:
    """Read a displacement field file that SimpleITK, ITK or ANTs wrote.

    Returns the field in voxels (float32 or float64 as stored) with its grid. Files of NIfTI intent 1006 arrive as their
    standard says, x and y negated into LPS by ITK. Raises ReregisterError where the file is missing, unreadable, or no
    image of as many components as dimensions (the voxel fields of voxelmorph's nibabel files are such scalar images).
    """
    import SimpleITK as sitk

    if not Path(path).is_file():
        raise ReregisterError(f"The field {path} does not exist: make it first, or correct the path.")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ReregisterError(f"The field {path} is no image that ITK can read: write it again.") from error
    ndim = image.GetDimension()
    if image.GetNumberOfComponentsPerPixel() != ndim or ndim not in (2, 3):
        found = f"{image.GetNumberOfComponentsPerPixel()} component(s) in {ndim} dimensions"
        raise ReregisterError(f"The file {path} is no displacement field: it has {found}, give one vector per voxel.")
    spacing = image.GetSpacing()[::-1]
    direction = np.array(image.GetDirection()).reshape(ndim, ndim)
    ddf = itk_to_ddf(sitk.GetArrayViewFromImage(image), spacing, direction)
    return Field(ddf, spacing, image.GetOrigin(), direction)
