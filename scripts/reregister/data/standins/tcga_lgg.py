"""Stand-in of the LGG segmentation set: the Kaggle archive of synthetic heads with tumours, and their deformations.

image_i(x) = T_c(psi_i(x)) plus noise, psi_i(x) = exp(v_i)(x + t_c), with one anatomy for all cases c: T_c is the
common template with the tumour and the grey values of the case. So the truth between two cases is that of their anatomy;
their tumours do not correspond. Slices of a case differ by a small psi, cases by a large one. Ids are those of the
reader. Nothing made from this archive may be set beside a published number.
"""

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.phantoms.brain_slice import paint
from reregister.data.phantoms.cine_files import add_member
from reregister.data.phantoms.lgg_draws import Head, draw_head, draw_missing
from reregister.data.phantoms.lgg_slices import Tally, slices_of, tiff
from reregister.data.phantoms.truth import read_truth, rows_of
from reregister.data.phantoms.velocity import Deformations, VelocityFields, compose_ddf, pixel_grid
from reregister.data.tcga_lgg.cases import SLICES
from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path
from reregister.tables import write_arrays

ARCHIVE = "lgg-mri-segmentation.zip"
#: `slices_per_case` is what a case of 36 slices gets, the number that is most frequent.
_TYPICAL_SLICES, _FEWEST_SLICES = 36, 2
_SMALLEST = 32
_PAIRS_AT_ONCE = 16
_FIELDS = ("linear", "sine", "centre", "origin", "extent")
_DATA_HEADER = (
    "Patient,RNASeqCluster,MethylationCluster,miRNACluster,CNCluster,RPPACluster,OncosignCluster,COCCluster,"
    "histological_type,neoplasm_histologic_grade,tumor_tissue_site,laterality,tumor_location,gender,"
    "age_at_initial_pathologic,race,ethnicity,death01\n"
)
_README = """# Stand-in of the LGG segmentation dataset

Synthetic images written by reregister in the layout of the original: no patient, no scan, no clinical data.
Channels are pre-contrast, FLAIR and post-contrast; a missing sequence is a copy of FLAIR. Masks are 0 and 255.
"""


def write(
    outputs: Mapping[str, Path], truth: Path, size: int, slices_per_case: int, cases: int, seed: int
) -> dict[str, float]:
    """Write `lgg-mri-segmentation.zip` (path by that name) and the truth file (.npz); same seed, same bytes.

    size: pixels along each side of every image (the original has 256). slices_per_case: slices of a case that has 36,
    the others in proportion, two at least, of which at least two neighbours have a tumour. cases: how many of the 110,
    spread evenly over them in sorted order, so that the sites keep their shares.
    The truth holds, per slice: id, linear, sine and translation; in common: centre, origin, extent of the fields, size,
    and the statistics.
    Returns the statistics: largest_displacement_px and mean_displacement_px of every psi on the head, min_determinant of
    every psi on the pixel grid, and slices. Raises ReregisterError for a size below 32, slices below 1 and cases not
    between 2 and 110, and ValueError where a psi folds.
    """
    for name, value, least, most in (
        ("size", size, _SMALLEST, None),
        ("slices_per_case", slices_per_case, 1, None),
        ("cases", cases, 2, len(SLICES)),
    ):
        if value < least or (most is not None and value > most):
            allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise ReregisterError(f"The LGG stand-in needs {name} {allowed}, not {value}.")
    chosen = choose_cases(cases)
    rng = np.random.default_rng(seed)
    raster, missing = paint(size, rng), draw_missing(chosen, rng)
    ids: list[str] = []
    heads: list[Head] = []
    tally = Tally()
    with atomic_path(outputs[ARCHIVE]) as path, zipfile.ZipFile(path, "w") as archive:
        for case in chosen:
            own = np.random.default_rng([seed, list(SLICES).index(case)])
            count = max(_FEWEST_SLICES, round(SLICES[case] * slices_per_case / _TYPICAL_SLICES))
            heads.append(draw_head(count, size, missing[case], own))
            for number, (image, mask) in enumerate(slices_of(heads[-1], raster, size, tally, own), start=1):
                ids.append(f"{case}_{number}")
                add_member(archive, f"kaggle_3m/{case}/{ids[-1]}.tif", tiff(image))
                add_member(archive, f"kaggle_3m/{case}/{ids[-1]}_mask.tif", tiff(mask))
        patients = [case.rpartition("_")[0] for case in chosen]
        rows = [f"{patient}{',' * _DATA_HEADER.count(',')}\n" for patient in patients]
        add_member(archive, "kaggle_3m/data.csv", "".join([_DATA_HEADER, *rows]).encode("ascii"))
        add_member(archive, "kaggle_3m/README.md", _README.encode("ascii"))
    statistics = tally.statistics()
    fields = [head.deformations.fields for head in heads]
    arrays = {
        "id": np.array(ids),
        "size": np.array(size),
        "linear": np.concatenate([field.linear for field in fields]),
        "sine": np.concatenate([field.sine for field in fields]),
        "translation": np.concatenate([head.deformations.translations for head in heads]),
        "centre": fields[0].centre,
        "origin": fields[0].origin,
        "extent": fields[0].extent,
    }
    write_arrays(truth, arrays | statistics)
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
    Returns ddf float32 (P, 2, H, W), pixels, pull-back on the fixed grid; and exact (P,), True for every pair, since all
    slices show one anatomy (the tumours of two cases do not correspond, whatever the field).
    Raises ReregisterError for a file that is no truth file, an id that it lacks and a wrong shape.
    """
    known = read_truth(truth_path, "LGG", ("id", "size", "translation", *_FIELDS))
    size = (int(known["size"]),) * 2
    moving, fixed = (rows_of(truth_path, known["id"].tolist(), ids, size, shape) for ids in (moving_ids, fixed_ids))
    if len(moving) != len(fixed):
        raise ValueError(f"{len(moving)} moving and {len(fixed)} fixed ids are no pairs")
    every = Deformations(VelocityFields(*(known[name] for name in _FIELDS)), known["translation"])
    ddf = np.empty((len(moving), 2, *size), dtype=np.float32)
    for start in range(0, len(moving), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        ddf[part] = compose_ddf(every.take(moving[part]), every.take(fixed[part]), pixel_grid(size))
    return ddf, np.ones(len(moving), dtype=bool)


def choose_cases(count: int) -> list[str]:
    """So many of the 110 cases, evenly spread over their sorted names."""
    rows = np.round(np.linspace(0, len(SLICES) - 1, count)).astype(int)
    return [list(SLICES)[row] for row in rows]
