"""Methods side by side: means, and gains paired case by case."""

import numpy as np
import pandas as pd
import pytest

from reregister.comparison import CASE_COLUMNS, compare, metric_columns
from reregister.errors import ReregisterError
from reregister.statistics import cluster_bootstrap_mean, paired_gain
from reregister.tables import read_results, write_frame

PAIRS = [f"test-{group}-{n:05d}" for group in "17" for n in range(8)]
METRICS = ["ncc", "fold_share"]


def rows(method: str, seed: int, gain: float, noise: float = 0.01) -> pd.DataFrame:
    """One row per pair; the pairs differ far more from each other than the methods do."""
    level = np.random.default_rng(0).uniform(0, 1, len(PAIRS))
    random = np.random.default_rng([seed, len(method)])
    return pd.DataFrame(
        {
            "method": method,
            "seed": seed,
            "pair_id": PAIRS,
            "moving": [f"m{n}" for n in range(len(PAIRS))],
            "fixed": [f"f{pair[5]}" for pair in PAIRS],
            "group": [pair[5] for pair in PAIRS],
            "cluster": [f"patient{n // 2}" for n in range(len(PAIRS))],
            "unit": "px",
            "spacing": "1 1",
            "ncc": level + gain + noise * random.normal(size=len(PAIRS)),
            "fold_share": gain * np.arange(len(PAIRS)),
        }
    )


