"""Labels carried along by a field, and every label metric of one registered pair."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from reregister.metrics.overlap import dice, emptiness
from reregister.metrics.registration import Metric
from reregister.metrics.surface import surface_metrics
from reregister.transforms.warp import warp

INTERPOLATIONS = ("linear", "nearest")
THRESHOLD = 0.5

LABEL_METRICS: dict[str, Metric] = {
    "dice": Metric("1", "higher", "twice the intersection over the sum of both sizes; NaN where both masks are empty"),
    "hd95": Metric("unit of spacing", "lower", "larger one of the two directed 95th percentiles of surface distances"),
    "hd95_pooled": Metric("unit of spacing", "lower", "95th percentile of the surface distances of both directions"),
    "asd": Metric("unit of spacing", "lower", "mean surface distance of both directions together (MAD)"),
    "empty_warped": Metric("1", "none", "1 where the warped mask is empty: surface distances are NaN and left out"),
    "empty_fixed": Metric("1", "none", "1 where the fixed mask is empty: surface distances are NaN and left out"),
}


def warp_labels(
    moving: ArrayLike, ddf: ArrayLike, labels: Sequence[int], interpolation: str = "linear", padding: str = "border"
) -> NDArray[np.bool_]:
    """Masks of the labels of a moving image, pulled back through a field.

    moving: (H, W) or (D, H, W), whole numbers or bool, one label per voxel. ddf: (ndim, *spatial), voxels of the same
    grid. labels: the L values wanted. interpolation: `linear` warps the one-hot mask of each label and takes what reaches
    0.5, as MONAI's `AsDiscrete` does, so that at a tie two labels may share a voxel; `nearest` takes the voxel next to
    each place. padding: what lies outside of the moving image, `border` or `zeros`. Returns (L, *spatial),
    bool. Raises ValueError for shapes that do not fit, values that are no whole numbers or an unknown word.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation of labels must be one of {INTERPOLATIONS}, got {interpolation!r}")
    values, field = _label_map(moving), np.asarray(ddf)
    if not len(labels):
        raise ValueError("no labels to warp; name one label value at least")
    onehot = np.stack([values == label for label in labels]).astype(np.float32)
    mode = "bilinear" if interpolation == "linear" else "nearest"
    with torch.inference_mode():
        image, displacement = torch.from_numpy(onehot)[None], torch.from_numpy(np.array(field, np.float32))[None]
        warped: NDArray[np.bool_] = (warp(image, displacement, mode, padding)[0] >= THRESHOLD).numpy()
    return warped


def evaluate_labels(
    moving: ArrayLike,
    fixed: ArrayLike,
    ddf: ArrayLike,
    spacing: Sequence[float],
    labels: Sequence[int],
    interpolation: str = "linear",
    padding: str = "border",
) -> list[dict[str, Any]]:
    """One row per label of one registered pair: label, interpolation and one value per entry of `LABEL_METRICS`.

    moving, fixed: label maps (H, W) or (D, H, W) of one grid. spacing: voxel size along each tensor axis (mm, or 1 for
    px). ddf, labels, interpolation, padding and errors as in `warp_labels`. A mask that is empty gives NaN and its flag,
    never an error: a warp may push a small label out of the image. A field with a value that is not finite gives NaN in
    every metric and no flag, so that a diverged method is not scored by chance. Source: section 4.2 of de Vos 2017 (Dice,
    95SD, MAD).
    """
    target, finite = _label_map(fixed), bool(np.isfinite(np.asarray(ddf)).all())
    rows: list[dict[str, Any]] = []
    for label, warped in zip(labels, warp_labels(moving, ddf, labels, interpolation, padding), strict=True):
        mask = target == label
        found = {"dice": dice(warped, mask), **surface_metrics(warped, mask, spacing), **emptiness(warped, mask)}
        if not finite:
            found = {name: 0 if name.startswith("empty") else float("nan") for name in LABEL_METRICS}
        rows.append({"label": label, "interpolation": interpolation} | {name: found[name] for name in LABEL_METRICS})
    return rows


def _label_map(labels: ArrayLike) -> NDArray[Any]:
    values = np.asarray(labels)
    if values.dtype.kind not in "biu":
        raise ValueError(f"a label map holds whole numbers, got {values.dtype}; round it where it was made")
    return values
