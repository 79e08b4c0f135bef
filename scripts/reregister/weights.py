"""Networks on disk: safetensors with the model card in the header, never a pickle."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from reregister.card import FRONT, OPTIONAL, in_words
from reregister.compression.bits import restored
from reregister.errors import ReregisterError
from reregister.layers import padding_of
from reregister.provenance.files import atomic_path, canonical_json, write_text
from reregister.registry import load


def build_model(name: str, params: Mapping[str, Any]) -> nn.Module:
    """A network from the registry, freshly initialised. Raises ReregisterError for an unknown name or parameter."""
    module = load("models", name)
    try:
        model: nn.Module = module.build(**params)
    except (TypeError, ValueError) as error:
        raise ReregisterError(f"model {name} cannot be built from {dict(params)}: {error}") from error
    return model


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def list_modules(model: nn.Module, shape: Sequence[int], inputs: Sequence[Tensor] = ()) -> list[dict[str, Any]]:
    """The modules of a registration network in the order in which they work, found by passing one pair through it.

    shape: (C, *spatial) of the images it was trained on. inputs: what is passed instead of a pair, such as noise. One
    entry for each module without parts, and a last one, named "", for the whole: name, type, kernel (per axis) and
    channels in and out where it has them, else None (of a dense layer its features); number of trainable parameters; shape
    of its output without the batch. The network is left as it was.
    """
    found: list[dict[str, Any]] = []

    def note(name: str, module: nn.Module, output: Tensor) -> None:
        kernel = getattr(module, "kernel_size", None)
        found.append(
            {
                "name": name,
                "type": type(module).__name__,
                "kernel": [kernel] * (len(shape) - 1) if isinstance(kernel, int) else kernel and list(kernel),
                "inputs": getattr(module, "in_channels", getattr(module, "in_features", None)),
                "outputs": getattr(module, "out_channels", getattr(module, "out_features", None)),
                "parameters": count_parameters(module),
                "shape": list(output.shape[1:]),
            }
        )

    parts = [(name, module) for name, module in model.named_modules() if not name or not list(module.children())]
    hooks = [
        module.register_forward_hook(lambda module, _, output, name=name: note(name, module, output))
        for name, module in parts
    ]
    training, parameter = model.training, next(model.parameters())
    try:
        # In evaluation mode, so that the statistics of batch normalisation do not see the empty pair.
        pair = torch.zeros(2, 1, *shape, device=parameter.device, dtype=parameter.dtype)
        with torch.no_grad():
            model.eval()(*(inputs or pair))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return found


def make_card(
    model: nn.Module,
    name: str,
    params: Mapping[str, Any],
    recipe_id: str,
    trained_on: str,
    shape: Sequence[int],
    data: Mapping[str, Any] | None = None,
    precision: str = "fp32",
    inputs: Sequence[Tensor] = (),
) -> dict[str, Any]:
    """What a weights file says of itself, or what is said of a network whose weights are not kept.

    shape: (C, *spatial) of the images it was trained on. data: what `card.describe_data` says of them; without it the
    network cannot be given images of a user. precision: fp32 or bf16, of the network's arithmetic in training.
    inputs: as of `list_modules`. A network that pads such images has a key padded_to more, (*spatial).
    """
    padded = padding_of(model, shape[1:])
    return {
        "architecture": name,
        "params": dict(params),
        "parameters": count_parameters(model),
        "layers": str(model),
        "image_shape": list(shape),
        "modules": list_modules(model, shape, inputs),
        "trained_on": trained_on,
        "data": None if data is None else dict(data),
        "precision": precision,
        "recipe_id": recipe_id,
        **({"padded_to": padded} if padded else {}),
    }


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header. One header key only: safetensors writes several in no fixed order.

    Raises ReregisterError, and leaves what was there before, where the folder takes no more data.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"reregister": canonical_json(header)}
    try:
        with atomic_path(path) as temporary:
            save_file(contiguous, temporary, metadata=metadata)
    except (SafetensorError, OSError) as error:
        raise ReregisterError(f"{path} cannot be written ({error}); make room in {path.parent} or mend it") from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file written by `save_tensors`.

    Raises ReregisterError where the file is missing, is a pickle or anything else but safetensors of ours.
    """
    if not path.is_file():
        raise ReregisterError(f"{path} does not exist; give the path of a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("reregister", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except OSError as error:
        raise ReregisterError(f"{path} cannot be read ({error}); mend its permissions or its disk") from error
    except (SafetensorError, ValueError) as error:
        start = path.read_bytes()[:4]
        pickled = start[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") or start == b"PK\x03\x04"
        what = "is a pickle, which could run any code when opened" if pickled else f"is no safetensors file ({error})"
        raise ReregisterError(f"{path} {what}; give weights saved as .safetensors") from error
    if not isinstance(header, dict):
        raise ReregisterError(f"{path} has no reregister header; give weights that reregister trained")
    return tensors, header


def save_model(path: Path, card_path: Path, model: nn.Module, card: Mapping[str, Any]) -> None:
    """Write the weights with the card in their header, and the card as a text beside them."""
    save_tensors(path, model.state_dict(), card)
    write_card(card_path, card)


def write_card(path: Path, card: Mapping[str, Any]) -> None:
    """Write a card as a text, as `card.read_card` reads it."""
    keys = [*FRONT, *(key for key in OPTIONAL if key in card)]
    front = {**{key: card[key] for key in keys}, "license": "apache-2.0"}
    # YAML, as model cards have it, and JSON line by line: what reads the one or the other can read it.
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", ""]
    lines += [f"# {card['architecture']}", "", f"Arguments: `{canonical_json(card['params'])}`", ""]
    lines += [line for step in card.get("compression", []) for line in (in_words(step), "")]
    lines += ["```", str(card["layers"]), "```", ""]
    write_text(path, "\n".join(lines))


def load_model(
    path: Path, name: str, params: Mapping[str, Any], inference: Mapping[str, Any] | None = None
) -> nn.Module:
    """The trained network `name(**params)` in evaluation mode; weights that are stored in fewer bits become float32.

    inference: arguments that are others than in training, of those that change no weight.
    Raises ReregisterError where the file holds another architecture, and what `load_tensors` raises.
    """
    tensors, card = load_tensors(path)
    if (card.get("architecture"), card.get("params")) != (name, dict(params)):
        held = f"{card.get('architecture')} {card.get('params')}"
        raise ReregisterError(
            f"{path} holds weights of {held}, not of {name} {dict(params)}; give weights of that network"
        )
    model = build_model(name, {**params, **(inference or {})})
    try:
        model.load_state_dict(restored(tensors, card["quantisation"]) if "quantisation" in card else tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        detail = str(error).splitlines()[-1].strip()
        raise ReregisterError(f"{path} does not fit {name} {dict(params)}: {detail}") from error
    return model.eval()
