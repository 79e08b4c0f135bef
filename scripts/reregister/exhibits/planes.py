"""Slices of volumes as radiologists look at them: the head up, its right on the left of the page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The axis across each plane, and those down and across the page, each by where they lead.
PLANES = {"sagittal": ("R", "I", "P"), "coronal": ("A", "I", "L"), "axial": ("S", "P", "L")}
OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}


def cut(array: NDArray[Any], plane: str, place: float = 0.5, axes: str = "RAS") -> NDArray[Any]:
    """One slice (..., H, W) of volumes (..., X, Y, Z).

    plane: of `PLANES`. place: where along the axis across it, in [0, 1], 0.5 in the middle. axes: where the volume's axes
    lead, three of the letters R, L, A, P, S, I. Raises ValueError for another plane, place or axes.
    """
    (across, *others), flips = _order(plane, axes)
    if not 0 <= place <= 1:
        raise ValueError(f"place lies in 0 to 1, got {place}")
    side = array.shape[array.ndim - 3 + across]
    flat = np.take(array, min(int(place * side), side - 1), axis=array.ndim - 3 + across)
    if others[0] > others[1]:
        flat = np.swapaxes(flat, -1, -2)
    return np.flip(flat, tuple(axis for axis, flip in zip((-2, -1), flips, strict=True) if flip))


def cut_field(ddf: NDArray[Any], plane: str, place: float = 0.5, axes: str = "RAS") -> NDArray[Any]:
    """The part of a field that lies in a slice: (2, H, W), voxels, of a field (3, X, Y, Z); what leads out of it is left out.

    plane, place, axes and errors as of `cut`.
    """
    (_, *others), flips = _order(plane, axes)
    flat = cut(ddf, plane, place, axes)[others]
    signs = np.array([-1 if flip else 1 for flip in flips], dtype=flat.dtype)
    return np.asarray(flat * signs[:, None, None])


def order_of(wanted: Sequence[str], axes: str) -> tuple[list[int], list[bool]]:
    """Which axes of a volume lie along `wanted`, and whether each is to be turned round to lead there.

    wanted: letters of R, L, A, P, S, I. axes: as of `cut`. Raises ValueError for other axes.
    """
    if sorted(min(letter, OPPOSITE.get(letter, "")) for letter in axes) != ["A", "I", "L"]:
        raise ValueError(f"axes are named by where they lead, such as RAS, not {axes}")
    order = [next(k for k, letter in enumerate(axes) if letter in (end, OPPOSITE[end])) for end in wanted]
    return order, [axes[k] != end for k, end in zip(order, wanted, strict=True)]


def _order(plane: str, axes: str) -> tuple[list[int], list[bool]]:
    """The volume's axes across the plane, down and across the page; and whether the last two are to be turned round."""
    if plane not in PLANES:
        raise ValueError(f"a plane is {', '.join(PLANES)}, not {plane}")
    order, flips = order_of(PLANES[plane], axes)
    return order, flips[1:]
