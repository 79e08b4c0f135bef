"""The labels of a dataset of heads: held to its table of structures, with what is unknown or absent reported."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.reading import note


@dataclass(frozen=True)
class Structures:
    """names: of the structures by their value in a map, 1 to 255. report: a reading's list of clauses, which is added to."""

    names: Mapping[int, str]
    report: list[str]

    def known(self, subject: str, stored: NDArray[Any]) -> NDArray[np.uint8]:
        """A volume of whole numbers with those of the table; others are made 0 and reported."""
        inside = np.isin(stored, [0, *self.names])
        if not inside.all():
            others = zip(*np.unique(stored[~inside], return_counts=True), strict=True)
            listed = ", ".join(f"{number} ({count})" for number, count in others)
            note(self.report, f"{subject} has voxels of ids outside the table, made 0 (id and voxels): {listed}")
        return np.where(inside, stored, 0).astype(np.uint8)

    def rows(self, subject: str, values: NDArray[np.uint8], ids: Iterable[str]) -> pd.DataFrame:
        """Rows of `label_map_files.LabelBatch` for one map, which the images `ids` of a subject share.

        Every structure has a row; those without a voxel are reported.
        """
        present = set(np.flatnonzero(np.bincount(values.ravel(), minlength=256)).tolist())
        if absent := [f"{number} {name}" for number, name in self.names.items() if number not in present]:
            note(self.report, f"{subject} has no {', no '.join(absent)}")
        rows = [(0, identity, name, number, "mm") for identity in ids for number, name in self.names.items()]
        return pd.DataFrame(rows, columns=["map", "id", "label", "value", "unit"])
