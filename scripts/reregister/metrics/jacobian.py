"""Jacobian determinant of x -> x + ddf(x) and what it says about the regularity of a field."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

STENCILS = ("central", "ndv")
STATISTICS = ("min_det", "fold_share", "sdlogj", "sdlogj_l2r", "mean_det", "std_det")
FLOOR = 1e-9
L2R_CEILING = 1e9


def jacobian_determinant(ddf: ArrayLike, spacing: Sequence[float] | None = None, stencil: str = "central") -> Array:
    """Determinant of the Jacobian of x -> x + ddf(x), without the outermost voxel.

    ddf: (B, ndim, *spatial), 2-D or 3-D, at least 3 voxels per axis; channel k displaces along axis k.
    spacing: None for a ddf in voxels; for a ddf in mm the voxel size per axis, mm. (The determinant of a field is the
        same in voxels and in mm: spacing only says what unit the displacements have.)
    stencil: "central" differences, equal to SimpleITK's DisplacementFieldJacobianDeterminant inside; or "ndv", the
        minimum over all 2^ndim combinations of forward and backward differences per axis, so that <= 0 means that at
        least one of the corner simplices at the voxel is folded. Stricter: central differences do not see a field that
        alternates from voxel to voxel. Idea: digital diffeomorphism [Liu et al., IJCV 2024]; their two further
        tetrahedra of the 3-D case are left out, and the values are no volumes.
    Returns (B, *spatial - 2), float64, no unit; 1 where volume is kept, <= 0 where the field folds. The border goes
    because one-sided values there disagree between tools.
    Raises ValueError for other shapes, for a spacing that does not fit and for an unknown stencil.
    """
    fields = np.asarray(ddf)
    _check(fields, spacing, stencil)
    steps = [1.0] * fields.shape[1] if spacing is None else list(spacing)
    # One field at a time: the differences of a brain volume take half a gigabyte.
    return np.stack([_determinant_of_field(field.astype(np.float64), steps, stencil) for field in fields])


def jacobian_statistics(ddf: ArrayLike, stencil: str = "central") -> dict[str, float]:
    """Regularity of one field in voxels, from its determinants without the outermost voxel.

    ddf: (ndim, *spatial), voxels. stencil: as in `jacobian_determinant`; it is used for all values.
    Returns a dict, no units:
        min_det     smallest determinant
        fold_share  share of voxels with determinant <= 0, in [0, 1]
        sdlogj      standard deviation of log(det), det clipped from below at 1e-9
        sdlogj_l2r  the same of log(clip(det + 3, 1e-9, 1e9)), the form of Learn2Reg's `evaluation.py`. It hides folds:
                    only determinants below -3 reach the clip. Here 1 voxel is cropped, there 2
        mean_det    mean; 1 for every field that vanishes at the border, folded or not, so void as a measure
        std_det     standard deviation within the image
    Standard deviations are of the population (ddof 0). All NaN where the field has a value that is not finite, so that
    a diverged field is never counted as free of folds. Raises ValueError as `jacobian_determinant`.
    """
    field = np.asarray(ddf)
    if field.ndim == 0 or field.ndim != field.shape[0] + 1:
        raise ValueError(f"jacobian_statistics takes one field (ndim, *spatial), got shape {field.shape}")
    _check(field[None], None, stencil)
    if not np.isfinite(field).all():
        return dict.fromkeys(STATISTICS, float("nan"))
    det = jacobian_determinant(field[None], stencil=stencil)[0]
    return {
        "min_det": float(det.min()),
        "fold_share": float(np.mean(det <= 0)),
        "sdlogj": float(np.log(np.maximum(det, FLOOR)).std()),
        "sdlogj_l2r": float(np.log(np.clip(det + 3, FLOOR, L2R_CEILING)).std()),
        "mean_det": float(det.mean()),
        "std_det": float(det.std()),
    }


def _determinant_of_field(field: Array, steps: Sequence[float], stencil: str) -> Array:
    """Interior determinants (*spatial - 2) of one field (ndim, *spatial)."""
    sides = [_one_sided(field, axis, step) for axis, step in enumerate(steps)]
    if stencil == "central":
        return _determinant([(backward + forward) / 2 for backward, forward in sides])
    smallest = np.full([n - 2 for n in field.shape[1:]], np.inf)
    for combination in product(*sides):
        np.minimum(smallest, _determinant(combination), out=smallest)
    return smallest


def _one_sided(field: Array, axis: int, step: float) -> tuple[Array, Array]:
    """Backward and forward derivative of x + u(x) along one axis at the interior voxels, each (ndim, *spatial - 2)."""
    inside = [slice(None)] + [slice(None) if k == axis else slice(1, -1) for k in range(field.shape[0])]
    difference = np.diff(field[tuple(inside)], axis=axis + 1) / step
    difference[axis] += 1
    # Backward at voxel i is forward at i - 1: both are views of one array.
    last, first = [slice(None)] * field.ndim, [slice(None)] * field.ndim
    last[axis + 1], first[axis + 1] = slice(None, -1), slice(1, None)
    return difference[tuple(last)], difference[tuple(first)]


def _determinant(columns: Sequence[Array]) -> Array:
    """Determinant of the matrices whose column j is columns[j], each (ndim, *shape)."""
    if len(columns) == 2:
        a, b = columns
        return a[0] * b[1] - a[1] * b[0]
    a, b, c = columns
    return a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])


def _check(fields: NDArray[np.generic], spacing: Sequence[float] | None, stencil: str) -> None:
    ndim = fields.ndim - 2
    if ndim not in (2, 3) or fields.shape[0] == 0 or fields.shape[1] != ndim or min(fields.shape[2:]) < 3:
        raise ValueError(
            f"a ddf (B, 2, H, W) or (B, 3, D, H, W) with at least 3 voxels per axis is needed, got shape {fields.shape}"
        )
    if spacing is not None and (len(spacing) != ndim or min(spacing) <= 0):
        raise ValueError(f"spacing must be {ndim} positive numbers for a ddf of shape {fields.shape}, got {spacing}")
    if stencil not in STENCILS:
        raise ValueError(f"stencil must be one of {STENCILS}, got {stencil!r}")
