"""ImageStore: the images of one data set in one memory-mappable file, and a table that says whose they are."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path
from reregister.tables import read_frame, write_frame

SUBJECT_COLUMNS = ("id", "group", "cluster", "split", "spacing", "source", "sha256")


@dataclass(frozen=True)
class ImageStore:
    """Images and subjects of one data set, row for row.

    images: float32 (N, C, *spatial), memory-mapped, read-only.
    subjects: N rows of text: id; group (unit within which pairs are drawn); cluster (unit of statistical
        independence); split (the official one); spacing (one number per spatial axis, blanks between); source (file
        name) and sha256 of that file. A data set may add columns behind these.
    """

    images: NDArray[np.float32]
    subjects: pd.DataFrame

    @classmethod
    def open(cls, images_path: str | os.PathLike[str], subjects_path: str | os.PathLike[str]) -> "ImageStore":
        """Map the images and read the table.

        Raises ReregisterError where a file is missing or unreadable, a column is missing, or the lengths differ.
        """
        try:
            images = np.load(images_path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ReregisterError(
                f"{images_path} cannot be read as images ({error}); prepare the data again."
            ) from None
        subjects = read_subjects(subjects_path)
        if len(images) != len(subjects):
            lengths = f"{len(images)} images but {subjects_path} {len(subjects)} rows"
            raise ReregisterError(f"{images_path} holds {lengths}; prepare the data again.")
        return cls(images, subjects)

    @cached_property
    def _rows(self) -> pd.Index:
        return pd.Index(self.subjects["id"].tolist(), dtype=object)

    def frozen_pairs(self, path: str | os.PathLike[str], split: str) -> pd.DataFrame:
        """The frozen pairs of one split, with the rows of their images as moving_row and fixed_row, in file order.

        path: table of pairs (pair_id, moving, fixed, split, group, cluster). Raises ReregisterError where the split has
        no pair or a pair names an image that is not stored.
        """
        pairs = read_frame(path)
        pairs = pairs[pairs["split"] == split].reset_index(drop=True)
        if pairs.empty:
            raise ReregisterError(f"{path} has no pair of the split {split}; make the pairs again.")
        return pairs.assign(moving_row=self.index(pairs["moving"]), fixed_row=self.index(pairs["fixed"]))

    def index(self, ids: Sequence[str] | pd.Series) -> NDArray[np.intp]:
        """Row numbers of `ids`, in their order. Raises ReregisterError naming the first id that is not stored."""
        rows = self._rows.get_indexer(pd.Index(list(ids), dtype=object))
        if (rows < 0).any():
            unknown = list(ids)[int(np.argmax(rows < 0))]
            raise ReregisterError(f"The image store has no image with the id {unknown!r}; check the list of pairs.")
        return rows

    @cached_property
    def spacings(self) -> NDArray[np.float64]:
        """Spacing of every image, (N, ndim), in the unit of the table: mm, or pixels where a format has none."""
        ndim = self.images.ndim - 2
        table: dict[str, list[float]] = {}
        for text in self.subjects["spacing"].unique():
            numbers = [float(number) for number in text.split()]
            if len(numbers) != ndim:
                raise ReregisterError(
                    f"The spacing {text!r} of the subjects table has not {ndim} numbers, one per axis."
                )
            table[text] = numbers
        return np.array([table[text] for text in self.subjects["spacing"]], dtype=np.float64).reshape(-1, ndim)


def read_subjects(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a subjects table as text alone, so that group "07" or an id "NA" stays what it is.

    Raises ReregisterError where the file is missing, unreadable or lacks a column of `SUBJECT_COLUMNS`.
    """
    try:
        subjects = read_frame(path)
    except (OSError, ValueError) as error:
        raise ReregisterError(f"{path} cannot be read as a table of subjects ({error}); prepare them again.") from None
    _require_columns(subjects, path)
    return subjects


def write_store(
    images_path: str | os.PathLike[str],
    subjects_path: str | os.PathLike[str],
    count: int,
    batches: Iterable[tuple[NDArray[np.floating], pd.DataFrame]],
) -> None:
    """Check, then write `images.npy` (float32) and `subjects.csv`, from batches that need not fit into memory together.

    count: images of all batches. batches: images (n, C, *spatial), any intensity range, and their n rows of subjects with
    the columns of `SUBJECT_COLUMNS`; the first sets the shape. Where a check fails, neither file is left behind. Raises
    ReregisterError for unlike lengths, another shape (naming the id), a missing column or value, an id used twice, the
    first image that holds NaN or infinity (named by its id), and where the batches are not `count` images.
    """
    tables: list[pd.DataFrame] = []
    filled, shape = 0, None
    # Written in order, not through a map: where the disk is full, a map ends in a signal and a write in an error.
    with atomic_path(images_path) as temporary, open(temporary, "wb") as file:
        for images, subjects in batches:
            _require_columns(subjects, subjects_path)
            if shape is None:
                shape = images.shape[1:]
                header = {"descr": "<f4", "fortran_order": False, "shape": (count, *shape)}
                np.lib.format.write_array_header_1_0(file, header)
            if (
                images.ndim < 3
                or len(images) != len(subjects)
                or images.shape[1:] != shape
                or filled + len(images) > count
            ):
                raise ReregisterError(
                    f"{images_path} cannot take images of shape {images.shape} for {len(subjects)} subjects (id "
                    f"{subjects['id'].iloc[0]} and on): it holds {filled} of {count} images of shape {shape}."
                )
            _require_finite(images, subjects)
            file.write(np.ascontiguousarray(images, dtype="<f4").tobytes())
            filled += len(images)
            tables.append(subjects)
        if filled != count or not tables:
            raise ReregisterError(f"{images_path} would hold {filled} images where {count} were announced.")
        table = pd.concat(tables, ignore_index=True)
        _require_values(table, subjects_path)
    _write_subjects(subjects_path, table)


def _write_subjects(path: str | os.PathLike[str], subjects: pd.DataFrame) -> None:
    others = [column for column in subjects.columns if column not in SUBJECT_COLUMNS]
    write_frame(path, subjects[[*SUBJECT_COLUMNS, *others]].astype(str))


def _require_finite(images: NDArray[np.floating], subjects: pd.DataFrame) -> None:
    # Image by image: a mask of the whole array would take a quarter of its memory again.
    for identity, image in zip(subjects["id"], images, strict=True):
        if not np.isfinite(image).all():
            raise ReregisterError(f"Image {identity} holds NaN or infinite values; check its source file.")


def _require_columns(subjects: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    missing = [column for column in SUBJECT_COLUMNS if column not in subjects.columns]
    if missing:
        raise ReregisterError(f"{path} lacks the column(s) {', '.join(missing)} of a table of subjects.")


def _require_values(subjects: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    for column in SUBJECT_COLUMNS:
        empty = subjects[column].isna() | (subjects[column].astype(str) == "")
        if empty.any():
            row = int(np.argmax(empty.to_numpy()))
            raise ReregisterError(
                f"{path} has no {column} for the subject in row {row} (id {subjects['id'].iloc[row]})."
            )
    repeated = subjects["id"].astype(str).duplicated()
    if repeated.any():
        raise ReregisterError(f"{path} has the id {subjects['id'][repeated].iloc[0]} twice; ids must be unique.")
