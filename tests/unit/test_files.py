"""Hashes that stay, and files that are whole or not there."""

import errno
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reregister.provenance import files
from reregister.provenance.files import atomic_path, canonical_json, sha256_file, sha256_json, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_sha256_is_that_of_the_system_tool(tmp_path: Path) -> None:
    path = tmp_path / "volume.raw"
    path.write_bytes(bytes(range(256)) * 5000)
    tool = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    assert sha256_file(path) == tool.stdout.split()[0]
    with pytest.raises(FileNotFoundError):
        sha256_file(tmp_path / "absent")


def test_many_paths_are_resolved_as_one_by_one(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    (tmp_path / "folder").symlink_to(inner)
    (inner / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").symlink_to("a/b/file")
    (inner / "up").symlink_to("..")
    (inner / "loop").symlink_to("loop")
    below = ["file", "link", "absent", "up", "up/b/link", ".", "..", "../b/file", "loop", "loop/x", ""]
    paths = [f"{start}/{name}" for start in (inner, tmp_path / "folder") for name in below]
    paths += [*below, "/", "//", "/proc/self/exe", os.path.relpath(inner), str(tmp_path / "folder" / "..")]
    real = files.resolver()
    assert [real(path) for path in paths * 2] == [os.path.realpath(path) for path in paths * 2]
    assert real(tmp_path / "folder" / "link") == os.path.realpath(inner / "file")


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    one = {"b": [1, 2.5, None, True], "a": {"ö": "é", "x": 1e-08}}
    two = {"a": {"x": 1e-08, "ö": "é"}, "b": [1, 2.5, None, True]}
    assert canonical_json(one) == canonical_json(two) == '{"a":{"x":1e-08,"ö":"é"},"b":[1,2.5,null,true]}'
    assert sha256_json(one) == hashlib.sha256('{"a":{"x":1e-08,"ö":"é"},"b":[1,2.5,null,true]}'.encode()).hexdigest()


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, "1"), (True, 1), (None, "null"), ([1, 2], [2, 1]), ({}, [])])
def test_values_of_different_type_or_order_have_different_hashes(one: Any, other: Any) -> None:
    assert sha256_json({"v": one}) != sha256_json({"v": other})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_lacks_are_refused(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"loss": value})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "out.json", {"loss": value})
    assert names(tmp_path) == []


def test_json_files_are_sorted_unless_order_has_a_meaning(tmp_path: Path) -> None:
    value = {"b": 1, "a": {"d": "ü", "c": 2}}
    write_json(tmp_path / "sorted.json", value)
    write_json(tmp_path / "kept.json", value, sort_keys=False)
    texts = [(tmp_path / name).read_text(encoding="utf-8") for name in ("sorted.json", "kept.json")]
    assert texts[0].index('"a"') < texts[0].index('"b"')
    assert list(json.loads(texts[1])) == ["b", "a"]
    assert json.loads(texts[0]) == json.loads(texts[1]) == value
    assert all(text.endswith("}\n") and "ü" in text for text in texts)


def test_text_is_written_byte_for_byte_into_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "notes.txt"
    write_text(path, "fold 0.1 %\r\nmüde\n")
    assert path.read_bytes() == "fold 0.1 %\r\nmüde\n".encode()
    assert names(path.parent) == ["notes.txt"]


def test_temporary_keeps_the_suffix_and_lies_in_the_same_folder(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "ddf.nii.gz") as first, atomic_path(tmp_path / "ddf.nii.gz") as second:
        assert first.parent == second.parent == tmp_path
        assert first.name.endswith(".nii.gz")
        # Two writers of one file, on two nodes with the same process id, do not meet.
        assert first != second
        first.write_bytes(b"1")
        second.write_bytes(b"2")
    assert (tmp_path / "ddf.nii.gz").read_bytes() == b"1"
    assert names(tmp_path) == ["ddf.nii.gz"]


def test_target_is_not_there_until_the_block_has_ended(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "model.bin") as temporary:
        temporary.write_bytes(b"half")
        assert not (tmp_path / "model.bin").exists()
    assert (tmp_path / "model.bin").read_bytes() == b"half"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(143)])
def test_an_error_leaves_the_old_file_and_nothing_else(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("new, half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert names(tmp_path) == ["metrics.csv"]
    assert path.read_text() == "old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "field.npy"
    path.write_bytes(b"old")

    def fill() -> None:
        with atomic_path(path) as temporary:
            # Bytes sent through this link meet a device without a free byte.
            temporary.symlink_to("/dev/full")
            temporary.write_bytes(bytes(1 << 16))

    with pytest.raises(OSError, match="No space left") as caught:
        fill()
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == ["field.npy"]
    assert path.read_bytes() == b"old"


def test_a_disk_that_is_found_full_only_when_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "field.npy"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert names(tmp_path) == ["field.npy"]
    assert path.read_bytes() == b"old"


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "empty.csv"):
        pass
    assert names(tmp_path) == []
