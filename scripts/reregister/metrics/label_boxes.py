"""Boxes that hold a label of a volume, and what a field can bring into them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

Box = tuple[slice, ...]


def boxes_of(values: NDArray[Any], labels: Sequence[int]) -> list[Box | None]:
    """The smallest box of each label of a map (*spatial); None for a label without a voxel.

    A flat map is taken whole: a slice is small, and its metrics are to be the same to the last bit wherever its label lies.
    The whole also stands for the value 0 and below, which the search for boxes leaves out.
    """
    whole = tuple(slice(0, side) for side in values.shape)
    if values.ndim == 2:
        return [whole] * len(labels)
    found = find_objects(values.astype(np.uint8) if values.dtype == bool else values)
    return [whole if label < 1 else found[label - 1] if label <= len(found) else None for label in labels]


def reached(boxes: Sequence[Box | None], field: NDArray[np.floating]) -> list[Box | None]:
    """Boxes widened so that a mask pulled back through a field neither leaves them nor feels their edge.

    field: (ndim, *spatial), voxels. A place x takes the value at x + u(x), so a mask from a to b is found again between
    a - max(u) and b - min(u); one voxel more on each side is what linear interpolation needs.
    """
    sides, axes = field.shape[1:], tuple(range(1, field.ndim))
    least, most = field.min(axis=axes), field.max(axis=axes)
    if not (np.isfinite(least).all() and np.isfinite(most).all()):
        # Such a field may reach anything.
        return [None if box is None else tuple(slice(0, side) for side in sides) for box in boxes]
    before, after = (np.ceil(np.maximum(far, 0)).astype(int) + 1 for far in (most, -least))
    return [
        None
        if box is None
        else tuple(
            slice(max(part.start - low, 0), min(part.stop + high, side))
            # The moving mask itself with a voxel around it stays inside, since its values are read there.
            for part, low, high, side in zip(box, before.tolist(), after.tolist(), sides, strict=True)
        )
        for box in boxes
    ]


def joint(first: Box | None, second: Box | None) -> Box | None:
    """The smallest box that holds two; the other one where one is None."""
    if first is None or second is None:
        return first or second
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
