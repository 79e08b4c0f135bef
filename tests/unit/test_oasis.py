"""Reader of neurite-OASIS on small hand-made subjects: tables, halving, and what it refuses."""

import io
import tarfile

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from reregister.data.oasis.reading import block_majority, block_means
from reregister.data.readers.oasis import ORIGINAL, read
from reregister.data.volumes import read_affine
from reregister.errors import ReregisterError

from .head_files import nifti, put

SHAPE = (8, 10, 12)
AFFINE = np.array([[-1.0, 0, 0, 3.5], [0, 0, 1, -5.5], [0, -1, 0, 4.5], [0, 0, 0, 1]])  # axes left, down, front
SUBJECTS = ["OASIS_OAS1_0001_MR1", "OASIS_OAS1_0004_MR1", "OASIS_OAS1_0457_MR1"]
NAMES = ["Left-Cerebral-White-Matter", "Left-Cerebral-Cortex", "Brain-Stem"]
TABLE = "0   Unknown   0 0 0 0\n# comment\n\n" + "".join(
    f"{n}  {name}  10 20 30 0\n" for n, name in enumerate(NAMES, 1)
)


def volumes(row):
    rng = np.random.default_rng(row)
    norm = rng.random(SHAPE, dtype=np.float32)
    return {
        "aligned_norm": norm,
        "aligned_orig": norm + np.float32(1),
        "aligned_seg35": rng.integers(0, 4, SHAPE, dtype=np.uint8),
    }


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "oasis"
    put(top, "subjects.txt", "\n".join([SUBJECTS[2], *SUBJECTS[:2], ""]).encode())
    put(top, "seg35_labels.txt", TABLE.encode())
    for row, subject in enumerate(SUBJECTS):
        for stem, values in volumes(row).items():
            put(top, f"{subject}/{stem}.nii.gz", nifti(values, AFFINE))
        put(top, f"{subject}/norm.nii.gz", b"is not read")
    return top


def everything(folder, **options):
    with read({folder.name: folder}, {}, {}, **options) as reading:
        images, subjects = zip(*reading, strict=True)
        maps, tables = zip(*reading.labels(), strict=True)
    return reading, np.concatenate(images), pd.concat(subjects, ignore_index=True), np.concatenate(maps), tables


def test_volumes_as_stored(folder):
    reading, images, subjects, maps, tables = everything(folder)
    assert (reading.count, reading.shape, reading.report) == (6, SHAPE, [])
    assert subjects["id"].tolist() == [f"{subject}_{kind}" for subject in SUBJECTS for kind in ("norm", "orig")]
    assert subjects["kind"].tolist() == ["norm", "orig"] * 3
    assert subjects["cluster"].tolist() == [subject for subject in SUBJECTS for _ in range(2)]
    assert subjects["spacing"].tolist() == ["1 1 1"] * 6
    for row in range(3):
        stored = volumes(row)
        np.testing.assert_array_equal(images[2 * row, 0], stored["aligned_norm"])
        np.testing.assert_array_equal(images[2 * row + 1, 0], stored["aligned_orig"])
        np.testing.assert_array_equal(maps[row], stored["aligned_seg35"])
    np.testing.assert_allclose(read_affine(subjects["affine"][0]), np.diag([-1.0, -1, 1, 1]) @ AFFINE)
    assert tables[0][["id", "label", "value"]].to_numpy().tolist() == [
        [f"{SUBJECTS[0]}_{kind}", name, number]
        for kind in ("norm", "orig")
        for number, name in enumerate(NAMES, start=1)
    ]


def test_one_kind_alone(folder):
    reading, images, subjects, *_ = everything(folder, kinds=["norm"])
    assert reading.count == len(images) == 3
    assert set(subjects["kind"]) == {"norm"}
    with pytest.raises(ReregisterError, match="allowed are norm, orig"):
        read({"oasis": folder}, {}, {}, kinds=["seg4"])


def test_half_size(folder):
    reading, images, subjects, maps, _ = everything(folder, half=True)
    assert reading.shape == images.shape[2:] == maps.shape[1:] == (4, 5, 6)
    norm, seg = volumes(1)["aligned_norm"], volumes(1)["aligned_seg35"]
    block = (slice(2, 4), slice(4, 6), slice(10, 12))
    np.testing.assert_allclose(images[2, 0, 1, 2, 5], norm[block].mean(), rtol=1e-6)
    counts = np.bincount(seg[block].ravel(), minlength=4)
    assert maps[1, 1, 2, 5] == np.argmax(counts)
    assert subjects["spacing"].unique().tolist() == ["2 2 2"]
    # The centre of a block is between its voxels.
    corners = np.array([[0, 0, 0], [1, 1, 1]])
    world = np.mean(np.c_[corners, [1, 1]] @ (np.diag([-1.0, -1, 1, 1]) @ AFFINE).T, axis=0)
    np.testing.assert_allclose(read_affine(subjects["affine"][0]) @ [0, 0, 0, 1], world)


def test_blocks_against_counting():
    rng = np.random.default_rng(3)
    labels = rng.choice([0, 3, 35, 200], (6, 8, 4)).astype(np.uint8)
    wanted = [
        np.bincount(labels[x : x + 2, y : y + 2, z : z + 2].ravel(), minlength=256).argmax()
        for x in range(0, 6, 2)
        for y in range(0, 8, 2)
        for z in range(0, 4, 2)
    ]
    assert block_majority(labels).ravel().tolist() == wanted
    assert block_means(labels).mean() == pytest.approx(labels.mean())


