"""Stand-in of the slices of neurite-OASIS v1.0: the official archive of synthetic slices, and their deformations.

image_i(x) = T(psi_i(x)) as of the volumes' stand-in, at the published slice alone, and psi_i = exp(v_i) without motion
across the slices: what a slice shows comes from that slice of the anatomy, so that the field of two images is exact in
two dimensions. Of two real heads it is not: nothing made from these files may be set beside a published number.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.oasis.layout import SLICES
from reregister.data.phantoms.head_anatomy import make_anatomy
from reregister.data.phantoms.head_draws import draw_heads
from reregister.data.phantoms.head_files import size_statistics, write_truth
from reregister.data.phantoms.oasis_heads import FULL, File, official_files, paint, slice_of, write_archive
from reregister.data.phantoms.oasis_tables import subject_names
from reregister.data.phantoms.velocity import Deformations
from reregister.data.standins.oasis import truth_ddf as volume_ddf
from reregister.errors import ReregisterError

ARCHIVE, _SMALLEST = SLICES.archive, 32
#: Of the LPS axes the one across coronal slices.
_ACROSS = 1


def write(
    outputs: Mapping[str, Path],
    truth: Path,
    shape: Sequence[int],
    subjects: int,
    seed: int,
    anatomy: Path | None = None,
) -> dict[str, float]:
    """Write the archive (its path by official name) and the truth file (.npz); same seed, same bytes.

    shape: of the slices, each size at least 32 (the original has 160, 192). subjects, anatomy and what the truth holds as
    of the volumes' stand-in.
    Returns the statistics: largest_displacement_mm and mean_displacement_mm of every psi in the whole brain, and
    min_determinant. Raises ReregisterError for other numbers or an unusable anatomy, and ValueError where a psi folds.
    """
    if len(shape) != 2 or min(shape) < _SMALLEST:
        raise ReregisterError(
            f"The stand-in of OASIS slices needs two sizes of at least {_SMALLEST}, not {list(shape)}."
        )
    names = subject_names(subjects)
    plane = (*map(int, shape), 1)
    scale = min(size / full for size, full in zip(shape, FULL[:2], strict=True))
    head = make_anatomy(scale, seed, anatomy)
    drawn = draw_heads(subjects, scale, np.random.default_rng([seed, 0]), affine=False)
    deformations = _within_slices(drawn)
    statistics = size_statistics(head, deformations)
    _, affine = slice_of((*plane[:2], round(scale * FULL[2])))

    def files_of(row: int) -> Iterator[File]:
        painted = paint(head, deformations.take([row]), affine, plane, np.random.default_rng([seed, 1, row]))
        return official_files("slice", painted, ("seg24", "seg4"), affine)

    write_archive(outputs[ARCHIVE], names, ("seg24", "seg4"), files_of)
    write_truth(truth, names, deformations, statistics)
    return statistics


def truth_ddf(
    truth_path: str | os.PathLike[str],
    moving_ids: Sequence[str],
    fixed_ids: Sequence[str],
    shape: Sequence[int],
    subjects: pd.DataFrame,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Exact displacement fields of P pairs of the stand-in, (P, 2, *shape), pixels, pull-back on the fixed grid.

    Arguments, exact and errors as of the volumes' stand-in.
    """
    ddf, exact = volume_ddf(truth_path, moving_ids, fixed_ids, (*shape, 1), subjects)
    return ddf[:, :2, ..., 0], exact


def _within_slices(drawn: Deformations) -> Deformations:
    """The same deformations without their motion across the slices; there is none but the sine part's."""
    sine = drawn.fields.sine.copy()
    sine[:, _ACROSS] = 0
    return replace(drawn, fields=replace(drawn.fields, sine=sine))
