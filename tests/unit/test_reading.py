"""What every reader gives, and that they all give it."""

import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reregister.config import SCALES, fill_defaults, read_yaml, resolve_scale
from reregister.data.label_map_files import write_label_maps
from reregister.data.label_maps import LabelMaps
from reregister.data.reading import Reading, Whole, check_choices
from reregister.data.store import SUBJECT_COLUMNS, ImageStore, write_store
from reregister.errors import ReregisterError
from reregister.registry import load, names

PROJECT = Path(__file__).resolve().parents[2]


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
        write_label_maps(*paths[2:], found.shape, found.labels())
    store, labels = ImageStore.open(*paths[:2]), LabelMaps.open(*paths[2:])
    np.testing.assert_array_equal(store.images, whole.images)
    assert store.subjects["id"].tolist() == ["a", "b", "c"]
    assert labels.maps.shape == (0, 5, 6)
    assert labels.table.empty
    assert (labels.names, labels.ids("tumour")) == ([], set())
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
    asked = list(inspect.signature(standin.truth_ddf).parameters)
    assert asked == ["truth_path", "moving_ids", "fixed_ids", "shape", "subjects"]


def test_what_a_reading_may_choose_is_held_to_its_reader() -> None:
    ibsr, mnist = (load("data/readers", name) for name in ("ibsr", "mnist"))
    check_choices(ibsr, {"mm": 3.0, "multiple": 8})
    check_choices(mnist, {})
    with pytest.raises(
        ReregisterError, match=r"the reader ibsr does not take 'mmm' under reading; allowed are mm, mult"
    ):
        check_choices(ibsr, {"mm": 3.0, "mmm": 1})
    # What the workflow gives is not to be set there.
    with pytest.raises(ReregisterError, match="the reader mnist does not take 'expect' under reading; it takes none"):
        check_choices(mnist, {"expect": {}})


@pytest.mark.parametrize("scale", SCALES)
def test_the_projects_own_choices_are_the_readers(scale: str) -> None:
    schema = read_yaml(PROJECT / "workflow" / "schemas" / "datasets.schema.yaml")
    datasets = resolve_scale(fill_defaults(read_yaml(PROJECT / "config" / "datasets.yaml"), schema), scale)
    assert datasets["mnist"]["reading"] == {}
    for entry in datasets.values():
        check_choices(load("data/readers", entry["reader"]), entry["reading"])
        standin = inspect.signature(load("data/standins", entry["reader"]).write)
        standin.bind({}, Path(), seed=0, **entry["standin"]["settings"])
        assert ("anatomy" in standin.parameters) == entry["standin"]["anatomy"]
    if scale == "full":
        # papers.md 5.1 and 6.1: 1.5 mm, and the aligned volumes as they are.
        assert datasets["ibsr"]["reading"] == {"mm": 1.5}
        assert datasets["oasis"]["reading"] == {}
        assert datasets["oasis"]["standin"]["settings"] == {"shape": [160, 192, 224], "subjects": 414}
        assert datasets["oasis_2d"]["standin"]["settings"] == {"shape": [160, 192], "subjects": 414}
