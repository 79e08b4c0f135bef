"""Templates of the MNIST stand-in: handwritten digits as smooth strokes of our own design.

A stroke is a cubic spline through a few points; its grey value depends on the distance to the stroke alone and is
exactly 0 away from it, as the background of MNIST is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

Floats = NDArray[np.floating[Any]]

PLAIN, CROSSBAR = 0, 1
#: Centre of mass of every template, pixel index of row and column; in MNIST it lies there within half a pixel.
CENTRE = 14.0

#: Half width of the stroke in pixels: full grey up to the first, none beyond the second (measured on MNIST: 42 % of the
#: pixels that are not 0 are above 250, and an upright 1 is 4.4 pixels wide).
_FULL, _NONE = 0.8, 2.1
#: Height of the letter box from centre line to centre line, so that digits are 20 pixels high with their stroke.
_HEIGHT = 15.8
_SAMPLES_PER_PIXEL = 12
_POINTS_PER_STROKE = 18

Stroke = Sequence[tuple[float, float]]

#: Strokes by digit, points (x to the right, y down) in units of the letter box's height. Where two strokes meet in one
#: point the pen turns a corner; a stroke that ends where it begins is a closed loop.
_STROKES: dict[int, tuple[Stroke, ...]] = {
    0: (
        ((0.60, 0.0), (0.30, 0.16), (0.16, 0.55), (0.26, 0.92), (0.50, 0.98), (0.78, 0.72), (0.84, 0.28), (0.60, 0.0)),
    ),
    1: (((0.58, 0.0), (0.50, 0.5), (0.42, 1.0)),),
    2: (
        ((0.18, 0.24), (0.34, 0.05), (0.62, 0.03), (0.76, 0.20), (0.66, 0.45), (0.40, 0.74), (0.12, 0.95)),
        ((0.12, 0.95), (0.38, 0.89), (0.64, 0.96), (0.92, 0.92)),
    ),
    3: (
        ((0.18, 0.10), (0.48, 0.0), (0.72, 0.15), (0.62, 0.36), (0.38, 0.46)),
        ((0.38, 0.46), (0.66, 0.53), (0.76, 0.75), (0.54, 0.97), (0.28, 0.99), (0.10, 0.88)),
    ),
    4: (
        ((0.34, 0.02), (0.24, 0.30), (0.14, 0.56)),
        ((0.14, 0.56), (0.50, 0.54), (0.90, 0.50)),
        ((0.76, 0.04), (0.66, 0.50), (0.52, 1.0)),
    ),
    5: (
        ((0.88, 0.02), (0.62, 0.06), (0.36, 0.06)),
        ((0.36, 0.06), (0.31, 0.24), (0.25, 0.42)),
        ((0.25, 0.42), (0.50, 0.37), (0.70, 0.54), (0.66, 0.80), (0.42, 0.98), (0.10, 0.92)),
    ),
    6: (
        (
            (0.68, 0.0),
            (0.42, 0.20),
            (0.22, 0.56),
            (0.25, 0.87),
            (0.48, 0.99),
            (0.72, 0.84),
            (0.70, 0.60),
            (0.50, 0.55),
            (0.24, 0.74),
        ),
    ),
    7: (
        ((0.12, 0.10), (0.45, 0.08), (0.84, 0.03)),
        ((0.84, 0.03), (0.62, 0.44), (0.44, 1.0)),
    ),
    8: (
        (
            (0.76, 0.10),
            (0.54, 0.0),
            (0.34, 0.14),
            (0.42, 0.38),
            (0.60, 0.62),
            (0.60, 0.87),
            (0.40, 1.0),
            (0.22, 0.86),
            (0.34, 0.62),
            (0.66, 0.36),
            (0.76, 0.10),
        ),
    ),
    9: (
        ((0.74, 0.12), (0.52, 0.0), (0.28, 0.14), (0.26, 0.38), (0.46, 0.46), (0.66, 0.34), (0.74, 0.12)),
        ((0.74, 0.12), (0.68, 0.50), (0.56, 1.0)),
    ),
}
_CROSSBAR_SHARE = 1 / 3
_CROSSBAR_STROKE: Stroke = ((0.34, 0.53), (0.58, 0.50), (0.84, 0.48))


@dataclass(frozen=True)
class Template:
    """T of one digit: a finely sampled raster in [0, 1] and the pixel index of its first sample, (row, column)."""

    raster: NDArray[np.float64]
    origin: NDArray[np.float64]

    def sample(self, points: Floats) -> Floats:
        """T at points (..., 2) in pixel indices: (...), in [0, 1], exactly 0 away from the strokes.

        The bilinear interpolant of the raster *is* the template, so image_i(x) = T(psi_i(x)) holds without error.
        """
        places = (points - self.origin) * _SAMPLES_PER_PIXEL
        return map_coordinates(self.raster, np.moveaxis(places, -1, 0), order=1, mode="constant", cval=0.0)


@cache
def template(digit: int, variant: int = PLAIN) -> Template:
    """Template of a digit 0-9, centre of mass at (`CENTRE`, `CENTRE`); variant `CROSSBAR` exists for 7 alone.

    Raises ValueError for other digits or variants.
    """
    if digit not in _STROKES or variant not in ((PLAIN, CROSSBAR) if digit == 7 else (PLAIN,)):
        raise ValueError(f"there is no template of digit {digit} in variant {variant}")
    strokes = _STROKES[digit] + ((_CROSSBAR_STROKE,) if variant == CROSSBAR else ())
    # (x, y) upwards of the file become (row, column) in pixels.
    lines = [_polyline(np.array(stroke)[:, ::-1] * _HEIGHT) for stroke in strokes]
    low = np.min([line.min(axis=0) for line in lines], axis=0) - _NONE
    high = np.max([line.max(axis=0) for line in lines], axis=0) + _NONE
    axes = [low[k] + np.arange(int((high[k] - low[k]) * _SAMPLES_PER_PIXEL) + 2) / _SAMPLES_PER_PIXEL for k in (0, 1)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    raster = _profile(np.min([_distance(grid, line) for line in lines], axis=0))
    mass = (raster[..., np.newaxis] * grid).sum(axis=(0, 1)) / raster.sum()
    return Template(raster, low + CENTRE - mass)


def draw_labels(frequencies: Sequence[int], count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Digits 0-9 in random order, uint8 (count,): in proportion to `frequencies` (largest remainders), none missing.

    Raises ValueError for a count below ten.
    """
    if count < 10:
        raise ValueError(f"ten digits need at least ten images, got {count}")
    original = np.array(frequencies, dtype=np.float64)
    # One of each beforehand, so that no digit is missing however few there are.
    shares = np.maximum(original / original.sum() * count - 1, 0)
    shares *= (count - 10) / max(shares.sum(), 1e-12)
    counts = 1 + np.floor(shares).astype(np.int64)
    remainders = shares - np.floor(shares)
    counts[np.argsort(-remainders, kind="stable")[: count - counts.sum()]] += 1
    return rng.permutation(np.repeat(np.arange(10, dtype=np.uint8), counts))


