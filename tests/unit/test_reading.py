"""What every reader gives, and that they all give it."""

import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reregister.data.labels import LabelStore, write_labels
from reregister.data.reading import Reading, Whole
from reregister.data.store import SUBJECT_COLUMNS, ImageStore, write_store
from reregister.registry import load, names


@pytest.fixture
def whole() -> Whole:
    images = np.random.default_rng(0).random((3, 1, 5, 6), dtype=np.float32)
    subjects = pd.DataFrame({column: ["a", "b", "c"] for column in SUBJECT_COLUMNS}).assign(spacing="1 1")
    return Whole(images, subjects, ["has 3 images, not 4"], ["one is blurred"])


def test_a_whole_is_one_batch_without_labels(whole: Whole, tmp_path: Path) -> None:
    reading: Reading = whole
    paths = [tmp_path / name for name in ("images.npy", "subjects.csv", "labels.npy", "labels.csv")]
    with reading as found:
        write_store(*paths[:2], found.count, found)
        write_labels(*paths[2:], *found.labels())
    store, labels = ImageStore.open(*paths[:2]), LabelStore.open(*paths[2:])
    np.testing.assert_array_equal(store.images, whole.images)
    assert store.subjects["id"].tolist() == ["a", "b", "c"]
    assert labels.masks.shape == (0, 5, 6)
    assert labels.table.empty
    assert (reading.deviations(), reading.report) == (["has 3 images, not 4"], ["one is blurred"])


def test_two_readings_share_no_report(whole: Whole) -> None:
    one, two = (Whole(whole.images, whole.subjects) for _ in range(2))
    one.report.append("x")
    assert (two.report, two.deviations()) == ([], [])


@pytest.mark.parametrize("name", names("data/readers"))
def test_every_reader_is_asked_in_the_same_way(name: str) -> None:
    reader = load("data/readers", name)
    required = [p.name for p in inspect.signature(reader.read).parameters.values() if p.default is p.empty]
    assert required == ["members", "sha256", "expect"]
    assert reader.ORIGINAL
    # Its stand-in goes by the same name.
    standin = load("data/standins", name)
    assert callable(standin.write)
    assert callable(standin.truth_ddf)
