"""Template of the LGG stand-in: an axial slice through a head, painted from shapes of our own design.

Three contrasts of one anatomy, grey values as shares of the brightest: FLAIR with dark ventricles and sulci, bright
scalp fat and cortex a little brighter than white matter; and T1 before and after contrast agent, which brightens vessels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Floats = NDArray[np.floating[Any]]

#: Samples of the raster per pixel; its bilinear interpolant *is* the template.
PER_PIXEL = 2
#: All lengths below are pixels of an image of this size; smaller images show the same head.
FULL_SIZE = 256
CENTRE = (FULL_SIZE - 1) / 2
#: Half axes of the head, rows and columns: with the skull it covers about 42 % of the image.
HEAD = (104.0, 84.0)
#: Channels of the raster: the contrasts, a texture of mean 0 that tumours take, and the depth under the skin, pixels of
#: the full size.
PRE, FLAIR, POST, TEXTURE, DEPTH = range(5)
#: Half width of every edge, partial volume.
_SOFT = 1.3


@dataclass(frozen=True)
class _Canvas:
    """Channels (5, n, n) that are painted, and where each sample lies: y, x from the middle of the image."""

    grey: Floats
    y: Floats
    x: Floats

    def cover(self, distance: Floats, pre: Floats | float, flair: Floats | float, post: Floats | float) -> None:
        """Paint where `distance` to an edge is positive."""
        share = inside(distance)
        for channel, value in ((PRE, pre), (FLAIR, flair), (POST, post)):
            self.grey[channel] += share * (value - self.grey[channel])

    def ellipse(self, row: float, column: float, half: tuple[float, float], turn: float) -> Floats:
        """Distance inside an ellipse, near enough; turn: radians from the row axis towards the columns."""
        y, x = self.y - row, self.x - column
        along, across = np.cos(turn) * y + np.sin(turn) * x, np.cos(turn) * x - np.sin(turn) * y
        return min(half) * (1.0 - np.hypot(along / half[0], across / half[1]))


def paint(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Raster of the template, float32 (5, n, n), n = (size - 1) * PER_PIXEL + 1; grey 0 to 1, texture of unit variance.

    Sample (PER_PIXEL i, PER_PIXEL j) lies at the centre of pixel (i, j). Other sizes show the same head.
    """
    axis = np.linspace(0, FULL_SIZE - 1, (size - 1) * PER_PIXEL + 1, dtype=np.float32)
    gyri, fine, coarse, texture = (_noise(axis, scale, rng) for scale in (9.0, 3.0, 24.0, 8.0))
    y, x = np.meshgrid(axis - np.float32(CENTRE), axis - np.float32(CENTRE), indexing="ij")
    canvas = _Canvas(np.zeros((5, len(axis), len(axis)), np.float32), y, x)
    # Narrower at the forehead (top), wider behind.
    width = HEAD[1] * (1.0 + 0.10 * np.clip(y / HEAD[0], -1, 1))
    depth = 0.5 * (HEAD[0] + HEAD[1]) * (1.0 - np.hypot(y / HEAD[0], x / width)) + 0.8 * coarse
    _skull(canvas, depth, fine, coarse)
    # No straight lines within: the drawing board itself is bent.
    bent = _Canvas(canvas.grey, *(at + np.float32(3.5) * _noise(axis, 20.0, rng) for at in (y, x)))
    _brain(bent, depth - 15.0, gyri, fine, coarse)
    _ventricles(bent, fine)
    # Brighter near the coil, as most of the original are.
    canvas.grey[:3] *= 1.0 + 0.12 * (1.0 - np.clip(depth / 90.0, 0, 1)) + 0.05 * y / HEAD[0]
    canvas.grey[TEXTURE] = 0.7 * texture + 0.3 * fine + 0.6 * coarse
    canvas.grey[DEPTH] = depth
    return canvas.grey


def sample(raster: NDArray[np.float32], places: Floats, channel: int) -> NDArray[np.float32]:
    """One channel of the template at points (..., 2), row and column in pixels of the image: (...)."""
    at = np.moveaxis(places, -1, 0) * PER_PIXEL
    return map_coordinates(raster[channel], at, order=1, mode="nearest", output=np.float32)


