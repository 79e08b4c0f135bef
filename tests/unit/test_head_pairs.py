"""Pairs and pools of heads: two images of one subject, and each subject once as the fixed one."""

import numpy as np
import pandas as pd
import pytest

from reregister.data.kind_pairs import SAME_SUBJECT
from reregister.data.pairing import frozen_pairs
from reregister.data.pools import EPOCH_POOLS, POOL_COLUMNS, pairs_in_pool, training_pool
from reregister.data.roles import split_subjects
from reregister.errors import ReregisterError

SAME = {"name": "same_subject", "marks": ["norm", "orig"]}
CYCLE = {"name": "seeded_cycle", "groups": ["norm"]}
SPLIT = {"name": "by_cluster", "groups": ["norm"], "train": 6, "validation": 2, "test": None, "seed": 0}


@pytest.fixture
def heads():
    """Two kinds of images of twelve subjects, the subjects backwards, with an index of its own."""
    rows = [
        (f"S{number:02d}_{kind}", kind, f"S{number:02d}") for number in range(11, -1, -1) for kind in ("orig", "norm")
    ]
    table = pd.DataFrame(rows, columns=["id", "kind", "cluster"]).assign(split="all")
    return table.assign(group=table["kind"]).set_index(pd.Index(range(300, 324)))


@pytest.fixture
def everyone(heads):
    return split_subjects(heads, {"name": "all_test"})


def test_same_subject(heads, everyone):
    pairs = frozen_pairs(heads, everyone, SAME, 0)
    subjects = [f"S{number:02d}" for number in range(12)]
    assert pairs["cluster"].tolist() == subjects
    assert pairs["moving"].tolist() == [f"{one}_norm" for one in subjects]
    assert pairs["fixed"].tolist() == [f"{one}_orig" for one in subjects]
    assert pairs["group"].unique().tolist() == [SAME_SUBJECT]
    assert pairs["pair_id"].tolist()[:2] == ["test-same-subject-00000", "test-same-subject-00001"]
    turned = frozen_pairs(heads, everyone, {**SAME, "marks": ["orig", "norm"]}, 0)
    assert turned["moving"].tolist() == pairs["fixed"].tolist()


def test_some_subjects_by_seed(heads, everyone):
    chosen = [frozen_pairs(heads, everyone, {**SAME, "count": 5}, seed)["cluster"].tolist() for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] == sorted(set(chosen[0]))
    assert len(chosen[0]) == 5
    assert chosen[0] != chosen[2]
    assert len(frozen_pairs(heads, everyone, {**SAME, "count": 50}, 0)) == 12


def test_subjects_with_one_kind_make_no_pair(heads, everyone):
    rest = heads.index[heads["id"] != "S04_orig"]
    pairs = frozen_pairs(heads.loc[rest], everyone[rest], SAME, 0)
    assert "S04" not in set(pairs["cluster"])
    assert len(pairs) == 11
    norm = heads[heads["kind"] == "norm"]
    with pytest.raises(ReregisterError, match="rule same_subject makes no pair"):
        frozen_pairs(norm, everyone[norm.index], SAME, 0)


@pytest.mark.parametrize("marks", [None, ["norm"], ["norm", "norm"], ["norm", "orig", "seg"]])
def test_two_kinds_are_needed(heads, everyone, marks):
    with pytest.raises(ReregisterError, match="same_subject needs two marks, the kinds of moving and fixed image"):
        frozen_pairs(heads, everyone, {**SAME, "marks": marks}, 0)


def test_bad_tables_are_named(heads, everyone):
    with pytest.raises(ReregisterError, match="same_subject needs images with kinds, which this dataset has not"):
        frozen_pairs(heads.drop(columns="kind"), everyone, SAME, 0)
    with pytest.raises(ReregisterError, match="S03 has two images of the kind orig"):
        frozen_pairs(heads.assign(kind=heads["kind"].mask(heads["cluster"] == "S03", "orig")), everyone, SAME, 0)
    with pytest.raises(ReregisterError, match="at least 1 as count, not 0"):
        frozen_pairs(heads, everyone, {**SAME, "count": 0}, 0)


