"""Labels beside an ImageStore as maps: one map of whole numbers an image, and a table that says what they mean.

An image with 35 labels costs one volume of bytes so, not 35; a mask is made when it is asked for. A dataset with a
single mask is the case of one label with the value 1.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.errors import ReregisterError
from reregister.tables import read_frame

MAP_COLUMNS = ("row", "id", "label", "value", "unit", "voxels", "empty")


@dataclass(frozen=True)
class LabelMaps:
    """Label maps of one data set, and one row for each label of each image.

    maps: uint8 (N, *spatial), 0 where there is no label, memory-mapped, read-only.
    table: text: row (number of the map), id (of the image), label (its name), value (in the map), unit (of the image's
        spacing: mm or px), voxels (that have the value), empty (`yes` where none has: an overlap is flagged there and a
        distance left out and counted).
    """

    maps: NDArray[np.uint8]
    table: pd.DataFrame

    @classmethod
    def open(cls, maps_path: str | os.PathLike[str], table_path: str | os.PathLike[str]) -> "LabelMaps":
        """Map the array and read its table.

        Raises ReregisterError where a file is missing or unreadable, a column is missing, or a row names a map that is
        not there.
        """
        try:
            maps = np.load(maps_path, mmap_mode="r", allow_pickle=False)
            table = read_frame(table_path)
        except (OSError, ValueError, EOFError) as error:
            raise ReregisterError(
                f"{maps_path} and {table_path} cannot be read as labels ({error}); prepare the data again."
            ) from None
        missing = [column for column in MAP_COLUMNS if column not in table.columns]
        if missing:
            raise ReregisterError(f"{table_path} lacks the column(s) {', '.join(missing)}; prepare the data again.")
        named = set(table["row"])
        if named != {str(row) for row in range(len(maps))}:
            raise ReregisterError(
                f"{maps_path} holds {len(maps)} maps but {table_path} names {len(named)}; prepare the data again."
            )
        return cls(maps, table)

    @cached_property
    def names(self) -> list[str]:
        """Names of all labels, in the order of the table."""
        return list(dict.fromkeys(self.table["label"]))

    @cached_property
    def _entries(self) -> dict[tuple[str, str], tuple[int, int, int]]:
        """Row of the map, value and voxels by image and label."""
        columns = [self.table[name].astype(int) for name in ("row", "value", "voxels")]
        keys = zip(self.table["id"], self.table["label"], strict=True)
        return dict(zip(keys, zip(*columns, strict=True), strict=True))

    def ids(self, label: str) -> set[str]:
        """Images that have a label of this name, be it empty."""
        return set(self.table["id"][self.table["label"] == label])

    def has(self, identity: str, label: str) -> bool:
        """Whether an image has a label of this name, be it empty."""
        return (identity, label) in self._entries

    def values(self, identity: str, labels: Sequence[str]) -> list[int]:
        """Values of labels in an image's map, in their order. Raises ReregisterError naming the first it has not."""
        return [self._entry(identity, label)[1] for label in labels]

    def rows(self, ids: Sequence[str] | pd.Series) -> NDArray[np.intp]:
        """Rows of the maps of images, in the order of `ids`. Raises ReregisterError naming the first without a map."""
        for identity in ids:
            if identity not in self._row_of:
                raise ReregisterError(f"The image {identity!r} has no labels; check the list of pairs.")
        return np.array([self._row_of[identity] for identity in ids], dtype=np.intp)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return dict(zip(self.table["id"], self.table["row"].astype(int), strict=True))

    def map(self, identity: str) -> NDArray[np.uint8]:
        """The map of one image, uint8 (*spatial). Raises ReregisterError where it has none."""
        return self.maps[self.rows([identity])[0]]

    def mask(self, identity: str, label: str) -> NDArray[np.uint8]:
        """Where an image has a label: uint8 (*spatial), 0 and 1. Raises ReregisterError where it has no such label."""
        row, value, _ = self._entry(identity, label)
        return (self.maps[row] == value).astype(np.uint8)

    def is_empty(self, identity: str, label: str) -> bool:
        """Whether no voxel of an image has a label. Raises ReregisterError where it has no such label."""
        return self._entry(identity, label)[2] == 0

    def _entry(self, identity: str, label: str) -> tuple[int, int, int]:
        if (identity, label) not in self._entries:
            raise ReregisterError(f"The image {identity!r} has no label {label!r}; check the list of pairs.")
        return self._entries[identity, label]
