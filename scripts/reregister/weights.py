"""Networks on disk: safetensors with the model card in the header, never a pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from reregister.errors import ReregisterError
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


def make_card(
    model: nn.Module, name: str, params: Mapping[str, Any], recipe_id: str, trained_on: str
) -> dict[str, Any]:
    """What a weights file says of itself."""
    return {
        "architecture": name,
        "params": dict(params),
        "parameters": count_parameters(model),
        "layers": str(model),
        "trained_on": trained_on,
        "recipe_id": recipe_id,
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
    front = {key: card[key] for key in ("architecture", "parameters", "trained_on", "recipe_id")}
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "license: apache-2.0", "---", ""]
    lines += [f"# {card['architecture']}", "", f"Arguments: `{canonical_json(card['params'])}`", ""]
    lines += ["```", str(card["layers"]), "```", ""]
    write_text(card_path, "\n".join(lines))


def load_model(path: Path, name: str, params: Mapping[str, Any]) -> nn.Module:
    """The trained network `name(**params)` in evaluation mode.

    Raises ReregisterError where the file holds another architecture, and what `load_tensors` raises.
    """
    tensors, card = load_tensors(path)
    if (card.get("architecture"), card.get("params")) != (name, dict(params)):
        held = f"{card.get('architecture')} {card.get('params')}"
        raise ReregisterError(
            f"{path} holds weights of {held}, not of {name} {dict(params)}; give weights of that network"
        )
    model = build_model(name, params)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        detail = str(error).splitlines()[-1].strip()
        raise ReregisterError(f"{path} does not fit {name} {dict(params)}: {detail}") from error
    return model.eval()
