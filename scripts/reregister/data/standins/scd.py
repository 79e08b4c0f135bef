"""Stand-in of the Sunnybrook Cardiac Data: the official archives of synthetic beating hearts, and their exact motion.

image_t(x) = T(psi_t(x)) plus noise, with one template T per slice, painted as it is at end-diastole. Ids are those of
the reader, `SC-HF-I-1_s03_p08`: case, slice and phase, both from 1. Nothing made from these files may be set beside a
published number.
"""

import os
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.phantoms.cardiac import Beat, pair_ddf
from reregister.data.phantoms.cardiac_cases import Case, cases
from reregister.data.phantoms.cardiac_draws import draw_patient, draw_slices
from reregister.data.phantoms.cardiac_members import contour_files, image_files
from reregister.data.phantoms.cine_files import add_member
from reregister.data.phantoms.truth import read_truth, rows_of
from reregister.data.phantoms.velocity import pixel_grid
from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path
from reregister.tables import write_arrays

IMAGE_ARCHIVES = tuple(f"SCD_IMAGES_{number:02d}.zip" for number in range(1, 6))
CONTOUR_ARCHIVE, TABLE = "SCD_ManualContours.zip", "scd_patientdata.csv"
_CASES_PER_ARCHIVE = 9
#: `slices_per_case` is what a case of twelve slices gets; fewer than three leave no slice between base and apex.
_TYPICAL_SLICES, _FEWEST_SLICES = 12, 3
_SMALLEST, _FEWEST_PHASES = 32, 4
_MOTION = ("centre", "shape", "inner", "outer", "ratio")


def write(
    outputs: Mapping[str, Path], truth: Path, size: int, slices_per_case: int, phases: int, seed: int
) -> dict[str, float]:
    """Write the seven official files (paths by official name) and the truth file (.npz); same seed, same bytes.

    size: pixels along each side of every image, over the same field of view of 330 or 350 mm (the original has 256).
    slices_per_case: slices of a case that has twelve (the original has 12), the others in proportion, three at least.
    phases: frames per slice (the original has 20).
    The truth holds, per frame: id, centre, shape, inner, outer and ratio of its `Beat`; in common: size, statistics.
    Returns the statistics: largest_displacement_px of psi, min_determinant of psi, both exact and over all frames, and
    frames. Raises ReregisterError for a size below 32, slices below 1 or phases below 4.
    """
    for name, value, least in (
        ("size", size, _SMALLEST),
        ("slices_per_case", slices_per_case, 1),
        ("phases", phases, _FEWEST_PHASES),
    ):
        if value < least:
            raise ReregisterError(f"The SCD stand-in needs {name} of at least {least}, not {value}.")
    beats: dict[str, Beat] = {}
    with ExitStack() as stack:
        paths = {name: stack.enter_context(atomic_path(path)) for name, path in outputs.items()}
        archives = {
            name: stack.enter_context(zipfile.ZipFile(paths[name], "w")) for name in (*IMAGE_ARCHIVES, CONTOUR_ARCHIVE)
        }
        rows = ["PatientID,OriginalID,Gender,Age,Pathology\n"]
        for case in cases():
            rng = np.random.default_rng([seed, case.row])
            rows.append(_table_row(case, rng))
            patient = draw_patient(case, size, phases, rng)
            count = max(_FEWEST_SLICES, round(case.slices * slices_per_case / _TYPICAL_SLICES))
            slices, long_axis = draw_slices(case, patient, count, size, rng)
            for name, content in contour_files(case, patient, slices):
                add_member(archives[CONTOUR_ARCHIVE], f"SCD_ManualContours/{name}", content)
            archive = IMAGE_ARCHIVES[case.row // _CASES_PER_ARCHIVE]
            for name, content in image_files(case, patient, slices, long_axis, size, f"{seed}", beats, rng):
                add_member(archives[archive], f"{archive.removesuffix('.zip')}/{case.patient}/{name}", content)
        paths[TABLE].write_bytes("".join(rows).encode("ascii"))
        for opened in archives.values():
            opened.close()
    statistics = _statistics(list(beats.values()))
    arrays = {name: np.array([getattr(beat, name) for beat in beats.values()]) for name in _MOTION}
    write_arrays(truth, {"id": np.array(list(beats)), "size": np.array(size)} | arrays | statistics)
    return statistics


def truth_ddf(
    truth_path: str | os.PathLike[str],
    moving_ids: Sequence[str],
    fixed_ids: Sequence[str],
    shape: Sequence[int],
    subjects: pd.DataFrame | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Exact displacement fields of P pairs of the stand-in, psi_moving^-1(psi_fixed(x)) - x (datasets.md section 7).

    shape: (H, W) of the images, a check that the pairs live on the pixel grid of the stand-in. subjects: the store's
    table, which is of no use here, since images are stored on the grid on which they were made.
    Returns ddf float32 (P, 2, H, W), pixels, pull-back on the fixed grid; and exact (P,), False where the two frames
    are of different slices: their ddf is NaN.
    Raises ReregisterError for a file that is no truth file, an id that it lacks and a wrong shape.
    """
    known = read_truth(truth_path, "SCD", ("id", "size", *_MOTION))
    size = (int(known["size"]),) * 2
    rows = [rows_of(truth_path, known["id"].tolist(), ids, size, shape) for ids in (moving_ids, fixed_ids)]
    pairs = list(zip(moving_ids, fixed_ids, strict=True))
    exact = np.array([_slice_of(moving) == _slice_of(fixed) for moving, fixed in pairs], dtype=bool)
    ddf = np.full((len(pairs), 2, *size), np.nan, dtype=np.float32)
    grid = pixel_grid(size)
    for number in np.flatnonzero(exact):
        moving, fixed = (Beat(*(known[name][chosen[number]] for name in _MOTION)) for chosen in rows)
        ddf[number] = pair_ddf(moving, fixed, grid)
    return ddf, exact


def _slice_of(identity: str) -> str:
    return identity.rpartition("_p")[0]


def _table_row(case: Case, rng: np.random.Generator) -> str:
    # Drawn, not copied: these are no persons.
    gender, age = ("Male", "Female")[int(rng.integers(2))], rng.integers(20, 90)
    return f"{case.patient},{case.name},{gender},{age},{case.pathology}\n"


def _statistics(beats: Sequence[Beat]) -> dict[str, float]:
    largest = max(beat.largest_displacement for beat in beats)
    return {
        "largest_displacement_px": largest,
        "min_determinant": min(beat.min_determinant for beat in beats),
        "frames": float(len(beats)),
    }
