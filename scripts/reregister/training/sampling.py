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
    included unless distinct. groups: for each image of the pool, the group it belongs to. Order and partners of an epoch
    are drawn at its start, so the state is that of the generator then, the place reached, and the generator's state now,
    from which others may have drawn since. Raises ValueError for an empty pool, or a group of one image where distinct.
    """

    def __init__(self, groups: Sequence[str], seed: int, distinct: bool = False) -> None:
        self._groups = _Groups(groups)
        if distinct and int(self._groups.sizes.min()) < 2:
            raise ValueError("a group of the pool has no two images to make a pair of")
        self._group = torch.empty(len(groups), dtype=torch.long)
        self._group[self._groups.members] = torch.repeat_interleave(
            torch.arange(len(self._groups.sizes)), self._groups.sizes
        )
        # Where in its group each image of the pool lies.
        self._offset = torch.argsort(self._groups.members) - self._groups.starts[self._group]
        self._distinct = distinct
        self.generator = torch.Generator().manual_seed(seed)
        self._place = 0
        self._begin()

    def _begin(self) -> None:
        self._start = self.generator.get_state()
        self._fixed = torch.randperm(len(self._group), generator=self.generator)
        unit = torch.rand(len(self._group), generator=self.generator, dtype=torch.float64)
        group, groups = self._group[self._fixed], self._groups
        sizes = groups.sizes[group]
        if self._distinct:
            # One of the others, counted on from the image itself.
            offset = (self._offset[self._fixed] + 1 + (unit * (sizes - 1)).long()) % sizes
        else:
            offset = (unit * sizes).long()
        self._moving = groups.members[groups.starts[group] + offset]

    def get_state(self) -> Tensor:
        """State of the generator at the start of the epoch, the place within it, and the generator's state now; bytes."""
        return torch.cat([self._start, _bytes_of(self._place), self.generator.get_state()])

    def set_state(self, state: Tensor) -> None:
        """Go on from a state. Raises RuntimeError where it is none of an `EpochSampler`."""
        start, place, now = state.split([len(self._start), _PLACE, len(self._start)])
        self.generator.set_state(start.clone())
        self._place = _place_of(place)
        self._begin()
        self.generator.set_state(now.clone())

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """Positions in the pool of `batch` moving and `batch` fixed images; at an epoch's end as many as are left of it."""
        if self._place == len(self._fixed):
            self._place = 0
            self._begin()
        part = slice(self._place, self._place + batch)
        self._place = min(self._place + batch, len(self._fixed))
        return self._moving[part], self._fixed[part]


class InOrderSampler:
    """Epochs of fixed pairs, always in the order of the pool [reduced_voxelmorph, same_subject; papers.md 6.1].

    images: of the pool, each the fixed one of one pair. The generator is for what others draw. Raises ValueError for an
    empty pool.
    """

    def __init__(self, images: int, seed: int) -> None:
        if not images:
            raise ValueError("the pool of training images is empty")
        self.generator = torch.Generator().manual_seed(seed)
        self._images, self._place = images, 0

    def get_state(self) -> Tensor:
        """State of the generator, and the place within the epoch; bytes."""
        return torch.cat([self.generator.get_state(), _bytes_of(self._place)])

    def set_state(self, state: Tensor) -> None:
        """Go on from a state. Raises RuntimeError where it is none of an `InOrderSampler`."""
        now, place = state.split([len(self.generator.get_state()), _PLACE])
        self.generator.set_state(now.clone())
        self._place = _place_of(place)

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """Positions of the next `batch` pairs, the same for moving and fixed; at the end of an epoch what is left of it."""
        start = self._place % self._images
        self._place = min(start + batch, self._images)
        places = torch.arange(start, self._place)
        return places, places


def _bytes_of(place: int) -> Tensor:
    return torch.tensor([place]).view(torch.uint8)


def _place_of(state: Tensor) -> int:
    return int(state.clone().view(torch.int64))


def make_sampler(groups: Sequence[str], seed: int, distinct: bool, each_once: bool, in_order: bool) -> Sampler:
    """The sampler of a pool's rule: pairs in order, epochs, or pairs drawn with replacement; see there."""
    if in_order:
        return InOrderSampler(len(groups), seed)
    return EpochSampler(groups, seed, distinct) if each_once else PairSampler(groups, seed, distinct)
