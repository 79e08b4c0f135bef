"""The stand-in of OASIS slices: the official archive, read by the very same reader, and exact in its truth."""

import gzip
import tarfile

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import map_coordinates

from reregister.data.phantoms.head_anatomy import make_anatomy
from reregister.data.phantoms.head_draws import psi_on_grid
from reregister.data.phantoms.head_files import read_deformations
from reregister.data.phantoms.oasis_heads import FULL, grid_affine, paint, slice_of
from reregister.data.phantoms.oasis_tables import label_lookups
from reregister.data.phantoms.velocity import pixel_grid
from reregister.data.readers.oasis_2d import read
from reregister.data.standins.oasis_2d import ARCHIVE, truth_ddf, write
from reregister.data.volumes import read_affine
from reregister.errors import ReregisterError

SHAPE, COUNT, SEED = (80, 96), 4, 3
STEMS = ["slice_norm", "slice_orig", "slice_seg24", "slice_seg4"]


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standin")
    archive, truth = folder / ARCHIVE, folder / "truth.npz"
    return archive, truth, write({ARCHIVE: archive}, truth, SHAPE, COUNT, SEED)


@pytest.fixture(scope="module")
def stored(standin):
    with read({ARCHIVE: standin[0]}, {}, {}, kinds=["norm"]) as reading:
        images, subjects = zip(*reading, strict=True)
        maps = np.concatenate([batch for batch, _ in reading.labels()])
    return np.concatenate(images)[:, 0], pd.concat(subjects, ignore_index=True), maps


def test_layout_of_the_archive(standin):
    with tarfile.open(standin[0]) as archive:
        content = {name: archive.extractfile(name).read() for name in archive.getnames()}
    names, subjects = list(content), content["subjects.txt"].decode().split()
    assert names[:3] == ["subjects.txt", "seg24_labels.txt", "seg4_labels.txt"]
    assert names[3:] == [f"{subject}/{stem}.nii.gz" for subject in subjects for stem in STEMS]
    assert len(subjects) == COUNT
    for stem in STEMS:
        image = nib.Nifti1Image.from_bytes(gzip.decompress(content[f"{subjects[1]}/{stem}.nii.gz"]))
        assert image.shape == (*SHAPE, 1)
        assert nib.aff2axcodes(image.affine) == ("L", "I", "A")
        values = np.asarray(image.dataobj)
        assert values.dtype == (np.uint8 if "seg" in stem else np.float32)
        assert 0 < values.max() <= (1 if "seg" not in stem else int(stem.removeprefix("slice_seg")))


def test_same_seed_same_bytes(tmp_path):
    made = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}" / ARCHIVE
        write({ARCHIVE: path}, path.with_name("truth.npz"), (32, 32), 2, seed)
        made.append((path.read_bytes(), path.with_name("truth.npz").read_bytes()))
    assert made[0] == made[1]
    assert made[0][0] != made[2][0]
    assert made[0][1] != made[2][1]


@pytest.mark.parametrize(
    ("shape", "count", "said"),
    [((48,), 4, "two sizes of at least 32"), ((48, 16), 4, "at least 32"), (SHAPE, 1, "2 to 414"), (SHAPE, 415, "415")],
)
def test_bad_settings_leave_nothing_behind(tmp_path, shape, count, said):
    with pytest.raises(ReregisterError, match=said):
        write({ARCHIVE: tmp_path / "none" / ARCHIVE}, tmp_path / "none" / "truth.npz", shape, count, 1)
    assert not (tmp_path / "none").exists()


def test_a_slice_is_that_of_the_volume_and_nothing_moves_across_it(standin, stored):
    """What the volumes' painter gives of the same head, cut at the published place, has the same labels."""
    scale = SHAPE[0] / FULL[0]
    volume = (*SHAPE, round(scale * FULL[2]))
    index, flat = slice_of(volume)
    assert 0.48 < index / volume[2] < 0.5
    np.testing.assert_allclose(flat @ [3, 5, 0, 1], grid_affine(volume) @ [3, 5, index, 1])
    np.testing.assert_allclose(read_affine(stored[1]["affine"][0]), flat)
    head = make_anatomy(scale, SEED)
    _, every = read_deformations(standin[1], "OASIS")
    for row in (0, 3):
        whole = paint(head, every.take([row]), grid_affine(volume), volume, np.random.default_rng(0))
        ids = label_lookups()["seg24"][whole.plane(index).ids[..., 0]]
        assert (ids == stored[2][row]).mean() > 0.999
        reached = psi_on_grid(every.take([row]), flat, (*SHAPE, 1))
        np.testing.assert_allclose(reached[..., 1], flat[1, 3], atol=1e-5)
        assert np.abs(np.diff(reached[..., 0, 0], axis=0) - 1).max() > 0.05, "a field that deforms"


def test_composition_error_and_sizes(standin, stored):
    assert standin[2]["min_determinant"] > 0.3
    ids = stored[1]["id"].tolist()
    moving, fixed = [0, 1, 2], [3, 2, 0]
    ddf, exact = truth_ddf(standin[1], [ids[row] for row in moving], [ids[row] for row in fixed], SHAPE, stored[1])
    assert exact.all()
    assert ddf.dtype == np.float32
    assert ddf.shape == (3, 2, *SHAPE)
    assert 0.5 < np.linalg.norm(ddf, axis=1).mean() < 6
    _, every = read_deformations(standin[1], "OASIS")
    affine = read_affine(stored[1]["affine"][0])
    x = pixel_grid((*SHAPE, 1)).reshape(-1, 3)
    for field, first, second in zip(ddf, moving, fixed, strict=True):
        y = x + np.c_[field.reshape(2, -1).T, np.zeros(len(x))]
        reached = every.take([first]).apply(y @ affine[:3, :3].T + affine[:3, 3], steps=24)
        wanted = every.take([second]).apply(x @ affine[:3, :3].T + affine[:3, 3], steps=24)
        assert np.linalg.norm(reached - wanted, axis=-1).max() < 0.01


def test_truth_registers_images_and_labels(standin, stored):
    images, subjects, maps = stored
    for moving, fixed in ((0, 3), (1, 2)):
        (ddf,), _ = truth_ddf(standin[1], [subjects["id"][moving]], [subjects["id"][fixed]], SHAPE, subjects)
        places = np.moveaxis(pixel_grid(SHAPE), -1, 0) + ddf
        warped = map_coordinates(images[moving], places, order=1)
        inside = images[fixed] > 0
        before, after = (np.corrcoef(image[inside], images[fixed][inside])[0, 1] for image in (images[moving], warped))
        assert after > 0.9
        assert after - before > 0.1
        same = map_coordinates(maps[moving], places, order=0) == maps[fixed]
        assert same.mean() > 0.97
        assert same.mean() - (maps[moving] == maps[fixed]).mean() > 0.02


def test_two_images_of_a_subject_need_no_field(standin):
    with read({ARCHIVE: standin[0]}, {}, {}) as reading:
        subjects = pd.concat([table for _, table in reading], ignore_index=True)
    norm, orig = subjects["id"][:2]
    assert not truth_ddf(standin[1], [norm], [orig], SHAPE, subjects)[0].any()
