"""Stand-in of IBSR V2.0: the official archive of 18 synthetic heads, and the deformations that made them.

image_i(x) = T(psi_i(x)) with field and noise of a scanner, psi_i(x) = exp(v_i)(x + t_i), x in LPS millimetres of the
file, with one anatomy T. A smaller archive shows smaller heads, so that spacings stay those of the original. Nothing
made from these files may be set beside a published number.
"""

import gzip
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.ibsr.layout import NAMES
from reregister.data.phantoms.head_anatomy import Anatomy, Floats, make_anatomy
from reregister.data.phantoms.head_draws import bias_field, draw_heads, psi_on_grid
from reregister.data.phantoms.head_files import add_member, nifti_gz, pair_fields, size_statistics, write_truth
from reregister.data.phantoms.velocity import Deformations
from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path

ARCHIVE = "IBSR_V2.0_nifti_stripped.tgz"
SUBJECTS = tuple(f"IBSR_{number:02d}" for number in range(1, 19))
#: Samples along the first and last axis of the original, where a head has the size of an adult's; the second has half.
_FULL, _SMALLEST = 256, 64
#: Spacing in the plane, mm, by turns, and between planes, the second axis.
_IN_PLANE, _BETWEEN = (0.8371, 0.9375, 1.0), 1.5
#: Share of the subjects that have no label 24.
_WITHOUT_CSF = 1 / 3
_BRIGHTEST, _BIAS, _NOISE = (700.0, 1100.0), 0.04, 0.02
_CSF = (4, 5, 14, 15, 24, 43, 44)
_WHITE = (2, 7, 16, 28, 41, 46, 60)


def write(
    outputs: Mapping[str, Path], truth: Path, size: int, seed: int, anatomy: Path | None = None
) -> dict[str, float]:
    """Write the archive (its path by official name) and the truth file (.npz); same seed, same bytes.

    size: samples along the first and last axis, even, at least 64 (the original has 256); the second has half.
    anatomy: a label map of SynthSeg's training set; None takes the parametric head.
    The truth holds, per subject: id, linear, sine and translation; in common: centre, origin, extent, and statistics.
    Returns the statistics: largest_displacement_mm and mean_displacement_mm of every psi in the brain, and
    min_determinant. Raises ReregisterError for another size or an unusable anatomy, and ValueError where a psi folds.
    """
    if size < _SMALLEST or size % 2:
        raise ReregisterError(f"The IBSR stand-in needs an even size of at least {_SMALLEST}, not {size}.")
    scale = size / _FULL
    rng = np.random.default_rng([seed, 0])
    head = make_anatomy(scale, seed, anatomy)
    deformations = draw_heads(len(SUBJECTS), scale, rng)
    statistics = size_statistics(head, deformations)
    without_csf = set(rng.permutation(len(SUBJECTS))[: round(len(SUBJECTS) * _WITHOUT_CSF)].tolist())
    with (
        atomic_path(outputs[ARCHIVE]) as path,
        open(path, "wb") as file,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for row, subject in enumerate(SUBJECTS):
            own = np.random.default_rng([seed, 1, row])
            affine = _affine(size, _IN_PLANE[row % 3], scale, own)
            volumes = _volumes(head, deformations.take([row]), affine, size, row in without_csf, own)
            for kind, values in volumes:
                name = f"IBSR_nifti_stripped/{subject}/{subject}_{kind}.nii.gz"
                add_member(archive, name, nifti_gz(values[..., np.newaxis], affine))
    write_truth(truth, SUBJECTS, deformations, statistics)
    return statistics


def truth_ddf(
    truth_path: str | os.PathLike[str],
    moving_ids: Sequence[str],
    fixed_ids: Sequence[str],
    shape: Sequence[int],
    subjects: pd.DataFrame,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Exact displacement fields of P pairs of the stand-in, psi_moving^-1(psi_fixed(x)) - x (datasets.md section 7).

    shape: of the store's images; subjects: the store's table, of which id and affine are used: the fields are composed
    in mm and given on the store's grid.
    Returns ddf float32 (P, 3, *shape), voxels, pull-back on the fixed grid; and exact (P,), True for every pair.
    Raises ReregisterError for a file that is no truth file and an id that it or the table lacks.
    """
    pairs = list(zip(moving_ids, fixed_ids, strict=True))
    subject_of = {identity: identity for pair in pairs for identity in pair}
    affines = dict(zip(subjects["id"], subjects["affine"], strict=True))
    ddf = pair_fields(truth_path, "IBSR", pairs, subject_of, affines, shape)
    return ddf, np.ones(len(pairs), dtype=bool)


def _affine(size: int, in_plane: float, scale: float, rng: np.random.Generator) -> Floats:
    """Voxel to LPS mm; the axes lead to the left, front and top, and the head is not quite in the middle."""
    affine = np.diag([in_plane, -_BETWEEN, in_plane, 1.0])
    middle = (np.array([size, size // 2, size]) - 1) / 2
    affine[:3, 3] = rng.uniform(-4, 4, 3) * scale - affine[:3, :3] @ middle
    return affine


def _volumes(
    head: Anatomy,
    deformation: Deformations,
    affine: Floats,
    size: int,
    without_csf: bool,
    rng: np.random.Generator,
) -> Iterator[tuple[str, NDArray[np.int16] | NDArray[np.uint8]]]:
    """Kind and values (size, size / 2, size) of the six volumes of a subject."""
    shape = (size, size // 2, size)
    places = psi_on_grid(deformation, affine, shape)
    grey = head.sample_grey(places)
    ids, brain = head.sample_ids(places)
    bright = rng.uniform(*_BRIGHTEST)
    grey = np.abs(grey * bias_field(shape, _BIAS, rng) + _NOISE * rng.standard_normal(shape, dtype=np.float32))
    ana = np.rint(bright * grey).astype(np.int16)
    known = [number for number in NAMES if not (without_csf and number == 24)]
    seg = np.where(np.isin(ids, known) & (brain == 1), ids, 0).astype(np.uint8)
    table = np.zeros(256, np.uint8)
    table[list(NAMES)] = 2
    table[list(_CSF)] = 1
    table[list(_WHITE)] = 3
    tissue = table[seg]
    yield "ana", ana
    yield "ana_brainmask", brain
    yield "ana_strip", np.where(brain == 1, ana, 0).astype(np.int16)
    yield "segTRI_ana", tissue
    yield "segTRI_fill_ana", np.where((brain == 1) & (tissue == 0), 1, tissue).astype(np.uint8)
    yield "seg_ana", seg
