"""Saving and taking up a training run so that the interrupted one ends with the same bits as one that was not."""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from reregister.errors import ReregisterError
from reregister.weights import load_tensors, save_tensors


class Stateful(Protocol):
    """What draws the batches: a sampler, or a generator by itself."""

    def get_state(self) -> Tensor: ...

    def set_state(self, state: Tensor, /) -> object: ...


def _flatten_optimiser(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    state = optimiser.state_dict()
    tensors, scalars = {}, {}
    for index, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimiser.{index}.{key}"] = value
            else:
                scalars[f"{index}.{key}"] = value
    return tensors, scalars


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    sampler: Stateful,
    step: int,
    history: list[dict[str, Any]],
) -> None:
    """Write everything that the next step depends on: weights, optimiser, sampler, generators, step and history."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    optimiser_tensors, scalars = _flatten_optimiser(optimiser)
    tensors |= optimiser_tensors
    tensors["sampler"] = sampler.get_state()
    tensors["generator.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["generator.cuda"] = torch.cuda.get_rng_state()
    save_tensors(path, tensors, {"step": step, "history": history, "optimiser": scalars})


def load_checkpoint(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, sampler: Stateful
) -> tuple[int, list[dict[str, Any]]]:
    """Put a checkpoint's state into the given objects; returns the step to go on from and the history so far.

    Returns (0, []) where there is no checkpoint. Raises ReregisterError where it cannot be read or does not fit.
    """
    if not path.exists():
        return 0, []
    try:
        tensors, header = load_tensors(path)
        model.load_state_dict({name[6:]: t for name, t in tensors.items() if name.startswith("model.")})
        state = optimiser.state_dict()
        state["state"] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimiser."):
                _, index, key = name.split(".", 2)
                state["state"].setdefault(int(index), {})[key] = tensor
        for name, value in header["optimiser"].items():
            index, key = name.split(".", 1)
            state["state"].setdefault(int(index), {})[key] = value
        optimiser.load_state_dict(state)
        sampler.set_state(tensors["sampler"])
        torch.set_rng_state(tensors["generator.cpu"])
        if torch.cuda.is_available() and "generator.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["generator.cuda"])
        return header["step"], header["history"]
    except ReregisterError as error:
        raise ReregisterError(f"the checkpoint {path} cannot be read; delete it to start afresh") from error
    except (KeyError, RuntimeError, ValueError) as error:
        detail = str(error).splitlines()[-1].strip()
        raise ReregisterError(
            f"the checkpoint {path} does not fit this network ({detail}); delete it to start afresh"
        ) from error
