"""Smooth stationary velocity fields of the stand-ins, known in closed form at every point, and their flows.

v(x) = A (x - c) + sum over m of a_m prod over k of sin(pi m_k (x_k - o_k) / L_k), m_k = 1 ... M_k.
The flow exp(v) is integrated at the points themselves, so exp(-v) inverts it up to the error of the integrator and not
of a grid. Units are those of the points: pixels, or world millimetres.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]

#: RK4 steps over unit time; composition of fields as of the MNIST stand-in (up to 5 px) is then off by 1e-4 px or less.
STEPS = 8
#: Points in flight at once: the arrays of one step stay in the cache, and memory stays a few MB for any volume.
_BLOCK_POINTS = 8192


@dataclass(frozen=True)
class VelocityFields:
    """N stationary velocity fields over one box, in `ndim` dimensions.

    linear: (N, ndim, ndim) A, row k gives the velocity along axis k. sine: (N, ndim, M_1, ..., M_ndim) coefficients a.
    centre: (ndim,) c. origin, extent: (ndim,) corner o and lengths L of the box on whose faces the sine part is zero.
    Raises ValueError where the shapes do not fit each other or an extent is not positive.
    """

    linear: Floats
    sine: Floats
    centre: Floats
    origin: Floats
    extent: Floats

    def __post_init__(self) -> None:
        count, ndim = self.linear.shape[:2]
        fits = self.linear.shape == (count, ndim, ndim) and self.sine.shape[:2] == (count, ndim)
        fits = fits and self.sine.ndim == 2 + ndim
        if not fits or not self.centre.shape == self.origin.shape == self.extent.shape == (ndim,):
            raise ValueError(f"shapes of linear {self.linear.shape} and sine {self.sine.shape} parts do not fit")
        if not (self.extent > 0).all():
            raise ValueError(f"the extent of the box must be positive, got {self.extent}")

    def __len__(self) -> int:
        return len(self.linear)

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions."""
        return self.linear.shape[1]

    def take(self, rows: ArrayLike | slice) -> "VelocityFields":
        """The fields of the given rows, repeated where a row is."""
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        return VelocityFields(self.linear[index], self.sine[index], self.centre, self.origin, self.extent)

    def velocity(self, points: Floats) -> Floats:
        """v at `points` (N, P, ndim), one set of points per field; same shape and dtype."""
        moved = points - self.centre.astype(points.dtype)
        result = moved @ self.linear.astype(points.dtype).transpose(0, 2, 1)
        result += self._sine_part(points)
        return result

    def _sine_part(self, points: Floats) -> Floats:
        count, size, ndim = points.shape
        modes = self.sine.shape[2:]
        scale = (np.pi / self.extent).astype(points.dtype)
        angles = (points - self.origin.astype(points.dtype)) * scale
        waves = [_sines(np.ascontiguousarray(angles[..., k]), modes[k]) for k in range(ndim)]
        # Contract the last axis of the coefficients by a matrix product, the others by hand: far fewer operations than
        # one product over all modes.
        coefficients = self.sine.astype(points.dtype).reshape(count, -1, modes[-1])
        partial = (coefficients @ waves[-1]).reshape(count, ndim, *modes[:-1], size)
        for k in range(ndim - 2, -1, -1):
            wave = waves[k].reshape(count, *([1] * (k + 1)), modes[k], size)
            partial = (partial * wave).sum(axis=-2)
        return partial.transpose(0, 2, 1)


def exp_points(points: Floats, field: VelocityFields, sign: int = 1, steps: int = STEPS) -> Floats:
    """Flow of unit time, exp(sign v), applied to points by the classical Runge-Kutta method of order four.

    points: (P, ndim), carried by all N fields, or (N, P, ndim); float32 or float64, in the units of the field.
    sign: +1, or -1 for the inverse. steps: of size 1/steps; the error falls with its fourth power.
    Returns (N, P, ndim) in the dtype of the points, memory-bounded besides. Raises ValueError for other shapes,
    signs or steps.
    """
    if sign not in (1, -1) or steps < 1:
        raise ValueError(f"sign must be 1 or -1 and steps positive, got {sign} and {steps}")
    if points.shape[-1] != field.ndim or points.ndim not in (2, 3) or (points.ndim == 3 and len(points) != len(field)):
        raise ValueError(f"points of shape {points.shape} do not fit {len(field)} fields in {field.ndim} dimensions")
    sources = np.broadcast_to(points, (len(field), *points.shape[-2:]))
    result = np.empty(sources.shape, points.dtype)
    for rows, columns in _blocks(*sources.shape[:2]):
        result[rows, columns] = _integrate(sources[rows, columns], field.take(rows), sign / steps, steps)
    return result


