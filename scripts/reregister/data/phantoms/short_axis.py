"""Template of the Sunnybrook stand-in: a short-axis slice through the chest, painted from shapes of our own design.

Bright blood in a dark ring of myocardium, the right ventricle as a crescent beside it, lung with vessels, liver, the
aorta, and the fat of the chest wall, under a surface coil's shading. Grey values follow those of cine steady-state
images: blood 350 to 450, myocardium 90 to 110, lung 20, fat 500 to 700.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from reregister.data.phantoms.cardiac import wobbled

Floats = NDArray[np.floating[Any]]

#: Samples of the raster per pixel; its bilinear interpolant *is* the template.
PER_PIXEL = 2
#: Half width of every edge, millimetres: partial volume.
_SOFT = 1.6
_TEXTURES = {"fine": 6.0, "coarse": 14.0}

Wobble = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Chest:
    """What one patient looks like: angles in radians (from column to row), distances in millimetres.

    facing: direction of the chest wall seen from the ventricle. right: direction of the right ventricle. wall: how far
    away the skin is. fat: thickness of the fat. round_view: whether the image is cut to a circle, as some scanners do.
    """

    facing: float
    right: float
    wall: float
    fat: float
    round_view: bool


@dataclass(frozen=True)
class Ventricle:
    """The left ventricle of one slice at end-diastole, in pixels; wobbles as of `wobbled`, row and column centres.

    papillary: (2, 3) centre (row, column) and radius of the papillary muscles. open_at: angle at which the wall has a
    gap (the outflow tract of a basal slice), None elsewhere.
    """

    centre: Floats
    shape: Floats
    inner: float
    outer: float
    endo: Wobble
    epi: Wobble
    papillary: Floats
    open_at: float | None


def paint(chest: Chest, heart: Ventricle, size: int, pixel: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Raster of one slice, `PER_PIXEL` samples per pixel, float32, grey values from 0 to about 1000.

    size: pixels along each side. pixel: their size, millimetres. Sample (PER_PIXEL i, PER_PIXEL j) lies at the centre
    of pixel (i, j).
    """
    axis = np.arange((size - 1) * PER_PIXEL + 1, dtype=np.float32) / PER_PIXEL
    y = ((axis - np.float32(heart.centre[0])) * np.float32(pixel))[:, np.newaxis]
    x = ((axis - np.float32(heart.centre[1])) * np.float32(pixel))[np.newaxis]
    fine, coarse = (_texture(len(axis), axis * pixel, scale, rng) for scale in _TEXTURES.values())
    ahead = np.cos(chest.facing) * x + np.sin(chest.facing) * y
    aside = np.cos(chest.facing) * y - np.sin(chest.facing) * x
    grey = _thorax(chest, ahead, aside, fine, coarse)
    _paint_heart(grey, chest, heart, (x, y), pixel, fine, coarse)
    grey *= np.exp(0.004 * np.clip(ahead, -150, 60))
    if chest.round_view:
        middle = np.float32((size - 1) / 2)
        radius = np.hypot(axis[:, np.newaxis] - middle, axis[np.newaxis] - middle)
        grey *= radius < 0.485 * size
    return grey.astype(np.float32)


def sample(raster: NDArray[np.float32], points: Floats) -> NDArray[np.float32]:
    """The template at points (..., 2), row and column in pixels: (...), the raster's bilinear interpolant."""
    places = np.moveaxis(points, -1, 0) * PER_PIXEL
    return map_coordinates(raster, places, order=1, mode="nearest", output=np.float32)


