"""How near a row is to what the paper did, on five axes: data, split, schedule, model, metric. Computed from receipts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reregister.claims.records import Missing, Receipt, Records

#: From the farthest from the paper to the nearest; a row is called by the worst of its axes.
SCOPES = ("stand-in", "apart", "shortened", "in part", "full")
STANDIN, APART, SHORTENED, PART, FULL = SCOPES
NAMES = ("data", "split", "schedule", "model", "metric")
ORIGINAL = {"original-verified": "original", "original-first-use": "original, as first downloaded"}
# What a job is told of its length, by the last name of the key.
LENGTHS = ("iterations", "epochs")
# Which of a job's params say what is fitted; the others say how, and are its schedule.
MODELS = ("model", "compress", "settings")


# Clauses that several rows share.
LIMITED, SETTINGS, READ = "on a part of the pairs", "with other settings of the methods", "as the paper was read"


class Axis(NamedTuple):
    """One axis in words, a scope of `SCOPES`, and the clause that a verdict then begins with, "" where it is full."""

    text: str
    scope: str = FULL
    clause: str = ""


class Axes(NamedTuple):
    """The five axes of a row, each an `Axis`."""

    data: Axis
    split: Axis
    schedule: Axis
    model: Axis
    metric: Axis

    @property
    def scope(self) -> str:
        """The worst scope of the five."""
        return min((axis.scope for axis in self), key=SCOPES.index)

    @property
    def clauses(self) -> str:
        """What a verdict begins with: `on the stand-in, at 5 % of the schedule`, "" where all five are full.

        What a stand-in says is no test of the paper, so there the rest is left to the axes.
        """
        parts = list(dict.fromkeys(part for axis in self if axis.clause for part in axis.clause.split(", ")))
        left_out = (LIMITED, SETTINGS, READ) if self.scope == STANDIN else ()
        return ", ".join(part for part in parts if part not in left_out)


def axes_of(records: Records, experiment: str, methods: Sequence[str], about: Mapping[str, Any]) -> Axes:
    """The axes of a row that rests on some methods of an experiment, the worst of them on each.

    about: the entry of the claims file; of its keys `assumed` names axes that the paper leaves open, `repaired` those that
    were changed to make it testable, and `other` those on which something else was measured. Raises Missing where
    something was not run.
    """
    jobs = [receipt for method in methods for receipt in records.chain(experiment, method)]
    found = {
        "data": _data(records, experiment),
        "split": _split(records, experiment),
        "schedule": _schedule(records, jobs),
        "model": _model(records, jobs),
        "metric": Axis("same"),
    }
    for word, clause in (("assumed", READ), ("repaired", "as repaired")):
        for name, reason in about.get(word, {}).items():
            axis = found[name]
            text = f"{word}: {reason}" if axis.scope == FULL else f"{axis.text}; {word}: {reason}"
            clauses = f"{axis.clause}, {clause}" if axis.clause else clause
            found[name] = Axis(text, min(axis.scope, PART, key=SCOPES.index), clauses)
    for name, reason in about.get("other", {}).items():
        found[name] = Axis(reason, min(found[name].scope, APART, key=SCOPES.index), "measured otherwise")
    return Axes(**found)


def _data(records: Records, experiment: str) -> Axis:
    origins = records.origins(experiment)
    for origin in origins:
        if origin in ("synthetic", "substitute"):
            text, clause = ("stand-in", "on the stand-in") if origin == "synthetic" else ("substitute", "on other data")
            return Axis(text, STANDIN, clause)
    parts = [origin.removeprefix("subset ").replace("/", " of ") for origin in origins if origin.startswith("subset")]
    text = f"{parts[0]} originals" if parts else "; ".join(ORIGINAL[origin] for origin in origins)
    dataset = records.dataset(experiment)
    read = records.receipt("prepare_dataset", dataset=dataset)["recipe"]["params"]["reading"]
    changes = list(changed(records.full["prepare_dataset"].get(dataset, {}), read or {}))
    clauses = [f"on {parts[0]} cases"] if parts else []
    clauses += ["on images read otherwise"] if changes else []
    return Axis("; ".join([text, *map(_told, changes)]), PART if clauses else FULL, ", ".join(clauses))


def _split(records: Records, experiment: str) -> Axis:
    params = records.receipt("pair_images", experiment=experiment)["recipe"]["params"]
    if params.get("own_split"):
        return Axis("own lists", PART, "on own lists of cases")
    changes = list(changed(records.full["pair_images"].get(experiment, {}), params))
    text = "; ".join(map(_told, changes)) or "the paper's rule"
    return Axis(text, PART, LIMITED) if changes else Axis(text)


def _schedule(records: Records, jobs: Sequence[Receipt]) -> Axis:
    share, changes = 1.0, []
    for key, full, own in _of_jobs(records, jobs):
        if key[-1] in LENGTHS and isinstance(full, (int, float)) and isinstance(own, (int, float)):
            share = min(share, own / full) if own < full else share
            changes += [(key, full, own)] if own > full else []
        elif key[0] not in MODELS:
            changes.append((key, full, own))
    told = "; ".join(dict.fromkeys(map(_told, changes)))
    if share < 1:
        text = f"{100 * share:.3g} %"
        return Axis(f"{text}; {told}" if told else text, SHORTENED, f"at {text} of the schedule")
    return Axis(told, PART, "with another schedule") if told else Axis("full")


def _model(records: Records, jobs: Sequence[Receipt]) -> Axis:
    changes = [change for change in _of_jobs(records, jobs) if change[0][0] in MODELS and change[0][-1] not in LENGTHS]
    told = "; ".join(dict.fromkeys(map(_told, changes)))
    return Axis(told, PART, SETTINGS) if told else Axis("full")


def _of_jobs(records: Records, jobs: Sequence[Receipt]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """What the fitting jobs of a chain were told otherwise than they would be at the paper's scale."""
    for receipt in jobs:
        recipe = receipt["recipe"]
        if recipe["rule"] not in records.full or "method" not in recipe["wildcards"]:
            continue
        place = recipe["wildcards"]["experiment"], recipe["wildcards"]["method"]
        full = records.full[recipe["rule"]].get(place[0], {}).get(place[1])
        if full is None:
            raise Missing(f"the paper's own scale of {' '.join(place)} is not known")
        yield from changed(full, recipe["params"])


def changed(full: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Where `own` differs from `full`, for the keys that `full` has: path of the key, the one and the other value."""
    for key, value in full.items():
        other = own.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            yield from (((key, *path), *pair) for path, *pair in changed(value, other))
        elif value != other:
            yield (key,), value, other


def _told(change: tuple[tuple[str, ...], Any, Any]) -> str:
    """`batch 4 for 32`."""
    key, full, own = change
    return f"{key[-1].replace('_', ' ')} {_short(own)} for {_short(full)}"


def _short(value: Any) -> str:
    if value is None:
        return "all"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(map(_short, value)) + ")"
    return f"{value:g}" if isinstance(value, float) else str(value)
