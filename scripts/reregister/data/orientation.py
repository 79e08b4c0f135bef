"""Where the axes of stored images lead, from the affine that their table of subjects holds."""

from itertools import permutations

import numpy as np

from reregister.errors import ReregisterError

# Of LPS millimetres, our world: where each axis leads, and where it comes from.
_LEADS, _COMES = "LPS", "RAI"


def axes_of(affine: str) -> str:
    """Where the axes lead, three of R, L, A, P, S, I, such as `RAS`; of oblique ones the nearest.

    affine: the column `affine` of a table of subjects: three rows of a (4, 4) matrix, voxel indices to LPS millimetres,
    as twelve numbers. Raises ReregisterError for other text and for an axis without a direction.
    """
    try:
        columns = np.array([float(number) for number in affine.split()]).reshape(3, 4)[:, :3]
    except ValueError:
        raise ReregisterError(f"The affine {affine!r} is not twelve numbers; prepare the data again.") from None
    lengths = np.linalg.norm(columns, axis=0)
    if not np.isfinite(columns).all() or not lengths.all():
        raise ReregisterError(f"The affine {affine!r} has an axis without a direction; prepare the data again.")
    cosines = columns / lengths
    # Each axis has a direction of the world to itself, so that no letter comes twice.
    best = max(permutations(range(3)), key=lambda order: sum(abs(cosines[row, k]) for k, row in enumerate(order)))
    return "".join((_LEADS if cosines[row, k] > 0 else _COMES)[row] for k, row in enumerate(best))
