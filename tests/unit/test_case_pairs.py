"""Pairs of numbered slices of cases, and the split in which every image is tested."""

import pandas as pd
import pytest

from reregister.data.pairing import frozen_pairs
from reregister.data.pools import pairs_in_pool, training_pool
from reregister.data.roles import split_subjects
from reregister.errors import ReregisterError


@pytest.fixture
def subjects():
    """Cases c0 to c4 of slices 1 to 3; the tumour is largest in slice 2, and in slice 3 of c4; c2 has none."""
    rows = [
        {
            "id": f"c{case}_{number}",
            "cluster": f"c{case}",
            "group": f"c{case}",
            "split": "all",
            "slice": str(number),
            "tumour_area": "0" if case == 2 else str(10 - abs(number - (3 if case == 4 else 2))),
            "head_area": str(100 - number),
        }
        for case in (3, 0, 4, 1, 2)
        for number in (1, 2, 3)
    ]
    # Rows must be counted, not labelled.
    return pd.DataFrame(rows, index=range(700, 715))


def made(subjects, name, roles=None, **rule):
    roles = split_subjects(subjects, {"name": "all_test"}) if roles is None else roles
    return frozen_pairs(subjects, roles, {"name": name, **rule}, 0)


def test_adjacent_slices(subjects):
    pairs = made(subjects, "adjacent_slices")
    found = list(pairs[["moving", "fixed", "cluster"]].itertuples(index=False, name=None))
    # Of the last slice the one before is the neighbour.
    assert found == [
        ("c0_2", "c0_3", "c0"),
        ("c1_2", "c1_3", "c1"),
        ("c3_2", "c3_3", "c3"),
        ("c4_3", "c4_2", "c4"),
    ]
    assert set(pairs["group"]) == {"adjacent slices"}
    assert pairs["pair_id"].is_unique


def test_consecutive_cases(subjects):
    pairs = made(subjects, "consecutive_cases")
    found = list(pairs[["moving", "fixed", "cluster"]].itertuples(index=False, name=None))
    assert found == [("c0_2", "c1_2", "c0"), ("c1_2", "c3_2", "c1"), ("c3_2", "c4_3", "c3")]
    assert set(pairs["group"]) == {"consecutive cases"}


def test_the_slice_may_be_that_of_the_largest_head(subjects):
    pairs = made(subjects, "adjacent_slices", slice="largest_brain")
    assert pairs["moving"].tolist() == [f"c{case}_1" for case in range(5)]
    with pytest.raises(ReregisterError, match="slice rule 'middle' is unknown"):
        made(subjects, "consecutive_cases", slice="middle")


def test_pairs_are_of_the_test_images_alone(subjects):
    roles = pd.Series("test", subjects.index).where(subjects["cluster"] != "c1", "")
    assert made(subjects, "adjacent_slices", roles)["cluster"].tolist() == ["c0", "c3", "c4"]
    assert made(subjects, "consecutive_cases", roles)["fixed"].tolist() == ["c3_2", "c4_3"]


def test_what_has_no_slices_or_no_pair_is_said(subjects):
    with pytest.raises(ReregisterError, match="consecutive_cases needs images with the column slice"):
        made(subjects.drop(columns="slice"), "consecutive_cases")
    alone = subjects[subjects["cluster"] == "c2"]
    for name in ("adjacent_slices", "consecutive_cases"):
        with pytest.raises(ReregisterError, match="makes no pair"):
            made(alone, name)


def test_nothing_is_trained_or_validated(subjects):
    roles = split_subjects(subjects, {"name": "all_test"})
    assert roles.tolist() == ["test"] * 15
    assert roles.index.equals(subjects.index)
    pool = training_pool(subjects, roles, {"name": "none"})
    assert pool.empty
    assert list(pool) == ["id", "group", "cluster", "rule", "moving"]
    assert pairs_in_pool(pool) == 0
    assert frozen_pairs(subjects, roles, {"name": "none", "split": "validation"}, 0).empty
    with pytest.raises(ReregisterError, match="'none' is unknown"):
        frozen_pairs(subjects, roles, {"name": "none", "split": "test"}, 0)


@pytest.mark.parametrize(
    ("count", "cases"), [(1, "0"), (2, "04"), (3, "024"), (5, "01234"), (9, "01234"), (None, "01234")]
)
def test_cases_are_spread_over_all(subjects, count, cases):
    roles = split_subjects(subjects, {"name": "all_test", "cases": count})
    assert sorted(set(subjects.loc[roles == "test", "cluster"])) == [f"c{case}" for case in cases]
    assert set(roles) <= {"test", ""}


@pytest.mark.parametrize("count", [0, -1, "3", 2.0, True])
def test_a_wrong_number_of_cases_is_refused(subjects, count):
    with pytest.raises(ReregisterError, match="at least 1 as cases"):
        split_subjects(subjects, {"name": "all_test", "cases": count})
