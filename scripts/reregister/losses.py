"""Similarity and regularity terms of the training losses, and their weighted sum by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from reregister.errors import ReregisterError
from reregister.terms.label_dice import label_reg_dice
from reregister.terms.local_ncc import local_ncc
from reregister.terms.smoothness import bending_compact, bending_wide, grad_l2_central, grad_l2_forward, image_grad_l1


@dataclass(frozen=True)
class Registered:
    """What a loss may look at: images (B, C, *spatial) and the displacement field (B, ndim, *spatial) in voxels.

    moving_labels, fixed_labels, warped_labels: where the training has labels, (B, L, *spatial) in [0, 1], one per channel;
    a label that an image does not have is zero everywhere.
    """

    moving: Tensor
    fixed: Tensor
    warped: Tensor
    ddf: Tensor
    moving_labels: Tensor | None = None
    fixed_labels: Tensor | None = None
    warped_labels: Tensor | None = None


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


def normalised_field(ddf: Tensor) -> Tensor:
    """A field (B, ndim, *spatial) in voxels as one in which an image reaches from -1 to 1: u_norm = 2 u / (N - 1)."""
    last = torch.tensor([side - 1 for side in ddf.shape[2:]], dtype=ddf.dtype, device=ddf.device)
    return ddf * (2 / last).view(1, -1, *[1] * (ddf.ndim - 2))


def smoothness_loss(pair: Registered) -> Tensor:
    """`grad_l2_forward` of the normalised field [mnist_voxelmorph, section 2.3]."""
    return grad_l2_forward(normalised_field(pair.ddf)).mean()


def local_ncc_loss(pair: Registered) -> Tensor:
    """-LNCC of warped and fixed in windows of 9 voxels, averaged over the batch (papers.md 1.3)."""
    return -local_ncc(pair.warped, pair.fixed).mean()


def label_dice_loss(pair: Registered) -> Tensor:
    """`label_reg_dice` of warped and fixed labels, averaged over the labels that both images of a pair have, then over pairs.

    Source: papers.md 5.4. A pair without a label in common counts as 0. Raises ReregisterError where the training has no
    labels.
    """
    if pair.moving_labels is None or pair.fixed_labels is None or pair.warped_labels is None:
        raise ReregisterError("loss: label_dice needs labels; give training.labels, or take the term out")
    both = pair.moving_labels.flatten(2).any(-1) & pair.fixed_labels.flatten(2).any(-1)
    values = label_reg_dice(pair.warped_labels, pair.fixed_labels) * both
    return (values.sum(1) / both.sum(1).clamp(min=1)).mean()


def _of_field(term: Callable[[Tensor], Tensor]) -> Callable[[Registered], Tensor]:
    """A term of the displacement field in voxels, averaged over the batch."""
    return lambda pair: term(pair.ddf).mean()


def _of_warped(term: Callable[[Tensor], Tensor]) -> Callable[[Registered], Tensor]:
    """A term of the warped image, averaged over the batch."""
    return lambda pair: term(pair.warped).mean()


TERMS: dict[str, Callable[[Registered], Tensor]] = {
    "ncc": ncc_loss,
    "ncc_batch": ncc_batch_loss,
    "mse": mse_loss,
    "ssd": ssd_loss,
    "grad_l2_forward_normalised": smoothness_loss,
    "local_ncc": local_ncc_loss,
    "label_dice": label_dice_loss,
    "grad_l2_forward": _of_field(grad_l2_forward),
    "grad_l2_central": _of_field(grad_l2_central),
    "bending_wide": _of_field(bending_wide),
    "bending_compact": _of_field(bending_compact),
    "image_grad_l1": _of_warped(image_grad_l1),
    "image_grad_l2": _of_warped(grad_l2_forward),
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
