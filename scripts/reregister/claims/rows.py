"""One row for each printed number and each claim: what was run, how near it is to the paper, and what may be said."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reregister.claims.axes import APART, NAMES, STANDIN, Axes, axes_of
from reregister.claims.beside import beside, counted, sentence
from reregister.claims.deciders import REASONS, methods_of, timed, weigh
from reregister.claims.printed import Printed, parse
from reregister.claims.records import Missing, Records
from reregister.claims.takes import SETTING, Taken, take

AXES = tuple(NAMES)
_OURS = ("ours", "low", "high", "sd", "cases", "clusters")
NUMBERS = ("order", "id", "place", "row", "column", "published", "unit", "n", "experiment", "methods", *AXES, "scope")
NUMBERS += ("word", "said", *_OURS, "margin", "smallest_margin")
#: What is kept out of the table of the published numbers.
KEPT_APART = (
    "order",
    "id",
    "place",
    "row",
    "column",
    "unit",
    "experiment",
    "methods",
    *AXES,
    "scope",
    "why",
    "said",
    *_OURS,
)
CLAIMS = (
    "order",
    "id",
    "place",
    "quote",
    "reading",
    "test",
    "experiment",
    "methods",
    *AXES,
    "scope",
    "verdict",
    "word",
)
CLAIMS += ("said", "value", "low", "high", "cases", "clusters")

Row = dict[str, Any]


def number_rows(records: Records, entries: list[Mapping[str, Any]]) -> Iterator[tuple[Row, Row | None, bool]]:
    """For each printed number its row, the row of ours that is kept apart from it or None, and whether it is of times."""
    order = 0
    for entry in entries:
        for name, texts in entry["values"].items():
            for column, text in zip(entry["columns"], texts, strict=True):
                told = {**column.get("take", {}), **entry.get("rows", {}).get(name, {})}
                row: Row = {"order": order, "place": entry["place"], "row": name, "column": column["name"]}
                row |= {
                    "id": entry["id"],
                    "published": text,
                    "unit": column.get("unit", entry["unit"]),
                    "n": entry["n"],
                }
                row |= {"experiment": entry["experiment"], "methods": _labels(records, entry, methods_of(told))}
                said, apart = _number(records, {**entry, **column}, told, parse(text))
                shared = {key: value for key, value in {**row, **(apart or {})}.items() if key in KEPT_APART}
                yield {**row, **said}, {**shared, **(apart or {})} if apart else None, timed(records, told)
                order += 1


def claim_rows(records: Records, entries: list[Mapping[str, Any]]) -> Iterator[tuple[Row, bool]]:
    """For each claim its row, and whether it rests on times."""
    for order, entry in enumerate(entries):
        told, reading = entry["decide"], "quote" not in entry
        names = list(dict.fromkeys([*entry.get("methods", []), *methods_of(told)]))
        row: Row = {
            "order": order,
            "reading": "yes" if reading else "",
            "quote": entry["reading" if reading else "quote"],
        }
        row |= {key: entry[key] for key in ("id", "place", "test", "experiment")} | {
            "methods": _labels(records, entry, names)
        }
        yield {**row, **_claim(records, entry, names)}, timed(records, told)


def _claim(records: Records, entry: Mapping[str, Any], methods: list[str]) -> Row:
    told = entry["decide"]
    if told["by"] in REASONS:
        word = REASONS[told["by"]]
        instead = f" Instead: {told['instead']}." if "instead" in told else ""
        return {"verdict": word, "word": word, "said": f"{sentence(told['reason'])}{instead}", "scope": ""}
    try:
        axes = axes_of(records, entry["experiment"], methods, entry)
        found = weigh(records, entry["experiment"], told)
    except Missing as missing:
        return {"verdict": "not attempted", "word": "not attempted", "said": sentence(str(missing)), "scope": ""}
    word = f"{axes.clauses}: {found.verdict}" if axes.clauses else found.verdict
    row = {"verdict": found.verdict, "word": word, "said": sentence(found.said), **_axes(axes)}
    return row | {key: getattr(found, key) for key in ("value", "low", "high", "cases", "clusters")}


def _number(
    records: Records, entry: Mapping[str, Any], told: Mapping[str, Any], printed: Printed
) -> tuple[Row, Row | None]:
    """What is said beside a printed number, and what is said of ours elsewhere."""
    if reason := told.get("silent") or entry.get("silent"):
        return {"word": "nothing may be said", "said": sentence(reason), "scope": ""}, None
    try:
        axes = axes_of(records, entry["experiment"], methods_of(told), entry)
        found = take(records, entry["experiment"], told)
    except Missing as missing:
        return {"word": "not attempted", "said": sentence(str(missing)), "scope": ""}, None
    if found.way == SETTING:
        same = bool(np.isclose(found.value, printed.value))
        said = f"a setting of this run: {found.value:g}"
        return {
            "word": "set as printed" if same else "set otherwise",
            "said": sentence(said),
            "scope": "setting",
        }, None
    if axes.scope in (STANDIN, APART):
        why = axes.clauses
        apart = {**_axes(axes), **_ours(found), "why": why, "said": sentence(counted(found))}
        return {"word": "kept apart", "said": sentence(f"ours is {why}"), **_axes(axes)}, apart
    return {**_axes(axes), **_ours(found), **beside(entry, axes, found, printed)}, None


def _labels(records: Records, entry: Mapping[str, Any], methods: list[str]) -> str:
    return "; ".join(records.label(entry["experiment"], method) for method in methods)


def _ours(found: Taken) -> Row:
    keys = ("low", "high", "sd", "cases", "clusters")
    return {"ours": found.value} | {key: getattr(found, key) for key in keys}


def _axes(axes: Axes) -> Row:
    return {name: axis.text for name, axis in zip(AXES, axes, strict=True)} | {"scope": axes.scope}
