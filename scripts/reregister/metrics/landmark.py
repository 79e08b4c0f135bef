"""Target registration errors: of a displacement field from a known one, and of the centroids of two masks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def field_error(ddf: ArrayLike, truth: ArrayLike, mask: ArrayLike, spacing: Sequence[float]) -> dict[str, float]:
    """Euclidean length of the vector difference of two fields over a mask: the dense target registration error.

    ddf, truth: (ndim, *spatial), voxels of the same fixed grid, both pull-back. mask: (*spatial), bool.
    spacing: voxel size per axis; its unit is the unit of the result (mm, or px where it is 1).
    Returns mean, p95 (95th percentile, linear interpolation), both >= 0, and n, the number of voxels. NaN and n = 0
    where the mask is empty or a vector inside it, found or true, is not finite: an error over the rest would flatter.
    Raises ValueError if shapes or the number of spacings do not fit.
    """
    found, true, inside = np.asarray(ddf), np.asarray(truth), np.asarray(mask, dtype=bool)
    if found.shape != true.shape or found.shape != (inside.ndim, *inside.shape):
        raise ValueError(f"ddf {found.shape}, truth {true.shape} and mask {inside.shape} do not fit (ndim, *spatial)")
    if len(spacing) != inside.ndim:
        raise ValueError(f"a field of shape {found.shape} needs {inside.ndim} spacings, got {len(spacing)}")
    found, true = (field[:, inside].astype(np.float64) for field in (found, true))
    if not inside.any() or not (np.isfinite(found).all() and np.isfinite(true).all()):
        return {"mean": float("nan"), "p95": float("nan"), "n": 0}
    error = np.linalg.norm((found - true) * np.asarray(spacing, dtype=np.float64)[:, None], axis=0)
    return {"mean": float(error.mean()), "p95": float(np.percentile(error, 95)), "n": error.size}


def centroid_distance(warped: ArrayLike, fixed: ArrayLike, spacing: Sequence[float]) -> dict[str, float]:
    """Distance of the centroids of two masks: the target registration error of a label.

    warped, fixed: masks (*spatial) of one grid, bool. spacing: voxel size per axis. Returns `centroid_distance` in the unit
    of spacing and `centroid_distance_px` in voxels; both NaN where a mask is empty. Raises ValueError if shapes or the
    number of spacings do not fit. Source: `labelreg/utils.py` of YipengHu/label-reg, whose unit is the voxel.
    """
    first, second = (np.asarray(mask, dtype=bool) for mask in (warped, fixed))
    if first.shape != second.shape or len(spacing) != first.ndim:
        raise ValueError(f"masks {first.shape} and {second.shape} and {len(spacing)} spacings do not fit")
    if not (first.any() and second.any()):
        return {"centroid_distance": float("nan"), "centroid_distance_px": float("nan")}
    apart = _centroid(first) - _centroid(second)
    with_units = float(np.linalg.norm(apart * np.asarray(spacing, dtype=np.float64)))
    return {"centroid_distance": with_units, "centroid_distance_px": float(np.linalg.norm(apart))}


def _centroid(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean place of a mask's voxels along each axis, from the counts in its slices."""
    others = (tuple(k for k in range(mask.ndim) if k != axis) for axis in range(mask.ndim))
    counts = [np.count_nonzero(mask, axis=axes) for axes in others]
    return np.array([np.arange(len(count)) @ count / count.sum() for count in counts], dtype=np.float64)
