"""Labels: what is written is found again by the image's id, and what must not be written is not."""

import numpy as np
import pandas as pd
import pytest

from reregister.data.labels import LabelStore, scorable_groups, write_labels
from reregister.errors import ReregisterError


@pytest.fixture
def masks():
    masks = (np.random.default_rng(0).random((3, 5, 6)) > 0.5).astype(np.uint8)
    masks[1] = 0
    return masks


@pytest.fixture
def table():
    return pd.DataFrame({"id": ["a", "NA", "a"], "label": ["cavity", "cavity", "wall"], "unit": "mm"})


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "data" / "labels.npy", tmp_path / "data" / "labels.csv"


def test_round_trip(paths, masks, table, tmp_path):
    write_labels(*paths, masks, table)
    store = LabelStore.open(*paths)
    assert isinstance(store.masks, np.memmap)
    np.testing.assert_array_equal(store.masks, masks)
    assert store.table["row"].tolist() == ["0", "1", "2"]
    assert store.table["unit"].unique().tolist() == ["mm"]
    np.testing.assert_array_equal(store.index(["NA", "a"], "cavity"), [1, 0])
    np.testing.assert_array_equal(store.mask("a", "wall"), masks[2])
    assert store.ids("cavity") == {"a", "NA"}
    with pytest.raises(ReregisterError, match=r"'NA' has no label 'wall'"):
        store.mask("NA", "wall")
    again = tmp_path / "l.npy", tmp_path / "l.csv"
    write_labels(*again, masks.astype(bool), table)
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]


def test_empty_mask_is_flagged(paths, masks, table):
    write_labels(*paths, masks, table)
    store = LabelStore.open(*paths)
    assert store.table["empty"].tolist() == ["", "yes", ""]
    assert store.is_empty("NA", "cavity")
    assert not store.is_empty("a", "cavity")


def test_no_labels_at_all(paths, table):
    write_labels(*paths, np.zeros((0, 5, 6), np.uint8), table[:0])
    assert LabelStore.open(*paths).ids("cavity") == set()


def test_refused(paths, masks, table):
    with pytest.raises(ReregisterError, match="for 2 rows"):
        write_labels(*paths, masks, table[:2])
    with pytest.raises(ReregisterError, match="other than 0 and 1"):
        write_labels(*paths, masks * 2, table)
    with pytest.raises(ReregisterError, match="cavity of the image a twice"):
        write_labels(*paths, masks, table.assign(label="cavity"))
    with pytest.raises(ReregisterError, match=r"lacks.*unit"):
        write_labels(*paths, masks, table.drop(columns="unit"))
    assert not paths[0].parent.exists()


def test_open_says_what_is_wrong(paths, masks, table):
    with pytest.raises(ReregisterError, match="cannot be read as labels"):
        LabelStore.open(*paths)
    write_labels(*paths, masks, table)
    lines = paths[1].read_text().splitlines(keepends=True)
    paths[1].write_text("".join(lines[:-1]))
    with pytest.raises(ReregisterError, match=r"3 masks but .* 2 rows"):
        LabelStore.open(*paths)
    paths[1].write_text("row,id\n")
    with pytest.raises(ReregisterError, match=r"lacks.*label, unit, empty"):
        LabelStore.open(*paths)


def test_scorable_groups():
    rows = [
        ("b1", "B", "ED"),
        ("b2", "B", "ES"),
        ("a1", "A", "ED"),
        ("a2", "A", "ES"),
        ("a3", "A", ""),
        ("c1", "C", "ED"),
    ]
    subjects = pd.DataFrame(rows, columns=["id", "group", "mark"])
    assert scorable_groups(subjects, set(subjects["id"])) == ["B", "A"]
    assert scorable_groups(subjects, {"a1", "a2", "b1", "c1"}) == ["A"]
    assert scorable_groups(subjects, {"a1", "a3", "c1"}) == []
