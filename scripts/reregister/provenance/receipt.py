"""The receipt of a job: what was run, on what, with what, and what came out. Standard library only.

`recipe` is what decides the result and is known before the job runs; its hash, `recipe_id`, can stand in a figure's
metadata. Everything else is what happened. Environments, code and patches are stored once, by hash, under
`receipts/store/`.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from reregister.provenance.files import atomic_path, sha256_json

# Raised when the recorder changes in a way that makes old receipts incomplete: every job then runs again.
RECORD_VERSION = 1
# Params that say where bytes lie or that stand elsewhere in the recipe.
NOT_IN_RECIPE = ("location", "code", "env")


def build_recipe(
    rule: str,
    wildcards: dict[str, str],
    params: dict[str, Any],
    code: dict[str, str],
    inputs: dict[str, str],
    environment_lock: str,
) -> dict[str, Any]:
    """What decides a job's result.

    code: file name to syntax-tree hash. inputs: name relative to the run folder to sha256. environment_lock: sha256 of
    the environment file. Two jobs with equal recipes are meant to give equal bytes on one machine.
    """
    return {
        "record": RECORD_VERSION,
        "rule": rule,
        "wildcards": wildcards,
        "params": {key: value for key, value in params.items() if key not in NOT_IN_RECIPE},
        "code": code,
        "inputs": inputs,
        "environment_lock": environment_lock,
    }


def recipe_id(recipe: dict[str, Any]) -> str:
    """sha256 of the canonical JSON of a recipe."""
    return sha256_json(recipe)


def run_folder_of(receipt: Path) -> Path:
    """The run folder that a receipt lies in: the parent of its `receipts` folder. Raises ValueError outside of one."""
    for parent in receipt.parents:
        if parent.name == "receipts":
            return parent.parent
    raise ValueError(f"{receipt} does not lie in a folder named receipts")


def store(run_folder: Path, kind: str, content: bytes, suffix: str) -> str:
    """Keep bytes under `receipts/store/<kind>/<sha256><suffix>` once; returns the sha256."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = run_folder / "receipts" / "store" / kind / f"{sha256}{suffix}"
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    return sha256


def read_receipt(path: Path) -> dict[str, Any]:
    """A receipt as a dictionary. Raises ValueError where the file is not one."""
    receipt = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(receipt, dict) or "recipe" not in receipt or "recipe_id" not in receipt:
        raise ValueError(f"{path} is not a receipt")
    return receipt
