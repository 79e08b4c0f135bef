"""Single DICOM frames from bytes: pixels, and the geometry that their header states."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue

from reregister.errors import ReregisterError


@dataclass(frozen=True)
class Frame:
    """One two-dimensional DICOM image.

    pixels: float32 (rows, columns), after the rescale slope and intercept where the header has them.
    spacing: (between rows, between columns) in mm, from PixelSpacing. slice_distance: mm from slice to slice, None
        where the header tells nothing; slice_distance_from: the attribute it was read from, SpacingBetweenSlices or,
        where that is absent, SliceThickness.
    instance: InstanceNumber. position: ImagePositionPatient in mm, LPS. phases: CardiacNumberOfImages. None if absent.
    """

    pixels: NDArray[np.float32]
    spacing: tuple[float, float]
    slice_distance: float | None
    slice_distance_from: str | None
    instance: int | None
    position: tuple[float, ...] | None
    phases: int | None


def read_frame(data: bytes, name: str) -> Frame:
    """Decode one DICOM file with one grey image.

    data: the file's bytes; name: for messages. The series description is never looked at: SCD leaves it empty.
    Raises ReregisterError naming the file: not DICOM, without pixels or pixel spacing, several frames or colours,
    a compression that is not at hand.
    """
    try:
        header = pydicom.dcmread(io.BytesIO(data))
    except (InvalidDicomError, EOFError, OSError, ValueError, KeyError) as error:
        raise ReregisterError(f"{name} is no DICOM file ({error}); take it from the archive again.") from error
    spacing = _numbers(header, "PixelSpacing", name)
    if spacing is None or len(spacing) != 2 or min(spacing) <= 0:
        found = "no pixel spacing" if spacing is None else f"the pixel spacing {spacing}"
        raise ReregisterError(
            f"{name} has {found} in its DICOM header (PixelSpacing, row and column in mm); "
            "distances cannot be measured on it, so correct the header or leave the image out."
        )
    attribute, distance = None, None
    for candidate in ("SpacingBetweenSlices", "SliceThickness"):
        value = _numbers(header, candidate, name)
        if value and value[0] > 0:
            attribute, distance = candidate, value[0]
            break
    return Frame(
        pixels=_pixels(header, name),
        spacing=(spacing[0], spacing[1]),
        slice_distance=distance,
        slice_distance_from=attribute,
        instance=_integer(header, "InstanceNumber", name),
        position=_numbers(header, "ImagePositionPatient", name),
        phases=_integer(header, "CardiacNumberOfImages", name),
    )


def require_alike(frames: Mapping[str, Frame]) -> None:
    """Refuse frames of one series that differ in size or spacing.

    frames: by file name. Raises ReregisterError with the two names and what each has.
    """
    (first, reference), *others = frames.items()
    for name, frame in others:
        if frame.pixels.shape != reference.pixels.shape:
            what, here, there = "pixels", frame.pixels.shape, reference.pixels.shape
        elif frame.spacing != reference.spacing:
            what, here, there = "mm per pixel", frame.spacing, reference.spacing
        else:
            continue
        raise ReregisterError(
            f"{name} has {here[0]} x {here[1]} {what} but {first} of the same series {there[0]} x {there[1]}; "
            "the files are of two series, so sort them."
        )


def _pixels(header: pydicom.Dataset, name: str) -> NDArray[np.float32]:
    try:
        pixels = header.pixel_array
    except (AttributeError, ValueError, RuntimeError, NotImplementedError, KeyError) as error:
        raise ReregisterError(f"{name} has no pixels that can be decoded ({error}); convert or replace it.") from error
    if pixels.ndim != 2:
        raise ReregisterError(f"{name} holds an array of shape {pixels.shape}; one grey image a file is expected.")
    slope, intercept = (_numbers(header, f"Rescale{word}", name) for word in ("Slope", "Intercept"))
    scaled = pixels.astype(np.float32)
    if slope or intercept:
        scaled = scaled * np.float32((slope or (1.0,))[0]) + np.float32((intercept or (0.0,))[0])
    return scaled


def _numbers(header: pydicom.Dataset, attribute: str, name: str) -> tuple[float, ...] | None:
    """Values of an attribute; None where it is absent or empty."""
    try:
        value: Any = header.get(attribute)
        if value is None or value == "":
            return None
        return tuple(float(number) for number in (value if isinstance(value, MultiValue) else [value]))
    except (TypeError, ValueError) as error:
        raise ReregisterError(f"{name} has a {attribute} that is no number ({error}); correct its header.") from error


def _integer(header: pydicom.Dataset, attribute: str, name: str) -> int | None:
    numbers = _numbers(header, attribute, name)
    return int(numbers[0]) if numbers else None
