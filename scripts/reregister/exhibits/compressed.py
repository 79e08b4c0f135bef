"""What the files of compressed networks say: their layers, and how large they are."""

import re
from pathlib import Path

import pandas as pd

from reregister.drawing import Inputs
from reregister.errors import ReregisterError
from reregister.tables import read_results

# Of the last row of a table of layers, which stands for the whole network.
ALL = "all"
FLOAT_BITS = 32
_NETWORK = re.compile(r"(.+)_seed(\d+)\..+")


def read_layers(paths: list[Path]) -> pd.DataFrame:
    """Tables of layers (`compression.compress.layer_table`) with method, part and seed, which their places name.

    Raises ReregisterError where there is none.
    """
    if not paths:
        raise ReregisterError("no table of layers is there to read; name a method that was pruned or quantised")
    frames = []
    for path in map(Path, paths):
        part, seed = _network(path)
        frames.append(read_results([path]).assign(method=path.parent.name, part=part, seed=int(seed)))
    return pd.concat(frames, ignore_index=True)


def compression_of(layers: pd.DataFrame) -> pd.DataFrame:
    """Per method, means over its networks: `pruned` (share of zeros) and `bits` (stored, of a weight with its scale)."""
    single, total = layers[layers["layer"] != ALL], layers[layers["layer"] == ALL]
    sums = single.groupby("method")[["bytes", "parameters"]].sum()
    shares = total.groupby("method")["share"].mean()
    return pd.DataFrame({"pruned": shares, "bits": 8 * sums["bytes"] / sums["parameters"]})


def bytes_by_method(inputs: Inputs) -> dict[str, float]:
    """Bytes on disk of each method's network, the mean where it has several.

    They are those of the files of `weights` and `sizes` (OpenVINO's), and for a method without either those that the table
    of its layers names. A method that none of them knows is left out.
    """
    found: dict[str, list[float]] = {}
    for path in map(Path, inputs.get("weights", ())):
        found.setdefault(path.parent.name, []).append(path.stat().st_size)
    for path in map(Path, inputs.get("sizes", ())):
        found.setdefault(path.name.split(".")[0], []).extend(read_results([path])["bytes"])
    if inputs.get("layers"):
        layers = read_layers(list(inputs["layers"]))
        for method, own in layers[layers["layer"] == ALL].groupby("method"):
            found.setdefault(method, own["bytes"].tolist())
    return {method: float(sum(sizes) / len(sizes)) for method, sizes in found.items()}


def _network(path: Path) -> tuple[str, str]:
    """Part and seed that the name of a network's file says."""
    match = _NETWORK.fullmatch(path.name)
    if match is None:
        raise ReregisterError(f"{path} is no file of a network, such as all_seed0.layers.csv; name one")
    return match[1], match[2]
