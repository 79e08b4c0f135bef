"""Archives, folders and loose files as one list of members, and members that may not be in one."""

import io
import os
import tarfile
import zipfile

import pytest

from reregister.data.archive import Archive
from reregister.errors import ReregisterError

FILES = {"top/a/one.txt": b"1", "top/b/two.txt": b"22", "top/three.csv": b"333"}
JUNK = {"__MACOSX/top/a/._one.txt": b"x", "top/.DS_Store": b"x", "top/a/._one.txt": b"x"}


def make_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("top")
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def make_folder(path, files):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


MAKERS = {
    "x.zip": make_zip,
    "x.tar": make_tar,
    "x.tar.gz": lambda path, files: make_tar(path, files, "w:gz"),
    "x.tgz": lambda path, files: make_tar(path, files, "w:gz"),
    "folder": make_folder,
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_kind_gives_the_same_members(tmp_path, name):
    with Archive([MAKERS[name](tmp_path / name, {**FILES, **JUNK})]) as archive:
        assert archive.names == sorted(FILES)
        # From the last to the first: a compressed tar has to go back.
        assert {member: archive.read(member) for member in reversed(archive.names)} == FILES
        expected = "top/a/one.txt" if name == "folder" else name
        assert archive.source("top/a/one.txt") == expected
        with pytest.raises(ReregisterError, match="lack the file top/four"):
            archive.read("top/four")


def test_several_sources_are_one(tmp_path):
    first = make_zip(tmp_path / "I_01.zip", {"S1/a.txt": b"a"})
    second = make_tar(tmp_path / "I_02.tar", {"parent/S2/b.txt": b"b"})
    (tmp_path / "stored").write_bytes(b"table")
    sources = {"I_01.zip": first, "I_02.tar": second, "patients.csv": tmp_path / "stored"}
    with Archive(sources) as archive:
        assert archive.names == ["S1/a.txt", "parent/S2/b.txt", "patients.csv"]
        found = [(name, match[1], match[2]) for name, match in archive.find(r"(S\d)/(\w)\.txt")]
        assert found == [("S1/a.txt", "S1", "a"), ("parent/S2/b.txt", "S2", "b")]
        assert archive.source("parent/S2/b.txt") == "I_02.tar"
        assert archive.read("patients.csv") == b"table"
        assert archive.source("patients.csv") == "patients.csv"
        # A name is matched from a slash on, not from its middle.
        assert list(archive.find(r"1/a\.txt")) == []


def test_backslashes_and_dots_of_a_name(tmp_path):
    with Archive([make_zip(tmp_path / "x.zip", {"top\\a.txt": b"a", "./b.txt": b"b"})]) as archive:
        assert archive.names == ["b.txt", "top/a.txt"]
        assert archive.read("top/a.txt") == b"a"


@pytest.mark.parametrize("kind", ["x.zip", "x.tar", "x.tgz"])
@pytest.mark.parametrize("bad", ["/etc/passwd", "../up.txt", "a/../../up.txt", "C:\\up.txt", "..\\up.txt"])
def test_unsafe_paths_are_refused(tmp_path, kind, bad):
    path = MAKERS[kind](tmp_path / kind, {"good.txt": b"", bad: b""})
    with pytest.raises(ReregisterError, match=rf"{kind} holds the unsafe path"):
        Archive([path])


def test_links_and_devices_are_refused(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "target"
        with tarfile.open(tmp_path / "x.tar", "w") as tar:
            tar.addfile(info)
        with pytest.raises(ReregisterError, match=r"x\.tar holds link, a link or device"):
            Archive([tmp_path / "x.tar"])
    zipped = zipfile.ZipInfo("link")
    zipped.external_attr = 0o120777 << 16
    make_zip(tmp_path / "x.zip", {zipped: b"/etc/passwd"})
    with pytest.raises(ReregisterError, match=r"x\.zip holds link, a link or device"):
        Archive([tmp_path / "x.zip"])
    folder = make_folder(tmp_path / "folder", FILES)
    os.symlink(tmp_path, folder / "top" / "out")
    with pytest.raises(ReregisterError, match=r"top.out is a link"):
        Archive([folder])


def test_a_name_that_occurs_twice(tmp_path):
    paths = [make_zip(tmp_path / name, {"a.txt": b""}) for name in ("1.zip", "2.zip")]
    with pytest.raises(ReregisterError, match=r"a\.txt occurs twice, in 1\.zip and in 2\.zip"):
        Archive(paths)
    with pytest.raises(ReregisterError, match="same file name"):
        Archive([paths[0], paths[0]])


def test_sources_that_do_not_open(tmp_path):
    with pytest.raises(ReregisterError, match=r"gone\.zip does not exist"):
        Archive([tmp_path / "gone.zip"])
    for name in ("page.zip", "page.tgz"):
        (tmp_path / name).write_bytes(b"<!doctype html><p>403")
        with pytest.raises(ReregisterError, match=rf"{name} does not open as"):
            Archive([tmp_path / name])


def test_damaged_members(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", b"intact text")
    path.write_bytes(path.read_bytes().replace(b"intact", b"broken"))
    with Archive([path]) as archive, pytest.raises(ReregisterError, match=r"a\.txt in x\.zip cannot be read"):
        archive.read("a.txt")
    cut = make_tar(tmp_path / "x.tar", {"a.txt": bytes(range(250)) * 100})
    cut.write_bytes(cut.read_bytes()[:2000])
    with pytest.raises(ReregisterError, match=r"x\.tar"), Archive([cut]) as archive:
        archive.read("a.txt")
