"""Transforms of SimpleITK as baselines; `identity` walks the same path as every other method."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk

from reregister.baselines.checks import check_pair, setting
from reregister.errors import ReregisterError
from reregister.transforms.fields import itk_to_ddf


def _transform_ddf(transform: sitk.Transform, shape: Sequence[int], spacing: Sequence[float]) -> np.ndarray:
    """Dense field (ndim, *shape), voxels, float32, of a SimpleITK transform on the fixed grid (origin 0, identity)."""
    spacing_xyz = [float(value) for value in reversed(spacing)]
    size, origin = [int(n) for n in reversed(shape)], [0.0] * len(shape)
    field = sitk.TransformToDisplacementField(transform, sitk.sitkVectorFloat32, size, origin, spacing_xyz)
    return itk_to_ddf(sitk.GetArrayViewFromImage(field), spacing)


def register(
    moving: np.ndarray, fixed: np.ndarray, spacing: Sequence[float], *, settings: Mapping[str, Any]
) -> tuple[np.ndarray, str]:
    """Register one pair with SimpleITK.

    moving, fixed: (H, W) or (D, H, W), float32, on one grid. spacing: mm, tensor axis order.
    settings: transform, 'identity': no displacement, the row against which all others are read.
    Returns ddf (ndim, *spatial), float32, voxels, pull-back, and an empty note. Raises ReregisterError for wrong
    settings or shapes.
    """
    check_pair(moving, fixed, spacing)
    transform = setting(settings, "transform", "itk")
    if transform != "identity":
        raise ReregisterError(f"itk setting transform is {transform!r}: choose identity.")
    return _transform_ddf(sitk.Transform(fixed.ndim, sitk.sitkIdentity), fixed.shape, spacing), ""