def test_tar_without_top_folder(folder, tmp_path):
    packed = tmp_path / "neurite-oasis.v1.0.tar"
    with tarfile.open(packed, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    with read({packed.name: packed}, {}, {}) as reading:
        images = np.concatenate([image for image, _ in reading])
    np.testing.assert_array_equal(images, everything(folder)[1])


def test_list_and_folders_that_differ(folder):
    put(folder, "subjects.txt", f"{SUBJECTS[0]}\n{SUBJECTS[2]}\nOASIS_OAS1_0008_MR1\n".encode())
    reading, *_ = everything(folder)
    assert reading.report == [
        "1 of the 3 subjects of subjects.txt are not there: OASIS_OAS1_0008_MR1",
        f"1 subjects are not in subjects.txt and are left out: {SUBJECTS[1]}",
    ]
    assert list(reading.subjects) == [SUBJECTS[0], SUBJECTS[2]]
    put(folder, "subjects.txt", b"OASIS_OAS1_0008_MR1\n")
    with pytest.raises(ReregisterError, match="hold no subject"):
        read({"oasis": folder}, {}, {})


def test_unknown_and_absent_labels_are_reported(folder):
    values = volumes(1)["aligned_seg35"]
    values[values == 3] = 77
    put(folder, f"{SUBJECTS[1]}/aligned_seg35.nii.gz", nifti(values, AFFINE))
    reading, _, _, maps, tables = everything(folder)
    count = int((values == 77).sum())
    assert reading.report == [
        f"{SUBJECTS[1]} has voxels of ids outside the table, made 0 (id and voxels): 77 ({count})",
        f"{SUBJECTS[1]} has no 3 Brain-Stem",
    ]
    assert set(np.unique(maps[1])) == {0, 1, 2}
    assert len(tables[1]) == 6


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("1 a 0 0 0 0\nwhat\n", "Line 2 of seg35_labels.txt is 'what'"),
        ("1 a 0 0 0 0\n300 b 0 0 0 0\n", "Line 2"),
        ("1 a 0 0 0 0\n1 b 0 0 0 0\n", "Line 2 .* repeats"),
        ("1 a 0 0 0 0\n2 a 0 0 0 0\n", "Line 2 .* repeats"),
        ("0 Unknown 0 0 0 0\n", "has no label"),
    ],
)
def test_bad_tables(folder, table, said):
    put(folder, "seg35_labels.txt", table.encode())
    with pytest.raises(ReregisterError, match=said):
        read({"oasis": folder}, {}, {})


def test_missing_files(folder):
    (folder / SUBJECTS[1] / "aligned_orig.nii.gz").unlink()
    with pytest.raises(ReregisterError, match=f"{SUBJECTS[1]} lacks aligned_orig.nii.gz"):
        read({"oasis": folder}, {}, {})
    assert everything(folder, kinds=["norm"])[0].count == 3
    (folder / "subjects.txt").unlink()
    with pytest.raises(ReregisterError, match="The OASIS data lack subjects"):
        read({"oasis": folder}, {}, {})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda v: nifti(v, AFFINE)[:-30], "cut off or damaged"),
        (lambda v: nifti(v[1:], AFFINE), r"shape \(7, 10, 12\) but"),
        (lambda v: nifti(v, np.eye(4)), "axes RAS but"),
        (lambda v: nifti(v, AFFINE, pixdim=[1, 1, 1, 0, 1, 1, 1, 1]), "three positive numbers"),
        (lambda v: nifti(v * np.float32(np.inf), AFFINE), "NaN or infinite"),
    ],
)
def test_bad_volumes_are_named(folder, make, said):
    put(folder, f"{SUBJECTS[2]}/aligned_norm.nii.gz", make(volumes(2)["aligned_norm"]))
    with pytest.raises(ReregisterError, match=f"{SUBJECTS[2]}/aligned_norm.nii.gz .*{said}"):
        everything(folder)


def test_odd_sizes_and_counts(tmp_path, folder):
    with pytest.raises(ReregisterError, match="there are 3 subjects, not 414"):
        read({"oasis": folder}, {}, ORIGINAL)
    for subject in SUBJECTS:
        values = nib.Nifti1Image(np.zeros((7, 8, 8), np.uint8), AFFINE)
        put(folder, f"{subject}/aligned_seg35.nii.gz", nifti(np.asarray(values.dataobj), AFFINE))
    with pytest.raises(ReregisterError, match="cannot be halved"):
        read({"oasis": folder}, {}, {}, half=True)


def test_archive_members_that_leave_the_folder(tmp_path):
    path = tmp_path / "neurite-oasis.v1.0.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("/etc/subjects.txt")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    with pytest.raises(ReregisterError, match="unsafe path"):
        read({path.name: path}, {}, {})


def test_archives_that_are_cut(folder, tmp_path):
    path = tmp_path / "neurite-oasis.v1.0.tar"
    with tarfile.open(path, "w") as archive:
        for part in sorted(folder.iterdir()):
            archive.add(part, part.name)
    whole = path.read_bytes()
    # Within the last volume: its header is there, its end is not.
    path.write_bytes(whole[: whole.rindex(b"ustar") + 700])
    with pytest.raises(ReregisterError, match=r"tar .*; fetch (neurite-oasis\.v1\.0\.tar|or copy it) again\.$"):
        everything(path)
