"""One reading of the LGG segmentation set: FLAIR slices decoded case by case, and the masks of their tumours."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.archive import Archive
from reregister.data.label_map_files import LabelBatch, maps_from_masks
from reregister.data.reading import Batch, note
from reregister.data.tcga_lgg.cases import check_counts, listing
from reregister.data.tcga_lgg.layout import LIST, Slice, in_list
from reregister.data.tcga_lgg.tiff import decode_image, decode_mask, what_is_wrong
from reregister.errors import ReregisterError

TUMOUR = "tumour"
#: Order of the channels.
PRE, FLAIR, POST = range(3)
#: Grey values of the images: each image's least and greatest become 0 and 1, or bytes are divided by 255.
INTENSITIES = ("min_max", "raw")
#: Share of an image's range above which a pixel counts to the head.
_HEAD = 0.1


class Reading:
    """What `read` found, decoded case by case while it is iterated; a context manager that closes the archives.

    cases: slices by case. count: images in all. report: choices and things missing, as clauses; iterating adds to it.
    """

    def __init__(
        self,
        archive: Archive,
        cases: Mapping[str, list[Slice]],
        sums: Mapping[str, str] | None,
        intensities: str,
        report: list[str],
        original: Mapping[str, Any],
        expect: Mapping[str, Any],
    ) -> None:
        self._archive, self._sums, self._intensities = archive, sums, intensities
        self._original, self._expect = original, expect
        self.cases, self.report = cases, report
        self.count = sum(map(len, cases.values()))
        self._tumour_slices: int | None = None
        self._checked: set[str] = set()

    def __enter__(self) -> "Reading":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(H, W) of the first image, to which the others are held."""
        first = next(iter(self.cases.values()))[0].image
        return decode_image(self._read(first), first).shape[:2]

    def __iter__(self) -> Iterator[Batch]:
        """FLAIR images float32 (n, 1, H, W) in [0, 1] of one case after the other, and their n subjects.

        Subjects: columns of every store; slice (its number) and site; tumour_area (pixels of the mask) and head_area
        (pixels above a tenth of the image's range, skull included); sequences (which of `pre flair post` are real, the
        others being copies of FLAIR in the whole case); lowest and highest (bytes 0 to 255 of FLAIR, which turn images
        of `min_max` into those of `raw`). Spacing is 1 pixel: the files have none. Raises ReregisterError for a damaged
        file, a checksum other than listed, an image of another size than the first and a mask of another than its image.
        """
        seen: Counter[str] = Counter()
        tumours, without = 0, []
        for case, slices in self.cases.items():
            pixels, rows = self._read_case(case, slices)
            areas = [int(row["tumour_area"]) for row in rows]
            tumours += sum(area > 0 for area in areas)
            without += [case] if not any(areas) else []
            seen[rows[0]["sequences"]] += 1
            yield self._scaled(pixels, rows)[:, np.newaxis], pd.DataFrame(rows)
        self._tumour_slices = tumours
        self._summarise(seen, without)
        if wrong := self._against(self._expect):
            raise ReregisterError(f"The LGG files are not what they are said to be: {'; '.join(wrong)}.")

    def labels(self) -> Iterator[LabelBatch]:
        """Label maps uint8 (n, H, W) of the tumour, one for every image, many of them empty, and their rows, by case.

        Every image has one, since the neighbour of a tumour slice, which it may be paired with, need not have a tumour.
        Raises ReregisterError as iterating does.
        """
        for slices in self.cases.values():
            masks = np.stack([self._mask(cut) for cut in slices])
            yield maps_from_masks(
                masks, pd.DataFrame({"id": [cut.id for cut in slices], "label": TUMOUR, "unit": "px"})
            )

    def deviations(self) -> list[str]:
        """How the images differ from the 110 cases, 3,929 slices, 1,373 with tumour, of the original."""
        return self._against(self._original)

    def _against(self, wanted: Mapping[str, Any]) -> list[str]:
        found = {case: len(slices) for case, slices in self.cases.items()}
        clauses = check_counts(found, self.shape if "shape" in wanted else None, wanted)
        if "tumour_slices" in wanted and self._tumour_slices not in (None, wanted["tumour_slices"]):
            clauses.append(f"{self._tumour_slices} slices have a tumour, not {wanted['tumour_slices']}")
        return clauses

    def _read(self, name: str) -> bytes:
        """A file's bytes, held to the list of checksums where there is one."""
        content = self._archive.read(name)
        if self._sums is None or in_list(name) not in self._sums:
            return content
        digest, listed = hashlib.sha256(content).hexdigest(), self._sums[in_list(name)]
        if digest != listed:
            reason = what_is_wrong(content) or f"its sha256 is {digest}, not {listed} as in {LIST}"
            raise ReregisterError(f"{name} is not the original: {reason}; fetch it from another source.")
        self._checked.add(name)
        return content

    def _mask(self, cut: Slice) -> NDArray[np.uint8]:
        mask = decode_mask(self._read(cut.mask), cut.mask)
        self._require_shape(cut.mask, mask, "its image")
        return mask

    def _require_shape(self, name: str, pixels: NDArray[np.uint8], other: str) -> None:
        if pixels.shape[:2] != self.shape:
            found, wanted = (f"{size[0]} x {size[1]}" for size in (pixels.shape, self.shape))
            raise ReregisterError(f"{name} has {found} pixels but {other} {wanted}; fetch it again.")

    def _read_case(self, case: str, slices: list[Slice]) -> tuple[NDArray[np.uint8], list[dict[str, str]]]:
        """FLAIR bytes (n, H, W) of a case and its rows."""
        flair = np.empty((len(slices), *self.shape), np.uint8)
        rows, copies = [], {PRE: True, POST: True}
        for number, cut in enumerate(slices):
            content = self._read(cut.image)
            image = decode_image(content, cut.image)
            self._require_shape(cut.image, image, "the first image of the set")
            flair[number] = image[..., FLAIR]
            for channel in copies:
                copies[channel] &= bool(np.array_equal(image[..., channel], flair[number]))
            digest = hashlib.sha256(content).hexdigest()
            rows.append(_row(case, cut, digest, flair[number], int(self._mask(cut).sum())))
        real = [*([] if copies[PRE] else ["pre"]), "flair", *([] if copies[POST] else ["post"])]
        return flair, [{**row, "sequences": " ".join(real)} for row in rows]

    def _scaled(self, flair: NDArray[np.uint8], rows: list[dict[str, str]]) -> NDArray[np.float32]:
        for row in rows:
            if row["lowest"] == row["highest"]:
                note(self.report, f"{row['id']}: the FLAIR image is of one grey value, {row['lowest']}")
        grey = flair.astype(np.float32)
        if self._intensities == "raw":
            return grey / np.float32(255)
        low, high = grey.min(axis=(1, 2), keepdims=True), grey.max(axis=(1, 2), keepdims=True)
        return (grey - low) / np.maximum(high - low, 1)

    def _summarise(self, seen: Mapping[str, int], without: list[str]) -> None:
        for name, word in (("pre", "pre-contrast"), ("post", "post-contrast")):
            if lacking := sum(count for real, count in seen.items() if name not in real.split()):
                note(
                    self.report,
                    f"{lacking} of {len(self.cases)} cases have a copy of FLAIR in place of the {word} image",
                )
        if without:
            note(self.report, f"no slice has a tumour in {listing(without)}")
        if self._sums is not None:
            note(self.report, f"{len(self._checked)} of {2 * self.count} TIFFs agree with {LIST}")


def _row(case: str, cut: Slice, digest: str, flair: NDArray[np.uint8], tumour_area: int) -> dict[str, str]:
    lowest, highest = int(flair.min()), int(flair.max())
    return {
        "id": cut.id,
        "group": case,
        "cluster": case,
        "split": "all",  # the set has no official split, and a store leaves no cell of this column empty
        "spacing": "1 1",
        "source": cut.image,
        "sha256": digest,
        "slice": str(cut.number),
        "site": case.split("_")[1],
        "tumour_area": str(tumour_area),
        "head_area": str(int((flair > lowest + _HEAD * (highest - lowest)).sum())),
        "lowest": str(lowest),
        "highest": str(highest),
    }
