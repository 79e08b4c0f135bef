"""What a training step is given: the images of its pairs, and their labels where the loss compares those."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reregister.errors import ReregisterError
from reregister.transforms.random_affine import augment


@dataclass(frozen=True)
class TrainingLabels:
    """Label maps of the images of a training, one channel made of each label when a batch is.

    names: of the labels, in the order of the channels. maps: (M, *spatial) uint8, in memory or mapped; images may share
    one. rows: (N,) the map of each image. values: (N, L) int16, the value of each label in its image's map, -1 where the
    image does not have the label.
    """

    names: Sequence[str]
    maps: NDArray[np.uint8]
    rows: NDArray[np.intp]
    values: NDArray[np.int16]

    def channels(self, images: NDArray[np.intp], values: NDArray[np.int16], device: torch.device) -> Tensor:
        """Labels of images (rows of the training's) by their values (B, L): float32 (B, L, *spatial), 0 and 1."""
        maps = _on(self.maps[self.rows[images]], device)
        wanted = torch.from_numpy(values).to(device).reshape(*values.shape, *[1] * (maps.ndim - 1))
        return (maps[:, None] == wanted).float()


@dataclass(frozen=True)
class TrainingData:
    """images: (N, C, *spatial) float32 in memory or mapped, with their ids; pool and groups: rows to draw pairs from;
    validation: rows of moving and of fixed images of the frozen validation pairs, none where there are no such pairs;
    distinct: whether a training pair is of two different images; each_once: whether each image of the pool is the fixed one
    of one pair an epoch; partners: where the pairs of an epoch are fixed, and taken in order, the rows of their moving
    images; labels: where the loss compares them."""

    images: np.ndarray
    ids: Sequence[str]
    pool: np.ndarray
    groups: Sequence[str]
    validation: tuple[np.ndarray, np.ndarray]
    distinct: bool = False
    each_once: bool = False
    partners: np.ndarray | None = None
    labels: TrainingLabels | None = None

    def names(self, moving: NDArray[np.intp], fixed: NDArray[np.intp]) -> str:
        """Pairs of rows in words, for messages: moving>fixed."""
        return ", ".join(f"{self.ids[m]}>{self.ids[f]}" for m, f in zip(moving, fixed, strict=True))


@dataclass(frozen=True)
class Batch:
    """Images (B, C, *spatial) and, where there are labels, those of either side (B, L, *spatial)."""

    moving: Tensor
    fixed: Tensor
    moving_labels: Tensor | None = None
    fixed_labels: Tensor | None = None


def make_batch(
    data: TrainingData,
    moving: NDArray[np.intp],
    fixed: NDArray[np.intp],
    device: torch.device,
    values: tuple[NDArray[np.int16], NDArray[np.int16]] | None = None,
) -> Batch:
    """The pairs of rows as a batch. values: of the labels that are wanted in either map, (B, L); without it all."""
    images = [_on(data.images[rows], device) for rows in (moving, fixed)]
    if data.labels is None:
        return Batch(*images)
    wanted = values or (data.labels.values[moving], data.labels.values[fixed])
    masks = [data.labels.channels(rows, own, device) for rows, own in zip((moving, fixed), wanted, strict=True)]
    return Batch(*images, *masks)


def _on(values: NDArray[Any], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    # Only from pinned memory does the copy to a GPU run while the processor goes on.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def one_label(
    data: TrainingData, moving: NDArray[np.intp], fixed: NDArray[np.intp], generator: torch.Generator
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """One label of each pair, drawn uniformly from those that both images have: its values in either map, (B, 1) each.

    Raises ReregisterError, with the ids, for a pair without a label in common.
    """
    assert data.labels is not None
    of_moving, of_fixed = data.labels.values[moving], data.labels.values[fixed]
    both = (of_moving >= 0) & (of_fixed >= 0)
    counts = both.sum(1)
    if not counts.all():
        without = int(np.argmin(counts))
        pair, names = data.names(moving[[without]], fixed[[without]]), ", ".join(data.labels.names)
        raise ReregisterError(f"no label of {names} is in both images of {pair}; mend training.labels or the split")
    unit = torch.rand(len(counts), generator=generator, dtype=torch.float64).numpy()
    place = (unit * counts).astype(np.intp)
    # The place-th of the labels that are in both.
    chosen = np.argmax(both.cumsum(1) == place[:, None] + 1, 1)[:, None]
    return np.take_along_axis(of_moving, chosen, 1), np.take_along_axis(of_fixed, chosen, 1)


def augmented(batch: Batch, settings: Mapping[str, Any], generator: torch.Generator) -> Batch:
    """The batch with each image, and its labels with it, through a random affine map of its own (papers.md 5.5).

    settings: corner_scale and origin, see `random_affine.augment`. Moving images draw first.
    """
    moving, moving_labels = _side(batch.moving, batch.moving_labels, settings, generator)
    fixed, fixed_labels = _side(batch.fixed, batch.fixed_labels, settings, generator)
    return Batch(moving, fixed, moving_labels, fixed_labels)


def _side(
    images: Tensor, labels: Tensor | None, settings: Mapping[str, Any], generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    if labels is None:
        return augment([images], generator, **settings)[0], None
    images, labels = augment([images, labels], generator, **settings)
    return images, labels