@pytest.mark.parametrize("count", [2, 3, 12])
def test_a_cycle_has_each_once_on_either_side(heads, count):
    heads = heads[heads["cluster"] < f"S{count:02d}"]
    roles = split_subjects(heads, {"name": "all_test"})
    pairs = frozen_pairs(heads, roles, CYCLE, 3)
    ids = heads.loc[heads["kind"] == "norm", "id"].tolist()
    assert pairs["fixed"].tolist() == ids, "in file order"
    assert sorted(pairs["moving"]) == sorted(ids)
    assert (pairs["moving"] != pairs["fixed"]).all()
    following = dict(zip(pairs["moving"], pairs["fixed"], strict=True))
    seen, place = [], ids[0]
    for _ in ids:
        place = following[place]
        seen.append(place)
    assert sorted(seen) == sorted(ids), "one cycle, not several"
    pd.testing.assert_frame_equal(pairs, frozen_pairs(heads, roles, CYCLE, 3))


def test_cycles_differ_by_seed_and_group(heads, everyone):
    found = [tuple(frozen_pairs(heads, everyone, CYCLE, seed)["moving"]) for seed in range(5)]
    assert len(set(found)) == 5
    both = frozen_pairs(heads, everyone, {"name": "seeded_cycle"}, 0)
    assert both.groupby("group").size().to_dict() == {"norm": 12, "orig": 12}
    assert (both["moving"].str[-4:] == both["fixed"].str[-4:]).all()
    assert both[both["group"] == "norm"]["moving"].tolist() == list(found[0])


def test_validation_and_test_keep_to_their_subjects(heads):
    roles = split_subjects(heads, SPLIT)
    for split, count in (("validation", 2), ("test", 4)):
        pairs = frozen_pairs(heads, roles, {**CYCLE, "split": split}, 0)
        assert len(pairs) == count
        assert set(pairs["moving"]) == set(heads.loc[roles == split, "id"])


def test_all_ordered_pairs_of_five(heads):
    roles = split_subjects(heads, {**SPLIT, "train": 5, "validation": 2})
    pairs = frozen_pairs(heads, roles, {"name": "random_pairs", "count": 20}, 0)
    assert len(pairs) == 20
    assert not pairs.duplicated(["moving", "fixed"]).any()
    assert (pairs["moving"] != pairs["fixed"]).all()


def test_pool_of_one_pair_a_subject(heads, everyone):
    pool = training_pool(heads, everyone, {**SAME, "of": "test"})
    assert tuple(pool) == POOL_COLUMNS
    assert pool["cluster"].tolist() == [f"S{number:02d}" for number in range(12)]
    assert (pool["id"] == pool["cluster"] + "_orig").all()
    assert (pool["moving"] == pool["cluster"] + "_norm").all()
    assert pool["rule"].unique().tolist() == ["same_subject"]
    # The same group as that of the frozen pairs, so that a part of an experiment finds both.
    assert pool["group"].unique().tolist() == [SAME_SUBJECT]
    assert pairs_in_pool(pool) == 12
    with pytest.raises(ReregisterError, match="split train has no complete group of images"):
        training_pool(heads, everyone, SAME)


def test_pool_of_each_once_with_another(heads):
    roles = split_subjects(heads, SPLIT)
    pool = training_pool(heads, roles, {"name": "each_other_image_once"})
    assert tuple(pool) == POOL_COLUMNS
    assert set(pool["moving"]) == {""}
    assert len(pool) == 6
    assert pairs_in_pool(pool) == 30
    assert pairs_in_pool(training_pool(heads, roles, {"name": "each_image_once"})) == 36
    assert {"each_image_once", "each_other_image_once", "same_subject"} == EPOCH_POOLS


def test_a_pool_may_be_that_of_another_role(heads):
    roles = split_subjects(heads, SPLIT)
    pool = training_pool(heads, roles, {"name": "ordered_distinct_pairs_within_group", "of": "test"})
    assert set(pool["id"]) == set(heads.loc[roles == "test", "id"])
    own = {"name": "ordered_distinct_pairs_within_group", "of": "train"}
    assert np.array_equal(training_pool(heads, roles, own)["id"], heads.loc[roles == "train", "id"])
