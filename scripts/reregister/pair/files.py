"""The files that registering a pair leaves: all of them, or none."""

import gzip
import os
import zlib
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image

from reregister.errors import ReregisterError
from reregister.pair.grid import Grid
from reregister.provenance.files import atomic_path, sha256_file, write_json
from reregister.transforms.fields import write_field

FIELD, RECORD = "field.nii.gz", "register.json"
WARPED = {"px": "warped.png", "mm": "warped.nii.gz"}


def require_free(folder: Path, inputs: Sequence[Path], force: bool) -> None:
    """Raise ReregisterError where a file would be written over without force, or over one of the inputs."""
    if folder.exists() and not folder.is_dir():
        raise ReregisterError(f"{folder} is a file; give --out a folder")
    there = [folder / name for name in (FIELD, RECORD, *WARPED.values()) if (folder / name).exists()]
    folders = [path for path in there if path.is_dir()]
    if folders:
        raise ReregisterError(f"{folders[0]} is a folder; give --out another one")
    unpacked = [path for name in (FIELD, WARPED["mm"]) if (path := folder / name[: -len(".gz")]).exists()]
    if unpacked:
        raise ReregisterError(f"{unpacked[0]} would be read by ITK in place of the packed file; move it away")
    taken = {path.resolve() for path in inputs} & {path.resolve() for path in there}
    if taken:
        raise ReregisterError(f"{min(taken)} is an input and would be written over; give --out another folder")
    if there and not force:
        raise ReregisterError(f"{there[0]} exists already; give --out another folder, or --force to write over it")


def write_results(
    folder: Path, ddf: NDArray[np.floating], warped: NDArray[np.generic], grid: Grid, record: dict[str, Any]
) -> list[Path]:
    """Write field, warped image and record into a folder, which is made where there is none.

    ddf: (ndim, *grid.shape), voxels. warped: (*grid.shape), in the type to be written. record: gains `files` with the
    sha256 of the other two. Returns the three paths. Raises ReregisterError, with nothing written, where the folder
    takes no files.
    """
    paths = [folder / FIELD, folder / WARPED[grid.unit], folder / RECORD]
    existed = folder.is_dir()
    try:
        with ExitStack() as stack:
            # They come into place in the reverse order, the record last; an error before that removes them all.
            text, image, field = (stack.enter_context(atomic_path(path)) for path in reversed(paths))
            _write_field(field, ddf, grid)
            _write_image(image, warped, grid)
            made = {path.name: sha256_file(part) for path, part in zip(paths, (field, image), strict=False)}
            write_json(text, {**record, "files": made})
        for name in WARPED.values():
            if name != paths[1].name:
                (folder / name).unlink(missing_ok=True)
    except (OSError, EOFError, zlib.error, RuntimeError, ReregisterError) as error:
        if not existed:
            with suppress(OSError):
                folder.rmdir()
        detail = " ".join(str(error).split("ERROR:")[-1].split())
        raise ReregisterError(f"{folder} takes no files ({detail}); make room there or give another folder") from error
    return paths


def _write_field(path: Path, ddf: NDArray[np.floating], grid: Grid) -> None:
    """Of a slice in space three alike, one on either side: NIfTI readers take one alone for an image of a plane."""
    origin = np.asarray(grid.origin)
    for axis in grid.flat:
        ddf = np.repeat(ddf, 3, axis=axis + 1)
        origin = origin - grid.steps[:, axis]
    write_field(path, np.asarray(ddf, np.float32), grid.spacing, origin.tolist(), grid.direction)
    _require_whole(path, ddf.size * np.dtype(np.float32).itemsize)


def _write_image(path: Path, pixels: NDArray[np.generic], grid: Grid) -> None:
    if grid.unit == "px":
        Image.fromarray(pixels).save(path)
        return
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing(grid.spacing[::-1])
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction.ravel().tolist())
    sitk.WriteImage(image, os.fspath(path))
    _require_whole(path, pixels.nbytes)


def _require_whole(path: Path, size: int) -> None:
    """Raise OSError or EOFError where a .nii.gz ends early: ITK says nothing when the disk is full."""
    found = 0
    with gzip.open(path) as file:
        while block := file.read(1 << 24):
            found += len(block)
    if found < size:
        raise OSError(f"only {found} of {size} bytes could be written")
