"""From the frozen pairs and the pool to what the training loop takes, and from its history to a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reregister.data.label_maps import LabelMaps
from reregister.data.pools import EPOCH_POOLS, POOLS
from reregister.data.store import ImageStore
from reregister.errors import ReregisterError
from reregister.tables import read_frame
from reregister.training.batches import TrainingData, TrainingLabels

# Pools up to this size are read into memory; larger ones stay mapped.
IN_MEMORY_BYTES = 2 << 30


def training_data(
    store: ImageStore,
    pairs: Path,
    pool: Path,
    part: str,
    labels: LabelMaps | None = None,
    names: Sequence[str] = (),
) -> TrainingData:
    """Pool and validation pairs of one part (a group of images, or `all`) of an experiment, with the labels `names`.

    Raises ReregisterError where the part has no training image, or no validation pair though other parts have some: an
    experiment without any trains without validation; and as `training_labels`.
    """
    images, frozen = read_frame(pool), read_frame(pairs)
    frozen = frozen[frozen["split"] == "validation"]
    without = frozen.empty
    if part != "all":
        images, frozen = images[images["group"] == part], frozen[frozen["group"] == part]
    if images.empty or (frozen.empty and not without):
        raise ReregisterError(
            f"part {part} has {len(images)} training images and {len(frozen)} validation pairs; mend the split or the parts"
        )
    moving = images["moving"][images["moving"] != ""]
    columns = (images["id"], moving, frozen["moving"], frozen["fixed"])
    rows = np.concatenate([store.index(list(ids)) for ids in columns])
    used, inverse = np.unique(rows, return_inverse=True)
    in_memory = store.images[0].nbytes * len(used) <= IN_MEMORY_BYTES
    positions = inverse if in_memory else rows
    ids = store.subjects["id"].to_numpy()[used if in_memory else slice(None)]
    pooled, partners, *validation = np.split(positions, np.cumsum([len(ids) for ids in columns[:-1]]))
    rule = images["rule"].iloc[0]
    return TrainingData(
        images=np.ascontiguousarray(store.images[used]) if in_memory else store.images,
        ids=list(ids),
        pool=pooled,
        groups=list(images["group"]),
        validation=(validation[0], validation[1]),
        distinct=POOLS[rule],
        each_once=rule in EPOCH_POOLS,
        partners=partners if len(partners) else None,
        labels=training_labels(labels, names, list(ids), np.unique(positions)) if labels is not None else None,
    )


def training_labels(labels: LabelMaps, names: Sequence[str], ids: Sequence[str], used: np.ndarray) -> TrainingLabels:
    """The labels `names` of the images with these ids; used: the rows of those that are trained or validated on.

    A label that an image lacks, or that has no voxel in it, is left out there. Raises ReregisterError for a label that no
    image has, and an image that has none of them.
    """
    for name in names:
        if name not in labels.names:
            raise ReregisterError(f"training.labels names {name}, which the data do not have; mend training.labels")
    values = np.full((len(ids), len(names)), -1, np.int16)
    rows = np.zeros(len(ids), np.intp)
    rows[used] = labels.rows([ids[row] for row in used])
    for row in used:
        for column, name in enumerate(names):
            if labels.has(ids[row], name) and not labels.is_empty(ids[row], name):
                values[row, column] = labels.values(ids[row], [name])[0]
        if (values[row] < 0).all():
            raise ReregisterError(
                f"the image {ids[row]} has none of the labels {', '.join(names)}; mend training.labels"
            )
    maps = labels.maps
    wanted, inverse = np.unique(rows[used], return_inverse=True)
    if maps[0].nbytes * len(wanted) <= IN_MEMORY_BYTES:
        maps, rows[used] = np.ascontiguousarray(maps[wanted]), inverse
    return TrainingLabels(list(names), maps, rows, values)


def history_frame(
    history: Sequence[Mapping[str, Any]], method: str, part: str, seed: int, steps_per_epoch: int | None = None
) -> pd.DataFrame:
    """Rows of a training history: method, part, seed, step, mean training loss since the row before, validation loss.

    A row without a validation has none. Where the loss has several terms, validation_<term> is each without its weight;
    where the training goes by epochs, epoch is the step in epochs and end, in the last row, why it ended.
    """
    frame = pd.DataFrame(history, columns=["step", "train_loss", "validation_loss"])
    terms = dict.fromkeys(name for row in history for name in row.get("terms", {}))
    for name in terms:
        frame[f"validation_{name}"] = [row.get("terms", {}).get(name) for row in history]
    if steps_per_epoch is not None:
        frame["epoch"] = frame["step"] / steps_per_epoch
        frame["end"] = [row.get("end", "") for row in history]
    return frame.assign(method=method, part=part, seed=seed)[["method", "part", "seed", *frame.columns]]
