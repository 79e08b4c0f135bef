"""Displacement fields one after the other: a start such as an affine map, and what is found from there on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def pulled_back(array: NDArray[np.floating], ddf: NDArray[np.floating]) -> NDArray[np.float32]:
    """An image, or one component of a field, sampled where a field points: array(x + ddf(x)), linear [scipy.ndimage].

    array: (*spatial), any range. ddf: (ndim, *spatial), voxels, pull-back. Outside of the grid the value of its edge stands.
    Returns (*spatial), float32. Raises ValueError where the shapes do not fit.
    """
    # Jobs without a start would wait for its import, too.
    from scipy.ndimage import map_coordinates

    _check(ddf, array.shape)
    places = np.indices(array.shape, dtype=np.float64) + ddf
    found: NDArray[np.float32] = map_coordinates(array, places, output=np.float32, order=1, mode="nearest")
    return found


def composed(first: NDArray[np.floating], then: NDArray[np.floating]) -> NDArray[np.float32]:
    """The one field that warps as two do, one after the other: u(x) = then(x) + first(x + then(x)).

    first: (ndim, *spatial), voxels, pull-back, by which the moving image was warped; then: the same, found between that
    warped image and the fixed one. moving(x + u(x)) is the image warped by `first` and the result by `then`, but for one
    interpolation less. Outside of the grid `first` keeps the value of its edge. Returns (ndim, *spatial), float32. Raises
    ValueError where the shapes do not fit.
    """
    _check(first, then.shape[1:])
    _check(then, then.shape[1:])
    return np.stack([step + pulled_back(part, then) for part, step in zip(first, then, strict=True)]).astype(np.float32)


def _check(ddf: NDArray[np.floating], spatial: Sequence[int]) -> None:
    if ddf.shape != (len(spatial), *spatial):
        raise ValueError(f"a field over {tuple(spatial)} has shape {(len(spatial), *spatial)}, got {ddf.shape}")
