"""ImageStore: what is written is what is read, and what must not be written is not."""

import numpy as np
import pandas as pd
import pytest

from reregister.data.store import SUBJECT_COLUMNS, ImageStore, write_store
from reregister.errors import ReregisterError


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(4, 1, 5, 6)).astype(np.float32)


@pytest.fixture
def subjects():
    table = pd.DataFrame({"id": ["a", "NA", "003", "d,e"], "group": ["07", "7", "NA", "null"]})
    table = table.assign(cluster=table["id"], split="train", spacing="1 1", source="file.gz", sha256="0" * 64)
    return table[list(SUBJECT_COLUMNS)]


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "data" / "images.npy", tmp_path / "data" / "subjects.csv"


def _write(paths, images, subjects):
    write_store(*paths, len(images), [(images, subjects)])


def _left(paths):
    return sorted(path.name for path in paths[0].parent.glob("*"))


def test_round_trip(paths, images, subjects):
    _write(paths, images, subjects)
    store = ImageStore.open(*paths)
    assert isinstance(store.images, np.memmap)
    assert store.images.dtype == np.float32
    np.testing.assert_array_equal(store.images, images)
    assert store.subjects.to_dict("list") == subjects.to_dict("list")
    with pytest.raises(ValueError, match="read-only"):
        store.images[0] = 0


def test_bytes_and_further_columns(paths, images, subjects, tmp_path):
    subjects["affine"] = "1 0 0 1"
    _write(paths, images, subjects)
    again = tmp_path / "i.npy", tmp_path / "s.csv"
    _write(again, images.astype(np.float64), subjects[["affine", *SUBJECT_COLUMNS]])
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert paths[1].read_text().splitlines()[0] == "id,group,cluster,split,spacing,source,sha256,affine"


def test_index(paths, images, subjects):
    _write(paths, images, subjects)
    store = ImageStore.open(*paths)
    np.testing.assert_array_equal(store.index(["d,e", "a", "d,e"]), [3, 0, 3])
    np.testing.assert_array_equal(store.index(store.subjects["id"]), range(4))
    assert store.index([]).size == 0
    with pytest.raises(ReregisterError, match="'3'"):
        store.index(["a", "3"])


def test_spacing(paths, images, subjects):
    subjects["spacing"] = "1.5 0.9375"
    _write(paths, images, subjects)
    np.testing.assert_array_equal(ImageStore.open(*paths).spacings, [[1.5, 0.9375]] * 4)
    subjects.loc[2, "spacing"] = "1.5 1"
    _write(paths, images, subjects)
    store = ImageStore.open(*paths)
    np.testing.assert_array_equal(store.spacings, [[1.5, 0.9375], [1.5, 0.9375], [1.5, 1], [1.5, 0.9375]])
    subjects["spacing"] = "1 1 1"
    _write(paths, images, subjects)
    with pytest.raises(ReregisterError, match="'1 1 1'"):
        _ = ImageStore.open(*paths).spacings


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_first_image_that_is_not_finite_is_named(paths, images, subjects, bad):
    images[2, 0, 1, 1] = bad
    images[3, 0, 0, 0] = np.nan
    with pytest.raises(ReregisterError, match="Image 003 holds"):
        _write(paths, images, subjects)
    assert _left(paths) == []


def test_any_intensity_range(paths, images, subjects):
    _write(paths, images * 1000, subjects)
    assert ImageStore.open(*paths).images.max() > 1000


def test_refused_tables(paths, images, subjects):
    with pytest.raises(ReregisterError, match="for 3 subjects"):
        _write(paths, images, subjects[:3])
    with pytest.raises(ReregisterError, match="the id a twice"):
        _write(paths, images, subjects.assign(id=["a", "b", "a", "c"]))
    with pytest.raises(ReregisterError, match=r"lacks.*cluster"):
        _write(paths, images, subjects.drop(columns="cluster"))
    with pytest.raises(ReregisterError, match=r"no group.*row 1"):
        _write(paths, images, subjects.assign(group=["1", None, "1", "1"]))
    assert _left(paths) == []


def test_open_says_what_is_wrong(paths, images, subjects):
    with pytest.raises(ReregisterError, match=r"images\.npy cannot be read"):
        ImageStore.open(*paths)
    _write(paths, images, subjects)
    lines = paths[1].read_text().splitlines(keepends=True)
    paths[1].write_text("".join(lines[:-1]))
    with pytest.raises(ReregisterError, match=r"holds 4 images but .* 3 rows"):
        ImageStore.open(*paths)
    paths[1].write_text("id,group\na,b\n")
    with pytest.raises(ReregisterError, match=r"subjects\.csv lacks"):
        ImageStore.open(*paths)
    paths[1].write_text("")
    with pytest.raises(ReregisterError, match=r"subjects\.csv cannot be read"):
        ImageStore.open(*paths)


def test_streaming_writes_the_same_bytes(paths, images, subjects, tmp_path):
    subjects["affine"] = "1 0 0 1"
    _write(paths, images, subjects)
    again = tmp_path / "i.npy", tmp_path / "s.csv"
    batches = ((images[rows].astype(np.float64), subjects[rows]) for rows in (slice(0, 3), slice(3, 4)))
    write_store(*again, 4, batches)
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]


def test_streaming_refuses(paths, images, subjects):
    bad = images.copy()
    bad[3, 0, 1, 1] = np.nan
    for count, batches, said in [
        (4, [(images[:3], subjects[:3])], "3 images where 4"),
        (3, [(images[:2], subjects[:2]), (images[2:], subjects[2:])], "id 003 and on"),
        (4, [(images[:3], subjects[:3]), (images[3:, :, 1:], subjects[3:])], "id d,e and on"),
        (4, [(images, subjects[:3])], "for 3 subjects"),
        (4, [(images[:3], subjects[:3]), (bad[3:], subjects[3:])], "Image d,e holds NaN"),
        (4, [(images, subjects.assign(id=["a", "b", "a", "c"]))], "the id a twice"),
        (4, [(images, subjects.drop(columns="split"))], "lacks the column"),
        (0, [], "0 images where 0"),
    ]:
        with pytest.raises(ReregisterError, match=said):
            write_store(*paths, count, batches)
    assert _left(paths) == []
