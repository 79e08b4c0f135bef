"""Stand-in of neurite-OASIS v1.0: the official archive of synthetic heads, and the deformations that made them.

In the aligned space, image_i(x) = T(psi_i(x)), psi_i = exp(v_i), x in LPS millimetres, with one anatomy T; `aligned_orig`
is `aligned_norm` with skull, scalp, a coil's field and noise in the same places. A smaller archive shows smaller heads,
so that voxels stay 1 mm. Nothing made from these files may be set beside a published number.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reregister.data.oasis.layout import VOLUMES
from reregister.data.phantoms.head_anatomy import Anatomy, Floats, make_anatomy
from reregister.data.phantoms.head_draws import draw_heads
from reregister.data.phantoms.head_files import pair_fields, size_statistics, write_truth
from reregister.data.phantoms.oasis_heads import (
    FULL,
    File,
    grid_affine,
    official_files,
    paint,
    slice_of,
    write_archive,
)
from reregister.data.phantoms.oasis_tables import label_lookups, label_names, subject_names
from reregister.data.phantoms.velocity import Deformations
from reregister.errors import ReregisterError

ARCHIVE, _SMALLEST = VOLUMES.archive, 32
#: Scanner space: size of its cube, largest turn (radians), shift (mm of an adult) and share of the size.
_CUBE, _TURN, _SHIFT, _SIZE = 256, 0.15, 6.0, 0.08


def write(
    outputs: Mapping[str, Path],
    truth: Path,
    shape: Sequence[int],
    subjects: int,
    seed: int,
    anatomy: Path | None = None,
) -> dict[str, float]:
    """Write the archive (its path by official name) and the truth file (.npz); same seed, same bytes.

    shape: of the aligned volumes, each size at least 32 (the original has 160, 192, 224).
    subjects: 2 to 414, their ids spread over those of the original, with gaps.
    anatomy: a label map of SynthSeg's training set; None takes the parametric head.
    The truth holds, per subject: id, linear, sine and translation; in common: centre, origin, extent, and statistics.
    Returns the statistics: largest_displacement_mm and mean_displacement_mm of every psi in the brain, and
    min_determinant. Raises ReregisterError for other numbers or an unusable anatomy, and ValueError where a psi folds.
    """
    if len(shape) != 3 or min(shape) < _SMALLEST:
        raise ReregisterError(f"The OASIS stand-in needs three sizes of at least {_SMALLEST}, not {list(shape)}.")
    names = subject_names(subjects)
    sizes = tuple(map(int, shape))
    scale = min(size / full for size, full in zip(sizes, FULL, strict=True))
    head = make_anatomy(scale, seed, anatomy)
    deformations = draw_heads(subjects, scale, np.random.default_rng([seed, 0]), affine=False)
    statistics = size_statistics(head, deformations)

    def files_of(row: int) -> Iterator[File]:
        return _volumes(head, deformations.take([row]), sizes, scale, np.random.default_rng([seed, 1, row]))

    write_archive(outputs[ARCHIVE], names, list(label_names()), files_of)
    write_truth(truth, names, deformations, statistics)
    return statistics


def truth_ddf(
    truth_path: str | os.PathLike[str],
    moving_ids: Sequence[str],
    fixed_ids: Sequence[str],
    shape: Sequence[int],
    subjects: pd.DataFrame,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Exact displacement fields of P pairs of the stand-in, psi_moving^-1(psi_fixed(x)) - x (datasets.md section 7).

    shape: of the store's images; subjects: the store's table, of which id, affine and cluster are used: the fields are
    composed in mm and given on the store's grid. Two images of one subject have a field of zeros.
    Returns ddf float32 (P, 3, *shape), voxels, pull-back on the fixed grid; and exact (P,), True for every pair.
    Raises ReregisterError for a file that is no truth file and an id that it or the table lacks.
    """
    pairs = list(zip(moving_ids, fixed_ids, strict=True))
    subject_of = dict(zip(subjects["id"], subjects["cluster"], strict=True))
    affines = dict(zip(subjects["id"], subjects["affine"], strict=True))
    ddf = pair_fields(truth_path, "OASIS", pairs, subject_of, affines, shape)
    return ddf, np.ones(len(pairs), dtype=bool)


def _volumes(
    head: Anatomy, deformation: Deformations, shape: tuple[int, ...], scale: float, rng: np.random.Generator
) -> Iterator[File]:
    """The twelve files of a subject."""
    affine = grid_affine(shape)
    aligned = paint(head, deformation, affine, shape, rng)
    yield from official_files("aligned", aligned, ("seg4", "seg35"), affine)
    index, there = slice_of(shape)
    yield from official_files("slice", aligned.plane(index), ("seg24", "seg4"), there)
    cube = (max(int(np.ceil(_CUBE * scale / 8)) * 8, _SMALLEST),) * 3
    affine = grid_affine(cube)
    scanned = paint(head, deformation, _pose(scale, rng) @ affine, cube, rng)
    yield "norm", scanned.norm, affine
    yield "orig", scanned.orig, affine
    lookups = label_lookups()
    for kind in ("seg4", "seg35"):
        yield kind, lookups[kind][scanned.ids], affine


def _pose(scale: float, rng: np.random.Generator) -> Floats:
    """From LPS mm of the scanner to those of the aligned space."""
    pose = np.eye(4)
    turn = Rotation.from_rotvec(rng.uniform(-_TURN, _TURN, 3)).as_matrix()
    pose[:3, :3] = turn @ np.diag(np.exp(rng.uniform(-_SIZE, _SIZE, 3)))
    pose[:3, 3] = rng.uniform(-_SHIFT, _SHIFT, 3) * scale
    return pose
