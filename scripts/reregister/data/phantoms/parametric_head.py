"""A head of nested ellipsoids: a brain with named structures at plausible places, skull and scalp around it.

Places are LPS millimetres of an adult head (x to the left, y to the back, z up), the origin in the middle of the
cerebrum. Ids are FreeSurfer's; what lies outside the brain has ids of its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Outside the brain: scalp with all that is soft, bone, and the fluid between bone and brain.
SCALP, BONE, FLUID = 200, 201, 24
#: First and last place of the box that holds head and neck.
LOW, HIGH = (-82.0, -104.0, -88.0), (82.0, 108.0, 92.0)


class Structure(NamedTuple):
    """An ellipsoid. left, right: ids on either side (the same: in the middle). centre: of the left one; axes: half."""

    left: int
    right: int
    centre: tuple[float, float, float]
    axes: tuple[float, float, float]


#: Later ones are painted over earlier ones.
STRUCTURES = (
    Structure(8, 47, (24.0, 52.0, -38.0), (27.0, 25.0, 19.0)),
    Structure(7, 46, (20.0, 49.0, -38.0), (16.0, 14.0, 10.0)),
    Structure(16, 16, (0.0, 22.0, -36.0), (12.0, 11.0, 27.0)),
    Structure(15, 15, (0.0, 35.0, -30.0), (6.0, 6.0, 9.0)),
    Structure(24, 24, (0.0, 4.0, -22.0), (11.0, 7.0, 6.0)),
    Structure(28, 60, (10.0, 11.0, -6.0), (8.0, 9.0, 7.0)),
    Structure(10, 49, (11.0, 11.0, 7.0), (9.0, 14.0, 9.0)),
    Structure(26, 58, (9.0, -17.0, -3.0), (5.0, 6.0, 5.0)),
    Structure(12, 51, (27.0, -5.0, 3.0), (7.0, 15.0, 10.0)),
    Structure(13, 52, (19.0, -2.0, 2.0), (5.0, 9.0, 8.0)),
    Structure(11, 50, (14.0, -15.0, 14.0), (6.0, 14.0, 9.0)),
    Structure(4, 43, (11.0, 6.0, 22.0), (6.5, 30.0, 8.0)),
    Structure(31, 63, (12.0, 24.0, 20.0), (3.0, 8.0, 3.5)),
    Structure(14, 14, (0.0, 7.0, 2.0), (3.0, 12.0, 9.0)),
    Structure(17, 53, (27.0, 17.0, -11.0), (6.0, 17.0, 6.0)),
    Structure(18, 54, (23.0, -7.0, -15.0), (7.0, 7.0, 7.0)),
    Structure(5, 44, (35.0, 12.0, -13.0), (3.5, 13.0, 4.0)),
    Structure(30, 62, (27.0, -16.0, -8.0), (3.0, 3.0, 3.0)),
)

_CEREBRUM = ((0.0, -4.0, 8.0), (66.0, 84.0, 60.0))
_SCALP = ((0.0, 2.0, 6.0), (80.0, 102.0, 84.0))
_BONE = ((0.0, 1.0, 5.0), (75.0, 96.0, 78.0))
_FLUID = ((0.0, 0.0, 4.0), (70.0, 90.0, 71.0))
_NECK = ((0.0, 36.0, -70.0), (48.0, 48.0, 60.0))
#: Share of the cerebrum's radius at which white matter ends, and by how much folds move that edge and the outer one.
_WHITE, _FOLDS, _SULCI = 0.83, 0.09, 0.05
#: Wavelengths of the folds, mm; unequal, so that no place looks like another.
_WAVES = (31.0, 37.0, 29.0)


def paint_head(step: float) -> NDArray[np.uint8]:
    """The head on a grid of `step` millimetres from `LOW` to `HIGH`, uint8 ids, axes left, posterior, superior."""
    x, y, z = (np.arange(low, high + step / 2, step, dtype=np.float32) for low, high in zip(LOW, HIGH, strict=True))
    places = [x[:, None, None], y[None, :, None], z[None, None, :]]
    ids = np.zeros((len(x), len(y), len(z)), np.uint8)
    for (centre, axes), value in ((_NECK, SCALP), (_SCALP, SCALP), (_BONE, BONE), (_FLUID, FLUID)):
        ids[_radius(places, centre, axes) < 1] = value
    radius = _radius(places, *_CEREBRUM)
    folds = _folds(places)
    left = places[0] > 0
    outer = radius < 1 - _SULCI * np.maximum(folds, 0)
    ids[outer & left] = 3
    ids[outer & ~left] = 42
    inner = radius < _WHITE + _FOLDS * folds
    ids[inner & left] = 2
    ids[inner & ~left] = 41
    for structure in STRUCTURES:
        for value, side in ((structure.left, 1.0), (structure.right, -1.0)):
            _paint(ids, (x, y, z), value, (side * structure.centre[0], *structure.centre[1:]), structure.axes)
    return ids


def _paint(
    ids: NDArray[np.uint8],
    axes: Sequence[NDArray[np.float32]],
    value: int,
    centre: Sequence[float],
    half: Sequence[float],
) -> None:
    # Only in the structure's own box: most are small.
    box = tuple(
        slice(*np.searchsorted(axis, (middle - reach, middle + reach)))
        for axis, middle, reach in zip(axes, centre, half, strict=True)
    )
    x, y, z = (axis[part] for axis, part in zip(axes, box, strict=True))
    ids[box][_radius([x[:, None, None], y[None, :, None], z[None, None, :]], centre, half) < 1] = value


def _radius(
    places: Sequence[NDArray[np.float32]], centre: Sequence[float], half: Sequence[float]
) -> NDArray[np.float32]:
    squares = [((place - middle) / reach) ** 2 for place, middle, reach in zip(places, centre, half, strict=True)]
    result: NDArray[np.float32] = np.sqrt(squares[0] + squares[1] + squares[2])
    return result


def _folds(places: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """A wavy pattern between -1 and 1 that is not the same on both sides."""
    first, second, third = (2 * np.pi * place / wave for place, wave in zip(places, _WAVES, strict=True))
    result: NDArray[np.float32] = (
        np.sin(first + 0.7) * np.cos(second) + np.sin(second + 0.4) * np.cos(third) + np.sin(third) * np.cos(first)
    ) / 2
    return np.clip(result, -1, 1)
