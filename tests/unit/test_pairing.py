"""Roles and frozen pairs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reregister.data import pairing
from reregister.data.pairing import PAIR_COLUMNS, TRAINING_RULE, frozen_pairs, split_subjects, training_pool
from reregister.errors import ReregisterError

SIXTH = {"name": "last_of_train", "fraction": "1/6"}


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


def test_last_sixth_in_file_order(subjects, roles):
    assert roles.index.equals(subjects.index)
    assert roles.tolist() == ["train"] * 50 + ["validation"] * 10 + ["test"] * 20


def test_other_fractions(subjects):
    assert (split_subjects(subjects, {"name": "last_of_train", "fraction": 0.5}) == "validation").sum() == 30
    for bad in ("0", "1", "7/6", "-1/6", "a sixth", "1/0", None):
        with pytest.raises(ReregisterError, match="fraction between 0 and 1"):
            split_subjects(subjects, {"name": "last_of_train", "fraction": bad})


def test_unknown_rules_are_named(subjects, roles):
    with pytest.raises(ReregisterError, match="'lst_of_train' is unknown; allowed are last_of_train"):
        split_subjects(subjects, {"name": "lst_of_train"})
    with pytest.raises(ReregisterError, match="None is unknown; allowed are one_fixed_per_group, random"):
        frozen_pairs(subjects, roles, {"per_group": 3}, 0)


def test_own_lists_replace_the_rule(subjects):
    lists = {"train": ["test-00003", "train-00059"], "test": ["train-00000"], "validation": []}
    roles = split_subjects(subjects, SIXTH, lists)
    assert roles[roles != ""].to_dict() == {559: "train", 563: "train", 500: "test"}
    assert (roles == "").sum() == 77


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"train": ["train-00000", "train-60000"]}, "'train-60000', which the data do not have"),
        ({"train": ["train-00001"], "test": ["train-00001"]}, r"'train-00001' is listed twice \(train and test\)"),
        ({"test": ["train-00001", "train-00001"]}, r"twice \(test and test\)"),
        ({"training": ["train-00001"]}, "role 'training'; allowed are train, validation, test"),
    ],
)
def test_bad_lists(subjects, lists, words):
    with pytest.raises(ReregisterError, match=words):
        split_subjects(subjects, SIXTH, lists)


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
def test_random_pairs(subjects, roles, per_group):
    pairs = frozen_pairs(subjects, roles, {"name": "random_within_group", "per_group": per_group}, seed=3)
    assert pairs.groupby("group").size().to_dict() == {"1": per_group, "7": per_group}
    assert (pairs["moving"] != pairs["fixed"]).all()
    times = pairs.value_counts(["moving", "fixed"])
    assert times.max() == -(-per_group // 90), "no ordered pair twice before all 10 x 9 have been used"
    if per_group == 90:
        assert len(times) == 180
    group = subjects.set_index("id")["group"]
    assert (pairs["moving"].map(group) == pairs["fixed"].map(group)).all()


def test_random_pairs_are_uniform():
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


def test_other_splits_and_groups(subjects, roles):
    rule = {"name": "random_within_group", "per_group": 3, "split": "validation", "groups": ["7"]}
    pairs = frozen_pairs(subjects, roles, rule, seed=0)
    assert len(pairs) == 3
    assert set(pairs["group"]) == {"7"}
    validation = set(subjects.loc[roles == "validation", "id"])
    assert set(pairs["moving"]) | set(pairs["fixed"]) <= validation


def test_training_pool(subjects, roles):
    pool = training_pool(subjects, roles)
    assert list(pool.columns) == ["id", "group", "rule"]
    assert set(pool["id"]) == set(subjects.loc[roles == "train", "id"])
    assert set(pool["rule"]) == {TRAINING_RULE} == {"ordered_pairs_within_group"}
    assert set(training_pool(subjects, roles, groups=["7"])["group"]) == {"7"}


def test_groups_too_small(subjects):
    roles = split_subjects(subjects, SIXTH, {"train": ["train-00000", "train-00002", "train-00001"]})
    with pytest.raises(ReregisterError, match=r"Group 7 has 1 image\(s\) in the split train"):
        training_pool(subjects, roles)
    with pytest.raises(ReregisterError, match=r"Group 1 has 0 image\(s\) in the split test"):
        frozen_pairs(subjects, roles, {"name": "one_fixed_per_group"}, 0)
    with pytest.raises(ReregisterError, match="No image has a role"):
        training_pool(subjects, split_subjects(subjects, SIXTH, {}))
