"""Dense displacement of a thin-plate spline, as one product with a matrix made once."""

from functools import lru_cache

import torch
from torch import Tensor

# Rows of the basis made at a time: at once, those of 256 x 256 voxels would take half a gigabyte in double precision.
_CHUNK = 8192


def _radial(points: Tensor, controls: Tensor) -> Tensor:
    """r^2 log r between points (P, 2) and controls (N, 2), (P, N); 0 where they meet."""
    squares = (points[:, :1] - controls[:, 0]).square() + (points[:, 1:] - controls[:, 1]).square()
    return torch.xlogy(squares, squares) / 2


def _affine(points: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(points[:, :1]), points], 1)


def interpolation_matrix(points: Tensor, controls: Tensor) -> Tensor:
    """Matrix that takes values at the control points to those of their thin-plate spline elsewhere.

    points: (P, 2) and controls: (N, 2), the same unit, isotropic. Returns (P, N) in double precision; every row sums to
    1, and it is the identity at the control points themselves. Raises ValueError where the control points lie on one
    line or two of them coincide: no spline is then determined. Source: Bookstein 1989; kernel r^2 log r and a linear
    polynomial, as scipy's RBFInterpolator with kernel thin_plate_spline, degree 1 and no smoothing.
    """
    points, controls = points.double(), controls.double()
    count = len(controls)
    centre = controls.mean(0)
    # The spline does not depend on the unit of length, and the system is far better conditioned for lengths about 1.
    scale = (controls - centre).abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    points, controls = (points - centre) / scale, (controls - centre) / scale
    border = _affine(controls)
    if count < 3 or torch.linalg.matrix_rank(border) < 3:
        raise ValueError(f"a thin-plate spline needs three control points that lie on no one line, got {count} on one")
    system = torch.cat(
        [torch.cat([_radial(controls, controls), border], 1), torch.cat([border.T, border.new_zeros(3, 3)], 1)]
    )
    inverse, info = torch.linalg.inv_ex(system)
    if info:
        raise ValueError(f"a thin-plate spline needs control points that differ; of the {count} given some coincide")
    weights = inverse[:, :count].contiguous()
    rows = [torch.cat([_radial(part, controls), _affine(part)], 1) @ weights for part in points.split(_CHUNK)]
    return torch.cat(rows)


def _positions(size: int, grid: int) -> Tensor:
    """Places of the control points of one axis, voxels: the same as those of `bspline.basis`."""
    spacing = size / grid
    return torch.arange(grid, dtype=torch.float64) * spacing + spacing / 2 - 0.5


# Bounded, since one matrix takes 64 MiB for 256 x 256 voxels and 16 x 16 control points in single precision. One made and
# cached under inference_mode could not serve a later backward pass.
@lru_cache(maxsize=4)
@torch.inference_mode(False)
@torch.no_grad()
def _matrix(size: tuple[int, int], grid: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """(N control points, P voxels), both in the order of the flattened grid and image."""
    points = torch.cartesian_prod(*[torch.arange(length, dtype=torch.float64) for length in size])
    controls = torch.cartesian_prod(*[_positions(length, count) for length, count in zip(size, grid, strict=True)])
    threads = torch.get_num_threads()
    try:
        # The last bits of a product depend on the number of threads; those of a trained network's field should not.
        torch.set_num_threads(1)
        matrix = interpolation_matrix(points, controls)
    finally:
        torch.set_num_threads(threads)
    return matrix.T.to(dtype).contiguous().to(device)


def thin_plate_ddf(coefficients: Tensor, size: tuple[int, ...]) -> Tensor:
    """Dense field of the thin-plate spline through displacements at a grid of control points [Bookstein 1989].

    coefficients: (B, 2, *grid), voxels; control point k of an axis stands at s k + s/2 - 1/2 with s = size / grid, as in
    `bspline_ddf`, and the field takes its value there. size: of the field, (H, W), each a multiple of the grid; voxels
    are taken as square. Returns (B, 2, H, W), voxels. Unlike a B-spline it has global support, it does not fall towards
    the border and it reproduces every affine field. The matrix is made once for each size, kept by this module and no
    part of any network's weights. Raises ValueError where a size is no multiple of its grid or a grid is narrower than
    2 control points. Source: DIRNet-B2 of de Vos 2017; the transformer of Jaderberg 2015.
    """
    grid = tuple(coefficients.shape[2:])
    if coefficients.ndim != 4 or coefficients.shape[1] != 2 or len(size) != 2:
        raise ValueError(f"coefficients {tuple(coefficients.shape)} do not fit a field of size {tuple(size)}")
    if min(grid) < 2 or any(length % count for length, count in zip(size, grid, strict=True)):
        raise ValueError(f"size {tuple(size)} is no multiple of a grid {grid} of 2 x 2 control points or more")
    matrix = _matrix((size[0], size[1]), (grid[0], grid[1]), coefficients.device, coefficients.dtype)
    return (coefficients.flatten(0, 1).flatten(1) @ matrix).view(*coefficients.shape[:2], *size)
