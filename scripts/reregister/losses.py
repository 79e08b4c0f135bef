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


def mse_loss(pair: Registered) -> Tensor:
    """Mean squared difference of warped and fixed over voxels and batch [mnist_voxelmorph, section 2.3, by its text]."""
    return (pair.warped - pair.fixed).square().mean()


def ssd_loss(pair: Registered) -> Tensor:
    """Sum of squared differences over the voxels of an image, averaged over the batch: the same section by its formula.

    Beside a smoothness term it weighs as many times more than `mse` as an image has voxels, 784 for MNIST.
    """
    return (pair.warped - pair.fixed).square().flatten(1).sum(1).mean()


def grad_l2_forward(field: Tensor) -> Tensor:
    """Squared forward differences of a field (B, ndim, *spatial), mean along each axis, averaged over the axes.

    In squared units of the field per voxel; 0.0625 for u_0 = 0.5 x_0 in 2-D. Source: voxelmorph, `torch/losses.py` Grad.
    """
    axes = range(2, field.ndim)
    return torch.stack([field.diff(dim=axis).square().mean() for axis in axes]).mean()


def normalised_field(ddf: Tensor) -> Tensor:
    """A field (B, ndim, *spatial) in voxels as one in which an image reaches from -1 to 1: u_norm = 2 u / (N - 1)."""
    last = torch.tensor([side - 1 for side in ddf.shape[2:]], dtype=ddf.dtype, device=ddf.device)
    return ddf * (2 / last).view(1, -1, *[1] * (ddf.ndim - 2))


def smoothness_loss(pair: Registered) -> Tensor:
    """`grad_l2_forward` of the normalised field [mnist_voxelmorph, section 2.3]."""
    return grad_l2_forward(normalised_field(pair.ddf))


TERMS: dict[str, Callable[[Registered], Tensor]] = {
    "ncc": ncc_loss,
    "ncc_batch": ncc_batch_loss,
    "mse": mse_loss,
    "ssd": ssd_loss,
    "grad_l2_forward_normalised": smoothness_loss,
}


@dataclass(frozen=True)
class Loss:
    """The weighted sum of named terms of `TERMS`; `terms` gives each without its weight."""

    weights: Mapping[str, float]

    def terms(self, pair: Registered) -> dict[str, Tensor]:
        """Value of every term, scalars, by name in the order of the alphabet."""
        return {name: TERMS[name](pair) for name in sorted(self.weights)}

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Sum of the terms by their weights."""
        start = next(iter(terms.values())).new_zeros(())
        return sum((self.weights[name] * value for name, value in terms.items()), start=start)

    def __call__(self, pair: Registered) -> Tensor:
        return self.total(self.terms(pair))


def build_loss(weights: Mapping[str, float]) -> Loss:
    """The weighted sum of named terms, such as `{ncc: 1.0}`. Raises ReregisterError for an unknown or missing term."""
    unknown = sorted(set(weights) - set(TERMS))
    if unknown or not weights:
        raise ReregisterError(f"loss: unknown terms {unknown}; known are {sorted(TERMS)}, and at least one is needed")
    return Loss(dict(weights))
