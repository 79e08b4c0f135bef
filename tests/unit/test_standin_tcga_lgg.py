"""The LGG stand-in: the Kaggle archive as it is laid out, read by the very same reader, and exact in its truth."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import label, map_coordinates

from reregister.data.phantoms.lgg_draws import draw_head, draw_missing
from reregister.data.phantoms.lgg_slices import psi_on_pixels
from reregister.data.phantoms.velocity import Deformations, VelocityFields, jacobian_determinants, pixel_grid
from reregister.data.readers.tcga_lgg import read
from reregister.data.standins.tcga_lgg import ARCHIVE, choose_cases, truth_ddf, write
from reregister.data.tcga_lgg.cases import SLICES
from reregister.data.tcga_lgg.pairs import adjacent_slices, consecutive_cases
from reregister.errors import ReregisterError

SIZE, CASES = 128, 14
GRID = pixel_grid((SIZE, SIZE))


def _make(folder, size=SIZE, slices=6, cases=CASES, seed=5):
    archive, truth = folder / ARCHIVE, folder / "truth.npz"
    return archive, truth, write({ARCHIVE: archive}, truth, size, slices, cases, seed)


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    return _make(tmp_path_factory.mktemp("standin"))


@pytest.fixture(scope="module")
def stored(standin):
    """Images (N, H, W), subjects and masks by the row of their image."""
    with read({ARCHIVE: standin[0]}, {}, {}, intensities="raw") as reading:
        batches = list(reading)
        maps, tables = zip(*reading.labels(), strict=True)
    masks, table = np.concatenate(maps), pd.concat(tables, ignore_index=True)
    subjects = pd.concat([rows for _, rows in batches], ignore_index=True)
    assert table["id"].tolist() == subjects["id"].tolist()
    return np.concatenate([images[:, 0] for images, _ in batches]), subjects, masks


@pytest.fixture(scope="module")
def deformations(standin):
    with np.load(standin[1]) as file:
        fields = VelocityFields(*(file[name] for name in ("linear", "sine", "centre", "origin", "extent")))
        return Deformations(fields, file["translation"]), file["id"].tolist()


@pytest.fixture(scope="module", params=[adjacent_slices, consecutive_cases])
def pairs(request, standin, stored):
    table = request.param(stored[1])
    ddf, exact = truth_ddf(standin[1], table["moving"].tolist(), table["fixed"].tolist(), (SIZE, SIZE))
    assert exact.all()
    assert ddf.dtype == np.float32
    return request.param, table, ddf


def _rows(subjects, ids):
    return [{identity: row for row, identity in enumerate(subjects["id"])}[one] for one in ids]


def test_same_seed_same_bytes(tmp_path):
    first, truth, _ = _make(tmp_path / "a", 32, 1, 3, seed=1)
    again, truth_again, _ = _make(tmp_path / "b", 32, 1, 3, seed=1)
    other, truth_other, _ = _make(tmp_path / "c", 32, 1, 3, seed=2)
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    assert truth.read_bytes() == truth_again.read_bytes() != truth_other.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((16, 2, 2), "size of at least 32, not 16"), ((32, 0, 2), "slices_per_case"), ((32, 2, 111), "from 2 to 110")],
)
def test_bad_settings_leave_nothing_behind(tmp_path, arguments, said):
    with pytest.raises(ReregisterError, match=said):
        _make(tmp_path / "none", *arguments)
    assert not (tmp_path / "none").exists()


def test_cases_are_spread_over_the_sites():
    assert choose_cases(110) == list(SLICES)
    some = choose_cases(12)
    assert some == sorted(set(some))
    assert len(some) == 12
    assert {case.split("_")[1] for case in some} >= {"CS", "DU", "FG", "HT"}


def test_all_folders_and_slices_in_proportion(tmp_path):
    archive, _, statistics = _make(tmp_path, 32, 2, 110)
    with read({ARCHIVE: archive}, {}, {}) as reading:
        assert list(reading.cases) == list(SLICES)
        counts = {case: len(slices) for case, slices in reading.cases.items()}
        areas = pd.concat([subjects for _, subjects in reading])
        assert reading.report == [
            "6 of 110 cases have a copy of FLAIR in place of the pre-contrast image",
            "9 of 110 cases have a copy of FLAIR in place of the post-contrast image",
        ]
    assert counts == {case: max(2, round(count / 18)) for case, count in SLICES.items()}
    assert statistics["slices"] == sum(counts.values())
    tumours = areas.assign(has=areas["tumour_area"].astype(int) > 0).groupby("cluster")["has"].sum()
    assert tumours.min() >= 2
    assert len(adjacent_slices(areas)) == 110
    assert len(consecutive_cases(areas)) == 109


def test_files_as_in_the_original(standin):
    with zipfile.ZipFile(standin[0]) as archive:
        names = archive.namelist()
        header, *rows = archive.read("kaggle_3m/data.csv").decode().splitlines()
        assert "Synthetic" in archive.read("kaggle_3m/README.md").decode()
        image = Image.open(io.BytesIO(archive.read("kaggle_3m/TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1.tif")))
        mask = Image.open(io.BytesIO(archive.read("kaggle_3m/TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1_mask.tif")))
    assert (image.format, image.mode, image.size, image.info["compression"]) == ("TIFF", "RGB", (SIZE, SIZE), "raw")
    assert (mask.format, mask.mode, mask.size) == ("TIFF", "L", (SIZE, SIZE))
    assert header.startswith("Patient,RNASeqCluster,")
    assert len(header.split(",")) == 18
    assert len(rows) == CASES
    assert all(row.split(",")[0].count("_") == 2 and row.count(",") == 17 for row in rows)
    assert len(names) == len(set(names))
    assert all(name.startswith("kaggle_3m/") for name in names)


def test_looks_like_flair(stored):
    images, subjects, masks = stored
    grey = images * 255
    assert 0.52 < np.median((grey <= 10).mean(axis=(1, 2))) < 0.64, "black background"
    brightest = subjects["highest"].astype(int)
    assert brightest.min() < 130 < 200 < brightest.max()
    with_tumour = masks.any(axis=(1, 2))
    assert 0.01 < masks[with_tumour].mean(axis=(1, 2)).min() < masks[with_tumour].mean(axis=(1, 2)).max() < 0.13
    for image, mask, bright in zip(grey[with_tumour], masks[with_tumour] == 1, brightest[with_tumour], strict=True):
        brain = ~mask & (image > 0.1 * bright) & (image < 0.5 * bright)
        assert image[mask].mean() > 1.25 * np.median(image[brain])
        assert label(mask)[1] <= 3


def test_tumours_are_contiguous_and_smaller_away_from_the_largest(stored):
    subjects = stored[1]
    for _, rows in subjects.assign(area=subjects["tumour_area"].astype(int)).groupby("cluster"):
        numbers = np.flatnonzero(rows["area"] > 0)
        assert len(numbers) >= 2
        assert (np.diff(numbers) == 1).all()
        assert int(np.argmax(rows["area"])) < len(rows)
    shares = subjects["tumour_area"].astype(int) > 0
    assert 0.3 < shares.mean() < 0.5


def test_missing_sequences_are_those_of_the_original():
    missing = draw_missing(list(SLICES), np.random.default_rng(0))
    assert sum("post" in lacking for lacking in missing.values()) == 9
    assert sum("pre" in lacking for lacking in missing.values()) == 6
    assert sum(not lacking for lacking in missing.values()) == 101


def test_sizes_of_the_displacements(pairs, standin, stored):
    rule, table, ddf = pairs
    head = stored[0][_rows(stored[1], table["fixed"])] > 0.08
    lengths = np.linalg.norm(ddf, axis=1)
    typical = np.array([length[on].mean() for length, on in zip(lengths, head, strict=True)])
    low, high = (0.2, 2.0) if rule is adjacent_slices else (1.5, 12.0)
    assert low < typical.min() < typical.max() < high
    statistics = standin[2]
    assert 0.2 < statistics["min_determinant"] < 1
    assert 5 < statistics["largest_displacement_px"] < 20


def test_composition_error(pairs, deformations):
    """psi of the moving image at the composed place is psi of the fixed image there."""
    _, table, ddf = pairs
    every, ids = deformations
    moving, fixed = ([ids.index(one) for one in table[column]] for column in ("moving", "fixed"))
    places = (GRID + np.moveaxis(ddf, 1, -1)).reshape(len(table), -1, 2)[:, ::9]
    reached = every.take(moving).apply(places.astype(np.float64), steps=24)
    wanted = every.take(fixed).apply(GRID.reshape(-1, 2)[::9], steps=24)
    assert np.linalg.norm(reached - wanted, axis=-1).max() < 1e-3


def test_psi_of_the_images_is_that_of_the_truth(deformations):
    every = deformations[0].take(slice(0, 40, 6))
    exact = every.apply(GRID.reshape(-1, 2), steps=16).reshape(-1, SIZE, SIZE, 2)
    drawn = np.stack(list(psi_on_pixels(every, SIZE)))
    assert np.linalg.norm(drawn - exact, axis=-1).max() < 5e-3
    assert jacobian_determinants(exact).min() > 0.2


def test_truth_registers_images_and_masks(pairs, stored):
    rule, table, ddf = pairs
    images, subjects, masks = stored
    before, after, overlap = [], [], []
    for moving, fixed, field in zip(*(_rows(subjects, table[one]) for one in ("moving", "fixed")), ddf, strict=True):
        places = np.moveaxis(GRID, -1, 0) + field
        # Grey values of two cases differ by a monotone function, and their tumours do not correspond.
        outside = masks[fixed] == 0
        outside &= map_coordinates(masks[moving].astype(float), places, order=1) == 0
        warped = map_coordinates(images[moving], places, order=1, mode="nearest")
        before.append(np.corrcoef(images[moving][outside], images[fixed][outside])[0, 1])
        after.append(np.corrcoef(warped[outside], images[fixed][outside])[0, 1])
        moved = map_coordinates(masks[moving].astype(float), places, order=1) > 0.5
        overlap.append(2 * (moved & (masks[fixed] > 0)).sum() / (moved.sum() + masks[fixed].sum()))
    assert np.mean(after) > 0.96
    assert min(after) > 0.93
    assert 1 - np.mean(after) < (1 - np.mean(before)) / 3
    if rule is adjacent_slices:
        assert np.mean(overlap) > 0.97
        assert min(overlap) > 0.94


def test_other_sizes_show_the_same_heads():
    small, large = (draw_head(9, size, frozenset(), np.random.default_rng(3)) for size in (64, 127))
    points = np.array([[10.0, 20.0], [31.0, 40.0], [50.0, 12.0]])
    np.testing.assert_allclose(2 * small.deformations.apply(points), large.deformations.apply(2 * points), atol=1e-9)
    assert small.tumour.radius == large.tumour.radius
    np.testing.assert_array_equal(small.with_tumour, large.with_tumour)


def test_truth_says_what_is_wrong(standin, tmp_path):
    known = "TCGA_CS_4941_19960909_1"
    with pytest.raises(ReregisterError, match="'TCGA_CS_4941_19960909_99'"):
        truth_ddf(standin[1], [known], ["TCGA_CS_4941_19960909_99"], (SIZE, SIZE))
    with pytest.raises(ReregisterError, match=r"not \(256, 256\)"):
        truth_ddf(standin[1], [known], [known], (256, 256))
    with pytest.raises(ValueError, match="no pairs"):
        truth_ddf(standin[1], [known], [], (SIZE, SIZE))
    (tmp_path / "truth.npz").write_bytes(b"<html>")
    with pytest.raises(ReregisterError, match="cannot be read"):
        truth_ddf(tmp_path / "truth.npz", [], [], (SIZE, SIZE))
    np.testing.assert_allclose(truth_ddf(standin[1], [known], [known], (SIZE, SIZE))[0], 0, atol=1e-4)
