"""Tensors in 8 or 4 bits, and back (papers.md 5.5): what a weights file holds of a network whose weights are quantised."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

BITS = (8, 4)
# Names of the tensors that stand for one weight in a file.
VALUES, SCALE = ".quantised", ".scale"


@dataclass(frozen=True)
class Quantised:
    """values: int8, shaped as the weight, in [-(2^(bits-1) - 1), 2^(bits-1) - 1]; scale: float32, of one value or with
    one per output channel, shaped to be multiplied with values; weight ~ values * scale."""

    values: Tensor
    scale: Tensor

    def weight(self) -> Tensor:
        """The weight, float32; off by half a scale at most."""
        return self.values.float() * self.scale


def quantise(weight: Tensor, bits: int = 8, channel_axis: int | None = None) -> Quantised:
    """A weight in `bits` bits, symmetric about 0: scale = max abs(w) / (2^(bits-1) - 1), 127 or 7 steps either way.

    channel_axis: the axis of the output channels, each of which gets a scale of its own, or None for one scale. A tensor
    or channel of zeros has scale 0. Zero stays zero, so pruned weights stay pruned. Raises ValueError for other bits or
    weights that are not finite.
    """
    if bits not in BITS:
        raise ValueError(f"bits must be 8 or 4, got {bits}")
    weight = weight.detach().float()
    if not torch.isfinite(weight).all():
        raise ValueError("weights that are not finite cannot be quantised")
    steps = 2 ** (bits - 1) - 1
    if channel_axis is None:
        largest = weight.abs().amax().reshape([1] * weight.ndim)
    else:
        others = [axis for axis in range(weight.ndim) if axis != channel_axis]
        largest = weight.abs().amax(others, keepdim=True)
    scale = largest / steps
    safe = torch.where(scale > 0, scale, torch.ones_like(scale))
    return Quantised((weight / safe).round().clamp(-steps, steps).to(torch.int8), scale)


def pack(values: Tensor) -> Tensor:
    """int8 values in [-8, 7], any shape, two per byte: (ceil(n / 2),) uint8, the earlier one in the low half."""
    flat = values.flatten()
    if flat.numel() and (int(flat.min()) < -8 or int(flat.max()) > 7):
        raise ValueError(f"four bits hold -8 to 7, got {int(flat.min())} to {int(flat.max())}")
    halves = (flat.to(torch.int16) & 0xF).to(torch.uint8)
    if halves.numel() % 2:
        halves = torch.cat([halves, halves.new_zeros(1)])
    return halves[0::2] | (halves[1::2] << 4)


def unpack(packed: Tensor, shape: tuple[int, ...]) -> Tensor:
    """int8 values of that shape from `pack`. Raises ValueError where there are too few or too many bytes."""
    count = int(torch.Size(shape).numel())
    if packed.numel() != (count + 1) // 2:
        raise ValueError(f"{packed.numel()} bytes do not hold {count} values of four bits")
    halves = torch.stack([packed & 0xF, packed >> 4], -1).flatten()[:count].to(torch.int8)
    return torch.where(halves > 7, halves - 16, halves).reshape(shape)


def stored(
    quantised: Mapping[str, Quantised], bits: int, per_channel: bool
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What a file holds of quantised weights, by name, and what its header says of them under `quantisation`.

    Values of 8 bits are int8, of 4 bits packed two per byte; scales are float32.
    """
    tensors = {}
    for name, part in quantised.items():
        tensors[name + VALUES] = part.values if bits == 8 else pack(part.values)
        tensors[name + SCALE] = part.scale
    shapes = {name: list(part.values.shape) for name, part in quantised.items()}
    return tensors, {"bits": bits, "per_channel": per_channel, "shapes": shapes}


def restored(tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a file with its quantised weights in float32. settings: `quantisation` of its header.

    Raises KeyError or ValueError where a weight's tensors are missing or of another size.
    """
    found = dict(tensors)
    for name, shape in settings["shapes"].items():
        values = found.pop(name + VALUES)
        values = values if settings["bits"] == 8 else unpack(values, tuple(shape))
        found[name] = Quantised(values, found.pop(name + SCALE)).weight()
    return found
