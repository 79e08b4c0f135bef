"""The training loop that all papers use."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reregister.errors import ReregisterError
from reregister.losses import Loss, Registered
from reregister.training.batches import Batch, TrainingData, augmented, make_batch, one_label
from reregister.training.checkpoint import load_checkpoint, save_checkpoint
from reregister.training.sampling import make_sampler
from reregister.training.schedule import Schedule
from reregister.transforms.warp import warp

# Pairs that are validated together: many small images, and no more large ones than a training batch holds.
LARGEST_VALIDATION_BATCH, VALIDATION_VOXELS = 256, 1 << 21


def build_optimiser(model: nn.Module, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """The optimiser that the config names. Fused on both devices: the same numbers, fewer passes over memory."""
    options = dict(settings)
    name = options.pop("name")
    if name != "adam":
        raise ReregisterError(f"optimiser {name!r} is not known; known is adam")
    options["betas"] = tuple(options.get("betas", (0.9, 0.999)))
    return torch.optim.Adam(model.parameters(), fused=True, **options)


@contextmanager
def _stop_on_sigterm() -> Iterator[list[bool]]:
    """A flag that SIGTERM raises, so that the step in hand ends before the checkpoint is written."""
    stop = [False]

    def raise_flag(number: int, frame: Any) -> None:
        stop[0] = True

    before = signal.signal(signal.SIGTERM, raise_flag)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _register(model: nn.Module, batch: Batch, padding: str, precision: str = "fp32") -> Registered:
    with torch.autocast(batch.moving.device.type, torch.bfloat16, enabled=precision == "bf16"):
        ddf = model(batch.moving, batch.fixed)
    ddf = ddf.float() if precision == "bf16" else ddf
    warped = [None if one is None else warp(one, ddf, padding=padding) for one in (batch.moving, batch.moving_labels)]
    assert warped[0] is not None
    return Registered(batch.moving, batch.fixed, warped[0], ddf, batch.moving_labels, batch.fixed_labels, warped[1])


class Trainer:
    """One training run; `run` takes it from the checkpoint, if there is one, to the end.

    loss: maps a `Registered` batch to a scalar. report(step, **values): told of each step, for the progress line.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Registered], Tensor],
        data: TrainingData,
        schedule: Schedule,
        optimiser: torch.optim.Optimizer,
        seed: int,
        device: torch.device,
        report: Callable[..., None] = lambda step, **values: None,
    ) -> None:
        self.model, self.loss, self.data, self.schedule, self.device = model.to(device), loss, data, schedule, device
        self.optimiser, self.report = optimiser, report
        self.sampler = make_sampler(data.groups, seed, data.distinct, data.each_once, data.partners is not None)
        self._fixed = np.asarray(data.pool)
        self._moving = self._fixed if data.partners is None else np.asarray(data.partners)

    def _training_batch(self, moving: NDArray[np.intp], fixed: NDArray[np.intp]) -> Batch:
        """The pairs with what is drawn for them, from the sampler's generator, whose state a checkpoint keeps."""
        generator, schedule = self.sampler.generator, self.schedule
        one = one_label(self.data, moving, fixed, generator) if schedule.one_label else None
        batch = make_batch(self.data, moving, fixed, self.device, one)
        return augmented(batch, schedule.augmentation, generator) if schedule.augmentation else batch

    def step(self, number: int) -> float:
        """One optimiser step; returns its loss. Raises ReregisterError, with the ids, where the loss is not finite."""
        places = self.sampler.draw(self.schedule.batch)
        moving, fixed = self._moving[places[0].numpy()], self._fixed[places[1].numpy()]
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        batch = self._training_batch(moving, fixed)
        pair = _register(self.model, batch, self.schedule.padding, self.schedule.precision)
        loss = self.loss(pair)
        value = float(loss.detach())
        if not np.isfinite(value):
            pairs = self.data.names(moving, fixed)
            raise ReregisterError(f"the loss is {value} at step {number}; the batch (moving>fixed) is {pairs}")
        loss.backward()
        self.optimiser.step()
        return value

    @torch.no_grad()
    def _validated(self) -> dict[str, Any]:
        """What a row of the history says of the frozen validation pairs: validation_loss and, of several, its terms."""
        self.model.eval()
        moving, fixed = (np.asarray(rows) for rows in self.data.validation)
        if not len(moving):
            return {"validation_loss": None}
        several = self.loss if isinstance(self.loss, Loss) and len(self.loss.weights) > 1 else None
        total, sums = 0.0, dict.fromkeys(sorted(several.weights) if several else (), 0.0)
        voxels = self.data.images[0].size * (1 + (len(self.data.labels.names) if self.data.labels else 0))
        together = max(min(LARGEST_VALIDATION_BATCH, VALIDATION_VOXELS // voxels), 1)
        for start in range(0, len(moving), together):
            part = slice(start, start + together)
            batch = make_batch(self.data, moving[part], fixed[part], self.device)
            pair = _register(self.model, batch, self.schedule.padding)
            terms = several.terms(pair) if several else {}
            total += float(several.total(terms) if several else self.loss(pair)) * len(moving[part])
            sums = {name: sums[name] + float(value) * len(moving[part]) for name, value in terms.items()}
        if not np.isfinite(total):
            raise ReregisterError("the validation loss is not finite; look at the validation images or lower the lr")
        means = {name: value / len(moving) for name, value in sums.items()}
        return {"validation_loss": total / len(moving), **({"terms": means} if several else {})}

    def validate(self) -> float | None:
        """Mean loss over the frozen validation pairs, in fp32 with running statistics; None where there are none.

        Raises ReregisterError where it is not finite, as where the running statistics have overflowed.
        """
        found: float | None = self._validated()["validation_loss"]
        return found

    def run(self, checkpoint: Path) -> tuple[list[dict[str, Any]], int | None]:
        """Train to the last iteration, or until the schedule ends it; the weights are those of the last step.

        Returns the history and the step that was taken up from a checkpoint (or None). The history has one row per
        validation, and more where the schedule logs: step, mean training loss since the row before, validation loss (or
        None), its terms, and why a training by epochs ended. On SIGTERM the checkpoint is written and SystemExit(143) raised.
        """
        schedule = self.schedule
        start, history = load_checkpoint(checkpoint, self.model, self.optimiser, self.sampler)
        if not history:
            history = [{"step": 0, "train_loss": None, **self._validated(), "losses": []}]
        # Losses since the last row travel with the history, so that a run stopped between rows has the same mean.
        losses: list[float] = history[-1].pop("losses", [])
        validated = [row["validation_loss"] for row in history if schedule.validates(row["step"])]
        self.report(start)
        # A run that was killed after its last checkpoint has nothing to train.
        last = start if history[-1].get("end") else schedule.iterations
        with _stop_on_sigterm() as stop:
            for number in range(start + 1, last + 1):
                losses.append(self.step(number))
                at_row, validating = schedule.logs(number), schedule.validates(number)
                if at_row:
                    found = self._validated() if validating else {"validation_loss": None}
                    history.append({"step": number, "train_loss": float(np.mean(losses)), **found})
                    losses = []
                if validating:
                    validated.append(history[-1]["validation_loss"])
                    if end := schedule.end(number, validated):
                        history[-1]["end"] = end
                # Read once: a signal that comes after it is for the next step, which then saves before it stops.
                stopping = stop[0]
                if validating or stopping:
                    self._save(checkpoint, number, history, losses)
                seen = history[-1]["train_loss"] if validated[-1] is None else validated[-1]
                self.report(number, **({} if seen is None else {"loss": seen}))
                if stopping:
                    raise SystemExit(143)
                if "end" in history[-1]:
                    break
        return history, start or None

    def _save(self, path: Path, step: int, history: list[dict[str, Any]], losses: list[float]) -> None:
        rows = [*history[:-1], {**history[-1], "losses": losses}]
        save_checkpoint(path, self.model, self.optimiser, self.sampler, step, rows)
