"""Figures, galleries and tables as a page shows them: with their picture or cells, their numbers and their record."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reregister.report.lineage import code_of, steps_of
from reregister.report.record import Receipts, command, rebuild_command
from reregister.report.tables import shown_table

# Names of exhibits begin with what they are and their number: fig2_..., tableS1_...
_LABEL = re.compile(r"(fig|table)(S?[0-9]+[a-z]?)(?:_|$)")


@dataclass(frozen=True)
class Files:
    """An exhibit's files by its name: drawings (SVG), their numbers (CSV), tables (CSV), panels of galleries (JSON)."""

    drawings: Mapping[str, Path]
    numbers: Mapping[str, Path]
    tables: Mapping[str, Path]
    panels: Mapping[str, Path]

    def every(self) -> list[Path]:
        """All of them."""
        return [path for group in (self.drawings, self.numbers, self.tables, self.panels) for path in group.values()]


def by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Paths by the name of their exhibit: the file name up to its first dot."""
    return {path.name.split(".")[0]: path for path in paths}


def data_uri(drawing: Path) -> str:
    """An SVG file as an address that holds it."""
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.read_bytes()).decode()


def label_of(name: str, about: Mapping[str, Any] | None = None) -> str:
    """What an exhibit is called: its own label, else `Fig. 2` for fig2_curves, `Table S1` for tableS1_methods, else its name.

    about: the exhibit, as the config has it.
    """
    if about and about.get("label"):
        return str(about["label"])
    found = _LABEL.match(name)
    return f"{'Fig.' if found[1] == 'fig' else 'Table'} {found[2]}" if found else name


def alternative_text(name: str, about: Mapping[str, Any]) -> str:
    """What stands for a picture that is not seen: its name and the first sentence of the caption that follows it."""
    return f"{label_of(name, about)}: {re.split(r'(?<=[.]) ', about['caption'])[0]}"


def exhibit_of(
    name: str, about: Mapping[str, Any], files: Files, receipts: Receipts, context: Mapping[str, Any], run_folder: Path
) -> dict[str, Any]:
    """One exhibit: what the config says of it, its picture or table, its chain, code and word, and two commands.

    word and why: of `verdicts`, by the receipt. Raises KeyError where no file or no receipt is its own.
    """
    main = files.tables[name] if about["kind"] == "table" else files.drawings[name]
    place = main.relative_to(run_folder).as_posix()
    own = _receipt_of(place, receipts)
    target = f"--force results/{run_folder.name}/{place}"
    told = (run_folder.name, context["scale"], receipts, context["settings"])
    shown: dict[str, Any] = {
        "name": name,
        **about,
        "label": label_of(name, about),
        "receipt": own,
        "dataset": context["experiments"][about["experiment"]]["dataset"],
        "steps": steps_of(own, receipts),
        "code": code_of(own, receipts),
        "command": command(target, *told),
        "rebuild": rebuild_command(f"{context['paper']}/{name}", *told),
    }
    if about["kind"] == "table":
        shown["table"] = shown_table(main)
    else:
        shown["image"] = data_uri(main)
        shown["alt"] = alternative_text(name, about)
        shown["numbers"] = files.numbers[name].read_text(encoding="utf-8")
    if about["kind"] == "gallery":
        shown["panels"] = json.loads(files.panels[name].read_text(encoding="utf-8"))
    return shown


def _receipt_of(place: str, receipts: Receipts) -> str:
    for name, receipt in receipts.items():
        if place in receipt["outputs"]:
            return name
    raise KeyError(f"no receipt records {place}")
