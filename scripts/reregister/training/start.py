"""Training that starts from weights that another training made, pruned ones among them (papers.md 5.5)."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from reregister.compression.compress import pruned_pool
from reregister.compression.pruning import HeldMasks, masks_of
from reregister.errors import ReregisterError
from reregister.weights import load_tensors


def hold_zeros(model: nn.Module, start: Path | None, optimiser: torch.optim.Optimizer) -> HeldMasks:
    """Keep what is zero in a model that was loaded from pruned weights at zero at every step of the optimiser.

    start: the weights' file, whose header names the pool that was pruned. Raises ReregisterError where there is none, or
    it was not pruned.
    """
    pool = pruned_pool(load_tensors(start)[1]) if start else None
    if pool is None:
        raise ReregisterError(
            f"hold_zeros keeps pruned weights at zero, and {start or 'a fresh network'} was not pruned; name a pruned "
            "method as start_from, or take hold_zeros out"
        )
    return HeldMasks(model, masks_of(model, pool), optimiser)


def started_from(start: Path | None, held: bool) -> dict[str, Any]:
    """What a card says of the weights that a training started from: nothing where there are none.

    Where their zeros were held the network is as pruned as they are, and `compression` is handed on.
    """
    if start is None:
        return {}
    _, card = load_tensors(start)
    about = {"recipe_id": card["recipe_id"], "trained_on": card["trained_on"], "zeros_held": held}
    kept = {"compression": card["compression"]} if held else {}
    return {"started_from": about, **kept}
