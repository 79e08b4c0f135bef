"""The pairs on which a network in whole numbers is calibrated: training images, never those it is tested on."""

import os
from collections.abc import Iterator

import numpy as np

from reregister.data.store import ImageStore
from reregister.errors import ReregisterError
from reregister.tables import read_frame

# Of the draw: which training pairs calibrate is no setting of an experiment.
SEED = 0


def calibration_pairs(
    store: ImageStore, pool: str | os.PathLike[str], count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`count` seeded pairs (moving, fixed) of the training pool, (*spatial) float32, two different images of one group.

    Where the pool has fixed pairs (column moving) they are drawn from those. Raises ReregisterError, when the first pair
    is asked for, where the count is not positive or the pool has no pair.
    """
    images, random = read_frame(pool), np.random.default_rng(SEED)
    alone = images.groupby("group")["id"].transform("size") < 2
    usable = images[(images["moving"] != "") | ~alone].reset_index(drop=True)
    if count < 1 or usable.empty:
        raise ReregisterError(
            f"{count} pairs cannot be drawn from {pool}, which has {len(usable)} images to make one of; mend "
            "settings.calibration or the training pool"
        )
    for _ in range(count):
        fixed = usable.iloc[int(random.integers(len(usable)))]
        others = usable[(usable["group"] == fixed["group"]) & (usable["id"] != fixed["id"])]
        moving = fixed["moving"] or others["id"].iloc[int(random.integers(len(others)))]
        rows = store.index([moving, fixed["id"]])
        yield np.array(store.images[rows[0], 0]), np.array(store.images[rows[1], 0])
