"""The source table of a dataset: which files it was read from, what they hash to, where they come from."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from reregister.errors import ReregisterError
from reregister.provenance.files import sha256_file, write_text


@dataclass(frozen=True)
class Member:
    """One file of an archive or folder. origin: original-verified, original-first-use, subset k/N, substitute, synthetic."""

    member: str
    bytes: int
    sha256: str
    origin: str


def write_source(path: Path, members: Sequence[Member]) -> None:
    """Write `source.csv`, one row a member."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Member)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(member) for member in members)
    write_text(path, text.getvalue())


def read_source(path: Path) -> list[Member]:
    """The rows of a `source.csv`."""
    with open(path, encoding="utf-8", newline="") as file:
        return [Member(r["member"], int(r["bytes"]), r["sha256"], r["origin"]) for r in csv.DictReader(file)]


def locate(member: Member, location: Path, mode: str) -> Path:
    """Where a member's bytes lie: by its hash in the cache (mode download), by its name in the folder otherwise.

    Raises ReregisterError where it is gone or is no longer what the source table says.
    """
    folder = location / "sha256" / member.sha256[:2] / member.sha256 if mode == "download" else location
    path = folder / member.member
    if not path.is_file():
        raise ReregisterError(
            f"{path} is gone since the dataset was fetched; put it back, or delete source.csv and rerun"
        )
    found = sha256_file(path)
    if found != member.sha256:
        raise ReregisterError(
            f"{path} has changed since the dataset was fetched: sha256 {found}, not {member.sha256}; "
            "delete source.csv and rerun"
        )
    return path
