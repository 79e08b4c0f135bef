"""Hashing and writing files so that a reader never meets half of one. Standard library only."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hex sha256 of a file's bytes. Raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resolver() -> Callable[[str | os.PathLike[str]], str]:
    """`os.path.realpath` for many files of few folders: each folder is resolved once, each file looked at once.

    For one pass over paths: what changes between two calls of what it returns may not be seen.
    """
    folders: dict[str, str] = {}

    def real(path: str | os.PathLike[str]) -> str:
        folder, name = os.path.split(os.fspath(path))
        if name in ("", os.curdir, os.pardir):
            return os.path.realpath(path)
        if folder not in folders:
            folders[folder] = real(folder)
        place = os.path.join(folders[folder], name)
        return os.path.realpath(place) if os.path.islink(place) else place

    return real


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, the form that is hashed. NaN and Infinity raise ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_json(value: Any) -> str:
    """Hex sha256 of `canonical_json(value)`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well and removed when it does not.

    The temporary name keeps the suffix of `path`, because numpy, matplotlib and others choose the format by it.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not the process id: two nodes of a cluster may have the same one and write the same file of the store.
    temporary = target.with_name(f".{uuid.uuid4().hex[:12]}.{target.name}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file (UTF-8, no newline translation) in one piece."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: str | os.PathLike[str], value: Any, sort_keys: bool = True) -> None:
    """Write indented JSON in one piece, with sorted keys unless their order has a meaning. NaN raises ValueError."""
    write_text(path, json.dumps(value, sort_keys=sort_keys, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
