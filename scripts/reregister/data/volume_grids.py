"""The way of volumes onto a common grid: where the brain is, the box of all brains, resampling, grey values."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import affine_transform

from reregister.data.volumes import Floats, Volume
from reregister.errors import ReregisterError


def centroid(mask: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Mean voxel index (ndim,) of a mask. Raises ReregisterError where it is empty."""
    return np.array([(np.arange(len(counts)) * counts).sum() / counts.sum() for counts in _profiles(mask, name)])


def extents(mask: NDArray[Any], name: str) -> NDArray[np.int64]:
    """First and last voxel index of a mask along each axis, (2, ndim). Raises ReregisterError where it is empty."""
    filled = [np.flatnonzero(counts) for counts in _profiles(mask, name)]
    return np.array([[places[0], places[-1]] for places in filled]).T


def _profiles(mask: NDArray[Any], name: str) -> list[NDArray[np.int64]]:
    inside = np.asarray(mask) != 0
    if not inside.any():
        raise ReregisterError(f"{name} is empty; a mask of the brain is needed.")
    axes = range(inside.ndim)
    return [inside.sum(axis=tuple(other for other in axes if other != axis)) for axis in axes]


def padded_box(low: ArrayLike, high: ArrayLike, multiple: int) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """The smallest box of sizes divisible by `multiple` that holds voxels low ... high; the margin is shared evenly.

    low, high: (n, ndim), first and last indices of n boxes that are all to fit. Returns its first index and its shape.
    """
    first = np.min(np.atleast_2d(low), axis=0).astype(np.int64)
    sizes = np.max(np.atleast_2d(high), axis=0).astype(np.int64) - first + 1
    padded = -(-sizes // multiple) * multiple
    return first - (padded - sizes) // 2, tuple(padded.tolist())


def isotropic_affine(affine: Floats, centre: Floats, mm: float, first: ArrayLike) -> NDArray[np.float64]:
    """Affine of a grid of `mm` along the axes of another, whose voxel index `-first` lies on that one's voxel `centre`."""
    result = np.eye(4)
    result[:3, :3] = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0) * mm
    result[:3, 3] = affine[:3, :3] @ centre + affine[:3, 3] + result[:3, :3] @ np.asarray(first, dtype=np.float64)
    return result


def resample(volume: Volume, affine: Floats, shape: Sequence[int], nearest: bool = False) -> NDArray[Any]:
    """Values of a volume at the voxels of another grid; 0 outside the volume.

    affine: of the grid, voxel to LPS mm. nearest: for labels, keeps the dtype; else linear, float32.
    """
    between = np.linalg.inv(volume.affine) @ affine
    values = volume.values if nearest else np.asarray(volume.values, dtype=np.float32)
    return affine_transform(
        values,
        between[:3, :3],
        between[:3, 3],
        tuple(shape),
        order=0 if nearest else 1,
        mode="grid-constant",
    )


def scale_in_mask(
    values: Floats, mask: NDArray[Any], name: str, percentiles: tuple[float, float] = (0.5, 99.5)
) -> NDArray[np.float32]:
    """Grey values with the two percentiles inside a mask as 0 and 1, cut off there; 0 outside the mask.

    Raises ReregisterError where the mask is empty or the values in it are all but the same.
    """
    inside = np.asarray(mask) != 0
    if not inside.any():
        raise ReregisterError(f"{name} has no voxel inside its mask of the brain; check both files.")
    low, high = np.percentile(values[inside], percentiles)
    if not math.isfinite(high - low) or high <= low:
        raise ReregisterError(f"{name} has one grey value alone inside its mask of the brain; fetch it again.")
    scaled = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    return np.where(inside, scaled, np.float32(0))
