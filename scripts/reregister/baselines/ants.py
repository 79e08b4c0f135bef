"""ANTs through ANTsPy: symmetric normalisation of one pair [Avants 2008], deformation only.

`antsRegistrationSyNRepro[so]` is the form whose field is the same over runs and thread counts (papers.md 1.8). The
caller sets ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS before this module is imported; on small images one thread is fastest.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ants
import numpy as np

from reregister.baselines.checks import check_pair, constant_note, setting
from reregister.errors import ReregisterError
from reregister.transforms.fields import read_field

REPRODUCIBLE = "antsRegistrationSyNRepro[so]"
# ANTsPy writes these into the call of REPRODUCIBLE itself and ignores its own arguments of that meaning.
FIXED_BY_ANTS: dict[str, Any] = {"metric": "CC", "radius": 2, "iterations": [100, 70, 50, 20]}


def registration_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `ants.registration` for the settings.

    settings: transform, 'antsRegistrationSyNRepro[so]' or 'SyNOnly'; seed; metric ('CC', 'mattes', 'meansquares'),
    radius (pixels; bins for mattes) and iterations per level, coarse to fine. The last three may be left out for
    'antsRegistrationSyNRepro[so]' and, where given, must be what ANTs has written in: CC, 2, [100, 70, 50, 20].
    Raises ReregisterError for a missing or wrong setting.
    """
    transform = setting(settings, "transform", "ants")
    arguments = {"type_of_transform": transform, "random_seed": int(setting(settings, "seed", "ants"))}
    if transform == REPRODUCIBLE:
        for key, value in FIXED_BY_ANTS.items():
            given = settings.get(key, value)
            if (list(given) if key == "iterations" else given) != value:
                raise ReregisterError(f"ants setting {key} is {given!r}, but {transform} has {value!r}: take SyNOnly.")
        return arguments
    if transform != "SyNOnly":
        raise ReregisterError(f"ants setting transform is {transform!r}: choose {REPRODUCIBLE} or SyNOnly.")
    return arguments | {
        "syn_metric": setting(settings, "metric", "ants"),
        "syn_sampling": int(setting(settings, "radius", "ants")),
        "reg_iterations": tuple(int(value) for value in setting(settings, "iterations", "ants")),
    }


def _ants_image(image: np.ndarray, spacing: Sequence[float]) -> Any:
    """ANTsPy indexes its arrays (x, y, z), so the tensor is transposed for its axes to be ITK's."""
    return ants.from_numpy(np.asarray(image, dtype=np.float32).T, spacing=tuple(float(s) for s in reversed(spacing)))


def register(
    moving: np.ndarray, fixed: np.ndarray, spacing: Sequence[float], *, settings: Mapping[str, Any]
) -> tuple[np.ndarray, str]:
    """Register one pair with ANTs SyN, from the identity.

    moving, fixed: (H, W) or (D, H, W), float32, any range, on one grid. spacing: mm, tensor axis order.
    settings: see `registration_arguments`. ANTs hands fields over as files: they live in a folder that is gone
    when the call ends.
    Returns ddf (ndim, *spatial), float32, voxels, pull-back, and a note: '' where all went well, otherwise why the
    field is zero (constant image, pair that ANTs rejects). Raises ReregisterError for wrong settings or shapes.
    """
    check_pair(moving, fixed, spacing)
    arguments = registration_arguments(settings)
    zeros = np.zeros((fixed.ndim, *fixed.shape), dtype=np.float32)
    if note := constant_note(moving, fixed):
        return zeros, note
    with tempfile.TemporaryDirectory() as folder:
        images = {"fixed": _ants_image(fixed, spacing), "moving": _ants_image(moving, spacing)}
        try:
            ants.registration(**images, **arguments, outprefix=f"{folder}/pair_")
        except (RuntimeError, ValueError) as error:
            return zeros, f"ANTs rejected the pair: {error}"
        # Beside it lie the inverse field and, for the Repro form, a matrix that is the identity.
        (warp,) = Path(folder).glob("*[0-9]Warp.nii.gz")
        return read_field(warp).ddf, ""
