"""How rough a displacement field or an image is: the five terms of papers.md 1.4, each (B,), not negative.

Fields are (B, ndim, *spatial) in voxels, 2-D or 3-D, images (B, C, *spatial). Every mean is over voxels and components.
Raises, each of them, ValueError for another number of axes or an axis shorter than its stencil.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from reregister.terms.checks import check_field, single_precision


@single_precision
def grad_l2_forward(values: Tensor) -> Tensor:
    """Squared forward differences, mean per axis, averaged over axes (`torch/losses.py` of voxelmorph, Grad, l2).

    0.0625 for u_0 = 0.5 x_0 in 2-D. Of an image it is the switch `image_grad_l2` (papers.md 6.4).
    """
    check_field(values, 2, "ddf or image")
    return torch.stack([step.square().flatten(1).mean(1) for step in _forward_differences(values)]).mean(0)


@single_precision
def image_grad_l1(image: Tensor) -> Tensor:
    """Absolute forward differences, mean per axis, averaged over axes: of the warped image, not of the field.

    Source: `smooth_grad` in `unet.py` of SaiV6/Ece685final_voxelmorph.
    """
    check_field(image, 2, "image")
    return torch.stack([step.abs().flatten(1).mean(1) for step in _forward_differences(image)]).mean(0)


@single_precision
def grad_l2_central(ddf: Tensor) -> Tensor:
    """Squared central differences summed over axes, without a border of one voxel (DeepReg, MONAI `DiffusionLoss`).

    0.125 for u_0 = 0.5 x_0 in 2-D.
    """
    check_field(ddf, 3)
    axes = range(ddf.ndim - 2)
    slopes = [(_moved(ddf, 1, {axis: 1}) - _moved(ddf, 1, {axis: -1})) / 2 for axis in axes]
    return torch.stack([slope.square().flatten(1).mean(1) for slope in slopes]).sum(0)


@single_precision
def bending_wide(ddf: Tensor) -> Tensor:
    """Bending energy whose second derivatives are central differences taken twice, 5 voxels wide.

    xx + yy + zz + 2 (xy + xz + yz), each squared, without a border of two voxels. Source: `local_displacement_energy` of
    YipengHu/label-reg, to which its weight 0.5 belongs. On noise it is several times less than `bending_compact`, on a
    quadratic field the same.
    """
    check_field(ddf, 5)
    return _bending(ddf, border=2)


@single_precision
def bending_compact(ddf: Tensor) -> Tensor:
    """Bending energy with the stencil [1, -2, 1] and the four-point mixed one, without a border of one voxel.

    Equal to MONAI 1.6.1 `BendingEnergyLoss`.
    """
    check_field(ddf, 3)
    return _bending(ddf, border=1)


def _forward_differences(values: Tensor) -> Iterator[Tensor]:
    return (torch.diff(values, dim=axis) for axis in range(2, values.ndim))


def _moved(values: Tensor, border: int, offsets: Mapping[int, int]) -> Tensor:
    """The values at `offsets` (spatial axis to voxels) from each place that is `border` voxels or more from every side."""
    places: list[slice] = [
        slice(border + offsets.get(axis, 0), side - border + offsets.get(axis, 0))
        for axis, side in enumerate(values.shape[2:])
    ]
    return values[(slice(None), slice(None), *places)]


def _bending(ddf: Tensor, border: int) -> Tensor:
    """Bending energy (B,); border is also how many voxels the outer two of a pure second difference are from the middle.

    Two steps of one voxel either way make one of two voxels, so central differences taken twice read three voxels of
    five; mixed, they are the four-point stencil.
    """
    axes = range(ddf.ndim - 2)
    middle = _moved(ddf, border, {})
    energies = []
    for first in axes:
        ends = _moved(ddf, border, {first: border}) + _moved(ddf, border, {first: -border})
        pure = torch.sub(ends, middle, alpha=2)
        energies.append(pure.square().flatten(1).mean(1) / border**4)
        for second in axes[first + 1 :]:
            corners = [
                _moved(ddf, border, {first: one, second: other}) for one, other in ((1, 1), (-1, -1), (1, -1), (-1, 1))
            ]
            mixed = corners[0] + corners[1] - corners[2] - corners[3]
            energies.append(2 * mixed.square().flatten(1).mean(1) / 16)
    return torch.stack(energies).sum(0)
