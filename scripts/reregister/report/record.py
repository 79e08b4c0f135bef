"""What the receipts of a run say was done: jobs, times, trainings, findings, and the calls that do it again."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reregister.provenance.files import sha256_file, sha256_json

Receipts = Mapping[str, Mapping[str, Any]]


def manifest_of(run_folder: Path, receipts: Sequence[Path]) -> dict[str, Any]:
    """Hash of every receipt, by its path in the run folder, and one hash over all of them."""
    hashes = {path.relative_to(run_folder).as_posix(): sha256_file(path) for path in sorted(set(receipts))}
    return {"receipts": hashes, "root": sha256_json(hashes)}


def work_done(receipts: Receipts) -> list[dict[str, Any]]:
    """Per rule: jobs, sum, share and longest of wall times (s), largest memory (MiB), devices; in order of first start."""
    rules: dict[str, list[Mapping[str, Any]]] = {}
    for receipt in sorted(receipts.values(), key=lambda r: r["run"]["start"]):
        rules.setdefault(receipt["recipe"]["rule"], []).append(receipt["run"])
    total = sum(run["wall_s"] for runs in rules.values() for run in runs)
    return [
        {
            "rule": rule,
            "jobs": len(runs),
            "wall": sum(run["wall_s"] for run in runs),
            "share": sum(run["wall_s"] for run in runs) / total if total else 0.0,
            "longest": max(run["wall_s"] for run in runs),
            "memory": max(run["peak_memory_mib"] for run in runs),
            "threads": ", ".join(str(t) for t in sorted({run["threads"] for run in runs})),
            "devices": ", ".join(sorted({_device(run) for run in runs})),
        }
        for rule, runs in rules.items()
    ]


def _device(run: Mapping[str, Any]) -> str:
    """The device, of a GPU its name, and the precision of a training: `cpu (bf16)`."""
    gpu = run.get("gpu")
    name = str(gpu["name"] if gpu else run["device"])
    return f"{name} ({run['precision']})" if run.get("precision") else name


def span(receipts: Receipts) -> dict[str, Any]:
    """Number of jobs, the sum of their wall times (s), start of the first and end of the last as `date hour:minute`."""
    runs = [receipt["run"] for receipt in receipts.values()]
    first, last = min(run["start"] for run in runs), max(run["end"] for run in runs)
    return {
        "jobs": len(runs),
        "wall": sum(run["wall_s"] for run in runs),
        # Receipts keep UTC, as 2026-01-01T00:00:00+00:00.
        "start": first[:16].replace("T", " "),
        "end": last[:16].replace("T", " "),
    }


def trainings(receipts: Receipts) -> list[dict[str, Any]]:
    """Per experiment and method: networks trained, seeds and the parameters that they had, from the training receipts."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for receipt in receipts.values():
        recipe = receipt["recipe"]
        if recipe["rule"] == "train_model":
            found.setdefault((recipe["wildcards"]["experiment"], recipe["wildcards"]["method"]), []).append(recipe)
    return [
        {
            "experiment": experiment,
            "method": method,
            "networks": len({recipe["wildcards"]["part"] for recipe in recipes}),
            "seeds": ", ".join(sorted({recipe["wildcards"]["seed"] for recipe in recipes}, key=int)),
            "params": {k: recipes[0]["params"][k] for k in ("model", "schedule", "optimiser", "loss", "determinism")},
        }
        for (experiment, method), recipes in sorted(found.items())
    ]


def baselines(receipts: Receipts) -> list[dict[str, Any]]:
    """Per experiment and method that is not trained: its settings, from the receipts of the jobs that made it."""
    found = {}
    for name, receipt in receipts.items():
        recipe = receipt["recipe"]
        names, params = recipe["wildcards"], recipe["params"]
        if recipe["rule"] in ("run_baseline", "run_prior"):
            model = {"model": params["model"]} if "model" in params else {}
            found[names["experiment"], names["method"]] = {**model, **params["settings"]}
        elif recipe["rule"] == "compress_model":
            found[names["experiment"], names["method"]] = params["compress"]
        elif recipe["rule"].startswith("run_openvino"):
            # Each has a rule of its own, and so no wildcards: its receipt is named after its experiment.
            found[Path(name).parent.name, Path(name).stem] = params["settings"]
    return [{"experiment": e, "method": m, "settings": settings} for (e, m), settings in sorted(found.items())]


