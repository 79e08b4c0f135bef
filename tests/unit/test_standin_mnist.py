"""The MNIST stand-in: read by the very same reader, and exact in its truth."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, map_coordinates

from reregister.data.pairing import frozen_pairs
from reregister.data.phantoms.digits import CROSSBAR, template
from reregister.data.phantoms.velocity import Deformations, VelocityFields, pixel_grid
from reregister.data.readers.mnist import FILES, ORIGINAL, read
from reregister.data.roles import split_subjects
from reregister.data.standins.mnist import kinds, truth_ddf, write
from reregister.errors import ReregisterError
from reregister.provenance.files import sha256_file

NAMES = [name for pair in FILES.values() for name in pair]


def _make(folder, n_train, n_test, seed):
    members = {name: folder / name for name in NAMES}
    statistics = write(members, folder / "truth.npz", n_train, n_test, seed)
    return members, folder / "truth.npz", statistics


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    members, truth, statistics = _make(tmp_path_factory.mktemp("standin"), 600, 300, seed=4)
    reading = read(members, {name: sha256_file(path) for name, path in members.items()}, {"shape": (28, 28)})
    images, subjects = reading.images, reading.subjects
    return images[:, 0], subjects, truth, statistics


@pytest.fixture(scope="module")
def pairs(standin):
    _, subjects, truth, _ = standin
    roles = split_subjects(subjects, {"name": "last_of_train", "fraction": "1/6"})
    table = frozen_pairs(subjects, roles, {"name": "random_within_group", "per_group": 15}, seed=1)
    ddf, exact = truth_ddf(truth, table["moving"].tolist(), table["fixed"].tolist(), (28, 28))
    return table, ddf, exact


def _ncc(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def test_same_seed_same_bytes(tmp_path):
    first, truth, _ = _make(tmp_path / "a", 40, 20, seed=1)
    again, truth_again, _ = _make(tmp_path / "b", 40, 20, seed=1)
    other, truth_other, _ = _make(tmp_path / "c", 40, 20, seed=2)
    assert all(first[name].read_bytes() == again[name].read_bytes() for name in NAMES)
    assert all(first[name].read_bytes() != other[name].read_bytes() for name in NAMES)
    assert truth.read_bytes() == truth_again.read_bytes() != truth_other.read_bytes()


def test_labels_as_frequent_as_in_mnist(standin):
    _, subjects, _, _ = standin
    for split, count in (("train", 600), ("test", 300)):
        groups = subjects.loc[subjects["split"] == split, "group"]
        share = np.array(ORIGINAL["counts"][split]) / sum(ORIGINAL["counts"][split])
        found = groups.value_counts().sort_index().to_numpy()
        assert found.sum() == count
        assert np.abs(found - share * count).max() < 1
        assert groups.tolist() != sorted(groups)


def test_smallest_size(tmp_path):
    members, _, _ = _make(tmp_path, 10, 11, seed=0)
    subjects = read(members, dict.fromkeys(NAMES, "0"), {}).subjects
    assert subjects.groupby("split")["group"].nunique().to_dict() == {"train": 10, "test": 10}
    with pytest.raises(ReregisterError, match="at least 10 test images"):
        _make(tmp_path / "none", 10, 9, seed=0)
    assert not (tmp_path / "none").exists()


def test_looks_like_mnist(standin):
    images, subjects, _, statistics = standin
    centres = np.array([center_of_mass(image) for image in images])
    assert np.abs(centres - 14).max() < 0.5
    assert centres.std(axis=0) == pytest.approx(0.3 / 3**0.5, rel=0.15), (
        "scattered evenly, as whole-pixel shifts leave it"
    )
    assert (images == 0).mean(axis=(1, 2)).min() > 0.3, "background is exactly 0"
    height = np.ptp(np.where((images > 0).any(2), np.arange(28), 14), axis=1) + 1
    assert 18 < height.mean() < 21
    means = [images[(subjects["group"] == str(digit)).to_numpy()].mean() for digit in range(10)]
    # Mean grey of the real images, digit by digit.
    real = [0.173, 0.076, 0.149, 0.141, 0.121, 0.129, 0.137, 0.115, 0.150, 0.123]
    np.testing.assert_allclose(means, real, rtol=0.25)
    assert images.max() == 1
    assert statistics["min_determinant"] > 0.3
    assert 3 < statistics["largest_displacement_px"] < 7


def test_crossbars(standin):
    images, subjects, truth, _ = standin
    with np.load(truth) as file:
        variant, label, ids = file["variant"], file["label"], file["id"]
    assert ids.tolist() == subjects["id"].tolist()
    assert label.astype(str).tolist() == subjects["group"].tolist()
    assert set(label[variant == CROSSBAR]) == {7}
    assert (variant[label == 7] == CROSSBAR).mean() == pytest.approx(1 / 3, abs=0.05)
    assert images[variant == CROSSBAR].mean() > 1.08 * images[(label == 7) & (variant == 0)].mean()


def test_kinds_of_sevens(standin):
    _, subjects, truth, _ = standin
    with np.load(truth) as file:
        expected = np.where(file["variant"] == CROSSBAR, "crossbar", "plain")
        expected[file["label"] != 7] = ""
    order = np.random.default_rng(0).permutation(len(subjects))[:200]
    found = kinds(truth, subjects["id"].iloc[order])
    assert found == expected[order].tolist()
    assert set(found) == {"", "plain", "crossbar"}
    assert all(type(kind) is str for kind in found)
    assert kinds(truth, []) == []


def test_kinds_of_what_is_not_there(standin, tmp_path):
    _, _, truth, _ = standin
    with pytest.raises(ReregisterError, match="has no image with the id 'train-99999'"):
        kinds(truth, ["train-99999"])
    with pytest.raises(ReregisterError, match="cannot be read as MNIST truth"):
        kinds(tmp_path / "none.npz", ["train-00000"])


def test_pairs_without_truth_are_flagged(standin, pairs):
    _, subjects, truth, _ = standin
    table, ddf, exact = pairs
    with np.load(truth) as file:
        variant = dict(zip(file["id"].tolist(), file["variant"].tolist(), strict=True))
    alike = table["moving"].map(variant) == table["fixed"].map(variant)
    np.testing.assert_array_equal(exact, alike)
    assert 0 < (~exact).sum() < 15
    assert set(table.loc[~exact, "group"]) == {"7"}
    assert np.isnan(ddf[~exact]).all()
    assert np.isfinite(ddf[exact]).all()
    ones, twos = (subjects.loc[subjects["group"] == digit, "id"].tolist()[:1] for digit in "12")
    assert truth_ddf(truth, ones, twos, (28, 28))[1].tolist() == [False]


def test_truth_registers_the_images(standin, pairs):
    images, subjects, _, _ = standin
    table, ddf, exact = pairs
    grid = np.moveaxis(pixel_grid((28, 28)), -1, 0)
    row = {identity: number for number, identity in enumerate(subjects["id"])}
    before, after = [], []
    for moving, fixed, field in zip(table["moving"][exact], table["fixed"][exact], ddf[exact], strict=True):
        source, target = images[row[moving]], images[row[fixed]]
        before.append(_ncc(source, target))
        after.append(_ncc(map_coordinates(source, grid + field, order=1), target))
    assert np.mean(after) > 0.985
    assert min(after) > 0.95
    assert np.mean(before) < 0.8


def test_sizes_of_the_displacements(standin, pairs):
    images, subjects, _, _ = standin
    table, ddf, exact = pairs
    row = {identity: number for number, identity in enumerate(subjects["id"])}
    foreground = np.stack([images[row[fixed]] > 0 for fixed in table["fixed"][exact]])
    lengths = np.linalg.norm(ddf[exact], axis=1)
    typical = np.array([length[on].mean() for length, on in zip(lengths, foreground, strict=True)])
    assert 1.3 < typical.mean() < 2.5
    assert 3.5 < np.quantile(lengths[foreground], 0.99) < 5


def test_composition_error_on_the_foreground(standin, pairs):
    """T at the composed place in the moving image's map is the fixed image, to a byte of grey."""
    images, subjects, truth, _ = standin
    table, ddf, exact = pairs
    with np.load(truth) as file:
        known = dict(file)
    fields = VelocityFields(*(known[name] for name in ("linear", "sine", "centre", "origin", "extent")))
    every = Deformations(fields, known["translation"])
    row = {identity: number for number, identity in enumerate(subjects["id"])}
    moving = [row[identity] for identity in table["moving"][exact]]
    fixed = [row[identity] for identity in table["fixed"][exact]]
    grid = pixel_grid((28, 28))
    places = (grid + np.moveaxis(ddf[exact], 1, -1)).reshape(len(moving), -1, 2)
    reached = every.take(moving).apply(places, steps=32)
    wanted = every.take(fixed).apply(grid.reshape(-1, 2), steps=32)
    assert np.linalg.norm(reached - wanted, axis=-1).max() < 1e-3
    for number, target in enumerate(fixed):
        grey = template(int(known["label"][target]), int(known["variant"][target])).sample(reached[number])
        np.testing.assert_allclose(grey.reshape(28, 28), images[target], atol=0.6 / 255)


def test_truth_says_what_is_wrong(standin, tmp_path):
    _, _, truth, _ = standin
    with pytest.raises(ReregisterError, match="'train-99999'"):
        truth_ddf(truth, ["train-00000"], ["train-99999"], (28, 28))
    with pytest.raises(ReregisterError, match=r"not \(32, 32\)"):
        truth_ddf(truth, ["train-00000"], ["train-00001"], (32, 32))
    (tmp_path / "truth.npz").write_bytes(b"<html>")
    with pytest.raises(ReregisterError, match="cannot be read"):
        truth_ddf(tmp_path / "truth.npz", [], [], (28, 28))


def test_templates():
    for digit in range(10):
        drawn = template(digit)
        points = pixel_grid((28 * 8, 28 * 8)) / 8
        grey = drawn.sample(points)
        assert grey.max() == 1
        assert (grey[:8] == 0).all()
        assert (grey[-8:] == 0).all()
        np.testing.assert_allclose(np.array(center_of_mass(grey)) / 8, 14, atol=0.02)
    with pytest.raises(ValueError, match="digit 3 in variant 1"):
        template(3, CROSSBAR)
