"""The environments that jobs ran in, from the records that their receipts name."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reregister.errors import ReregisterError

Receipts = Mapping[str, Mapping[str, Any]]


def read_environment(run_folder: Path, identity: str) -> dict[str, Any]:
    """The record of one environment from the run's store.

    identity: its sha256, as receipts name it. The record is no declared input: the receipts are, and since its bytes
    must have the hash that they name, nothing but them decides what is read. Raises ReregisterError where the record is
    missing or has another hash.
    """
    path = run_folder / "receipts" / "store" / "environment" / f"{identity}.json"
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != identity:
        raise ReregisterError(
            f"{path} is missing or altered, and receipts name it; restore it, or remove the folder receipts/ of the run "
            "and run again"
        )
    record: dict[str, Any] = json.loads(content)
    return record


def environments_of(run_folder: Path, receipts: Receipts) -> dict[str, Any]:
    """All environments of some receipts: each with its rules and packages, and over all of them what is the same.

    `packages` lists (name, versions) over all environments; more than one version is a mixed environment, and `mixed`
    names those packages.
    """
    rules: dict[str, set[str]] = {}
    for receipt in receipts.values():
        rules.setdefault(receipt["environment"], set()).add(receipt["recipe"]["rule"])
    records = {identity: read_environment(run_folder, identity) for identity in sorted(rules)}
    versions: dict[str, set[str]] = {}
    for record in records.values():
        for name, version in record["packages"].items():
            versions.setdefault(name, set()).add(version)
    packages = [(name, sorted(versions[name])) for name in sorted(versions, key=str.lower)]
    return {
        "each": [
            {"id": identity, "rules": sorted(rules[identity]), "packages": sorted(record["packages"].items())}
            for identity, record in records.items()
        ],
        "python": sorted({f"{record['implementation']} {record['python']}" for record in records.values()}),
        "systems": sorted({record["os"] for record in records.values()}),
        "processors": sorted({_processor(record["cpu"]) for record in records.values()}),
        "devices": sorted({_device(record["torch"]) for record in records.values() if record["torch"]}),
        "packages": packages,
        "mixed": [name for name, found in packages if len(found) > 1],
        "outside": sorted({name for record in records.values() for name in record["packages_outside_prefix"]}),
    }


def _processor(cpu: Mapping[str, Any]) -> str:
    return f"{cpu['model']} ({', '.join(cpu['isa'])})" if cpu["isa"] else str(cpu["model"])


def _device(torch: Mapping[str, Any]) -> str:
    cuda = f", CUDA {torch['cuda']}, cuDNN {torch['cudnn']}" if torch["cudnn"] else ""
    return f"{torch['device']}{cuda}"
