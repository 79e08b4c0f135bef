"""Similarity and regularity terms of the training losses, and their weighted sum by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from reregister.errors import ReregisterError


@dataclass(frozen=True)
class Registered:
    """What a loss may look at: images (B, C, *spatial) and the displacement field (B, ndim, *spatial) in voxels."""

    moving: Tensor
    fixed: Tensor
    warped: Tensor
    ddf: Tensor


def global_ncc(a: Tensor, b: Tensor, eps: float = 1e-8) -> Tensor:
    """Normalised cross correlation of each sample over all its voxels, (B,), in [-1, 1].

    Per sample and not over the batch: TorchIR takes the whole batch as one image, which mixes contrast between pairs
    with similarity within them (0.726 against 0.572 in a toy check). 0 where one of the images is constant.
    """
    if a.shape != b.shape:
        raise ValueError(f"images differ in shape: {tuple(a.shape)} and {tuple(b.shape)}")
    a, b = a.flatten(1), b.flatten(1)
    a = a - a.mean(1, keepdim=True)
    b = b - b.mean(1, keepdim=True)
    # eps stands under the root, so that a constant image has a finite gradient.
    return (a * b).sum(1) / torch.sqrt(a.square().sum(1) * b.square().sum(1) + eps)


def ncc_loss(pair: Registered) -> Tensor:
    """-NCC of warped and fixed, averaged over the batch [de Vos 2017, section 2]."""
    return -global_ncc(pair.warped, pair.fixed).mean()


def ncc_batch_loss(pair: Registered) -> Tensor:
    """-NCC over all voxels of the batch as if it were one image: the reading of TorchIR (`torchir/metrics.py`)."""
    return -global_ncc(pair.warped.reshape(1, -1), pair.fixed.reshape(1, -1)).mean()


TERMS: dict[str, Callable[[Registered], Tensor]] = {"ncc": ncc_loss, "ncc_batch": ncc_batch_loss}


def build_loss(weights: Mapping[str, float]) -> Callable[[Registered], Tensor]:
    """The weighted sum of named terms, such as `{ncc: 1.0}`. Raises ReregisterError for an unknown or missing term."""
    unknown = sorted(set(weights) - set(TERMS))
    if unknown or not weights:
        raise ReregisterError(f"loss: unknown terms {unknown}; known are {sorted(TERMS)}, and at least one is needed")

    def loss(pair: Registered) -> Tensor:
        return sum(
            (weight * TERMS[name](pair) for name, weight in sorted(weights.items())), start=pair.ddf.new_zeros(())
        )

    return loss
