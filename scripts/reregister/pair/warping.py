"""The warped image of a pair whose two grids may differ, and the field that other programs apply to the same result."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reregister.errors import ReregisterError
from reregister.pair.grid import Grid, Match, by_geometry
from reregister.transforms.warp import warp

Array = NDArray[np.float64]


class Reach(NamedTuple):
    """Where a field takes its values in the moving image.

    points: (ndim, *fixed.shape), voxels of moving. held: share of fixed's voxels whose point lay outside of moving and
    was moved to its edge, in [0, 1].
    """

    points: Array
    held: float


def reach(ddf: NDArray[np.floating], fixed: Grid, moving: Grid, match: Match, padding: str = "border") -> Reach:
    """Points of moving that a field, (ndim, *fixed.shape) in voxels of fixed, names for the voxels of fixed.

    With padding `border` a point outside has the value of the edge, so it is moved there: programs that put 0 outside
    then give the same image. With `zeros` it stays. Raises ReregisterError where moving is a slice that fixed does not
    lie in, or where no voxel of fixed lies in moving before registration.
    """
    start = _mapped(match, np.indices(fixed.shape, dtype=np.float64))
    _require_overlap(start, moving)
    points = _mapped(match, np.indices(fixed.shape, dtype=np.float64) + ddf)
    last = np.reshape(np.asarray(moving.shape) - 1.0, (-1,) + (1,) * len(fixed.shape))
    inside = np.clip(points, 0, last)
    outside = (np.abs(inside - points) > 1e-6)[list(moving.plane)].any(axis=0)
    if padding == "zeros":
        # Within its own plane a slice has no outside.
        inside[list(moving.plane)] = points[list(moving.plane)]
        return Reach(inside, 0.0)
    return Reach(inside, float(outside.mean()))


def sample(image: NDArray[np.generic], points: Array, padding: str = "border") -> Array:
    """Linear values of an image at points, by the warp of the library.

    image: (*moving.shape). points: (ndim, *fixed.shape), voxels of image. Returns float64 (*fixed.shape).
    """
    plane = [axis for axis, length in enumerate(image.shape) if length > 1]
    out = [length for length in points.shape[1:] if length > 1] if len(plane) < image.ndim else list(points.shape[1:])
    flat, where = image.reshape([image.shape[axis] for axis in plane]), points[plane].reshape([len(plane), *out])
    # The warp takes image and field of one size: what is added to the image is what lies outside of it anyway.
    canvas = [max(lengths) for lengths in zip(flat.shape, out, strict=True)]
    added = [(0, side - length) for side, length in zip(canvas, flat.shape, strict=True)]
    pixels = np.pad(flat.astype(np.float64), added, mode="edge" if padding == "border" else "constant")
    ddf = np.zeros((len(plane), *canvas))
    ddf[(slice(None), *map(slice, out))] = where - np.indices(out)
    warped = warp(torch.from_numpy(pixels)[None, None], torch.from_numpy(ddf)[None], padding=padding)[0, 0].numpy()
    return np.asarray(warped[tuple(map(slice, out))].reshape(points.shape[1:]), dtype=np.float64)


def field_of(points: Array, fixed: Grid, moving: Grid) -> Array:
    """The displacements, voxels of fixed, that lead in space from fixed's voxels to points of moving.

    points: (ndim, *fixed.shape), voxels of moving. Returns (ndim, *fixed.shape).
    """
    back = by_geometry(moving, fixed)
    return _mapped(back, points) - np.indices(fixed.shape)


def _mapped(match: Match, points: Array) -> Array:
    offset = match.offset.reshape((-1,) + (1,) * (points.ndim - 1))
    return np.tensordot(match.matrix, points, axes=1) + offset


def _require_overlap(start: Array, moving: Grid) -> None:
    """A voxel reaches half its length to either side of its centre."""
    for axis in moving.flat:
        away = float(np.abs(start[axis]).max())
        if away > 0.5:
            distance = f"{away * moving.spacing[axis]:.4g} {moving.unit}"
            raise ReregisterError(
                f"fixed leaves the plane of moving by up to {distance}; give two images of one plane, or --by-index "
                "to take pixels of like index for the same"
            )
    inside = np.ones(start.shape[1:], bool)
    for axis in moving.plane:
        inside &= (start[axis] >= -0.5) & (start[axis] <= moving.shape[axis] - 0.5)
    if not inside.any():
        raise ReregisterError("moving and fixed share no place in space; give --by-index, or correct their headers")
