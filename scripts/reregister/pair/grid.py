"""Where the pixels of a user's image lie, and which pixel of the moving image lies at which of the fixed one."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reregister.errors import ReregisterError

Array = NDArray[np.float64]

# Voxels by which two grids may differ and still count as one: headers keep few digits.
TOLERANCE = 0.02


@dataclass(frozen=True)
class Grid:
    """The grid of an image, ITK's geometry.

    shape: tensor axis order; a slice in space has three axes, one of them of length 1. spacing: tensor axis order, in
    `unit`. origin: centre of voxel 0, (x, y, z) order, LPS. direction: ITK's matrix, (ndim, ndim), orthonormal. unit: mm,
    or px where the format has no lengths.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: Array
    unit: str

    @property
    def flat(self) -> tuple[int, ...]:
        """Axes of length 1: one for a slice in space, else none."""
        return tuple(axis for axis, length in enumerate(self.shape) if length == 1)

    @property
    def plane(self) -> tuple[int, ...]:
        """The axes along which the image extends."""
        return tuple(axis for axis, length in enumerate(self.shape) if length > 1)

    @property
    def steps(self) -> Array:
        """(ndim, ndim): column k is the way in space, (x, y, z), from a voxel to the next along tensor axis k."""
        return (self.direction * np.asarray(self.spacing)[::-1])[:, ::-1]

    def size_text(self) -> str:
        """Size and spacing for a message: `256 x 256 pixels of 1.25 x 1.25 mm`."""
        lengths = " x ".join(f"{self.spacing[axis]:.6g}" for axis in self.plane)
        what = "pixels" if len(self.plane) == 2 else "voxels"
        return f"{' x '.join(str(self.shape[axis]) for axis in self.plane)} {what} of {lengths} {self.unit}"

    def place_text(self) -> str:
        """Origin and direction for a message."""
        numbers = [" ".join(f"{value:.6g}" for value in values) for values in (self.origin, self.direction.ravel())]
        return f"origin ({numbers[0]}), direction ({numbers[1]})"


class Match(NamedTuple):
    """Which point of the moving image belongs to a point x of the fixed one before registration: matrix @ x + offset.

    Both in voxels, tensor axis order. resampled: whether moving leaves its own grid for it. note: what is to be said of
    it, empty where the two lie on one grid.
    """

    matrix: Array
    offset: Array
    resampled: bool = False
    note: str = ""


def by_geometry(fixed: Grid, moving: Grid) -> Match:
    """The match of points that lie at one place in space. Both grids have as many axes."""
    inverse = np.asarray(np.linalg.inv(moving.steps), np.float64)
    return Match(inverse @ fixed.steps, inverse @ np.subtract(fixed.origin, moving.origin))


def match_grids(fixed: Grid, moving: Grid, resample: bool = False, by_index: bool = False) -> Match:
    """How moving is laid onto fixed before registration.

    On one grid: voxel by voxel. Else resample takes the place in space that the headers state, and by_index takes voxels
    of like index, which needs one size and spacing. Raises ReregisterError, with what both have, where neither is asked
    for, or where it cannot be done.
    """
    _require_one_kind(fixed, moving)
    ndim = len(fixed.shape)
    alike = fixed.shape == moving.shape and np.allclose(fixed.spacing, moving.spacing, rtol=1e-3)
    unchanged = Match(np.eye(ndim), np.zeros(ndim))
    if alike and _one_place(fixed, moving):
        return unchanged
    if resample:
        return by_geometry(fixed, moving)._replace(resampled=True, note=_resampled_text(fixed, moving))
    if not alike:
        how = "no --by-index is possible, give --resample" if by_index else "give --resample"
        raise ReregisterError(
            f"moving has {moving.size_text()} but fixed {fixed.size_text()}; {how} to bring moving onto fixed's grid"
        )
    if not by_index:
        raise ReregisterError(
            f"moving and fixed lie at different places, moving at {moving.place_text()}, fixed at {fixed.place_text()}; "
            "give --resample to bring moving onto fixed's grid, or --by-index to take pixels of like index for the same"
        )
    return unchanged._replace(
        note="moving and fixed lie at different places; pixels of like index were matched, and the field holds the way "
        "from the one place to the other too"
    )


def _require_one_kind(fixed: Grid, moving: Grid) -> None:
    if fixed.unit != moving.unit:
        raise ReregisterError(
            f"moving has {moving.size_text()} but fixed {fixed.size_text()}; give two images with lengths, or two PNGs"
        )
    if len(fixed.shape) != len(moving.shape) or len(fixed.plane) > len(moving.plane):
        raise ReregisterError(
            f"moving has {len(moving.shape)} axes, {moving.size_text()}, but fixed {len(fixed.shape)} axes, "
            f"{fixed.size_text()}; give both in one form, two images of a plane, two slices in space or two volumes"
        )


def _one_place(fixed: Grid, moving: Grid) -> bool:
    """Whether no corner of fixed is further than the tolerance from moving's voxel of the same index."""
    match = by_geometry(fixed, moving)
    corners = np.stack(np.meshgrid(*[(0, length - 1) for length in fixed.shape], indexing="ij")).reshape(
        len(fixed.shape), -1
    )
    return bool(np.abs(match.matrix @ corners + match.offset[:, None] - corners).max() <= TOLERANCE)


def _resampled_text(fixed: Grid, moving: Grid) -> str:
    where = "by their place in space" if fixed.unit == "mm" else "pixel on pixel from the first, as PNGs have no place"
    return f"moving, {moving.size_text()}, was resampled onto fixed's grid, {fixed.size_text()}, {where}"
