"""Multi-scale soft Dice of label-reg, the similarity of the label-driven paper."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from reregister.terms.banded import along_axes, gaussian_matrix
from reregister.terms.checks import check_same, single_precision

# Voxels; `config_demo.ini` of label-reg.
SCALES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
EPS = 1e-6


@single_precision
def label_reg_dice(warped: Tensor, fixed: Tensor, scales: Sequence[float] = SCALES) -> Tensor:
    """Mean over scales of 1 - soft Dice of labels smoothed with a Gaussian of that many voxels, (B, L), in [0, 1].

    D = 2 sum(a b) / (sum a + sum b + 1e-6) with a, b the smoothed labels, zeros beyond the image. Its least value is not
    0: a cube of 20^3 in 48^3 has 0.4565 with itself. warped, fixed: labels (B, L, *spatial) in [0, 1], one per channel,
    each with a value of its own, so that a label may be left out. `dice_per_scale` gives the scales apart.

    Source: papers.md 5.4, `labelreg/losses.py` of YipengHu/label-reg. Raises ValueError for shapes that differ, no scale
    or a negative one.
    """
    return (1 - dice_per_scale(warped, fixed, scales)).mean(-1)


@single_precision
def dice_per_scale(warped: Tensor, fixed: Tensor, scales: Sequence[float] = SCALES) -> Tensor:
    """Soft Dice of smoothed labels (B, L, *spatial), for each scale, (B, L, S), in [0, 1]; see `label_reg_dice`.

    No label is smoothed for its own sake. With G the smoothing of a whole volume, sum(G a * G b) = sum(b * (G'G a)) and
    sum(G a) = sum(a * G'1), both separable, so one pass of products over the fixed label serves the value and the
    gradient for the warped one, where smoothing both and differentiating takes four.
    """
    check_same(warped, fixed)
    if not scales or min(scales) < 0:
        raise ValueError(f"scales must be one or more numbers from 0 on, got {list(scales)}")
    found = []
    for scale in scales:
        if scale == 0:
            overlap = (warped * fixed).flatten(2).sum(-1)
            sizes = (warped + fixed).flatten(2).sum(-1)
        else:
            overlap, sizes = _smoothed_sums(warped, fixed, float(scale))
        found.append(2 * overlap / (sizes + EPS))
    return torch.stack(found, -1)


def _smoothed_sums(warped: Tensor, fixed: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Sum of the product and of both of the smoothed labels, each (B, L)."""
    parts = [_twice(side, sigma, fixed.device, fixed.dtype) for side in fixed.shape[2:]]
    overlap = (warped * along_axes(fixed, [matrix for matrix, _ in parts])).flatten(2).sum(-1)
    weighted = warped + fixed
    for _, weights in reversed(parts):
        weighted = weighted @ weights
    return overlap, weighted


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _twice(size: int, sigma: float, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Of the matrix G of one axis: G'G (size, size), and what G keeps of a voxel, (size,), less than 1 near an end."""
    smoothing = gaussian_matrix(size, sigma, device, torch.float64)
    return (smoothing.T @ smoothing).to(dtype), smoothing.sum(0).to(dtype)
