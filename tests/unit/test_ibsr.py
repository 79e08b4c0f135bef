"""Reader of IBSR on small hand-made subjects: the grid, the labels, and what it refuses."""

import io
import tarfile

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import center_of_mass

from reregister.data.readers.ibsr import COMMON, NAMES, ORIGINAL, read
from reregister.data.volumes import read_affine
from reregister.errors import ReregisterError

from .head_files import ball, nifti, put

SHAPE = (40, 26, 40)
SPACINGS = {"IBSR_01": 0.84, "IBSR_02": 1.03}
CENTRES = {"IBSR_01": (20, 12, 21), "IBSR_02": (17, 14, 19)}
RADIUS = 12.0


def affine(subject):
    step = SPACINGS[subject]
    # Axes to the left, front and top, in nibabel's world.
    return np.array([[-step, 0, 0, 11.0], [0, 1.5, 0, -20.0], [0, 0, step, 5.0], [0, 0, 0, 1.0]])


def volumes(subject):
    """Strip, mask and labels: a ball, brighter to the top, with all ids in slabs along the second half of it."""
    spacing = (SPACINGS[subject], 1.5, SPACINGS[subject])
    mask = ball(SHAPE, CENTRES[subject], RADIUS, spacing)
    strip = np.where(mask, 200 + 10 * np.arange(SHAPE[2]), 0).astype(np.int16)
    seg = np.where(mask, 2, 0).astype(np.uint8)
    inner = np.argwhere(ball(SHAPE, CENTRES[subject], 9, spacing))
    for place, number in zip(np.array_split(inner, len(NAMES)), NAMES, strict=True):
        seg[tuple(place.T)] = number
    return {"ana_strip": strip, "ana_brainmask": mask.astype(np.uint8), "seg_ana": seg}


@pytest.fixture
def folder(tmp_path):
    for subject in SPACINGS:
        for kind, values in volumes(subject).items():
            put(tmp_path / "IBSR", name(subject, kind), nifti(values[..., np.newaxis], affine(subject)))
    return tmp_path / "IBSR"


def name(subject, kind):
    return f"IBSR_nifti_stripped/{subject}/{subject}_{kind}.nii.gz"


def everything(folder, **options):
    with read({"IBSR": folder}, {}, {}, **options) as reading:
        images, subjects = zip(*reading, strict=True)
        maps, tables = zip(*reading.labels(), strict=True)
    return reading, np.concatenate(images), pd.concat(subjects, ignore_index=True), np.concatenate(maps), tables


def test_brains_are_centred_on_one_isotropic_grid(folder):
    reading, images, subjects, maps, _ = everything(folder)
    # 24 mm in 1.5 mm and a little more.
    assert reading.shape == images.shape[2:] == maps.shape[1:] == (32, 32, 32)
    assert reading.count == 2
    assert subjects["spacing"].tolist() == ["1.5 1.5 1.5"] * 2
    assert subjects["spacing_stored"].tolist() == ["0.84 1.5 0.84", "1.03 1.5 1.03"]
    assert subjects["cluster"].tolist() == subjects["id"].tolist() == list(SPACINGS)
    assert "padded to 32 32 32" in reading.report[0]
    centres = [center_of_mass(image[0] > 0) for image in images]
    np.testing.assert_allclose(centres[0], centres[1], atol=0.35)
    np.testing.assert_allclose(centres[0], 15.5, atol=1.0)
    for image, subject in zip(images, SPACINGS, strict=True):
        volume = (image[0] > 0).sum() * 1.5**3
        spacing = SPACINGS[subject]
        stored = volumes(subject)["ana_brainmask"].sum() * 1.5 * spacing**2
        assert abs(volume / stored - 1) < 0.05


def test_grey_values_and_places(folder):
    _, images, subjects, maps, _ = everything(folder)
    for image, values, row in zip(images[:, 0], maps, subjects.itertuples(), strict=True):
        assert (image.min(), image.max()) == (0, 1)
        # Brighter to the top: the last axis.
        assert (np.diff(image[15, 15, 10:22]) > 0).all()
        # A voxel's place in the world leads to the file's voxel with its label.
        to_file = np.linalg.inv(np.diag([-1.0, -1, 1, 1]) @ affine(row.id))
        places = np.argwhere(values > 0)
        world = np.c_[places, np.ones(len(places))] @ read_affine(row.affine).T
        index = np.rint(world @ to_file.T)[:, :3].astype(int)
        found = volumes(row.id)["seg_ana"][tuple(index.T)]
        assert (found == values[tuple(places.T)]).mean() > 0.999


def test_labels_are_those_of_the_table(folder):
    reading, _, _, maps, tables = everything(folder, mm=0.8)
    assert set(np.unique(maps)) == {0, *NAMES}
    assert len(NAMES) == 32
    assert len(COMMON) == 31
    assert 24 not in COMMON
    for table, subject in zip(tables, SPACINGS, strict=True):
        assert table["value"].tolist() == list(NAMES)
        assert set(table["id"]) == {subject}
    assert len(reading.report) == 1
    assert [text.split(",")[0] for text in reading.deviations()] == [
        "there are 2 subjects",
        "the volumes of 2 subjects have not shape (256",
    ]


