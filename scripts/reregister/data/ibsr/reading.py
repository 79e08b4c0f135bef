"""What was found of IBSR, and its way onto one grid: brains centred, isotropic, in one box (papers.md 5.1)."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.archive import Archive
from reregister.data.ibsr.layout import LABELS, MASK, NAMES, ORIGINAL, STRIP, check_counts
from reregister.data.label_map_files import LabelBatch
from reregister.data.reading import Batch
from reregister.data.structures import Structures
from reregister.data.volume_grids import centroid, extents, isotropic_affine, padded_box, resample, scale_in_mask
from reregister.data.volumes import Volume, affine_text, numbers_text, read_volume, require_alike, whole_numbers
from reregister.errors import ReregisterError


@dataclass(frozen=True)
class Brain:
    """A subject's brain mask: packed bits, its shape and affine, and the centroid in voxels of it."""

    bits: NDArray[np.uint8]
    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    centre: NDArray[np.float64]

    @classmethod
    def of(cls, mask: Volume, name: str) -> "Brain":
        """Of a mask, whose voxels other than 0 are brain."""
        return cls(np.packbits(mask.values != 0), mask.values.shape, mask.affine, centroid(mask.values, name))

    def volume(self) -> Volume:
        """The mask again, uint8."""
        return Volume(np.unpackbits(self.bits, count=int(np.prod(self.shape))).reshape(self.shape), self.affine)


class Reading:
    """What `read` found; volumes are decoded subject by subject; a context manager that closes the archives.

    count: images in all. shape: of their common grid. mm: its spacing. report: choices and things missing, as clauses;
    `labels` adds to it. All masks are read at once, since the grid follows from all of them.
    """

    def __init__(self, archive: Archive, subjects: Mapping[str, Mapping[str, str]], mm: float, multiple: int) -> None:
        if not mm > 0 or multiple < 1:
            raise ReregisterError(f"The grid needs a positive spacing and multiple, not {mm} mm and {multiple}.")
        self._archive, self._subjects, self.mm = archive, subjects, mm
        self._brains: dict[str, Brain] = {}
        lows, highs = [], []
        for subject, own in subjects.items():
            mask = read_volume(archive.read(own[MASK]), own[MASK])
            brain = self._brains[subject] = Brain.of(mask, own[MASK])
            reach = (extents(mask.values, own[MASK]) - brain.centre) * mask.spacing
            half = np.array(mask.spacing) / 2  # voxels have a size
            lows.append(np.floor((reach[0] - half) / mm))
            highs.append(np.ceil((reach[1] + half) / mm))
        self._first, self.shape = padded_box(lows, highs, multiple)
        self.count = len(subjects)
        unpadded = np.max(highs, axis=0) - np.min(lows, axis=0) + 1
        self.report = [
            f"the brains fit into {numbers_text(unpadded)} voxels of {mm:g} mm, padded to {numbers_text(self.shape)}, "
            f"multiples of {multiple}"
        ]
        self._structures = Structures(NAMES, self.report)

    def __enter__(self) -> "Reading":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the stored volumes by subject, canonical axes."""
        return {subject: brain.shape for subject, brain in self._brains.items()}

    def __iter__(self) -> Iterator[Batch]:
        """Images (1, 1, *spatial) in [0, 1], 0 outside the brain, and their row of subjects, subject by subject."""
        for subject, own in self._subjects.items():
            content = self._archive.read(own[STRIP])
            stripped, affine = self._read(subject, content, own[STRIP]), self._affine(subject)
            inside = resample(self._brains[subject].volume(), affine, self.shape, nearest=True)
            image = scale_in_mask(resample(stripped, affine, self.shape), inside, own[STRIP])
            row = {
                "id": subject,
                "group": "all",
                "cluster": subject,
                "split": "all",  # there is no official split, and a store leaves no cell of this column empty
                "spacing": numbers_text([self.mm] * 3),
                "source": own[STRIP],
                "sha256": hashlib.sha256(content).hexdigest(),
                "affine": affine_text(affine),
                "kind": STRIP,
                "spacing_stored": numbers_text(np.round(self._brains[subject].volume().spacing, 6)),
            }
            yield image[np.newaxis, np.newaxis], pd.DataFrame([row])

    def labels(self) -> Iterator[LabelBatch]:
        """Label maps (1, *spatial) and a row for each of the 32 structures, subject by subject, as they are iterated."""
        for subject, own in self._subjects.items():
            volume = self._read(subject, self._archive.read(own[LABELS]), own[LABELS])
            stored = self._structures.known(subject, whole_numbers(volume, own[LABELS]))
            values = resample(Volume(stored, volume.affine), self._affine(subject), self.shape, nearest=True)
            yield values[np.newaxis], self._structures.rows(subject, values, [subject])

    def deviations(self) -> list[str]:
        """How subjects and shapes differ from those of the original."""
        return check_counts(self.count, self.shapes, ORIGINAL)

    def _affine(self, subject: str) -> NDArray[np.float64]:
        brain = self._brains[subject]
        return isotropic_affine(brain.affine, brain.centre, self.mm, self._first)

    def _read(self, subject: str, content: bytes, name: str) -> Volume:
        volume = read_volume(content, name)
        require_alike(volume, name, self._brains[subject].volume(), self._subjects[subject][MASK])
        return volume
