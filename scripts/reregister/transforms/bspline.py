"""Dense displacement of a uniform B-spline, as products with banded basis matrices."""

from functools import lru_cache

import torch
from torch import Tensor


def _kernel(t: Tensor, order: int) -> Tensor:
    """Centred uniform B-spline of order 2 or 3 at `t`, in units of the knot spacing."""
    a = t.abs()
    if order == 2:
        return torch.where(a < 0.5, 0.75 - a**2, torch.where(a < 1.5, 0.5 * (1.5 - a) ** 2, 0.0))
    return torch.where(a < 1, 2 / 3 - a**2 + a**3 / 2, torch.where(a < 2, (2 - a) ** 3 / 6, 0.0))


def torchir_shift(spacing: int, order: int) -> float:
    """How far, in voxels, the control points of TorchIR's transformer lie from the places where they belong.

    TorchIR samples a kernel of (order + 1) spacing weights from its first non-zero value on and crops 3/8 of them at
    either side. For a spacing of 16 that leaves 256 outputs of order 3 half a voxel off; of order 2 it leaves 252, also
    half a voxel off, and the four that are missing are added at the far end alone: -2.5 in all. Source:
    `torchir/transformers.py` and `torchir/utils.py` of BDdeVos/TorchIR, read and not copied.
    """
    length = (order + 1) * spacing
    return length / 2 - 1 - int(length * 3 / 8) - (spacing / 2 - 0.5)


# A matrix made and cached under inference_mode could not serve a later backward pass.
@lru_cache(maxsize=64)
@torch.inference_mode(False)
def basis(
    size: int,
    grid: int,
    order: int,
    pad: str,
    device: torch.device,
    dtype: torch.dtype,
    alignment: str = "centred",
) -> Tensor:
    """Matrix (size, grid) that takes the coefficients of one axis to its `size` voxels.

    Control point k stands at s k + s/2 - 1/2 with s = size / grid: the grid is centred on the image. With `pad` zero the
    row sums fall towards the edge (0.523 at the edge for order 3 and s = 16), which damps displacements there; with
    `replicate` the outer control points stand for those beyond the image as well, and every row sums to 1. With
    `alignment` torchir all of them are moved by `torchir_shift`.
    """
    if order not in (2, 3):
        raise ValueError(f"B-spline order must be 2 or 3, got {order}")
    if pad not in ("zero", "replicate"):
        raise ValueError(f"pad must be zero or replicate, got {pad!r}")
    if alignment not in ("centred", "torchir"):
        raise ValueError(f"alignment must be centred or torchir, got {alignment!r}")
    if grid < 1 or size % grid:
        raise ValueError(f"size {size} is no multiple of the grid of {grid} control points")
    spacing = size / grid
    extra = 2 if pad == "replicate" else 0
    centres = torch.arange(-extra, grid + extra, dtype=torch.float64) * spacing + spacing / 2 - 0.5
    if alignment == "torchir":
        centres += torchir_shift(size // grid, order)
    matrix = _kernel((torch.arange(size, dtype=torch.float64)[:, None] - centres) / spacing, order)
    if extra:
        inner = matrix[:, extra:-extra].clone()
        inner[:, 0] += matrix[:, :extra].sum(1)
        inner[:, -1] += matrix[:, -extra:].sum(1)
        matrix = inner
    return matrix.to(device=device, dtype=dtype)


def bspline_ddf(
    coefficients: Tensor, size: tuple[int, ...], order: int = 3, pad: str = "zero", alignment: str = "centred"
) -> Tensor:
    """Dense field of a uniform B-spline [Rueckert 1999; de Vos 2017, section 2].

    coefficients: (B, ndim, *grid) displacements at the control points, voxels, 2-D or 3-D. size: spatial size of the
    field, each a multiple of the grid; spacing = size / grid. order: 2 or 3. pad: `zero` or `replicate`, see `basis`.
    alignment: `centred`, or `torchir`, a probe that puts the control points where TorchIR's kernels do (2.5 voxels off
    for order 2 and a spacing of 16): it tests whether such an error explains the collapse of DIRNet-B1 in table 1.
    Returns (B, ndim, *size), voxels. Raises ValueError where a size is no multiple of its grid.
    """
    ndim = coefficients.ndim - 2
    if ndim not in (2, 3) or len(size) != ndim or coefficients.shape[1] != ndim:
        raise ValueError(f"coefficients {tuple(coefficients.shape)} do not fit a field of size {tuple(size)}")
    matrices = [
        basis(length, grid, order, pad, coefficients.device, coefficients.dtype, alignment)
        for length, grid in zip(size, coefficients.shape[2:], strict=True)
    ]
    # The last axis goes first, while the field is small, and every other axis is multiplied from the left with the axes
    # after it flattened: so no product leaves its axes out of order and no copy of the field is made. Moving each axis
    # to the end and back, or taking the first axis first, is up to twice as slow.
    field = coefficients @ matrices[-1].T
    for axis in reversed(range(ndim - 1)):
        field = (matrices[axis] @ field.flatten(axis + 3)).unflatten(-1, field.shape[axis + 3 :])
    return field.contiguous()