def table_of(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def metrics():
    return table_of(
        rows("identity", 0, 0.0, noise=0.0), rows("elastix", 0, 0.1), rows("dirnet", 0, 0.2), rows("dirnet", 1, 0.3)
    )


def cell(table: pd.DataFrame, method: str, group: str, metric: str) -> pd.Series:
    found = table[(table["method"] == method) & (table["group"] == group) & (table["metric"] == metric)]
    assert len(found) == 1
    return found.iloc[0]


def test_one_row_for_each_method_group_and_metric(metrics):
    table = compare(metrics)
    assert list(table.columns[:3]) == ["method", "group", "metric"]
    assert set(table.columns[3:]) == {
        *("n", "n_undefined", "n_clusters", "mean", "sd", "median", "low", "high", "gain", "gain_low", "gain_high")
    }
    cases = {(m, g, k) for m in ("identity", "elastix", "dirnet") for g in ("1", "7", "all") for k in METRICS}
    assert set(map(tuple, table[["method", "group", "metric"]].to_numpy())) == cases
    assert len(table) == len(cases)


def test_metric_columns_are_what_names_no_case(metrics):
    assert metric_columns(metrics) == METRICS
    assert metric_columns(metrics[[*CASE_COLUMNS]]) == []


def test_means_and_intervals_of_a_group(metrics):
    found = cell(compare(metrics), "elastix", "7", "ncc")
    cases = metrics[(metrics["method"] == "elastix") & (metrics["group"] == "7")]
    expected = cluster_bootstrap_mean(cases["ncc"], cases["cluster"])
    assert (found["mean"], found["low"], found["high"]) == expected[:3]
    assert (found["n"], found["n_undefined"], found["n_clusters"]) == (8, 0, 4)
    assert found["sd"] == pytest.approx(cases["ncc"].std())
    assert found["median"] == pytest.approx(cases["ncc"].median())


def test_group_all_holds_every_case(metrics):
    found = cell(compare(metrics), "elastix", "all", "ncc")
    assert found["mean"] == pytest.approx(metrics.loc[metrics["method"] == "elastix", "ncc"].mean())
    assert (found["n"], found["n_clusters"]) == (16, 8)


def test_gain_is_paired_case_by_case(metrics):
    found = cell(compare(metrics), "elastix", "1", "ncc")
    ours, before = (metrics[(metrics["method"] == m) & (metrics["group"] == "1")] for m in ("elastix", "identity"))
    difference = ours["ncc"].to_numpy() - before["ncc"].to_numpy()
    assert found["gain"] == pytest.approx(difference.mean())
    expected = paired_gain(ours["ncc"], before["ncc"], ours["cluster"])
    assert (found["gain"], found["gain_low"], found["gain_high"]) == pytest.approx(expected[:3])
    # Paired: the spread between pairs cancels, the interval is that of the differences.
    assert found["gain_high"] - found["gain_low"] < 0.1 * (found["high"] - found["low"])


def test_order_of_the_rows_has_no_say(metrics):
    expected = compare(metrics)
    for seed in range(3):
        shuffled = metrics.sample(frac=1, random_state=seed)
        # Within one method the order moves the last digit of a sum, and no more.
        pd.testing.assert_frame_equal(compare(shuffled), expected, rtol=1e-12)


def test_baseline_in_another_order_than_the_method():
    before = rows("identity", 0, 0.0, noise=0.0)
    metrics = table_of(before.iloc[::-1], rows("elastix", 0, 0.25, noise=0.0))
    found = cell(compare(metrics), "elastix", "all", "ncc")
    for name in ("gain", "gain_low", "gain_high"):
        assert found[name] == pytest.approx(0.25)


def test_seeds_are_cases_of_the_same_cluster(metrics):
    table = compare(metrics)
    found = cell(table, "dirnet", "all", "ncc")
    assert (found["n"], found["n_clusters"]) == (32, 8)
    assert found["gain"] == pytest.approx(0.25, abs=0.01)
    # Twice the same seed tells nothing new: means and intervals stay.
    doubled = table_of(metrics, metrics[metrics["method"] == "elastix"].assign(seed=1))
    once, twice = (cell(t, "elastix", "all", "ncc") for t in (table, compare(doubled)))
    for name in ("mean", "low", "high", "gain", "gain_low", "gain_high"):
        assert twice[name] == pytest.approx(once[name])
    assert (twice["n"], once["n"]) == (32, 16)


def test_gain_of_the_baseline_over_itself_is_zero(metrics):
    table = compare(metrics)
    gains = table.loc[table["method"] == "identity", ["gain", "gain_low", "gain_high"]]
    assert len(gains) == 6
    assert (gains == 0).all(axis=None)


def test_baseline_with_several_seeds_counts_by_its_mean(metrics):
    found = cell(compare(metrics, baseline="dirnet"), "elastix", "all", "ncc")
    by_pair = metrics.pivot_table(index="pair_id", columns="method", values="ncc", aggfunc="mean")
    assert found["gain"] == pytest.approx((by_pair["elastix"] - by_pair["dirnet"]).mean())
    assert found["gain"] == pytest.approx(-0.15, abs=0.01)


def test_undefined_values_are_left_out_of_both_sides(metrics):
    metrics.loc[(metrics["method"] == "identity") & (metrics["pair_id"] == PAIRS[0]), "ncc"] = np.nan
    metrics.loc[(metrics["method"] == "elastix") & (metrics["pair_id"] == PAIRS[1]), "ncc"] = np.nan
    found = cell(compare(metrics), "elastix", "1", "ncc")
    ours, before = (metrics[(metrics["method"] == m) & (metrics["group"] == "1")] for m in ("elastix", "identity"))
    difference = (ours["ncc"].to_numpy() - before["ncc"].to_numpy())[2:]
    assert np.isfinite(difference).all()
    assert found["gain"] == pytest.approx(difference.mean())
    assert (found["n"], found["n_undefined"]) == (7, 1)


def test_metric_that_is_undefined_everywhere(metrics):
    table = compare(metrics.assign(field_error_mean=np.nan))
    found = cell(table, "dirnet", "all", "field_error_mean")
    assert (found["n"], found["n_undefined"]) == (0, 32)
    assert found[["mean", "low", "high", "gain", "gain_low", "gain_high"]].isna().all()


def test_pair_without_a_baseline_is_named(metrics):
    gone = (metrics["method"] == "identity") & (metrics["pair_id"] == PAIRS[9])
    with pytest.raises(ReregisterError, match=f"identity has no row for the pair {PAIRS[9]}; evaluate it"):
        compare(metrics[~gone])
    with pytest.raises(ReregisterError, match=f"syn has no row for the pair {PAIRS[0]}"):
        compare(metrics, baseline="syn")


def test_method_that_lacks_pairs_is_compared_on_those_it_has(metrics):
    part = metrics[(metrics["method"] != "elastix") | metrics["pair_id"].isin(PAIRS[3:6])]
    found = cell(compare(part), "elastix", "all", "ncc")
    assert found["n"] == 3
    assert found["gain"] == pytest.approx(0.1, abs=0.02)


def test_tables_from_disk_give_the_same_bytes_twice_and_the_same_numbers_in_any_order(metrics, tmp_path):
    paths = []
    for (method, seed), part in metrics.groupby(["method", "seed"]):
        paths.append(tmp_path / f"{method}.{seed}.csv")
        write_frame(paths[-1], part)
    tables = [compare(read_results(order)) for order in (paths, paths[::-1])]
    for number, table in enumerate(tables):
        write_frame(tmp_path / f"{number}.csv", table)
    once, reversed_order = (pd.read_csv(tmp_path / f"{number}.csv") for number in (0, 1))
    pd.testing.assert_frame_equal(once, reversed_order, rtol=1e-12)
    # A digit is a name of a group and stays text.
    assert set(tables[0]["group"]) == {"1", "7", "all"}
    write_frame(tmp_path / "again.csv", compare(read_results(paths)))
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "0.csv").read_bytes()
