"""A trained network made smaller, as a weights file that is used like any other, and what became of its layers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from reregister.compression.bits import SCALE, VALUES
from reregister.compression.pruning import prune_globally, sparsity
from reregister.compression.quantiser import save_quantised
from reregister.errors import ReregisterError
from reregister.weights import load_model, load_tensors, save_model, write_card

WAYS = ("prune", "quantise")


def compress(
    weights: Path,
    name: str,
    params: Mapping[str, Any],
    settings: Mapping[str, Any],
    recipe_id: str,
    out: Path,
    card_path: Path,
) -> pd.DataFrame:
    """Prune or quantise the network `name(**params)` of a weights file, and write it with its card.

    settings: {"prune": {"ratio", "pool"}}, see `prune_globally`, or {"quantise": {"bits", "per_channel"}}, see
    `save_quantised`; papers.md 5.5. The card is that of the source, with recipe_id and, under `compression`, all that was
    done, this step last. Returns `layer_table` of the new file. Raises ReregisterError for other settings and where the
    weights are not those of the network.
    """
    ways = [way for way in WAYS if settings.get(way) is not None]
    if len(ways) != 1:
        raise ReregisterError(f"compress names {' and '.join(ways) or 'nothing'}; give one of {', '.join(WAYS)}")
    model, (_, source) = load_model(weights, name, params), load_tensors(weights)
    values = dict(settings[ways[0]])
    step = {"way": ways[0], **values, "of": source["recipe_id"]}
    card = {key: value for key, value in source.items() if key != "quantisation"}
    card |= {"recipe_id": recipe_id, "compression": [*source.get("compression", []), step]}
    try:
        if ways == ["prune"]:
            prune_globally(model, **values)
            save_model(out, card_path, model, card)
        else:
            save_quantised(out, model, card, **values)
            write_card(card_path, card)
    except (TypeError, ValueError) as error:
        raise ReregisterError(f"compress.{ways[0]} of {name}: {error}; mend it") from error
    return layer_table(out, name, params, pruned_pool(card) or "weights")


def pruned_pool(card: Mapping[str, Any]) -> str | None:
    """The pool from which a network was pruned last, by its card; None where it was not."""
    pools = [step.get("pool", "weights") for step in card.get("compression", []) if step["way"] == "prune"]
    return pools[-1] if pools else None


def layer_table(path: Path, name: str, params: Mapping[str, Any], pool: str = "weights") -> pd.DataFrame:
    """What a weights file holds of each layer: `sparsity` with a column bytes.

    zeros: as the network computes with them, so those that quantisation rounds to zero count too. bytes: of the stored
    tensors of a layer, a scale included; in the last row, layer `all`, of the whole file, header and normalisation too.
    """
    tensors, _ = load_tensors(path)
    table = sparsity(load_model(path, name, params), pool)
    stored = {
        layer: sum(tensors[key].nbytes for key in (layer, layer + VALUES, layer + SCALE) if key in tensors)
        for layer in table["layer"]
    }
    return table.assign(bytes=[*list(stored.values())[:-1], path.stat().st_size])
