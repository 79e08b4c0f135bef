"""One word for each exhibit: verified, and what each kind of damage makes of it; and its chain down to the archive."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reregister.errors import ReregisterError
from reregister.provenance.receipt import recipe_id
from reregister.report.lineage import chain_of, code_of, code_texts, known_files, steps_of
from reregister.report.verdicts import Verdict, counted, refuse, verdict_of

FIGURE, TABLE = "receipts/p/plot_figure/fig1.json", "receipts/p/make_table/table1.json"
TRAINED = [f"receipts/p/train_model/m_seed{seed}.json" for seed in (0, 1)]
FETCH, PREPARE = "receipts/data/fetch_dataset/d.json", "receipts/data/prepare_dataset/d.json"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def job(rule: str, inputs: list[str], outputs: list[str], **wildcards: str) -> dict[str, Any]:
    recipe = {
        "rule": rule,
        "wildcards": wildcards,
        "params": {"lr": 0.1, "exhibit": "x", "nothing": None},
        "inputs": {file: sha(file) for file in inputs},
    }
    return {
        "recipe": recipe,
        "recipe_id": recipe_id(recipe),
        "outputs": {file: {"sha256": sha(file), "bytes": 1} for file in outputs},
        "code": {f"scripts/{rule}.py": sha(rule)},
        "environment": "e" * 64,
        "run": {"wall_s": 2.0, "device": "cpu"},
    }


@pytest.fixture
def receipts() -> dict[str, dict[str, Any]]:
    """An archive, a dataset, two networks, a figure of both networks, and a table of the data alone."""
    weights = ["p/models/m_seed0.safetensors", "p/models/m_seed1.safetensors"]
    return {
        FETCH: job("fetch_dataset", ["data/d/x.gz"], ["data/d/source.csv"]),
        PREPARE: job("prepare_dataset", ["data/d/source.csv", "data/d/x.gz"], ["data/d/images.npy"]),
        **{
            name: job("train_model", ["data/d/images.npy"], [weights[seed]], seed=str(seed))
            for seed, name in enumerate(TRAINED)
        },
        FIGURE: job("plot_figure", weights, ["p/figures/fig1.svg", "p/figures/fig1.csv"]),
        TABLE: job("make_table", ["data/d/source.csv"], ["p/tables/table1.csv"]),
    }


def test_a_chain_goes_from_the_exhibit_to_the_archive(receipts: dict[str, Any]) -> None:
    assert chain_of(FIGURE, receipts) == [(0, FIGURE), (1, TRAINED[0]), (1, TRAINED[1]), (2, PREPARE), (3, FETCH)]
    assert chain_of(TABLE, receipts) == [(0, TABLE), (1, FETCH)]
    steps = steps_of(FIGURE, receipts)
    assert [(step["depth"], step["rule"], len(step["jobs"])) for step in steps] == [
        (0, "plot_figure", 1),
        (1, "train_model", 2),
        (2, "prepare_dataset", 1),
        (3, "fetch_dataset", 1),
    ]
    first = steps[1]["jobs"][0]
    assert (first["name"], first["seed"], first["params"]) == ("p/train_model/m_seed0", "0", "lr 0.1")
    assert first["outputs"] == [("p/models/m_seed0.safetensors", sha("p/models/m_seed0.safetensors"))]


def test_a_job_by_a_short_and_a_long_way_stands_at_the_long_one(receipts: dict[str, Any]) -> None:
    receipts[FIGURE]["recipe"]["inputs"]["data/d/source.csv"] = sha("data/d/source.csv")
    assert chain_of(FIGURE, receipts)[-1] == (3, FETCH)


def test_code_is_that_of_the_chain_and_of_nothing_else(receipts: dict[str, Any], tmp_path: Path) -> None:
    files = code_of(TABLE, receipts)
    assert files == [("scripts/fetch_dataset.py", sha("fetch_dataset")), ("scripts/make_table.py", sha("make_table"))]
    folder = tmp_path / "receipts" / "store" / "code"
    folder.mkdir(parents=True)
    (folder / f"{sha('make_table')}.py").write_text("a = 1\n", encoding="utf-8")
    assert code_texts(receipts, tmp_path, [sha256 for _, sha256 in files]) == {sha("make_table"): "a = 1\n"}


def test_every_file_of_the_run_has_a_name(receipts: dict[str, Any]) -> None:
    known = known_files(receipts, {"receipts": {FIGURE: "f" * 64}}, {"fig1": "Fig. 1 of p", "x": "no file"})
    assert known[sha("p/figures/fig1.svg")] == "Fig. 1 of p: p/figures/fig1.svg"
    assert known[sha("data/d/x.gz")] == "data/d/x.gz"
    assert known[sha("data/d/images.npy")] == "data/d/images.npy"
    assert known["f" * 64] == FIGURE
    assert len(known) == 9


def test_what_fits_together_is_verified(receipts: dict[str, Any]) -> None:
    shown = {"p/figures/fig1.svg": sha("p/figures/fig1.svg")}
    for name in (FIGURE, TABLE):
        assert verdict_of(name, receipts, shown) == Verdict("verified", [])


def test_a_label_map_of_the_user_needs_no_record(receipts: dict[str, Any]) -> None:
    made = job("make_standin", ["data/d/map.nii.gz"], ["data/d/x.gz"])
    assert verdict_of(FIGURE, {"receipts/data/make_standin/d.json": made, **receipts}, {}).word == "verified"
    receipts[FIGURE]["recipe"]["inputs"]["data/d/map.nii.gz"] = sha("data/d/map.nii.gz")
    receipts[FIGURE]["recipe_id"] = recipe_id(receipts[FIGURE]["recipe"])
    assert verdict_of(FIGURE, receipts, {}).word == "unverifiable"


def _flip_a_figure(receipts: dict[str, Any], shown: dict[str, str]) -> None:
    shown["p/figures/fig1.svg"] = sha("another figure")


def _edit_a_record(receipts: dict[str, Any], shown: dict[str, str]) -> None:
    receipts[TRAINED[1]]["recipe"]["params"]["lr"] = 0.2


def _lose_a_record(receipts: dict[str, Any], shown: dict[str, str]) -> None:
    del receipts[PREPARE]


def _train_anew(receipts: dict[str, Any], shown: dict[str, str]) -> None:
    receipts[TRAINED[0]]["outputs"]["p/models/m_seed0.safetensors"]["sha256"] = sha("other weights")


@pytest.mark.parametrize(
    ("damage", "word", "said"),
    [
        (_flip_a_figure, "altered", "p/figures/fig1.svg is not the file that its record names."),
        (_edit_a_record, "altered", f"The record {TRAINED[1]} was changed"),
        (_lose_a_record, "unverifiable", "was made from data/d/images.npy, of which there is no record."),
        (_train_anew, "stale", "was made from another version of p/models/m_seed0.safetensors"),
    ],
)
def test_damage_has_its_word_and_spares_what_does_not_rest_on_it(
    receipts: dict[str, Any], damage: Callable[..., None], word: str, said: str
) -> None:
    shown = {"p/figures/fig1.svg": sha("p/figures/fig1.svg")}
    damage(receipts, shown)
    found = verdict_of(FIGURE, receipts, shown)
    assert found.word == word
    assert any(said in line for line in found.why)
    assert verdict_of(TABLE, receipts, shown).word == "verified"


def test_the_worst_word_counts(receipts: dict[str, Any]) -> None:
    _train_anew(receipts, {})
    _edit_a_record(receipts, {})
    found = verdict_of(FIGURE, receipts, {})
    assert found.word == "altered"
    assert len(found.why) == 2


def test_a_strict_report_is_refused() -> None:
    verdicts = {"fig1": Verdict("verified", []), "fig2": Verdict("stale", ["b was made from another version of a."])}
    assert counted(verdicts) == {"verified": 1, "stale": 1}
    refuse({"fig1": verdicts["fig1"]}, "p")
    with pytest.raises(
        ReregisterError, match=r"fig2 of p is stale: b was made from another version of a\. Make it again"
    ):
        refuse(verdicts, "p")
