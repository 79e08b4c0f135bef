"""Differences in words: where, old to new, and nothing where there is none."""

import pytest

from reregister.provenance.differences import differences


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"optimiser": {"lr": 0.3}}, {"optimiser": {"lr": 0.4}}, ["optimiser.lr: 0.3 -> 0.4"]),
        ({"lr": 0.3, "wd": 0}, {"wd": 0, "lr": 0.3}, []),
        ({"name": "adam"}, {"name": "sgd"}, ['name: "adam" -> "sgd"']),
        # Text that looks like a number is another value, and so are 1, 1.0 and true.
        ({"a": "1", "b": 1, "c": 1}, {"a": 1, "b": 1.0, "c": True}, ['a: "1" -> 1', "b: 1 -> 1.0", "c: 1 -> true"]),
        ({"labels": None}, {}, ["labels: null -> not set"]),
        ({}, {"stop": {"at_least": 5}}, ['stop: not set -> {"at_least":5}']),
        ({"betas": [0.9, 0.99]}, {"betas": [0.9, 0.999]}, ["betas: [0.9,0.99] -> [0.9,0.999]"]),
        ({"files": [{"n": "a"}, {"n": "b"}]}, {"files": [{"n": "a"}, {"n": "c"}]}, ['files.1.n: "b" -> "c"']),
        ({"files": [{"n": "a"}]}, {"files": []}, ['files: [{"n":"a"}] -> []']),
    ],
)
def test_each_difference_has_its_path_and_both_values(old: dict, new: dict, lines: list[str]) -> None:
    assert differences(old, new) == lines


def test_long_texts_are_cut_around_the_place_where_they_differ() -> None:
    text = "a" * 200
    (line,) = differences({"caption": f"{text}one{text}"}, {"caption": f"{text}two{text}"})
    assert len(line) < 220
    old, new = line.removeprefix("caption: ").split(" -> ")
    assert "aaaone" in old
    assert "aaatwo" in new
    # One text that begins the other differs at its end.
    (line,) = differences({"caption": text}, {"caption": f"{text}."})
    assert line.endswith('aaaa."')
