"""The OASIS stand-in: the official archive as it is laid out, read by the very same reader, and exact in its truth."""

import gzip
import tarfile

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import map_coordinates

from reregister.data.phantoms.head_files import read_deformations
from reregister.data.phantoms.oasis_tables import label_lookups, label_names, structures, subject_names
from reregister.data.phantoms.velocity import pixel_grid
from reregister.data.readers.oasis import read
from reregister.data.standins.oasis import ARCHIVE, truth_ddf, write
from reregister.data.volumes import read_affine
from reregister.errors import ReregisterError

SHAPE, COUNT = (48, 56, 64), 5
STEMS = [
    *("orig", "norm", "seg4", "seg35", "aligned_orig", "aligned_norm", "aligned_seg4", "aligned_seg35"),
    *("slice_orig", "slice_norm", "slice_seg24", "slice_seg4"),
]


def overlap(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standin")
    archive, truth = folder / ARCHIVE, folder / "truth.npz"
    return archive, truth, write({ARCHIVE: archive}, truth, SHAPE, COUNT, seed=3)


@pytest.fixture(scope="module")
def stored(standin):
    with read({ARCHIVE: standin[0]}, {}, {}) as reading:
        images, subjects = zip(*reading, strict=True)
        maps = np.concatenate([batch for batch, _ in reading.labels()])
    return np.concatenate(images)[:, 0], pd.concat(subjects, ignore_index=True), maps, reading


def fields(standin, stored, moving, fixed, half=False):
    shape = tuple(size // 2 for size in SHAPE) if half else SHAPE
    ddf, exact = truth_ddf(standin[1], moving, fixed, shape, stored[1])
    assert exact.all()
    return ddf


def test_layout_of_the_archive(standin):
    with tarfile.open(standin[0]) as archive:
        names = archive.getnames()
        content = {name: archive.extractfile(name).read() for name in names}
    subjects = content["subjects.txt"].decode().split()
    assert names[:4] == ["subjects.txt", "seg35_labels.txt", "seg24_labels.txt", "seg4_labels.txt"]
    assert sorted(names[4:]) == sorted(f"{subject}/{stem}.nii.gz" for subject in subjects for stem in STEMS)
    assert [len(content[f"seg{n}_labels.txt"].splitlines()) for n in (35, 24, 4)] == [36, 25, 5]
    files = {
        stem: nib.Nifti1Image.from_bytes(gzip.decompress(content[f"{subjects[0]}/{stem}.nii.gz"])) for stem in STEMS
    }
    for stem, image in files.items():
        expected = (
            (*SHAPE[:2], 1) if stem.startswith("slice") else SHAPE if stem.startswith("aligned") else (80, 80, 80)
        )
        assert image.shape == expected
        assert nib.aff2axcodes(image.affine) == ("L", "I", "A")
        np.testing.assert_allclose(image.header.get_zooms(), 1)
    values = {stem: np.asarray(image.dataobj) for stem, image in files.items()}
    assert (values["aligned_norm"].dtype, values["norm"].dtype) == (np.float32, np.uint8)
    assert 0.7 < values["aligned_norm"].max() <= values["aligned_orig"].max() <= 1
    brain = values["aligned_norm"] > 0
    assert values["aligned_orig"][~brain].max() > 0.4, "skull and scalp"
    assert np.corrcoef(values["aligned_norm"][brain], values["aligned_orig"][brain])[0, 1] > 0.75
    cut = round(109 * SHAPE[2] / 224)
    for kind in ("norm", "orig", "seg4"):
        np.testing.assert_array_equal(values[f"slice_{kind}"][..., 0], values[f"aligned_{kind}"][..., cut])
    for stem, most in (("seg35", 35), ("aligned_seg35", 35), ("seg4", 4), ("aligned_seg4", 4), ("slice_seg24", 24)):
        assert 0.6 * most < len(np.unique(values[stem])) <= most + 1
        assert values[stem].max() <= most


def test_subjects_have_gaps():
    everyone = [int(name[11:15]) for name in subject_names(414)]
    assert (len(set(everyone)), everyone[0], everyone[-1]) == (414, 1, 457)
    assert everyone == sorted(everyone)
    assert set(subject_names(24)) <= set(subject_names(414))
    assert len(set(subject_names(24))) == 24


def test_tables_agree_with_each_other():
    names, lookups = label_names(), label_lookups()
    assert {kind: len(labels) for kind, labels in names.items()} == {"seg35": 35, "seg24": 24, "seg4": 4}
    assert sorted(lookups["seg35"][list(structures().values())]) == list(range(1, 36))
    for name, number in structures().items():
        assert names["seg35"][lookups["seg35"][number] - 1] == name
        if lookups["seg24"][number]:
            assert names["seg24"][lookups["seg24"][number] - 1] == name
        tissue = names["seg4"][lookups["seg4"][number] - 1]
        assert ("Cortex" in name) == (tissue == "Cortex")
        assert ("Ventricle" in name or "choroid" in name) == (tissue == "CSF")


def test_same_seed_same_bytes(tmp_path):
    made = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}" / ARCHIVE
        write({ARCHIVE: path}, path.with_name("truth.npz"), (32, 32, 32), 2, seed)
        made.append((path.read_bytes(), path.with_name("truth.npz").read_bytes()))
    assert made[0] == made[1]
    assert made[0][0] != made[2][0]
    assert made[0][1] != made[2][1]


@pytest.mark.parametrize(
    ("shape", "count", "said"),
    [
        ((48, 48), 4, "three sizes of at least 32"),
        ((48, 48, 16), 4, "at least 32"),
        (SHAPE, 1, "from 2 to 414"),
        (SHAPE, 415, "415"),
    ],
)
def test_bad_settings_leave_nothing_behind(tmp_path, shape, count, said):
    with pytest.raises(ReregisterError, match=said):
        write({ARCHIVE: tmp_path / "none" / ARCHIVE}, tmp_path / "none" / "truth.npz", shape, count, 1)
    assert not (tmp_path / "none").exists()


def test_same_subject_needs_no_field(standin, stored):
    ids = stored[1]["id"].tolist()
    norm, orig = [one for one in ids if one.endswith("norm")], [one for one in ids if one.endswith("orig")]
    assert not fields(standin, stored, norm, orig).any()


def test_composition_error_and_sizes(standin, stored):
    statistics = standin[2]
    assert statistics["min_determinant"] > 0.3
    assert 0.8 < statistics["mean_displacement_mm"] < 3
    ids = stored[1]["id"].tolist()
    moving, fixed = [0, 2, 4], [8, 6, 2]
    ddf = fields(standin, stored, [ids[row] for row in moving], [ids[row] for row in fixed])
    assert 0.5 < np.linalg.norm(ddf, axis=1).mean() < 4
    known, every = read_deformations(standin[1], "OASIS")
    affine = read_affine(stored[1]["affine"][0])
    x = pixel_grid(SHAPE).reshape(-1, 3)[::17]
    for row, (first, second) in enumerate(zip(moving, fixed, strict=True)):
        rows = [known.index(stored[1]["cluster"][place]) for place in (first, second)]
        y = x + ddf[row].reshape(3, -1).T[::17]
        reached = every.take([rows[0]]).apply(y @ affine[:3, :3].T + affine[:3, 3], steps=24)
        wanted = every.take([rows[1]]).apply(x @ affine[:3, :3].T + affine[:3, 3], steps=24)
        assert np.linalg.norm(reached - wanted, axis=-1).max() < 0.01


def test_truth_registers_images_and_labels(standin, stored):
    images, subjects, maps, _ = stored
    before, after, dice, identity = [], [], [], []
    for moving, fixed in ((0, 3), (2, 1), (4, 2)):
        names = [subjects["id"][2 * row] for row in (moving, fixed)]
        (ddf,) = fields(standin, stored, names[:1], names[1:])
        places = np.moveaxis(pixel_grid(SHAPE), -1, 0) + ddf
        warped = map_coordinates(images[2 * moving], places, order=1)
        inside = images[2 * fixed] > 0
        before.append(np.corrcoef(images[2 * moving][inside], images[2 * fixed][inside])[0, 1])
        after.append(np.corrcoef(warped[inside], images[2 * fixed][inside])[0, 1])
        labels = map_coordinates(maps[moving], places, order=0)
        large = [number for number in range(1, 36) if (maps[fixed] == number).sum() > 60]
        dice.append(np.mean([overlap(labels == number, maps[fixed] == number) for number in large]))
        identity.append(np.mean([overlap(maps[moving] == number, maps[fixed] == number) for number in large]))
    assert min(after) > 0.9
    assert np.mean(after) - np.mean(before) > 0.15
    assert min(dice) > 0.78
    assert max(identity) < 0.7


def test_half_size_has_half_the_field(standin, stored):
    ids = stored[1]["id"].tolist()
    with read({ARCHIVE: standin[0]}, {}, {}, kinds=["norm"], half=True) as reading:
        images, subjects = zip(*reading, strict=True)
    halved = (*stored[:1], pd.concat(subjects, ignore_index=True), *stored[2:])
    assert np.concatenate(images).shape == (COUNT, 1, 24, 28, 32)
    (whole,) = fields(standin, stored, [ids[0]], [ids[2]])
    (half,) = fields(standin, halved, [ids[0]], [ids[2]], half=True)
    blocks = whole.reshape(3, 24, 2, 28, 2, 32, 2).mean(axis=(2, 4, 6)) / 2
    assert np.abs(half - blocks).max() < 0.02


def test_truth_says_what_is_wrong(standin, stored):
    first = stored[1]["id"][0]
    with pytest.raises(ReregisterError, match="no affine of the image 'OASIS_X'"):
        truth_ddf(standin[1], [first], ["OASIS_X"], SHAPE, stored[1])
    with pytest.raises(ReregisterError, match="no image with the id 'else'"):
        truth_ddf(standin[1], [first], [first], SHAPE, stored[1].assign(cluster="else"))
