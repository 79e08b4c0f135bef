"""All label-free metrics of one registered pair, in one flat row."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reregister.metrics.intensity import SSIM_EDGE, mae, mse, ncc, ssim_map
from reregister.metrics.jacobian import jacobian_statistics
from reregister.metrics.landmark import field_error

FOREGROUND = 0.1


class Metric(NamedTuple):
    """What a column means: unit ("1" = none), direction ("higher" | "lower" is better, or "none"), definition."""

    unit: str
    direction: str
    definition: str


METRICS: dict[str, Metric] = {
    "ncc": Metric("1", "higher", "global normalised cross-correlation of warped and fixed; 0 where one is constant"),
    "mse": Metric("intensity^2", "lower", "mean squared difference of warped and fixed over all voxels"),
    "mae": Metric("intensity", "lower", "mean absolute difference of warped and fixed over all voxels"),
    "ssim": Metric("1", "higher", "structural similarity, Gaussian window of 11, sigma 1.5, data range 1.0"),
    "min_det": Metric("1", "higher", "smallest Jacobian determinant, central differences, border voxel dropped"),
    "fold_share": Metric("1", "lower", "share of voxels with Jacobian determinant <= 0"),
    "sdlogj": Metric("1", "lower", "standard deviation of log(det), det clipped from below at 1e-9"),
    "mean_det": Metric("1", "none", "mean Jacobian determinant; 1 for any field that vanishes at the border"),
    "std_det": Metric("1", "lower", "standard deviation of the Jacobian determinant within the image"),
    "max_displacement": Metric("unit of spacing", "none", "largest Euclidean displacement"),
    "field_error_mean": Metric("unit of spacing", "lower", "mean vector error against the true field, fixed > 0.1"),
    "field_error_p95": Metric("unit of spacing", "lower", "95th percentile of the same vector error"),
    "smoothness": Metric(
        "1/voxel^2", "none", "squared forward differences of the field in normalised units, mean over axes"
    ),
    "field_sd": Metric(
        "unit of spacing", "none", "standard deviation of the field within the image; 0 for a global shift"
    ),
    "uncovered": Metric("1", "lower", "share of the fixed image's intensity that the warped image lacks"),
    "ssim_foreground": Metric("1", "higher", "mean over fixed > 0.1 of the same structural similarity at each voxel"),
    "mean_displacement": Metric("unit of spacing", "none", "mean Euclidean displacement over all voxels"),
}


def evaluate_pair(
    moving: ArrayLike,
    fixed: ArrayLike,
    warped: ArrayLike,
    ddf: ArrayLike,
    spacing: Sequence[float],
    truth: ArrayLike | None = None,
) -> dict[str, float]:
    """One value per entry of `METRICS` for one pair, in that order.

    moving, fixed, warped: (H, W) or (D, H, W), one grid, intensities in [0, 1], at least 11 voxels per axis.
    ddf: (ndim, *spatial), voxels. spacing: voxel size per axis (mm, or 1 for px). truth: the true field in the form of
    ddf, or None where none is known; the error is taken over fixed > 0.1 and is NaN without a truth.
    Raises ValueError if shapes do not fit. Similarities are of warped against fixed; moving is only checked.
    """
    moving, fixed, warped, field = (np.asarray(array) for array in (moving, fixed, warped, ddf))
    if not moving.shape == fixed.shape == warped.shape or field.shape != (fixed.ndim, *fixed.shape):
        raise ValueError(
            f"not of one grid: moving {moving.shape}, fixed {fixed.shape}, warped {warped.shape}, ddf {field.shape}"
        )
    if len(spacing) != fixed.ndim:
        raise ValueError(f"images of shape {fixed.shape} need {fixed.ndim} spacings, got {len(spacing)}")
    regularity, lengths = jacobian_statistics(field), _lengths(field, spacing)
    error = {"mean": float("nan"), "p95": float("nan")}
    if truth is not None:
        error = field_error(field, truth, fixed > FOREGROUND, spacing)
    similarity = ssim_map(warped, fixed)
    foreground = fixed[(slice(SSIM_EDGE, -SSIM_EDGE),) * fixed.ndim] > FOREGROUND
    row = {
        "ncc": ncc(warped, fixed),
        "mse": mse(warped, fixed),
        "mae": mae(warped, fixed),
        "ssim": float(similarity.mean()),
        "max_displacement": float(lengths.max()),
        "field_error_mean": error["mean"],
        "field_error_p95": error["p95"],
        "smoothness": smoothness(field),
        "field_sd": field_sd(field, spacing),
        "uncovered": uncovered(warped, fixed),
        "ssim_foreground": float(similarity[foreground].mean()) if foreground.any() else float("nan"),
        "mean_displacement": float(lengths.mean()),
        **regularity,
    }
    return {name: row[name] for name in METRICS}


def smoothness(field: NDArray[np.floating]) -> float:
    """Squared forward differences of the normalised field 2 u / (N - 1), mean along each axis, averaged over the axes.

    field: (ndim, *spatial), voxels. 0 for one shift of the whole image; the smoothness term of mnist_voxelmorph without
    its weight (`losses.grad_l2_forward` of voxelmorph).
    """
    last = np.array(field.shape[1:], dtype=np.float64) - 1
    scaled = field.astype(np.float64) * (2 / last).reshape(-1, *[1] * (field.ndim - 1))
    return float(np.mean([np.square(np.diff(scaled, axis=axis)).mean() for axis in range(1, field.ndim)]))


def field_sd(field: NDArray[np.floating], spacing: Sequence[float]) -> float:
    """Standard deviation of a displacement within its image, root mean square over the components, unit of spacing.

    field: (ndim, *spatial), voxels. 0 where every voxel moves alike, however far: what a collapsed network gives.
    """
    variances = field.reshape(len(field), -1).astype(np.float64).var(axis=1) * np.square(np.asarray(spacing, float))
    return float(np.sqrt(variances.mean()))


def uncovered(warped: NDArray[np.floating], fixed: NDArray[np.floating]) -> float:
    """Share of the fixed image's intensity that the warped image lacks: sum of max(fixed - warped, 0) over sum of fixed.

    warped, fixed: (*spatial), intensities from 0. In [0, 1], 1 where nothing of the fixed image is covered, NaN where the
    fixed image is 0 everywhere. A displacement can move a stroke but not make one, such as the crossbar of a seven.
    """
    total = fixed.sum(dtype=np.float64)
    lacking = np.maximum(fixed.astype(np.float64) - warped, 0).sum()
    return float(lacking / total) if total else float("nan")


def _lengths(field: NDArray[np.floating], spacing: Sequence[float]) -> NDArray[np.float64]:
    """Euclidean lengths (*spatial) of a field (ndim, *spatial), voxels, in the unit of spacing; NaN where a value is NaN."""
    squares = np.zeros(field.shape[1:])
    for component, step in zip(field, spacing, strict=True):
        squares += np.square(component.astype(np.float64) * step)
    lengths: NDArray[np.float64] = np.sqrt(squares, out=squares)
    return lengths
