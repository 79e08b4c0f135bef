"""What may be said of an exhibit when its page is built: one word, from the records of its chain and the files shown.

No other file is read again here: that is for `audit.py`, which travels with the run.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from reregister.errors import ReregisterError
from reregister.provenance.receipt import recipe_id
from reregister.report.lineage import chain_of
from reregister.report.record import Receipts

#: From the worst to the best.
WORDS = ("altered", "unverifiable", "stale", "verified")


class Verdict(NamedTuple):
    """A word of `WORDS`, and for any but the last what was found, a sentence each."""

    word: str
    why: list[str]


def verdict_of(name: str, receipts: Receipts, shown: Mapping[str, str]) -> Verdict:
    """The verdict on the exhibit that a receipt made.

    shown: sha256 of the files that the page shows, by their name in the run. Altered: such a file, or a record of the
    chain, is not what was recorded. Unverifiable: something in the chain has no record. Stale: a job of the chain took
    another version of a file than the one that its record now stands for.
    """
    found: dict[str, list[str]] = {word: [] for word in WORDS}
    made = {
        file: (job, entry["sha256"]) for job, content in receipts.items() for file, entry in content["outputs"].items()
    }
    for _, job in chain_of(name, receipts):
        recipe = receipts[job]["recipe"]
        if recipe_id(recipe) != receipts[job]["recipe_id"]:
            found["altered"].append(f"The record {job} was changed: its recipe does not have the hash that it says.")
        for file, sha256 in recipe["inputs"].items():
            if file in made and made[file][1] != sha256:
                found["stale"].append(f"{job} was made from another version of {file} than {made[file][0]} recorded.")
            elif file not in made and not _from_outside(file, recipe):
                found["unverifiable"].append(f"{job} was made from {file}, of which there is no record.")
    for file, entry in receipts[name]["outputs"].items():
        if shown.get(file, entry["sha256"]) != entry["sha256"]:
            found["altered"].append(f"{file} is not the file that its record names.")
    word = next((word for word in WORDS if found[word]), "verified")
    return Verdict(word, [line for lines in found.values() for line in lines])


def _from_outside(file: str, recipe: Mapping[str, Any]) -> bool:
    """Whether no job makes an input: a file of the project, or of the user, such as a member of an archive."""
    readers = ("make_standin", "fetch_dataset", "prepare_dataset", "measure_step")
    archive = file.startswith("data/") and recipe["rule"] in readers
    return archive or file.startswith(("project/", "outside/"))


def counted(verdicts: Mapping[str, Verdict]) -> dict[str, int]:
    """How many exhibits have each word, the best word first."""
    words = [verdict.word for verdict in verdicts.values()]
    return {word: words.count(word) for word in reversed(WORDS) if word in words}


def refuse(verdicts: Mapping[str, Verdict], paper: str) -> None:
    """Raise ReregisterError where an exhibit is not verified: for reports that are to be strict."""
    for exhibit, verdict in verdicts.items():
        if verdict.word != "verified":
            raise ReregisterError(
                f"report.strict is set and {exhibit} of {paper} is {verdict.word}: {verdict.why[0]} Make it again, or set "
                "report.strict to false"
            )
