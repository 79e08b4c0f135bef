"""The MNIST reader on small files of the official layout, and on the real ones where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from reregister.data.idx import write_idx
from reregister.data.pairing import frozen_pairs
from reregister.data.pools import training_pool
from reregister.data.readers.mnist import FILES, ORIGINAL, read
from reregister.data.roles import split_subjects
from reregister.errors import ReregisterError
from reregister.provenance.files import sha256_file

NAMES = [name for pair in FILES.values() for name in pair]
DIGESTS = {name: f"{number:064x}" for number, name in enumerate(NAMES)}


@pytest.fixture
def raw():
    rng = np.random.default_rng(0)
    arrays = {}
    for (images, labels), count in zip(FILES.values(), (24, 13), strict=True):
        arrays[images] = rng.integers(0, 256, (count, 6, 5), dtype=np.uint8)
        arrays[labels] = np.resize(np.arange(10, dtype=np.uint8), count)
    return arrays


def _write(folder, arrays):
    for name, array in arrays.items():
        write_idx(folder / name, array)
    return {name: folder / name for name in arrays}


def test_read(tmp_path, raw):
    reading = read(_write(tmp_path, raw), DIGESTS, {})
    images, subjects = reading.images, reading.subjects
    assert reading.shape == (6, 5)
    assert list(reading.labels()) == []
    assert "test has 13 images, not 10000" in reading.deviations()
    assert images.dtype == np.float32
    assert images.shape == (37, 1, 6, 5)
    pixels = np.concatenate([raw[NAMES[0]], raw[NAMES[2]]])
    np.testing.assert_array_equal(images[:, 0], pixels.astype(np.float32) / np.float32(255))
    assert images.max() <= 1
    assert subjects["id"].tolist()[:2] == ["train-00000", "train-00001"]
    assert subjects["id"].tolist()[23:26] == ["train-00023", "test-00000", "test-00001"]
    assert subjects["group"].tolist() == [str(label) for label in (*raw[NAMES[1]], *raw[NAMES[3]])]
    assert subjects["cluster"].equals(subjects["id"].rename("cluster"))
    assert subjects.groupby("split")["source"].unique().map(list).to_dict() == {"train": [NAMES[0]], "test": [NAMES[2]]}
    assert set(subjects.loc[subjects["split"] == "test", "sha256"]) == {DIGESTS[NAMES[2]]}
    assert set(subjects["spacing"]) == {"1 1"}


def test_unlike_counts(tmp_path, raw):
    raw[NAMES[3]] = raw[NAMES[3]][:-1]
    with pytest.raises(ReregisterError, match=r"t10k-images.* 13 images but t10k-labels.* 12 labels"):
        read(_write(tmp_path, raw), DIGESTS, {})


def test_label_above_nine(tmp_path, raw):
    raw[NAMES[1]][5] = 10
    with pytest.raises(ReregisterError, match=r"train-labels.* label 10 in place 5"):
        read(_write(tmp_path, raw), DIGESTS, {})


def test_empty_class(tmp_path, raw):
    raw[NAMES[3]][3] = 4
    raw[NAMES[3]][raw[NAMES[3]] == 3] = 4
    with pytest.raises(ReregisterError, match=r"t10k-labels-idx1-ubyte\.gz has no image of digit 3"):
        read(_write(tmp_path, raw), DIGESTS, {})


def test_swapped_and_missing_files(tmp_path, raw):
    members = _write(tmp_path, raw)
    swapped = members | {NAMES[0]: members[NAMES[1]]}
    with pytest.raises(ReregisterError, match="2049 where 2051"):
        read(swapped, DIGESTS, {})
    del members[NAMES[2]]
    with pytest.raises(ReregisterError, match="lack t10k-images"):
        read(members, DIGESTS, {})


def test_splits_of_unlike_size(tmp_path, raw):
    raw[NAMES[2]] = raw[NAMES[2]][:, :5]
    with pytest.raises(ReregisterError, match="one source"):
        read(_write(tmp_path, raw), DIGESTS, {})


def test_expectations(tmp_path, raw):
    members = _write(tmp_path, raw)
    reading = read(members, DIGESTS, {"shape": [6, 5], "counts": {"test": [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]}})
    with pytest.raises(ReregisterError, match="6 x 5 pixels, not 28 x 28"):
        read(members, DIGESTS, {"shape": (28, 28)})
    with pytest.raises(ReregisterError, match="train has 24 images, not 60000"):
        read(members, DIGESTS, ORIGINAL)
    deviations = reading.deviations()
    assert "test has 2 images of digit 0, not 980" in deviations
    assert len(deviations) == 1 + 2 + 20


@pytest.mark.skipif("REREGISTER_SAMPLE_DATA" not in os.environ, reason="real sample data are not at hand")
def test_the_real_files():
    folder = Path(os.environ["REREGISTER_SAMPLE_DATA"]) / "mnist"
    members = {name: folder / name for name in NAMES}
    digests = {name: sha256_file(path) for name, path in members.items()}
    assert digests[NAMES[0]] == "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    reading = read(members, digests, ORIGINAL)
    images, subjects = reading.images, reading.subjects
    assert images.shape == (70_000, 1, 28, 28)
    assert reading.deviations() == []
    assert subjects["group"].tolist()[:5] == ["5", "0", "4", "1", "9"]
    # Mean and deviation of the training pixels, as quoted in the PyTorch examples.
    assert images[:60_000].mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)
    assert images[:60_000].std(dtype=np.float64) == pytest.approx(0.3081, abs=5e-5)

    roles = split_subjects(subjects, {"name": "last_of_train", "fraction": "1/6"})
    sevens = subjects["group"] == "7"
    assert roles[sevens].value_counts().to_dict() == {"train": 5175, "validation": 1090, "test": 1028}
    pairs = frozen_pairs(subjects, roles, {"name": "one_fixed_per_group", "limit": None}, seed=0)
    per_digit = pairs["group"].value_counts().sort_index().tolist()
    assert per_digit == [979, 1134, 1031, 1009, 981, 891, 957, 1027, 973, 1008]
    assert len(training_pool(subjects, roles, {"name": "ordered_pairs_within_group"})) == 50_000
    common = frozen_pairs(subjects, roles, {"name": "random_within_group", "per_group": 100}, seed=0)
    assert len(common) == 1000
