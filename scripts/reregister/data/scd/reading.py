"""One reading of SCD: cases with their frames, decoded slice by slice, and the masks of their contours."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.archive import Archive
from reregister.data.contours import contour_mask, points_outside
from reregister.data.dicom import Frame, read_frame, require_alike
from reregister.data.label_map_files import LabelBatch, maps_from_masks
from reregister.data.reading import Batch, note
from reregister.data.scd.contours import CaseContours
from reregister.data.scd.layout import PHASES, Frames
from reregister.errors import ReregisterError

#: The label of the i-contours.
CAVITY = "lv_cavity"


@dataclass(frozen=True)
class Case:
    """One patient: its role, frames by number N and contours."""

    name: str
    role: str
    frames: Frames
    contours: CaseContours

    @property
    def slices(self) -> int:
        """Slices up to the last frame, incomplete ones included."""
        return -(-max(self.frames) // PHASES)

    def present(self, place: int) -> list[int]:
        """Frames of slice `place` (from 0) that there are."""
        return [n for n in range(place * PHASES + 1, (place + 1) * PHASES + 1) if n in self.frames]

    def stored(self, place: int) -> list[int]:
        """Frames of a slice that become images: all of a complete slice, the contoured ones of an incomplete one."""
        present = self.present(place)
        return present if len(present) == PHASES else [n for n in present if n in self.contours.endo]

    def image_id(self, number: int) -> str:
        """Id of a frame, slice and phase from 1: SC-HF-I-1_s03_p08."""
        return f"{self.group(number)}_p{(number - 1) % PHASES + 1:02d}"

    def group(self, number: int) -> str:
        """Case and slice of a frame: SC-HF-I-1_s03."""
        return f"{self.name}_s{(number - 1) // PHASES + 1:02d}"


class Reading:
    """What `read` found, decoded slice by slice while it is iterated; a context manager that closes the archives.

    cases: with images, in the order of the patient table. count: images in all. report: what is missing and what was
    decided, as clauses; iterating and `labels` add to it. against: gives the deviations from the original.
    """

    def __init__(
        self,
        archive: Archive,
        cases: list[Case],
        sums: Mapping[str, str],
        report: list[str],
        against: Callable[["Reading"], list[str]],
    ) -> None:
        self._archive, self._sums, self._against = archive, sums, against
        self.cases, self.report = cases, report
        self.count = sum(len(case.stored(place)) for case in cases for place in range(case.slices))

    def __enter__(self) -> "Reading":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    @property
    def slices(self) -> dict[str, int]:
        """Slices by case, incomplete ones included."""
        return {case.name: case.slices for case in self.cases}

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(H, W) of the first frame."""
        name = next(iter(self.cases[0].frames.values()))
        return read_frame(self._archive.read(name), name).pixels.shape

    def __iter__(self) -> Iterator[Batch]:
        """Images float32 (n, 1, H, W) in [0, 1] of one slice after the other, and their n subjects.

        Intensities: percentiles 1 and 99 of all frames of the slice become 0 and 1, beyond is cut off (papers.md 8.1).
        Subjects: columns of every store, and slice and phase (from 1), mark (`ED`, `ES` or empty: the phase's part in
        the case), complete (`yes` where all 20 phases are there) and slice_distance (mm). Raises ReregisterError for a
        damaged file, one without spacing, and frames of unlike size or spacing within a case.
        """
        for case in self.cases:
            first: dict[str, Frame] = {}
            for place in range(case.slices):
                if not case.stored(place):
                    continue
                data = {n: self._archive.read(case.frames[n]) for n in case.present(place)}
                frames = {n: read_frame(content, case.frames[n]) for n, content in data.items()}
                named = {case.frames[n]: frame for n, frame in frames.items()}
                first = first or dict([next(iter(named.items()))])
                require_alike({**first, **named})
                self._check_headers(case, place, frames)
                numbers = case.stored(place)
                images = self._normalise(case, place, frames)[[case.present(place).index(n) for n in numbers]]
                rows = [self._row(case, n, frames[n], data[n]) for n in numbers]
                yield images[:, np.newaxis], pd.DataFrame(rows)

    def labels(self) -> Iterator[LabelBatch]:
        """Label maps uint8 (n, H, W) of the cavity of every stored frame with an i-contour, and their rows, by case.

        A contour that leaves the image is cut off at its border; it and an empty mask are reported.
        """
        for case in self.cases:
            numbers = [n for place in range(case.slices) for n in case.stored(place) if n in case.contours.endo]
            if not numbers:
                continue
            masks = np.stack([self._mask(case, number) for number in numbers])
            ids = [case.image_id(number) for number in numbers]
            yield maps_from_masks(masks, pd.DataFrame({"id": ids, "label": CAVITY, "unit": "mm"}))

    def _mask(self, case: Case, number: int) -> NDArray[np.uint8]:
        """Inside of a frame's i-contour, uint8 (H, W)."""
        points = case.contours.endo[number]
        mask = contour_mask(points, self.shape)
        if outside := points_outside(points, self.shape):
            note(
                self.report, f"{case.image_id(number)}: {outside} points of the contour leave the image, cut off there"
            )
        if not mask.any():
            note(self.report, f"{case.image_id(number)}: the contour encloses no pixel, the mask is empty")
        return mask

    def deviations(self) -> list[str]:
        """How slices and image size differ from the split of the 2009 challenge, as clauses."""
        return self._against(self)

    def _check_headers(self, case: Case, place: int, frames: Mapping[int, Frame]) -> None:
        """Report headers that contradict the file names, once a case."""
        if len({frame.position for frame in frames.values()}) > 1:
            note(self.report, f"{case.name}: slice {place + 1} has frames at different positions in its headers")
        unlike = [n for n, frame in frames.items() if frame.instance not in (None, _number_in(case.frames[n]))]
        if unlike:
            note(self.report, f"{case.name}: InstanceNumber differs from the file names, whose numbers are taken")
        if {frame.phases for frame in frames.values()} - {None, PHASES}:
            note(self.report, f"{case.name}: the headers state another number of phases than {PHASES}")
        if {frame.slice_distance_from for frame in frames.values()} != {"SpacingBetweenSlices"}:
            note(self.report, f"{case.name}: no SpacingBetweenSlices, the slice distance is the thickness or unknown")

    def _normalise(self, case: Case, place: int, frames: Mapping[int, Frame]) -> NDArray[np.float32]:
        pixels = np.stack([frame.pixels for frame in frames.values()])
        low, high = np.percentile(pixels, [1, 99])
        if high <= low:
            note(self.report, f"{case.name}: slice {place + 1} is of one grey value")
            return np.zeros_like(pixels)
        return np.clip((pixels - np.float32(low)) / np.float32(high - low), 0, 1, dtype=np.float32)

    def _row(self, case: Case, number: int, frame: Frame, data: bytes) -> dict[str, str]:
        name, phase = case.frames[number], (number - 1) % PHASES
        source = self._archive.source(name)
        if source not in self._sums and source != name:
            raise ReregisterError(f"No sha256 is recorded for {source}; fetch the data set again.")
        return {
            "id": case.image_id(number),
            "group": case.group(number),
            "cluster": case.name,
            "split": case.role,
            "spacing": f"{frame.spacing[0]!r} {frame.spacing[1]!r}",
            "source": source,
            "sha256": self._sums.get(source) or hashlib.sha256(data).hexdigest(),
            "slice": str((number - 1) // PHASES + 1),
            "phase": str(phase + 1),
            "mark": case.contours.mark(phase),
            "complete": "yes" if len(case.present((number - 1) // PHASES)) == PHASES else "no",
            "slice_distance": "" if frame.slice_distance is None else repr(frame.slice_distance),
        }


def _number_in(name: str) -> int:
    return int(re.findall(r"\d+", name)[-1])
