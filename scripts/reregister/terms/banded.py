"""Separable smoothing as products with one banded matrix per axis: on a CPU far faster than convolutions."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

# Places of a block of rows: shorter ones multiply fewer zeros, longer ones make fuller products.
BLOCK = 16
Block = tuple[slice, slice, Tensor]


# Matrices made and cached under inference_mode could not serve a later backward pass.
@lru_cache(maxsize=64)
@torch.inference_mode(False)
def box_blocks(size: int, window: int, device: torch.device, dtype: torch.dtype) -> list[Block]:
    """The banded matrix of sums over a window of odd width, zeros beyond the ends, in blocks of rows.

    Each block: its rows, the columns that are not all zeros in them, and the values.
    """
    half, places = window // 2, torch.arange(size)
    matrix = ((places[:, None] - places).abs() <= half).to(device=device, dtype=dtype)
    rows = [slice(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]
    columns = [slice(max(part.start - half, 0), min(part.stop + half, size)) for part in rows]
    return [(part, near, matrix[part, near].contiguous()) for part, near in zip(rows, columns, strict=True)]


def box_sums(values: Tensor, window: int) -> Tensor:
    """Sums over window^ndim voxels around each, zeros beyond the image: (N, *spatial), N volumes or images.

    Its own transpose, so it serves the gradient as well. It records no gradient itself.
    """
    blocks = [box_blocks(side, window, values.device, values.dtype) for side in values.shape[1:]]
    rows = values.contiguous().flatten(0, -2)
    sums = torch.empty_like(rows)
    for out, near, matrix in blocks[-1]:
        torch.mm(rows[:, near], matrix.T, out=sums[:, out])
    if values.ndim == 4:
        planes = sums.view(-1, *values.shape[-2:])
        sums = torch.empty_like(planes)
        for out, near, matrix in blocks[-2]:
            sums[:, out] = matrix @ planes[:, near]
    # The first axis is multiplied from the left, volume by volume, with those after it flattened.
    volumes = sums.view(*values.shape[:2], -1)
    sums = torch.empty_like(volumes)
    for volume, target in zip(volumes, sums, strict=True):
        for out, near, matrix in blocks[0]:
            torch.mm(matrix, volume[near], out=target[out])
    return sums.view(values.shape)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def gaussian_matrix(size: int, sigma: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(size, size): smoothing with a Gaussian of `sigma` voxels, cut at int(3 sigma) and then normalised, zeros beyond.

    Source: `gauss_kernel1d` and `separable_filter3d` of YipengHu/label-reg `labelreg/losses.py`.
    """
    tail = int(3 * sigma)
    offsets = torch.arange(-tail, tail + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    places = torch.arange(size)
    distance = places[:, None] - places
    matrix = torch.where(distance.abs() <= tail, kernel[(distance + tail).clamp(0, 2 * tail)], 0.0)
    return matrix.to(device=device, dtype=dtype)


def along_axes(values: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Each spatial axis multiplied with its matrix: (B, C, *spatial) to (B, C, *rows of the matrices).

    The last axis goes first and each other one is multiplied from the left with the axes after it flattened, so that no
    product leaves its axes out of order and no copy is made.
    """
    values = values @ matrices[-1].T
    for axis in reversed(range(len(matrices) - 1)):
        values = (matrices[axis] @ values.flatten(axis + 3)).unflatten(-1, values.shape[axis + 3 :])
    return values
