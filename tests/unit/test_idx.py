"""IDX files: round trip, stable bytes, and every way in which a download can be wrong."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from reregister.data.idx import read_idx, write_idx
from reregister.errors import ReregisterError


def _gz(path, content):
    path.write_bytes(gzip.compress(content))
    return path


@pytest.mark.parametrize("shape", [(7,), (3, 4, 5), (0, 28, 28), (2, 1, 3, 2)])
def test_round_trip(tmp_path, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    write_idx(tmp_path / "a.gz", array)
    result = read_idx(tmp_path / "a.gz")
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, array)


def test_layout_is_that_of_the_official_files(tmp_path):
    write_idx(tmp_path / "images.gz", np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    write_idx(tmp_path / "labels.gz", np.array([5, 0], dtype=np.uint8))
    images = gzip.decompress((tmp_path / "images.gz").read_bytes())
    assert images == struct.pack(">IIII", 2051, 2, 3, 4) + bytes(range(24))
    assert gzip.decompress((tmp_path / "labels.gz").read_bytes()) == struct.pack(">II", 2049, 2) + b"\x05\x00"


def test_bytes_depend_on_the_array_alone(tmp_path, monkeypatch):
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    write_idx(tmp_path / "one.gz", array)
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_idx(tmp_path / "another.gz", np.asfortranarray(array))
    first = (tmp_path / "one.gz").read_bytes()
    assert first == (tmp_path / "another.gz").read_bytes()
    assert first[3] == 0, "flags: no file name"
    assert first[4:8] == b"\0\0\0\0", "no time stamp"


def test_write_refuses_other_types(tmp_path):
    with pytest.raises(ValueError, match="float64"):
        write_idx(tmp_path / "a.gz", np.zeros((2, 2)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><p>403", b"\n  <html><head>", b"\xef\xbb\xbf<!doctype html>"])
def test_html_is_named_as_such(tmp_path, content):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(ReregisterError, match=r"a\.gz is an HTML page"):
        read_idx(tmp_path / "a.gz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04zip", struct.pack(">II", 2049, 0)])
def test_not_gzip(tmp_path, content):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(ReregisterError, match="not a gzip file"):
        read_idx(tmp_path / "a.gz")


def test_missing(tmp_path):
    with pytest.raises(ReregisterError, match="missing"):
        read_idx(tmp_path / "a.gz")


@pytest.mark.parametrize("kept", [5, 0.5, -9, -3])
def test_truncated(tmp_path, kept):
    write_idx(tmp_path / "a.gz", np.random.default_rng(0).integers(0, 256, (50, 28, 28), dtype=np.uint8))
    whole = (tmp_path / "a.gz").read_bytes()
    (tmp_path / "a.gz").write_bytes(whole[: int(len(whole) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(ReregisterError, match="truncated"):
        read_idx(tmp_path / "a.gz")


def test_damaged(tmp_path):
    write_idx(tmp_path / "a.gz", np.zeros((50, 28, 28), dtype=np.uint8))
    whole = bytearray((tmp_path / "a.gz").read_bytes())
    whole[-8] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(whole)
    with pytest.raises(ReregisterError, match="damaged"):
        read_idx(tmp_path / "a.gz")


@pytest.mark.parametrize("magic", [b"\0\0\x0d\x03", b"\0\0\x08\0", b"\1\0\x08\x01", b"\0\0", b""])
def test_wrong_magic(tmp_path, magic):
    with pytest.raises(ReregisterError, match="magic number"):
        read_idx(_gz(tmp_path / "a.gz", magic))


def test_labels_where_images_are_expected(tmp_path):
    write_idx(tmp_path / "a.gz", np.zeros(4, dtype=np.uint8))
    with pytest.raises(ReregisterError, match="2049 where 2051"):
        read_idx(tmp_path / "a.gz", ndim=3)


def test_header_cut_short(tmp_path):
    with pytest.raises(ReregisterError, match="header"):
        read_idx(_gz(tmp_path / "a.gz", struct.pack(">II", 2051, 3)))


@pytest.mark.parametrize(("given", "words"), [(23, "23 follow"), (25, "more follow"), (0, "0 follow")])
def test_header_lies(tmp_path, given, words):
    with pytest.raises(ReregisterError, match=f"promises 24 bytes.*{words}"):
        read_idx(_gz(tmp_path / "a.gz", struct.pack(">IIII", 2051, 2, 3, 4) + bytes(given)))


def test_absurd_size_takes_no_memory(tmp_path):
    largest = 2**32 - 1
    path = _gz(tmp_path / "a.gz", struct.pack(">IIII", 2051, largest, largest, largest) + bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(ReregisterError, match="100 follow"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
