"""What a run did, from its receipts: its jobs, the files that they wrote and read, and the archives behind them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reregister.errors import ReregisterError
from reregister.provenance.files import sha256_file
from reregister.provenance.receipt import read_receipt
from reregister.report.origins import data_origin

Receipts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Content:
    """A file's bytes: their sha256, and how many there are (None where no record says it)."""

    sha256: str
    bytes: int | None


@dataclass(frozen=True)
class Archive:
    """One file of a dataset as its source table has it. name: as receipts name it; origin: its class."""

    name: str
    origin: str


@dataclass(frozen=True)
class History:
    """A run's jobs and files, by the names that receipts give them.

    made: files in the run folder, the receipts among them. given: files that no job wrote; they belong to the user, the
    cache or the project and need not be at hand. archives, origins: per dataset its files, and their origin in words.
    """

    run_folder: Path
    receipts: Receipts
    made: Mapping[str, Content]
    given: Mapping[str, Content]
    archives: Mapping[str, list[Archive]]
    origins: Mapping[str, str]

    def ends(self) -> list[str]:
        """Files that jobs made and no job read, the receipts left out: what the run is for."""
        read = {name for receipt in self.receipts.values() for name in receipt["recipe"]["inputs"]}
        return [name for name in self.made if name not in read and name not in self.receipts]


def read_history(run_folder: Path, receipts: Iterable[Path], sources: Iterable[Path]) -> History:
    """The history of a run. sources: the source tables (`source.csv`) of its datasets.

    Raises ReregisterError where a file that a job made is gone, or where a job read something else than another wrote.
    """
    records, made = {}, {}
    for path in receipts:
        name = path.relative_to(run_folder).as_posix()
        records[name] = read_receipt(path)
        made[name] = Content(sha256_file(path), path.stat().st_size)
    for record in records.values():
        made |= {name: Content(entry["sha256"], entry["bytes"]) for name, entry in record["outputs"].items()}
    for name in made:
        if not (run_folder / name).is_file():
            raise ReregisterError(f"{run_folder / name} is gone, though a receipt names it; run the workflow again")
    given = _given(run_folder, records, made)
    archives, origins = {}, {}
    for source in sources:
        about = data_origin(source)
        archives[about["name"]] = [_archive(about["name"], row, made, given) for row in about["files"]]
        origins[about["name"]] = about["what"]
    return History(run_folder, records, made, given, archives, origins)


def _given(run_folder: Path, records: Receipts, made: Mapping[str, Content]) -> dict[str, Content]:
    given: dict[str, Content] = {}
    for place, record in records.items():
        for name, sha256 in record["recipe"]["inputs"].items():
            known = made.get(name) or given.setdefault(name, Content(sha256, None))
            if known.sha256 != sha256:
                raise ReregisterError(
                    f"{run_folder / place} read {name} with another content than it has in the rest of the record; "
                    "run the workflow again"
                )
    return given


def _archive(dataset: str, row: Mapping[str, str], made: Mapping[str, Content], given: dict[str, Content]) -> Archive:
    """One row of a source table; a file of the user or of the cache becomes a given one, with its size."""
    name = f"data/{dataset}/standin/{row['member']}"
    if name not in made:
        name = f"data/{dataset}/{row['member']}"
        given[name] = Content(row["sha256"], int(row["bytes"]))
    return Archive(name, row["origin"])
