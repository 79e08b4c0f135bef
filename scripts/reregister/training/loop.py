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
from reregister.losses import Loss, Registered
from reregister.training.checkpoint import load_checkpoint, save_checkpoint
from reregister.training.sampling import EpochSampler, PairSampler, Sampler
from reregister.training.schedule import Schedule
from reregister.transforms.warp import warp

# Pairs that are validated together: many small images, and no more large ones than a training batch holds.
LARGEST_VALIDATION_BATCH, VALIDATION_VOXELS = 256, 1 << 21


@dataclass(frozen=True)
class TrainingData:
    """images: (N, C, *spatial) float32 in memory or mapped, with their ids; pool and groups: rows to draw pairs from;
    validation: rows of moving and of fixed images of the frozen validation pairs, none where there are no such pairs;
    distinct: whether a training pair is of two different images; each_once: whether each image of the pool is the fixed one
    of one pair an epoch."""

    images: np.ndarray
    ids: Sequence[str]
    pool: np.ndarray
    groups: Sequence[str]
    validation: tuple[np.ndarray, np.ndarray]
    distinct: bool = False
    each_once: bool = False


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


def _register(model: nn.Module, moving: Tensor, fixed: Tensor, padding: str, precision: str = "fp32") -> Registered:
    with torch.autocast(moving.device.type, torch.bfloat16, enabled=precision == "bf16"):
        ddf = model(moving, fixed)
    ddf = ddf.float() if precision == "bf16" else ddf
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
        self.sampler: Sampler = PairSampler(data.groups, seed, data.distinct)
        if data.each_once:
            self.sampler = EpochSampler(data.groups, seed)
        self._pool = np.asarray(data.pool)

    def _batch(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.data.images[rows])).to(self.device, non_blocking=True)

    def step(self, number: int) -> float:
        """One optimiser step; returns its loss. Raises ReregisterError, with the ids, where the loss is not finite."""
        moving, fixed = (self._pool[index.numpy()] for index in self.sampler.draw(self.schedule.batch))
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        images = self._batch(moving), self._batch(fixed)
        pair = _register(self.model, *images, self.schedule.padding, self.schedule.precision)
        loss = self.loss(pair)
        value = float(loss.detach())
        if not np.isfinite(value):
            pairs = ", ".join(f"{self.data.ids[m]}>{self.data.ids[f]}" for m, f in zip(moving, fixed, strict=True))
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
        batch = max(min(LARGEST_VALIDATION_BATCH, VALIDATION_VOXELS // self.data.images[0].size), 1)
        for start in range(0, len(moving), batch):
            part = slice(start, start + batch)
            pair = _register(self.model, self._batch(moving[part]), self._batch(fixed[part]), self.schedule.padding)
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
