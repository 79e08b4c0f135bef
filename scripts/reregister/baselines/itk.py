"""Registration with SimpleITK [Lowekamp 2013]; `identity` walks the same path as every other method.

Affine and then a displacement field is the baseline of the deep prior's paper, by SimpleITK's own example
`ImageRegistrationMethodDisplacement1` (papers.md 7.7). On one thread: sums over threads differ in the last digits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk

from reregister.baselines.checks import check_pair, constant_note, setting
from reregister.errors import ReregisterError
from reregister.transforms.fields import itk_to_ddf

TRANSFORMS = ("identity", "affine", "affine_displacement_field")


def _transform_ddf(transform: sitk.Transform, shape: Sequence[int], spacing: Sequence[float]) -> np.ndarray:
    """Dense field (ndim, *shape), voxels, float32, of a SimpleITK transform on the fixed grid (origin 0, identity)."""
    spacing_xyz = [float(value) for value in reversed(spacing)]
    size, origin = [int(n) for n in reversed(shape)], [0.0] * len(shape)
    field = sitk.TransformToDisplacementField(transform, sitk.sitkVectorFloat32, size, origin, spacing_xyz)
    return itk_to_ddf(sitk.GetArrayViewFromImage(field), spacing)


def _image(array: np.ndarray, spacing: Sequence[float]) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array, dtype=np.float32))
    image.SetSpacing([float(value) for value in reversed(spacing)])
    return image


def _method(settings: Mapping[str, Any], stage: Mapping[str, Any]) -> sitk.ImageRegistrationMethod:
    """What both stages have in common: resolutions, points, interpolation and gradient descent."""
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetInterpolator(sitk.sitkLinear)
    shrink, smoothing = (list(setting(settings, key, "itk")) for key in ("shrink", "smoothing"))
    if len(shrink) != len(smoothing) or not all(isinstance(factor, int) and factor > 0 for factor in shrink):
        raise ReregisterError(
            f"itk settings shrink and smoothing are {shrink} and {smoothing}: give whole numbers from 1 on, and as many sigmas."
        )
    method.SetShrinkFactorsPerLevel(shrink)
    method.SetSmoothingSigmasPerLevel([float(value) for value in smoothing])
    sampling = float(settings.get("sampling", 1.0))
    if sampling < 1:
        method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(sampling, int(setting(settings, "seed", "itk")))
    method.MetricUseFixedImageGradientFilterOff()
    method.SetOptimizerAsGradientDescent(
        learningRate=float(setting(stage, "lr", "itk")),
        numberOfIterations=int(setting(stage, "iterations", "itk")),
        estimateLearningRate=method.EachIteration,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    return method


def _affine(moving: sitk.Image, fixed: sitk.Image, settings: Mapping[str, Any]) -> sitk.Transform:
    stage = setting(settings, "affine", "itk")
    method = _method(settings, stage)
    method.SetMetricAsJointHistogramMutualInformation(int(setting(stage, "bins", "itk")))
    # Centres of mass, as in the example.
    start = sitk.CenteredTransformInitializer(fixed, moving, sitk.AffineTransform(fixed.GetDimension()))
    method.SetInitialTransform(start)
    return method.Execute(fixed, moving)


def _field(
    moving: sitk.Image, fixed: sitk.Image, affine: sitk.Transform, settings: Mapping[str, Any]
) -> sitk.CompositeTransform:
    """The affine transform and, before it, a field on the fixed grid: x -> affine(x + u(x))."""
    stage = setting(settings, "field", "itk")
    start = sitk.Image(fixed.GetSize(), sitk.sitkVectorFloat64, fixed.GetDimension())
    start.CopyInformation(fixed)
    field = sitk.DisplacementFieldTransform(start)
    field.SetSmoothingGaussianOnUpdate(
        varianceForUpdateField=float(setting(stage, "variance_update", "itk")),
        varianceForTotalField=float(setting(stage, "variance_total", "itk")),
    )
    method = _method(settings, stage)
    method.SetMetricAsANTSNeighborhoodCorrelation(int(setting(stage, "radius", "itk")))
    method.SetMovingInitialTransform(affine)
    method.SetInitialTransform(field, inPlace=True)
    method.Execute(fixed, moving)
    return sitk.CompositeTransform([affine, field])


def register(
    moving: np.ndarray, fixed: np.ndarray, spacing: Sequence[float], *, settings: Mapping[str, Any]
) -> tuple[np.ndarray, str]:
    """Register one pair with SimpleITK.

    moving, fixed: (H, W) or (D, H, W), float32, on one grid. spacing: mm, tensor axis order.
    settings: transform, one of `TRANSFORMS`: `identity`, no displacement, the row against which all others are read;
    `affine`, by mutual information of the joint histogram; `affine_displacement_field`, then a field by ANTS
    neighbourhood correlation. The last two want shrink and smoothing, a value for each resolution; seed; where not all
    points are to be used sampling, their share; and affine: {bins, lr, iterations}. The last also wants field: {radius,
    lr, iterations, variance_update, variance_total}, Gaussian variances in voxels.
    Returns ddf (ndim, *spatial), float32, voxels, pull-back, and a note: '' where all went well, otherwise why the
    field is zero (constant image, pair that ITK rejects, field that is not finite). Raises ReregisterError for wrong
    settings or shapes.
    """
    check_pair(moving, fixed, spacing)
    transform = setting(settings, "transform", "itk")
    if transform not in TRANSFORMS:
        raise ReregisterError(f"itk setting transform is {transform!r}: choose one of {', '.join(TRANSFORMS)}.")
    zeros = np.zeros((fixed.ndim, *fixed.shape), dtype=np.float32)
    if transform == "identity":
        return _transform_ddf(sitk.Transform(fixed.ndim, sitk.sitkIdentity), fixed.shape, spacing), ""
    if note := constant_note(moving, fixed):
        return zeros, note
    pair = _image(moving, spacing), _image(fixed, spacing)
    try:
        found = _affine(*pair, settings)
        if transform == "affine_displacement_field":
            found = _field(*pair, found, settings)
    except RuntimeError as error:
        return zeros, f"ITK rejected the pair: {_reason(error)}"
    ddf = _transform_ddf(found, fixed.shape, spacing)
    if not np.isfinite(ddf).all():
        return zeros, "ITK's field is not finite"
    return ddf, ""


def _reason(error: RuntimeError) -> str:
    """ITK's own sentence: what follows the last "): "; before it stands an object's address, new in every run."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].split("): ")[-1].strip() if lines else "no reason given"
