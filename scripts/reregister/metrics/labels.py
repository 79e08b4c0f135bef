"""Labels carried along by a field, and every label metric of one registered pair."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from reregister.metrics.label_boxes import boxes_of, joint, reached
from reregister.metrics.landmark import centroid_distance
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
    "centroid_distance": Metric("unit of spacing", "lower", "distance of the centroids; NaN where a mask is empty"),
    "centroid_distance_px": Metric("voxel", "lower", "the same in voxels"),
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
    values, field = _checked(moving, ddf, labels, interpolation)
    warped = np.zeros((len(labels), *values.shape), bool)
    boxes = reached(boxes_of(values, labels), field)
    for mask, label, box in zip(warped, labels, boxes, strict=True):
        if box is not None:
            mask[box] = _warped(values[box] == label, field, box, interpolation, padding)
    return warped


def evaluate_labels(
    moving: ArrayLike,
    fixed: ArrayLike,
    ddf: ArrayLike,
    spacing: Sequence[float],
    labels: Sequence[int],
    interpolation: str = "linear",
    padding: str = "border",
    fixed_labels: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """One row per label of one registered pair: label, interpolation and one value per entry of `LABEL_METRICS`.

    moving, fixed: label maps (H, W) or (D, H, W) of one grid. spacing: voxel size along each tensor axis (mm, or 1 for
    px). ddf, labels, interpolation, padding and errors as in `warp_labels`. fixed_labels: the values of the same labels in
    the fixed map, where they are others. A mask that is empty gives NaN and its flag, never an error: a warp may push a
    small label out of the image. A field with a value that is not finite gives NaN in every metric and no flag, so that a
    diverged method is not scored by chance. Each label is measured in the box that holds it before and after, so that many
    labels of a volume cost little more than their own voxels. Source: section 4.2 of de Vos 2017 (Dice, 95SD, MAD).
    """
    values, field = _checked(moving, ddf, labels, interpolation)
    target, finite = _label_map(fixed), bool(np.isfinite(field).all())
    if target.shape != values.shape:
        raise ValueError(f"maps of one grid are needed, got moving {values.shape} and fixed {target.shape}")
    others = labels if fixed_labels is None else fixed_labels
    boxes = zip(reached(boxes_of(values, labels), field), boxes_of(target, others), strict=True)
    rows: list[dict[str, Any]] = []
    for label, other, pair in zip(labels, others, boxes, strict=True):
        found: dict[str, Any] = {name: 0 if name.startswith("empty") else float("nan") for name in LABEL_METRICS}
        if finite:
            # Where neither mask has a voxel, any box shows it.
            box = joint(*pair) or (slice(0, 1),) * target.ndim
            warped = _warped(values[box] == label, field, box, interpolation, padding)
            found = _measured(warped, target[box] == other, spacing)
        rows.append({"label": label, "interpolation": interpolation} | {name: found[name] for name in LABEL_METRICS})
    return rows


def _measured(warped: NDArray[np.bool_], mask: NDArray[np.bool_], spacing: Sequence[float]) -> dict[str, Any]:
    distances = {**surface_metrics(warped, mask, spacing), **centroid_distance(warped, mask, spacing)}
    return {"dice": dice(warped, mask), **distances, **emptiness(warped, mask)}


def _warped(
    mask: NDArray[np.bool_], field: NDArray[np.floating], box: tuple[slice, ...], interpolation: str, padding: str
) -> NDArray[np.bool_]:
    """One mask pulled back within a box that it does not leave. mask: of the box alone; field: of the whole grid."""
    image = torch.from_numpy(mask.astype(np.float32))[None, None]
    displacement = torch.from_numpy(np.array(field[(slice(None), *box)], np.float32))[None]
    mode = "bilinear" if interpolation == "linear" else "nearest"
    with torch.inference_mode():
        warped: NDArray[np.bool_] = (warp(image, displacement, mode, padding)[0, 0] >= THRESHOLD).numpy()
    return warped


def _checked(
    moving: ArrayLike, ddf: ArrayLike, labels: Sequence[int], interpolation: str
) -> tuple[NDArray[Any], NDArray[np.floating]]:
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation of labels must be one of {INTERPOLATIONS}, got {interpolation!r}")
    values, field = _label_map(moving), np.asarray(ddf)
    if not len(labels):
        raise ValueError("no labels to warp; name one label value at least")
    if field.shape != (values.ndim, *values.shape):
        raise ValueError(f"a map of shape {values.shape} takes a ddf {(values.ndim, *values.shape)}, got {field.shape}")
    return values, field


def _label_map(labels: ArrayLike) -> NDArray[Any]:
    values = np.asarray(labels)
    if values.dtype.kind not in "biu":
        raise ValueError(f"a label map holds whole numbers, got {values.dtype}; round it where it was made")
    return values
