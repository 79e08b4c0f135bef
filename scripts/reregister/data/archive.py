"""Zips, tars, folders and loose files as one list of members, read one by one without unpacking to disk."""

import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from reregister.errors import ReregisterError

_UNREADABLE = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_JUNK_FOLDERS = frozenset({"__MACOSX", ".AppleDouble", ".git"})
_JUNK_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})

Opened = zipfile.ZipFile | tarfile.TarFile
#: (official name of the file on disk, what gives the member's bytes).
Entry = tuple[str, Callable[[], bytes]]


class Archive:
    """The members of several sources as if they were one archive; a context manager that closes them.

    sources: paths, or paths by official name. A name that ends in .zip, .tar, .tar.gz, .tgz (.tar.bz2, .tar.xz) is an
        archive, a directory gives the files below it, any other file is a member itself, under its name.
    names: POSIX paths of all members, sorted; a folder's are relative to it. Directories and the litter of desktops
        (__MACOSX/, .DS_Store, ._*, Thumbs.db) are left out.
    A compressed tar is unpacked again from its start for a member that lies before the last one that was read.
    Raises ReregisterError for a source that is missing or does not open, a member with an absolute path or `..`, a
    link or device, and a name that occurs twice.
    """

    def __init__(self, sources: Sequence[Path] | Mapping[str, Path]) -> None:
        named = sources if isinstance(sources, Mapping) else {Path(path).name: Path(path) for path in sources}
        if len(named) < len(sources):
            raise ReregisterError("Two of the archives have the same file name; give each archive once.")
        self._entries: dict[str, Entry] = {}
        self._opened: list[Opened] = []
        try:
            for name, path in named.items():
                self._add(name, Path(path))
        except BaseException:
            self.close()
            raise
        self.names: list[str] = sorted(self._entries)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the archives; nothing can be read after that."""
        while self._opened:
            self._opened.pop().close()

    def find(self, pattern: str) -> Iterator[tuple[str, re.Match[str]]]:
        """Members whose name, or the end of it after a slash, matches a regular expression to its end, in order.

        So `a/b\\.txt` finds `a/b.txt` and `top/a/b.txt`, not `aa/b.txt`. Yields names with their match.
        """
        expression = re.compile(rf"(?:.*/)?{pattern}")
        for name in self.names:
            if match := expression.fullmatch(name):
                yield name, match

    def source(self, name: str) -> str:
        """Official name of the archive that holds a member; for a file on disk the member's own name."""
        return self._entry(name)[0]

    def read(self, name: str) -> bytes:
        """Bytes of a member. Raises ReregisterError where there is none such, or its bytes are damaged."""
        source, read = self._entry(name)
        try:
            return read()
        except _UNREADABLE as error:
            place = name if name == source else f"{name} in {source}"
            raise ReregisterError(
                f"{place} cannot be read ({error or type(error).__name__}); fetch or copy it again."
            ) from error

    def _entry(self, name: str) -> Entry:
        if name not in self._entries:
            raise ReregisterError(f"The data lack the file {name}; check that the archive or folder is complete.")
        return self._entries[name]

    def _add(self, name: str, path: Path) -> None:
        if path.is_dir():
            found = _in_folder(path)
        elif not path.is_file():
            raise ReregisterError(f"{path} does not exist; put {name} there or correct the path.")
        elif name.lower().endswith((".zip", *_TARS)):
            found = self._in_archive(name, path)
        else:
            found = iter([(name, name, path.read_bytes)])
        for member, source, read in found:
            checked = _checked(member, name)
            if _is_junk(checked):
                continue
            if checked in self._entries:
                other = self._entries[checked][0]
                raise ReregisterError(f"{checked} occurs twice, in {other} and in {name}; one of the two must go.")
            self._entries[checked] = (checked if source == member else source, read)

    def _in_archive(self, name: str, path: Path) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
        kind = "zip" if name.lower().endswith(".zip") else "tar"
        try:
            archive = _open(path, kind)
            self._opened.append(archive)
            found = _zip_members(archive, name) if isinstance(archive, zipfile.ZipFile) else _tar_members(archive, name)
            members = list(found)
        except _UNREADABLE as error:
            raise ReregisterError(f"{path} does not open as {kind} ({error}); fetch {name} again.") from error
        yield from ((member, name, read) for member, read in members)


def _open(path: Path, kind: str) -> Opened:
    if kind == "zip":
        return zipfile.ZipFile(path)
    return tarfile.open(path, "r:*")


def _in_folder(path: Path) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    def refuse(error: OSError) -> None:
        raise ReregisterError(
            f"{error.filename} cannot be listed ({error.strerror}); check its permissions."
        ) from error

    for folder, folders, files in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if name not in _JUNK_FOLDERS]
        for name in [*folders, *files]:
            place = Path(folder, name)
            if place.is_symlink():
                raise ReregisterError(f"{place} is a link; put the file or folder itself there.")
        for name in files:
            place = Path(folder, name)
            member = place.relative_to(path).as_posix()
            yield member, member, place.read_bytes


def _zip_members(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for info in archive.infolist():
        mode = stat.S_IFMT(info.external_attr >> 16)
        if mode not in (0, stat.S_IFREG, stat.S_IFDIR):  # 0: packed on a system without modes
            raise ReregisterError(f"{name} holds {info.filename}, a link or device; archives may hold files only.")
        if info.is_dir() or mode == stat.S_IFDIR:
            _checked(info.filename, name)
        else:
            yield info.filename, partial(archive.read, info)


def _tar_members(archive: tarfile.TarFile, name: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for info in archive:
        if info.isdir():
            _checked(info.name, name)
        elif info.isfile():
            yield info.name, partial(_read_tar, archive, info)
        else:
            raise ReregisterError(f"{name} holds {info.name}, a link or device; archives may hold files only.")


def _read_tar(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(info)
    assert stream is not None  # None for what is no file, which does not get here
    with stream:
        data = stream.read()
    if len(data) < info.size:
        raise EOFError(f"{len(data)} of {info.size} bytes")
    return data


def _checked(member: str, archive: str) -> str:
    """A member's path in POSIX form without `.` parts. Raises ReregisterError where it leads out of the archive."""
    path = member.replace("\\", "/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in path.split("/") or "\0" in path:
        raise ReregisterError(f"{archive} holds the unsafe path {member!r}; use the official archive.")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _is_junk(path: str) -> bool:
    *folders, name = path.split("/")
    return name in _JUNK_FILES or name.startswith("._") or not _JUNK_FOLDERS.isdisjoint(folders)