def _thorax(chest: Chest, ahead: Floats, aside: Floats, fine: Floats, coarse: Floats) -> Floats:
    """Everything but the heart: air, fat, muscle, lung and its vessels, liver, aorta."""
    # Depth under the skin, near enough: an ellipse 2 x 185 mm wide whose front is `wall` away from the ventricle.
    half = (chest.wall + 175.0) / 2
    depth = half * (1.0 - np.hypot((ahead - chest.wall + half) / half, (aside - 10.0) / 185.0)) + 0.8 * coarse
    grey = 8.0 * _inside(depth)
    _cover(grey, depth, 560.0 + 60.0 * coarse)
    _cover(grey, depth - chest.fat, 130.0 + 15.0 * fine + 40.0 * coarse)
    lung = depth - chest.fat - 14.0 - 3.0 * coarse
    _cover(grey, lung, 22.0 + 110.0 * np.clip(fine - 1.1, 0.0, 1.5))
    # Liver below the heart, the tissue before the spine, a stomach half in view.
    liver = 60.0 * (1.0 - np.hypot((ahead + 30.0) / 72.0, (aside + 102.0) / 62.0)) + 3.0 * coarse
    _cover(grey, np.minimum(liver, lung + 8.0), 165.0 + 22.0 * fine)
    back = 60.0 * (1.0 - np.hypot((ahead + 130.0) / 60.0, (aside + 5.0) / 105.0)) + 3.0 * coarse
    _cover(grey, np.minimum(back, depth - chest.fat), 125.0 + 30.0 * coarse)
    _cover(grey, 10.5 - np.hypot(ahead + 72.0, aside + 28.0), np.float32(340.0) + 12.0 * fine)
    return grey


def _paint_heart(
    grey: Floats, chest: Chest, heart: Ventricle, at: tuple[Floats, Floats], pixel: float, fine: Floats, coarse: Floats
) -> None:
    x, y = at
    outer = heart.outer * pixel
    # Distances along the ventricle's own ellipse, so that wall and cavity are those that move.
    (a, b), (_, d) = np.linalg.inv(heart.shape)
    v, u = a * y + b * x, b * y + d * x
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    rx, ry = x - np.cos(chest.right) * outer * 0.85, y - np.sin(chest.right) * outer * 0.85
    along = np.cos(chest.right) * rx + np.sin(chest.right) * ry
    across = np.cos(chest.right) * ry - np.sin(chest.right) * rx
    right = 0.9 * outer * (1.0 - np.hypot(along / (0.9 * outer), across / (1.15 * outer))) + 1.2 * coarse
    fat = np.maximum(right, outer - radius) + 5.0 + 2.5 * coarse
    _cover(grey, fat, 180.0 + 150.0 * np.clip(coarse, -1.0, 2.0))
    _cover(grey, right + 3.0, 105.0 + 10.0 * fine)
    _cover(grey, right, 350.0 + 28.0 * fine + 12.0 * coarse)
    _cover(grey, outer * wobbled(heart.epi, angle) - radius, 95.0 + 11.0 * fine)
    blood = 400.0 + 16.0 * fine + 14.0 * coarse
    if heart.open_at is not None:
        turn = np.abs((angle - heart.open_at + np.pi) % (2 * np.pi) - np.pi)
        _cover(grey, np.minimum((0.45 - turn) * radius, outer - radius), blood)
    _cover(grey, heart.inner * pixel * wobbled(heart.endo, angle) - radius, blood)
    for row, column, size in heart.papillary:
        away = np.hypot(y - (row - heart.centre[0]) * pixel, x - (column - heart.centre[1]) * pixel)
        _cover(grey, size * pixel - away, 140.0 + 9.0 * fine)


def _inside(distance: Floats) -> Floats:
    """Share of a sample that lies inside an edge, from its distance to it in millimetres (positive inside)."""
    t = np.clip(distance / (2 * _SOFT) + 0.5, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _cover(grey: Floats, distance: Floats, value: Floats) -> None:
    grey += _inside(distance) * (value - grey)


def _texture(samples: int, where: Floats, scale: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise of unit variance, (samples, samples); scale: distance of its coefficients, millimetres."""
    knots = np.arange(-2, where[-1] / scale + 3, dtype=np.float32)
    weights = np.exp(-((where[:, np.newaxis] / scale - knots) ** 2) / 0.72)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    noise = rng.standard_normal((len(knots), len(knots)), dtype=np.float32)
    return (weights @ noise @ weights.T).astype(np.float32)
