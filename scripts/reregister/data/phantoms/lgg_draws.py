"""What chance gives each case of the LGG stand-in: a head, a tumour, the grey values of a scanner, and its slices.

Lengths and velocities are pixels of an image of 256 and are scaled to the size in hand, so that every size shows the
same heads.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reregister.data.phantoms.brain_slice import CENTRE, FULL_SIZE, HEAD
from reregister.data.phantoms.velocity import Deformations, VelocityFields, pixel_grid

Floats = NDArray[np.floating[Any]]

MODES = (6, 6)
#: The sine part vanishes on the faces of this box, so far outside the image.
_MARGIN = 8.0
#: Scales of a case: logarithmic size, turn (radians), slant, shift, first sine mode; mode (a, b) has 2 / (a^2 + b^2) of it.
_SIZE, _TURN, _SLANT, _SHIFT, _WAVE = 0.06, 0.06, 0.03, 3.0, 4.5
#: Scales of a slice beside its case: logarithmic size and first sine mode. Neighbours share `_KEPT` of them.
_SLICE_SIZE, _SLICE_WAVE, _KEPT = 0.008, 1.1, 0.5
#: Normal draws are cut off here, so that every displacement is bounded.
_CUT = 1.6
#: Share of the slices that have a tumour, as in the original (1,373 of 3,929).
_TUMOUR_SHARE = 0.35
#: Logarithmic size by which a tumour is less with each slice away from its largest, and at most.
_SHRINK, _MOST_SHRINK = 0.09, 0.36
#: Range of the greatest byte in FLAIR, as in the original.
_BRIGHTEST = (60, 252)


@dataclass(frozen=True)
class Tumour:
    """A tumour of the template. centre: (2,), radius: pixels of the full size. wobble: (order, share, phase) of waves
    around it. grey: FLAIR, share of the brightest; rough: how much texture moves its edge, pixels; shift: (2,) where
    its texture is taken from.
    """

    centre: Floats
    radius: float
    wobble: Sequence[tuple[int, float, float]]
    grey: float
    rough: float
    shift: Floats

    def distance(self, places: Floats, texture: Floats) -> Floats:
        """Distance inside the edge, near enough, at points (..., 2) of the full size; texture (...) roughens it."""
        y, x = np.moveaxis(places - self.centre.astype(places.dtype), -1, 0)
        angle = np.arctan2(y, x)
        waves = sum(share * np.cos(order * angle + phase) for order, share, phase in self.wobble)
        return self.radius * (1.0 + waves) - np.hypot(y, x) + self.rough * texture


@dataclass(frozen=True)
class Look:
    """Grey values of a case. brightest: greatest byte of FLAIR without noise; gamma: exponent of the grey values; noise:
    its standard deviation, bytes; missing: which of `pre`, `post` are copies of FLAIR.
    """

    brightest: float
    gamma: float
    noise: float
    missing: frozenset[str]


@dataclass(frozen=True)
class Head:
    """One case: its looks, tumour, one deformation per slice (pixels of the size in hand), and which have the tumour."""

    look: Look
    tumour: Tumour
    deformations: Deformations
    with_tumour: NDArray[np.bool_]


def draw_missing(cases: Sequence[str], rng: np.random.Generator) -> Mapping[str, frozenset[str]]:
    """Which sequences each case lacks: of 110, nine the post-contrast, and six of these the pre-contrast image too."""
    post, pre = (max(1, round(lacking * len(cases) / 110)) for lacking in (9, 6))
    order = rng.permutation(len(cases))[:post]
    lacking = {cases[row]: {"post"} | ({"pre"} if place < pre else set()) for place, row in enumerate(order)}
    return {case: frozenset(lacking.get(case, ())) for case in cases}


def draw_head(slices: int, size: int, missing: frozenset[str], rng: np.random.Generator) -> Head:
    """Draw one case of so many slices for images of `size` pixels along each side."""
    scale = (size - 1) / (FULL_SIZE - 1)
    look = Look(rng.uniform(*_BRIGHTEST), rng.uniform(0.85, 1.2), 0.0, missing)
    look = Look(look.brightest, look.gamma, look.brightest * rng.uniform(0.008, 0.02), missing)
    tumour = _draw_tumour(rng)
    count = max(2, round(slices * _TUMOUR_SHARE))
    first = int(rng.integers(0, slices - count + 1))
    largest = first + int(rng.integers(0, count - 1))
    numbers = np.arange(slices)
    growth = np.minimum(np.abs(numbers - largest) * _SHRINK, _MOST_SHRINK)
    linear, sine = _draw_slices(slices, rng)
    # psi leads from the image to the template: what spreads there is smaller in the image.
    sine = sine + growth[:, np.newaxis, np.newaxis, np.newaxis] * _spreading(tumour)
    shift = _normal(rng, 2) * _SHIFT
    extent = np.full(2, FULL_SIZE - 1 + 2 * _MARGIN)
    fields = VelocityFields(
        linear, sine * scale, np.full(2, CENTRE * scale), np.full(2, -_MARGIN * scale), extent * scale
    )
    return Head(
        look=look,
        tumour=tumour,
        deformations=Deformations(fields, np.tile(shift * scale, (slices, 1))),
        with_tumour=(numbers >= first) & (numbers < first + count),
    )


def _draw_slices(slices: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Linear (n, 2, 2) and sine (n, 2, *MODES) parts: those of the case, and what makes each slice differ a little."""
    modes = 2 / (np.arange(1, MODES[0] + 1)[:, np.newaxis] ** 2 + np.arange(1, MODES[1] + 1) ** 2)
    rows, columns, turn, slant = _normal(rng, 4) * (_SIZE, _SIZE, _TURN, _SLANT)
    linear = np.array([[rows, -turn], [turn + slant, columns]])
    sine = _normal(rng, 2, *MODES) * _WAVE * modes
    sizes, waves = [_normal(rng, 1)], [_normal(rng, 2, *MODES)]
    for _ in range(slices - 1):
        for values in (sizes, waves):
            values.append(_KEPT * values[-1] + math.sqrt(1 - _KEPT**2) * _normal(rng, *values[-1].shape))
    own = np.array(sizes)[:, np.newaxis] * _SLICE_SIZE * np.eye(2)
    return linear + own, sine + np.array(waves) * _SLICE_WAVE * modes


