"""Reader of the LGG segmentation set: FLAIR slices of 110 cases of TCGA-LGG with tumour masks (datasets.md section 5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reregister.data.archive import Archive
from reregister.data.tcga_lgg.cases import LIST_SHA256, ORIGINAL, check_counts, listing
from reregister.data.tcga_lgg.layout import LIST, find_cases, gaps, in_list, read_sums
from reregister.data.tcga_lgg.reading import INTENSITIES, Reading
from reregister.errors import ReregisterError

__all__ = ["ORIGINAL", "check_counts", "read"]


def read(
    members: Mapping[str, Path],
    sha256: Mapping[str, str],
    expect: Mapping[str, Any],
    intensities: str = "min_max",
    list_sha256: str = LIST_SHA256,
) -> Reading:
    """Find cases and their slices; images are decoded when the result is iterated, masks also when asked for.

    members: `lgg-mri-segmentation.zip` by name, or the files of an extracted folder by their path in it, or folders.
        Where `kaggle_3m.sha256` is among them, every TIFF that is read is held to it.
    sha256: digests by the same names; not needed, since each row of the subjects names a TIFF and its own digest.
    expect: what to insist on, keys as in `ORIGINAL`, each optional; empty takes what is there.
    intensities: `min_max` makes each image's least and greatest value 0 and 1 and is the default of papers.md 7.1;
        `raw` divides bytes by 255.
    list_sha256: digest of the one list of checksums that is believed.
    Returns a `Reading` to be used as a context manager and given to `write_store`; what is missing or was
    decided stands in `Reading.report`. Raises ReregisterError for unknown intensities, an unusable archive or list, no
    case at all, an image without mask or a mask without image, and deviations from `expect` (of the number of tumour
    slices only once all images were iterated).
    """
    if intensities not in INTENSITIES:
        raise ReregisterError(f"Intensities {intensities!r} are unknown; allowed are {', '.join(INTENSITIES)}.")
    archive = Archive(members)
    try:
        cases, report = find_cases(archive)
        sums = read_sums(archive, list_sha256)
        reading = Reading(archive, cases, sums, intensities, report, ORIGINAL, expect)
        report += _remarks(reading, sums)
        found = {case: len(slices) for case, slices in cases.items()}
        if wrong := check_counts(found, reading.shape if "shape" in expect else None, expect):
            raise ReregisterError(f"The LGG files are not what they are said to be: {'; '.join(wrong)}.")
    except BaseException:
        archive.close()
        raise
    return reading


def _remarks(reading: Reading, sums: Mapping[str, str] | None) -> list[str]:
    """Gaps in the numbering, cases that cannot make an adjacent pair, files that are not listed."""
    remarks = []
    if odd := gaps(reading.cases):
        remarks.append(f"slices are not numbered from 1 on without a gap in {listing(list(odd))}")
    if single := [case for case, slices in reading.cases.items() if len(slices) == 1]:
        remarks.append(f"there is one slice alone, and so no adjacent pair, in {listing(single)}")
    if sums is not None:
        names = [name for slices in reading.cases.values() for cut in slices for name in (cut.image, cut.mask)]
        if unlisted := [name for name in names if in_list(name) not in sums]:
            remarks.append(f"{len(unlisted)} TIFFs are not in {LIST} and were not checked: {listing(unlisted)}")
    return remarks
