"""Intervals by coverage and closed form, tests against statsmodels and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reregister.statistics import cluster_bootstrap_mean, holm, paired_gain, summarise, welch_tost, wilcoxon_paired


def clustered(random, clusters=30, per_cluster=6, between=1.0, within=0.5):
    values = between * random.normal(size=(clusters, 1)) + within * random.normal(size=(clusters, per_cluster))
    return values.ravel(), np.repeat(np.arange(clusters), per_cluster)


def test_interval_of_independent_values_is_the_normal_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = cluster_bootstrap_mean(values, np.arange(400), n=8000)
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.08 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.08 * half)
    assert (found.n_values, found.n_clusters) == (400, 400)


def test_coverage_with_correlated_clusters():
    random = np.random.default_rng(1)
    hits, naive_hits, runs = 0, 0, 300
    for _ in range(runs):
        values, clusters = clustered(random)
        found = cluster_bootstrap_mean(values, clusters, n=400)
        naive = cluster_bootstrap_mean(values, np.arange(values.size), n=400)
        hits += found.low <= 0 <= found.high
        naive_hits += naive.low <= 0 <= naive.high
    # 30 clusters: the percentile interval is a little narrow; the binomial error of 300 runs is 0.013.
    assert 0.89 <= hits / runs <= 0.98
    assert naive_hits / runs < 0.75


def test_cluster_interval_is_wider_where_clusters_correlate():
    values, clusters = clustered(np.random.default_rng(2))
    found = cluster_bootstrap_mean(values, clusters)
    naive = cluster_bootstrap_mean(values, np.arange(values.size))
    assert found.high - found.low > 1.8 * (naive.high - naive.low)
    wide = cluster_bootstrap_mean(values, clusters, level=0.99)
    assert wide.low < found.low < found.mean < found.high < wide.high


def test_unequal_clusters_are_a_ratio_of_sums():
    # Resamples of {0, 0, 0} and {4}: all of one, all of the other, or both. Means 0, 4 and 1.
    found = cluster_bootstrap_mean([0.0, 0, 0, 4], ["b", "b", "b", "a"], n=4000, level=0.4)
    assert found.mean == 1
    assert (found.low, found.high) == (1, 1)
    assert cluster_bootstrap_mean([0.0, 0, 0, 4], ["b", "b", "b", "a"], n=4000, level=0.6)[1:3] == (0, 4)


def test_undefined_values_are_dropped_with_their_cluster():
    values, clusters = clustered(np.random.default_rng(3), clusters=5, per_cluster=2)
    extended = cluster_bootstrap_mean([*values, np.nan, np.inf], [*clusters, 0, 77], seed=4)
    assert extended == cluster_bootstrap_mean(values, clusters, seed=4)
    assert (extended.n_values, extended.n_clusters) == (10, 5)


def test_same_seed_same_bits_whatever_the_order_and_the_labels():
    values, clusters = clustered(np.random.default_rng(5))
    found = cluster_bootstrap_mean(values, clusters, seed=6)
    assert found == cluster_bootstrap_mean(values, clusters, seed=6)
    assert found[1:3] != cluster_bootstrap_mean(values, clusters, seed=7)[1:3]
    order = np.random.default_rng(8).permutation(values.size)
    assert cluster_bootstrap_mean(values[order], clusters[order], seed=6) == pytest.approx(found, rel=1e-12)
    names = np.array([f"case{i:03d}" for i in clusters])
    assert cluster_bootstrap_mean(values, names, seed=6) == found


def test_one_cluster_has_no_interval():
    found = cluster_bootstrap_mean([1.0, 2.0, 3.0], ["a", "a", "a"])
    assert found.mean == 2
    assert np.isnan([found.low, found.high]).all()
    assert (found.n_values, found.n_clusters) == (3, 1)
    empty = cluster_bootstrap_mean([np.nan], ["a"])
    assert np.isnan(empty[:3]).all()
    assert (empty.n_values, empty.n_clusters) == (0, 0)


def test_bootstrap_rejects_what_it_cannot_use():
    with pytest.raises(ValueError, match="cluster"):
        cluster_bootstrap_mean([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="cluster"):
        cluster_bootstrap_mean([1.0, 2.0], ["a", None])
    with pytest.raises(ValueError, match="level=95"):
        cluster_bootstrap_mean([1.0, 2.0], [0, 1], level=95)


def test_paired_gain_is_the_interval_of_the_differences():
    random = np.random.default_rng(9)
    a, clusters = clustered(random)
    b = a - 0.2 + 0.05 * random.normal(size=a.size)
    b[3] = np.nan
    found = paired_gain(a, b, clusters, seed=1)
    assert found == cluster_bootstrap_mean(a - b, clusters, seed=1)
    assert found.n_values == a.size - 1
    assert 0.15 < found.low < 0.2 < found.high < 0.25
    # Not paired, the spread between the cases would hide this gain.
    assert cluster_bootstrap_mean(a, clusters).low < cluster_bootstrap_mean(b, clusters).high
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        paired_gain([1.0, 2.0], [1.0, 2.0, 3.0], [0, 1])


def test_holm_equals_statsmodels():
    random = np.random.default_rng(10)
    for size in (1, 2, 7, 40):
        p = random.random(size) ** 3
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.02, 0.02, 0.9]), multipletests([0.02, 0.02, 0.9], method="holm")[1])


def test_holm_counts_a_test_that_could_not_be_done():
    np.testing.assert_allclose(holm([0.01, np.nan, 0.02]), [0.03, np.nan, 0.04])
    assert holm([]).size == 0
    with pytest.raises(ValueError, match="inside"):
        holm([0.5, 1.5])


def test_wilcoxon_equals_scipy():
    random = np.random.default_rng(11)
    a = random.normal(size=30)
    b = a + 0.3 * random.normal(size=30) - 0.1
    found = wilcoxon_paired([*a, np.nan, 1.0], [*b, 0.0, 1.0])
    expected = stats.wilcoxon(a, b, method="exact")
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.n == 30
    assert found.smallest_p == 2.0**-29
    assert not found.too_small


@pytest.mark.parametrize("gains", [[1, 2, 3, 4, 5], [1, 1, 1, 1, 1]])
def test_five_cases_cannot_reach_significance(gains):
    found = wilcoxon_paired(gains, np.zeros(5))
    assert found.p == found.smallest_p == 0.0625
    assert found.too_small
    six = wilcoxon_paired([*gains, 6], np.zeros(6))
    assert six.p == six.smallest_p == 0.03125
    assert not six.too_small


def test_wilcoxon_on_cluster_means():
    a = np.array([1.0, 3.0, 2.0, 5.0, -1.0, -2.0])
    found = wilcoxon_paired(a, np.zeros(6), clusters=list("ppqqrr"))
    expected = stats.wilcoxon([2.0, 3.5, -1.5])
    assert (found.statistic, found.p, found.n) == (expected.statistic, expected.pvalue, 3)


def test_wilcoxon_without_differences_or_pairs():
    same = wilcoxon_paired([1.0, 2.0], [1.0, 2.0])
    assert (same.statistic, same.p, same.n, same.too_small) == (0, 1, 0, True)
    none = wilcoxon_paired([np.nan, 1.0], [1.0, np.nan], clusters=["a", "b"])
    assert np.isnan([none.statistic, none.p]).all()
    assert none.n == 0


def summaries(a, b):
    return a.mean(), a.std(ddof=1), a.size, b.mean(), b.std(ddof=1), b.size


@pytest.mark.parametrize(("margin", "rounding"), [(0.3, 0.0), (0.3, 0.05), (0.1, 0.005), (0.02, 0.05)])
def test_tost_equals_two_shifted_welch_tests(margin, rounding):
    random = np.random.default_rng(12)
    a, b = random.normal(0.05, 0.5, 60), random.normal(0, 0.8, 45)
    found = welch_tost(*summaries(a, b), margin, rounding)
    effective = margin - rounding
    above = stats.ttest_ind(a + effective, b, equal_var=False, alternative="greater").pvalue
    below = stats.ttest_ind(a - effective, b, equal_var=False, alternative="less").pvalue
    assert found.p_equivalent == pytest.approx(max(above, below), rel=1e-9)
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.90)
    assert found.low == pytest.approx(interval.low - rounding, rel=1e-9)
    assert found.high == pytest.approx(interval.high + rounding, rel=1e-9)
    # The two readings of the test agree: p < 0.05 where the 90 % interval lies inside the margin.
    assert (found.p_equivalent < 0.05) == (-margin < found.low and found.high < margin)


def test_difference_is_the_welch_test_without_rounding():
    random = np.random.default_rng(13)
    a, b = random.normal(0.2, 0.5, 60), random.normal(0, 0.8, 45)
    expected = stats.ttest_ind(a, b, equal_var=False).pvalue
    assert welch_tost(*summaries(a, b), margin=0.1).p_different == pytest.approx(expected, rel=1e-9)
    assert welch_tost(*summaries(a, b), margin=0.1, rounding=0.05).p_different > expected


def test_verdicts():
    assert welch_tost(0.800, 0.08, 250, 0.80, 0.08, 258, margin=0.03, rounding=0.005).verdict == "equivalent"
    assert welch_tost(0.700, 0.08, 250, 0.80, 0.08, 258, margin=0.03, rounding=0.005).verdict == "different"
    assert welch_tost(0.790, 0.08, 10, 0.80, 0.08, 258, margin=0.03, rounding=0.005).verdict == "undecided"
    # Inside the margin but for what the printed digits leave open.
    assert welch_tost(0.815, 0.08, 250, 0.80, 0.08, 258, margin=0.03).verdict == "equivalent"
    assert welch_tost(0.815, 0.08, 250, 0.80, 0.08, 258, margin=0.03, rounding=0.005).verdict != "equivalent"


def test_smallest_margin_is_just_provable():
    case = (0.9, 0.05, 109, 0.9, 0.05, 109)
    smallest = welch_tost(*case, margin=1.0, rounding=0.0005).smallest_margin
    assert 0.0115 < smallest < 0.0125
    assert welch_tost(*case, margin=1.001 * smallest, rounding=0.0005).verdict == "equivalent"
    assert welch_tost(*case, margin=0.999 * smallest, rounding=0.0005).verdict == "undecided"


def test_tost_without_spread():
    assert welch_tost(0.5, 0, 5, 0.5, 0, 5, margin=0.1).verdict == "equivalent"
    assert welch_tost(0.9, 0, 5, 0.5, 0, 5, margin=0.1).verdict == "different"
    found = welch_tost(0.504, 0, 5, 0.5, 0, 5, margin=0.004, rounding=0.005)
    assert (found.p_equivalent, found.p_different, found.verdict) == (1, 1, "undecided")


@pytest.mark.parametrize("change", [{"sd2": np.nan}, {"n2": 1}, {"margin": 0.0}, {"rounding": -0.1}, {"mean1": np.inf}])
def test_tost_needs_a_complete_row(change):
    row = {"mean1": 1, "sd1": 1, "n1": 9, "mean2": 1, "sd2": 1, "n2": 9, "margin": 0.5, "rounding": 0.0}
    with pytest.raises(ValueError, match="margin > 0"):
        welch_tost(**row | change)


def frame():
    random = np.random.default_rng(14)
    rows = [
        {
            "method": method,
            "seed": seed,
            "cluster": f"p{i // 2}",
            "dice": random.normal(gain, 1),
            "hd95": random.random(),
        }
        for method, gain in (("identity", 0), ("dirnet_bl", 1))
        for seed in (0, 1)
        for i in range(12)
    ]
    table = pd.DataFrame(rows)
    table.loc[table.method == "identity", "hd95"] = np.nan
    table.loc[30, "dice"] = np.inf
    return table


def test_summarise_is_long_and_agrees_with_its_parts():
    table = frame()
    found = summarise(table, ["method"], ["dice", "hd95"], seed=3)
    columns = "method metric n n_undefined n_clusters mean sd median low high"
    assert list(found.columns) == columns.split()
    assert found[["method", "metric"]].values.tolist() == [
        ["dirnet_bl", "dice"], ["dirnet_bl", "hd95"], ["identity", "dice"], ["identity", "hd95"],
    ]  # fmt: skip
    part = table[table.method == "dirnet_bl"]
    row = found.iloc[0]
    assert (row.n, row.n_undefined, row.n_clusters) == (23, 1, 6)
    defined = part.dice[np.isfinite(part.dice)]
    expected = cluster_bootstrap_mean(part.dice, part.cluster, seed=3)
    assert (row["mean"], row.low, row.high) == expected[:3]
    assert (row["mean"], row.sd, row["median"]) == pytest.approx((defined.mean(), defined.std(), defined.median()))
    nothing = found.iloc[3]
    assert (nothing.n, nothing.n_undefined, nothing.n_clusters) == (0, 24, 0)
    assert np.isnan(nothing[["mean", "sd", "median", "low", "high"]].to_numpy(dtype=float)).all()


def test_summarise_rows_do_not_depend_on_each_other():
    table = frame()
    every = summarise(table, ["method", "seed"], ["dice", "hd95"], seed=3)
    assert len(every) == 8
    alone = summarise(table[table.method == "identity"], ["method", "seed"], ["dice"], seed=3)
    matching = every[(every.method == "identity") & (every.metric == "dice")].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, matching)
    unlabelled = summarise(table.assign(seed=np.nan), ["seed"], ["dice"])
    assert unlabelled.n.tolist() == [47]
    overall = summarise(table.rename(columns={"cluster": "patient"}), [], ["dice"], cluster="patient")
    assert overall.n.tolist() == [47]


def test_summarise_names_missing_columns():
    with pytest.raises(ValueError, match=r"\['ssim', 'patient'\]"):
        summarise(frame(), ["method"], ["ssim"], cluster="patient")
