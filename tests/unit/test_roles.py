"""Who plays which role: rules, and own lists in their place."""

import pandas as pd
import pytest

from reregister.data.roles import ROLES, split_subjects
from reregister.errors import ReregisterError

SIXTH = {"name": "last_of_train", "fraction": "1/6"}


@pytest.fixture
def subjects():
    """60 training and 20 test images; the last digit of an id is that of its patient. An index of its own."""
    ids = [f"train-{row:05d}" for row in range(60)] + [f"test-{row:05d}" for row in range(20)]
    table = pd.DataFrame({"id": ids, "cluster": [f"patient-{name[-1]}" for name in ids]})
    table = table.assign(split=table["id"].str.split("-").str[0])
    # Roles must follow the rows, not their numbers.
    return table.set_index(pd.Index(range(500, 580)))


def test_last_sixth_in_file_order(subjects):
    roles = split_subjects(subjects, SIXTH)
    assert roles.index.equals(subjects.index)
    assert roles.tolist() == ["train"] * 50 + ["validation"] * 10 + ["test"] * 20


def test_other_fractions(subjects):
    assert (split_subjects(subjects, {"name": "last_of_train", "fraction": 0.5}) == "validation").sum() == 30
    for bad in ("0", "1", "7/6", "-1/6", "a sixth", "1/0", None):
        with pytest.raises(ReregisterError, match="fraction between 0 and 1"):
            split_subjects(subjects, {"name": "last_of_train", "fraction": bad})


def test_official_roles_are_the_datasets_own(subjects):
    own = ["train", "validation", "test", "", "online"] * 16
    roles = split_subjects(subjects.assign(split=own), {"name": "official"})
    assert roles.index.equals(subjects.index)
    assert roles.tolist() == ["train", "validation", "test", "", ""] * 16


def test_unknown_rules_are_named(subjects):
    with pytest.raises(ReregisterError, match="'lst_of_train' is unknown; allowed are last_of_train, official"):
        split_subjects(subjects, {"name": "lst_of_train"})


@pytest.mark.parametrize("rule", [SIXTH, {"name": "official"}])
def test_own_lists_replace_the_rule(subjects, rule):
    lists = {"train": ["test-00003", "train-00059"], "test": ["train-00000"], "validation": []}
    roles = split_subjects(subjects, rule, lists)
    assert roles.index.equals(subjects.index)
    assert roles[roles != ""].to_dict() == {559: "train", 563: "train", 500: "test"}
    assert (roles == "").sum() == 77


def test_a_cluster_stands_for_all_its_images(subjects):
    roles = split_subjects(subjects, SIXTH, {"train": ["patient-1", "train-00002"], "test": ["patient-7"]})
    cluster = subjects["cluster"]
    assert set(subjects.loc[roles == "train", "id"]) == {*subjects.loc[cluster == "patient-1", "id"], "train-00002"}
    assert (roles == "train").sum() == 9
    assert set(cluster[roles == "test"]) == {"patient-7"}
    assert (roles == "test").sum() == 8


def test_a_role_without_a_list_has_no_image(subjects):
    roles = split_subjects(subjects, SIXTH, {"train": ["patient-1"], "test": ["patient-2"]})
    assert roles.value_counts().to_dict() == {"": 64, "train": 8, "test": 8}
    assert set(split_subjects(subjects, SIXTH, {})) == {""}


def test_an_image_that_is_named_like_its_cluster_is_one_image():
    # MNIST: every image is a cluster of its own, of the same name.
    subjects = pd.DataFrame({"id": ["a", "b", "c"], "cluster": ["a", "b", "b"], "split": "train"})
    assert split_subjects(subjects, SIXTH, {"train": ["a"], "test": ["b"]}).tolist() == ["train", "test", "test"]


def test_numbers_in_a_list_are_names():
    subjects = pd.DataFrame({"id": ["7", "8"], "cluster": ["x", "y"], "split": "train"})
    assert split_subjects(subjects, SIXTH, {"train": [7]}).tolist() == ["train", ""]


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"train": ["train-00000", "train-60000"]}, "The list of train ids names 'train-60000', which the data do not"),
        ({"train": ["train-00001"], "test": ["train-00001"]}, r"'train-00001' is listed twice \(train and test\)"),
        ({"test": ["train-00001", "train-00001"]}, r"twice \(test and test\)"),
        ({"train": ["patient-1"], "test": ["train-00011"]}, r"'train-00011' is listed twice \(train and test\)"),
        ({"train": ["train-00011"], "test": ["patient-1"]}, r"'patient-1' is listed twice \(train and test\)"),
        ({"training": ["train-00001"]}, f"role 'training'; allowed are {', '.join(ROLES)}"),
    ],
)
def test_bad_lists(subjects, lists, words):
    with pytest.raises(ReregisterError, match=words):
        split_subjects(subjects, SIXTH, lists)
