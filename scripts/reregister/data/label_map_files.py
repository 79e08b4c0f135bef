"""Writing label maps: checked batch by batch, so that they need not fit into memory together."""

import os
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.label_maps import MAP_COLUMNS
from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path
from reregister.tables import write_frame

#: What a batch's table holds; `map` is the map's number in the batch.
_BATCH_COLUMNS = ("map", "id", "label", "value", "unit")

#: Maps uint8 (n, *spatial) and their table of `_BATCH_COLUMNS`; several images may share a map.
LabelBatch = tuple[NDArray[np.uint8], pd.DataFrame]


def write_label_maps(
    maps_path: str | os.PathLike[str],
    table_path: str | os.PathLike[str],
    spatial: Sequence[int],
    batches: Iterable[LabelBatch],
) -> None:
    """Check, then write `labels.npy` (uint8) and `labels.csv` from batches that need not fit into memory together.

    spatial: shape of the images; each map has it. Where a check fails neither file is left behind. Raises
    ReregisterError for a map of another shape or dtype, a value that the table does not name, a value or a
    label that an image has twice, an image with two maps, a map without rows and a missing column.
    """
    tables: list[pd.DataFrame] = []
    header_bytes, count = 0, 0
    with atomic_path(maps_path) as temporary, open(temporary, "wb") as file:
        # The number of maps is known at the end only: the header is written again then, padded to the same length.
        header_bytes = _write_header(file, 0, spatial)
        for maps, rows in batches:
            tables.append(_checked(maps, rows, spatial, maps_path, table_path).assign(row=rows["map"] + count))
            file.write(np.ascontiguousarray(maps).tobytes())
            count += len(maps)
        file.seek(0)
        if _write_header(file, count, spatial) != header_bytes:
            raise ReregisterError(f"{maps_path} cannot hold {count} maps; write fewer.")
        table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*MAP_COLUMNS])
        _require_single(table, table_path)
    write_frame(table_path, table[list(MAP_COLUMNS)].astype(str))


def maps_from_masks(masks: NDArray[np.uint8], table: pd.DataFrame) -> LabelBatch:
    """Masks of single labels, as `Reading.labels` gives them, as maps: labels are numbered from 1 in order of the table.

    masks: (M, *spatial), 0 and 1. table: M rows with id, label and unit. Raises ReregisterError where two labels of an
    image overlap, which one map cannot hold, and for more than 255 labels.
    """
    names = list(dict.fromkeys(table["label"]))
    places = {identity: place for place, identity in enumerate(dict.fromkeys(table["id"]))}
    if len(names) > 255:
        raise ReregisterError(f"The data have {len(names)} labels; a label map holds 255 at most.")
    maps = np.zeros((len(places), *masks.shape[1:]), np.uint8)
    rows = table[["id", "label", "unit"]].assign(
        map=[places[identity] for identity in table["id"]], value=[names.index(label) + 1 for label in table["label"]]
    )
    for mask, place, value, identity in zip(masks, rows["map"], rows["value"], rows["id"], strict=True):
        inside = mask != 0
        if maps[place][inside].any():
            raise ReregisterError(f"Two labels of the image {identity} overlap; a label map cannot hold both.")
        maps[place][inside] = value
    return maps, rows


def _write_header(file: BinaryIO, count: int, spatial: Sequence[int]) -> int:
    # numpy pads the first length for 21 digits, so that a header can grow in place.
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *map(int, spatial))}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


def _checked(
    maps: NDArray[np.uint8],
    rows: pd.DataFrame,
    spatial: Sequence[int],
    maps_path: str | os.PathLike[str],
    table_path: str | os.PathLike[str],
) -> pd.DataFrame:
    """The rows of a batch with the voxels of each label counted."""
    if missing := [column for column in _BATCH_COLUMNS if column not in rows.columns]:
        raise ReregisterError(f"{table_path} lacks the column(s) {', '.join(missing)} of a table of labels.")
    if maps.dtype != np.uint8 or maps.shape[1:] != tuple(spatial) or set(rows["map"]) != set(range(len(maps))):
        raise ReregisterError(
            f"{maps_path} cannot take {maps.dtype} maps of shape {maps.shape} for {rows['map'].nunique()} maps of rows: "
            f"it holds uint8 of shape {tuple(spatial)}."
        )
    counts = [np.bincount(values.ravel(), minlength=256) for values in maps]
    for place, count in enumerate(counts):
        own = rows[rows["map"] == place]
        unnamed = set(np.flatnonzero(count)) - {0} - set(own["value"].astype(int))
        if unnamed:
            raise ReregisterError(
                f"{maps_path} would hold the value {min(unnamed)} in the map of {own['id'].iloc[0]}, which has no name."
            )
    voxels = [int(counts[place][value]) for place, value in zip(rows["map"], rows["value"].astype(int), strict=True)]
    return rows.assign(voxels=voxels, empty=["" if count else "yes" for count in voxels])


def _require_single(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    for column in ("label", "value"):
        repeated = table.duplicated(["id", column])
        if repeated.any():
            row = table[repeated].iloc[0]
            raise ReregisterError(f"{path} has the {column} {row[column]} of the image {row['id']} twice.")
    if (table.groupby("id")["row"].nunique() > 1).any():
        raise ReregisterError(f"{path} gives an image two maps; one map holds all its labels.")
