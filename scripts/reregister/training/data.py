"""From the frozen pairs and the pool to what the training loop takes, and from its history to a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reregister.data.pairing import EACH_ONCE, POOLS
from reregister.data.store import ImageStore
from reregister.errors import ReregisterError
from reregister.tables import read_frame
from reregister.training.loop import TrainingData

# Pools up to this size are read into memory; larger ones stay mapped.
IN_MEMORY_BYTES = 2 << 30


def training_data(store: ImageStore, pairs: Path, pool: Path, part: str) -> TrainingData:
    """Pool and validation pairs of one part (a group of images, or `all`) of an experiment.

    Raises ReregisterError where the part has no training image, or no validation pair though other parts have some: an
    experiment without any trains without validation.
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
    rows = np.concatenate([store.index(list(ids)) for ids in (images["id"], frozen["moving"], frozen["fixed"])])
    used, inverse = np.unique(rows, return_inverse=True)
    n, v = len(images), len(frozen)
    positions = inverse if store.images[0].nbytes * len(used) <= IN_MEMORY_BYTES else rows
    array = np.ascontiguousarray(store.images[used]) if positions is inverse else store.images
    ids = store.subjects["id"].to_numpy()[used if positions is inverse else slice(None)]
    rule = images["rule"].iloc[0]
    return TrainingData(
        images=array,
        ids=list(ids),
        pool=positions[:n],
        groups=list(images["group"]),
        validation=(positions[n : n + v], positions[n + v :]),
        distinct=POOLS[rule],
        each_once=rule == EACH_ONCE,
    )


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
