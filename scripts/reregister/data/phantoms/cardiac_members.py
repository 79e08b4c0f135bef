"""Members of the archives of the Sunnybrook stand-in: contours and DICOM frames of one case."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from reregister.data.phantoms.cardiac import REACH, Beat
from reregister.data.phantoms.cardiac_cases import INCOMPLETE, MISSING_FRAMES, Case
from reregister.data.phantoms.cardiac_draws import Patient, Slice, contours
from reregister.data.phantoms.cine_files import Series, SeriesWriter, contour_text, half_pixel_polygon
from reregister.data.phantoms.short_axis import PER_PIXEL, Ventricle, paint, sample
from reregister.data.phantoms.velocity import pixel_grid

#: Standard deviation of the noise, grey values; blood is 400.
_NOISE = 7.0
#: With steps of half a pixel, no fewer points enclose anything.
_FEWEST_POINTS = 4


def contour_files(case: Case, patient: Patient, slices: Sequence[Slice]) -> Iterator[tuple[str, bytes]]:
    """All contour files of a case: name below `SCD_ManualContours/`, content."""
    phases = len(patient.contraction)
    for index, cut in enumerate(slices):
        for phase in range(phases):
            for letter, curve in contours(patient, cut, phase).items():
                # The prefix means nothing; the number is the InstanceNumber in the short-axis series.
                name = f"IM-0001-{index * phases + phase + 1:04d}-{letter}contour-manual.txt"
                folder = f"{case.contour_folder}/contours-manual/IRCCI-expert"
                polygon = half_pixel_polygon(curve)
                # At few pixels a papillary muscle is too small to be drawn.
                if len(polygon) >= _FEWEST_POINTS:
                    yield f"{folder}/{name}", contour_text(polygon)


def image_files(
    case: Case,
    patient: Patient,
    slices: Sequence[Slice],
    long_axis: Ventricle,
    size: int,
    seed: str,
    beats: dict[str, Beat],
    rng: np.random.Generator,
) -> Iterator[tuple[str, bytes]]:
    """All DICOM files of a case: name below its folder, content; the picked short-axis series come first.

    size: pixels along each side. beats: the motion of every frame of these series is entered by its id. seed: of UIDs.
    """
    phases = len(patient.contraction)
    last = len(slices) * phases - (MISSING_FRAMES if case.name == INCOMPLETE else 0)
    first = np.array_split(np.arange(len(slices)), len(case.series))
    folders = {int(part[0]): number for part, number in zip(first, case.series, strict=True)}

    def series(number: int) -> SeriesWriter:
        return SeriesWriter(Series(case.patient, number, phases, patient.pixel, patient.spacing, seed), size)

    for index, cut in enumerate(slices):
        if index in folders:
            # Instances count on through the series of one stack, since the contours name no series.
            number = folders[index]
            writer = series(number)
        raster = paint(patient.chest, cut.heart, size, patient.pixel, rng)
        for phase in range(phases):
            instance = index * phases + phase + 1
            if instance > last:
                break
            beat = cut.beat(float(patient.contraction[phase]))
            beats[f"{case.name}_s{index + 1:02d}_p{phase + 1:02d}"] = beat
            image = _noisy(_moved(raster, beat, size), rng)
            yield f"CINESAX_{number}/{patient.prefix}-{instance:04d}.dcm", writer.frame(image, instance)
    still = sample(paint(patient.chest, long_axis, size, patient.pixel, rng), pixel_grid((size, size)))
    siblings = [("CINELAX", 2000, phases), ("Localizers", 1, 3), *([("PERF", 3000, 3)] if case.row % 5 == 0 else [])]
    if case.decoy is not None:
        siblings.insert(0, ("CINESAX", case.decoy, phases))
    for kind, sibling, frames in siblings:
        writer = series(sibling)
        for instance in range(1, frames + 1):
            content = writer.frame(_noisy(still, rng), instance)
            yield f"{kind}_{sibling}/{patient.prefix}-{instance:04d}.dcm", content


def _moved(raster: NDArray[np.float32], beat: Beat, size: int) -> NDArray[np.float32]:
    """T(psi(x)) on the pixel grid, (size, size); psi is looked up only where something moves."""
    image = raster[::PER_PIXEL, ::PER_PIXEL].copy()
    reach = REACH * np.sqrt(beat.outer) * float(np.linalg.norm(beat.shape, 2))
    low = np.maximum(np.floor(beat.centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(beat.centre + reach) + 1, size).astype(int)
    patch = pixel_grid((high - low).tolist()) + low
    image[low[0] : high[0], low[1] : high[1]] = sample(raster, beat.apply(patch))
    return image


def _noisy(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int16]:
    # Magnitude images: no negative value, and nothing at all outside a round field of view.
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(_NOISE)
    return np.rint(np.abs(image + noise * (image > 0))).astype(np.int16)
