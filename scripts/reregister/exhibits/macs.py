"""Multiply-accumulates of a network, counted from the modules that its card lists. No torch: tables read it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reregister.errors import ReregisterError

# What a transposed convolution of our networks steps by along each axis: its work is done at the size it reads.
STEP = 2


def count_macs(modules: Sequence[Mapping[str, Any]]) -> int:
    """Multiply-accumulates of all convolutions and dense layers for one pair.

    modules: of a card (`weights.list_modules`), where a layer that is used three times stands three times. A convolution
    costs kernel x inputs x outputs at every place of its output, a transposed one at every place of its input. Biases,
    normalisation, pooling and resizing are left out, as is usual. Raises ReregisterError for a convolution without a
    kernel of as many axes as its output.
    """
    return sum(_macs(module) for module in modules if module["name"])


def scaled_macs(card: Mapping[str, Any], size: Sequence[int]) -> float:
    """`count_macs` of a card's network on images of another size (*spatial).

    The work of convolutions is proportional to the voxels where both sizes are multiples of what the network halves.
    Raises ReregisterError for a network with dense layers, which fix the size, and another number of axes.
    """
    own = card.get("padded_to") or card["image_shape"][1:]
    if len(own) != len(size) or any(module["type"] == "Linear" for module in card["modules"]):
        raise ReregisterError(
            f"{card['architecture']} of images of {own} has no counterpart at {list(size)}; leave it out"
        )
    return count_macs(card["modules"]) * math.prod(size) / math.prod(own)


def _macs(module: Mapping[str, Any]) -> int:
    kind, inputs, outputs = str(module["type"]), module["inputs"], module["outputs"]
    if kind == "Linear":
        return int(inputs) * int(outputs)
    if not kind.startswith("Conv") or inputs is None:
        return 0
    kernel, spatial = module["kernel"], module["shape"][1:]
    if not kernel or len(kernel) != len(spatial):
        raise ReregisterError(f"{module['name']} has the kernel {kernel} for an output of {spatial}; train it again")
    places = math.prod(spatial)
    if "Transpose" in kind:
        places //= STEP ** len(spatial)
    return math.prod(kernel) * int(inputs) * int(outputs) * places
