"""The IBSR stand-in: the official archive as it is laid out, read by the very same reader, and exact in its truth."""

import gzip
import os
import tarfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import map_coordinates

from reregister.data.ibsr.layout import COMMON, NAMES
from reregister.data.phantoms.head_anatomy import make_anatomy
from reregister.data.phantoms.head_draws import compose_on_grids, draw_heads, min_determinant, on_grid, psi_on_grid
from reregister.data.phantoms.head_files import read_deformations
from reregister.data.phantoms.velocity import jacobian_determinants, pixel_grid
from reregister.data.readers.ibsr import read
from reregister.data.standins import ibsr
from reregister.data.standins.ibsr import ARCHIVE, SUBJECTS, truth_ddf, write
from reregister.data.volumes import read_affine
from reregister.errors import ReregisterError

SIZE, SEED = 96, 5
KINDS = ("ana", "ana_strip", "ana_brainmask", "seg_ana", "segTRI_ana", "segTRI_fill_ana")
SAMPLE = Path(os.environ.get("REREGISTER_SAMPLE_DATA", ""), "open_labels", "synthseg", "training_seg_01.nii.gz")


def overlap(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standin")
    archive, truth = folder / ARCHIVE, folder / "truth.npz"
    return archive, truth, write({ARCHIVE: archive}, truth, SIZE, SEED)


@pytest.fixture(scope="module")
def stored(standin):
    with read({ARCHIVE: standin[0]}, {}, {}) as reading:
        images, subjects = zip(*reading, strict=True)
        maps = np.concatenate([batch for batch, _ in reading.labels()])
    return np.concatenate(images)[:, 0], pd.concat(subjects, ignore_index=True), maps, reading


@pytest.fixture(scope="module")
def pairs(standin, stored):
    moving, fixed = list(SUBJECTS[:4]), list(SUBJECTS[6:10])
    ddf, exact = truth_ddf(standin[1], moving, fixed, stored[0].shape[1:], stored[1])
    assert exact.all()
    assert ddf.dtype == np.float32
    assert ddf.shape == (4, 3, *stored[0].shape[1:])
    return list(range(4)), list(range(6, 10)), ddf


def test_layout_of_the_archive(standin):
    spacings, without = set(), 0
    with tarfile.open(standin[0]) as archive:
        names = archive.getnames()
        for subject in SUBJECTS:
            files = {}
            for kind in KINDS:
                content = archive.extractfile(f"IBSR_nifti_stripped/{subject}/{subject}_{kind}.nii.gz").read()
                files[kind] = nib.Nifti1Image.from_bytes(gzip.decompress(content))
                assert files[kind].shape == (SIZE, SIZE // 2, SIZE, 1)
            values = {kind: np.asarray(image.dataobj)[..., 0] for kind, image in files.items()}
            x, y, z, _ = files["ana"].header.get_zooms()
            assert (x, y) == (z, 1.5)
            spacings.add(round(float(x), 4))
            mask = values["ana_brainmask"] == 1
            np.testing.assert_array_equal(values["ana_strip"], np.where(mask, values["ana"], 0))
            assert values["ana"][~mask].max() > 100, "a head around the brain"
            seg, tissue = values["seg_ana"], values["segTRI_ana"]
            assert set(np.unique(seg)) <= {0, *NAMES}
            assert {0, *COMMON} <= set(np.unique(seg))
            without += 24 not in seg
            np.testing.assert_array_equal(tissue > 0, seg > 0)
            assert (tissue[np.isin(seg, (4, 14, 24, 43))] == 1).all()
            assert (tissue[np.isin(seg, (3, 12, 42))] == 2).all()
            assert (tissue[np.isin(seg, (2, 7, 41))] == 3).all()
            np.testing.assert_array_equal(values["segTRI_fill_ana"], np.where(mask & (tissue == 0), 1, tissue))
    assert len(names) == 18 * 6
    assert spacings == {0.8371, 0.9375, 1.0}
    assert without == 6


def test_same_seed_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(ibsr, "SUBJECTS", SUBJECTS[:3])
    archives = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}" / ARCHIVE
        write({ARCHIVE: path}, tmp_path / f"{number}" / "truth.npz", 64, seed)
        archives.append((path.read_bytes(), path.with_name("truth.npz").read_bytes()))
    assert archives[0] == archives[1]
    assert archives[0][0] != archives[2][0]
    assert archives[0][1] != archives[2][1]


@pytest.mark.parametrize("size", [62, 97])
def test_bad_sizes_leave_nothing_behind(tmp_path, size):
    with pytest.raises(ReregisterError, match=f"even size of at least 64, not {size}"):
        write({ARCHIVE: tmp_path / "none" / ARCHIVE}, tmp_path / "none" / "truth.npz", size, 1)
    assert not (tmp_path / "none").exists()


def test_reader_finds_all_and_reports_csf(stored):
    images, subjects, maps, reading = stored
    assert subjects["id"].tolist() == list(SUBJECTS)
    assert images.shape == maps.shape == (18, *reading.shape)
    assert all(size % 16 == 0 for size in reading.shape)
    assert sum("24 CSF" in text for text in reading.report) == 6
    assert all(set(COMMON) <= set(np.unique(values)) for values in maps)


def test_white_matter_is_brighter_than_grey_and_fluid(stored):
    for image, values in zip(stored[0], stored[2], strict=True):
        white, grey, fluid = (np.median(image[np.isin(values, ids)]) for ids in ((2, 41), (3, 42), (4, 43)))
        assert white > 1.2 * grey > 1.4 * fluid


def test_psi_does_not_fold_and_moves(standin, stored):
    statistics = standin[2]
    assert statistics["min_determinant"] > 0.3
    scale = SIZE / 256
    assert 3 * scale < statistics["mean_displacement_mm"] < 12 * scale
    assert statistics["mean_displacement_mm"] < statistics["largest_displacement_mm"] < 30 * scale
    known, every = read_deformations(standin[1], "IBSR")
    assert known == list(SUBJECTS)
    # On the store's own grid, voxel by voxel.
    affine = read_affine(stored[1]["affine"][3])
    mapped = psi_on_grid(every.take([3]), affine, stored[0].shape[1:])[np.newaxis] @ np.linalg.inv(affine)[:3, :3].T
    assert jacobian_determinants(mapped).min() > 0


def test_determinant_against_a_known_map():
    every = draw_heads(1, 0.5, np.random.default_rng(0))
    every.fields.sine[:] = 0
    every.fields.linear[:] = np.diag([0.1, -0.2, 0.05])
    assert min_determinant(every, np.array([50.0, 60.0, 40.0])) == pytest.approx(np.exp(-0.05), rel=1e-5)


def test_composition_error(standin, stored, pairs):
    """psi of the moving image at the composed place is psi of the fixed image there, in voxels far below 0.05."""
    _, every = read_deformations(standin[1], "IBSR")
    grid = pixel_grid(stored[0].shape[1:])
    for moving, fixed, ddf in zip(*pairs, strict=True):
        affines = [read_affine(stored[1]["affine"][row]) for row in (moving, fixed)]
        x = grid.reshape(-1, 3)[::11]
        y = x + ddf.reshape(3, -1).T[::11]
        reached = every.take([moving]).apply(y @ affines[0][:3, :3].T + affines[0][:3, 3], steps=24)
        wanted = every.take([fixed]).apply(x @ affines[1][:3, :3].T + affines[1][:3, 3], steps=24)
        assert np.linalg.norm(reached - wanted, axis=-1).max() / 1.5 < 0.01


def test_truth_gives_the_fixed_anatomy_exactly(standin, stored, pairs):
    """The noise-free image and the labels of the moving head, at the composed places, are those of the fixed head."""
    head = make_anatomy(SIZE / 256, SEED)
    _, every = read_deformations(standin[1], "IBSR")
    shape = stored[0].shape[1:]
    for moving, fixed, ddf in zip(*pairs, strict=True):
        affines = [read_affine(stored[1]["affine"][row]) for row in (moving, fixed)]
        places = np.moveaxis(pixel_grid(shape) + np.moveaxis(ddf, 0, -1), -1, 0).reshape(3, -1).T
        moved = every.take([moving]).apply(places @ affines[0][:3, :3].T + affines[0][:3, 3])[0].reshape(*shape, 3)
        own = psi_on_grid(every.take([fixed]), affines[1], shape)
        assert np.abs(head.sample_grey(moved) - head.sample_grey(own)).max() < 0.01
        same = head.sample_ids(moved)[0] == head.sample_ids(own)[0]
        assert same.mean() > 0.995


def test_truth_registers_images_and_labels(stored, pairs):
    images, _, maps, _ = stored
    before, after, dice, identity = [], [], [], []
    for moving, fixed, ddf in zip(*pairs, strict=True):
        places = np.moveaxis(pixel_grid(images.shape[1:]), -1, 0) + ddf
        warped = map_coordinates(images[moving], places, order=1)
        inside = images[fixed] > 0
        before.append(np.corrcoef(images[moving][inside], images[fixed][inside])[0, 1])
        after.append(np.corrcoef(warped[inside], images[fixed][inside])[0, 1])
        labels = map_coordinates(maps[moving], places, order=0)
        large = [number for number in COMMON if (maps[fixed] == number).sum() > 60]
        dice.append([overlap(labels == number, maps[fixed] == number) for number in large])
        identity.append([overlap(maps[moving] == number, maps[fixed] == number) for number in large])
    assert min(after) > 0.9
    assert np.mean(after) - np.mean(before) > 0.1
    # Voxels of 1.5 mm in structures a few voxels wide: twice rasterised labels cannot agree better.
    assert np.mean([np.mean(one) for one in dice]) > 0.8
    assert np.mean([np.mean(one) for one in identity]) < 0.72
    assert min(np.mean(one) for one in dice) > 0.75


def test_smooth_maps_between_nodes():
    found = on_grid(lambda points: np.c_[points[:, :1] ** 2, points[:, 1:2] * points[:, 2:]], (30, 9, 41), 12)
    grid = pixel_grid((30, 9, 41))
    np.testing.assert_allclose(found[..., 0], grid[..., 0] ** 2, atol=1e-3)
    np.testing.assert_allclose(found[..., 1], grid[..., 1] * grid[..., 2], atol=1e-3)


def test_composition_of_a_head_with_itself_is_the_change_of_grid():
    head = draw_heads(1, 0.5, np.random.default_rng(1))
    affine = np.diag([-1.5, -1.5, 1.5, 1.0])
    moved = affine.copy()
    moved[:3, 3] = [3.0, -1.5, 0.75]
    ddf = compose_on_grids(head, head, moved, affine, (16, 16, 16))
    np.testing.assert_allclose(ddf.reshape(3, -1).mean(axis=1), [2.0, -1.0, -0.5], atol=1e-3)
    assert ddf.reshape(3, -1).std(axis=1).max() < 1e-3


def test_truth_says_what_is_wrong(standin, stored, tmp_path):
    shape, subjects = stored[0].shape[1:], stored[1]
    with pytest.raises(ReregisterError, match="no affine of the image 'IBSR_19'"):
        truth_ddf(standin[1], ["IBSR_19"], ["IBSR_01"], shape, subjects)
    renamed = subjects.assign(id=subjects["id"].str.replace("18", "19"))
    with pytest.raises(ReregisterError, match="no image with the id 'IBSR_19'"):
        truth_ddf(standin[1], ["IBSR_19"], ["IBSR_01"], shape, renamed)
    (tmp_path / "truth.npz").write_bytes(b"<html>")
    with pytest.raises(ReregisterError, match="cannot be read as IBSR truth"):
        truth_ddf(tmp_path / "truth.npz", ["IBSR_01"], ["IBSR_02"], shape, subjects)


def test_bad_anatomies(tmp_path):
    with pytest.raises(ReregisterError, match="cannot be read as an anatomy"):
        make_anatomy(1.0, 0, tmp_path / "none.nii.gz")
    image = nib.Nifti1Image(np.full((8, 8, 8), 2, np.uint8), np.eye(4))
    (tmp_path / "white.nii.gz").write_bytes(gzip.compress(image.to_bytes()))
    with pytest.raises(ReregisterError, match=r"lacks the ids \[3, 4, 5"):
        make_anatomy(1.0, 0, tmp_path / "white.nii.gz")


@pytest.mark.skipif(not SAMPLE.is_file(), reason="needs the sample data")
def test_anatomy_of_a_real_label_map():
    head = make_anatomy(0.5, 0, SAMPLE)
    assert head.step == pytest.approx(0.5)
    assert set(NAMES) <= set(np.unique(head.ids))
    # Left of the brain is where x is positive, the cerebellum behind and below the thalamus, in LPS.
    places = {number: (np.argwhere(head.ids == number).mean(axis=0) * head.step + head.origin) for number in NAMES}
    assert places[2][0] > 10 > -10 > places[41][0]
    assert places[8][1] > places[10][1] + 5
    assert places[8][2] < places[10][2] - 10
    assert 0.25 < (head.brain * head.step**3).sum() / (0.5**3 * 1e6) / 4 < 0.45, "between 1.0 and 1.8 litres"
