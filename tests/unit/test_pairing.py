"""Frozen pairs and the training pool."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reregister.data import pairing
from reregister.data.marked_pairs import scorable_groups
from reregister.data.pairing import PAIR_COLUMNS, frozen_pairs
from reregister.data.pools import POOL_COLUMNS, pairs_in_pool, training_pool
from reregister.data.readers.scd import read
from reregister.data.roles import split_subjects
from reregister.errors import ReregisterError

SIXTH = {"name": "last_of_train", "fraction": "1/6"}
POOL, DISTINCT = {"name": "ordered_pairs_within_group"}, {"name": "ordered_distinct_pairs_within_group"}
BETWEEN = {"name": "between_marks", "marks": ["ED", "ES"]}


def _subjects(n_train=60, n_test=20, groups=("1", "7"), drop=()):
    ids = [f"train-{row:05d}" for row in range(n_train)] + [f"test-{row:05d}" for row in range(n_test)]
    table = pd.DataFrame({"id": ids, "group": [groups[row % len(groups)] for row in range(len(ids))]})
    table = table.assign(cluster="c" + table["id"], split=table["id"].str.split("-").str[0])
    return table[~table["id"].isin(drop)]


@pytest.fixture
def subjects():
    # An index of its own: roles must follow the rows, not their numbers.
    return _subjects().set_index(pd.Index(range(500, 580)))


@pytest.fixture
def roles(subjects):
    return split_subjects(subjects, SIXTH)


def test_unknown_rules_are_named(subjects, roles):
    with pytest.raises(ReregisterError, match="None is unknown; allowed are one_fixed_per_group, random"):
        frozen_pairs(subjects, roles, {"per_group": 3}, 0)
    with pytest.raises(ReregisterError, match="'all' is unknown; allowed are ordered_pairs_within_group, ordered_dis"):
        training_pool(subjects, roles, {"name": "all"})


def test_one_fixed_per_group(subjects, roles):
    pairs = frozen_pairs(subjects, roles, {"name": "one_fixed_per_group", "limit": None}, seed=3)
    assert tuple(pairs.columns) == PAIR_COLUMNS
    assert pairs["pair_id"].is_unique
    assert set(pairs["split"]) == {"test"}
    group = subjects.set_index("id")["group"]
    for digit, chosen in pairs.groupby("group"):
        everyone = set(subjects.loc[(roles == "test") & (subjects["group"] == digit), "id"])
        assert chosen["fixed"].nunique() == 1
        assert len(chosen) == 9
        assert set(chosen["moving"]) | set(chosen["fixed"]) == everyone
        assert set(chosen["moving"].map(group)) == {digit}
    assert (pairs["cluster"] == "c" + pairs["moving"]).all()


def test_limit_is_a_prefix(subjects, roles):
    whole = frozen_pairs(subjects, roles, {"name": "one_fixed_per_group"}, seed=3)
    some = frozen_pairs(subjects, roles, {"name": "one_fixed_per_group", "limit": 4}, seed=3)
    expected = whole.groupby("group").head(4).reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected)
    for bad in (0, -1, "4", 2.0, True):
        with pytest.raises(ReregisterError, match="limit"):
            frozen_pairs(subjects, roles, {"name": "one_fixed_per_group", "limit": bad}, seed=3)


@pytest.mark.parametrize("per_group", [5, 90, 91, 200])
def test_random_within_group(subjects, roles, per_group):
    pairs = frozen_pairs(subjects, roles, {"name": "random_within_group", "per_group": per_group}, seed=3)
    assert pairs.groupby("group").size().to_dict() == {"1": per_group, "7": per_group}
    assert (pairs["moving"] != pairs["fixed"]).all()
    times = pairs.value_counts(["moving", "fixed"])
    assert times.max() == -(-per_group // 90), "no ordered pair twice before all 10 x 9 have been used"
    if per_group == 90:
        assert len(times) == 180
    group = subjects.set_index("id")["group"]
    assert (pairs["moving"].map(group) == pairs["fixed"].map(group)).all()


def test_random_within_group_is_uniform():
    few = _subjects(n_train=6, n_test=4, groups=("7",))
    roles = split_subjects(few, SIXTH)
    counts = np.zeros((4, 4))
    row = {f"test-{number:05d}": number for number in range(4)}
    for seed in range(600):
        pair = frozen_pairs(few, roles, {"name": "random_within_group", "per_group": 1}, seed).iloc[0]
        counts[row[pair["moving"]], row[pair["fixed"]]] += 1
    assert (np.diag(counts) == 0).all()
    off = counts[~np.eye(4, dtype=bool)]
    # 50 expected in each of 12 cells; chi-square with 11 degrees of freedom, 99.9 % quantile 31.3.
    assert ((off - 50) ** 2 / 50).sum() < 31.3


@pytest.mark.parametrize("rule", [{"name": "one_fixed_per_group"}, {"name": "random_within_group", "per_group": 7}])
def test_seeds_and_independence_of_groups(subjects, roles, rule):
    pairs = frozen_pairs(subjects, roles, rule, seed=3)
    pd.testing.assert_frame_equal(pairs, frozen_pairs(subjects, roles, rule, seed=3))
    assert not pairs.equals(frozen_pairs(subjects, roles, rule, seed=4))
    ones = subjects.index[(roles == "test") & (subjects["group"] == "1")]
    fewer = frozen_pairs(subjects.drop(ones[:4]), roles.drop(ones[:4]), rule, seed=3)
    sevens = [table[table["group"] == "7"].reset_index(drop=True) for table in (pairs, fewer)]
    pd.testing.assert_frame_equal(*sevens)


def test_pairs_are_the_same_in_every_process(subjects, roles, tmp_path):
    """Python salts its own hash of texts anew in each process; the generator must not depend on it."""
    subjects.assign(role=roles).to_csv(tmp_path / "subjects.csv", index=False)
    code = (
        "import sys, pandas as pd; from reregister.data.pairing import frozen_pairs;"
        "table = pd.read_csv(sys.argv[1], dtype=str, keep_default_na=False);"
        "rule = {'name': 'random_within_group', 'per_group': 9};"
        "print(frozen_pairs(table, table['role'], rule, 5).to_csv(index=False))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "subjects.csv")]
    path = str(Path(pairing.__file__).parents[2])
    outputs = [
        subprocess.run(
            command,
            env=os.environ | {"PYTHONHASHSEED": salt, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in "12"
    ]
    assert outputs[0] == outputs[1]
    here = frozen_pairs(subjects, roles, {"name": "random_within_group", "per_group": 9}, 5)
    assert outputs[0].strip() == here.to_csv(index=False).strip()


def test_other_splits(subjects, roles):
    rule = {"name": "random_within_group", "per_group": 3, "split": "validation"}
    pairs = frozen_pairs(subjects, roles, rule, seed=0)
    assert pairs.groupby("group").size().to_dict() == {"1": 3, "7": 3}
    assert set(pairs["split"]) == {"validation"}
    validation = set(subjects.loc[roles == "validation", "id"])
    assert set(pairs["moving"]) | set(pairs["fixed"]) <= validation


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "one_fixed_per_group"},
        {"name": "random_within_group", "per_group": 3},
        {"name": "random_pairs", "count": 3},
        {"name": "between_marks", "marks": ["ED", "ES"]},
    ],
)
def test_without_validation_images_there_are_no_validation_pairs(subjects, rule):
    roles = split_subjects(subjects, SIXTH, {"train": list(subjects["id"][:40]), "test": list(subjects["id"][40:])})
    none = frozen_pairs(subjects, roles, {**rule, "split": "validation"}, seed=0)
    assert tuple(none.columns) == PAIR_COLUMNS
    assert none.empty
    with pytest.raises(ReregisterError):
        frozen_pairs(subjects, roles.replace("test", ""), {**rule, "split": "test"}, seed=0)


# Pairs of two digits of 25 training images each. The other pools need several images of a patient.
OF_DIGITS = {
    "ordered_pairs_within_group": 1250,
    "ordered_distinct_pairs_within_group": 1200,
    "each_image_once": 1250,
    "each_other_image_once": 1200,
}


@pytest.mark.parametrize("name", OF_DIGITS)
def test_training_pool(subjects, roles, name):
    pool = training_pool(subjects, roles, {"name": name})
    assert tuple(pool.columns) == POOL_COLUMNS
    assert set(pool["id"]) == set(subjects.loc[roles == "train", "id"])
    assert (pool["cluster"] == "c" + pool["id"]).all()
    assert set(pool["rule"]) == {name}
    assert set(pool["moving"]) == {""}
    assert pairs_in_pool(pool) == OF_DIGITS[name]


def test_groups_too_small(subjects):
    roles = split_subjects(subjects, SIXTH, {"train": ["train-00000", "train-00002", "train-00001"]})
    with pytest.raises(ReregisterError, match=r"Group 7 has 1 image\(s\) in the split train"):
        training_pool(subjects, roles, POOL)
    # Digit 1 has no test image; one that lies in a single split as a whole is no business of the others.
    lists = {"train": list(subjects["id"][:4]), "validation": ["train-00010"], "test": ["test-00001", "test-00003"]}
    with pytest.raises(ReregisterError, match=r"Group 1 has 0 image\(s\) in the split test"):
        frozen_pairs(subjects, split_subjects(subjects, SIXTH, lists), {"name": "one_fixed_per_group"}, 0)
    alone = split_subjects(subjects, SIXTH, {**lists, "validation": ["train-00011"]})
    assert set(frozen_pairs(subjects, alone, {"name": "one_fixed_per_group"}, 0)["group"]) == {"7"}
    with pytest.raises(ReregisterError, match="No image has a role"):
        training_pool(subjects, split_subjects(subjects, SIXTH, {}), POOL)


def cine(cases, phases=20, first_incomplete=0):
    """A table like that of SCD: cases {name: (role, slices)}, each slice a group with ED in phase 1 and ES in phase 8.

    first_incomplete: so many slices of each case have these two phases alone.
    """
    rows = []
    for case, (role, slices) in cases.items():
        for place in range(slices):
            whole = place >= first_incomplete
            for phase in range(phases) if whole else (0, 7):
                group = f"{case}_s{place + 1:02d}"
                mark = {0: "ED", 7: "ES"}.get(phase, "")
                row = {"id": f"{group}_p{phase + 1:02d}", "group": group, "cluster": case, "split": role, "mark": mark}
                rows.append({**row, "complete": "yes" if whole else "no"})
    return pd.DataFrame(rows)


def marked(table):
    return set(table.loc[table["mark"] != "", "id"])


def test_complete_slices_give_the_pairs_of_the_paper():
    # datasets.md section 4: 183 slices of the 15 training cases, 20 phases each, ordered pairs of two phases.
    table = cine({f"case{n}": ("train", 12 if n < 13 else 13 if n == 13 else 14) for n in range(15)})
    pool = training_pool(table, split_subjects(table, {"name": "official"}), DISTINCT)
    assert pool["group"].nunique() == 183
    assert pairs_in_pool(pool) == 183 * 20 * 19 == 69_540


def test_incomplete_groups_are_not_trained_on_but_may_be_tested():
    table = cine({"a": ("train", 3), "b": ("validation", 3), "c": ("test", 3)}, first_incomplete=1)
    roles = split_subjects(table, {"name": "official"})
    assert set(training_pool(table, roles, DISTINCT)["group"]) == {"a_s02", "a_s03"}
    rule = {"name": "random_pairs", "count": 10_000, "split": "validation"}
    validation = frozen_pairs(table, roles, rule, 0)
    assert validation.groupby("group").size().to_dict() == {"b_s02": 380, "b_s03": 380}
    test = frozen_pairs(table, roles, BETWEEN, 0, marked(table))
    assert set(test["moving"].str[:5]) == {"c_s01", "c_s02", "c_s03"}
    nothing = cine({"a": ("train", 2), "b": ("validation", 2), "c": ("test", 4)}, first_incomplete=2)
    roles = split_subjects(nothing, {"name": "official"})
    with pytest.raises(ReregisterError, match="split train has no complete group of images"):
        training_pool(nothing, roles, DISTINCT)
    with pytest.raises(ReregisterError, match="split validation has no complete group of two images"):
        frozen_pairs(nothing, roles, rule, 0)


def test_random_pairs_of_unequal_groups():
    table = cine({"a": ("validation", 2), "b": ("validation", 1), "c": ("train", 1)}).iloc[:-20]
    table = table.drop(table.index[table["group"] == "a_s01"][3:]).set_index("id", drop=False)
    roles = split_subjects(table, {"name": "official"})
    rule = {"name": "random_pairs", "count": 300, "split": "validation"}
    pairs = frozen_pairs(table, roles, rule, 4)
    assert len(pairs) == 300
    assert not pairs.duplicated(["moving", "fixed"]).any()
    assert pairs["pair_id"].is_unique
    assert (pairs["moving"] != pairs["fixed"]).all()
    assert (table["group"][pairs["moving"]].to_numpy() == pairs["group"]).all()
    assert (table["group"][pairs["fixed"]].to_numpy() == pairs["group"]).all()
    pd.testing.assert_frame_equal(pairs, frozen_pairs(table, roles, rule, 4))
    assert not pairs.equals(frozen_pairs(table, roles, rule, 5))
    # All of them where more are asked for: 3 x 2 + 20 x 19 + 20 x 19.
    everything = frozen_pairs(table, roles, {**rule, "count": 800}, 4)
    assert everything.groupby("group").size().to_dict() == {"a_s01": 6, "a_s02": 380, "b_s01": 380}
    assert not everything.duplicated(["moving", "fixed"]).any()


def test_random_pairs_are_uniform_over_groups_of_unequal_size():
    ids = ["a0", "a1", "b0", "b1", "b2"]
    table = pd.DataFrame({"id": ids, "group": [name[0] for name in ids], "cluster": ids, "split": "test"})
    roles = split_subjects(table, {"name": "official"})
    counts = dict.fromkeys([(m, f) for m in ids for f in ids if m != f and m[0] == f[0]], 0)
    assert len(counts) == 8
    for seed in range(800):
        for pair in frozen_pairs(table, roles, {"name": "random_pairs", "count": 1}, seed).itertuples():
            counts[pair.moving, pair.fixed] += 1
    # 100 expected in each of 8 cells; chi-square with 7 degrees of freedom, 99.9 % quantile 24.3.
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 24.3


@pytest.mark.parametrize("count", [0, None, "8", 2.0, True])
def test_random_pairs_need_a_count(subjects, roles, count):
    with pytest.raises(ReregisterError, match="random_pairs needs a whole number of at least 1 as count"):
        frozen_pairs(subjects, roles, {"name": "random_pairs", "count": count}, 0)


def test_between_marks_both_ways():
    table = cine({"a": ("test", 2), "b": ("test", 1), "c": ("train", 2)}).set_index(pd.Index(range(900, 1000)))
    # Labels of other phases make no pairs, nor does a slice with one label alone.
    labelled = (marked(table) | {"a_s01_p03", "a_s01_p04"}) - {"a_s02_p08"}
    roles = split_subjects(table, {"name": "official"})
    pairs = frozen_pairs(table, roles, BETWEEN, 0, labelled)
    found = [tuple(row) for row in pairs[["pair_id", "moving", "fixed", "group", "cluster"]].to_numpy()]
    assert found == [
        ("test-ED-to-ES-00000", "a_s01_p01", "a_s01_p08", "ED to ES", "a"),
        ("test-ED-to-ES-00001", "b_s01_p01", "b_s01_p08", "ED to ES", "b"),
        ("test-ES-to-ED-00000", "a_s01_p08", "a_s01_p01", "ES to ED", "a"),
        ("test-ES-to-ED-00001", "b_s01_p08", "b_s01_p01", "ES to ED", "b"),
    ]


@pytest.mark.parametrize(
    ("count", "slices"),
    [(1, ["a_s03", "b_s01"]), (2, ["a_s02", "a_s03", "b_s01", "b_s02"]), (None, [*"12345"]), (9, [*"12345"])],
)
def test_between_marks_from_the_middle_of_each_case(count, slices):
    table = cine({"a": ("test", 5), "b": ("test", 2)})
    roles = split_subjects(table, {"name": "official"})
    pairs = frozen_pairs(table, roles, {**BETWEEN, "per_cluster": count}, 0, marked(table))
    if slices == [*"12345"]:
        slices = [f"a_s0{n}" for n in slices] + ["b_s01", "b_s02"]
    for _, own in pairs.groupby("group"):
        assert own["moving"].str[:5].tolist() == own["fixed"].str[:5].tolist() == slices


def test_a_cycle_begins_at_its_mark():
    table = cine({"a": ("train", 2), "b": ("test", 3), "c": ("test", 3)}, first_incomplete=0)
    shifted = {"ED": "p19", "ES": "p06"}
    for mark, phase in shifted.items():
        table.loc[table["mark"] == mark, "mark"] = ""
        table.loc[table["id"].str.endswith(phase), "mark"] = mark
    roles = split_subjects(table, {"name": "official"})
    pairs = frozen_pairs(table, roles, {"name": "cycle", "mark": "ED"}, 0, marked(table))
    assert set(pairs["fixed"]) == {"b_s02_p19"}
    assert pairs["moving"].tolist() == [f"b_s02_p{p:02d}" for p in [19, 20, *range(1, 19)]]
    assert set(pairs["group"]) == {"b_s02"}
    # Without labels in its first case it is the next one's; a label elsewhere than at the mark does not count.
    labelled = {"b_s01_p06", "c_s03_p19"}
    assert set(frozen_pairs(table, roles, {"name": "cycle", "mark": "ED"}, 0, labelled)["group"]) == {"c_s03"}


def test_a_cycle_is_of_a_complete_slice_where_there_is_one():
    table = cine({"a": ("test", 5)}, first_incomplete=4)
    roles, rule = split_subjects(table, {"name": "official"}), {"name": "cycle", "mark": "ED"}
    assert set(frozen_pairs(table, roles, rule, 0, marked(table))["group"]) == {"a_s05"}
    fewer = table[table["complete"] == "no"]
    pairs = frozen_pairs(fewer, roles[fewer.index], rule, 0, marked(fewer))
    assert pairs["moving"].str[:5].tolist() == pairs["fixed"].str[:5].tolist() == ["a_s02", "a_s02"]


def test_marks_that_cannot_be_paired_are_said(subjects, roles):
    with pytest.raises(ReregisterError, match="between_marks needs images with marks, which this dataset has not"):
        frozen_pairs(subjects, roles, BETWEEN, 0, set(subjects["id"]))
    table = cine({"a": ("test", 1)})
    own = split_subjects(table, {"name": "official"})
    with pytest.raises(ReregisterError, match="split test has no group with labels at ED and ES"):
        frozen_pairs(table, own, BETWEEN, 0, {"a_s01_p01"})
    with pytest.raises(ReregisterError, match="split test has no group with labels at ED, so"):
        frozen_pairs(table, own, {"name": "cycle", "mark": "ED"}, 0)
    for rule, key in (("between_marks", "marks"), ("cycle", "mark")):
        with pytest.raises(ReregisterError, match=f"{rule} needs {key}, the kind of images"):
            frozen_pairs(table, own, {"name": rule}, 0, marked(table))
    with pytest.raises(ReregisterError, match="per_cluster, not 0"):
        frozen_pairs(table, own, {**BETWEEN, "per_cluster": 0}, 0, marked(table))


@pytest.fixture(scope="module")
def real(samples):
    """Subjects of the real cases, their roles by own lists of patients, and the ids with labels."""
    files = [path for path in sorted((samples / "scd").rglob("*")) if path.is_file()]
    with read({path.relative_to(samples / "scd").as_posix(): path for path in files}, {}, {}) as reading:
        subjects = pd.concat([table for _, table in reading], ignore_index=True)
        labelled = {identity for _, table in reading.labels() for identity in table["id"]}
    lists = {"train": ["SC-HF-I-1"], "test": ["SC-HF-I-5", "SC-HF-I-2"]}
    return subjects, split_subjects(subjects, {"name": "official"}, lists), labelled


def test_training_pairs_of_a_real_case(real):
    subjects, roles, _ = real
    pool = training_pool(subjects, roles, DISTINCT)
    assert set(pool["cluster"]) == {"SC-HF-I-1"}
    assert pool.groupby("group").size().tolist() == [20] * 12
    assert pairs_in_pool(pool) == 12 * 380 == 4560


def test_test_pairs_of_real_cases(real):
    subjects, roles, labelled = real
    pairs = frozen_pairs(subjects, roles, BETWEEN, 2017, labelled)
    assert pairs.groupby(["cluster", "group"]).size().to_dict() == {
        (case, group): 9 for case in ("SC-HF-I-2", "SC-HF-I-5") for group in ("ED to ES", "ES to ED")
    }
    table = subjects.set_index("id")
    for group, own in pairs.groupby("group"):
        assert [set(table["mark"][own[side]]) for side in ("moving", "fixed")] == [{m} for m in group.split(" to ")]
    assert (table["group"][pairs["moving"]].to_numpy() == table["group"][pairs["fixed"]].to_numpy()).all()
    assert set(pairs["moving"]) <= labelled
    random = {"name": "random_pairs", "count": 96, "split": "validation"}
    assert frozen_pairs(subjects, roles, random, 2017, labelled).empty


def test_cycle_of_a_real_case(real):
    subjects, roles, labelled = real
    pairs = frozen_pairs(subjects, roles, {"name": "cycle", "mark": "ED"}, 2017, labelled)
    # SC-HF-I-2 lacks frames, so it is SC-HF-I-5, whose ED is phase 20.
    assert set(pairs["fixed"]) == {f"{pairs['group'][0]}_p20"}
    assert pairs["group"][0].startswith("SC-HF-I-5_s")
    assert [name[-2:] for name in pairs["moving"]] == ["20", *(f"{p:02d}" for p in range(1, 20))]


PERMUTED = {"name": "permuted_partner"}


def test_every_image_is_fixed_once_and_moving_once(subjects, roles):
    pairs = frozen_pairs(subjects, roles, PERMUTED, 3)
    group = subjects.set_index("id")["group"]
    for digit, own in pairs.groupby("group"):
        everyone = subjects.loc[(roles == "test") & (subjects["group"] == digit), "id"].tolist()
        assert own["fixed"].tolist() == everyone
        assert sorted(own["moving"]) == everyone
        assert own["moving"].tolist() != everyone
        assert set(own["moving"].map(group)) == {digit}
    assert (pairs["cluster"] == "c" + pairs["moving"]).all()
    assert pairs["pair_id"].is_unique
    pd.testing.assert_frame_equal(pairs, frozen_pairs(subjects, roles, PERMUTED, 3))
    assert not pairs.equals(frozen_pairs(subjects, roles, PERMUTED, 4))


def test_permutations_are_uniform_and_an_image_may_meet_itself():
    few = _subjects(n_train=6, n_test=3, groups=("7",))
    roles = split_subjects(few, SIXTH)
    counts: dict[str, int] = {}
    for seed in range(600):
        order = "".join(name[-1] for name in frozen_pairs(few, roles, PERMUTED, seed)["moving"])
        counts[order] = counts.get(order, 0) + 1
    # 100 expected of each of 6; chi-square with 5 degrees of freedom, 99.9 % quantile 20.5.
    assert len(counts) == 6
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 20.5


def test_a_limit_leaves_the_first_pairs(subjects, roles):
    whole = frozen_pairs(subjects, roles, PERMUTED, 3)
    some = frozen_pairs(subjects, roles, {**PERMUTED, "limit": 4}, 3)
    pd.testing.assert_frame_equal(some, whole.groupby("group").head(4).reset_index(drop=True))
    pd.testing.assert_frame_equal(whole, frozen_pairs(subjects, roles, {**PERMUTED, "limit": 999}, 3))
    with pytest.raises(ReregisterError, match="permuted_partner needs a whole number of at least 1 as limit"):
        frozen_pairs(subjects, roles, {**PERMUTED, "limit": 0}, 3)


@pytest.mark.parametrize("rule", [PERMUTED, {"name": "random_pairs", "count": 8}, {"name": "one_fixed_per_group"}])
def test_groups_that_are_paired(subjects, roles, rule):
    pairs = frozen_pairs(subjects, roles, {**rule, "groups": ["7"]}, 3)
    assert set(pairs["group"]) == {"7"}
    if rule["name"] != "random_pairs":
        whole = frozen_pairs(subjects, roles, rule, 3)
        pd.testing.assert_frame_equal(pairs, whole[whole["group"] == "7"].reset_index(drop=True))
    with pytest.raises(ReregisterError, match="Group 8 has no image in the split test; mend the split or the groups"):
        frozen_pairs(subjects, roles, {**rule, "groups": ["7", "8"]}, 3)


def test_validation_pairs_of_test_images():
    # all_sevens: nothing is left for validation, and the test sevens stand in for it.
    table = _subjects(n_train=60, n_test=40, groups=("7", "1", "4"))
    rule = {"name": "group_of_train", "group": "7", "fraction": 0, "seed": 0, "test_groups": ["7", "1"]}
    roles = split_subjects(table, rule)
    assert frozen_pairs(table, roles, {**PERMUTED, "split": "validation"}, 1).empty
    pairs = frozen_pairs(table, roles, {**PERMUTED, "split": "validation", "of": "test", "groups": ["7"]}, 1)
    assert set(pairs["split"]) == {"validation"}
    sevens = table.loc[(table["split"] == "test") & (table["group"] == "7"), "id"].tolist()
    assert pairs["fixed"].tolist() == sevens
    assert pairs["pair_id"].str.startswith("validation-7-").all()
    tests = frozen_pairs(table, roles, {**PERMUTED, "groups": ["7", "1"]}, 1)
    assert set(tests["group"]) == {"7", "1"}
    assert tests["split"].unique().tolist() == ["test"]
    # Both rules draw by themselves: another permutation.
    assert tests.loc[tests["group"] == "7", "moving"].tolist() != pairs["moving"].tolist()
    assert training_pool(table, roles, {"name": "each_image_once"})["id"].tolist() == table["id"][:60:3].tolist()


def test_of_leaves_the_images_of_the_split_itself_out(subjects, roles):
    pairs = frozen_pairs(subjects, roles, {**PERMUTED, "split": "validation", "of": "test"}, 1)
    assert pairs["fixed"].str.startswith("test-").all()
    own = frozen_pairs(subjects, roles, {**PERMUTED, "split": "validation", "of": "validation"}, 1)
    pd.testing.assert_frame_equal(own, frozen_pairs(subjects, roles, {**PERMUTED, "split": "validation"}, 1))


def test_scorable_groups():
    rows = [
        ("b1", "B", "ED"),
        ("b2", "B", "ES"),
        ("a1", "A", "ED"),
        ("a2", "A", "ES"),
        ("a3", "A", ""),
        ("c1", "C", "ED"),
    ]
    subjects = pd.DataFrame(rows, columns=["id", "group", "mark"])
    assert scorable_groups(subjects, set(subjects["id"])) == ["B", "A"]
    assert scorable_groups(subjects, {"a1", "a2", "b1", "c1"}) == ["A"]
    assert scorable_groups(subjects, {"a1", "a3", "c1"}) == []
