"""Judging a dataset's files: is this the published one, may it be used, what is it to be called."""

import gzip
import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reregister.errors import ReregisterError
from reregister.provenance.files import sha256_file

_BLOCK = 1 << 20
_UNREADABLE = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError, ValueError)


class UnfitFile(Exception):
    """A file that is not what the dataset's entry describes; the message is a verb phrase, "is empty"."""


@dataclass(frozen=True)
class Fetched:
    """A dataset file that passed its checks.

    path: where it lies, in the cache or with the user.
    bytes, sha256: measured on that file now.
    url: the mirror it came from; None if the cache had it under its published sum, or if it is the user's own.
    """

    path: Path
    bytes: int
    sha256: str
    url: str | None


def looks_like_html(head: bytes) -> bool:
    """Whether the first bytes of a file open a web page, after a byte order mark and white space."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!doctype", b"<html"))


def check_archive(path: Path, name: str) -> None:
    """Read a .gz, .zip, .tar, .tar.gz or .tgz to its end, so that a cut or garbled one shows.

    name: the official file name, whose ending says the format; a local copy may be called otherwise. Files with other
    endings pass. Raises UnfitFile.
    """
    found = next((entry for entry in _FORMATS if name.lower().endswith(entry[0])), None)
    if found is None:
        return
    _, kind, read_through = found
    try:
        read_through(path)
    except _UNREADABLE as error:
        raise UnfitFile(
            f"does not open as {kind} ({error or type(error).__name__}), so it is cut or damaged"
        ) from error


def _read_gzip(path: Path) -> None:
    with gzip.open(path) as stream:
        _drain(stream)


def _read_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"wrong checksum of member {damaged}")


def _read_tar(path: Path) -> None:
    with tarfile.open(path, "r:") as archive:
        for _ in archive:
            pass


def _read_tar_gzip(path: Path) -> None:
    # The archive may end before the gzip stream does, whose checksum stands last: read on.
    with gzip.open(path) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for _ in archive:
                pass
        _drain(stream)


def _drain(stream: gzip.GzipFile) -> None:
    while stream.read(_BLOCK):
        pass


_FORMATS: tuple[tuple[str, str, Callable[[Path], None]], ...] = (
    (".tar.gz", "tar.gz", _read_tar_gzip),  # before .gz, whose ending it has too
    (".tgz", "tar.gz", _read_tar_gzip),
    (".gz", "gzip", _read_gzip),
    (".zip", "zip", _read_zip),
    (".tar", "tar", _read_tar),
)


def verify(path: Path, file: Mapping[str, Any], sha256: str | None) -> tuple[int, str]:
    """Hold a file to its entry: not a web page, not empty, opens as an archive, size, sha256.

    file: `name`, and `bytes` and `md5` (None where none is published).
    sha256: the sum to hold it to, None to accept any. A file with the right sum needs no other check.
    Returns (bytes, sha256) as measured. Raises UnfitFile with the first reason against the file.
    """
    size, found = path.stat().st_size, sha256_file(path)
    if found == sha256:
        return size, found
    with open(path, "rb") as stream:
        if looks_like_html(stream.read(512)):
            raise UnfitFile("is an HTML page instead of the data, often a login or error page")
    if size == 0:
        raise UnfitFile("is empty")
    expected = size if file.get("bytes") is None else file["bytes"]
    lengths = f"{size} instead of {expected} bytes"
    if size > expected:
        raise UnfitFile(f"is longer than published, {lengths}")
    try:
        check_archive(path, file["name"])
    except UnfitFile as error:
        raise UnfitFile(f"{error}: {lengths}" if size < expected else str(error)) from error
    if size < expected:
        raise UnfitFile(f"is shorter than published, {lengths}")
    if wrong := other_sum(path, found, {**file, "sha256": sha256}):
        raise UnfitFile(wrong)
    return size, found


def other_sum(path: Path, sha256: str, file: Mapping[str, Any]) -> str | None:
    """How the checksum of a file differs from the published one, as a verb phrase; None where it does not.

    sha256: the file's. file: `sha256` and `md5`, each None where none is published.
    """
    if file.get("sha256") not in (None, sha256):
        return f"has sha256 {sha256} instead of {file['sha256']}"
    if file.get("md5") is None:
        return None
    with open(path, "rb") as stream:
        # It guards against damage and mistakes, not against forgers, so it may pass where MD5 is barred for security.
        md5 = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None if md5 == file["md5"] else f"has md5 {md5} instead of {file['md5']}"


def check_local(path: Path, file: Mapping[str, Any]) -> Fetched:
    """Hold a file on the user's disk to the checks of a download; it stays where it is and is never copied.

    file: the dataset's entry, `name`, `bytes`, `sha256` and `md5` (None where none is published).
    Returns a Fetched without URL. Raises ReregisterError that names the path, the file expected and the reason.
    """
    path, name = Path(path), file["name"]
    if not path.exists():
        raise ReregisterError(f"{path} does not exist; {name} is expected there, so put it there or correct the path.")
    if not path.is_file():
        raise ReregisterError(f"{path} is not a file; name the file {name} itself.")
    try:
        size, sha256 = verify(path, file, file.get("sha256"))
    except UnfitFile as error:
        raise ReregisterError(f"{path} cannot serve as {name}: it {error}; fetch {name} again.") from error
    except OSError as error:
        raise ReregisterError(f"{path} cannot be read as {name}: {error.strerror}; check its permissions.") from error
    return Fetched(path, size, sha256, None)


def origin_of(file: Mapping[str, Any], mode: str) -> str:
    """Origin class of a file that `fetch` or `check_local` let pass, which both refuse a wrong published sum.

    mode: `standin`, or how the original came (`path`, `download`).
    Returns `synthetic`, `original-verified` (a sum is published) or `original-first-use`.
    """
    if mode == "standin":
        return "synthetic"
    return "original-verified" if file.get("sha256") or file.get("md5") else "original-first-use"


def require_terms(dataset: str, terms: str | None, accepted: Sequence[str]) -> None:
    """Refuse a dataset whose terms of use were not declared as read.

    terms: their text or address, None where there are none. accepted: the config's `accept_terms`.
    Raises ReregisterError with the terms and what to write, the datasets accepted before included.
    """
    if terms and dataset not in accepted:
        declared = ",".join(sorted({*accepted, dataset}))
        raise ReregisterError(
            f"{dataset} comes with terms of use ({terms.strip().rstrip('.')}); read them, and if you accept them "
            f"add --config 'accept_terms=[{declared}]'."
        )