def _draw_tumour(rng: np.random.Generator) -> Tumour:
    side, angle = rng.choice([-1.0, 1.0]), rng.uniform(-1.1, 1.1)
    half = np.array(HEAD) - 15.0
    away = rng.uniform(0.5, 0.68)
    centre = CENTRE + half * away * np.array([math.sin(angle), side * math.cos(angle)])
    wobble = [
        (order, rng.uniform(0, share), rng.uniform(0, 2 * math.pi)) for order, share in ((2, 0.2), (3, 0.15), (5, 0.08))
    ]
    return Tumour(
        centre=centre,
        radius=float(rng.uniform(20.0, 42.0)),
        wobble=wobble,
        grey=float(rng.uniform(0.42, 0.62)),
        rough=float(rng.uniform(1.0, 3.0)),
        shift=rng.uniform(-30.0, 30.0, 2),
    )


def _spreading(tumour: Tumour) -> Floats:
    """Sine coefficients (2, *MODES) that best spread the tumour's surroundings away from its centre, at unit rate."""
    length = FULL_SIZE - 1 + 2 * _MARGIN
    nodes = 64
    grid = (pixel_grid((nodes, nodes)) + 0.5) * (length / nodes) - _MARGIN
    away = grid - tumour.centre
    wide = 1.5 * tumour.radius + 10.0
    field = away * np.exp(-((away**2).sum(axis=-1, keepdims=True)) / (2 * wide**2))
    waves = np.sin(np.pi * np.arange(1, MODES[0] + 1)[:, np.newaxis] * (np.arange(nodes) + 0.5) / nodes)
    # The sines are orthogonal on these nodes, so that the best fit is a projection.
    return np.einsum("ai,bj,ijk->kab", waves, waves, field) * (2 / nodes) ** 2


def _normal(rng: np.random.Generator, *shape: int) -> Floats:
    return np.clip(rng.standard_normal(shape), -_CUT, _CUT)
