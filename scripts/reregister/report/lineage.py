"""From an exhibit to the archive, for its page: the jobs of its chain, their code, and every file of the run by its hash."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reregister.report.record import Receipts, in_words


def chain_of(name: str, receipts: Receipts) -> list[tuple[int, str]]:
    """The jobs that an exhibit rests on, its own first: steps away from it at most, and name of the receipt.

    name: receipt of the exhibit's own job. What no receipt made, such as an archive, ends a line.
    """
    made = {file: receipt for receipt, content in receipts.items() for file in content["outputs"]}
    depths: dict[str, int] = {}
    todo = [(0, name)]
    while todo:
        depth, receipt = todo.pop()
        if depths.get(receipt, -1) >= depth:
            continue
        depths[receipt] = depth
        parents = {made[file] for file in receipts[receipt]["recipe"]["inputs"] if file in made}
        todo += [(depth + 1, parent) for parent in parents]
    order = list(receipts)
    return sorted(((depth, receipt) for receipt, depth in depths.items()), key=lambda s: (s[0], order.index(s[1])))


def steps_of(name: str, receipts: Receipts) -> list[dict[str, Any]]:
    """The chain for people: one entry for each rule at each distance from the exhibit, with its jobs."""
    steps: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for depth, receipt in chain_of(name, receipts):
        steps.setdefault((depth, receipts[receipt]["recipe"]["rule"]), []).append(_job(receipt, receipts[receipt]))
    return [{"depth": depth, "rule": rule, "jobs": jobs} for (depth, rule), jobs in steps.items()]


def _job(name: str, receipt: Mapping[str, Any]) -> dict[str, Any]:
    recipe, run = receipt["recipe"], receipt["run"]
    # Which exhibit and which papers it is of stands in its name; what is left is what decides the result.
    told = ("exhibit", "function", "paper", "seeds", "examples_by_group")
    params = {key: value for key, value in recipe["params"].items() if key not in told and value not in (None, {}, [])}
    return {
        "name": name.removeprefix("receipts/").removesuffix(".json"),
        "recipe_id": receipt["recipe_id"],
        "seed": recipe["wildcards"].get("seed", ""),
        "params": in_words(params),
        "wall": run["wall_s"],
        "device": run["device"],
        "environment": receipt["environment"],
        "outputs": [(file, entry["sha256"]) for file, entry in receipt["outputs"].items()],
    }


def code_of(name: str, receipts: Receipts) -> list[tuple[str, str]]:
    """Files of code that the jobs of a chain ran, with their hashes, in the order of their names."""
    files = {entry for _, receipt in chain_of(name, receipts) for entry in receipts[receipt]["code"].items()}
    return sorted(files)


def code_texts(receipts: Receipts, run_folder: Path, wanted: Sequence[str]) -> dict[str, str]:
    """Text of each file of code by its hash, as the run keeps it; what is no longer there is left out."""
    folder, found = run_folder / "receipts" / "store" / "code", {}
    for sha256 in sorted(set(wanted)):
        path = folder / f"{sha256}.py"
        if path.is_file():
            found[sha256] = path.read_text(encoding="utf-8")
    return found


def known_files(receipts: Receipts, manifest: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str]:
    """What each file of the run is called, by its sha256: outputs, archives and receipts.

    labels: what an exhibit is called, by the name that its files begin with.
    """
    known = {sha256: file for file, sha256 in manifest["receipts"].items()}
    for receipt in receipts.values():
        known |= {sha256: file for file, sha256 in receipt["recipe"]["inputs"].items()}
    for receipt in receipts.values():
        for file, entry in receipt["outputs"].items():
            label = labels.get(Path(file).name.split(".")[0]) if "/figures/" in file or "/tables/" in file else None
            known[entry["sha256"]] = f"{label}: {file}" if label else file
    return known
