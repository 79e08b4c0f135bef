"""What was found of neurite-OASIS: volumes as stored, or at half their size, or slices (papers.md 6.1)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.archive import Archive
from reregister.data.label_map_files import LabelBatch
from reregister.data.oasis.layout import Form, check_counts, find_subjects, read_labels
from reregister.data.reading import Batch
from reregister.data.structures import Structures
from reregister.data.volumes import Volume, affine_text, numbers_text, read_volume, require_alike, whole_numbers
from reregister.errors import ReregisterError


def open_reading(
    members: Mapping[str, Path], expect: Mapping[str, Any], form: Form, kinds: Sequence[str], half: bool = False
) -> "Reading":
    """The images of one form, decoded when they are asked for; arguments and errors as of the `read` of both readers."""
    if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= form.images.keys():
        raise ReregisterError(
            f"The kinds of images {list(kinds)} are unknown; allowed are {', '.join(form.images)}, once each."
        )
    archive = Archive(members)
    try:
        subjects, report = find_subjects(archive, form, kinds)
        reading = Reading(archive, form, subjects, read_labels(archive, form), kinds, half, report)
        if wrong := check_counts(len(subjects), len(reading.names), reading.stored, expect):
            raise ReregisterError(f"The OASIS files are not what they are said to be: {'; '.join(wrong)}.")
    except BaseException:
        archive.close()
        raise
    return reading


class Reading:
    """What `open_reading` found; images are decoded subject by subject; a context manager that closes the archives.

    subjects: members by subject and file stem. names: of the labels by id. count: images in all. shape: of the images
    as given, stored: as stored. report: choices and things missing, as clauses; `labels` adds to it.
    """

    def __init__(
        self,
        archive: Archive,
        form: Form,
        subjects: Mapping[str, Mapping[str, str]],
        names: Mapping[int, str],
        kinds: Sequence[str],
        half: bool,
        report: list[str],
    ) -> None:
        self._archive, self._form, self.subjects, self.names = archive, form, subjects, names
        self._kinds, self._half, self.report = tuple(kinds), half, report
        self.count = len(subjects) * len(kinds)
        self._structures = Structures(names, report)
        # All images are held to the first subject's labels: their shape and axes.
        self._model_name = next(iter(subjects.values()))[form.labels]
        self._model = self._decoded(archive.read(self._model_name), self._model_name)
        self.stored: tuple[int, ...] = self._model.values.shape[: form.ndim]
        if self._model.values.shape[form.ndim :] not in ((), (1,)):
            raise ReregisterError(
                f"{self._model_name} has shape {self._model.values.shape}; one slice is needed, so fetch it again."
            )
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
                name = own[self._form.images[kind]]
                content = self._archive.read(name)
                volume = self._read(content, name)
                images[place, 0] = block_means(volume.values) if self._half else volume.values.reshape(self.shape)
                rows.append(self._row(subject, kind, name, hashlib.sha256(content).hexdigest(), volume))
            yield images, pd.DataFrame(rows)

    def labels(self) -> Iterator[LabelBatch]:
        """Label maps (1, *spatial) and a row for each label of each image, subject by subject.

        The images of a subject share its map.
        """
        for subject, own in self.subjects.items():
            name = own[self._form.labels]
            volume = self._read(self._archive.read(name), name)
            values = self._structures.known(subject, whole_numbers(volume, name))
            values = block_majority(values) if self._half else values.reshape(self.shape)
            ids = [f"{subject}_{kind}" for kind in self._kinds]
            yield values[np.newaxis], self._structures.rows(subject, values, ids)

    def deviations(self) -> list[str]:
        """How subjects, labels and shape differ from those of the original."""
        return check_counts(len(self.subjects), len(self.names), self.stored, self._form.original)

    def _read(self, content: bytes, name: str) -> Volume:
        volume = self._decoded(content, name)
        require_alike(volume, name, self._model, self._model_name, places=False)
        return volume

    def _decoded(self, content: bytes, name: str) -> Volume:
        # Axes as stored: the paper's slices and shapes are those of the arrays in the files.
        return read_volume(content, name, canonical=False, flat=self._form.ndim == 2)

    def _row(self, subject: str, kind: str, source: str, sha256: str, volume: Volume) -> dict[str, str]:
        halved = np.diag([2.0, 2.0, 2.0, 1.0])
        halved[:3, 3] = 0.5  # the centre of a block of two lies between its voxels
        affine = volume.affine @ halved if self._half else volume.affine
        return {
            "id": f"{subject}_{kind}",
            "group": kind,
            "cluster": subject,
            "split": "all",  # there is no official split, and a store leaves no cell of this column empty
            "spacing": numbers_text(np.round(np.linalg.norm(affine[:3, :3], axis=0), 6)[: self._form.ndim]),
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
