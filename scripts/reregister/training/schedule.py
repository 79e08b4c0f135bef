"""How long a network is trained: by optimiser steps, or by epochs with a rule that ends it early."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reregister.errors import ReregisterError
from reregister.transforms.random_affine import ORIGINS

PRECISIONS = ("fp32", "bf16", "auto")
# Labels that a pair shows in a step.
PER_STEP = ("one", "all")
# Why a training by epochs ended.
RISES, EPOCHS = "validation_rises", "epochs"


@dataclass(frozen=True)
class Schedule:
    """iterations: optimiser steps, at most; batch: pairs per step; validate_every: steps between validations and checkpoints.

    padding: border or zeros, what lies outside the moving image. precision: `bf16` runs the network under autocast in
    training; field and loss, validation and registration stay in fp32; `auto` is for `runtime.choose_precision` to settle.
    log_every: steps between rows of the history besides those with a validation. steps_per_epoch: where the training goes
    by epochs. stop_from: step from which a validation loss above that of the epoch before ends it. one_label: whether a
    pair shows one label a step, drawn from those of the loss, and not all. augmentation: corner_scale and origin of random
    affine maps of the training pairs.
    """

    iterations: int
    batch: int
    validate_every: int
    padding: str
    precision: str = "fp32"
    log_every: int | None = None
    steps_per_epoch: int | None = None
    stop_from: int | None = None
    one_label: bool = False
    augmentation: Mapping[str, Any] | None = None

    def validates(self, step: int) -> bool:
        """Whether the history has a validation after a step."""
        return step % self.validate_every == 0 or step == self.iterations

    def logs(self, step: int) -> bool:
        """Whether the history has a row after a step."""
        return self.validates(step) or (self.log_every is not None and step % self.log_every == 0)

    def end(self, step: int, losses: Sequence[float | None]) -> str | None:
        """Why a training by epochs ends after a step that validates, None where it goes on or goes by steps alone.

        losses: validation losses of the last two epochs, this step's last.
        """
        if self.steps_per_epoch is None:
            return None
        before, now = losses[-2:]
        # A loss as high as the one before does not exceed it.
        rises = now is not None and before is not None and now > before
        if rises and self.stop_from is not None and step >= self.stop_from:
            return RISES
        return EPOCHS if step == self.iterations else None


def make_schedule(values: Mapping[str, Any], images: int, each_once: bool) -> Schedule:
    """The schedule of a training, by steps or by epochs, as the config gives it.

    values: batch and padding, and iterations with validate_every, or epochs; and, where given, precision, log_every, stop
    ({at_least: epochs, when: validation_rises}), labels ({names, per_step: one or all}) and augmentation ({corner_scale,
    origin}, see `random_affine`). images: of the pool. each_once: whether the pool's rule shows each image
    once an epoch. An epoch is as many steps as show every image once, the last with the images that are left; after each
    one comes a validation. Raises ReregisterError for an unknown precision, labels or augmentation that cannot be, epochs
    of a pool that has none, and a rule to stop without epochs.
    """
    own = {"batch": values["batch"], "padding": values["padding"], "log_every": values.get("log_every")}
    own["precision"] = values.get("precision") or "fp32"
    if own["precision"] not in PRECISIONS:
        raise ReregisterError(f"training.precision is {own['precision']!r}; give one of {', '.join(PRECISIONS)}")
    own |= {"one_label": _one_label(values.get("labels")), "augmentation": _augmentation(values.get("augmentation"))}
    stop, epochs = values.get("stop"), values.get("epochs")
    if epochs is None:
        if stop:
            raise ReregisterError("training.stop counts epochs; give training.epochs, or take stop out")
        return Schedule(iterations=values["iterations"], validate_every=values["validate_every"], **own)
    if not each_once:
        raise ReregisterError(
            "training.epochs needs a pool whose images are shown once an epoch; set pairs.training.name to each_image_once, or "
            "give iterations"
        )
    if stop and stop["when"] != RISES:
        raise ReregisterError(f"training.stop.when is {stop['when']!r}; known is {RISES}")
    steps = -(-images // values["batch"])
    return Schedule(
        iterations=epochs * steps,
        validate_every=steps,
        steps_per_epoch=steps,
        stop_from=stop["at_least"] * steps if stop else None,
        **own,
    )


def _one_label(labels: Mapping[str, Any] | None) -> bool:
    if labels is None:
        return False
    if not labels["names"] or labels["per_step"] not in PER_STEP:
        raise ReregisterError(
            f"training.labels has {len(labels['names'])} names and per_step {labels['per_step']!r}; give one name or more "
            f"and one of {', '.join(PER_STEP)}"
        )
    return bool(labels["per_step"] == "one")


def _augmentation(settings: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if settings is None:
        return None
    if not 0 <= settings["corner_scale"] < 1 or settings["origin"] not in ORIGINS:
        raise ReregisterError(
            f"training.augmentation is {dict(settings)}; give a corner_scale in [0, 1) and as origin one of "
            f"{', '.join(ORIGINS)}"
        )
    return dict(settings)
