"""Stand-in of neurite-OASIS v1.0: the official archive of synthetic heads, and the deformations that made them.

In the aligned space, image_i(x) = T(psi_i(x)), psi_i = exp(v_i), x in LPS millimetres, with one anatomy T; `aligned_orig`
is `aligned_norm` with skull, scalp, a coil's field and noise in the same places. A smaller archive shows smaller heads,
so that voxels stay 1 mm. Nothing made from these files may be set beside a published number.
"""

import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reregister.data.phantoms.head_anatomy import Anatomy, Floats, make_anatomy
from reregister.data.phantoms.head_draws import bias_field, draw_heads, psi_on_grid
from reregister.data.phantoms.head_files import add_member, nifti_gz, pair_fields, size_statistics, write_truth
from reregister.data.phantoms.oasis_tables import label_lookups, label_names, subject_names, table_text
from reregister.data.phantoms.velocity import Deformations
from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path

ARCHIVE = "neurite-oasis.v1.0.tar"
#: Shape of the aligned volumes of the original, where a head has the size of an adult's; and the coronal slice.
_FULL, _SMALLEST, _SLICE = (160, 192, 224), 32, 109
_SUBJECTS = 414
#: Scanner space: size of its cube, largest turn (radians), shift (mm of an adult) and share of the size.
_CUBE, _TURN, _SHIFT, _SIZE = 256, 0.15, 6.0, 0.08
_BIAS, _NOISE = 0.12, 0.02


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
    anatomy: a label map of SynthSeg's training set or a folder of such; None takes the parametric head.
    The truth holds, per subject: id, linear, sine and translation; in common: centre, origin, extent, and statistics.
    Returns the statistics: largest_displacement_mm and mean_displacement_mm of every psi in the brain, and
    min_determinant. Raises ReregisterError for other numbers or an unusable anatomy, and ValueError where a psi folds.
    """
    if len(shape) != 3 or min(shape) < _SMALLEST:
        raise ReregisterError(f"The OASIS stand-in needs three sizes of at least {_SMALLEST}, not {list(shape)}.")
    if not 2 <= subjects <= _SUBJECTS:
        raise ReregisterError(f"The OASIS stand-in needs from 2 to {_SUBJECTS} subjects, not {subjects}.")
    sizes = tuple(map(int, shape))
    scale = min(size / full for size, full in zip(sizes, _FULL, strict=True))
    head = make_anatomy(scale, seed, anatomy)
    names = subject_names(subjects)
    deformations = draw_heads(subjects, scale, np.random.default_rng([seed, 0]), affine=False)
    statistics = size_statistics(head, deformations)
    with (
        atomic_path(outputs[ARCHIVE]) as path,
        tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        add_member(archive, "subjects.txt", "".join(f"{name}\n" for name in names).encode("ascii"))
        for kind, labels in label_names().items():
            add_member(archive, f"{kind}_labels.txt", table_text(labels).encode("ascii"))
        for row, name in enumerate(names):
            own = np.random.default_rng([seed, 1, row])
            for stem, values, affine in _volumes(head, deformations.take([row]), sizes, scale, own):
                add_member(archive, f"{name}/{stem}.nii.gz", nifti_gz(values, affine))
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


def _affine(shape: Sequence[int]) -> Floats:
    """Voxels of 1 mm to LPS mm; the axes lead to the left, down and to the front, the origin is in the middle."""
    affine = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1.0]])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def _volumes(
    head: Anatomy, deformation: Deformations, shape: tuple[int, ...], scale: float, rng: np.random.Generator
) -> Iterator[tuple[str, NDArray[np.float32] | NDArray[np.uint8], Floats]]:
    """Stem, values and affine of the twelve volumes of a subject."""
    lookups = label_lookups()
    affine = _affine(shape)
    norm, orig, ids = _images(head, deformation, affine, shape, rng)
    # Scaled to 0 ... 1 from bytes, as the original's values.
    aligned = {"norm": _share(norm), "orig": _share(orig)}
    aligned_labels = {kind: lookup[ids] for kind, lookup in lookups.items()}
    for stem in ("norm", "orig"):
        yield f"aligned_{stem}", aligned[stem], affine
    for kind in ("seg4", "seg35"):
        yield f"aligned_{kind}", aligned_labels[kind], affine
    cut = round(_SLICE * shape[2] / _FULL[2])
    flat = slice(cut, cut + 1)
    there = affine.copy()
    there[:3, 3] += affine[:3, 2] * cut
    for stem in ("norm", "orig"):
        yield f"slice_{stem}", aligned[stem][..., flat], there
    for kind in ("seg24", "seg4"):
        yield f"slice_{kind}", aligned_labels[kind][..., flat], there
    cube = (max(int(np.ceil(_CUBE * scale / 8)) * 8, _SMALLEST),) * 3
    affine = _affine(cube)
    norm, orig, ids = _images(head, deformation, _pose(scale, rng) @ affine, cube, rng)
    yield "norm", norm, affine
    yield "orig", orig, affine
    for kind in ("seg4", "seg35"):
        yield kind, lookups[kind][ids], affine


def _images(
    head: Anatomy, deformation: Deformations, affine: Floats, shape: Sequence[int], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Stripped and whole image, bytes, and ids of the brain, on a grid."""
    places = psi_on_grid(deformation, affine, shape)
    grey = head.sample_grey(places)
    ids, brain = head.sample_ids(places)
    noise = _NOISE * rng.standard_normal(tuple(shape), dtype=np.float32)
    # Stripping and correcting follow the scan: a part of its noise is left.
    norm = _bytes(grey + 0.5 * noise) * brain
    orig = _bytes(grey * bias_field(shape, _BIAS, rng) + noise)
    return norm, orig, ids * brain


def _bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    # The magnitude of a signal with noise is never negative.
    return np.clip(np.rint(255 * np.abs(image)), 0, 255).astype(np.uint8)


def _share(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.divide(image, 255, dtype=np.float32)


def _pose(scale: float, rng: np.random.Generator) -> Floats:
    """From LPS mm of the scanner to those of the aligned space."""
    pose = np.eye(4)
    turn = Rotation.from_rotvec(rng.uniform(-_TURN, _TURN, 3)).as_matrix()
    pose[:3, :3] = turn @ np.diag(np.exp(rng.uniform(-_SIZE, _SIZE, 3)))
    pose[:3, 3] = rng.uniform(-_SHIFT, _SHIFT, 3) * scale
    return pose
