"""Local squared normalised cross correlation, the similarity of VoxelMorph."""

import torch
from torch import Tensor

from reregister.terms.banded import box_sums
from reregister.terms.checks import check_same, single_precision

EPS = 1e-5


@single_precision
def local_ncc(a: Tensor, b: Tensor, window: int = 9, eps: float = EPS) -> Tensor:
    """Mean over all voxels of the squared correlation within a window around each, (B,), in [0, 1].

    cross^2 / (var_a var_b + eps), where cross and var are sums over window^ndim voxels, with zeros beyond the image. It
    is 0 where a window is constant, so of an image with itself it is the share of windows that are not. The loss is its
    negative. a and b: (B, C, *spatial), meant for intensities in [0, 1]; symmetric in them.

    Source: papers.md 1.3, voxelmorph's NCC loss. Raises ValueError for an even or non-positive window and shapes that
    differ.
    """
    check_same(a, b)
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window must be odd and from 1 on, got {window}")
    squared: Tensor = _SquaredCorrelation.apply(a.flatten(0, 1), b.flatten(0, 1), window, eps)
    return squared.view(len(a), -1).mean(1)


class _SquaredCorrelation(torch.autograd.Function):
    """cross^2 / (var_a var_b + eps) at each voxel, with its gradient written down.

    With s, t sums over windows of n voxels, D = var_a var_b + eps, and upstream g:
    p = 2 g cross / D, q = -g cross^2 var_a / D^2, and db = a S(p) + 2 b S(q) - S((p s_a + 2 q s_b) / n),
    S being the same symmetric sum. That is three sums for an image that wants a gradient, none for one that does not,
    and half the passes over memory of what autograd would record.
    """

    @staticmethod
    def forward(ctx, a: Tensor, b: Tensor, window: int, eps: float) -> Tensor:  # type: ignore[no-untyped-def]
        """a and b: (N, *spatial)."""
        n = float(window ** (a.ndim - 1))
        sums = box_sums(torch.cat([a, b, a * a, b * b, a * b]), window)
        s_a, s_b, s_aa, s_bb, s_ab = sums.unflatten(0, (5, len(a)))
        cross = torch.addcmul(s_ab, s_a, s_b, value=-1 / n)
        var_a = torch.addcmul(s_aa, s_a, s_a, value=-1 / n)
        var_b = torch.addcmul(s_bb, s_b, s_b, value=-1 / n)
        inverse = torch.addcmul(torch.full_like(a, eps), var_a, var_b).reciprocal_()
        half = cross * inverse
        result = cross.mul_(half)
        ctx.n, ctx.window = n, window
        ctx.save_for_backward(a, b, s_a, s_b, var_a, var_b, inverse, half, result)
        return result

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # type: ignore[no-untyped-def]
        a, b, s_a, s_b, var_a, var_b, inverse, half, result = ctx.saved_tensors
        p = 2 * upstream * half
        q = upstream * result * inverse
        wanted = ctx.needs_input_grad
        parts = [
            _gradient(one, other, s_one, s_other, p, q * var_other, ctx.window, ctx.n) if needed else None
            for needed, one, other, s_one, s_other, var_other in (
                (wanted[0], a, b, s_a, s_b, var_b),
                (wanted[1], b, a, s_b, s_a, var_a),
            )
        ]
        return parts[0], parts[1], None, None


def _gradient(
    one: Tensor,
    other: Tensor,
    s_one: Tensor,
    s_other: Tensor,
    p: Tensor,
    minus_q: Tensor,
    window: int,
    n: float,
) -> Tensor:
    mean = (p * s_other).addcmul_(minus_q, s_one, value=-2).mul_(-1 / n)
    summed = box_sums(torch.cat([p, minus_q, mean]), window)
    sum_p, sum_q, sum_mean = summed.unflatten(0, (3, len(one)))
    return sum_mean.addcmul(other, sum_p).addcmul_(one, sum_q, value=-2)