def test_unknown_and_absent_labels_are_reported(folder):
    values = volumes("IBSR_02")["seg_ana"].astype(np.float32)
    values[values == 24] = 0
    values[values == 10] = 99
    put(folder, name("IBSR_02", "seg_ana"), nifti(values[..., np.newaxis], affine("IBSR_02")))
    reading, _, _, maps, tables = everything(folder, mm=0.8)
    unknown, absent = reading.report[1:]
    count = int((values == 99).sum())
    assert unknown == f"IBSR_02 has voxels of ids outside the table, made 0 (id and voxels): 99 ({count})"
    assert absent == "IBSR_02 has no 10 left thalamus, no 24 CSF"
    assert not np.isin([10, 24, 99], maps[1]).any()
    assert len(tables[1]) == 32


def test_other_grids(folder):
    reading, *_ = everything(folder, mm=3.0, multiple=4)
    assert reading.shape == (12, 12, 12)
    with pytest.raises(ReregisterError, match="positive spacing"):
        read({"IBSR": folder}, {}, {}, mm=0)


def test_archive_is_read_as_the_folder(folder, tmp_path):
    packed = tmp_path / "IBSR_V2.0_nifti_stripped.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder / "IBSR_nifti_stripped", "IBSR_nifti_stripped")
    with read({packed.name: packed}, {}, {}) as reading:
        images = np.concatenate([image for image, _ in reading])
    np.testing.assert_array_equal(images, everything(folder)[1])


def test_original_is_insisted_on(folder):
    with pytest.raises(ReregisterError, match="there are 2 subjects, not 18"):
        read({"IBSR": folder}, {}, ORIGINAL)


def test_missing_files(folder, tmp_path):
    (folder / name("IBSR_02", "seg_ana")).unlink()
    with pytest.raises(ReregisterError, match=r"IBSR_02 lacks IBSR_02_seg_ana.nii.gz"):
        read({"IBSR": folder}, {}, {})
    (tmp_path / "none").mkdir()
    with pytest.raises(ReregisterError, match="hold no subject"):
        read({"none": tmp_path / "none"}, {}, {})


def _cut(values, matrix):
    return nifti(values, matrix)[:-60]


def _turned(values, matrix):
    """Axes that lead elsewhere, whatever the order in which they are stored."""
    return nifti(values, np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]) @ matrix)


@pytest.mark.parametrize(
    ("kind", "make", "said"),
    [
        ("ana_brainmask", _cut, "cut off or damaged"),
        ("ana_strip", _cut, "cut off or damaged"),
        ("seg_ana", _cut, "cut off or damaged"),
        ("ana_strip", lambda v, a: nifti(v[1:], a), r"shape .* but .*brainmask"),
        ("seg_ana", lambda v, a: nifti(v, a + _moved()), "other places than"),
        ("seg_ana", _turned, r"shape \(40, 40, 26\) but .*brainmask"),
        ("ana_brainmask", lambda v, a: nifti(v * 0, a), "is empty"),
        ("ana_strip", lambda v, a: nifti(v * 0, a), "one grey value"),
        ("ana_strip", lambda v, a: nifti(v, a, pixdim=[1, 1, 0, 1, 1, 1, 1, 1]), "three positive numbers"),
        ("seg_ana", lambda v, a: nifti(v + np.float32(0.5), a), "no whole numbers"),
        ("ana_strip", lambda v, a: nifti(np.where(v > 0, np.nan, 0).astype(np.float32), a), "NaN"),
    ],
)
def test_bad_volumes_are_named(folder, kind, make, said):
    put(folder, name("IBSR_01", kind), make(volumes("IBSR_01")[kind], affine("IBSR_01")))
    with pytest.raises(ReregisterError, match=f"IBSR_01_{kind}.*{said}"):
        everything(folder)


def _moved():
    shift = np.zeros((4, 4))
    shift[1, 3] = 2.0
    return shift


def test_archive_members_that_leave_the_folder(tmp_path):
    path = tmp_path / "IBSR_V2.0_nifti_stripped.tgz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("../IBSR_01_ana_strip.nii.gz")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    with pytest.raises(ReregisterError, match="unsafe path"):
        read({path.name: path}, {}, {})
    path.write_bytes(b"<html>Please log in</html>")
    with pytest.raises(ReregisterError, match="does not open as tar"):
        read({path.name: path}, {}, {})


def test_archives_that_are_cut(folder, tmp_path):
    path = tmp_path / "IBSR_V2.0_nifti_stripped.tgz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder / "IBSR_nifti_stripped", "IBSR_nifti_stripped")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReregisterError, match=r"stripped\.tgz does not open as tar .*; fetch IBSR_V2\.0.* again\.$"):
        read({path.name: path}, {}, {})
