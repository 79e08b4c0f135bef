"""Volumes as a page holds them: with their axes in one order, in whole numbers, deflated, as text."""

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reregister.exhibits.planes import order_of

# Where the axes of a page's volumes lead: so each plane is a slice as it stands, with the head up and its right on the left.
PAGE_AXES = ("I", "P", "L")
# Parts of a voxel in which displacements are kept: finer than a line of the grid is wide.
PARTS = 100
# Of deflation: the highest level takes seven times as long for 3 % less.
LEVEL = 6
# Okabe and Ito's colours, safe for colour blindness, without black, those first that are far apart on grey.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#0072B2")
# What later rounds of the same colours are mixed with, in which share: to be lighter or darker.
_ROUNDS = ((0, 0.0), (255, 0.5), (0, 0.35), (255, 0.75), (0, 0.55))


def turned(array: NDArray[Any], axes: str) -> NDArray[Any]:
    """A volume (X, Y, Z) with its axes leading down, back and left: `PAGE_AXES`.

    axes: where they lead now, three of the letters R, L, A, P, S, I. Raises ValueError for others.
    """
    order, flips = order_of(PAGE_AXES, axes)
    return np.flip(array.transpose(order), tuple(axis for axis, flip in enumerate(flips) if flip))


def turned_field(ddf: NDArray[Any], axes: str) -> NDArray[Any]:
    """A field (3, X, Y, Z), voxels, with the axes of its volume and its channels turned as `turned` does."""
    order, flips = order_of(PAGE_AXES, axes)
    return np.stack([turned(-ddf[axis] if flip else ddf[axis], axes) for axis, flip in zip(order, flips, strict=True)])


def pack_image(image: NDArray[Any]) -> str:
    """An image of any shape with intensities in [0, 1], in 256 levels; what lies outside is cut, NaN is 0."""
    return _packed(np.rint(255 * np.clip(np.nan_to_num(image), 0, 1)).astype(np.uint8))


def pack_labels(mask: NDArray[Any]) -> str:
    """A map of whole numbers from 0 to 255."""
    return _packed(mask.astype(np.uint8))


def pack_field(ddf: NDArray[Any]) -> str:
    """A field in hundredths of a voxel (16 bits, lowest byte first), each but the first as difference from the one before.

    Neighbours are alike, so that differences take few bits. Differences are taken modulo 2 ** 16, in which adding them up
    gives the numbers back. What is farther than 327 voxels is cut there, NaN is 0.
    """
    numbers = np.rint(PARTS * np.nan_to_num(np.asarray(ddf, np.float64))).clip(-32768, 32767).astype(np.int64).ravel()
    steps = np.diff(numbers, prepend=0) & 0xFFFF
    return _packed(steps.astype("<u2"))


def _packed(numbers: NDArray[Any]) -> str:
    """Base64 of the deflated bytes (zlib's format), rows in C order."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(numbers).tobytes(), LEVEL)).decode()


def label_colours(count: int) -> list[str]:
    """A colour for each of `count` labels, `#rrggbb`, all different up to 35; the first 7 are far apart for all readers."""
    found = []
    for number in range(count):
        towards, share = _ROUNDS[number // len(COLOURS) % len(_ROUNDS)]
        base = bytes.fromhex(COLOURS[number % len(COLOURS)][1:])
        found.append("#" + "".join(f"{round((1 - share) * part + share * towards):02X}" for part in base))
    return found
