"""Tables, arrays and the source table: what is written is read again, and the same content has the same bytes."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reregister.data import download
from reregister.data.source import Member, locate, read_source, write_source
from reregister.errors import ReregisterError
from reregister.tables import TEXT, read_frame, read_results, write_array, write_arrays, write_frame

RANDOM = np.random.default_rng(0).normal(size=2000) * 10.0 ** np.arange(-300, 300, 0.3)
NUMBERS = [0.1, 1 / 3, *RANDOM, -0.0, 1e-300, 1.7976931348623157e308, float("nan"), float("inf"), 123456789.123]


def _results(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"method": ["affine", "affine"], "part": ["0", "1"], "group": ["7", "007"], **columns})


def test_numbers_come_back_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "numbers.csv"
    write_frame(path, pd.DataFrame({"x": NUMBERS, "n": range(len(NUMBERS))}))
    back = read_results([path])
    np.testing.assert_array_equal(back["x"].to_numpy(), NUMBERS)
    np.testing.assert_array_equal(np.signbit(back["x"]), np.signbit(NUMBERS))
    assert back["n"].dtype == np.int64
    assert b"\r" not in path.read_bytes()
    assert path.read_text(encoding="utf-8").splitlines()[:3] == ["x,n", "0.1,0", "0.3333333333333333,1"]


def test_a_table_of_text_stays_text(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"id": ["007", "1e3", "NA", "nan", ""], "group": ["7", "True", "null", 'a "b", c', "Išgum\nx"]}
    )
    write_frame(tmp_path / "text.csv", frame)
    back = read_frame(tmp_path / "text.csv")
    assert back.to_dict("list") == frame.to_dict("list")


def test_columns_of_results_that_name_things_stay_text(tmp_path: Path) -> None:
    names = ["007", "NA", "nan", "null", "1e3", "True", "-"]
    frame = pd.DataFrame({**dict.fromkeys(TEXT, names), "ncc": np.arange(7.0), "n": np.arange(7), "ok": [True] * 7})
    write_frame(tmp_path / "results.csv", frame)
    back = read_results([tmp_path / "results.csv"])
    for column in TEXT:
        assert back[column].tolist() == names
    assert [back[column].dtype.kind for column in ("ncc", "n", "ok")] == ["f", "i", "b"]


def test_results_of_several_files_lie_below_each_other(tmp_path: Path) -> None:
    write_frame(tmp_path / "a.csv", _results(ncc=[0.5, float("nan")], note=["", "failed"]))
    write_frame(tmp_path / "b.csv", _results(ncc=[1, 2], note=["", ""]))
    both = read_results([tmp_path / "b.csv", tmp_path / "a.csv"])
    assert both["group"].tolist() == ["7", "007"] * 2
    np.testing.assert_array_equal(both["ncc"], [1, 2, 0.5, np.nan])
    assert both["note"].notna().tolist() == [False, False, False, True]
    assert both.index.tolist() == [0, 1, 2, 3]
    with pytest.raises(ReregisterError, match="there are no results to read"):
        read_results([])


def test_the_same_content_has_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {"1.moving": np.arange(12.0).reshape(3, 4), "0.fixed": np.zeros((2, 2), np.float32)}
    for folder, clock in ((tmp_path / "a", 1e9), (tmp_path / "b", 2e9)):
        monkeypatch.setattr("time.time", lambda clock=clock: clock)
        write_frame(folder / "frame.csv", _results(ncc=[1 / 3, 2 / 3]))
        write_array(folder / "array.npy", arrays["1.moving"])
        write_arrays(folder / "arrays.npz", arrays)
        write_source(folder / "source.csv", [Member("x.gz", 3, "a" * 64, "synthetic")])
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    with zipfile.ZipFile(tmp_path / "a" / "arrays.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    # Nothing temporary is left beside them.
    assert len(list((tmp_path / "a").iterdir())) == 4


def test_arrays_come_back(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float16)
    write_array(tmp_path / "x.npy", array)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert mapped.dtype == np.float16
    np.testing.assert_array_equal(mapped, array)
    write_arrays(tmp_path / "x.npz", {"0.moving": array, "none": np.zeros((0, 2))})
    with np.load(tmp_path / "x.npz") as back:
        assert back.files == ["0.moving", "none"]
        np.testing.assert_array_equal(back["0.moving"], array)


def test_objects_are_not_pickled_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_array(tmp_path / "x.npy", np.array([{}], dtype=object))
    assert list(tmp_path.iterdir()) == []


def test_source_round_trip(tmp_path: Path) -> None:
    members = [Member("a, b.gz", 0, "0" * 64, "original-verified"), Member('ö "x".tgz', 2**40, "f" * 64, "subset 3/10")]
    write_source(tmp_path / "source.csv", members)
    assert read_source(tmp_path / "source.csv") == members
    assert (tmp_path / "source.csv").read_text(encoding="utf-8").splitlines()[0] == "member,bytes,sha256,origin"


@pytest.fixture
def member() -> Member:
    return Member("images.gz", 5, hashlib.sha256(b"bytes").hexdigest(), "original-verified")


def test_members_are_found_by_name_or_by_hash(tmp_path: Path, member: Member) -> None:
    (tmp_path / "images.gz").write_bytes(b"bytes")
    for mode in ("standin", "path"):
        assert locate(member, tmp_path, mode) == tmp_path / "images.gz"
    cached = download._address(tmp_path, member.sha256, member.member)
    with pytest.raises(ReregisterError, match=r"images\.gz is gone"):
        locate(member, tmp_path, "download")
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"bytes")
    assert locate(member, tmp_path, "download") == cached


@pytest.mark.parametrize("mode", ["standin", "path", "download"])
def test_members_that_are_gone_or_changed_are_refused(tmp_path: Path, member: Member, mode: str) -> None:
    place = tmp_path / "sha256" / member.sha256[:2] / member.sha256 if mode == "download" else tmp_path
    with pytest.raises(
        ReregisterError, match=r"images\.gz is gone since the dataset was fetched; put it back, or delete"
    ):
        locate(member, tmp_path, mode)
    place.mkdir(parents=True, exist_ok=True)
    # Five bytes as before: only the hash can tell.
    (place / "images.gz").write_bytes(b"bytez")
    found = hashlib.sha256(b"bytez").hexdigest()
    with pytest.raises(
        ReregisterError, match=rf"has changed .*: sha256 {found}, not {member.sha256}; delete source\.csv"
    ):
        locate(member, tmp_path, mode)
    (place / "images.gz").unlink()
    (place / "images.gz").mkdir()
    with pytest.raises(ReregisterError, match="is gone"):
        locate(member, tmp_path, mode)
