"""What was found of neurite-OASIS: volumes as stored, or at half their size (papers.md 6.1)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.archive import Archive
from reregister.data.label_map_files import LabelBatch
from reregister.data.oasis.layout import IMAGES, LABELS, ORIGINAL, check_counts
from reregister.data.reading import Batch
from reregister.data.structures import Structures
from reregister.data.volumes import Volume, affine_text, numbers_text, read_volume, require_alike, whole_numbers
from reregister.errors import ReregisterError


class Reading:
    """What `read` found; volumes are decoded subject by subject; a context manager that closes the archives.

    subjects: members by subject and file stem. names: of the labels by id. count: images in all. shape: of the images
    as given, stored: as stored. report: choices and things missing, as clauses; `labels` adds to it.
    """

    def __init__(
        self,
        archive: Archive,
        subjects: Mapping[str, Mapping[str, str]],
        names: Mapping[int, str],
        kinds: Sequence[str],
        half: bool,
        report: list[str],
    ) -> None:
        self._archive, self.subjects, self.names = archive, subjects, names
        self._kinds, self._half, self.report = tuple(kinds), half, report
        self.count = len(subjects) * len(kinds)
        self._structures = Structures(names, report)
        # All volumes are held to the first subject's labels: its shape and axes.
        self._model_name = next(iter(subjects.values()))[LABELS]
        self._model = read_volume(archive.read(self._model_name), self._model_name, canonical=False)
        self.stored: tuple[int, ...] = self._model.values.shape
        if half and any(size % 2 for size in self.stored):
            raise ReregisterError(f"Volumes of shape {self.stored} cannot be halved; read them at their own size.")
        self.shape = tuple(size // 2 for size in self.stored) if half else self.stored

    def __enter__(self) -> "Reading":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    def __iter__(self) -> Iterator[Batch]:
        """Images (n, 1, *spatial), one of each kind, and their n rows of subjects, subject by subject."""
        for subject, own in self.subjects.items():
            images = np.empty((len(self._kinds), 1, *self.shape), np.float32)
            rows = []
            for place, kind in enumerate(self._kinds):
                name = own[IMAGES[kind]]
                content = self._archive.read(name)
                volume = self._read(content, name)
                images[place, 0] = block_means(volume.values) if self._half else volume.values
                rows.append(self._row(subject, kind, name, hashlib.sha256(content).hexdigest(), volume))
            yield images, pd.DataFrame(rows)

    def labels(self) -> Iterator[LabelBatch]:
        """Label maps (1, *spatial) of seg35 and a row for each label of each image, subject by subject.

        The images of a subject share its map.
        """
        for subject, own in self.subjects.items():
            volume = self._read(self._archive.read(own[LABELS]), own[LABELS])
            values = self._structures.known(subject, whole_numbers(volume, own[LABELS]))
            values = block_majority(values) if self._half else values
            ids = [f"{subject}_{kind}" for kind in self._kinds]
            yield values[np.newaxis], self._structures.rows(subject, values, ids)

    def deviations(self) -> list[str]:
        """How subjects, labels and shape differ from those of the original."""
        return check_counts(len(self.subjects), len(self.names), self.stored, ORIGINAL)

    def _read(self, content: bytes, name: str) -> Volume:
        # Axes as stored: the paper's slices and shapes are those of the arrays in the files.
        volume = read_volume(content, name, canonical=False)
        require_alike(volume, name, self._model, self._model_name, places=False)
        return volume

    def _row(self, subject: str, kind: str, source: str, sha256: str, volume: Volume) -> dict[str, str]:
        halved = np.diag([2.0, 2.0, 2.0, 1.0])
        halved[:3, 3] = 0.5  # the centre of a block of two lies between its voxels
        affine = volume.affine @ halved if self._half else volume.affine
        return {
            "id": f"{subject}_{kind}",
            "group": kind,
            "cluster": subject,
            "split": "all",  # there is no official split, and a store leaves no cell of this column empty
            "spacing": numbers_text(np.round(np.linalg.norm(affine[:3, :3], axis=0), 6)),
            "source": source,
            "sha256": sha256,
            "affine": affine_text(affine),
            "kind": kind,
        }


def block_means(values: NDArray[Any]) -> NDArray[np.float32]:
    """Means over blocks of 2 x 2 x 2 voxels: (X, Y, Z), even sizes, to half of each."""
    return _blocks(np.asarray(values, dtype=np.float32)).mean(axis=0, dtype=np.float32)


def block_majority(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The most frequent label of blocks of 2 x 2 x 2 voxels, of several the least: (X, Y, Z) to half of each."""
    ordered = np.sort(_blocks(labels), axis=0)
    best, most = ordered[0].copy(), np.zeros(ordered.shape[1:], np.uint8)
    for candidate in ordered:
        votes = (ordered == candidate).sum(axis=0, dtype=np.uint8)
        more = votes > most
        best[more], most[more] = candidate[more], votes[more]
    return best


def _blocks(values: NDArray[Any]) -> NDArray[Any]:
    x, y, z = (size // 2 for size in values.shape)
    return values.reshape(x, 2, y, 2, z, 2).transpose(1, 3, 5, 0, 2, 4).reshape(8, x, y, z)
