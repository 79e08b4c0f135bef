"""Distances between the surfaces of two masks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from reregister.metrics.overlap import as_masks

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]
STATISTICS = ("hd95", "hd95_pooled", "asd")


def surface_metrics(warped: ArrayLike, fixed: ArrayLike, spacing: Sequence[float]) -> dict[str, float]:
    """Hausdorff and mean distances between the surfaces of two masks.

    warped, fixed: masks (H, W) or (D, H, W) of one grid, bool or 0 and 1. spacing: voxel size along each tensor axis, mm.
    Returns a dict, mm, all >= 0, and all NaN where a mask is empty (counted by `overlap.emptiness`):
        hd95         larger one of the two directed 95th percentiles (linear interpolation), MONAI's
                     `compute_hausdorff_distance(percentile=95)`
        hd95_pooled  95th percentile of the directed distances of both surfaces together: another value by definition
        asd          mean of those together, the symmetric mean surface distance: MAD in table 1 of de Vos 2017, MONAI's
                     `compute_average_surface_distance(symmetric=True)`
    Raises ValueError if shapes differ, values are no mask or the spacing does not fit.
    """
    to_fixed, to_warped = surface_distances(warped, fixed, spacing)
    if not to_fixed.size:
        return dict.fromkeys(STATISTICS, float("nan"))
    together = np.concatenate([to_fixed, to_warped])
    return {
        "hd95": float(max(np.percentile(to_fixed, 95), np.percentile(to_warped, 95))),
        "hd95_pooled": float(np.percentile(together, 95)),
        "asd": float(together.mean()),
    }


def surface_distances(warped: ArrayLike, fixed: ArrayLike, spacing: Sequence[float]) -> tuple[Distances, Distances]:
    """From each surface voxel of one mask to the nearest one of the other: warped to fixed, and fixed to warped.

    Arguments and errors as in `surface_metrics`. A surface is the voxels of a mask with a neighbour along an axis outside
    of it; beyond the image is outside. Returns two arrays in the order of the voxels, mm, both empty where a mask is.
    """
    first, second = as_masks(warped, fixed)
    if len(spacing) != first.ndim or not all(np.isfinite(step) and step > 0 for step in spacing):
        raise ValueError(f"masks of shape {first.shape} need {first.ndim} positive spacings, got {tuple(spacing)}")
    if not (first.any() and second.any()):
        return np.empty(0), np.empty(0)
    # Both surfaces lie in the joint box, so distances within it are exact, and it is a small part of the image.
    box = _joint_box(first, second)
    edges = [_surface(mask[box]) for mask in (first, second)]
    to_edges = [distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    return to_edges[1][edges[0]], to_edges[0][edges[1]]


def _joint_box(first: Mask, second: Mask) -> tuple[slice, ...]:
    """Smallest box that holds two masks, of which one is not empty."""
    either = first | second
    box = []
    for axis in range(either.ndim):
        taken = np.flatnonzero(either.any(tuple(k for k in range(either.ndim) if k != axis)))
        box.append(slice(int(taken[0]), int(taken[-1]) + 1))
    return tuple(box)


def _surface(mask: Mask) -> Mask:
    surface: Mask = mask & ~binary_erosion(mask)
    return surface