def pairings(receipts: Receipts) -> dict[str, Mapping[str, Any]]:
    """Per experiment: the rules that split the images and froze the pairs, from the receipts of `pair_images`."""
    recipes = [receipt["recipe"] for receipt in receipts.values() if receipt["recipe"]["rule"] == "pair_images"]
    return {recipe["wildcards"]["experiment"]: recipe["params"] for recipe in recipes}


def in_words(value: Any) -> str:
    """Parameters for people: `adam, lr 0.001, betas (0.9, 0.999)`."""
    if isinstance(value, Mapping):
        return ", ".join(_entry(key, entry) for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return f"({', '.join(in_words(entry) for entry in value)})"
    if value is None:
        return "none"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _entry(key: str, value: Any) -> str:
    # A name or the arguments that belong to it need no heading of their own.
    return in_words(value) if key in ("name", "params") else f"{key.replace('_', ' ')} {in_words(value)}"


def findings(receipts: Receipts) -> list[str]:
    """What the jobs themselves noticed: warnings, undeclared files or code, network outside a download, uncommitted code."""
    lines = _warnings(receipts)
    for name, receipt in sorted(receipts.items()):
        for key in ("undeclared_reads", "undeclared_writes", "undeclared_code"):
            if receipt[key]:
                lines.append(f"{name}: {key.replace('_', ' ')}: {', '.join(receipt[key])}")
        recipe = receipt["recipe"]
        download = recipe["rule"] == "fetch_dataset" and recipe["params"]["mode"] == "download"
        if receipt["network"] and not download:
            lines.append(f"{name}: network: {', '.join(receipt['network'])}")
    if any(receipt["git"] and receipt["git"]["dirty"] for receipt in receipts.values()):
        lines.append("some jobs ran with uncommitted changes; the receipts keep the patch")
    untracked = sorted({name for receipt in receipts.values() for name in (receipt["git"] or {}).get("untracked", [])})
    if untracked:
        lines.append(f"files of the project that no commit holds: {', '.join(untracked)}")
    return lines


def _warnings(receipts: Receipts) -> list[str]:
    """Each warning once, with the number of jobs that gave it, by rule."""
    jobs: dict[str, Counter[str]] = {}
    for receipt in receipts.values():
        for sentence in receipt["run"].get("warnings", ()):
            jobs.setdefault(sentence, Counter())[receipt["recipe"]["rule"]] += 1
    return [
        f"warning of {', '.join(f'{rule} ({count})' for rule, count in sorted(rules.items()))}: {sentence}"
        for sentence, rules in sorted(jobs.items())
    ]


def command(target: str, run: str, scale: str, receipts: Receipts, settings: Mapping[str, Any] | None = None) -> str:
    """The call that makes a target again, with the same data, and FOLDER and LABEL_MAP for the user's own.

    target: name of a paper, or options and a file. settings: other keys that the run was given on its command line.
    """
    return f"snakemake --cores all {target} --config {_config(run, scale, receipts, settings)}"


def rebuild_command(
    exhibit: str, run: str, scale: str, receipts: Receipts, settings: Mapping[str, Any] | None = None
) -> str:
    """The call that runs an exhibit's chain again from the data and compares; exhibit: paper/name."""
    return f"reregister rebuild {exhibit} --config {_config(run, scale, receipts, settings)}"


def _config(run: str, scale: str, receipts: Receipts, settings: Mapping[str, Any] | None) -> str:
    """The words after --config that give a run's configuration."""
    fetched = [r["recipe"] for r in receipts.values() if r["recipe"]["rule"] == "fetch_dataset"]
    modes = {recipe["wildcards"]["dataset"]: recipe["params"]["mode"] for recipe in fetched}
    data = ", ".join(f"{name}: {'FOLDER' if mode == 'path' else mode}" for name, mode in sorted(modes.items()))
    accepted = sorted(recipe["wildcards"]["dataset"] for recipe in fetched if recipe["params"]["accepted"])
    terms = f" 'accept_terms=[{', '.join(accepted)}]'" if accepted else ""
    shaped = any(r["call"]["input"].get("anatomy") for r in receipts.values() if r["recipe"]["rule"] == "make_standin")
    anatomy = " anatomy=LABEL_MAP" if shaped else ""
    others = "".join(f" {_quoted(f'{key}={_yaml(value)}')}" for key, value in sorted((settings or {}).items()))
    return f"run={run} scale={scale} 'data={{{data}}}'{anatomy}{terms}{others}"


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _quoted(word: str) -> str:
    """A word for a shell, in quotes where it has more than letters, digits and the like."""
    plain = all(c.isalnum() or c in "=_-./" for c in word)
    return word if plain else "'" + word.replace("'", "'\\''") + "'"
