"""Label maps answer as the store of masks does, and refuse what a map cannot hold."""

import numpy as np
import pandas as pd
import pytest

from reregister.data.label_map_files import maps_from_masks, write_label_maps
from reregister.data.label_maps import LabelMaps
from reregister.errors import ReregisterError

SHAPE = (3, 4)


def rows(*entries, unit="mm"):
    return pd.DataFrame(entries, columns=["map", "id", "label", "value"]).assign(unit=unit)


def batches():
    first = np.zeros((2, *SHAPE), np.uint8)
    first[0, 0], first[0, 1], first[1, 2, 1] = 2, 7, 7
    table = [(number, name, label, value) for number, name in ((0, "a"), (1, "b")) for label, value in LABELS]
    yield first, rows(*table)
    shared = np.full((1, *SHAPE), 2, np.uint8)
    yield shared, rows(*[(0, name, label, value) for name in ("c_norm", "c_orig") for label, value in LABELS])


LABELS = (("white", 2), ("cortex", 7))


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "labels.npy", tmp_path / "labels.csv"


def test_written_and_read_again(paths):
    write_label_maps(*paths, SHAPE, batches())
    labels = LabelMaps.open(*paths)
    assert labels.maps.shape == (3, *SHAPE)
    assert labels.maps.dtype == np.uint8
    assert labels.names == ["white", "cortex"]
    assert labels.ids("white") == {"a", "b", "c_norm", "c_orig"}
    assert labels.has("b", "white")
    assert not labels.has("b", "brain")
    assert not labels.has("d", "white")
    assert labels.is_empty("b", "white")
    assert not labels.is_empty("a", "white")
    assert labels.values("a", ["cortex", "white"]) == [7, 2]
    np.testing.assert_array_equal(labels.mask("a", "cortex"), np.repeat([[0], [1], [0]], 4, axis=1))
    assert labels.mask("a", "cortex").dtype == np.uint8
    np.testing.assert_array_equal(labels.map("c_orig"), labels.map("c_norm"))
    assert labels.rows(["c_orig", "a", "c_norm"]).tolist() == [2, 0, 2]
    assert labels.table["voxels"].tolist()[:4] == ["4", "4", "0", "1"]


def test_many_batches_and_no_batch(paths):
    table = rows((0, "x", "white", 2))
    write_label_maps(*paths, SHAPE, ((np.full((1, *SHAPE), 2, np.uint8), table.assign(id=f"{n}")) for n in range(120)))
    assert len(LabelMaps.open(*paths).maps) == 120
    write_label_maps(*paths, SHAPE, [])
    none = LabelMaps.open(*paths)
    assert none.maps.shape == (0, *SHAPE)
    assert (none.names, none.ids("white")) == ([], set())


def test_masks_come_back_from_maps(paths):
    rng = np.random.default_rng(0)
    either = rng.integers(0, 3, (4, *SHAPE))
    either[2][either[2] == 1] = 0
    names, ids = ["LV cavity", "wall"], ["007", "NA", "b", "a"]
    masks = np.stack([image == value for image in either for value in (1, 2)]).astype(np.uint8)[:-1]
    table = pd.DataFrame([(one, name, "px") for one in ids for name in names], columns=["id", "label", "unit"])
    table = table.iloc[:-1]
    write_label_maps(*paths, SHAPE, [maps_from_masks(masks, table)])
    found = LabelMaps.open(*paths)
    assert isinstance(found.maps, np.memmap)
    assert found.table["unit"].unique().tolist() == ["px"]
    for mask, row in zip(masks, table.itertuples(), strict=True):
        np.testing.assert_array_equal(found.mask(row.id, row.label), mask)
        assert found.is_empty(row.id, row.label) == (not mask.any())
    assert found.is_empty("b", "LV cavity")
    assert found.ids("wall") == {"007", "NA", "b"}
    assert not found.has("a", "wall")


def test_same_content_same_bytes(tmp_path):
    made = []
    for folder in ("one", "two"):
        paths = tmp_path / folder / "labels.npy", tmp_path / folder / "labels.csv"
        write_label_maps(*paths, SHAPE, batches())
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1]


def test_masks_that_overlap_are_no_map():
    table = pd.DataFrame({"id": ["a", "a"], "label": ["endo", "epi"], "unit": "mm"})
    with pytest.raises(ReregisterError, match="labels of the image a overlap"):
        maps_from_masks(np.ones((2, *SHAPE), np.uint8), table)
    many = pd.DataFrame({"id": "a", "label": [f"{n}" for n in range(256)], "unit": "mm"})
    with pytest.raises(ReregisterError, match="256 labels"):
        maps_from_masks(np.zeros((256, *SHAPE), np.uint8), many)


@pytest.mark.parametrize(
    ("maps", "table", "said"),
    [
        (np.full((1, *SHAPE), 3, np.uint8), rows((0, "a", "white", 2)), "the value 3 in the map of a"),
        (np.zeros((1, 2, 2), np.uint8), rows((0, "a", "white", 2)), "cannot take uint8 maps of shape"),
        (np.zeros((1, *SHAPE), np.int32), rows((0, "a", "white", 2)), "cannot take int32 maps"),
        (np.zeros((2, *SHAPE), np.uint8), rows((0, "a", "white", 2)), "for 1 maps of rows"),
        (np.zeros((1, *SHAPE), np.uint8), rows((0, "a", "white", 2)).drop(columns="unit"), "lacks .* unit"),
        (np.zeros((1, *SHAPE), np.uint8), rows((0, "a", "white", 2), (0, "a", "grey", 2)), "the value 2 .* a twice"),
        (np.zeros((1, *SHAPE), np.uint8), rows((0, "a", "white", 2), (0, "a", "white", 3)), "the label white .* twice"),
        (np.zeros((2, *SHAPE), np.uint8), rows((0, "a", "white", 2), (1, "a", "grey", 3)), "two maps"),
    ],
)
def test_what_is_refused_leaves_nothing(paths, maps, table, said):
    with pytest.raises(ReregisterError, match=said):
        write_label_maps(*paths, SHAPE, [(maps, table)])
    assert not any(path.exists() for path in paths)


def test_unusable_files_are_named(paths):
    write_label_maps(*paths, SHAPE, batches())
    labels = LabelMaps.open(*paths)
    for ask in (labels.mask, labels.is_empty):
        with pytest.raises(ReregisterError, match="'a' has no label 'brain'"):
            ask("a", "brain")
    with pytest.raises(ReregisterError, match="'z' has no labels"):
        labels.map("z")
    np.save(paths[0], np.zeros((2, *SHAPE), np.uint8))
    with pytest.raises(ReregisterError, match=r"2 maps but .* names 3"):
        LabelMaps.open(*paths)
    paths[1].write_text("id,label\n")
    with pytest.raises(ReregisterError, match=r"lacks the column\(s\) row, value"):
        LabelMaps.open(*paths)
    paths[0].write_bytes(b"no array")
    with pytest.raises(ReregisterError, match="cannot be read as labels"):
        LabelMaps.open(*paths)
