"""elastix through itk-elastix: affine and uniform B-spline registration of one pair [Klein 2010; Marstal 2016].

Importing itk's elastix module takes about ten seconds, so one job runs all pairs. The number of threads is ITK's:
the caller sets ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS before this module is imported.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import itk
import numpy as np
from itk.support import helpers

from reregister.baselines.checks import check_pair, constant_note, setting
from reregister.errors import ReregisterError
from reregister.transforms.fields import itk_to_ddf

# Where torch is installed itk imports it, for filters that take tensors: seconds of each job, for nothing, and a package
# that the environment of this tool does not have.
helpers._HAVE_TORCH = False

# A wrong name would be rejected pair by pair, and pass for a method that finds nothing; so it is refused here.
METRICS = (
    "AdvancedNormalizedCorrelation",
    "AdvancedMattesMutualInformation",
    "AdvancedMeanSquares",
    "NormalizedMutualInformation",
)
GRID_UNITS = {"mm": "FinalGridSpacingInPhysicalUnits", "px": "FinalGridSpacingInVoxels"}


def _choice(settings: Mapping[str, Any], key: str, allowed: Sequence[str]) -> str:
    value = setting(settings, key, "elastix")
    if value not in allowed:
        raise ReregisterError(f"elastix setting {key} is {value!r}: choose one of {', '.join(allowed)}.")
    return str(value)


def _schedule(settings: Mapping[str, Any], key: str, resolutions: int, ndim: int) -> list[str]:
    """Values per resolution and axis; a list with one value per resolution holds for every axis."""
    values = list(setting(settings, key, "elastix"))
    if len(values) == resolutions:
        values = [value for value in values for _ in range(ndim)]
    if len(values) != resolutions * ndim:
        found = f"{len(values)} values for {resolutions} resolutions in {ndim} dimensions"
        raise ReregisterError(f"elastix setting {key} has {found}: give one per resolution, or one per axis of each.")
    return [str(value) for value in values]


def parameter_map(settings: Mapping[str, Any], ndim: int) -> dict[str, list[str]]:
    """elastix's parameters for one registration (papers.md section 2 rule 3): its default map, with these changed.

    settings: transform 'affine' or 'bspline'; metric, one of METRICS; iterations, per resolution; resolutions;
    image_pyramid, smoothing factors from coarse to fine, one per resolution or one per resolution and axis ([2, 1] and
    [2, 2, 1, 1] say the same in 2-D); samples, points per iteration; seed. For 'bspline' also
    grid_spacing_schedule, factors on the final spacing, in the same two forms; final_spacing of the control points, and
    final_spacing_unit, 'mm' (default: the unit of the images' spacing) or 'px'.
    ndim: 2 or 3. Returns names and values as elastix wants them. Raises ReregisterError for a missing or wrong setting.
    """
    transform = _choice(settings, "transform", ("affine", "bspline"))
    resolutions = int(setting(settings, "resolutions", "elastix"))
    defaults = itk.ParameterObject.GetDefaultParameterMap(transform, resolutions)
    parameters = {name: list(defaults[name]) for name in defaults}
    for name in ("Metric0Weight", "Metric1Weight", *GRID_UNITS.values()):
        parameters.pop(name, None)
    parameters |= {
        "Registration": ["MultiResolutionRegistration"],
        "Metric": [_choice(settings, "metric", METRICS)],
        "MaximumNumberOfIterations": [str(int(setting(settings, "iterations", "elastix")))],
        "ImagePyramidSchedule": _schedule(settings, "image_pyramid", resolutions, ndim),
        "NumberOfSpatialSamples": [str(int(setting(settings, "samples", "elastix")))],
        "RandomSeed": [str(int(setting(settings, "seed", "elastix")))],
        "WriteResultImage": ["false"],
    }
    if transform == "bspline":
        unit = _choice({"final_spacing_unit": "mm", **settings}, "final_spacing_unit", tuple(GRID_UNITS))
        parameters[GRID_UNITS[unit]] = [str(float(setting(settings, "final_spacing", "elastix")))]
        parameters["GridSpacingSchedule"] = _schedule(settings, "grid_spacing_schedule", resolutions, ndim)
    return parameters


def _itk_image(image: np.ndarray, spacing: Sequence[float]) -> Any:
    result = itk.image_from_array(np.ascontiguousarray(image, dtype=np.float32))
    result.SetSpacing([float(value) for value in reversed(spacing)])
    return result


def _run(moving: Any, fixed: Any, parameters: Mapping[str, list[str]], **log: Any) -> np.ndarray:
    """ITK's displacement vectors, (*spatial, ndim) in mm. Raises RuntimeError where elastix rejects the pair."""
    native = itk.ParameterObject.GetDefaultParameterMap("translation")
    native.clear()
    for name, values in parameters.items():
        native[name] = values
    parameter_object = itk.ParameterObject.New()
    parameter_object.AddParameterMap(native)
    _, transform = itk.elastix_registration_method(
        fixed, moving, parameter_object=parameter_object, log_to_console=False, **log
    )
    # transformix also writes the field as deformationField.nii, into the working directory unless told another.
    with tempfile.TemporaryDirectory() as folder:
        field = itk.transformix_deformation_field(moving, transform, log_to_console=False, output_directory=folder)
        return itk.array_from_image(field)


def _rejection(moving: Any, fixed: Any, parameters: Mapping[str, list[str]]) -> str:
    """elastix's own reason for a rejected pair: only its log has it, so the failing call is made again with one."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _run(moving, fixed, parameters, log_to_file=True, output_directory=folder, log_file_name="elastix.log")
        except RuntimeError:
            log = Path(folder, "elastix.log").read_text(encoding="utf-8", errors="replace")
            descriptions = [line for line in log.splitlines() if line.startswith("Description:")]
            # What follows the last "): " is the sentence; before it stands an object's address, new in every run.
            reason = descriptions[-1].split("): ")[-1] if descriptions else "no reason given"
            return f"elastix rejected the pair: {reason.removeprefix('Description: ').strip()}"
    return "elastix rejected the pair once and took it when asked again"


def register(
    moving: np.ndarray, fixed: np.ndarray, spacing: Sequence[float], *, settings: Mapping[str, Any]
) -> tuple[np.ndarray, str]:
    """Register one pair with elastix, from the identity.

    moving, fixed: (H, W) or (D, H, W), float32, any range, on one grid. spacing: mm, tensor axis order.
    settings: see `parameter_map`. There may be more samples than pixels: the sampler draws coordinates between them.
    Returns ddf (ndim, *spatial), float32, voxels, pull-back, and a note: '' where all went well, otherwise why the
    field is zero (constant image, pair that elastix rejects, field that is not finite). Raises ReregisterError for
    wrong settings or shapes.
    """
    check_pair(moving, fixed, spacing)
    parameters = parameter_map(settings, fixed.ndim)
    zeros = np.zeros((fixed.ndim, *fixed.shape), dtype=np.float32)
    if note := constant_note(moving, fixed):
        return zeros, note
    pair = _itk_image(moving, spacing), _itk_image(fixed, spacing)
    try:
        vectors = _run(*pair, parameters)
    except RuntimeError:
        return zeros, _rejection(*pair, parameters)
    ddf = itk_to_ddf(vectors, spacing)
    return (ddf, "") if np.isfinite(ddf).all() else (zeros, "elastix returned a field that is not finite")