@dataclass(frozen=True)
class Deformations:
    """N diffeomorphisms psi(x) = exp(v)(x + t); image_i(x) = template(psi_i(x)).

    fields: N velocity fields; translations: (N, ndim) t, in the same units.
    """

    fields: VelocityFields
    translations: Floats

    def __post_init__(self) -> None:
        if self.translations.shape != (len(self.fields), self.fields.ndim):
            raise ValueError(f"{len(self.fields)} fields do not fit translations {self.translations.shape}")

    def take(self, rows: ArrayLike | slice) -> "Deformations":
        """The deformations of the given rows, repeated where a row is."""
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        return Deformations(self.fields.take(index), self.translations[index])

    def apply(self, points: Floats, steps: int = STEPS) -> Floats:
        """psi at points (P, ndim) or (N, P, ndim); returns (N, P, ndim)."""
        return exp_points(points + self.translations[:, np.newaxis].astype(points.dtype), self.fields, 1, steps)

    def invert(self, points: Floats, steps: int = STEPS) -> Floats:
        """Inverse of psi, exp(-v)(y) - t, at points (P, ndim) or (N, P, ndim); returns (N, P, ndim)."""
        return exp_points(points, self.fields, -1, steps) - self.translations[:, np.newaxis].astype(points.dtype)


def compose_ddf(moving: Deformations, fixed: Deformations, grid: Floats, steps: int = STEPS) -> Floats:
    """Exact pull-back displacement psi_i^-1(psi_j(x)) - x for moving i, fixed j, pair by pair (datasets.md section 7).

    moving, fixed: N deformations each, of one template. grid: (*spatial, ndim) points x, in the units of the fields;
    `pixel_grid` for pixels. Returns (N, ndim, *spatial) in the dtype and units of the grid. Raises ValueError where
    the numbers of deformations differ.
    """
    if len(moving.fields) != len(fixed.fields):
        raise ValueError(f"{len(moving.fields)} moving and {len(fixed.fields)} fixed deformations are no pairs")
    points = grid.reshape(-1, grid.shape[-1])
    displaced = moving.invert(fixed.apply(points, steps), steps) - points
    return np.moveaxis(displaced.reshape(len(displaced), *grid.shape), -1, 1)


def pixel_grid(shape: Sequence[int]) -> NDArray[np.float64]:
    """Indices of every voxel of a grid: (*shape, ndim), first voxel at 0."""
    return np.stack(np.meshgrid(*[np.arange(size, dtype=np.float64) for size in shape], indexing="ij"), axis=-1)


def jacobian_determinants(mapped: Floats) -> Floats:
    """Determinant of a map from its values on a unit grid, by forward differences.

    mapped: (N, *spatial, ndim) positions. Returns (N, *(spatial - 1)); 1 for the identity, at most 0 where it folds.
    """
    ndim = mapped.shape[-1]
    cells = tuple(slice(0, size - 1) for size in mapped.shape[1:-1])
    columns = [np.diff(mapped, axis=k + 1)[(slice(None), *cells)] for k in range(ndim)]
    if ndim == 2:  # by hand: LAPACK takes ten times as long over many small matrices
        return columns[0][..., 0] * columns[1][..., 1] - columns[0][..., 1] * columns[1][..., 0]
    return np.linalg.det(np.stack(columns, axis=-1))


def _integrate(points: Floats, field: VelocityFields, step: float, steps: int) -> Floats:
    # A Python float keeps float32 points float32.
    for _ in range(steps):
        first = field.velocity(points)
        second = field.velocity(points + (step / 2) * first)
        third = field.velocity(points + (step / 2) * second)
        fourth = field.velocity(points + step * third)
        points = points + (step / 6) * (first + 2 * (second + third) + fourth)
    return points


def _sines(angle: Floats, count: int) -> Floats:
    """sin(m angle) for m = 1 ... count: (N, P) to (N, count, P), by the recurrence of Chebyshev."""
    waves = np.empty((len(angle), count, angle.shape[1]), angle.dtype)
    np.sin(angle, out=waves[:, 0])
    twice_cosine = 2 * np.cos(angle)
    for m in range(1, count):
        np.multiply(twice_cosine, waves[:, m - 1], out=waves[:, m])
        if m > 1:
            waves[:, m] -= waves[:, m - 2]
    return waves


def _blocks(count: int, size: int) -> Iterator[tuple[slice, slice]]:
    columns = min(size, _BLOCK_POINTS)
    rows = max(1, _BLOCK_POINTS // max(columns, 1))
    for row in range(0, count, rows):
        for column in range(0, size, max(columns, 1)):
            yield slice(row, min(row + rows, count)), slice(column, min(column + columns, size))
