"""The training loop that all papers use."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reregister.errors import ReregisterError
from reregister.losses import Registered
from reregister.training.checkpoint import load_checkpoint, save_checkpoint
from reregister.training.sampling import PairSampler
from reregister.transforms.warp import warp

# Pairs that are validated together: many small images, and no more large ones than a training batch holds.
LARGEST_VALIDATION_BATCH, VALIDATION_VOXELS = 256, 1 << 21


@dataclass(frozen=True)
class Schedule:
    """iterations: optimiser steps; batch: pairs per step; validate_every: steps between validations and checkpoints."""

    iterations: int
    batch: int
    validate_every: int
    padding: str


@dataclass(frozen=True)
class TrainingData:
    """images: (N, C, *spatial) float32 in memory or mapped, with their ids; pool and groups: rows to draw pairs from;
    validation: rows of moving and of fixed images of the frozen validation pairs, none where there are no such pairs;
    distinct: whether a training pair is of two different images."""

    images: np.ndarray
    ids: Sequence[str]
    pool: np.ndarray
    groups: Sequence[str]
    validation: tuple[np.ndarray, np.ndarray]
    distinct: bool = False


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


def _register(model: nn.Module, moving: Tensor, fixed: Tensor, padding: str) -> Registered:
    ddf = model(moving, fixed)
    return Registered(moving, fixed, warp(moving, ddf, padding=padding), ddf)


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
        self.sampler = PairSampler(data.groups, seed, data.distinct)
        self._pool = np.asarray(data.pool)

    def _batch(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.data.images[rows])).to(self.device, non_blocking=True)

    def step(self, number: int) -> float:
        """One optimiser step; returns its loss. Raises ReregisterError, with the ids, where the loss is not finite."""
        moving, fixed = (self._pool[index.numpy()] for index in self.sampler.draw(self.schedule.batch))
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        pair = _register(self.model, self._batch(moving), self._batch(fixed), self.schedule.padding)
        loss = self.loss(pair)
        value = float(loss.detach())
        if not np.isfinite(value):
            pairs = ", ".join(f"{self.data.ids[m]}>{self.data.ids[f]}" for m, f in zip(moving, fixed, strict=True))
            raise ReregisterError(f"the loss is {value} at step {number}; the batch (moving>fixed) is {pairs}")
        loss.backward()
        self.optimiser.step()
        return value

    @torch.no_grad()
    def validate(self) -> float | None:
        """Mean loss over the frozen validation pairs, with running statistics; None where there are none.

        Raises ReregisterError where it is not finite, as where the running statistics have overflowed.
        """
        self.model.eval()
        moving, fixed = (np.asarray(rows) for rows in self.data.validation)
        if not len(moving):
            return None
        total = 0.0
        batch = max(min(LARGEST_VALIDATION_BATCH, VALIDATION_VOXELS // self.data.images[0].size), 1)
        for start in range(0, len(moving), batch):
            part = slice(start, start + batch)
            pair = _register(self.model, self._batch(moving[part]), self._batch(fixed[part]), self.schedule.padding)
            total += float(self.loss(pair)) * len(moving[part])
        if not np.isfinite(total):
            raise ReregisterError("the validation loss is not finite; look at the validation images or lower the lr")
        return total / len(moving)

    def run(self, checkpoint: Path) -> tuple[list[dict[str, Any]], int | None]:
        """Train to the last iteration; returns the history and the step that was taken up from a checkpoint (or None).

        The history has one row per validation: step, mean training loss since the row before, validation loss. On
        SIGTERM the checkpoint is written and SystemExit(143) raised.
        """
        every, last = self.schedule.validate_every, self.schedule.iterations
        start, history = load_checkpoint(checkpoint, self.model, self.optimiser, self.sampler.generator)
        if not history:
            history = [{"step": 0, "train_loss": None, "validation_loss": self.validate(), "losses": []}]
        # Losses since the last row travel with the history, so that a run stopped between rows has the same mean.
        losses: list[float] = history[-1].pop("losses", [])
        self.report(start)
        with _stop_on_sigterm() as stop:
            for number in range(start + 1, last + 1):
                losses.append(self.step(number))
                at_row = number % every == 0 or number == last
                if at_row:
                    mean = float(np.mean(losses))
                    history.append({"step": number, "train_loss": mean, "validation_loss": self.validate()})
                    losses = []
                # Read once: a signal that comes after it is for the next step, which then saves before it stops.
                stopping = stop[0]
                if at_row or stopping:
                    self._save(checkpoint, number, history, losses)
                seen = history[-1]["validation_loss"]
                seen = history[-1]["train_loss"] if seen is None else seen
                self.report(number, **({} if seen is None else {"loss": seen}))
                if stopping:
                    raise SystemExit(143)
        return history, start or None

    def _save(self, path: Path, step: int, history: list[dict[str, Any]], losses: list[float]) -> None:
        rows = [*history[:-1], {**history[-1], "losses": losses}]
        save_checkpoint(path, self.model, self.optimiser, self.sampler.generator, step, rows)
