"""Global magnitude pruning, and keeping what was pruned at zero while the rest is trained further (papers.md 5.5)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

POOLS = ("weights", "all")


def prunable(model: nn.Module, pool: str = "weights") -> dict[str, nn.Parameter]:
    """The parameters that compete for being pruned, by name.

    pool: `weights`, the weights and biases of convolutions and dense layers, or `all`, with the shifts (and scales) of
    normalisation too. Of LabelRegLocalNet that is 18,902,959 or 18,906,351. Raises ValueError for another word.
    """
    if pool not in POOLS:
        raise ValueError(f"pool must be {' or '.join(POOLS)}, got {pool!r}")
    if pool == "all":
        return dict(model.named_parameters())
    found: dict[str, nn.Parameter] = {}
    for prefix, module in model.named_modules(remove_duplicate=True):
        if isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
            inner = module.named_parameters(recurse=False)
            found |= {f"{prefix}.{name}" if prefix else name: parameter for name, parameter in inner}
    return found


def prune_globally(model: nn.Module, ratio: float, pool: str = "weights") -> dict[str, Tensor]:
    """Set the smallest parameters of the pool to zero, in place, and return the masks of those that stay, by name.

    ratio: share of the pool, in [0, 1), rounded to whole parameters; 0.25 of LabelRegLocalNet's weights is 4,725,740.
    They compete by absolute value over all layers at once, in one shot; which ones of equal values go is left to torch,
    so zeros, such as a layer that has not moved from there, go first. Masks: bool tensors shaped as the parameters.
    Raises ValueError for another ratio or pool.
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio must lie in [0, 1), got {ratio}")
    pooled = prunable(model, pool)
    values = torch.cat([parameter.detach().abs().flatten() for parameter in pooled.values()])
    kept = prune.L1Unstructured(ratio).compute_mask(values, torch.ones_like(values)).bool()
    parts = kept.split([parameter.numel() for parameter in pooled.values()])
    masks = {
        name: part.view_as(parameter).clone() for part, (name, parameter) in zip(parts, pooled.items(), strict=True)
    }
    apply_masks(model, masks)
    return masks


@torch.no_grad()
def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set to zero what the masks do not keep. Raises ValueError where a mask fits no parameter."""
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or parameters[name].shape != mask.shape:
            raise ValueError(f"the mask of {name}, {tuple(mask.shape)}, fits no parameter of {type(model).__name__}")
        parameters[name].masked_fill_(~mask.to(parameters[name].device), 0)


class HeldMasks:
    """Pruned parameters of a model stay at zero at every step of an optimiser, until `release`.

    Their gradients are set to zero before the step, so that they add nothing to its moments, and their values after it.
    """

    def __init__(self, model: nn.Module, masks: Mapping[str, Tensor], optimiser: torch.optim.Optimizer) -> None:
        apply_masks(model, masks)
        parameters = dict(model.named_parameters())
        self._pruned = [(parameters[name], ~mask.to(parameters[name].device)) for name, mask in masks.items()]
        self._handles = [
            optimiser.register_step_pre_hook(self._clear_gradients),
            optimiser.register_step_post_hook(self._clear_values),
        ]

    @torch.no_grad()
    def _clear_gradients(self, *_: Any) -> None:
        for parameter, pruned in self._pruned:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(pruned, 0)

    @torch.no_grad()
    def _clear_values(self, *_: Any) -> None:
        for parameter, pruned in self._pruned:
            parameter.masked_fill_(pruned, 0)

    def release(self) -> None:
        """Let the optimiser move every parameter again."""
        for handle in self._handles:
            handle.remove()


def masks_of(model: nn.Module, pool: str = "weights") -> dict[str, Tensor]:
    """The masks of a network that was pruned and saved: what is not exactly zero stays.

    A parameter that was zero without being pruned is held there too. Raises ValueError for an unknown pool.
    """
    return {name: parameter.detach() != 0 for name, parameter in prunable(model, pool).items()}


def sparsity(model: nn.Module, pool: str = "weights") -> pd.DataFrame:
    """How many parameters of each layer of the pool are zero: layer, parameters, zeros, share (of that layer).

    The last row is the whole pool, layer `all`.
    """
    layers = prunable(model, pool)
    counts = [parameter.numel() for parameter in layers.values()]
    zeros = [int((parameter == 0).sum()) for parameter in layers.values()]
    columns = {"layer": [*layers, "all"], "parameters": [*counts, sum(counts)], "zeros": [*zeros, sum(zeros)]}
    frame = pd.DataFrame(columns)
    return frame.assign(share=frame["zeros"] / frame["parameters"])
