"""What chance gives each case of the Sunnybrook stand-in: a patient, a heart, a beat, and contours of it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reregister.data.phantoms.cardiac import Beat, contraction, ellipse, polar_curve
from reregister.data.phantoms.cardiac_cases import Case
from reregister.data.phantoms.short_axis import Chest, Ventricle

Floats = NDArray[np.floating[Any]]

#: Pixel sizes of the two kinds of scan at 256 pixels, millimetres; fewer pixels show the same field of view.
PIXELS = (1.2891, 1.3672)
_FULL_SIZE = 256
#: At 20 phases, counted from 1: end-diastole and end-systole lie between these.
_DIASTOLE, _SYSTOLE, _FULL_PHASES = (16, 20), (6, 10), 20
#: By group, ranges of: radius of the cavity and thickness of the wall at end-diastole (millimetres, middle of the heart),
#: and area of the cavity at end-systole over that at end-diastole. Ratios of 0.45 and 0.74 make a Dice before
#: registration of 0.62 and 0.85.
_HEARTS = {
    "SC-HF-I": ((24.0, 29.0), (8.0, 10.0), (0.60, 0.72)),
    "SC-HF-NI": ((24.0, 29.0), (8.0, 10.0), (0.58, 0.70)),
    "SC-HYP": ((20.0, 23.0), (12.0, 15.0), (0.46, 0.56)),
    "SC-N": ((22.0, 25.0), (8.0, 10.0), (0.47, 0.60)),
}
#: The case whose apex bulges: its lowest contoured slice is larger at end-systole, so a slice alone tells no phase.
BULGING, _BULGE = "SC-HF-I-5", 1.06
#: Departures of the endocardium from a circle: waves around it, and their largest share of the radius.
_WOBBLE = {2: 0.03, 3: 0.025, 5: 0.012}
#: Share of the cases with papillary contours.
_PAPILLARY_SHARE = 0.4


@dataclass(frozen=True)
class Patient:
    """Draws of one case. pixel: millimetres at the size in hand. end_diastole, end_systole: phases from 0.

    contraction: (phases,), see `cardiac.contraction`. prefix: `IM-000k` of the image files. papillary: whether the
    papillary muscles were contoured.
    """

    chest: Chest
    pixel: float
    spacing: float
    end_diastole: int
    end_systole: int
    contraction: Floats
    prefix: str
    papillary: bool


@dataclass(frozen=True)
class Slice:
    """One slice. ratio: area of the cavity at end-systole over that at end-diastole. contoured: not basal, not apical."""

    heart: Ventricle
    ratio: float
    contoured: bool

    def beat(self, contraction: float) -> Beat:
        """The frame at which the beat has gone so far: 0 at end-diastole, 1 at end-systole."""
        heart = self.heart
        return Beat(heart.centre, heart.shape, heart.inner**2, heart.outer**2, self.ratio**contraction)


def draw_patient(case: Case, size: int, phases: int, rng: np.random.Generator) -> Patient:
    """Draw what the slices of a case share; size: pixels along each side. Other sizes draw the same patient."""
    facing = -math.pi / 2 + rng.uniform(-0.5, 0.4)
    chest = Chest(facing, facing - rng.uniform(1.1, 1.7), rng.uniform(68, 85), rng.uniform(8, 15), rng.random() < 0.4)
    pixel = PIXELS[int(rng.integers(2))] * _FULL_SIZE / size
    first, last = (int(rng.integers(low, high + 1)) for low, high in (_DIASTOLE, _SYSTOLE))
    end_diastole, end_systole = (math.ceil(phase * phases / _FULL_PHASES) - 1 for phase in (first, last))
    return Patient(
        chest=chest,
        pixel=pixel,
        spacing=float(rng.choice([8.0, 10.0])),
        end_diastole=end_diastole,
        end_systole=end_systole,
        contraction=contraction(phases, end_diastole, end_systole),
        prefix=f"IM-{rng.integers(1, 13):04d}",
        papillary=bool(rng.random() < _PAPILLARY_SHARE),
    )


def draw_slices(
    case: Case, patient: Patient, count: int, size: int, rng: np.random.Generator
) -> tuple[list[Slice], Ventricle]:
    """Draw the slices of a case from base to apex, and a long-axis view of its heart, for the sibling series."""
    (radius, thickness, ratio) = (rng.uniform(*span) for span in _HEARTS[case.group])
    centre = (size - 1) / 2 + rng.uniform(-8.0, 8.0, 2) / patient.pixel
    drift = rng.uniform(-7.0, 7.0, 2) / patient.pixel
    shape = ellipse(1 + rng.uniform(0.0, 0.07), rng.uniform(0, math.pi))
    *turns, epi_turn = rng.uniform(0, 2 * math.pi, 4)
    basal, apical = max(1, round(count / 6)), max(1, round(count / 12))
    slices = []
    for number in range(count):
        depth = number / (count - 1)
        inner = radius * math.sqrt(1 - (0.8 * depth) ** 2) / patient.pixel
        outer = inner + thickness * (1 - 0.15 * depth) / patient.pixel
        contoured = basal <= number < count - apical
        if number >= count - apical:
            inner *= 0.6
        bulges = case.name == BULGING and number == count - apical - 1 and number > basal
        endo = [(m, w, p) for m, w, p in zip(_WOBBLE, rng.uniform(0, list(_WOBBLE.values())), turns, strict=True)]
        heart = Ventricle(
            centre=centre + drift * depth,
            shape=shape,
            inner=inner,
            outer=outer,
            endo=endo,
            epi=[(3, float(rng.uniform(0, 0.015)), float(epi_turn))],
            papillary=_papillary(centre + drift * depth, inner, patient.chest.right, rng),
            open_at=None if number >= basal else patient.chest.right + float(rng.uniform(-0.5, 0.5)),
        )
        slices.append(Slice(heart, _BULGE if bulges else ratio * float(rng.uniform(0.97, 1.03)), contoured))
    middle = slices[0].heart
    long_axis = Ventricle(
        middle.centre, ellipse(1.35, patient.chest.right), middle.inner, middle.outer, [], [], np.zeros((0, 3)), None
    )
    return slices, long_axis


def contours(patient: Patient, cut: Slice, phase: int) -> dict[str, Floats]:
    """Contours of one frame by their letter, each (P, 2) row and column, pixels; none away from the two phases.

    `i` endocardium at both, `o` epicardium at end-diastole alone, `p1` and `p2` papillary muscles of some cases.
    """
    if not cut.contoured or phase not in (patient.end_diastole, patient.end_systole):
        return {}
    heart, beat = cut.heart, cut.beat(float(patient.contraction[phase]))
    # At a sixth of a pixel apart on the circle, neighbours are less than half a pixel apart on any ellipse drawn here.
    angles = np.linspace(0, 2 * math.pi, math.ceil(2 * math.pi * heart.outer * 6), endpoint=False)
    found = {"i": polar_curve(beat, heart.inner, heart.endo, angles)}
    if phase == patient.end_diastole:
        found["o"] = polar_curve(beat, heart.outer, heart.epi, angles)
    if patient.papillary:
        circle = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
        for number, (row, column, radius) in enumerate(heart.papillary, start=1):
            found[f"p{number}"] = beat.invert(np.array([row, column]) + radius * circle)
    return found


def _papillary(centre: Floats, inner: float, right: float, rng: np.random.Generator) -> Floats:
    """Two muscles at the free wall, 55 degrees to either side of the direction away from the right ventricle."""
    angles = right + math.pi + np.array([-0.95, 0.95]) + rng.uniform(-0.15, 0.15, 2)
    places = centre + 0.62 * inner * np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    return np.column_stack([places, np.full(2, inner * rng.uniform(0.13, 0.18))])
