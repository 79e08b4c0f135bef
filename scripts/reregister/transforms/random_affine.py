"""Random affine augmentation of label-reg: an image and its labels through one slight affine map (papers.md 5.5)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from reregister.transforms.warp import warp

ORIGINS = ("voxel_origin", "centre")


def random_affine(generator: torch.Generator, batch: int, ndim: int = 3, corner_scale: float = 0.1) -> Tensor:
    """Matrices (batch, ndim, ndim + 1), float32, in units in which the image reaches from -1 to 1 on every axis.

    Of the image's corners, the one at -1 everywhere and the ndim ones next to it are each moved inward by
    U(0, corner_scale) on every axis; the map takes the old corners to the new ones. generator: on the CPU.
    Source: `random_transform_generator` in `labelreg/helpers.py` of YipengHu/label-reg.
    Raises ValueError for a corner_scale outside of [0, 1), where the map might not be invertible, and other ndim.
    """
    if ndim not in (2, 3) or not 0 <= corner_scale < 1:
        raise ValueError(f"ndim must be 2 or 3 and corner_scale lie in [0, 1), got {ndim} and {corner_scale}")
    # The first corner, then one per axis, the last axis first.
    corners = torch.cat([-torch.ones(1, ndim), 2 * torch.eye(ndim).flip(0) - 1])
    inward = -corners * corner_scale * torch.rand(batch, ndim + 1, ndim, generator=generator)
    old = torch.cat([corners, torch.ones(ndim + 1, 1)], 1).double()
    # ndim + 1 points determine an affine map: there is nothing left over to be least.
    return torch.linalg.solve(old, (corners + inward).double()).mT.float()


def affine_ddf(matrices: Tensor, size: Sequence[int], origin: str = "voxel_origin") -> Tensor:
    """The displacement field (B, ndim, *size), voxels, pull-back, of matrices of `random_affine`.

    origin: `centre` applies them in the units that they are in, so about the image's centre; `voxel_origin` applies them
    to voxel indices, as label-reg does, so about voxel 0 with a shift of a fraction of a voxel.
    Raises ValueError for another origin or a size of other dimensions.
    """
    ndim = matrices.shape[1]
    if origin not in ORIGINS or len(size) != ndim:
        raise ValueError(
            f"origin must be {' or '.join(ORIGINS)} and size have {ndim} sides, got {origin!r}, {list(size)}"
        )
    half = torch.tensor([(side - 1) / 2 for side in size], dtype=matrices.dtype, device=matrices.device)
    middle, unit = (half, half) if origin == "centre" else (torch.zeros_like(half), torch.ones_like(half))
    # Voxel x lies at (x - middle) / unit; one axis at a time, since the map is linear in each.
    linear = matrices[:, :, :-1] - torch.eye(ndim, dtype=matrices.dtype, device=matrices.device)
    ddf = (matrices[:, :, -1] * unit).reshape(-1, ndim, *[1] * ndim)
    for axis, side in enumerate(size):
        places = (torch.arange(side, dtype=matrices.dtype, device=matrices.device) - middle[axis]) / unit[axis].clamp(
            min=0.5
        )
        part = (linear[:, :, axis] * unit)[:, :, None] * places
        ddf = ddf + part.reshape(len(matrices), ndim, *(side if other == axis else 1 for other in range(ndim)))
    return ddf.expand(-1, -1, *size).contiguous()


def augment(
    tensors: Sequence[Tensor],
    generator: torch.Generator,
    corner_scale: float = 0.1,
    origin: str = "voxel_origin",
    padding: str = "zeros",
) -> list[Tensor]:
    """Images and labels (B, C, *spatial) of the same B subjects through one random affine map per subject.

    All by (tri)linear interpolation, so a label comes out soft; zeros beyond the image. The same state of the generator
    gives the same maps on every device. Raises ValueError for tensors whose batch or spatial size differ, and what
    `random_affine` and `affine_ddf` raise.
    """
    first = tensors[0]
    found = {(len(tensor), *tensor.shape[2:]) for tensor in tensors}
    if len(found) != 1:
        raise ValueError(f"images and labels differ in batch or size: {sorted(found)}")
    size = tuple(first.shape[2:])
    matrices = random_affine(generator, len(first), len(size), corner_scale)
    ddf = affine_ddf(matrices, size, origin).to(first.device)
    return [warp(tensor, ddf, padding=padding) for tensor in tensors]
