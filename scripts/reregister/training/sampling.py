"""Which pairs a training step sees."""

from collections.abc import Sequence

import torch
from torch import Tensor


class PairSampler:
    """Ordered pairs of two images of one group, drawn uniformly with replacement from a seeded generator.

    groups: for each image of the pool, the group it belongs to. distinct: whether the two are different images; without
    it one image may stand on both sides. A group is drawn with a weight equal to its number of ordered pairs, so that
    every pair of the pool is equally likely. The state of `generator` is all that a checkpoint
    needs. Raises ValueError for an empty pool, or one without a pair of two images where these are wanted.
    """

    def __init__(self, groups: Sequence[str], seed: int, distinct: bool = False) -> None:
        if not groups:
            raise ValueError("the pool of training images is empty")
        self.generator = torch.Generator().manual_seed(seed)
        order = sorted(set(groups))
        members = [[i for i, group in enumerate(groups) if group == name] for name in order]
        self._members = torch.tensor([i for group in members for i in group])
        sizes = torch.tensor([len(group) for group in members])
        self._sizes, self._starts = sizes, torch.cumsum(sizes, 0) - sizes
        self._distinct = distinct
        self._weights = sizes.double() * (sizes - int(distinct))
        if not self._weights.sum():
            raise ValueError("no group of the pool has two images to make a pair of")

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """Positions in the pool of `batch` moving and `batch` fixed images."""
        generator = self.generator
        if len(self._sizes) == 1:
            group = torch.zeros(batch, dtype=torch.long)
        else:
            group = torch.multinomial(self._weights, batch, replacement=True, generator=generator)
        unit = torch.rand(2, batch, generator=generator, dtype=torch.float64)
        sizes = self._sizes[group]
        offset = (unit * sizes).long()
        if self._distinct:
            # The second image is one of the others, counted on from the first.
            step = 1 + (unit[1] * (sizes - 1)).long()
            offset[1] = (offset[0] + step) % sizes
        moving, fixed = self._members[self._starts[group] + offset]
        return moving, fixed
