"""One pair of volumes as several methods registered it, cut to one slice: what figures of volumes show."""

from typing import Any

import numpy as np

from reregister.drawing import Exhibit, Inputs
from reregister.errors import ReregisterError
from reregister.exhibits.planes import cut, cut_field

IMAGES = ("moving", "fixed", "warped", "mask_moving", "mask_fixed", "mask_warped")


def volume_cases(
    exhibit: Exhibit, inputs: Inputs, plane: str, place: float, axes: str, rank: str = "common"
) -> list[dict[str, Any]]:
    """The pair of a rank of each method's example pairs (npz), in the order of the exhibit's methods.

    plane, place and axes: as of `planes.cut`. A case holds the ids and numbers of `example_pairs` with method and label,
    images moving, fixed and warped (H, W), mask_.. (H, W) with the numbers of the scored labels, and ddf (2, H, W), what
    lies in the slice. Raises ReregisterError for flat images, for a slice that there is not, and for the common pair where
    methods hold different ones.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in inputs["gallery"]:
        with np.load(path) as file:
            method = str(file["method"])
            if method in found or method not in exhibit.labels or "rank" not in file.files:
                continue
            row = file["rank"].tolist().index(rank)
            case: dict[str, Any] = {"method": method, "label": exhibit.labels[method]}
            # One array at a time: those of whole brains do not fit into memory together.
            for name in file.files:
                if name != "method":
                    case[name] = _shown(exhibit, file[name], name, row, (plane, place, axes))
        found[method] = case
    cases = [found[method] for method in exhibit.labels if method in found]
    pairs = sorted({str(case["pair_id"]) for case in cases})
    if rank == "common" and len(pairs) > 1:
        raise ReregisterError(
            f"{exhibit.exhibit} compares one pair and its methods hold {' and '.join(pairs)}; evaluate them all again"
        )
    return cases


def _shown(exhibit: Exhibit, array: np.ndarray, name: str, row: int, where: tuple[str, float, str]) -> Any:
    """What is kept of one array of example pairs."""
    own = array[row]
    if name not in (*IMAGES, "ddf"):
        return own
    # Images have a channel in front, masks none.
    own = own[0] if name in ("moving", "fixed", "warped") else own
    if own.ndim != (4 if name == "ddf" else 3):
        raise ReregisterError(
            f"{exhibit.exhibit} shows slices of volumes and its images are flat; take gallery for them"
        )
    try:
        return (cut_field if name == "ddf" else cut)(own, *where).copy()
    except ValueError as error:
        raise ReregisterError(f"{exhibit.exhibit}: {error}") from error
