"""Register a user's own pair with a trained network: field, warped image and a record of what was done."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reregister.metrics.jacobian import jacobian_statistics
from reregister.pair.files import require_free, write_results
from reregister.pair.grid import Grid, match_grids
from reregister.pair.images import UserImage, read_image
from reregister.pair.network import Network, compute_field, load_network, require_fit
from reregister.pair.scaling import scale
from reregister.pair.warping import Reach, field_of, reach, sample
from reregister.provenance.files import sha256_file
from reregister.runtime import choose_device

CONVENTION = "pull-back: warped(p) = moving(p + field(p)), one vector per voxel of fixed, LPS, in the unit of fixed"


def register_pair(
    model: Path,
    moving_path: Path,
    fixed_path: Path,
    out: Path,
    *,
    resample: bool = False,
    by_index: bool = False,
    device: str = "auto",
    force: bool = False,
) -> tuple[dict[str, Any], list[Path]]:
    """Register moving to fixed and write field.nii.gz, warped.nii.gz or .png, and register.json into the folder `out`.

    model: weights of a run, their card beside them. resample, by_index: see `match_grids`. device: auto, cpu or cuda.
    The network sees both images scaled as in training; the warped image has moving's own intensities and pixel type on
    fixed's grid. Returns the record and the paths. Raises ReregisterError, with nothing written, for anything that
    cannot be read, matched or written.
    """
    require_free(out, (model, moving_path, fixed_path), force)
    network, chosen = load_network(model), choose_device(device)
    moving, fixed = read_image(moving_path), read_image(fixed_path)
    data = network.card["data"]
    padding = data["padding"]
    match = match_grids(fixed.grid, moving.grid, resample, by_index)
    notes = [*moving.notes, *fixed.notes, *filter(None, [match.note])]
    size = tuple(fixed.grid.shape[axis] for axis in fixed.grid.plane)
    padded = require_fit(network, size)
    start = reach(np.zeros((len(fixed.grid.shape), *fixed.grid.shape)), fixed.grid, moving.grid, match, padding)
    images, scaling = _scaled(moving, fixed, data["intensities"], start, match.resampled, padding)
    ddf = compute_field(network, images[0], images[1], chosen)
    end = reach(_in_space(ddf, fixed.grid), fixed.grid, moving.grid, match, padding)
    warped = _as_pixels(sample(moving.pixels, end.points, padding), moving.pixels.dtype)
    notes += [*padded, *_empty_notes(moving, scaling["moving"]), *_empty_notes(fixed, scaling["fixed"])]
    notes += [*_outside_notes(start, end), *_unlike_training(network, fixed.grid), *_form_notes(fixed)]
    record = {
        "convention": CONVENTION,
        "model": {"file": str(model), "sha256": sha256_file(model), **_of_card(network)},
        "moving": _of_image(moving),
        "fixed": _of_image(fixed),
        "scaling": {"rule": data["intensities"], **scaling},
        "matched": "by place" if match.resampled else "by index",
        "resampled": match.resampled,
        "padded": bool(padded),
        "device": chosen.type,
        "field": _of_field(ddf, fixed.grid, end),
        "notes": notes,
    }
    paths = write_results(out, field_of(end.points, fixed.grid, moving.grid), warped, fixed.grid, record)
    return record, paths


def report(record: dict[str, Any], paths: list[Path]) -> list[str]:
    """Lines for the terminal: what was assumed or changed, what the field is like, what was written."""
    field = record["field"]
    lengths = f"{field['largest_px']:.2f} px" + (f", {field['largest_mm']:.2f} mm" if "largest_mm" in field else "")
    return [
        *record["notes"],
        f"largest displacement {lengths}; {100 * field['fold_share']:.3g} % of the field folded",
        *(f"wrote {path}" for path in paths),
    ]


def _scaled(
    moving: UserImage, fixed: UserImage, rule: str, start: Reach, resampled: bool, padding: str
) -> tuple[list[NDArray[np.float32]], dict[str, list[float]]]:
    """Both images as the network takes them, (*spatial) without a flat axis, and the intensities that became 0 and 1."""
    images, limits = [], {}
    for name, image in (("moving", moving), ("fixed", fixed)):
        pixels, ends = scale(image.pixels, rule, str(image.path))
        if name == "moving" and resampled:
            pixels = sample(pixels, start.points, padding).astype(np.float32)
        images.append(pixels.reshape([fixed.grid.shape[axis] for axis in fixed.grid.plane]))
        limits[name] = list(ends)
    return images, limits


def _in_space(ddf: NDArray[np.float32], grid: Grid) -> NDArray[np.float32]:
    """A field within the plane of a slice as one with all axes of its grid, (ndim, *grid.shape)."""
    field = np.zeros((len(grid.shape), *grid.shape), np.float32)
    for channel, axis in enumerate(grid.plane):
        field[axis] = ddf[channel].reshape(grid.shape)
    return field


def _as_pixels(values: NDArray[np.float64], kind: np.dtype[Any]) -> NDArray[np.generic]:
    """Linear values lie between those of the image, so that rounding cannot leave its type."""
    return np.rint(values).astype(kind) if np.issubdtype(kind, np.integer) else values.astype(kind)


def _empty_notes(image: UserImage, ends: list[float]) -> list[str]:
    if ends[0] < ends[1] or image.pixels.min() == image.pixels.max():
        return []
    return [f"percentiles 1 and 99 of {image.path} are one value, {ends[0]:g}, so the network saw an empty image"]


def _outside_notes(start: Reach, end: Reach) -> list[str]:
    notes = []
    if start.held:
        notes.append(f"{100 * start.held:.3g} % of fixed's pixels lie outside of moving before registration")
    if end.held:
        notes.append(
            f"{100 * end.held:.3g} % of the displacements led out of moving and were shortened to end at its edge, which "
            "leaves the warped image as it is; folds and the largest displacement are those of the field before that"
        )
    return notes


def _unlike_training(network: Network, grid: Grid) -> list[str]:
    """What sets the pair apart from the training images: the unit, or a spacing out of their range by over 1 %."""
    data = network.card["data"]
    ranges = [tuple(ends) for ends in data["spacing"]]
    seen = " x ".join(f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}" for low, high in ranges)
    spacing = [grid.spacing[axis] for axis in grid.plane]
    alike = all(0.99 * low <= value <= 1.01 * high for value, (low, high) in zip(spacing, ranges, strict=True))
    if data["unit"] == grid.unit and (alike or grid.unit == "px"):
        return []
    return [f"the pair has {grid.size_text()}, the network was trained on pixels of {seen} {data['unit']}"]


def _form_notes(fixed: UserImage) -> list[str]:
    notes = ["the warped image is written as NIfTI with the place that DICOM states"] if fixed.form == "DICOM" else []
    if fixed.grid.flat:
        notes.append(
            "the field file holds three slices alike, that of fixed in the middle, for readers of NIfTI take a single slice "
            "of vectors for an image of a plane"
        )
    return notes


def _of_card(network: Network) -> dict[str, Any]:
    return {key: network.card[key] for key in ("architecture", "params", "trained_on", "recipe_id", "data")}


def _of_image(image: UserImage) -> dict[str, Any]:
    grid = image.grid
    return {
        "file": str(image.path),
        "sha256": image.sha256,
        "form": image.form,
        "type": str(image.pixels.dtype),
        "shape": list(grid.shape),
        "spacing": list(grid.spacing),
        "unit": grid.unit,
        "origin": list(grid.origin),
        "direction": grid.direction.tolist(),
    }


def _of_field(ddf: NDArray[np.float32], grid: Grid, end: Reach) -> dict[str, float]:
    """ddf: (ndim, *spatial), the network's own, without a flat axis."""
    spacing = np.array([grid.spacing[axis] for axis in grid.plane]).reshape((-1,) + (1,) * len(grid.plane))
    statistics = jacobian_statistics(ddf)
    values = {
        "largest_px": float(np.linalg.norm(ddf, axis=0).max()),
        "fold_share": statistics["fold_share"],
        "min_det": statistics["min_det"],
        "shortened_share": end.held,
    }
    return values if grid.unit == "px" else {**values, "largest_mm": float(np.linalg.norm(ddf * spacing, axis=0).max())}
