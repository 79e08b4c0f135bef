"""Reader of the slices of neurite-OASIS on small hand-made subjects: two forms of a slice, its labels, what it refuses."""

import tarfile

import numpy as np
import pandas as pd
import pytest

from reregister.data.readers.oasis_2d import ORIGINAL, read
from reregister.data.volumes import read_affine
from reregister.errors import ReregisterError

from .head_files import nifti, put

SHAPE = (8, 10)
AFFINE = np.array([[-1.0, 0, 0, 3.5], [0, 0, 1, -5.5], [0, -1, 0, 4.5], [0, 0, 0, 1]])  # axes left, down, front
SUBJECTS = ["OASIS_OAS1_0001_MR1", "OASIS_OAS1_0457_MR1"]
NAMES = ["Left-Cerebral-White-Matter", "Brain-Stem"]


def slices(row):
    rng = np.random.default_rng(row)
    norm = rng.random(SHAPE, dtype=np.float32)
    return {
        "slice_norm": norm,
        "slice_orig": norm + np.float32(1),
        "slice_seg24": rng.integers(0, 3, SHAPE, dtype=np.uint8),
    }


def make(top, form):
    put(top, "subjects.txt", "\n".join(SUBJECTS).encode())
    put(top, "seg24_labels.txt", "".join(f"{n} {name} 1 2 3 0\n" for n, name in enumerate(NAMES, 1)).encode())
    put(top, "seg4_labels.txt", b"is not read")
    for row, subject in enumerate(SUBJECTS):
        for stem, values in slices(row).items():
            put(top, f"{subject}/{stem}.nii.gz", nifti(form(values), AFFINE))
        put(top, f"{subject}/aligned_norm.nii.gz", b"is not read")
    return top


def everything(members, **options):
    with read(members, {}, {}, **options) as reading:
        images, subjects = zip(*reading, strict=True)
        maps, tables = zip(*reading.labels(), strict=True)
    return reading, np.concatenate(images), pd.concat(subjects, ignore_index=True), np.concatenate(maps), tables


@pytest.mark.parametrize("form", [lambda values: values, lambda values: values[..., np.newaxis]], ids=["two", "three"])
def test_slices_of_two_axes_and_of_three(tmp_path, form):
    reading, images, subjects, maps, tables = everything({"oasis": make(tmp_path / "oasis", form)})
    assert (reading.count, reading.shape, reading.report) == (4, SHAPE, [])
    assert images.shape == (4, 1, *SHAPE)
    assert subjects["id"].tolist() == [f"{subject}_{kind}" for subject in SUBJECTS for kind in ("norm", "orig")]
    assert subjects["group"].tolist() == subjects["kind"].tolist() == ["norm", "orig"] * 2
    assert subjects["cluster"].tolist() == [subject for subject in SUBJECTS for _ in range(2)]
    assert set(subjects["spacing"]) == {"1 1"}
    for row in range(2):
        stored = slices(row)
        np.testing.assert_array_equal(images[2 * row, 0], stored["slice_norm"])
        np.testing.assert_array_equal(images[2 * row + 1, 0], stored["slice_orig"])
        np.testing.assert_array_equal(maps[row], stored["slice_seg24"])
        assert tables[row]["label"].tolist() == NAMES * 2
        assert set(tables[row]["unit"]) == {"mm"}
    np.testing.assert_allclose(read_affine(subjects["affine"][0]), np.diag([-1.0, -1, 1, 1]) @ AFFINE)
    assert reading.deviations() == [
        "there are 2 subjects, not 414",
        "there are 2 labels, not 24",
        "images have shape (8, 10), not (160, 192)",
    ]


def test_an_archive_and_one_kind(tmp_path):
    folder = make(tmp_path / "oasis", lambda values: values)
    packed = tmp_path / "neurite-oasis.2d.v1.0.tar"
    with tarfile.open(packed, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    reading, images, *_ = everything({packed.name: packed}, kinds=["norm"])
    assert reading.count == 2
    np.testing.assert_array_equal(images[1, 0], slices(1)["slice_norm"])
    with pytest.raises(ReregisterError, match="allowed are norm, orig"):
        read({packed.name: packed}, {}, {}, kinds=["seg24"])


def test_what_is_refused(tmp_path):
    folder = make(tmp_path / "oasis", lambda values: values)
    with pytest.raises(ReregisterError, match="there are 2 subjects, not 414"):
        read({"oasis": folder}, {}, ORIGINAL)
    put(folder, f"{SUBJECTS[1]}/slice_norm.nii.gz", nifti(np.zeros((7, 10), np.uint8), AFFINE))
    with pytest.raises(ReregisterError, match=rf"{SUBJECTS[1]}/slice_norm.nii.gz has shape \(7, 10, 1\) but"):
        everything({"oasis": folder})
    put(folder, f"{SUBJECTS[0]}/slice_seg24.nii.gz", nifti(np.zeros((8, 10, 2), np.uint8), AFFINE))
    with pytest.raises(ReregisterError, match=r"slice_seg24.nii.gz has shape \(8, 10, 2\); one slice is needed"):
        read({"oasis": folder}, {}, {})
    (folder / SUBJECTS[1] / "slice_orig.nii.gz").unlink()
    with pytest.raises(ReregisterError, match=f"{SUBJECTS[1]} lacks slice_orig.nii.gz"):
        read({"oasis": folder}, {}, {})
    put(folder, "subjects.txt", b"OASIS_OAS1_0008_MR1\n")
    with pytest.raises(ReregisterError, match=r"neurite-oasis\.2d\.v1\.0\.tar or its extracted folder"):
        read({"oasis": folder}, {}, {})
