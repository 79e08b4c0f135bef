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
    with pytest.raises(ReregisterError, match="'lst_of_train' is unknown; allowed are last_of_train, official, "):
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


SEVENS = {"name": "group_of_train", "group": "7", "fraction": "1/5", "seed": 7, "test_groups": ["7", "1", "4", "6"]}


@pytest.fixture
def digits():
    """As many sevens as MNIST has for training, some others, and test images of four digits; an index of its own."""
    train = ["7"] * 6265 + ["1", "4"] * 50
    test = ["7"] * 1028 + ["1"] * 1135 + ["4"] * 982 + ["6"] * 958 + ["0"] * 20
    table = pd.DataFrame({"group": train + test, "split": ["train"] * len(train) + ["test"] * len(test)})
    table = table.sample(frac=1, random_state=0).reset_index(drop=True)
    table["id"] = table["cluster"] = [f"image-{row:05d}" for row in range(len(table))]
    return table.set_index(pd.Index(range(7, 7 + len(table))))


def test_sevens_are_split_four_to_one(digits):
    roles = split_subjects(digits, SEVENS)
    assert roles.index.equals(digits.index)
    counts = digits.assign(role=roles).groupby(["role", "group"]).size().to_dict()
    assert counts[("train", "7")] == 5012
    assert counts[("validation", "7")] == 1253
    assert [counts[("test", digit)] for digit in ("7", "1", "4", "6")] == [1028, 1135, 982, 958]
    assert {key for key in counts if key[0]} == {("train", "7"), ("validation", "7"), *(("test", d) for d in "7146")}
    assert set(digits.loc[roles == "test", "split"]) == {"test"}
    assert set(digits.loc[roles.isin(["train", "validation"]), "split"]) == {"train"}


def test_the_seed_chooses_which(digits):
    first, again, other = (split_subjects(digits, {**SEVENS, "seed": seed}) for seed in (7, 7, 8))
    assert first.equals(again)
    differ = ((first == "validation") & (other == "validation")).sum()
    assert 200 < differ < 300  # a fifth of a fifth of 6,265
    places = digits.index[first == "validation"]
    assert abs(places.to_numpy().mean() - digits.index.to_numpy().mean()) < 300  # from all over the file


def test_all_sevens_for_training(digits):
    for fraction in (0, "0", 0.0):
        roles = split_subjects(digits, {**SEVENS, "fraction": fraction})
        assert roles.value_counts().to_dict()["train"] == 6265
        assert "validation" not in set(roles)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fraction": "1"}, "needs a fraction from 0 to below 1"),
        ({"fraction": "-1/5"}, "needs a fraction from 0 to below 1"),
        ({"fraction": None}, "needs a fraction from 0 to below 1"),
        ({"seed": None}, "needs a whole number of at least 0 as seed, not None"),
        ({"seed": True}, "needs a whole number of at least 0 as seed, not True"),
        ({"group": "seven"}, "names the group 'seven', which the data do not have"),
        ({"test_groups": ["7", "9"]}, "names the group '9'"),
        ({"test_groups": []}, "needs test_groups"),
    ],
)
def test_bad_group_of_train(digits, change, words):
    with pytest.raises(ReregisterError, match=words):
        split_subjects(digits, {**SEVENS, **change})


HEADS = {"name": "by_cluster", "train": 11, "validation": 2, "test": 5, "seed": 3}


@pytest.fixture
def heads():
    """Two kinds of images of 18 subjects, the subjects in no order."""
    rows = [
        (f"S{number:02d}_{kind}", kind, f"S{number:02d}") for number in range(17, -1, -1) for kind in ("norm", "orig")
    ]
    return pd.DataFrame(rows, columns=["id", "group", "cluster"]).assign(split="all").set_index(pd.Index(range(50, 86)))


def test_clusters_are_drawn_as_a_whole(heads):
    roles = split_subjects(heads, HEADS)
    assert roles.index.equals(heads.index)
    assert roles.value_counts().to_dict() == {"train": 22, "test": 10, "validation": 4}
    assert (roles.groupby(heads["cluster"]).nunique() == 1).all()
    shuffled = heads.sample(frac=1, random_state=1)
    assert split_subjects(shuffled, HEADS).sort_index().equals(roles)
    assert not split_subjects(heads, {**HEADS, "seed": 4}).equals(roles)


def test_images_of_other_groups_have_no_role(heads):
    roles = split_subjects(heads, {**HEADS, "groups": ["norm"]})
    assert set(roles[heads["group"] == "orig"]) == {""}
    assert roles[heads["group"] == "norm"].value_counts().to_dict() == {"train": 11, "test": 5, "validation": 2}
    assert roles[heads["group"] == "norm"].equals(split_subjects(heads, HEADS)[heads["group"] == "norm"])


def test_the_rest_is_tested_and_some_may_be_left_out(heads):
    assert split_subjects(heads, {**HEADS, "test": None}).equals(split_subjects(heads, HEADS))
    few = split_subjects(heads, {**HEADS, "train": 3})
    assert few.value_counts().to_dict() == {"": 16, "test": 10, "train": 6, "validation": 4}


def test_rotations_test_everyone_in_turn(heads):
    tested = [set(heads["cluster"][split_subjects(heads, {**HEADS, "rotate": turn}) == "test"]) for turn in range(4)]
    assert set.union(*tested) == set(heads["cluster"])
    assert all(not tested[one] & tested[two] for one, two in ((0, 1), (0, 2), (1, 2)))
    assert len(tested[3] & tested[0]) == 2, "18 subjects in fours of five: two come twice"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": 12}, r"needs 19 subjects \(train 12, validation 2, test 5\), but there are 18; lower"),
        ({"train": 16, "test": None}, r"needs 19 subjects \(train 16, validation 2, test 1\)"),
        ({"train": None}, "needs a whole number of at least 0 as train, not None"),
        ({"seed": "x"}, "as seed, not 'x'"),
        ({"rotate": -1}, "as rotate, not -1"),
        ({"groups": ["norm", "seg"]}, "names the group 'seg', which the data do not have"),
    ],
)
def test_bad_by_cluster(heads, change, words):
    with pytest.raises(ReregisterError, match=words):
        split_subjects(heads, {**HEADS, **change})
