"""Reader of the slices of neurite-OASIS v1.0: one coronal slice of 414 heads with 24 structures (datasets.md section 3)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reregister.data.oasis.layout import SLICES
from reregister.data.oasis.reading import Reading, open_reading

ORIGINAL = SLICES.original


def read(
    members: Mapping[str, Path],
    sha256: Mapping[str, str],
    expect: Mapping[str, Any],
    kinds: Sequence[str] = ("norm", "orig"),
) -> Reading:
    """Find the subjects of subjects.txt and the table of labels; slices are decoded when they are asked for.

    members: `neurite-oasis.2d.v1.0.tar` by name, or the files of an extracted folder by their path in it, or folders;
        the folder of the volumes, extracted, holds the slices, too.
    sha256, expect and kinds as of the reader of the volumes. Images are (1, X, Y), be a slice stored with two axes or
    with a third of length 1; grey values and axes are those of the files. Subjects have the further columns affine
    (indices x, y, 0 to LPS mm, as `volumes.affine_text`) and kind. Returns a `Reading` to be used as a context manager.
    Raises ReregisterError as the reader of the volumes, and for a file of several slices.
    """
    return open_reading(members, expect, SLICES, kinds)
