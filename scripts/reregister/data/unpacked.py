"""A dataset that the user holds unpacked, in whole or in part: which files belong to it, and of how many cases they are."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(re.fullmatch(rf"(?:.*/)?{pattern}", name) for pattern in patterns)


def unpacked_files(folder: Path, files: Sequence[Mapping[str, Any]], unpacked: Mapping[str, Any]) -> list[Path]:
    """Files below a folder that belong to a dataset, sorted: what is left of its archives, and what they hold.

    files: the dataset's archives. unpacked: `case`, a regular expression with the case's name as its group, and `others`,
    further expressions; each is held against the end of a path, after a slash. Empty where there is neither an archive
    nor a file of a case.
    """
    archives = [folder / file["name"] for file in files if (folder / file["name"]).is_file()]
    found = []
    for top, folders, names in os.walk(folder):
        folders.sort()
        paths = [Path(top, name) for name in names]
        found += [
            p for p in paths if _matches([unpacked["case"], *unpacked["others"]], p.relative_to(folder).as_posix())
        ]
    packed = any(archive.suffix != ".csv" for archive in archives)
    whole = sorted({*archives, *found})
    return whole if packed or cases_in(whole, unpacked) else []


def cases_in(names: Iterable[str | Path], unpacked: Mapping[str, Any]) -> int:
    """Number of different cases among the paths of a dataset's files, in an archive or unpacked."""
    expression = re.compile(rf"(?:.*/)?{unpacked['case']}")
    matches = (expression.fullmatch(str(name)) for name in names)
    return len({match[1] for match in matches if match})


def subset_name(names: Iterable[str | Path], unpacked: Mapping[str, Any]) -> str | None:
    """`subset 3/45` where the files are of fewer cases than the dataset has, else None."""
    found, all_cases = cases_in(names, unpacked), unpacked["cases"]
    return f"subset {found}/{all_cases}" if found < all_cases else None
