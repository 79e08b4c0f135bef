"""Schedules by steps and by epochs: when there is a validation, and when a training ends."""

import pytest

from reregister.errors import ReregisterError
from reregister.training.schedule import Schedule, make_schedule

STEPS = {"iterations": 60, "validate_every": 20, "batch": 32, "padding": "border"}
EPOCHS = {"epochs": 40, "batch": 179, "padding": "zeros"}
STOP = {"at_least": 5, "when": "validation_rises"}


def test_by_steps():
    schedule = make_schedule({**STEPS, "stop": None, "log_every": None, "precision": "fp32"}, 7, False)
    assert schedule == Schedule(60, 32, 20, "border")
    assert [step for step in range(61) if schedule.validates(step)] == [0, 20, 40, 60]
    assert [step for step in range(61) if schedule.logs(step)] == [0, 20, 40, 60]
    # It ends at its last step and for no other reason.
    assert {schedule.end(step, [0.1, 0.2]) for step in (20, 40, 60)} == {None}


@pytest.mark.parametrize(("images", "steps"), [(5012, 28), (6265, 35), (5011, 28), (5013, 29), (100, 1)])
def test_an_epoch_shows_every_image(images, steps):
    schedule = make_schedule({**EPOCHS, "stop": STOP}, images, True)
    assert (schedule.iterations, schedule.validate_every, schedule.stop_from) == (40 * steps, steps, 5 * steps)
    assert schedule.steps_per_epoch == steps


def test_rows_between_validations():
    schedule = make_schedule({**EPOCHS, "epochs": 2, "log_every": 2}, 179 * 5, True)
    assert [step for step in range(11) if schedule.logs(step)] == [0, 2, 4, 5, 6, 8, 10]
    assert [step for step in range(11) if schedule.validates(step)] == [0, 5, 10]


def test_a_rise_ends_the_training_from_the_fifth_epoch_on():
    schedule = make_schedule({**EPOCHS, "stop": STOP}, 179 * 4, True)
    # 4 steps an epoch: a rise in the fourth epoch is early, in the fifth it counts.
    assert schedule.end(16, [0.3, 0.1, 0.2]) is None
    assert schedule.end(20, [0.3, 0.1, 0.2]) == "validation_rises"
    assert schedule.end(20, [0.1, 0.3, 0.2]) is None
    assert schedule.end(20, [0.3, 0.2, 0.2]) is None
    assert schedule.end(156, [0.2, 0.1]) is None
    assert schedule.end(160, [0.2, 0.1]) == "epochs"
    assert schedule.end(160, [0.1, 0.2]) == "validation_rises"


def test_without_validation_pairs_or_rule_the_last_epoch_ends_it():
    schedule = make_schedule({**EPOCHS, "stop": STOP}, 179, True)
    assert schedule.end(20, [None, None]) is None
    assert schedule.end(40, [None, None]) == "epochs"
    schedule = make_schedule({**EPOCHS, "stop": None}, 179, True)
    assert schedule.end(20, [0.1, 0.2]) is None


@pytest.mark.parametrize(
    ("values", "each_once", "words"),
    [
        ({**STEPS, "precision": "fp16"}, False, "training.precision is 'fp16'; give one of fp32, bf16, auto"),
        (EPOCHS, False, "training.epochs needs a pool .* set pairs.training.name to each_image_once"),
        ({**STEPS, "stop": STOP}, True, "training.stop counts epochs"),
    ],
)
def test_what_does_not_go_together(values, each_once, words):
    with pytest.raises(ReregisterError, match=words):
        make_schedule(values, 100, each_once)


def test_labels_and_augmentation():
    schedule = make_schedule(
        {**STEPS, "labels": {"names": ["2", "41"], "per_step": "one"}, "augmentation": None}, 7, False
    )
    assert (schedule.one_label, schedule.augmentation) == (True, None)
    settings = {"corner_scale": 0.1, "origin": "voxel_origin"}
    values = {**EPOCHS, "stop": None, "labels": {"names": ["2"], "per_step": "all"}, "augmentation": settings}
    schedule = make_schedule(values, 7, True)
    assert (schedule.one_label, schedule.augmentation) == (False, settings)
    assert (make_schedule(STEPS, 7, False).one_label, make_schedule(STEPS, 7, False).augmentation) == (False, None)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"labels": {"names": [], "per_step": "all"}}, "0 names"),
        ({"labels": {"names": ["2"], "per_step": "two"}}, "per_step 'two'; give one name or more and one of one, all"),
        ({"augmentation": {"corner_scale": 1.0, "origin": "centre"}}, r"corner_scale in \[0, 1\)"),
        ({"augmentation": {"corner_scale": 0.1, "origin": "corner"}}, "voxel_origin, centre"),
    ],
)
def test_labels_and_augmentation_that_cannot_be(more, words):
    with pytest.raises(ReregisterError, match=words):
        make_schedule({**STEPS, **more}, 7, False)
