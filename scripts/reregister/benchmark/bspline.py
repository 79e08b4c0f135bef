"""Our B-spline field against the transposed convolution of other implementations."""

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor
from torch.nn import functional

from reregister.benchmark.rows import Row, medians, yes_no
from reregister.transforms.bspline import bspline_ddf

TARGET, LARGEST_DIFFERENCE = 5.0, 1e-5


def kernel_2d(spacing: int, order: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The B-spline of one control point at its voxels, (2, 1, n, n) with n = (order + 1) spacing, one for each channel.

    From scipy's B-spline, so that nothing of ours is compared with itself. spacing: voxels between control points,
    even. Raises ValueError for an odd one: its control points stand on voxels, and the support has another size.
    """
    if spacing % 2:
        raise ValueError(f"the transposed convolution needs an even spacing, got {spacing}")
    half = (order + 1) / 2
    spline = BSpline.basis_element(np.arange(order + 2) - half)
    values = spline((np.arange((order + 1) * spacing) + 0.5) / spacing - half)
    return torch.from_numpy(np.outer(values, values)).to(dtype).expand(2, 1, -1, -1).contiguous()


def conv_transpose_ddf(coefficients: Tensor, kernel: Tensor, spacing: int, order: int) -> Tensor:
    """The field of `bspline_ddf` with zero padding, as one transposed convolution for each channel (TorchIR's form).

    coefficients: (B, 2, h, w), voxels. kernel: of `kernel_2d`. Returns (B, 2, h spacing, w spacing), voxels. Control
    point k stands at s k + s/2 - 1/2, so its support begins at s k - order s / 2: that is what is cut off at the border.
    """
    return functional.conv_transpose2d(coefficients, kernel, stride=spacing, padding=order * spacing // 2, groups=2)


def largest_difference(ours: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Largest absolute difference of two fields, and of two gradients in units of the largest gradient."""
    field = (ours[0] - reference[0]).abs().max()
    gradient = (ours[1] - reference[1]).abs().max() / reference[1].abs().max()
    return float(field), float(gradient)


def compare(grid: int, size: int, repeats: int, order: int = 3, batch: int = 32) -> Row:
    """Forward and backward pass of both forms for `batch` fields of size x size voxels from grid x grid control points.

    The coefficients lie in memory as the network hands them over, channels last, which is also the layout in which the
    transposed convolution is faster.
    """
    spacing = size // grid
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(batch, 2, grid, grid, generator=generator).contiguous(memory_format=torch.channels_last)
    coefficients = start.requires_grad_(True)
    upstream = torch.randn(batch, 2, size, size, generator=generator)
    kernel = kernel_2d(spacing, order)

    def ours() -> tuple[Tensor, Tensor]:
        field = bspline_ddf(coefficients, (size, size), order)
        return field.detach(), torch.autograd.grad(field, coefficients, upstream)[0]

    def reference() -> tuple[Tensor, Tensor]:
        field = conv_transpose_ddf(coefficients, kernel, spacing, order)
        return field.detach(), torch.autograd.grad(field, coefficients, upstream)[0]

    field, gradient = largest_difference(ours(), reference())
    times = medians({"ours": ours, "reference": reference}, repeats)
    ratio = times["reference"] / times["ours"]
    return Row(
        name=f"bspline_{size}",
        value=times["ours"],
        unit="ms",
        reference=f"conv_transpose2d of the same B-spline, {times['reference']:.3g} ms",
        ratio=ratio,
        target=f">= {TARGET:g} and equal to {LARGEST_DIFFERENCE:g}",
        met=yes_no(ratio >= TARGET and max(field, gradient) <= LARGEST_DIFFERENCE),
        note=f"batch {batch}, {grid}x{grid} control points, order {order}, forward and backward; largest difference of the "
        f"field {field:.1e} voxels, of the gradient {gradient:.1e} of its largest value",
    )
