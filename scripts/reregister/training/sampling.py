"""Which pairs a training step sees."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

# Bytes of the place within an epoch, behind the state of the generator.
_PLACE = 8


class Sampler(Protocol):
    """Seeded pairs, and the state that a checkpoint keeps of them."""

    @property
    def generator(self) -> torch.Generator: ...

    def draw(self, batch: int) -> tuple[Tensor, Tensor]: ...

    def get_state(self) -> Tensor: ...

    def set_state(self, state: Tensor) -> object: ...


class _Groups:
    """Positions in the pool, group by group: group g holds `members[starts[g] : starts[g] + sizes[g]]`."""

    def __init__(self, groups: Sequence[str]) -> None:
        if not groups:
            raise ValueError("the pool of training images is empty")
        order = sorted(set(groups))
        members = [[i for i, group in enumerate(groups) if group == name] for name in order]
        self.members = torch.tensor([i for group in members for i in group])
        self.sizes = torch.tensor([len(group) for group in members])
        self.starts = torch.cumsum(self.sizes, 0) - self.sizes


class PairSampler:
    """Ordered pairs of two images of one group, drawn uniformly with replacement from a seeded generator.

    groups: for each image of the pool, the group it belongs to. distinct: whether the two are different images; without
    it one image may stand on both sides. A group is drawn with a weight equal to its number of ordered pairs, so that
    every pair of the pool is equally likely. The state of `generator` is all that a checkpoint
    needs. Raises ValueError for an empty pool, or one without a pair of two images where these are wanted.
    """

    def __init__(self, groups: Sequence[str], seed: int, distinct: bool = False) -> None:
        self._groups = _Groups(groups)
        self.generator = torch.Generator().manual_seed(seed)
        self._distinct = distinct
        self._weights = self._groups.sizes.double() * (self._groups.sizes - int(distinct))
        if not self._weights.sum():
            raise ValueError("no group of the pool has two images to make a pair of")

    def get_state(self) -> Tensor:
        return self.generator.get_state()

    def set_state(self, state: Tensor) -> object:
        return self.generator.set_state(state)

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """Positions in the pool of `batch` moving and `batch` fixed images."""
        generator, groups = self.generator, self._groups
        if len(groups.sizes) == 1:
            group = torch.zeros(batch, dtype=torch.long)
        else:
            group = torch.multinomial(self._weights, batch, replacement=True, generator=generator)
        unit = torch.rand(2, batch, generator=generator, dtype=torch.float64)
        sizes = groups.sizes[group]
        offset = (unit * sizes).long()
        if self._distinct:
            # The second image is one of the others, counted on from the first.
            step = 1 + (unit[1] * (sizes - 1)).long()
            offset[1] = (offset[0] + step) % sizes
        moving, fixed = groups.members[groups.starts[group] + offset]
        return moving, fixed


class EpochSampler:
    """Epochs in which every image of the pool is the fixed one of one pair, in a new order [mnist_voxelmorph, section 2.3].

    Its moving partner is drawn anew in each epoch, uniformly and with replacement from the images of its group, itself
    included. groups: for each image of the pool, the group it belongs to. Order and partners of an epoch are drawn at its
    start, so the state is that of the generator then, and the place reached. Raises ValueError for an empty pool.
    """

    def __init__(self, groups: Sequence[str], seed: int) -> None:
        self._groups = _Groups(groups)
        self._group = torch.empty(len(groups), dtype=torch.long)
        self._group[self._groups.members] = torch.repeat_interleave(
            torch.arange(len(self._groups.sizes)), self._groups.sizes
        )
        self.generator = torch.Generator().manual_seed(seed)
        self._place = 0
        self._begin()

    def _begin(self) -> None:
        self._start = self.generator.get_state()
        self._fixed = torch.randperm(len(self._group), generator=self.generator)
        unit = torch.rand(len(self._group), generator=self.generator, dtype=torch.float64)
        group, groups = self._group[self._fixed], self._groups
        self._moving = groups.members[groups.starts[group] + (unit * groups.sizes[group]).long()]

    def get_state(self) -> Tensor:
        """State of the generator at the start of the epoch, and the place within it; bytes."""
        return torch.cat([self._start, torch.tensor([self._place]).view(torch.uint8)])

    def set_state(self, state: Tensor) -> None:
        """Go on from a state. Raises RuntimeError where it is none of an `EpochSampler`."""
        self.generator.set_state(state[:-_PLACE].clone())
        self._place = int(state[-_PLACE:].clone().view(torch.int64))
        self._begin()

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """Positions in the pool of `batch` moving and fixed images; at the end of an epoch as many as are left of it."""
        if self._place == len(self._fixed):
            self._place = 0
            self._begin()
        part = slice(self._place, self._place + batch)
        self._place = min(self._place + batch, len(self._fixed))
        return self._moving[part], self._fixed[part]
