"""What a claim's test finds: intervals, values and verdicts, each against a closed form, with what makes it fail."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reregister.claims import intervals
from reregister.claims.deciders import methods_of, timed, weigh
from reregister.claims.histories import losses
from reregister.claims.intervals import FAILS, HOLDS, UNDECIDED, Cases
from reregister.claims.printed import parse
from reregister.claims.records import Missing
from reregister.claims.takes import CASES, EXACT, SEEDS, SETTING, take
from reregister.errors import ReregisterError
from reregister.statistics import Interval

from .small_claims import SmallRun, spread


def cases(values: Any, prefix: str = "p") -> Cases:
    ids = np.array([f"{prefix}{place}" for place in range(len(values))], dtype=object)
    return Cases(np.asarray(values, float), ids, ids)


@pytest.fixture
def run(tmp_path: Path) -> SmallRun:
    return SmallRun(tmp_path)


@pytest.mark.parametrize(
    ("direction", "margin", "ends", "verdict"),
    [
        ("greater", 0, (0.1, 0.2), HOLDS),
        ("greater", 0, (-0.1, 0.2), UNDECIDED),
        ("greater", 0, (-0.2, -0.1), FAILS),
        ("greater", 0, (0.0, 0.0), FAILS),
        ("less", 0, (-0.2, -0.1), HOLDS),
        ("less", 0, (0.1, 0.2), FAILS),
        ("at_least", 0.1, (-0.05, 0.2), HOLDS),
        ("at_least", 0.1, (-0.15, 0.2), UNDECIDED),
        ("at_least", 0.1, (-0.3, -0.2), FAILS),
        ("at_most", 0.1, (-0.3, 0.05), HOLDS),
        ("at_most", 0.1, (0.2, 0.3), FAILS),
        ("within", 0.1, (-0.05, 0.05), HOLDS),
        ("within", 0.1, (-0.05, 0.15), UNDECIDED),
        ("within", 0.1, (0.15, 0.2), FAILS),
        ("within", 0.1, (np.nan, np.nan), UNDECIDED),
    ],
)
def test_an_interval_decides(direction: str, margin: float, ends: tuple[float, float], verdict: str) -> None:
    assert intervals.decide(Interval(sum(ends) / 2, *ends, 10, 10), direction, margin) == verdict
    # Five independent cases cannot reach 0.05, whatever the interval.
    assert intervals.decide(Interval(sum(ends) / 2, *ends, 50, 5), direction, margin) == UNDECIDED


def test_too_few_cases_are_named_with_the_least_p_they_could_have() -> None:
    few = Interval(1.0, 1.0, 1.0, 50, 5)
    assert intervals.too_small(few) == "with 5 independent cases the smallest two-sided p is 0.0625"
    assert intervals.too_small(few._replace(n_clusters=6)) == ""
    assert intervals.too_small(few._replace(n_clusters=0)) == ""


def test_what_is_paired_is_drawn_together_and_what_is_not_apart() -> None:
    values = np.arange(20.0)
    shifted = intervals.difference(cases(values + 1), cases(values))
    assert shifted[:3] == pytest.approx((1, 1, 1))
    apart = intervals.difference(cases(values + 1), cases(values, "q"))
    assert apart.mean == pytest.approx(1)
    assert apart.low < 0 < 2 < apart.high
    assert apart.n_clusters == 20
    half = intervals.paired_difference(cases(values + 1), cases(values[:10]))
    assert (half.mean, half.n_values) == (1, 10)
    assert np.isnan(intervals.paired_difference(cases(values), cases(values, "q")).mean)


def test_the_spread_of_a_metric_is_compared() -> None:
    values = spread(3, 0.5, 30)
    found = intervals.difference(cases(values), cases(3 * values), intervals.sd_of)
    assert found.mean == pytest.approx(-1)
    assert found.high < 0
    assert np.isnan(intervals.sd_of([1], [2.0], [4.0])).all()


def test_cases_average_the_seeds_of_a_pair_and_leave_out_what_is_undefined() -> None:
    table = pd.DataFrame(
        {"pair_id": ["a", "a", "b", "c"], "group": ["1", "1", "1", "2"], "cluster": ["x", "x", "y", "z"]}
    )
    found = intervals.cases_of(table.assign(m=[1, 3, np.nan, 5]), "m")
    assert (found.values.tolist(), found.clusters.tolist()) == ([2, 5], ["x", "z"])
    assert intervals.cases_of(table.assign(m=[1, 3, 4, 5]), "m", "2").values.tolist() == [5]


@pytest.mark.parametrize(
    ("text", "value", "sd", "rounding"),
    [
        ("0.79 ± 0.08", 0.79, 0.08, 0.005),
        ("69,540", 69540, None, 0.5),
        ("-.49", -0.49, None, 0.005),
        ("−0.6", -0.6, None, 0.05),
        ("1hr 11min 22s", 4282, None, 0.5),
        ("1 hr 11 min and 22s", 4282, None, 0.5),
        ("1 hr 40 min", 6000, None, 30),
    ],
)
def test_a_number_is_read_as_it_is_printed(text: str, value: float, sd: float | None, rounding: float) -> None:
    assert parse(text) == pytest.approx((value, sd, rounding))


@pytest.mark.parametrize("text", ["", "n/a", "0.79 +- 0.08", "hr"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ReregisterError, match="is no printed number"):
        parse(text)


def test_means_of_cases(run: SmallRun) -> None:
    run.metrics("net", {"m": [1, 2, 3, 6]}, group=["a", "a", "b", "b"], cluster=["x", "x", "y", "y"], seed=[0, 1, 0, 1])
    found = take(run.records(), "e", {"of": "metric", "method": "net", "metric": "m"})
    assert (found.value, found.way, found.cases, found.clusters) == (3, CASES, 4, 2)
    assert found.sd == pytest.approx(np.std([1, 2, 3, 6], ddof=1))
    # Of the means 1.5 and 4.5 of the clusters.
    assert found.cluster_sd == pytest.approx(3 / np.sqrt(2))
    assert found.each == (2, 4)
    group = take(run.records(), "e", {"of": "metric", "method": "net", "metric": "m", "group": "b"})
    assert group.value == 4.5
    root = take(run.records(), "e", {"of": "metric", "method": "net", "metric": "m", "statistic": "rms"})
    assert root.value == pytest.approx(np.sqrt(50 / 4))
    assert root.low <= root.value <= root.high


def test_what_was_not_run_is_said(run: SmallRun) -> None:
    run.metrics("net", {"m": [1.0, 2.0]})
    for told, words in (
        ({"of": "metric", "method": "tool", "metric": "m"}, "e tool is not part of this run"),
        ({"of": "metric", "method": "net", "metric": "other"}, "net has no other here"),
        ({"of": "setting", "method": "net", "key": "model.name"}, "model.name is no number here"),
        ({"of": "cell", "table": "t", "where": {}, "column": "c"}, "t is not part of this run"),
    ):
        with pytest.raises(Missing, match=words):
            take(run.records(), "e", told)
    with pytest.raises(Missing, match="other is not part of this run"):
        run.records().dataset("other")


def test_settings_counts_zeros_and_cells(run: SmallRun) -> None:
    pairs = pd.DataFrame({"split": ["test", "test", "validation"], "group": ["1", "2", "1"], "moving": ["a", "b", "c"]})
    run.add("pairs", "pairs/e.csv", pairs.assign(fixed=["b", "c", "a"]))
    run.add("pool", "pairs/e.pool.csv", pd.DataFrame({"id": list("abcde"), "group": ["1", "1", "1", "2", "2"]}))
    run.add("layers", "models/e/net/all_seed0.layers.csv", pd.DataFrame({"layer": ["l", "all"], "share": [1.0, 0.25]}))
    run.add("tables", "tables/t.csv", pd.DataFrame({"method": ["A", "B"], "rank": [2, 1], "v": [7.0, 8.0]}))
    records = run.records()
    for told, value, way in (
        ({"of": "setting", "method": "net", "key": "schedule.batch"}, 4, SETTING),
        ({"of": "setting", "rule": "run_baseline", "method": "tool", "key": "settings.spacing"}, 4, SETTING),
        ({"of": "count", "what": "test"}, 2, EXACT),
        ({"of": "count", "what": "test", "group": "2"}, 1, EXACT),
        ({"of": "count", "what": "validation"}, 1, EXACT),
        ({"of": "count", "what": "test_images"}, 3, EXACT),
        ({"of": "count", "what": "pool"}, 5, EXACT),
        # 3 x 2 and 2 x 1.
        ({"of": "count", "what": "ordered_pairs"}, 8, EXACT),
        ({"of": "zeros", "method": "net"}, 0.25, SEEDS),
        ({"of": "cell", "table": "t", "where": {"method": "B"}, "column": "v"}, 8, EXACT),
        ({"of": "cell", "table": "t", "where": {"rank": 2}, "column": "v"}, 7, EXACT),
        ({"of": "training_seconds", "method": "net"}, 60, SEEDS),
    ):
        found = take(records, "e", told)
        assert (found.value, found.way) == (value, way), told
    with pytest.raises(Missing, match="t has no such row"):
        take(records, "e", {"of": "cell", "table": "t", "where": {"method": "C"}, "column": "v"})


def test_what_histories_say(run: SmallRun) -> None:
    steps = {"step": [0, 1, 2, 3, 4], "epoch": [0, 0.5, 1, 1.5, 2], "train_loss": [np.nan, 3, 2.5, 2.0, 1.0]}
    frame = pd.DataFrame({**steps, "validation_loss": [4, np.nan, 2.0, np.nan, 3.0], "part": "all", "seed": 0})
    for what, column, value in (
        ("last", "train_loss", 1.0),
        ("minimum", "validation_loss", 2.0),
        ("epochs", "train_loss", 2.0),
        # The two steps since the validation before: mean 1.5, validation 3.
        ("gap", "train_loss", 1.0),
        # One above the minimum after a fall of two.
        ("rise", "train_loss", 0.5),
    ):
        assert losses(frame, what, column).tolist() == [value], what


@pytest.mark.parametrize(("shift", "verdict"), [(1.0, HOLDS), (-1.0, FAILS), (0.0, UNDECIDED)])
def test_a_paired_difference_decides(run: SmallRun, shift: float, verdict: str) -> None:
    run.metrics("net", {"m": spread(shift, 1, 40)})
    run.metrics("before", {"m": np.zeros(40)})
    told = {"by": "paired_difference", "metric": "m", "first": "net", "second": "before", "direction": "greater"}
    found = weigh(run.records(), "e", told)
    assert found.verdict == verdict
    assert found.value == pytest.approx(shift)
    assert "Network minus Before" in found.said
    assert found.clusters == 40


def test_every_group_must_have_it(run: SmallRun) -> None:
    groups = ["a"] * 10 + ["b"] * 10
    run.metrics("net", {"m": [1.0] * 10 + [-1.0] * 10}, group=groups)
    run.metrics("before", {"m": np.zeros(20)}, group=groups)
    told = {"by": "paired_difference", "metric": "m", "first": "net", "second": "before", "direction": "greater"}
    assert weigh(run.records(), "e", {**told, "each": "group"}).verdict == FAILS
    assert weigh(run.records(), "e", {**told, "group": "a"}).verdict == HOLDS
    tests = [{**told, "group": name} for name in "ab"]
    assert weigh(run.records(), "e", {"by": "mixed", "tests": tests}).verdict == HOLDS
    assert weigh(run.records(), "e", {"by": "mixed", "tests": [tests[0], tests[0]]}).verdict == FAILS
    assert weigh(run.records(), "e", {"by": "all", "tests": tests}).verdict == FAILS
    assert weigh(run.records(), "e", {"by": "all", "tests": [tests[0], tests[0]]}).verdict == HOLDS


def test_an_extreme_of_methods_and_of_groups(run: SmallRun) -> None:
    for method, mean in (("net", 3.0), ("tool", 2.0), ("before", 1.0)):
        run.metrics(method, {"m": spread(mean, 0.1, 20), "n": np.ones(20)}, group=["a"] * 10 + ["b"] * 10)
    told = {"by": "extreme", "metric": "m", "methods": ["net", "tool", "before"], "end": "largest"}
    assert weigh(run.records(), "e", {**told, "which": ["net"]}).verdict == HOLDS
    assert weigh(run.records(), "e", {**told, "which": ["net", "tool"]}).verdict == HOLDS
    assert weigh(run.records(), "e", {**told, "which": ["tool"]}).verdict == FAILS
    assert weigh(run.records(), "e", {**told, "which": ["before"], "end": "smallest"}).verdict == HOLDS
    grouped = {"by": "extreme", "method": "net", "groups": ["a", "b"], "end": "largest", "terms": {"m": 1.0, "n": 2.0}}
    found = weigh(run.records(), "e", {**grouped, "which": ["b"]})
    assert found.verdict == HOLDS
    assert "a 4.92, b 5.08" in found.said
    assert weigh(run.records(), "e", {**grouped, "which": ["a"]}).verdict == FAILS


def test_orders_hold_in_every_seed_or_are_left_open(run: SmallRun) -> None:
    for seed, (one, other) in enumerate([(1.0, 2.0), (1.0, 0.5)]):
        run.history("net", pd.DataFrame({"step": [1], "train_loss": [one]}), seed)
        run.history("tool", pd.DataFrame({"step": [1], "train_loss": [other]}), seed)
    records = run.records()
    value = {"of": "loss", "what": "last"}
    order = {"by": "order", "ascending": {"a": {**value, "method": "net"}, "b": {**value, "method": "tool"}}}
    assert weigh(records, "e", order).verdict == UNDECIDED
    lowest = {"by": "lowest", "take": value, "methods": ["net", "tool"], "which": ["net"]}
    assert weigh(records, "e", lowest).verdict == UNDECIDED
    assert "as claimed in 1 of 2 seeds" in weigh(records, "e", lowest).said
    same = {"by": "order", "ascending": {"a": {**value, "method": "net"}, "b": {**value, "method": "net"}}}
    assert weigh(records, "e", same).verdict == FAILS


@pytest.mark.parametrize(
    ("second", "verdict"), [([1, 2, 3, 4], HOLDS), ([1, 2, 4, 3], UNDECIDED), ([4, 3, 2, 1], FAILS)]
)
def test_two_orders_are_one_or_not(run: SmallRun, second: list[int], verdict: str) -> None:
    table = pd.DataFrame({"method": list("abcd"), "x": [-1.0, -2.0, -3.0, -4.0], "y": second})
    run.add("tables", "tables/t.csv", table)
    cell = {"of": "cell", "table": "t"}
    told = {"by": "same_order", "first": {**cell, "column": "x"}, "second": {**cell, "column": "y"}, "absolute": True}
    found = weigh(run.records(), "e", {**told, "among": [{"where": {"method": name}} for name in "abcd"]})
    assert found.verdict == verdict
    assert "with 4 values the smallest two-sided p is 0.083" in found.said


def test_all_cases_keep_to_a_bound(run: SmallRun) -> None:
    run.metrics("net", {"folds": [0.0, 0.0, 0.1], "none": [0.0, 0.0, 0.0]})
    run.add("traces", "fields/e/net.traces.csv", pd.DataFrame({"step": [0, 1], "u": [0.5, 9.0]}))
    told = {"by": "all_of", "method": "net", "equals": 0}
    assert weigh(run.records(), "e", {**told, "metric": "none"}).verdict == HOLDS
    found = weigh(run.records(), "e", {**told, "metric": "folds"})
    assert found.verdict == FAILS
    assert found.said.startswith("2 of 3 cases have folds equal to 0")
    start = {"by": "all_of", "kind": "start", "method": "net", "metric": "u"}
    assert weigh(run.records(), "e", {**start, "at_most": 1}).verdict == HOLDS
    assert weigh(run.records(), "e", {**start, "at_most": 0.1}).verdict == FAILS


def test_a_value_keeps_to_a_bound_in_every_seed(run: SmallRun) -> None:
    for seed, epochs in enumerate([11, 13]):
        run.history("net", pd.DataFrame({"step": [1], "epoch": [epochs], "train_loss": [1.0]}), seed)
    told = {"by": "value", "take": {"of": "loss", "what": "epochs", "method": "net"}}
    for bound, verdict in (
        ({"at_most": 20}, HOLDS),
        ({"at_most": 12}, UNDECIDED),
        ({"at_most": 5}, FAILS),
        # Neither seed has 12, and one is on either side.
        ({"equals": 12}, UNDECIDED),
        ({"equals": 14}, FAILS),
        ({"equals": 12, "tolerance": 1}, HOLDS),
    ):
        assert weigh(run.records(), "e", {**told, **bound}).verdict == verdict, bound


@pytest.mark.parametrize(
    ("bound", "verdict"), [({"at_least": 9}, HOLDS), ({"at_least": 11}, FAILS), ({"at_most": 12}, HOLDS)]
)
def test_a_ratio_of_times(run: SmallRun, bound: dict[str, float], verdict: str) -> None:
    run.times("tool", [1.0, 2.0] * 5)
    run.times("net", [0.1, 0.2] * 5)
    told = {"by": "ratio_of_times", "first": "tool", "second": "net", **bound}
    found = weigh(run.records(), "e", told)
    assert found.value == pytest.approx(10)
    assert found.verdict == verdict
    assert "cpu, 1 thread(s)" in found.said
    assert timed(run.records(), told)


def test_a_spread_decides(run: SmallRun) -> None:
    run.metrics("net", {"m": spread(1, 0.1, 30)})
    run.metrics("tool", {"m": spread(1, 1.0, 30)})
    told = {"by": "spread", "metric": "m", "first": "net", "second": "tool"}
    assert weigh(run.records(), "e", {**told, "direction": "less"}).verdict == HOLDS
    assert weigh(run.records(), "e", {**told, "direction": "greater"}).verdict == FAILS


def test_methods_and_times_are_found_at_any_depth(run: SmallRun) -> None:
    told = {
        "by": "all",
        "tests": [{"first": "a", "second": "b"}, {"take": {"of": "cell", "table": "t", "where": {"method": "L"}}}],
    }
    assert methods_of(told) == ["a", "b"]
    assert not timed(run.records(), told)
    assert timed(run.records(timed=["t"]), told)
