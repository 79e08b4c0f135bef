"""The model card that lies beside the weights. No torch: pages and figures read it too."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reregister.errors import ReregisterError

#: What becomes 0 and 1 before a network sees an image, by the word of a dataset's config.
INTENSITIES = {
    "unit_range": "byte / 255",
    "percentiles": "percentiles 1 and 99 of the slice to 0 and 1",
    "min_max": "least and greatest value of the image to 0 and 1",
}
# What stands at the head of a card, in this order.
FRONT = (
    "architecture",
    "params",
    "parameters",
    "trained_on",
    "data",
    "precision",
    "recipe_id",
    "image_shape",
    "modules",
)
# What a card has of some networks alone: the size to which images are padded, weights that it was trained on from, and
# what was done to make it smaller.
OPTIONAL = ("padded_to", "started_from", "compression")


def describe_data(
    dataset: str, intensities: str, unit: str, spacings: Iterable[Sequence[float]], padding: str
) -> dict[str, Any]:
    """What a card says of the training images, so that other images can be given to the network in the same form.

    intensities: a word of `INTENSITIES`. unit: mm or px. spacings: (N, ndim), of the images, in that unit; the card keeps
    the smallest and the largest along each axis. padding: border or zeros, what lay outside of the moving image.
    Raises ReregisterError for an unknown word.
    """
    for name, value, allowed in (
        ("intensities", intensities, tuple(INTENSITIES)),
        ("unit", unit, ("mm", "px")),
        ("padding", padding, ("border", "zeros")),
    ):
        if value not in allowed:
            raise ReregisterError(f"{name} of {dataset} is {value!r}; give one of {', '.join(allowed)}")
    return {
        "dataset": dataset,
        "intensities": intensities,
        "scaling": INTENSITIES[intensities],
        "unit": unit,
        "spacing": [[float(min(axis)), float(max(axis))] for axis in zip(*spacings, strict=True)],
        "padding": padding,
    }


def read_card(path: Path) -> dict[str, Any]:
    """What stands between the two lines `---` at a card's head: `key: value`, each value JSON.

    Raises ReregisterError where the file is missing or is no such card.
    """
    try:
        head, mark, _ = path.read_text(encoding="utf-8").removeprefix("---\n").partition("\n---\n")
        fields = [line.partition(": ") for line in head.splitlines()]
        card = {key: json.loads(value) for key, _, value in fields}
    except (OSError, ValueError) as error:
        raise ReregisterError(f"{path} cannot be read as a model card ({error}); train the network again") from error
    if not mark or "modules" not in card:
        raise ReregisterError(f"{path} lists no modules; train the network again")
    return card


def in_words(step: Mapping[str, Any]) -> str:
    """A step of a card's `compression` as a line of text."""
    settings = ", ".join(f"{key} {value}" for key, value in sorted(step.items()) if key not in ("way", "of"))
    return f"Compressed ({step['way']}: {settings}) from the weights of recipe {step['of']}."
