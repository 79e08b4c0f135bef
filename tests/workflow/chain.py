"""The chain of a run, walked from its receipts alone: what the commands say is compared with it."""

import json
from pathlib import Path
from typing import Any

Receipts = dict[str, dict[str, Any]]


def receipts_of(run: Path) -> Receipts:
    """Every receipt of a run by its name in the run folder."""
    found = {
        path.relative_to(run).as_posix(): json.loads(path.read_text("utf-8"))
        for path in run.rglob("receipts/**/*.json")
    }
    return {name: content for name, content in found.items() if "recipe" in content}


def needed(receipts: Receipts, wanted: str) -> set[str]:
    """One job and all that it is made from, by their receipts."""
    makers = {output: name for name, receipt in receipts.items() for output in receipt["outputs"]}
    found, todo = set(), [wanted]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [makers[path] for path in receipts[name]["recipe"]["inputs"] if path in makers]
    return found


def exhibits_of(receipts: Receipts, origins: set[str]) -> set[str]:
    """`paper/exhibit` of everything that is made, at any remove, from some jobs."""
    shown = {name: receipt["recipe"]["wildcards"] for name, receipt in receipts.items()}
    return {
        f"{of['paper']}/{of['exhibit']}"
        for name, of in shown.items()
        if "exhibit" in of and needed(receipts, name) & origins
    }
