"""Weights in 8 or 4 bits, stored as such; the network computes with them in single precision (papers.md 5.5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reregister.compression.pruning import prunable
from reregister.errors import ReregisterError
from reregister.weights import build_model, load_tensors, save_tensors

BITS = (8, 4)
# Names of the tensors that stand for one weight in a file.
_VALUES, _SCALE = ".quantised", ".scale"


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


def quantise_weights(model: nn.Module, bits: int = 8, per_channel: bool = False) -> dict[str, Quantised]:
    """Every weight of convolutions and dense layers, by its name; biases and normalisation stay as they are.

    Raises ValueError for other bits.
    """
    axes = {
        f"{name}.weight".removeprefix("."): 1 if isinstance(module, nn.modules.conv._ConvTransposeNd) else 0
        for name, module in model.named_modules()
    }
    weights = {name: parameter for name, parameter in prunable(model).items() if parameter.ndim > 1}
    return {name: quantise(weight, bits, axes[name] if per_channel else None) for name, weight in weights.items()}


def save_quantised(
    path: Path, model: nn.Module, card: Mapping[str, Any], bits: int = 8, per_channel: bool = False
) -> int:
    """Write a network with its weights in 8 or 4 bits as safetensors, and return the file's size in bytes.

    card: as of `weights.make_card`; the header has it with a key `quantisation` more. Values of 8 bits are int8 tensors,
    of 4 bits packed two per byte; scales, biases and normalisation are float32. Raises ValueError for other bits, and
    ReregisterError where the file cannot be written.
    """
    quantised = quantise_weights(model, bits, per_channel)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in quantised}
    for name, part in quantised.items():
        tensors[name + _VALUES] = part.values if bits == 8 else pack(part.values)
        tensors[name + _SCALE] = part.scale
    shapes = {name: list(part.values.shape) for name, part in quantised.items()}
    header = {**card, "quantisation": {"bits": bits, "per_channel": per_channel, "shapes": shapes}}
    save_tensors(path, tensors, header)
    return path.stat().st_size


def load_quantised(path: Path, name: str, params: Mapping[str, Any]) -> nn.Module:
    """The network `name(**params)` with the weights of `save_quantised`, in single precision and evaluation mode.

    Raises ReregisterError where the file holds another architecture or none that was quantised, and what
    `weights.load_tensors` raises.
    """
    tensors, card = load_tensors(path)
    if (card.get("architecture"), card.get("params")) != (name, dict(params)):
        held = f"{card.get('architecture')} {card.get('params')}"
        raise ReregisterError(
            f"{path} holds weights of {held}, not of {name} {dict(params)}; give weights of that network"
        )
    if "quantisation" not in card:
        raise ReregisterError(f"{path} holds weights that are not quantised; load them as they are")
    settings = card["quantisation"]
    model = build_model(name, params)
    try:
        for weight, shape in settings["shapes"].items():
            values = tensors.pop(weight + _VALUES)
            values = values if settings["bits"] == 8 else unpack(values, tuple(shape))
            tensors[weight] = Quantised(values, tensors.pop(weight + _SCALE)).weight()
        model.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        detail = str(error).splitlines()[-1].strip()
        raise ReregisterError(f"{path} does not fit {name} {dict(params)}: {detail}") from error
    return model.eval()