def inside(distance: Floats) -> Floats:
    """Share of a sample that lies inside an edge, from its distance to it (positive inside)."""
    t = np.clip(distance / (2 * _SOFT) + 0.5, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _skull(canvas: _Canvas, depth: Floats, fine: Floats, coarse: Floats) -> None:
    """Skin and fat, the dark tables of the bone with marrow between them, and the fluid under it."""
    canvas.cover(depth, 0.30, 0.34, 0.34)
    fat = 0.80 + 0.07 * fine + 0.08 * coarse
    canvas.cover(depth - 1.5, fat, fat, 0.9 * fat)
    # Muscle at the temples, where the head is flat.
    flat = np.clip(np.abs(canvas.x) / HEAD[1] - 0.72, 0, 1) * 18.0 * np.clip((30 - canvas.y) / 30, 0, 1)
    canvas.cover(np.minimum(depth - 5.0, flat), 0.24 + 0.03 * fine, 0.22 + 0.03 * fine, 0.36)
    canvas.cover(depth - 7.0 - 0.7 * coarse, 0.04, 0.04, 0.05)
    marrow = np.minimum(depth - 8.6, 11.8 - depth) + 0.5 * coarse
    canvas.cover(marrow, 0.30, 0.22 + 0.04 * fine, 0.30)
    canvas.cover(depth - 13.0, 0.07, 0.09, 0.10)


def _brain(canvas: _Canvas, depth: Floats, gyri: Floats, fine: Floats, coarse: Floats) -> None:
    """Cortex folded along the zeros of a noise, white matter under it, deep grey nuclei, and the fissure between."""
    shallow = np.exp(-((np.clip(depth, 0, None) / 30.0) ** 2))
    # Distance to a fold in pixels, near enough: the noise changes by about one over its scale.
    fold = np.abs(gyri) * 6.0 + 30.0 * (1.0 - shallow) ** 2
    cortex = np.maximum(np.exp(-((depth / 4.0) ** 2)), np.exp(-((fold / 4.5) ** 2)))
    nuclei = sum(inside(canvas.ellipse(6.0, side * 24.0, (21.0, 11.0), side * 0.35)) for side in (-1.0, 1.0)) * (
        0.85 + 0.1 * coarse
    )
    matter = np.clip(np.maximum(cortex, nuclei), 0, 1)
    flair = 0.240 + 0.090 * matter + 0.010 * fine + 0.010 * coarse
    t1 = 0.300 - 0.085 * matter + 0.008 * fine + 0.010 * coarse
    canvas.cover(depth, t1, flair, t1 + 0.07 + 0.03 * np.clip(fine - 1.5, 0, 2))
    dark = 0.9 - fold + 0.6 * coarse
    canvas.cover(np.minimum(dark, depth), 0.10, 0.12, 0.13)
    middle = 1.1 - np.abs(canvas.x + 1.5 * np.sin(canvas.y / 23.0) + 0.7 * coarse)
    away = np.maximum(np.abs(canvas.y + 4.0) - 34.0, -6.0) * 0.4
    canvas.cover(np.minimum(np.minimum(middle, away), depth + 1.0), 0.09, 0.10, 0.30)
    # Sylvian fissures, running inwards and back.
    for side in (-1.0, 1.0):
        canvas.cover(canvas.ellipse(-6.0, side * 51.0, (2.4, 17.0), side * 0.55) + 0.6 * coarse, 0.08, 0.10, 0.20)


def _ventricles(canvas: _Canvas, fine: Floats) -> None:
    """Frontal and occipital horns with a bright rim, the third ventricle, and the corpus callosum before them."""
    horns = np.full_like(canvas.x, -np.inf)
    for side in (-1.0, 1.0):
        horns = np.maximum(horns, canvas.ellipse(-20.0, side * 10.0, (16.0, 4.0), side * -0.25))
        horns = np.maximum(horns, canvas.ellipse(30.0, side * 19.0, (18.0, 4.5), side * 0.38))
    horns = np.maximum(horns, canvas.ellipse(6.0, 0.0, (13.0, 2.0), 0.0))
    canvas.cover(horns + 2.2, 0.27, 0.36 + 0.01 * fine, 0.34)
    canvas.cover(horns, 0.07 + 0.005 * fine, 0.085 + 0.008 * fine, 0.11)


def _noise(where: Floats, scale: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise of unit variance, (n, n); scale: distance of its coefficients."""
    knots = np.arange(-2, FULL_SIZE / scale + 3, dtype=np.float32)
    weights = np.exp(-((where[:, np.newaxis] / np.float32(scale) - knots) ** 2) / np.float32(0.72))
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    noise = rng.standard_normal((len(knots), len(knots)), dtype=np.float32)
    return (weights @ noise @ weights.T).astype(np.float32)