def draw_variants(labels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Variant of each image, uint8 (N,): `CROSSBAR` for a third of the sevens, `PLAIN` for all others."""
    sevens = np.flatnonzero(labels == 7)
    variants = np.full(len(labels), PLAIN, dtype=np.uint8)
    variants[rng.permutation(sevens)[: round(len(sevens) * _CROSSBAR_SHARE)]] = CROSSBAR
    return variants


def _polyline(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points along the cubic spline through `points`, by chord length; periodic where it is closed."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    closed = bool((points[0] == points[-1]).all())
    spline = CubicSpline(length, points, bc_type="periodic" if closed else "natural")
    return spline(np.linspace(0.0, length[-1], _POINTS_PER_STROKE * (2 if closed else 1) + 1))


def _distance(grid: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of every grid point (H, W, 2) to a polyline (S, 2), analytic on each of its segments."""
    nearest = np.full(grid.shape[:-1], np.inf)
    for start, end in pairwise(line):
        along = end - start
        offset = grid - start
        part = np.clip(offset @ along / (along @ along), 0.0, 1.0)
        np.minimum(nearest, ((offset - part[..., np.newaxis] * along) ** 2).sum(axis=-1), out=nearest)
    return np.sqrt(nearest)


def _profile(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    part = np.clip((_NONE - distance) / (_NONE - _FULL), 0.0, 1.0)
    return part * part * (3.0 - 2.0 * part)
