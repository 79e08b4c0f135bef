"""Reading the model card that lies beside the weights. No torch: pages and figures read it too."""

import json
from pathlib import Path
from typing import Any

from reregister.errors import ReregisterError


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
