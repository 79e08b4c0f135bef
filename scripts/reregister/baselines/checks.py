"""What every classical baseline asks of its input before it calls its library."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reregister.errors import ReregisterError


def check_pair(moving: np.ndarray, fixed: np.ndarray, spacing: Sequence[float]) -> None:
    """Raise ReregisterError unless both images are (H, W) or (D, H, W) of one shape, with one spacing per axis."""
    if moving.shape != fixed.shape or fixed.ndim not in (2, 3):
        found = f"{moving.shape} and {fixed.shape}"
        raise ReregisterError(f"Moving and fixed image have shapes {found}: give two of one shape, 2-D or 3-D.")
    if len(spacing) != fixed.ndim or not all(value > 0 and np.isfinite(value) for value in spacing):
        found = f"spacing {tuple(spacing)} for images of {fixed.ndim} dimensions"
        raise ReregisterError(f"Got {found}: give one positive spacing per tensor axis.")


def constant_note(moving: np.ndarray, fixed: np.ndarray) -> str:
    """Why a pair has nothing to align: a note where one image is constant, '' otherwise."""
    for name, image in (("moving", moving), ("fixed", fixed)):
        if image.min() == image.max():
            return f"{name} image is constant"
    return ""


def setting(settings: Mapping[str, Any], key: str, method: str) -> Any:
    """The value of a key that the method cannot do without. Raises ReregisterError where it is missing."""
    if key not in settings:
        raise ReregisterError(f"The settings of baseline {method} lack the key '{key}': add it to the config.")
    return settings[key]
