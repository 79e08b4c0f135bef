"""What chance gives each head of a stand-in: its deformation, and the field and noise of its scanner; 3-D flows fast."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from reregister.data.phantoms.velocity import Deformations, VelocityFields

Floats = NDArray[np.floating[Any]]

MODES = (4, 4, 4)
#: Half lengths of the box on whose faces the sine part vanishes, mm of an adult, LPS.
_HALF = (110.0, 135.0, 125.0)
#: Scale of the first sine mode, mm of an adult; mode (a, b, c) has 3 / (a^2 + b^2 + c^2) of it.
_WAVE = 2.8
#: Scale of sizes along the axes (logarithmic), of turns and slants (radians), of shifts (mm of an adult).
_SIZE, _TURN, _SHIFT = 0.03, 0.03, 4.0
#: Normal draws are cut off here, so that every displacement is bounded.
_CUT = 1.5
#: Nodes along each axis between which psi and compositions are interpolated, and RK4 steps to them: psi is then off by
#: 0.01 mm at most, a composition, which is less smooth, on a grid of so many voxels by a few thousandths of one.
_NODES, _COMPOSED_NODES, _COMPOSED_SIZE, _STEPS = 19, 28, 224, 4


def draw_heads(count: int, scale: float, rng: np.random.Generator, affine: bool = True) -> Deformations:
    """`count` deformations of a head scaled by `scale`, LPS mm. affine: also unlike sizes, turns and places."""
    ranks = np.arange(1, MODES[0] + 1) ** 2
    modes = 3.0 / (ranks[:, None, None] + ranks[:, None] + ranks)
    sine = _normal(rng, count, 3, *MODES) * modes * (_WAVE * scale)
    linear = _normal(rng, count, 3, 3) * np.where(np.eye(3) == 1, _SIZE, _TURN)
    shift = _normal(rng, count, 3) * (_SHIFT * scale)
    if not affine:
        linear, shift = np.zeros_like(linear), np.zeros_like(shift)
    half = np.array(_HALF) * scale
    return Deformations(VelocityFields(linear, sine, np.zeros(3), -half, 2 * half), shift)


def _normal(rng: np.random.Generator, *shape: int) -> Floats:
    return np.clip(rng.standard_normal(shape), -_CUT, _CUT)


def on_grid(mapped_at: Any, shape: Sequence[int], nodes: int) -> NDArray[np.float32]:
    """A smooth map on all voxels from its values at a few: float32 (*shape, n).

    mapped_at: function of points (P, 3), voxel indices, float64, to values (P, n). Between nodes the map is
    interpolated by cubic splines, axis by axis.
    """
    lines = [np.linspace(0, size - 1, min(nodes, size)) for size in shape]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
    values = np.asarray(mapped_at(points))
    block = values.reshape(*map(len, lines), -1)
    for axis, (line, size) in enumerate(zip(lines, shape, strict=True)):
        if len(line) < size:
            weights = make_interp_spline(line, np.eye(len(line)), k=3)(np.arange(size))
            block = np.moveaxis(np.tensordot(weights, block, (1, axis)), 0, axis)
    return block.astype(np.float32)


def psi_on_grid(deformation: Deformations, affine: Floats, shape: Sequence[int]) -> NDArray[np.float32]:
    """Places of the anatomy that the voxels of a grid show: (*shape, 3), LPS mm.

    deformation: of one head. affine: of the grid, voxel to LPS mm.
    """
    return on_grid(lambda points: deformation.apply(_world(points, affine), _STEPS)[0], shape, _NODES)


def compose_on_grids(
    moving: Deformations, fixed: Deformations, moving_affine: Floats, fixed_affine: Floats, shape: Sequence[int]
) -> NDArray[np.float32]:
    """Exact pull-back displacement of one pair on the grids of its images, (3, *shape), voxels of the fixed grid.

    psi_moving^-1(psi_fixed(x)) is composed in LPS mm: voxels of the fixed image lead to the world by its affine, and
    from the world to voxels of the moving image by the inverse of that one's [datasets.md section 7].
    """
    back = np.linalg.inv(moving_affine)

    def displaced(points: Floats) -> Floats:
        world = moving.invert(fixed.apply(_world(points, fixed_affine), _STEPS), _STEPS)[0]
        return _world(world, back) - points

    # A coarser grid has larger voxels, and the error of cubic splines falls with the fourth power of the nodes' distance.
    nodes = round(_COMPOSED_NODES * min(1.0, max(shape) / _COMPOSED_SIZE) ** 0.25)
    return np.ascontiguousarray(np.moveaxis(on_grid(displaced, shape, nodes), -1, 0))


def _world(points: Floats, affine: Floats) -> Floats:
    return points @ affine[:3, :3].T + affine[:3, 3]


def min_determinant(deformations: Deformations, half: Floats, nodes: int = 21) -> float:
    """Least determinant of the Jacobian of every psi in a box -half ... half about the origin, by forward differences."""
    lines = [np.linspace(-reach, reach, nodes) for reach in half]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
    least = np.inf
    for row in range(len(deformations.fields)):
        mapped = deformations.take([row]).apply(points.reshape(-1, 3), _STEPS).reshape(*points.shape)
        cells = (slice(0, -1),) * 3
        parts = [np.diff(mapped, axis=k)[(*cells[:k], slice(None), *cells[k + 1 :])] for k in range(3)]
        steps = [line[1] - line[0] for line in lines]
        x, y, z = (part / step for part, step in zip(parts, steps, strict=True))
        least = min(least, float(np.einsum("...i,...i->...", np.cross(x, y), z).min()))
    return least


def bias_field(shape: Sequence[int], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A smooth factor about 1 over a grid, as a coil's sensitivity: float32 (*shape)."""
    coarse = np.exp(np.clip(rng.standard_normal((4, 4, 4)), -_CUT, _CUT) * strength)
    # A grid of one slice lies at the first of the four nodes across it.
    lines = [np.linspace(0, max(size - 1, 1), 4) for size in shape]
    for axis, (line, size) in enumerate(zip(lines, shape, strict=True)):
        weights = make_interp_spline(line, np.eye(4), k=3)(np.arange(size))
        coarse = np.moveaxis(np.tensordot(weights, coarse, (1, axis)), 0, axis)
    return coarse.astype(np.float32)
