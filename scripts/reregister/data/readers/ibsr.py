"""Reader of IBSR V2.0: 18 skull-stripped heads with 32 structures, brought onto one grid (datasets.md section 2)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reregister.data.archive import Archive
from reregister.data.ibsr.layout import COMMON, NAMES, ORIGINAL, check_counts, find_subjects
from reregister.data.ibsr.reading import Reading
from reregister.errors import ReregisterError

__all__ = ["COMMON", "NAMES", "ORIGINAL", "check_counts", "read"]


def read(
    members: Mapping[str, Path],
    sha256: Mapping[str, str],
    expect: Mapping[str, Any],
    mm: float = 1.5,
    multiple: int = 16,
) -> Reading:
    """Find the subjects and read their brain masks; images and labels are decoded when they are asked for.

    members: `IBSR_V2.0_nifti_stripped.tgz` by name, or the files of an extracted folder by their path in it, or folders.
    sha256: digests by the same names; not needed, since each row of the subjects names a volume and its own digest.
    expect: what to insist on, keys as in `ORIGINAL`, each optional; empty takes what is there.
    mm: spacing of the common grid; multiple: what its sizes are divisible by (papers.md 5.1).
    Every brain's centroid lies on one voxel of the grid. Images: `ana_strip`, linear, percentiles 0.5 and 99.5 in the
    mask as 0 and 1; labels: `seg_ana`, nearest; ids outside the table are made 0 and reported. Subjects have the further
    columns affine (voxel of the grid to LPS mm, as `volumes.affine_text`), kind and spacing_stored (mm, canonical axes).
    Returns a `Reading` to be used as a context manager. Raises ReregisterError for an unusable archive, no subject, a
    subject with a file missing, a volume that cannot be read or is unlike its siblings, and deviations from `expect`.
    """
    archive = Archive(members)
    try:
        reading = Reading(archive, find_subjects(archive), mm, multiple)
        if wrong := check_counts(reading.count, reading.shapes, expect):
            raise ReregisterError(f"The IBSR files are not what they are said to be: {'; '.join(wrong)}.")
    except BaseException:
        archive.close()
        raise
    return reading
