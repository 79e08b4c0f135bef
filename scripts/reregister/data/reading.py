"""What a reader gives: images and their subjects batch by batch, label maps, and what is to be said of both."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType, TracebackType
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.label_map_files import LabelBatch
from reregister.errors import ReregisterError

Batch = tuple[NDArray[np.float32], pd.DataFrame]


class Reading(Protocol):
    """A dataset that was found and can be decoded; a context manager that closes its archives.

    count: images in all. shape: of each image and map, (*spatial). report: choices and things missing, as clauses;
    iterating and `labels` may add to it. deviations: from the counts of the original, as clauses; known once the images
    were iterated.
    """

    count: int
    report: list[str]

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __enter__(self) -> "Reading": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Batch]:
        """Images float32 (n, C, *spatial) and their n rows of subjects (`store.SUBJECT_COLUMNS` and others)."""
        ...

    def labels(self) -> Iterator[LabelBatch]:
        """Label maps uint8 (n, *spatial) and their rows, batch by batch; none where a dataset has no labels."""
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

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image, (*spatial)."""
        return self.images.shape[2:]

    def __enter__(self) -> "Whole":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __iter__(self) -> Iterator[Batch]:
        yield self.images, self.subjects

    def labels(self) -> Iterator[LabelBatch]:
        """No batch."""
        return iter(())

    def deviations(self) -> list[str]:
        return self.against


def note(report: list[str], remark: str) -> None:
    """Add a clause to a report unless it is there: labels may be asked for twice."""
    if remark not in report:
        report.append(remark)


def check_choices(reader: ModuleType, choices: Mapping[str, Any]) -> None:
    """Hold what a dataset's `reading` says to the reader's own keywords.

    Raises ReregisterError where the reader's `read` has no keyword of a name.
    """
    parameters = inspect.signature(reader.read).parameters.values()
    known = [part.name for part in parameters if part.default is not part.empty]
    if unknown := [name for name in choices if name not in known]:
        allowed = f"allowed are {', '.join(known)}" if known else "it takes none"
        raise ReregisterError(
            f"config/datasets.yaml: the reader {reader.__name__.rpartition('.')[2]} does not take {unknown[0]!r} under "
            f"reading; {allowed}."
        )
