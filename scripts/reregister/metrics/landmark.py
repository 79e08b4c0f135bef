"""Distance of a found displacement field from the known one of synthetic data."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


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
