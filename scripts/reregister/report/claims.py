"""What is said of a paper's numbers and claims, from the tables of `weigh_claims`, as pages show it."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reregister.report.tables import format_number

AXES = ("data", "split", "schedule", "model", "metric")
#: Where a row has no axes: it was not run, or is no result.
NO_SCOPE = "no result"
Row = Mapping[str, str]
Shown = dict[str, Any]


def read_rows(paths: Sequence[Path]) -> dict[str, list[dict[str, str]]]:
    """Rows by kind, `numbers`, `apart` and `claims`, those of times in their places among the others."""
    found: dict[str, list[dict[str, str]]] = {"numbers": [], "apart": [], "claims": []}
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            found[path.stem.removeprefix("timed_")] += csv.DictReader(file)
    return {kind: sorted(rows, key=lambda row: int(row["order"])) for kind, rows in found.items()}


def printed_tables(
    numbers: Sequence[Mapping[str, Any]], rows: Mapping[str, list[dict[str, str]]]
) -> list[dict[str, Any]]:
    """For each table of printed numbers what the claims file says of it, `table` to show, and `apart`, ours where it may
    not stand beside, with `why`; None and "" where there is none.
    """
    shown = []
    for number in numbers:
        own, apart = ([row for row in rows[kind] if row["id"] == number["id"]] for kind in ("numbers", "apart"))
        why = "; ".join(dict.fromkeys(_where(row) for row in apart))
        made = {"table": _printed(own), "apart": _apart(apart) if apart else None, "why": f"{why}." if why else ""}
        shown.append({**number, "quote": number.get("quote", ""), **made})
    return shown


def _where(row: Row) -> str:
    """On what a number of ours that is kept apart was measured."""
    return {"stand-in": "On the stand-in", "apart": f"Measured otherwise: {row['metric']}"}[row["scope"]]


def _printed(rows: Sequence[Row]) -> Shown:
    """The printed numbers, one line for each row; where ours stands beside them one for each number."""
    beside = any(row["ours"] for row in rows)
    with_axes = any(row["data"] for row in rows)
    columns = [_column("row")]
    columns += (
        [_column("measure"), _column("printed", number=True), _column("ours", "interval", True)] if beside else []
    )
    columns += [] if beside else [_column(name, number=True) for name in dict.fromkeys(row["column"] for row in rows)]
    columns.append(_column("what may be said", words="wide"))
    columns += [_column(name, words="axis") for name in AXES] if with_axes else []
    lines = []
    for line in [[row] for row in rows] if beside else _by_row(rows):
        first = line[0]
        cells = [_text(first["row"])]
        cells += [_text(first["column"]), _text(first["published"]), _value(first)] if beside else []
        cells += [] if beside else [_text(row["published"]) for row in line]
        said = dict.fromkeys(f"{row['word'][0].upper()}{row['word'][1:]}. {row['said']}" for row in line)
        axes = [_text(_shared(line, name)) for name in AXES] if with_axes else []
        lines.append([*cells, _text(" ".join(said)), *axes])
    return {"columns": columns, "rows": lines, "csv": _csv(rows)}


def _apart(rows: Sequence[Row]) -> Shown:
    """Ours, one line for each row of the printed table."""
    names = list(dict.fromkeys(row["column"] for row in rows))
    ranged = {row["column"] for row in rows if _interval(row)}
    heads = [_column(name, "interval" if name in ranged else "", True) for name in names]
    columns = [_column("row"), *heads, _column("cases", words="wide")]
    lines = []
    for line in _by_row(rows):
        by_column = {row["column"]: row for row in line}
        values = [_value(by_column[name]) if name in by_column else _text("") for name in names]
        lines.append([_text(line[0]["row"]), *values, _text(_shared(line, "said"))])
    return {"columns": columns, "rows": lines, "csv": _csv(rows)}


def _by_row(rows: Sequence[Row]) -> list[list[Row]]:
    names = dict.fromkeys(row["row"] for row in rows)
    return [[row for row in rows if row["row"] == name] for name in names]


def _shared(line: Sequence[Row], name: str) -> str:
    return "; ".join(dict.fromkeys(row[name] for row in line if row[name]))


def _column(label: str, interval: str = "", number: bool = False, words: str = "") -> dict[str, Any]:
    return {"label": label, "interval": interval, "number": number} | ({"words": words} if words else {})


def _text(text: str) -> dict[str, str | None]:
    return {"text": text, "interval": "", "sort": None}


def _value(row: Row) -> dict[str, str | None]:
    if not row["ours"]:
        return _text("")
    return {"text": _number(row["ours"]), "interval": _interval(row), "sort": row["ours"]}


def _interval(row: Row) -> str:
    return f"{_number(row['low'])} to {_number(row['high'])}" if row["low"] and row["high"] else ""


def _number(text: str) -> str:
    """A count that stands among fractions has lost its form as an integer."""
    return format_number(text.removesuffix(".0"))


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def ledger_rows(papers: Sequence[str], paths: Sequence[Path]) -> list[dict[str, Any]]:
    """One row for each printed number and each claim of the papers, in their order.

    paths: tables of `weigh_claims` of all of them, below the paper's own folder. verdict and scope: what rows are chosen by.
    """
    found = []
    for paper in papers:
        rows = read_rows([path for path in paths if path.parent.parent.name == paper])
        for row in (*rows["numbers"], *rows["claims"]):
            axes = ". ".join(f"{name.capitalize()}: {row[name]}" for name in AXES if row[name])
            run = f"{row['experiment']}: {row['methods']}" if row["methods"] else row["experiment"]
            shared = {"paper": paper, "id": row["id"], "place": row["place"], "run": run, "axes": axes}
            about = {"scope": row["scope"] or NO_SCOPE, "word": row["word"], "said": row["said"]}
            found.append({**shared, **about, "verdict": row.get("verdict") or row["word"], **_named(row)})
    return found


def _named(row: Row) -> dict[str, str]:
    """What a row of the ledger is about, and ours where it stands beside a printed number."""
    if "quote" in row:
        return {"what": row["quote"] if row["reading"] else f"“{row['quote']}”", "ours": ""}
    interval = f" ({_interval(row)})" if _interval(row) else ""
    ours = f"ours {_number(row['ours'])}{interval}" if row["ours"] else ""
    return {"what": f"{row['published']} ({row['row']}, {row['column']})", "ours": ours}
