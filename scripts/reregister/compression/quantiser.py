"""Networks whose weights are stored in 8 or 4 bits and computed with in single precision (papers.md 5.5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from reregister.compression.bits import Quantised, quantise, stored
from reregister.compression.pruning import prunable
from reregister.weights import save_tensors


def quantise_weights(model: nn.Module, bits: int = 8, per_channel: bool = False) -> dict[str, Quantised]:
    """Every weight of convolutions and dense layers, by its name; biases and normalisation stay as they are.

    Raises ValueError for other bits than 8 and 4.
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

    card: as of `weights.make_card`; the header has it with a key `quantisation` more, by which `weights.load_model` takes
    the file as any other. Biases and normalisation are float32. Raises ValueError for other bits, and ReregisterError
    where the file cannot be written.
    """
    quantised = quantise_weights(model, bits, per_channel)
    tensors, settings = stored(quantised, bits, per_channel)
    tensors |= {name: tensor for name, tensor in model.state_dict().items() if name not in quantised}
    save_tensors(path, tensors, {**card, "quantisation": settings})
    return path.stat().st_size
