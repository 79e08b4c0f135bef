"""What the stand-ins of neurite-OASIS share: a head painted on a grid, the official files of it, and their archive."""

import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reregister.data.oasis.layout import SUBJECTS
from reregister.data.phantoms.head_anatomy import Anatomy, Floats
from reregister.data.phantoms.head_draws import bias_field, psi_on_grid
from reregister.data.phantoms.head_files import add_member, nifti_gz
from reregister.data.phantoms.oasis_tables import label_lookups, label_names, table_text
from reregister.data.phantoms.velocity import Deformations
from reregister.provenance.files import atomic_path

#: Shape of the aligned volumes of the original, where a head has the size of an adult's; and the coronal slice.
FULL, _SLICE = (160, 192, 224), 109
_BIAS, _NOISE = 0.12, 0.02

#: Stem, values and affine (voxel to LPS mm) of an official file.
File = tuple[str, NDArray[np.float32] | NDArray[np.uint8], Floats]


class Painted(NamedTuple):
    """A head on a grid. norm, orig: stripped and whole image, bytes. ids: of the brain, FreeSurfer's."""

    norm: NDArray[np.uint8]
    orig: NDArray[np.uint8]
    ids: NDArray[np.uint8]

    def plane(self, index: int) -> "Painted":
        """One slice across the last axis, which stays."""
        return Painted(*(values[..., index : index + 1] for values in self))


def grid_affine(shape: Sequence[int]) -> Floats:
    """Voxels of 1 mm to LPS mm; the axes lead to the left, down and to the front, the origin is in the middle."""
    affine = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1.0]])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def slice_of(shape: Sequence[int]) -> tuple[int, Floats]:
    """Index of the published slice in aligned volumes of a shape, and the affine of a grid that is that slice alone."""
    index = round(_SLICE * shape[2] / FULL[2])
    affine = grid_affine(shape)
    affine[:3, 3] += affine[:3, 2] * index
    return index, affine


def paint(
    head: Anatomy, deformation: Deformations, affine: Floats, shape: Sequence[int], rng: np.random.Generator
) -> Painted:
    """A head of one deformation on a grid (X, Y, Z), with a coil's field in `orig` and noise in both images."""
    places = psi_on_grid(deformation, affine, shape)
    grey = head.sample_grey(places)
    ids, brain = head.sample_ids(places)
    noise = _NOISE * rng.standard_normal(tuple(shape), dtype=np.float32)
    # Stripping and correcting follow the scan: a part of its noise is left.
    norm = _bytes(grey + 0.5 * noise) * brain
    orig = _bytes(grey * bias_field(shape, _BIAS, rng) + noise)
    return Painted(norm, orig, ids * brain)


def official_files(prefix: str, painted: Painted, kinds: Sequence[str], affine: Floats) -> Iterator[File]:
    """Both images, scaled to 0 ... 1 from bytes as the original's, and the segmentations `kinds`, stems `prefix_...`."""
    for stem, image in (("norm", painted.norm), ("orig", painted.orig)):
        yield f"{prefix}_{stem}", np.divide(image, 255, dtype=np.float32), affine
    lookups = label_lookups()
    for kind in kinds:
        yield f"{prefix}_{kind}", lookups[kind][painted.ids], affine


def write_archive(
    path: Path, subjects: Sequence[str], kinds: Sequence[str], files_of: Callable[[int], Iterator[File]]
) -> None:
    """Write a tar as the official ones, which have no folder at their top, in one piece.

    kinds: segmentations whose tables it has. files_of: the files of a subject, by its place in `subjects`.
    """
    with (
        atomic_path(path) as temporary,
        tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        add_member(archive, SUBJECTS, "".join(f"{name}\n" for name in subjects).encode("ascii"))
        for kind in kinds:
            add_member(archive, f"{kind}_labels.txt", table_text(label_names()[kind]).encode("ascii"))
        for row, name in enumerate(subjects):
            for stem, values, affine in files_of(row):
                add_member(archive, f"{name}/{stem}.nii.gz", nifti_gz(values, affine))


def _bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    # The magnitude of a signal with noise is never negative.
    return np.clip(np.rint(255 * np.abs(image)), 0, 255).astype(np.uint8)
