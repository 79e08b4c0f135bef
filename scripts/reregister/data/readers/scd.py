"""Reader of SCD: short-axis cines of 45 cases, 20 phases a slice, and the cavity at ED and ES (datasets.md section 4)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reregister.data.archive import Archive
from reregister.data.scd.contours import read_contours
from reregister.data.scd.layout import (
    PHASES,
    ROLE_OF,
    SERIES,
    SLICES,
    TABLE,
    choose_series,
    find_contours,
    find_series,
    numbers_text,
    read_cases,
)
from reregister.data.scd.reading import Case, Reading
from reregister.errors import ReregisterError

#: What the original holds: image size, and the slices of every case by its role in the 2009 challenge.
ORIGINAL: Mapping[str, Any] = {"shape": (256, 256), "slices": SLICES}


def read(
    members: Mapping[str, Path],
    sha256: Mapping[str, str],
    expect: Mapping[str, Any],
    series: Mapping[str, Sequence[int]] = SERIES,
) -> Reading:
    """Find cases, series and contours; images are decoded when the result is iterated, masks when it is asked for them.

    members: the official archives by name, or the files of an extracted folder by their path in it, or folders.
    sha256: digests by the same names; files that are not in it are hashed as they are read.
    expect: what to insist on, keys as in `ORIGINAL`, each optional; empty takes what is there.
    series: short-axis series of the cases that have several, chosen by directory name, never by SeriesDescription.
    Returns a `Reading` to be used as a context manager and given to `write_store`. A case is read where the
    patient table names it and it has a cine; its split is its role in the 2009 challenge. Of a slice that lacks frames
    only those with an i-contour are kept. What is missing or was decided stands in `Reading.report`.
    Raises ReregisterError for an unusable archive, table or contour, a choice of series that is open, no case at all,
    and deviations from `expect`.
    """
    archive = Archive(members)
    try:
        reading = _plan(archive, sha256, series)
        deviations = check_counts(reading.slices, reading.shape if "shape" in expect else None, expect)
        if deviations:
            raise ReregisterError(f"The SCD files are not what they are said to be: {'; '.join(deviations)}.")
    except BaseException:
        archive.close()
        raise
    return reading


def check_counts(
    slices: Mapping[str, int], shape: Sequence[int] | None = None, expect: Mapping[str, Any] = ORIGINAL
) -> list[str]:
    """Deviations from the split of the 2009 challenge and its slice counts, as clauses.

    slices: slices by case, incomplete ones counted, as `Reading.slices`; shape: (H, W), None leaves it unchecked;
    expect: as for `read`. An empty list means none. What to make of them is the caller's.
    """
    deviations = []
    if shape is not None and "shape" in expect and tuple(shape) != tuple(expect["shape"]):
        deviations.append(f"images have {_times(shape)} pixels, not {_times(expect['shape'])}")
    for role, cases in expect.get("slices", {}).items():
        absent = [case for case in cases if case not in slices]
        if absent:
            deviations.append(
                f"{role} has {len(cases) - len(absent)} of {len(cases)} cases, without {', '.join(absent)}"
            )
        for case, allowed in cases.items():
            if case in slices and slices[case] not in allowed:
                wanted = " or ".join(str(count) for count in allowed)
                deviations.append(f"{case} ({role}) has {slices[case]} slices, not {wanted}")
    return deviations


def _plan(archive: Archive, sums: Mapping[str, str], series: Mapping[str, Sequence[int]]) -> Reading:
    names, found, contours = read_cases(archive), find_series(archive), find_contours(archive)
    report = [f"{folder} is not in {TABLE} and is left out" for folder in sorted(found.keys() - names.keys())]
    cases = []
    for folder, name in names.items():
        if folder not in found:
            continue
        if name not in ROLE_OF:
            report.append(f"{name} is in no group of the 2009 challenge and is left out")
            continue
        frames, notes = choose_series(name, found[folder], series)
        case = Case(name, ROLE_OF[name], frames, read_contours(archive, name, contours.get(name, {})))
        cases.append(case)
        report += [*notes, *case.contours.notes, *_gaps(case)]
    if not any(case.stored(place) for case in cases for place in range(case.slices)):
        raise ReregisterError(
            f"The SCD data hold no usable short-axis series (SCD.../CINESAX_...) of a case in {TABLE}; "
            "check that the archives SCD_IMAGES_01 to 05, or their extracted folders, are named."
        )
    return Reading(archive, cases, sums, report, lambda found: check_counts(found.slices, found.shape))


def _gaps(case: Case) -> list[str]:
    """Missing frames by case and frame, and contours whose image is missing."""
    notes = []
    if len(case.frames) % PHASES:
        notes.append(f"{case.name}: its series has {len(case.frames)} images, no multiple of {PHASES}")
    for place in range(case.slices):
        present = case.present(place)
        if len(present) < PHASES:
            lacking = set(range(place * PHASES + 1, (place + 1) * PHASES + 1)) - set(present)
            kept = numbers_text(case.stored(place))
            notes.append(
                f"{case.name}: slice {place + 1} lacks the frames {numbers_text(lacking)}; "
                + (f"of it the contoured frames {kept} are kept" if kept else "it is left out")
            )
    lost = (case.contours.endo.keys() | case.contours.epi.keys()) - case.frames.keys()
    if lost:
        notes.append(f"{case.name}: the contoured frames {numbers_text(lost)} have no image")
    return notes


def _times(shape: Sequence[int]) -> str:
    return " x ".join(str(size) for size in shape)
