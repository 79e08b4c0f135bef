"""Similarity of two images of one grid, computed in double precision."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.metrics import structural_similarity

SSIM_WINDOW = 11
SSIM_EDGE = SSIM_WINDOW // 2


def ncc(first: ArrayLike, second: ArrayLike) -> float:
    """Global normalised cross-correlation (Pearson's r over all voxels).

    first, second: (H, W) or (D, H, W), any range. Returns a value in [-1, 1], no unit; 0 where either image is
    constant, since it then says nothing about the other; NaN where a voxel is NaN. Raises ValueError if shapes differ.
    Invariant to a positive linear change of either intensity. Source: the measure of de Vos et al. 2017, per image.
    """
    a, b = _pair(first, second)
    # Tested on the values: subtracting a rounded mean from a constant leaves a residue that would correlate.
    if a.max() == a.min() or b.max() == b.min():
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return 0.0 if norm == 0 else float(np.clip(np.sum(a * b) / norm, -1, 1))


def mse(first: ArrayLike, second: ArrayLike) -> float:
    """Mean squared difference over all voxels, >= 0, squared intensity units.

    first, second: (H, W) or (D, H, W), any range. Raises ValueError if shapes differ.
    """
    a, b = _pair(first, second)
    return float(np.mean(np.square(a - b)))


def mae(first: ArrayLike, second: ArrayLike) -> float:
    """Mean absolute difference over all voxels, >= 0, intensity units.

    first, second: (H, W) or (D, H, W), any range. Raises ValueError if shapes differ.
    """
    a, b = _pair(first, second)
    return float(np.mean(np.abs(a - b)))


def ssim(first: ArrayLike, second: ArrayLike) -> float:
    """Mean structural similarity of images in [0, 1] [Wang et al. 2004].

    first, second: (H, W) or (D, H, W), intensities in [0, 1] (data range 1.0). Gaussian window of 11 voxels per axis,
    sigma 1.5, K 0.01 and 0.03, population covariances, mean over the voxels whose window lies inside (5 are dropped at
    each edge). Returns a value in [-1, 1]. Raises ValueError if shapes differ or an axis is shorter than 11.
    Source: scikit-image `structural_similarity`; equal to MONAI's `SSIMMetric`.
    """
    return float(ssim_map(first, second).mean())


def ssim_map(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Structural similarity at each voxel whose window lies inside the image; `ssim` is its mean.

    first, second and errors as for `ssim`. Returns an array that is smaller by `SSIM_EDGE` voxels at each edge.
    """
    a, b = _pair(first, second)
    if min(a.shape) < SSIM_WINDOW:
        raise ValueError(f"ssim needs at least {SSIM_WINDOW} voxels along each axis, got shape {a.shape}")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    _, whole = structural_similarity(a, b, full=True, **options)
    inside: NDArray[np.float64] = whole[(slice(SSIM_EDGE, -SSIM_EDGE),) * a.ndim]
    return inside


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim not in (2, 3) or a.size == 0:
        raise ValueError(f"two images of one shape (H, W) or (D, H, W) are needed, got {a.shape} and {b.shape}")
    return a, b
