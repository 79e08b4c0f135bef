"""The one anatomy that all subjects of a stand-in of heads are deformed from: ids, grey values, mask of the brain."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_fill_holes, gaussian_filter, map_coordinates

from reregister.data.phantoms.parametric_head import BONE, LOW, SCALP, paint_head
from reregister.data.volume_grids import centroid, extents
from reregister.data.volumes import Volume, read_volume, whole_numbers
from reregister.errors import ReregisterError

Floats = NDArray[np.floating[Any]]

#: Grey values of a T1 image by id, share of the brightest; the sample maps name some tissues outside the brain, too.
_WHITE, _GREY, _FLUID = 0.78, 0.52, 0.16
GREY: Mapping[int, float] = (
    dict.fromkeys((2, 7, 41, 46, 85), _WHITE)
    | dict.fromkeys((3, 8, 42, 47), _GREY)
    | dict.fromkeys((4, 5, 14, 15, 24, 43, 44, 72), _FLUID)
    | dict.fromkeys((10, 49), 0.63)
    | dict.fromkeys((11, 50, 12, 51, 26, 58), 0.57)
    | dict.fromkeys((13, 52, 28, 60), 0.69)
    | dict.fromkeys((16,), 0.72)
    | dict.fromkeys((17, 53, 18, 54), 0.50)
    | dict.fromkeys((30, 31, 62, 63), 0.32)
    | {SCALP: 0.68, BONE: 0.08}
)
#: Structures of the brain, CSF apart, which reaches outside it.
BRAIN = frozenset(GREY) - {24, SCALP, BONE}
#: Ids of SynthSeg's maps [BBillot/SynthSeg] outside the brain that are bone; all others are soft.
_BONES = (515, 516)
#: Outside millimetres by which the brain's mask closes sulci; standard deviation of the texture and its reach, mm.
_CLOSE_MM, _TEXTURE, _TEXTURE_MM = 4.0, 0.04, 4.0
#: Reach by which edges of tissues are softened, and least reach of the texture: mm of the scanner, whose voxels do not
#: shrink with the head. Finer detail would change with every shift by a part of a voxel, and so look like noise.
_SOFT_MM, _LEAST_TEXTURE_MM = 0.7, 1.8
#: Millimetres of an adult between the voxels of the parametric head.
_STEP_MM = 1.5


@dataclass(frozen=True)
class Anatomy:
    """A head on its own grid. ids: uint8 (X, Y, Z), axes left, posterior, superior. step: mm between voxels; origin:
    (3,), LPS mm of the first voxel. Millimetres are those of the scaled head.
    """

    ids: NDArray[np.uint8]
    step: float
    origin: Floats
    seed: int
    scale: float

    @cached_property
    def brain(self) -> NDArray[np.uint8]:
        """1 where the brain is, with what lies between its folds."""
        own = np.isin(self.ids, sorted(BRAIN))
        rounds = max(1, round(_CLOSE_MM * self.scale / self.step))
        padded = np.pad(own, rounds)
        closed = binary_closing(padded, iterations=rounds)[rounds:-rounds, rounds:-rounds, rounds:-rounds]
        filled: NDArray[np.uint8] = binary_fill_holes(closed | own).astype(np.uint8)
        return filled

    @cached_property
    def grey(self) -> NDArray[np.float32]:
        """T1 grey values with a texture, edges softened, 0 to about 1."""
        table = np.zeros(256, np.float32)
        table[list(GREY)] = list(GREY.values())
        rng = np.random.default_rng(self.seed)
        noise = rng.standard_normal(self.ids.shape, dtype=np.float32)
        texture = gaussian_filter(noise, max(_TEXTURE_MM * self.scale, _LEAST_TEXTURE_MM) / self.step)
        texture *= _TEXTURE / texture.std()
        raw = table[self.ids]
        soft: NDArray[np.float32] = gaussian_filter(raw * (1 + 2 * texture), _SOFT_MM / self.step)
        return soft

    def index(self, places: Floats) -> Floats:
        """Voxel indices (3, ...) of places (..., 3), LPS mm."""
        return np.moveaxis((places - self.origin.astype(places.dtype)) / places.dtype.type(self.step), -1, 0)

    def sample_grey(self, places: Floats) -> NDArray[np.float32]:
        """Grey values at places (..., 3), linear; 0 outside."""
        found: NDArray[np.float32] = map_coordinates(self.grey, self.index(places), order=1, mode="grid-constant")
        return found

    def sample_ids(self, places: Floats) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Ids and mask of the brain at places (..., 3), of the nearest voxel; 0 outside."""
        nearest = np.rint(self.index(places)).astype(np.int32)
        inside = np.ones(nearest.shape[1:], bool)
        for axis, size in enumerate(self.ids.shape):
            inside &= (nearest[axis] >= 0) & (nearest[axis] < size)
            np.clip(nearest[axis], 0, size - 1, out=nearest[axis])
        chosen = tuple(nearest)
        return np.where(inside, self.ids[chosen], 0), np.where(inside, self.brain[chosen], 0)


def make_anatomy(scale: float, seed: int, anatomy: Path | None = None) -> Anatomy:
    """The parametric head, or that of a label map of SynthSeg's training set.

    scale: size of the head, 1 for an adult. seed: of the texture. anatomy: a label map (.nii.gz). Raises ReregisterError
    where it cannot be read, has unequal spacing, or lacks the brain's ids.
    """
    if anatomy is None:
        return Anatomy(paint_head(_STEP_MM), _STEP_MM * scale, np.array(LOW) * scale, seed, scale)
    path = Path(anatomy)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReregisterError(
            f"{path} cannot be read as an anatomy ({error.strerror}); name another or none."
        ) from error
    volume = read_volume(content, path.name)
    if not np.allclose(volume.spacing, volume.spacing[0], rtol=1e-3):
        raise ReregisterError(f"{path} has unequal spacing; the anatomy's label map must be isotropic.")
    return _from_map(Volume(whole_numbers(volume, path.name), volume.affine), path, scale, seed)


def _from_map(volume: Volume, path: Path, scale: float, seed: int) -> Anatomy:
    # Canonical axes lead to the right, front and top; ours to the left, back and top.
    found = volume.values[::-1, ::-1]
    ids = np.where(np.isin(found, list(GREY)), found, np.where(np.isin(found, _BONES), BONE, SCALP))
    ids = np.where(found == 0, 0, ids).astype(np.uint8)
    if lacking := sorted(BRAIN - {30, 31, 62, 63, 72, 85} - set(np.unique(ids).tolist())):
        raise ReregisterError(f"{path} lacks the ids {lacking} of the brain; name another label map or none.")
    low, high = extents(ids, path.name)
    cropped = ids[tuple(slice(first, last + 1) for first, last in zip(low, high, strict=True))]
    middle = centroid(np.isin(cropped, sorted(BRAIN)), path.name)
    step = volume.spacing[0] * scale
    return Anatomy(np.ascontiguousarray(cropped), step, -middle * step, seed, scale)
