"""Dataset archives from their mirrors into a content-addressed cache."""

import errno
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from json import JSONDecodeError, dumps, loads
from pathlib import Path
from typing import Any

from reregister.data.sources import Fetched, UnfitFile, verify
from reregister.data.transfer import MirrorFailed, Transfer
from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path

_ABANDONED = 24 * 3600  # seconds without growth after which a part belongs to a job that was killed


def cache_folder() -> Path:
    """Where archives are kept: the environment variable REREGISTER_CACHE, else ~/.cache/reregister."""
    named = os.environ.get("REREGISTER_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "reregister"


def fetch(
    file: Mapping[str, Any],
    cache: Path,
    *,
    dataset: str,
    timeout: float = 30.0,
    report: Callable[[str], object] = print,
) -> Fetched:
    """A dataset file from the cache, or from the first of its mirrors that gives it.

    file: `name`, `urls` (mirrors in order), `bytes`, `sha256` and `md5` (None where none is published).
    cache: the file comes to lie at sha256/<first two digits>/<sha256>/<name> below it. Without a published sha256 the
        sum found first is pinned in first_use/<dataset>/<name>.json, and every later copy is held to it.
    timeout: seconds to connect, and seconds without data.
    report: takes one line of progress at a time.
    Safe beside other processes that fetch the same file. A failure leaves nothing new in the cache.
    Raises ReregisterError where no mirror gives the right file (each is named with its reason) or the cache cannot be
    written.
    """
    cache = Path(cache)
    pin = None if file.get("sha256") else cache / "first_use" / dataset / f"{file['name']}.json"
    try:
        cached = _from_cache(file, cache, pin, report)
        return cached or _from_mirrors(file, cache, pin, dataset, timeout, report)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = f"the disk of {cache} is full; free space there or set REREGISTER_CACHE to a folder with more"
        else:
            advice = f"the cache {cache} cannot be used ({error}); mend it or set REREGISTER_CACHE to another folder"
        raise ReregisterError(f"{dataset}: {file['name']} cannot be stored, {advice}.") from error


def _from_cache(
    file: Mapping[str, Any], cache: Path, pin: Path | None, report: Callable[[str], object]
) -> Fetched | None:
    pinned = _read_pin(pin)
    sha256 = file.get("sha256") or pinned.get("sha256")
    if sha256 is None:
        return None
    path = _address(cache, sha256, file["name"])
    try:
        size, _ = verify(path, file, sha256)
    except FileNotFoundError:
        return None
    except UnfitFile:
        report(f"{path} is damaged and is fetched again")
        return None
    return Fetched(path, size, sha256, pinned.get("url"))


def _from_mirrors(
    file: Mapping[str, Any],
    cache: Path,
    pin: Path | None,
    dataset: str,
    timeout: float,
    report: Callable[[str], object],
) -> Fetched:
    reasons = []
    with _part_file(cache, file["name"]) as part:
        for url in file["urls"]:
            report(f"{dataset}: fetching {file['name']} from {url}")
            try:
                guarded = bool(file.get("sha256") or file.get("md5"))
                Transfer(url, part, file.get("bytes"), guarded, timeout, report).run()
                size, sha256 = verify(part, file, file.get("sha256"))
                _compare_with_pin(pin, sha256)
            except MirrorFailed as error:
                reasons.append(f"{url} {error}")
            except UnfitFile as error:
                reasons.append(f"what {url} gave {error}")
            else:
                return _store(part, Fetched(_address(cache, sha256, file["name"]), size, sha256, url), cache, pin)
            report(reasons[-1])
    tried = "; ".join(reasons) or "no address is known"
    raise ReregisterError(
        f"{dataset}: {file['name']} cannot be fetched: {tried}; try again later, or get the file by hand and give its "
        f"path as data.{dataset}."
    )


def _store(part: Path, fetched: Fetched, cache: Path, pin: Path | None) -> Fetched:
    with open(part, "rb+") as stream:
        os.fsync(stream.fileno())
    with _folder(fetched.path.parent):
        if pin is None:
            os.replace(part, fetched.path)
            return fetched
        with _folder(pin.parent), atomic_path(pin) as temporary:
            # The pin is written first and moved last: a full disk shows before the archive is in its place.
            record = {"bytes": fetched.bytes, "sha256": fetched.sha256, "url": fetched.url}
            temporary.write_text(dumps(record, sort_keys=True, indent=1) + "\n", encoding="utf-8")
            os.replace(part, fetched.path)
    return fetched


def _address(cache: Path, sha256: str, name: str) -> Path:
    return cache / "sha256" / sha256[:2] / sha256 / name


def _read_pin(pin: Path | None) -> dict[str, Any]:
    if pin is None or not pin.exists():
        return {}
    try:
        return dict(loads(pin.read_text(encoding="utf-8")))
    except (JSONDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise ReregisterError(f"{pin} is no record of a first use; delete it to record the file anew.") from error


def _compare_with_pin(pin: Path | None, sha256: str) -> None:
    pinned = _read_pin(pin).get("sha256")
    if pinned not in (None, sha256):
        raise UnfitFile(
            f"has sha256 {sha256} instead of {pinned} as at first use (if the publisher changed the file, delete {pin})"
        )


@contextmanager
def _folder(folder: Path) -> Iterator[Path]:
    """A folder that is there; on leaving, those of its parents made here that stayed empty go again."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    finally:
        for path in made:
            with suppress(OSError):
                path.rmdir()


@contextmanager
def _part_file(cache: Path, name: str) -> Iterator[Path]:
    """An empty file in the cache that no other process knows; it is gone on leaving."""
    with _folder(cache / "partial") as folder:
        _sweep(folder)
        part = folder / f"{name}.{uuid.uuid4().hex}.part"
        try:
            _create(part)
            yield part
        finally:
            part.unlink(missing_ok=True)
            with suppress(OSError):  # not empty: others are at work, and the last one takes it away
                folder.rmdir()


def _create(part: Path) -> None:
    # Another process may take the empty folder away between the making of the folder and that of the file.
    for last in (False, False, False, True):
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            return part.touch(exist_ok=False)
        except FileNotFoundError:
            if last:
                raise


def _sweep(folder: Path) -> None:
    """Remove the parts of jobs that were killed; a part in use grows, and is given up long before a day without."""
    for part in folder.glob("*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED:
                part.unlink()
