"""Reader of neurite-OASIS v1.0: aligned heads of 414 subjects with 35 structures (datasets.md section 3)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reregister.data.oasis.layout import VOLUMES
from reregister.data.oasis.reading import Reading, open_reading

ORIGINAL = VOLUMES.original


def read(
    members: Mapping[str, Path],
    sha256: Mapping[str, str],
    expect: Mapping[str, Any],
    kinds: Sequence[str] = ("norm", "orig"),
    half: bool = False,
) -> Reading:
    """Find the subjects of subjects.txt and the table of labels; volumes are decoded when they are asked for.

    members: `neurite-oasis.v1.0.tar` by name, or the files of an extracted folder by their path in it, or folders. Of
        the archive only the tables and the aligned volumes that are needed are read, without unpacking it.
    sha256: digests by the same names; not needed, since each row of the subjects names a volume and its own digest.
    expect: what to insist on, keys as in `ORIGINAL`, each optional; empty takes what is there.
    kinds: images of each subject, `norm` (skull-stripped) and `orig` (whole head); their ids end in it.
    half: means over 2 x 2 x 2 voxels, and the most frequent label: 80 x 96 x 112 of the original.
    Grey values and axes are those of the files. Subjects have the further columns affine (voxel to LPS mm, as
    `volumes.affine_text`) and kind. Returns a `Reading` to be used as a context manager.
    Raises ReregisterError for unknown kinds, an unusable archive or table, a subject with a file missing, a volume that
    cannot be read or is unlike the first subject's, and deviations from `expect`.
    """
    return open_reading(members, expect, VOLUMES, kinds, half)
