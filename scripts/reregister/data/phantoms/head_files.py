"""Files of the stand-ins of heads: NIfTI volumes and tar members with the same bytes each time, and the truth."""

import gzip
import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from reregister.data.phantoms.head_anatomy import Anatomy
from reregister.data.phantoms.head_draws import compose_on_grids, min_determinant
from reregister.data.phantoms.truth import read_truth, rows_of
from reregister.data.phantoms.velocity import Deformations, VelocityFields
from reregister.data.volumes import read_affine
from reregister.errors import ReregisterError
from reregister.tables import write_arrays

Floats = NDArray[np.floating[Any]]

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
#: What the truth file holds of a velocity field, in the order of its arguments.
_FIELDS = ("linear", "sine", "centre", "origin", "extent")


def nifti_gz(values: NDArray[Any], affine: Floats) -> bytes:
    """A gzipped NIfTI-1 file. affine: voxel to LPS mm, of the first three axes."""
    image = nib.Nifti1Image(values, _LPS_TO_RAS @ affine)
    image.header.set_xyzt_units("mm")
    # The fastest level: noise hardly shrinks at any.
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to a tar without owner and time, so that the same content gives the same bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    archive.addfile(info, io.BytesIO(content))


def size_statistics(head: Anatomy, deformations: Deformations) -> dict[str, float]:
    """largest_displacement_mm and mean_displacement_mm of every psi on the anatomy's brain, and min_determinant.

    The mean is over the points of a coarse grid in the brain. Raises ValueError where a psi folds.
    """
    coarse = (slice(None, None, 4),) * 3
    places = np.argwhere(head.brain[coarse]) * (4 * head.step) + head.origin
    lengths = [
        np.linalg.norm(deformations.take([row]).apply(places)[0] - places, axis=1)
        for row in range(len(deformations.fields))
    ]
    least = min_determinant(deformations, np.abs(places).max(axis=0))
    if least <= 0:
        raise ValueError(f"a deformation of the stand-in folds, its least determinant is {least}")
    return {
        "largest_displacement_mm": float(np.max(lengths)),
        "mean_displacement_mm": float(np.mean(lengths)),
        "min_determinant": least,
    }


def write_truth(path: Path, ids: Sequence[str], deformations: Deformations, statistics: Mapping[str, float]) -> None:
    """Write the truth file (.npz): per subject id, linear, sine and translation; in common centre, origin, extent, LPS mm."""
    fields = {name: getattr(deformations.fields, name) for name in _FIELDS}
    write_arrays(path, {"id": np.array(ids), "translation": deformations.translations} | fields | dict(statistics))


def read_deformations(path: str | os.PathLike[str], dataset: str) -> tuple[list[str], Deformations]:
    """Ids of the subjects and their deformations of the anatomy. Raises ReregisterError for another file."""
    known = read_truth(path, dataset, ("id", "translation", *_FIELDS))
    fields = VelocityFields(*(known[name] for name in _FIELDS))
    return known["id"].tolist(), Deformations(fields, known["translation"])


def pair_fields(
    path: str | os.PathLike[str],
    dataset: str,
    pairs: Sequence[tuple[str, str]],
    subjects_of: Mapping[str, str],
    affines: Mapping[str, str],
    shape: Sequence[int],
) -> NDArray[np.float32]:
    """True fields (P, 3, *shape), voxels, of (moving, fixed) image ids on the grids of the store.

    subjects_of: the truth's subject by image. affines: text of each image's affine by id. Two images of one subject and
    grid have a field of zeros. Raises ReregisterError for a file that is no truth file and an image that it or `affines`
    lacks.
    """
    known, every = read_deformations(path, dataset)
    ddf = np.zeros((len(pairs), 3, *shape), np.float32)
    for number, pair in enumerate(pairs):
        if lacking := [identity for identity in pair if identity not in affines]:
            raise ReregisterError(f"The subjects have no affine of the image {lacking[0]!r}; prepare the data again.")
        moving, fixed = rows_of(path, known, [subjects_of[identity] for identity in pair], shape, shape)
        placed = [affines[identity] for identity in pair]
        if moving == fixed and placed[0] == placed[1]:
            continue
        from_moving, from_fixed = (read_affine(text) for text in placed)
        ddf[number] = compose_on_grids(every.take([moving]), every.take([fixed]), from_moving, from_fixed, shape)
    return ddf
