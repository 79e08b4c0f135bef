"""A beating left ventricle with an exact, invertible motion: the field of the Sunnybrook stand-in.

image_t(x) = T(psi_t(x)). psi_t moves points along rays from the centre of the ventricle, s -> sigma_t(s) in the squared
radius s, and the determinant of such a map is sigma_t'(s) itself. So the field is built from its determinant: above 1
in the cavity, whose area has shrunk to the share a; exactly 1 in the myocardium, which is incompressible; less than 1
around it, until from 1.6 outer radii on nothing moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]

#: Outer radii beyond which nothing moves.
REACH = 1.6
#: Half widths of the smooth steps of the determinant, in squared radius: within the endocardium as a share of the
#: cavity, around the heart as a share of the moving surroundings.
_CAVITY_SHARE, _SURROUND_SHARE = 0.2, 0.2
_NEWTON_STEPS = 40
#: Newton ends at this error in the squared radius, as a share of it: far below 1e-6 px.
_TOLERANCE = 1e-13


@dataclass(frozen=True)
class Beat:
    """One frame of a beating ventricle.

    centre: (2,) row and column, pixels. shape: (2, 2) symmetric, determinant 1: makes an ellipse of the circle.
    inner, outer: squared radii of endo- and epicardium at end-diastole, px^2. ratio: area of the cavity now over that
    at end-diastole, positive (above 1 where a scar bulges).
    Raises ValueError where that is no ventricle, or where its surroundings would fold.
    """

    centre: Floats
    shape: Floats
    inner: float
    outer: float
    ratio: float

    def __post_init__(self) -> None:
        if not 0 < self.inner < self.outer or self.ratio <= 0:
            raise ValueError(f"no ventricle: squared radii {self.inner}, {self.outer}, ratio {self.ratio}")
        if self.outer_now >= self.limit or self.min_determinant <= 0:
            raise ValueError(f"a ventricle of squared radii {self.inner}, {self.outer} folds at ratio {self.ratio}")

    @property
    def inner_now(self) -> float:
        """Squared radius of the endocardium in this frame, px^2."""
        return self.inner * self.ratio

    @property
    def outer_now(self) -> float:
        """Squared radius of the epicardium in this frame, px^2; the area of the wall is that of end-diastole."""
        return self.inner_now + self.outer - self.inner

    @property
    def limit(self) -> float:
        """Squared radius from which on nothing moves, px^2."""
        return REACH**2 * self.outer

    @property
    def min_determinant(self) -> float:
        """Smallest determinant of psi anywhere, exact."""
        return min(1.0, 1.0 + self._gain, 1.0 - self._deficit)

    @property
    def largest_displacement(self) -> float:
        """Largest length of psi(x) - x anywhere, pixels, to the spacing of 1,000 radii."""
        s = np.linspace(0.0, np.sqrt(self.limit), 1000) ** 2
        along = float(np.linalg.norm(self.shape, 2))
        return float(np.abs(np.sqrt(np.maximum(self.to_template_square(s), 0.0)) - np.sqrt(s)).max()) * along

    @property
    def _step(self) -> float:
        return _CAVITY_SHARE * self.inner_now

    @property
    def _gain(self) -> float:
        # What the cavity has lost, over the middle of the step: sigma takes the endocardium to that of end-diastole.
        return (self.inner - self.inner_now) / (self.inner_now - self._step)

    @property
    def _fringe(self) -> float:
        return _SURROUND_SHARE * (self.limit - self.outer_now)

    @property
    def _deficit(self) -> float:
        # What the cavity has lost, spread over the surroundings between the middles of the two steps.
        return (self.inner - self.inner_now) / (self.limit - self.outer_now - 2 * self._fringe)

    def to_template_square(self, squares: ArrayLike) -> Floats:
        """sigma: squared radii of this frame to those of the template (end-diastole), px^2."""
        s = np.asarray(squares, dtype=np.float64)
        step, fringe = self._step, self._fringe
        cavity = s - _ramp(s, self.inner_now - step, step)
        around = _ramp(s, self.outer_now + fringe, fringe) - _ramp(s, self.limit - fringe, fringe)
        return s + self._gain * cavity - self._deficit * around

    def determinant(self, squares: ArrayLike) -> Floats:
        """sigma', the determinant of psi at squared radii of this frame."""
        s = np.asarray(squares, dtype=np.float64)
        fringe = self._fringe
        around = _rise(s, self.outer_now + fringe, fringe) - _rise(s, self.limit - fringe, fringe)
        cavity = 1.0 - _rise(s, self.inner_now - self._step, self._step)
        return 1.0 + self._gain * cavity - self._deficit * around

    def from_template_square(self, squares: ArrayLike) -> Floats:
        """Inverse of `to_template_square`, by Newton's method, exact to rounding. Raises ValueError where it fails."""
        wanted = np.asarray(squares, dtype=np.float64)
        knots = [0.0, self.inner_now, self.outer_now, self.limit]
        s = np.where(wanted < self.limit, np.interp(wanted, [0.0, self.inner, self.outer, self.limit], knots), wanted)
        for _ in range(_NEWTON_STEPS):
            error = self.to_template_square(s) - wanted
            if (np.abs(error) <= _TOLERANCE * (self.limit + wanted)).all():
                return s
            s = np.maximum(s - error / self.determinant(s), 0.0)
        raise ValueError(f"the motion of {self} could not be inverted")

    def apply(self, points: Floats) -> Floats:
        """psi at points (..., 2), row and column in pixels: this frame to the template; float64, same shape."""
        return self._radial(points, self.to_template_square)

    def invert(self, points: Floats) -> Floats:
        """Inverse of psi at points (..., 2): the template to this frame; float64, same shape."""
        return self._radial(points, self.from_template_square)

    def _radial(self, points: Floats, move: Any) -> Floats:
        offset = (points - self.centre) @ np.linalg.inv(self.shape)
        squares = (offset**2).sum(axis=-1)
        # At the centre itself every ratio will do, since it multiplies 0; this one keeps clear of 0/0.
        floor = np.maximum(squares, 1e-9 * self.inner)
        factor = np.sqrt(move(floor) / floor)
        return self.centre + (offset * factor[..., np.newaxis]) @ self.shape


