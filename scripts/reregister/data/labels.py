"""Labels beside an ImageStore: one mask a row, and a table that says of which image and of what."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from reregister.errors import ReregisterError
from reregister.tables import read_frame, write_array, write_frame

LABEL_COLUMNS = ("row", "id", "label", "unit", "empty")


@dataclass(frozen=True)
class LabelStore:
    """Masks of one data set and the table that belongs to them, row for row.

    masks: uint8 (M, *spatial), 1 inside, memory-mapped, read-only.
    table: text: row (number of the mask), id (of the image), label (its name), unit (of the image's spacing: mm or
        px), empty (`yes` where no pixel is set: an overlap is flagged there and a distance left out and counted).
    """

    masks: NDArray[np.uint8]
    table: pd.DataFrame

    @classmethod
    def open(cls, masks_path: str | os.PathLike[str], table_path: str | os.PathLike[str]) -> "LabelStore":
        """Map the masks and read their table.

        Raises ReregisterError where a file is missing or unreadable, a column is missing, or the lengths differ.
        """
        try:
            masks = np.load(masks_path, mmap_mode="r", allow_pickle=False)
            table = read_frame(table_path)
        except (OSError, ValueError, EOFError) as error:
            raise ReregisterError(
                f"{masks_path} and {table_path} cannot be read as labels ({error}); prepare the data again."
            ) from None
        missing = [column for column in LABEL_COLUMNS if column not in table.columns]
        if missing:
            raise ReregisterError(f"{table_path} lacks the column(s) {', '.join(missing)}; prepare the data again.")
        if len(masks) != len(table):
            raise ReregisterError(
                f"{masks_path} holds {len(masks)} masks but {table_path} {len(table)} rows; prepare the data again."
            )
        return cls(masks, table)

    @cached_property
    def _rows(self) -> dict[tuple[str, str], int]:
        return {key: row for row, key in enumerate(zip(self.table["id"], self.table["label"], strict=True))}

    def ids(self, label: str) -> set[str]:
        """Images that have a label of this name, be it empty."""
        return {identity for identity, name in self._rows if name == label}

    def has(self, identity: str, label: str) -> bool:
        """Whether an image has a label of this name, be it empty."""
        return (identity, label) in self._rows

    def index(self, ids: Sequence[str] | pd.Series, label: str) -> NDArray[np.intp]:
        """Rows of the masks of images, in the order of `ids`. Raises ReregisterError naming the first that has none."""
        for identity in ids:
            if (identity, label) not in self._rows:
                raise ReregisterError(f"The image {identity!r} has no label {label!r}; check the list of pairs.")
        return np.array([self._rows[identity, label] for identity in ids], dtype=np.intp)

    def mask(self, identity: str, label: str) -> NDArray[np.uint8]:
        """The mask of one image, uint8 (*spatial). Raises ReregisterError where it has none."""
        return self.masks[self.index([identity], label)[0]]

    def is_empty(self, identity: str, label: str) -> bool:
        """Whether the mask of an image has no pixel. Raises ReregisterError where it has no mask."""
        return bool(self.table["empty"].iloc[self.index([identity], label)[0]] == "yes")


def write_labels(
    masks_path: str | os.PathLike[str], table_path: str | os.PathLike[str], masks: ArrayLike, table: pd.DataFrame
) -> None:
    """Check, then write `labels.npy` (uint8, 0 and 1) and `labels.csv`; nothing is written where a check fails.

    masks: (M, *spatial), 0 and 1; table: M rows with id, label and unit; `row` and `empty` are filled in.
    Raises ReregisterError for unlike lengths, a missing column, other values than 0 and 1, and an image that has the
    same label twice.
    """
    array = np.asarray(masks)
    missing = [column for column in ("id", "label", "unit") if column not in table.columns]
    if missing:
        raise ReregisterError(f"{table_path} lacks the column(s) {', '.join(missing)} of a table of labels.")
    if array.ndim < 2 or len(array) != len(table):
        raise ReregisterError(f"{masks_path} would hold masks of shape {array.shape} for {len(table)} rows.")
    if array.size and not np.isin(array, (0, 1)).all():
        raise ReregisterError(f"{masks_path} would hold values other than 0 and 1; write one mask for each label.")
    repeated = table.duplicated(["id", "label"])
    if repeated.any():
        row = table[repeated].iloc[0]
        raise ReregisterError(f"{table_path} has the label {row['label']} of the image {row['id']} twice.")
    empty = ~array.reshape(len(array), int(np.prod(array.shape[1:]))).any(axis=1)
    filled = table.assign(row=range(len(table)), empty=np.where(empty, "yes", ""))
    write_array(masks_path, np.ascontiguousarray(array, dtype=np.uint8))
    write_frame(table_path, filled[list(LABEL_COLUMNS)].astype(str))


def scorable_groups(subjects: pd.DataFrame, labelled: set[str], marks: Sequence[str] = ("ED", "ES")) -> list[str]:
    """Groups in which an image of every mark has a label, in the order of the table: the slices that can be scored.

    subjects: columns id, group and mark, as of a reader whose images carry marks; labelled: ids, as of `LabelStore.ids`.
    """
    known = subjects[subjects["id"].isin(labelled) & subjects["mark"].isin(list(marks))]
    found = known.groupby("group", sort=False)["mark"].nunique()
    return found.index[found == len(set(marks))].tolist()
