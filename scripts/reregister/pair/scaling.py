"""Intensities of a user's image brought to what a network was trained on."""

import numpy as np
from numpy.typing import NDArray

from reregister.errors import ReregisterError

# Percentiles of an image that become 0 and 1, by the rule.
_QUANTILES = {"percentiles": (1, 99), "min_max": (0, 100)}


def scale(pixels: NDArray[np.generic], rule: str, name: str) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Pixels in [0, 1] by a rule of `card.INTENSITIES`, and the two intensities that became 0 and 1.

    pixels: real, any shape. rule: `unit_range`, the bytes 0 and 255 become 0 and 1; `percentiles`, the image's own
    percentiles 1 and 99 do, and what lies beyond is cut off; `min_max`, its least and greatest value do. All 0 where the
    two are one value. name: for messages.
    Raises ReregisterError for an unknown rule and for intensities that cannot be bytes.
    """
    if rule == "unit_range":
        _require_bytes(pixels, name)
        return (pixels.astype(np.float32) / np.float32(255)), (0.0, 255.0)
    if rule not in _QUANTILES:
        raise ReregisterError(f"the model card names the unknown intensities {rule!r}; train the network again")
    low, high = (float(value) for value in np.percentile(pixels.astype(np.float64), _QUANTILES[rule]))
    if high <= low:
        return np.zeros(pixels.shape, np.float32), (low, high)
    scaled = (pixels.astype(np.float64) - low) / (high - low)
    return np.clip(scaled, 0, 1).astype(np.float32), (low, high)


def _require_bytes(pixels: NDArray[np.generic], name: str) -> None:
    low, high = float(pixels.min()), float(pixels.max())
    # Real numbers up to 1 were scaled already: divided by 255 they would be black to the network.
    if low < 0 or high > 255 or (np.issubdtype(pixels.dtype, np.floating) and low < high <= 1):
        raise ReregisterError(
            f"{name} has intensities from {low:g} to {high:g}, but the network was trained on bytes, 0 to 255; "
            "scale the image to 0 to 255"
        )
