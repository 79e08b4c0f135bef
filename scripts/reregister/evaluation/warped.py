"""How alike the images are that several methods warp [reduced_voxelmorph, section 4: "look similar"]."""

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
import torch

from reregister.errors import ReregisterError
from reregister.metrics.intensity import ssim
from reregister.transforms.warp import warp


def similarity_of_warped(
    images: np.ndarray,
    pairs: pd.DataFrame,
    fields: Mapping[str, np.ndarray],
    padding: str,
    advance: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """SSIM (`metrics.intensity.ssim`) of the warped images of each two methods, for every pair.

    images: (N, C, *spatial), of which the first channel is compared, intensities in [0, 1]. pairs: P rows with pair_id and
    moving_row. fields: by method (P, ndim, *spatial), voxels, mapped: one pair of all methods is in memory at a time.
    padding: border or zeros, what lies outside the moving image. advance: called after each pair.
    Returns one row for each pair and two methods, in the order of `fields`: pair_id, first, second, ssim. Raises
    ReregisterError for fewer than two methods and for fields that are not as many as the pairs.
    """
    if len(fields) < 2:
        raise ReregisterError(f"only {', '.join(fields) or 'no method'} is there to compare; name two methods or more")
    wrong = [f"{len(own)} fields of {method}" for method, own in fields.items() if len(own) != len(pairs)]
    if wrong:
        raise ReregisterError(f"there are {len(pairs)} pairs, but {wrong[0]}; register the pairs again")
    rows = []
    for place, pair in enumerate(pairs.itertuples(index=False)):
        moving = torch.from_numpy(np.array(images[pair.moving_row][:1], np.float32))[None]
        warped = {method: _warped(moving, own[place], padding) for method, own in fields.items()}
        for first, second in combinations(warped, 2):
            value = ssim(warped[first], warped[second])
            rows.append({"pair_id": pair.pair_id, "first": first, "second": second, "ssim": value})
        advance()
    return pd.DataFrame(rows, columns=["pair_id", "first", "second", "ssim"])


def _warped(moving: torch.Tensor, field: np.ndarray, padding: str) -> np.ndarray:
    ddf = torch.from_numpy(np.array(field, np.float32))[None]
    image: np.ndarray = warp(moving, ddf, padding=padding)[0, 0].numpy()
    return image
