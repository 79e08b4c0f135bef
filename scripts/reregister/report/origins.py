"""Where a dataset's files come from, in words."""

import re
from pathlib import Path
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


def data_origin(source: Path) -> dict[str, Any]:
    """Name, origin class and files of a dataset, from its source table."""
    header, rows = read_table(source)
    files = [dict(zip(header, row, strict=True)) for row in rows]
    origins = sorted({file["origin"] for file in files})
    what = "; ".join(f"{origin}: {origin_text(origin)}" for origin in origins)
    return {"name": source.parent.name, "origins": origins, "what": what, "files": files}
