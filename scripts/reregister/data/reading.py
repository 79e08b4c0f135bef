"""What a reader gives: images and their subjects batch by batch, masks, and what is to be said of both."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Batch = tuple[NDArray[np.float32], pd.DataFrame]
Labels = tuple[NDArray[np.uint8], pd.DataFrame]


class Reading(Protocol):
    """A dataset that was found and can be decoded; a context manager that closes its archives.

    count: images in all. report: choices and things missing, as clauses; iterating and `labels` may add to it.
    deviations: from the counts of the original, as clauses; known once the images were iterated.
    """

    count: int
    report: list[str]

    def __enter__(self) -> "Reading": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Batch]:
        """Images float32 (n, C, *spatial) and their n rows of subjects (`store.SUBJECT_COLUMNS` and others)."""
        ...

    def labels(self) -> Labels:
        """Masks uint8 (M, *spatial), 0 and 1, and M rows of id, label and unit; none where a dataset has no labels."""
        ...

    def deviations(self) -> list[str]:
        """How the images differ from what the original holds; an empty list means not at all."""
        ...


@dataclass
class Whole:
    """A reading that is in memory as a whole and has no labels.

    images: float32 (N, C, *spatial). subjects: N rows. against: its deviations from the original's counts.
    """

    images: NDArray[np.float32]
    subjects: pd.DataFrame
    against: list[str] = field(default_factory=list)
    report: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.images)

    def __enter__(self) -> "Whole":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __iter__(self) -> Iterator[Batch]:
        yield self.images, self.subjects

    def labels(self) -> Labels:
        """No masks, of the images' size."""
        return np.zeros((0, *self.images.shape[2:]), np.uint8), pd.DataFrame(columns=["id", "label", "unit"])

    def deviations(self) -> list[str]:
        return self.against
