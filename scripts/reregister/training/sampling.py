"""Which pairs a training step sees."""

from collections.abc import Sequence

import torch
from torch import Tensor


class PairSampler:
    """Ordered pairs of two images of one group, drawn uniformly with replacement from a seeded generator.

    groups: for each image of the pool, the group it belongs to. A group is drawn with a weight equal to its number of
    ordered pairs, so that every pair of the pool is equally likely. The state of `generator` is all that a checkpoint
    needs. Raises ValueError for an empty pool.
    """

    def __init__(self, groups: Sequence[str], seed: int) -> None:
        if not groups:
            raise ValueError("the pool of training images is empty")
        self.generator = torch.Generator().manual_seed(seed)
        order = sorted(set(groups))
        members = [[i for i, group in enumerate(groups) if group == name] for name in order]
        self._members = torch.tensor([i for group in members for i in group])
        sizes = torch.tensor([len(group) for group in members])
        self._sizes, self._starts = sizes, torch.cumsum(sizes, 0) - sizes
        self._weights = sizes.double() ** 2

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """Positions in the pool of `batch` moving and `batch` fixed images."""
        generator = self.generator
        if len(self._sizes) == 1:
            group = torch.zeros(batch, dtype=torch.long)
        else:
            group = torch.multinomial(self._weights, batch, replacement=True, generator=generator)
        unit = torch.rand(2, batch, generator=generator, dtype=torch.float64)
        offset = (unit * self._sizes[group]).long()
        moving, fixed = self._members[self._starts[group] + offset]
        return moving, fixed
