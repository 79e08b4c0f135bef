"""Contours of one SCD case: which phases are end-diastole and end-systole, and whether the epicardium is its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reregister.data.archive import Archive
from reregister.data.contours import overlap_pixels, parse_contour, polygon_area
from reregister.data.scd.layout import PHASES, Frames, numbers_text

#: Share of the endocardium that must lie within the epicardium of the same frame (datasets.md 4.3).
INSIDE = 0.99

Contours = dict[int, NDArray[np.float64]]


@dataclass(frozen=True)
class CaseContours:
    """endo, epi: points (K, 2) by frame number; ed, es: phases from 0, None where unknown; notes: what to report."""

    endo: Contours = field(default_factory=dict)
    epi: Contours = field(default_factory=dict)
    ed: int | None = None
    es: int | None = None
    notes: list[str] = field(default_factory=list)

    def mark(self, phase: int) -> str:
        """`ED`, `ES` or empty, for a phase counted from 0."""
        return "ED" if phase == self.ed else "ES" if phase == self.es else ""


def read_contours(archive: Archive, case: str, files: Mapping[str, Frames]) -> CaseContours:
    """Contours of a case; o-contours that do not enclose its i-contours are dropped and reported.

    files: names by kind (`i`, `o`) and frame. Raises ReregisterError for an empty or malformed file (name, line).
    """
    endo, epi = (
        {number: parse_contour(archive.read(name), name) for number, name in files.get(kind, {}).items()}
        for kind in ("i", "o")
    )
    notes = []
    reason = foreign_epicardium(endo, epi)
    if reason:
        epi = {}
        notes.append(f"{case}: its o-contours are dropped as those of another case, {reason}")
    ed, es, remarks = assign_phases(endo, epi)
    return CaseContours(endo, epi, ed, es, notes + [f"{case}: {remark}" for remark in remarks])


def foreign_epicardium(endo: Contours, epi: Contours) -> str | None:
    """Why the o-contours of a case cannot be its own, None where they can: they must hold 99 % of the endocardium."""
    common = endo.keys() & epi.keys()
    if not epi or not endo:
        return None
    if not common:
        return "no frame with an o-contour has an i-contour"
    inside, total = np.sum([overlap_pixels(endo[number], epi[number]) for number in sorted(common)], axis=0)
    if inside > INSIDE * total:
        return None
    return f"only {inside / max(total, 1):.1%} of the endocardium lies within them"


def assign_phases(endo: Contours, epi: Contours) -> tuple[int | None, int | None, list[str]]:
    """Phases (from 0) of end-diastole and end-systole of a case, and remarks.

    ED is the phase whose frames carry o-contours; where these are missing or in several phases, the one of the larger
    total i-area among the two phases with most i-contours. ES is, of the others, the one with most i-contours. Decided
    for the case as a whole: apical slices may be smaller at ED (datasets.md 4.2).
    """
    areas: dict[int, float] = {}
    counts: dict[int, int] = {}
    for number, points in endo.items():
        phase = (number - 1) % PHASES
        areas[phase] = areas.get(phase, 0.0) + polygon_area(points)
        counts[phase] = counts.get(phase, 0) + 1
    if len(areas) < 2:
        return None, None, [f"i-contours in {len(areas)} phase(s), so end-diastole and end-systole are unknown"]
    remarks = []
    ranked = sorted(areas, key=lambda phase: (-counts[phase], -areas[phase], phase))
    carrying = {(number - 1) % PHASES for number in epi}
    if len(carrying) == 1 and carrying <= areas.keys():
        ed = carrying.pop()
    else:
        ed = max(ranked[:2], key=lambda phase: areas[phase])
        where = f"in the phases {_from_one(carrying)}" if carrying else "missing"
        remarks.append(f"o-contours are {where}, so end-diastole is phase {ed + 1} by area")
    es = next(phase for phase in ranked if phase != ed)
    if areas[es] >= areas[ed]:
        remarks.append(
            f"the cavity is larger in phase {es + 1} than at end-diastole, phase {ed + 1}, of the o-contours"
        )
    stray = areas.keys() - {ed, es}
    if stray:
        remarks.append(
            f"i-contours beside end-diastole {ed + 1} and end-systole {es + 1} in the phases {_from_one(stray)}"
        )
    return ed, es, remarks


def _from_one(phases: set[int]) -> str:
    return numbers_text(phase + 1 for phase in phases)
