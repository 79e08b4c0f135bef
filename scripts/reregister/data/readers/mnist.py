"""Reader of MNIST: four gzipped IDX files, read in file order (datasets.md section 1)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.idx import read_idx
from reregister.data.reading import Whole
from reregister.errors import ReregisterError

#: (images, labels) of each official split, in the order in which they are stored.
FILES: Mapping[str, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}

#: What the original holds: height and width, and the images per digit 0-9 of each split (counted in the label files).
ORIGINAL: Mapping[str, Any] = {
    "shape": (28, 28),
    "counts": {
        "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    },
}


def read(members: Mapping[str, Path], sha256: Mapping[str, str], expect: Mapping[str, Any]) -> Whole:
    """Decode the four files into images and a table of subjects, training images first, each split in file order.

    members, sha256: path and digest by file name, all names of `FILES`.
    expect: what to insist on, keys as in `ORIGINAL`, each optional; empty takes any number and size.
    Gives images float32 (N, 1, H, W) in [0, 1] = byte / 255, and the subjects (ids train-00000, ..., test-00000, ...;
    group = the digit, cluster = the id, spacing 1 pixel). Raises ReregisterError for a missing or unreadable file,
    unlike numbers of images and labels, a label above 9, a digit without an image, splits of unlike image size, and
    deviations from `expect`.
    """
    images, tables = [], []
    for split, (images_name, labels_name) in FILES.items():
        pixels = read_idx(_member(members, images_name), ndim=3)
        labels = read_idx(_member(members, labels_name), ndim=1)
        _check_labels(pixels, labels, images_name, labels_name)
        images.append(pixels)
        tables.append(_subjects(split, labels, images_name, sha256))
    if images[0].shape[1:] != images[1].shape[1:]:
        raise ReregisterError(
            f"{FILES['train'][0]} holds images of {images[0].shape[1:]} pixels but {FILES['test'][0]} of "
            f"{images[1].shape[1:]}; take both from one source."
        )
    subjects = pd.concat(tables, ignore_index=True)
    deviations = check_counts(subjects, images[0].shape[1:], expect)
    if deviations:
        raise ReregisterError(f"The MNIST files are not what they are said to be: {'; '.join(deviations)}.")
    scaled = np.concatenate(images)[:, np.newaxis].astype(np.float32)
    scaled /= np.float32(255)
    return Whole(scaled, subjects, check_counts(subjects, images[0].shape[1:]))


def check_counts(
    subjects: pd.DataFrame, shape: Sequence[int] | None = None, expect: Mapping[str, Any] = ORIGINAL
) -> list[str]:
    """Deviations from the original's 60,000 / 10,000 images, their numbers per digit and 28 x 28 pixels, as clauses.

    subjects: the table of `read`; shape: (H, W) of the images, None leaves it unchecked; expect: as for `read`.
    An empty list means none. What to make of them is the caller's: an error for an original, a note for a subset.
    """
    deviations = []
    if shape is not None and "shape" in expect and tuple(shape) != tuple(expect["shape"]):
        deviations.append(f"images have {_times(shape)} pixels, not {_times(expect['shape'])}")
    for split, counts in expect.get("counts", {}).items():
        groups = subjects.loc[subjects["split"] == split, "group"]
        if len(groups) != sum(counts):
            deviations.append(f"{split} has {len(groups)} images, not {sum(counts)}")
        found = groups.value_counts()
        for digit, count in enumerate(counts):
            if found.get(str(digit), 0) != count:
                deviations.append(f"{split} has {found.get(str(digit), 0)} images of digit {digit}, not {count}")
    return deviations


def _member(members: Mapping[str, Path], name: str) -> Path:
    if name not in members:
        raise ReregisterError(f"The MNIST data lack {name}; all four files are needed: {_all_names()}.")
    return members[name]


def _all_names() -> str:
    return ", ".join(name for pair in FILES.values() for name in pair)


def _check_labels(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], images_name: str, labels_name: str) -> None:
    if len(pixels) != len(labels):
        raise ReregisterError(
            f"{images_name} holds {len(pixels)} images but {labels_name} {len(labels)} labels; "
            "take both from one source."
        )
    if (labels > 9).any():
        row = int(np.argmax(labels > 9))
        raise ReregisterError(f"{labels_name} has the label {labels[row]} in place {row}; digits 0 to 9 are expected.")
    empty = np.flatnonzero(np.bincount(labels, minlength=10) == 0)
    if empty.size:
        raise ReregisterError(f"{labels_name} has no image of digit {empty[0]}; every digit needs at least one.")


def _subjects(split: str, labels: NDArray[np.uint8], source: str, sha256: Mapping[str, str]) -> pd.DataFrame:
    if source not in sha256:
        raise ReregisterError(f"No sha256 is recorded for {source}; fetch the data set again.")
    ids = [f"{split}-{row:05d}" for row in range(len(labels))]
    groups = [str(label) for label in labels]
    return pd.DataFrame(
        {
            "id": ids,
            "group": groups,
            "cluster": ids,
            "split": split,
            "spacing": "1 1",
            "source": source,
            "sha256": sha256[source],
        }
    )


def _times(shape: Sequence[int]) -> str:
    return " x ".join(str(size) for size in shape)