def polar_curve(beat: Beat, radius: float, wobble: Sequence[Sequence[float]], angles: Floats) -> Floats:
    """A closed curve fixed to the tissue, as it lies in this frame: (A, 2) row and column, pixels.

    radius: at end-diastole, px, times `wobbled` at the angles (A,), radians.
    """
    r = np.sqrt(beat.from_template_square((radius * wobbled(wobble, angles)) ** 2))
    circle = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    return beat.centre + (r[:, np.newaxis] * circle) @ beat.shape


def wobbled(wobble: Sequence[Sequence[float]], angles: Floats) -> Floats:
    """1 + sum of w cos(m angle + p) over the rows (m, w, p) of `wobble`: how far a curve is from a circle."""
    return 1.0 + sum((w * np.cos(m * angles + p) for m, w, p in wobble), start=np.zeros_like(angles))


def contraction(phases: int, end_diastole: int, end_systole: int) -> Floats:
    """How far the beat has gone at each phase, (phases,): 0 at end-diastole alone, 1 at end-systole alone.

    end_diastole, end_systole: phases counted from 0; the cycle closes. Raises ValueError where they are the same.
    """
    systole = (end_systole - end_diastole) % phases
    if systole == 0:
        raise ValueError(f"end-diastole and end-systole are both phase {end_diastole} of {phases}")
    since = (np.arange(phases) - end_diastole) % phases
    falling = (since - systole) / (phases - systole)
    return np.where(since <= systole, np.sin(np.pi / 2 * since / systole), np.cos(np.pi / 2 * falling)) ** 2


def ellipse(stretch: float, angle: float) -> Floats:
    """Symmetric (2, 2) matrix of determinant 1: longer by `stretch` along `angle` (radians, from row to column)."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([stretch, 1.0 / stretch]) @ turn.T


def pair_ddf(moving: Beat, fixed: Beat, grid: Floats) -> Floats:
    """Exact pull-back displacement psi_moving^-1(psi_fixed(x)) - x (datasets.md section 7).

    grid: (H, W, 2) points x in pixels. Returns (2, H, W), float64, pixels. Both must be frames of one slice.
    """
    return np.moveaxis(moving.invert(fixed.apply(grid)) - grid, -1, 0)


def _rise(s: Floats, middle: float, half: float) -> Floats:
    t = np.clip((s - middle) / (2 * half) + 0.5, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _ramp(s: Floats, middle: float, half: float) -> Floats:
    """Integral of `_rise` from below it to s: s - middle once it has risen."""
    t = np.clip((s - middle) / (2 * half) + 0.5, 0.0, 1.0)
    return 2 * half * t**3 * (1.0 - t / 2) + np.maximum(s - middle - half, 0.0)
