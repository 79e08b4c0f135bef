"""Layout of the Sunnybrook Cardiac Data: cases, their role in the 2009 challenge, their series and contour files.

Tables and file names: datasets.md section 4.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence

from reregister.data.archive import Archive
from reregister.errors import ReregisterError

#: Phases of a heart cycle: slice = (N - 1) // 20, phase = (N - 1) % 20 for the frame number N.
PHASES = 20

#: Slices of every case (numbers that are allowed) by its role in the 2009 challenge [Radau 2009].
SLICES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "train": {
        **{"SC-HF-I-1": (12,), "SC-HF-I-2": (13,), "SC-HF-I-4": (10,), "SC-HF-I-40": (11,)},
        **{"SC-HF-NI-3": (12,), "SC-HF-NI-4": (11,), "SC-HF-NI-34": (13,), "SC-HF-NI-36": (18,)},
        **{"SC-HYP-1": (9,), "SC-HYP-3": (8, 9), "SC-HYP-38": (12,), "SC-HYP-40": (16,)},
        **{"SC-N-2": (9,), "SC-N-3": (20,), "SC-N-40": (12,)},
    },
    "validation": {
        **{"SC-HF-I-5": (11,), "SC-HF-I-6": (11,), "SC-HF-I-7": (8,), "SC-HF-I-8": (12,)},
        **{"SC-HF-NI-7": (13,), "SC-HF-NI-11": (12,), "SC-HF-NI-31": (14,), "SC-HF-NI-33": (12,)},
        **{"SC-HYP-6": (10,), "SC-HYP-7": (12,), "SC-HYP-8": (12,), "SC-HYP-37": (11,)},
        **{"SC-N-5": (8,), "SC-N-6": (10,), "SC-N-7": (12,)},
    },
    "test": {
        **{"SC-HF-I-9": (14,), "SC-HF-I-10": (13,), "SC-HF-I-11": (12,), "SC-HF-I-12": (12,)},
        **{"SC-HF-NI-12": (14,), "SC-HF-NI-13": (11,), "SC-HF-NI-14": (14,), "SC-HF-NI-15": (11,)},
        **{"SC-HYP-9": (12,), "SC-HYP-10": (9,), "SC-HYP-11": (14,), "SC-HYP-12": (9,)},
        **{"SC-N-9": (10,), "SC-N-10": (12,), "SC-N-11": (9,)},
    },
}
ROLE_OF: Mapping[str, str] = {case: role for role, cases in SLICES.items() for case in cases}

#: Series to take where a case has several cines; several numbers are one stack in that order.
SERIES: Mapping[str, tuple[int, ...]] = {
    **{"SC-HF-I-1": (300,), "SC-HF-I-2": (300,), "SC-HF-NI-14": (303,), "SC-HF-NI-36": (400, 401, 402)},
    **{"SC-HYP-1": (600,), "SC-HYP-3": (303,), "SC-HYP-6": (1000,), "SC-HYP-7": (1200,), "SC-HYP-8": (1200,)},
    **{"SC-HYP-38": (400,), "SC-HYP-40": (404,)},
    **{"SC-N-6": (303,), "SC-N-9": (302,), "SC-N-10": (300,), "SC-N-40": (1100,)},
}

TABLE = "scd_patientdata.csv"
_IMAGE = r"(SCD\d{7})/CINESAX_(\d+)/[^/]*-(\d{4})\.dcm"
_CONTOUR = r"(SC-[A-Z-]+-\d+)/contours-manual/IRCCI-expert/[^/]*-(\d{4})-([io])contour-manual\.txt"

#: Member name by frame number N.
Frames = dict[int, str]


def read_cases(archive: Archive) -> dict[str, str]:
    """Case (SC-HF-I-1) by image folder (SCD0000101), in the order of the patient table; a byte order mark is no harm.

    Raises ReregisterError where the table is missing, lacks a column or names a case or folder twice.
    """
    found = [name for name, _ in archive.find(re.escape(TABLE))]
    if len(found) != 1:
        raise ReregisterError(f"The SCD data hold {len(found)} files {TABLE} where one is needed to name the cases.")
    rows = list(csv.DictReader(archive.read(found[0]).decode("utf-8-sig").splitlines(), skipinitialspace=True))
    if not rows or not {"PatientID", "OriginalID"} <= rows[0].keys():
        raise ReregisterError(f"{found[0]} has no rows with PatientID and OriginalID; fetch it again.")
    cases = {row["PatientID"].strip(): row["OriginalID"].strip() for row in rows}
    if len(cases) < len(rows) or len(set(cases.values())) < len(rows):
        raise ReregisterError(f"{found[0]} names a case twice; fetch it again.")
    return cases


def find_series(archive: Archive) -> dict[str, dict[int, Frames]]:
    """All short-axis cines: image folder to series number to frames, by directory name `CINESAX_<number>` alone.

    Raises ReregisterError where two files of a series have one number, or a number is 0.
    """
    found: dict[str, dict[int, Frames]] = {}
    for name, match in archive.find(_IMAGE):
        frames = found.setdefault(match[1], {}).setdefault(int(match[2]), {})
        _place(frames, int(match[3]), name)
    return found


def choose_series(
    case: str, found: Mapping[int, Frames], series: Mapping[str, Sequence[int]]
) -> tuple[Frames, list[str]]:
    """Frames of the series that a case is read from, and what is to be reported of the choice.

    found: its series. series: by case, as `SERIES`. A case with one series needs no entry. Several series of one stack
    keep their numbers where these are distinct, and are counted on from slice to slice where each starts anew.
    Raises ReregisterError where there are several series and none of them is named.
    """
    wanted = [number for number in series.get(case, ()) if number in found]
    notes = []
    if not wanted and len(found) > 1:
        has = ", ".join(f"CINESAX_{number}" for number in sorted(found))
        raise ReregisterError(f"{case} has the series {has} and none of them is named; add it to the table of series.")
    if case in series and len(wanted) < len(series[case]):
        absent = ", ".join(f"CINESAX_{number}" for number in series[case] if number not in found)
        notes.append(f"{case}: {absent} of the table of series is not there")
    chosen = wanted or list(found)
    if len(chosen) == 1:
        return dict(found[chosen[0]]), notes
    joined: Frames = {}
    distinct = sum(len(found[number]) for number in chosen) == len(set().union(*(found[number] for number in chosen)))
    for number in chosen:
        start = 0 if distinct or not joined else -(-max(joined) // PHASES) * PHASES
        joined |= {start + frame: name for frame, name in found[number].items()}
    notes.append(f"{case}: {len(chosen)} series make one stack of {len(joined)} frames")
    return joined, notes


def find_contours(archive: Archive) -> dict[str, dict[str, Frames]]:
    """Contour files by case (zeros of its number dropped) and kind, `i` or `o`; papillary contours are ignored.

    Raises ReregisterError where a frame has two contours of one kind.
    """
    found: dict[str, dict[str, Frames]] = {}
    for name, match in archive.find(_CONTOUR):
        case = re.sub(r"-0*(\d+)$", r"-\1", match[1])
        kinds = found.setdefault(case, {"i": {}, "o": {}})
        _place(kinds[match[3]], int(match[2]), name)
    return found


def numbers_text(numbers: Iterable[int]) -> str:
    """Numbers as text with their runs drawn together: `1-3, 7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def _place(frames: Frames, number: int, name: str) -> None:
    if number < 1:
        raise ReregisterError(f"{name} has the frame number 0; frames are counted from 1.")
    if number in frames:
        raise ReregisterError(f"{frames[number]} and {name} are both frame {number}; one of the two must go.")
    frames[number] = name
