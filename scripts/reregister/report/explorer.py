"""What the head of a page lets its reader choose from: numbers of some of its tables, in full, and which way is better."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reregister.report.tables import INTERVAL, LABELS, TEXT, columns_of, read_table

# Beginnings of columns, the longer first: whether a higher value is better. Others are counts and say neither.
BETTER = {
    "fold_share": "lower",
    "min_det": "higher",
    "sdlogj": "lower",
    "seconds": "lower",
    "parameters": "lower",
    "dice": "higher",
    "ncc": "higher",
    "ssim": "higher",
    "mse": "lower",
    "hd95": "lower",
    "asd": "lower",
    "field_error": "lower",
}
# Over several powers of ten from the start.
LOGARITHMIC = ("seconds", "parameters", "fold_share")


def explorer_of(
    names: Sequence[str], tables: Mapping[str, Path], exhibits: Sequence[Mapping[str, Any]], context: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The tables of a page by dataset, each with its columns of measures and the values of its methods.

    names: exhibits, in the order to choose from. tables: CSV files by exhibit. exhibits: those of the page, as
    `exhibits.exhibit_of` has them. Of each: id and label of its exhibit, name, said (data, scale and whether they are
    synthetic), columns (key, label, better, interval, log) and rows (method, values: number, low and high, or null).
    """
    shown = {exhibit["name"]: exhibit for exhibit in exhibits}
    return [_set(shown[name], tables[name], context) for name in names]


def _set(exhibit: Mapping[str, Any], path: Path, context: Mapping[str, Any]) -> dict[str, Any]:
    header, rows = read_table(path)
    places = [(place, ends) for place, ends in columns_of(header) if better_of(header[place])]
    places = [(place, ends) for place, ends in places if any(_number(row[place]) is not None for row in rows)]
    experiment = context["experiments"][exhibit["experiment"]]
    made = "synthetic stand-in, " if exhibit["synthetic"] else ""
    return {
        "id": exhibit["name"],
        "label": exhibit["label"],
        "name": experiment["title"],
        "said": f"{context['datasets'][experiment['dataset']]['title']}, {made}{context['scale']} scale",
        "columns": [
            {
                "key": header[place],
                "label": LABELS.get(header[place], header[place].replace("_", " ")),
                "better": better_of(header[place]),
                "interval": INTERVAL if ends else "",
                "log": header[place].startswith(LOGARITHMIC),
            }
            for place, ends in places
        ],
        "rows": [
            {
                "method": row[header.index("method")],
                "values": [[_number(row[at]) for at in (place, *(ends or ()))] for place, ends in places],
            }
            for row in rows
        ],
    }


def better_of(column: str) -> str | None:
    """`higher` or `lower`, whichever is better, of a column of measures; None of any other. A range is better lower."""
    if column in TEXT:
        return None
    if column.endswith("_seed_range"):
        return "lower"
    return next((better for name, better in BETTER.items() if column.startswith(name)), None)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
