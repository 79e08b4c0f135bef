"""Where a dataset's files come from, in words."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from reregister.report.tables import read_table

# What is said of data in a badge, by origin class.
ORIGINS = {
    "original-verified": "the original files, verified by their published checksum",
    "original-first-use": "the files as first downloaded; no checksum is published",
    "substitute": "other data in the place of the paper's",
    "synthetic": "a synthetic stand-in in the official layout, not the data of the paper",
}


def origin_text(origin: str) -> str:
    """What an origin class means. Raises KeyError for a class that is none."""
    kept = re.fullmatch(r"subset ([0-9]+)/([0-9]+)", origin)
    return f"{kept[1]} of the {kept[2]} originals" if kept else ORIGINS[origin]


def anatomy_of(making: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Name and sha256 of the real label map whose anatomy a stand-in shows; None where it shows none.

    making: the receipt of `make_standin`, None of data that are no stand-in.
    """
    maps = making["call"]["input"].get("anatomy") if making else None
    if not making or not maps:
        return None
    return {"name": PurePosixPath(maps[0]).name, "sha256": making["recipe"]["inputs"][maps[0]]}


def data_origin(source: Path, making: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Name, origin class, files and anatomy (see `anatomy_of`) of a dataset, from its source table and the receipt `making`."""
    header, rows = read_table(source)
    files = [dict(zip(header, row, strict=True)) for row in rows]
    origins = sorted({file["origin"] for file in files})
    what = "; ".join(f"{origin}: {origin_text(origin)}" for origin in origins)
    if anatomy := anatomy_of(making):
        what += f", with the anatomy of a real label map, {anatomy['name']}, but grey values and deformations made up"
    return {"name": source.parent.name, "origins": origins, "what": what, "files": files, "anatomy": anatomy}
