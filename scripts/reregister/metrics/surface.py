"""Distances between the surfaces of two masks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree

from reregister.metrics.overlap import as_masks

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]
STATISTICS = ("hd95", "hd95_pooled", "asd")
# Voxels of a box above which a search among the surface's voxels is faster than the distance of every voxel of the box.
LARGE = 20_000


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
    edge, other = (_surface(mask[box]) for mask in (first, second))
    # Slices stay with the transform at any size: the last digit of what stands in a table depends on the way.
    if edge.ndim == 3 and edge.size > LARGE:
        return _to_nearest(edge, other, spacing), _to_nearest(other, edge, spacing)
    to_edge, to_other = (distance_transform_edt(~surface, sampling=spacing) for surface in (edge, other))
    return to_other[edge], to_edge[other]


def _to_nearest(edge: Mask, other: Mask, spacing: Sequence[float]) -> Distances:
    """From each voxel of one surface to the nearest of the other; apart from rounding what the transform gives."""
    steps = np.asarray(spacing, dtype=np.float64)
    places, apart = np.argwhere(edge), ~other[edge]
    tree = KDTree(np.argwhere(other) * steps, balanced_tree=False, compact_nodes=False)
    # Voxels of both surfaces need no search.
    distances = np.zeros(len(places))
    distances[apart] = tree.query(places[apart] * steps)[0]
    return distances


def _joint_box(first: Mask, second: Mask) -> tuple[slice, ...]:
    """Smallest box that holds two masks, of which one is not empty."""
    either = first | second
    box = []
    for axis in range(either.ndim):
        taken = np.flatnonzero(either.any(tuple(k for k in range(either.ndim) if k != axis)))
        box.append(slice(int(taken[0]), int(taken[-1]) + 1))
    return tuple(box)


def _surface(mask: Mask) -> Mask:
    """Voxels of a mask that have a neighbour along an axis outside of it; what lies beyond the array is outside."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        whole, inside = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        inside[1:] &= whole[:-1]
        inside[:-1] &= whole[1:]
        inside[0] = inside[-1] = False
    surface: Mask = mask & ~inner
    return surface
