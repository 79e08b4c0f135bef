"""Overlap of two masks, and whether there is anything to overlap."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def dice(warped: ArrayLike, fixed: ArrayLike) -> float:
    """Dice coefficient: twice the intersection over the sum of both sizes.

    warped, fixed: masks (H, W) or (D, H, W) of one grid, bool or 0 and 1. Returns a value in [0, 1], no unit: 0 where one
    mask is empty, NaN where both are. Raises ValueError if shapes differ or values are no mask. Equal to MONAI's
    `compute_dice` apart from an empty fixed mask, where that gives NaN whatever the other holds. Source: Dice 1945.
    """
    first, second = as_masks(warped, fixed)
    total = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2 * int(np.count_nonzero(first & second)) / total if total else float("nan")


def emptiness(warped: ArrayLike, fixed: ArrayLike) -> dict[str, int]:
    """Flags `empty_warped` and `empty_fixed`, 1 where that mask holds no voxel: their sums count the pairs concerned.

    warped, fixed and errors as in `dice`. A metric of surfaces is NaN where either is 1, Dice where both are.
    """
    first, second = as_masks(warped, fixed)
    return {"empty_warped": int(not first.any()), "empty_fixed": int(not second.any())}


def as_masks(warped: ArrayLike, fixed: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two masks of one grid as bool. Raises ValueError if shapes differ, are not 2-D or 3-D, or values are not 0 and 1."""
    pair = np.asarray(warped), np.asarray(fixed)
    if pair[0].shape != pair[1].shape or pair[0].ndim not in (2, 3) or pair[0].size == 0:
        shapes = f"{pair[0].shape} and {pair[1].shape}"
        raise ValueError(f"two masks of one shape (H, W) or (D, H, W) are needed, got {shapes}")
    for mask in pair:
        # A map of several labels, taken for a mask, would merge them in silence.
        if mask.dtype != bool and not ((mask == 0) | (mask == 1)).all():
            raise ValueError(f"a mask holds 0 and 1 alone, got values up to {mask.max()}; compare labels one by one")
    return pair[0].astype(bool, copy=False), pair[1].astype(bool, copy=False)
