"""What a row may say, by how near the run is to the paper; and that a stand-in's number stands beside no published one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reregister.claims.axes import APART, FULL, PART, SHORTENED, STANDIN, axes_of, changed
from reregister.claims.weigh import weigh_paper

from .small_claims import SmallRun, spread

NUMBER: dict[str, Any] = {
    "id": "t1",
    "place": "Table 1",
    "experiment": "e",
    "quantity": "q",
    "unit": "none",
    "n": "40",
    "independent": 40,
    "definition": "d",
    "columns": [{"name": "Dice", "take": {"of": "metric", "metric": "m"}, "margin": 0.05}],
    "rows": {"ours": {"method": "net"}},
    "values": {"ours": ["0.80 ± 0.08"]},
}
CLAIM: dict[str, Any] = {
    "id": "c1",
    "place": "abstract",
    "experiment": "e",
    "quote": "is better",
    "test": "m above that before",
    "decide": {"by": "paired_difference", "metric": "m", "first": "net", "second": "before", "direction": "greater"},
}


@pytest.fixture
def run(tmp_path: Path) -> SmallRun:
    return filled(tmp_path)


def filled(folder: Path, origin: str = "original-verified", mean: float = 0.8) -> SmallRun:
    run = SmallRun(folder, origin)
    run.metrics("net", {"m": spread(mean, 0.08, 40)})
    run.metrics("before", {"m": np.zeros(40)})
    return run


def tables(run: SmallRun, **number: Any) -> dict[str, pd.DataFrame]:
    return weigh_paper(run.records(), {"numbers": [{**NUMBER, **number}], "claims": [CLAIM]})


def only(frame: pd.DataFrame) -> Mapping[str, Any]:
    assert len(frame) == 1
    row: Mapping[str, Any] = frame.iloc[0].to_dict()
    return row


def axis(run: SmallRun, name: str, **about: Any) -> Any:
    return getattr(axes_of(run.records(), "e", ["net", "tool"], about), name)


def test_all_five_axes_are_full_where_the_receipts_say_what_the_paper_does(run: SmallRun) -> None:
    axes = axes_of(run.records(), "e", ["net", "tool", "before"], {})
    assert {part.scope for part in axes} == {FULL}
    assert axes.clauses == ""
    assert [part.text for part in axes] == ["original", "the paper's rule", "full", "full", "same"]


@pytest.mark.parametrize(
    ("origin", "text", "scope", "clause"),
    [
        ("synthetic", "stand-in", STANDIN, "on the stand-in"),
        ("substitute", "substitute", STANDIN, "on other data"),
        ("subset 3/110", "3 of 110 originals", PART, "on 3 of 110 cases"),
        ("original-first-use", "original, as first downloaded", FULL, ""),
    ],
)
def test_the_axis_of_the_data(tmp_path: Path, origin: str, text: str, scope: str, clause: str) -> None:
    found = axis(filled(tmp_path, origin), "data")
    assert (found.text, found.scope, found.clause) == (text, scope, clause)


def test_the_axes_of_reading_split_schedule_and_model(run: SmallRun) -> None:
    run.reading = {"mm": 2.5}
    assert axis(run, "data")[:2] == ("original; mm 2.5 for 1.5", PART)
    run.pairing = {**run.pairing, "pairs": {"test": {"count": 8}}}
    assert axis(run, "split") == ("count 8 for all", PART, "on a part of the pairs")
    run.pairing = {**run.pairing, "own_split": {"test": ["a"]}}
    assert axis(run, "split") == ("own lists", PART, "on own lists of cases")
    run.training = {**run.training, "schedule": {"iterations": 50, "batch": 4}}
    assert axis(run, "schedule") == ("5 %", SHORTENED, "at 5 % of the schedule")
    run.training = {**run.training, "schedule": {"iterations": 1000, "batch": 2}}
    assert axis(run, "schedule") == ("batch 2 for 4", PART, "with another schedule")
    # More than the paper's is no part of it.
    run.training = {**run.training, "schedule": {"iterations": 2000, "batch": 4}}
    assert axis(run, "schedule") == ("iterations 2000 for 1000", PART, "with another schedule")
    assert axis(run, "model").scope == FULL
    run.training = {**run.training, "model": {"name": "n", "params": {"width": 2}}}
    assert axis(run, "model") == ("width 2 for 8", PART, "with other settings of the methods")
    run.settings = {"iterations": 1, "spacing": 2}
    assert axis(run, "model").text == "width 2 for 8; spacing 2 for 4"
    assert axis(run, "schedule").text.startswith("10 %")


def test_what_the_claims_file_says_of_an_axis(run: SmallRun) -> None:
    assert axis(run, "split", assumed={"split": "the pairs"}) == ("assumed: the pairs", PART, "as the paper was read")
    assert axis(run, "schedule", repaired={"schedule": "lr"}) == ("repaired: lr", PART, "as repaired")
    assert axis(run, "metric", other={"metric": "the cavity"}) == ("the cavity", APART, "measured otherwise")


def test_keys_that_the_paper_does_not_have_are_no_change() -> None:
    assert list(changed({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3})) == []
    assert list(changed({"a": {"b": 1}}, {"a": {"b": 2}})) == [(("a", "b"), 1, 2)]
    assert list(changed({"a": 1}, {})) == [(("a",), 1, None)]


@pytest.mark.parametrize(("mean", "word"), [(0.80, "equivalent"), (0.95, "different"), (0.84, "undecided")])
def test_with_all_five_full_a_number_is_tested(tmp_path: Path, mean: float, word: str) -> None:
    found = tables(filled(tmp_path, mean=mean))
    row = only(found["numbers"])
    assert (row["word"], row["scope"], row["published"]) == (word, FULL, "0.80 ± 0.08")
    assert row["ours"] == pytest.approx(mean)
    # t(78) x 0.08 sqrt(2 / 40) and half of the last digit.
    assert row["smallest_margin"] == pytest.approx(1.6646 * 0.08 * np.sqrt(0.05) + 0.005, abs=1e-4)
    assert row["margin"] == 0.05
    assert found["apart"].empty
    claim = only(found["claims"])
    assert (claim["verdict"], claim["word"]) == ("holds", "holds")


def test_the_test_takes_patients_for_cases(tmp_path: Path) -> None:
    run = SmallRun(tmp_path)
    run.metrics("net", {"m": np.repeat(spread(0.8, 0.08, 10), 4)}, cluster=np.repeat([f"c{i}" for i in range(10)], 4))
    run.metrics("before", {"m": np.zeros(40)})
    row = only(tables(run)["numbers"])
    assert (row["cases"], row["clusters"], row["word"]) == (40, 10, "undecided")
    assert row["smallest_margin"] > 0.05


def test_a_part_stands_side_by_side_and_tests_nothing(tmp_path: Path) -> None:
    row = only(tables(filled(tmp_path, "subset 3/110"))["numbers"])
    assert (row["word"], row["published"], row["ours"]) == ("side by side", "0.80 ± 0.08", pytest.approx(0.8))
    assert row["said"].startswith(
        "Not a test of the published value; on 3 of 110 cases; the smallest margin that could be"
    )
    assert only(tables(filled(tmp_path / "b", "subset 3/110"))["claims"])["word"] == "on 3 of 110 cases: holds"


def test_a_shortened_training_forms_no_difference(run: SmallRun) -> None:
    run.training = {**run.training, "schedule": {"iterations": 50, "batch": 4}}
    found = tables(run)
    row = only(found["numbers"])
    assert row["word"] == "after a part of the training"
    assert row["said"] == "At 5 % of the schedule; no difference is formed."
    assert np.isnan(row["smallest_margin"])
    assert only(found["claims"])["word"] == "at 5 % of the schedule: holds"


@pytest.mark.parametrize(
    ("origin", "about"),
    [("synthetic", {}), ("substitute", {}), ("original-verified", {"other": {"metric": "the cavity"}})],
)
def test_what_is_kept_apart_is_in_no_row_with_the_published_number(tmp_path: Path, origin: str, about: Any) -> None:
    found = tables(filled(tmp_path, origin), **about)
    row, apart = only(found["numbers"]), only(found["apart"])
    assert row["word"] == "kept apart"
    assert row["published"] == "0.80 ± 0.08"
    assert np.isnan([row["ours"], row["low"], row["high"], row["sd"], row["smallest_margin"]]).all()
    assert "published" not in apart
    assert apart["ours"] == pytest.approx(0.8)
    text = found["apart"].to_csv()
    assert "0.80 ±" not in text


def test_a_claim_on_a_stand_in_says_so(tmp_path: Path) -> None:
    claim = only(tables(filled(tmp_path, "synthetic"))["claims"])
    assert (claim["word"], claim["verdict"]) == ("on the stand-in: holds", "holds")


def test_without_a_printed_deviation_or_a_margin_nothing_is_tested(run: SmallRun) -> None:
    row = only(tables(run, values={"ours": ["0.80"]})["numbers"])
    assert row["word"] == "side by side"
    assert "no standard deviation is printed" in row["said"].lower()
    columns = [{"name": "Dice", "take": {"of": "metric", "metric": "m"}}]
    row = only(tables(run, columns=columns)["numbers"])
    assert row["said"].startswith("No margin was set before the run")


def test_whether_a_published_value_lies_among_our_seeds(tmp_path: Path) -> None:
    run = SmallRun(tmp_path)
    run.metrics("net", {"m": [0.7, 0.9] * 20}, seed=[0, 1] * 20)
    run.metrics("before", {"m": np.zeros(40)})
    row = only(tables(run, values={"ours": ["0.80"]})["numbers"])
    assert "the published value lies inside the range of our 2 seeds, 0.7 to 0.9" in row["said"]
    row = only(tables(run, values={"ours": ["0.60"]})["numbers"])
    assert "outside the range" in row["said"]


def test_counts_settings_and_reasons(run: SmallRun) -> None:
    run.add("pool", "pairs/e.pool.csv", pd.DataFrame({"id": list("abc"), "group": "1"}))
    columns = [{"name": "images", "take": {"of": "count", "what": "pool"}}]
    assert only(tables(run, columns=columns, values={"ours": ["3"]})["numbers"])["word"] == "the same"
    assert only(tables(run, columns=columns, values={"ours": ["4"]})["numbers"])["word"] == "not the same"
    columns = [{"name": "batch", "take": {"of": "setting", "key": "schedule.batch"}}]
    assert only(tables(run, columns=columns, values={"ours": ["4"]})["numbers"])["word"] == "set as printed"
    row = only(tables(run, columns=columns, values={"ours": ["8"]})["numbers"])
    assert (row["word"], row["said"]) == ("set otherwise", "A setting of this run: 4.")
    row = only(tables(run, silent="the unit is not printed")["numbers"])
    assert (row["word"], row["said"]) == ("nothing may be said", "The unit is not printed.")
    row = only(tables(run, experiment="elsewhere")["numbers"])
    assert (row["word"], row["said"]) == ("not attempted", "Elsewhere net is not part of this run.")


@pytest.mark.parametrize(
    ("by", "word"),
    [("cannot_stand", "cannot stand"), ("not_attempted", "not attempted"), ("setting", "taken as a setting")],
)
def test_a_reason_in_place_of_a_test(run: SmallRun, by: str, word: str) -> None:
    claim = {**CLAIM, "decide": {"by": by, "reason": "it says two things", "instead": "both were run"}}
    row = only(weigh_paper(run.records(), {"numbers": [], "claims": [claim]})["claims"])
    assert (row["verdict"], row["word"]) == (word, word)
    assert row["said"] == "It says two things. Instead: both were run."


def test_rows_of_times_stand_apart_from_those_that_do_not_vary(run: SmallRun) -> None:
    run.times("net", [0.5] * 40)
    timed = {**NUMBER, "id": "t2", "columns": [{"name": "seconds", "take": {"of": "seconds"}}]}
    slow = {**CLAIM, "id": "c2", "decide": {"by": "ratio_of_times", "first": "net", "second": "net", "at_least": 1}}
    found = weigh_paper(run.records(), {"numbers": [NUMBER, timed], "claims": [slow, CLAIM]})
    assert [only(found[name])["id"] for name in ("numbers", "timed_numbers", "claims", "timed_claims")] == [
        "t1",
        "t2",
        "c1",
        "c2",
    ]
    # Their places in the file, by which the page puts them together again.
    assert [only(found[name])["order"] for name in ("timed_numbers", "claims")] == [1, 1]
