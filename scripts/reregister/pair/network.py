"""A trained network from the weights of a run, and the field that it gives for one pair of any size."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reregister.card import INTENSITIES, read_card
from reregister.errors import ReregisterError
from reregister.inference import network_method
from reregister.layers import padding_note
from reregister.runtime import torch_settings
from reregister.weights import load_model, load_tensors

ARGUMENTS = ("architecture", "params", "recipe_id", "image_shape", "data")


class Network(NamedTuple):
    """A network in evaluation mode, and its card."""

    model: nn.Module
    card: dict[str, Any]

    @property
    def ndim(self) -> int:
        return len(self.card["image_shape"]) - 1


def load_network(path: Path) -> Network:
    """The network of a .safetensors file, whose card lies beside it as .card.md.

    Raises ReregisterError where the file is no network's, the card is missing, belongs to other weights or does not say
    how the training images were scaled, and where the weights do not fit their own card.
    """
    _, header = load_tensors(path)
    if not all(key in header for key in ("architecture", "params", "recipe_id", "image_shape")):
        raise ReregisterError(f"{path} holds no network, but something else that reregister saved; give its weights")
    beside = path.with_suffix(".card.md")
    if not beside.is_file():
        raise ReregisterError(
            f"{path} has no model card beside it; copy {beside.name} there from the folder of the run"
        )
    card = read_card(beside)
    unlike = [key for key in ARGUMENTS if card.get(key) != header.get(key)]
    if unlike:
        raise ReregisterError(
            f"{beside} is the card of other weights than {path}, it differs in {unlike[0]}; copy both from one run"
        )
    data = card.get("data") or {}
    if not {"intensities", "unit", "spacing", "padding"} <= set(data) or data["intensities"] not in INTENSITIES:
        raise ReregisterError(
            f"{beside} does not say how the intensities of the training images were scaled; train the network again"
        )
    return Network(load_model(path, header["architecture"], header["params"]), card)


def pad_to_multiple(image: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """The image with its last values repeated at the high end, so that every side is a multiple of stride."""
    return np.pad(image, [(0, -side % stride) for side in image.shape], mode="edge")


def require_fit(network: Network, size: tuple[int, ...]) -> list[str]:
    """What is to be said of an image size, (*spatial) without a flat axis, that the network does not take as it is.

    Raises ReregisterError where it takes images of other dimension, or of one size that is another.
    """
    if len(size) != network.ndim:
        raise ReregisterError(
            f"the images have {len(size)} dimensions, {_times(size)}, but the network was trained on "
            f"{network.ndim}-D images, {_times(network.card['image_shape'][1:])}; give images of that dimension"
        )
    wanted = getattr(network.model, "image_size", None)
    if wanted is not None and tuple(wanted) != size:
        raise ReregisterError(
            f"the images have {_times(size)} pixels, but this network takes {_times(wanted)} and no other size; "
            "bring them to that size, or give a network without fully connected layers"
        )
    # Networks of the VoxelMorph line pad by themselves, with zeros as in training.
    if note := padding_note(network.model, size):
        return [note]
    padded = tuple(side + -side % _stride(network) for side in size)
    if padded == size:
        return []
    return [
        f"both images were padded from {_times(size)} to {_times(padded)} with their last values, for the network takes "
        f"multiples of {_stride(network)}, and the field was cropped to {_times(size)}"
    ]


def compute_field(
    network: Network, moving: NDArray[np.float32], fixed: NDArray[np.float32], device: torch.device
) -> NDArray[np.float32]:
    """Field (ndim, *spatial), voxels, of two images (*spatial) scaled as in training, padded and cropped back.

    Raises ReregisterError where the network gives a value that is not finite.
    """
    stride = _stride(network)
    register = network_method(network.model.to(device), device)
    with torch_settings(torch.get_num_threads(), "warn", device):
        pair = pad_to_multiple(moving, stride), pad_to_multiple(fixed, stride)
        ddf, _ = register(*pair, (1.0,) * fixed.ndim, settings={})
    if not np.isfinite(ddf).all():
        raise ReregisterError("the network gives a field with values that are not finite; train it again")
    return np.ascontiguousarray(ddf[(slice(None), *map(slice, fixed.shape))], dtype=np.float32)


def _stride(network: Network) -> int:
    return int(getattr(network.model, "stride", 1))


def _times(size: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in size)
