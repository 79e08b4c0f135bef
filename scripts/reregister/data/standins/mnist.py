"""Stand-in of MNIST: four official files of synthetic digits, and the deformations that made them.

image_i(x) = T(psi_i(x)), psi_i(x) = exp(v_i)(x + t_i), with one template T per digit (two of the seven). Coordinates
are pixel indices (row, column), the first pixel's centre at (0, 0). As in MNIST, the centre of mass of an image lies
within half a pixel of (14, 14). Nothing made from these files may be set beside a published number.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reregister.data.idx import write_idx
from reregister.data.phantoms.digits import CENTRE, CROSSBAR, draw_labels, draw_variants, template
from reregister.data.phantoms.truth import read_truth, rows_of
from reregister.data.phantoms.velocity import (
    Deformations,
    Floats,
    VelocityFields,
    compose_ddf,
    exp_points,
    jacobian_determinants,
    pixel_grid,
)
from reregister.data.readers.mnist import FILES, ORIGINAL
from reregister.errors import ReregisterError
from reregister.tables import write_arrays

SHAPE = (28, 28)
MODES = (3, 3)

#: Scale of the linear part: slant (column by row), turn (radians), logarithmic size of rows and of columns.
_SLANT, _TURN, _ROW_SIZE, _COLUMN_SIZE = 0.20, 0.06, 0.03, 0.12
#: Scale of the first sine mode, pixels; mode (a, b) has 2 / (a^2 + b^2) of it.
_WAVE = 1.8
#: Each coefficient is its scale times a normal draw cut off here, so that every displacement is bounded. Two images of
#: a digit then differ by 1.6 px on the foreground on average, by 1.0 to 2.4 px in four fifths of the pairs, and by more
#: than 4.4 px at one pixel in a hundred.
_CUT = 1.0
#: Half width of the uniform scatter of the centre of mass, pixels; MNIST has 0.5, from whole-pixel shifts. The rest is
#: left to the error of the centring.
_SCATTER = 0.3
_RENDER_STEPS = 3  # psi is then off by 6e-5 px at most, far below what a byte of grey can tell
_IMAGES_AT_ONCE = 500
#: What the truth file holds of a velocity field, in the order of its arguments.
_FIELDS = ("linear", "sine", "centre", "origin", "extent")
#: The sine part vanishes on the faces of this box, two pixels outside the image.
_MARGIN = 2.0


def write(outputs: Mapping[str, Path], truth: Path, n_train: int, n_test: int, seed: int) -> dict[str, float]:
    """Write the four gzipped IDX files (paths by official name) and the truth file (.npz); same seed, same bytes.

    n_train, n_test: images per split, at least 10 each; digits are as frequent as in MNIST, in random order.
    The truth holds, per image: id, label, variant (1: seven with crossbar), linear, sine and translation; in common:
    centre, origin, extent of the fields, template_centre, shape, and the statistics.
    Returns the statistics: largest_displacement_px and mean_displacement_px of every psi on the foreground, and
    min_determinant of every psi on the pixel grid. Raises ReregisterError for fewer than 10 images in a split, and
    ValueError where a psi folds.
    """
    counts = {"train": n_train, "test": n_test}
    for split, count in counts.items():
        if count < 10:
            raise ReregisterError(f"The MNIST stand-in needs at least 10 {split} images, one per digit, not {count}.")
    rng = np.random.default_rng(seed)
    labels = np.concatenate([draw_labels(ORIGINAL["counts"][split], count, rng) for split, count in counts.items()])
    variants = np.concatenate([draw_variants(part, rng) for part in np.split(labels, [n_train])])
    deformations = _centred(_draw_fields(len(labels), rng), labels, variants, rng)
    images, statistics = _render_all(deformations, labels, variants)
    for split, part in zip(counts, (slice(0, n_train), slice(n_train, None)), strict=True):
        images_name, labels_name = FILES[split]
        write_idx(outputs[images_name], images[part])
        write_idx(outputs[labels_name], labels[part])
    fields = deformations.fields
    arrays = {
        "id": np.array([f"{split}-{row:05d}" for split, count in counts.items() for row in range(count)]),
        "label": labels,
        "variant": variants,
        "linear": fields.linear,
        "sine": fields.sine,
        "translation": deformations.translations,
        "centre": fields.centre,
        "origin": fields.origin,
        "extent": fields.extent,
        "template_centre": np.full(2, CENTRE),
        "shape": np.array(SHAPE),
    }
    write_arrays(truth, arrays | statistics)
    return statistics


def truth_ddf(
    truth_path: str | os.PathLike[str],
    moving_ids: Sequence[str],
    fixed_ids: Sequence[str],
    shape: Sequence[int],
    subjects: pd.DataFrame | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Exact displacement fields of P pairs of the stand-in, psi_moving^-1(psi_fixed(x)) - x (datasets.md section 7).

    shape: (H, W) of the images, a check that the pairs live on the pixel grid of the stand-in. subjects: the store's
    table, which is of no use here, since images are stored on the grid on which they were made.
    Returns ddf float32 (P, 2, H, W), pixels, pull-back on the fixed grid; and exact (P,), False where the two images
    have different templates (another digit, or a seven with and one without crossbar): their ddf is NaN.
    Raises ReregisterError for a file that is no truth file, an id that it lacks and a wrong shape.
    """
    known = read_truth(truth_path, "MNIST", (*_FIELDS, "translation", "label", "variant", "id", "shape"))
    size = tuple(known["shape"].tolist())
    moving, fixed = (rows_of(truth_path, known["id"].tolist(), ids, size, shape) for ids in (moving_ids, fixed_ids))
    deformations = Deformations(VelocityFields(*(known[name] for name in _FIELDS)), known["translation"])
    kinds = list(zip(known["label"].tolist(), known["variant"].tolist(), strict=True))
    exact = np.array([kinds[i] == kinds[j] for i, j in zip(moving, fixed, strict=True)], dtype=bool)
    ddf = np.full((len(exact), 2, *size), np.nan, dtype=np.float32)
    ddf[exact] = compose_ddf(deformations.take(moving[exact]), deformations.take(fixed[exact]), pixel_grid(size))
    return ddf, exact


def kinds(truth_path: str | os.PathLike[str], ids: Sequence[str]) -> list[str]:
    """What kind of its digit each image is: `crossbar` or `plain` for a seven, '' for the others, which have one form.

    ids: of images of the stand-in, in any order. Raises ReregisterError as `truth_ddf`.
    """
    known = read_truth(truth_path, "MNIST", ("id", "label", "variant", "shape"))
    size = tuple(known["shape"].tolist())
    rows = rows_of(truth_path, known["id"].tolist(), ids, size, size)
    names = np.where(known["variant"][rows] == CROSSBAR, "crossbar", "plain")
    return np.where(known["label"][rows] == 7, names, "").tolist()


def _draw_fields(count: int, rng: np.random.Generator) -> VelocityFields:
    slant, turn, rows, columns = _normal(rng, count, 4).T * np.array([[_SLANT], [_TURN], [_ROW_SIZE], [_COLUMN_SIZE]])
    linear = np.stack([np.stack([rows, -turn], axis=-1), np.stack([turn + slant, columns], axis=-1)], axis=1)
    modes = np.arange(1, MODES[0] + 1)[:, np.newaxis] ** 2 + np.arange(1, MODES[1] + 1) ** 2
    sine = _normal(rng, count, 2, *MODES) * (_WAVE * 2 / modes)
    extent = np.array(SHAPE) - 1 + 2 * _MARGIN
    return VelocityFields(linear, sine, np.full(2, CENTRE), np.full(2, -_MARGIN), extent)


def _normal(rng: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    return np.clip(rng.standard_normal(shape), -_CUT, _CUT)


def _centred(
    fields: VelocityFields, labels: NDArray[np.uint8], variants: NDArray[np.uint8], rng: np.random.Generator
) -> Deformations:
    """Translations that bring each centre of mass to the template's, up to the scatter of MNIST."""
    # Integral over the image of x T(psi(x)), taken over the template instead: nothing of the digit is cut off there,
    # and a lattice of 1.25 pixels over the letter box is enough for strokes 4 pixels wide.
    lattice = pixel_grid([18, 18]) * 1.25 + 3.375
    wanted = CENTRE + rng.uniform(-_SCATTER, _SCATTER, (len(labels), 2))
    translations = np.empty((len(labels), 2))
    for rows in _batches(len(labels)):
        places = exp_points(lattice.reshape(-1, 2), fields.take(rows), -1, _RENDER_STEPS).reshape(-1, *lattice.shape)
        by_row, by_column = (np.gradient(places, axis=axis) for axis in (1, 2))
        area = by_row[..., 0] * by_column[..., 1] - by_row[..., 1] * by_column[..., 0]
        mass = area * _sample(np.broadcast_to(lattice, places.shape), labels[rows], variants[rows])
        centres = (mass[..., np.newaxis] * places).sum(axis=(1, 2)) / mass.sum(axis=(1, 2))[:, np.newaxis]
        translations[rows] = centres - wanted[rows]
    return Deformations(fields, translations)


def _render_all(
    deformations: Deformations, labels: NDArray[np.uint8], variants: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], dict[str, float]]:
    points = pixel_grid(SHAPE).reshape(-1, 2)
    images = np.empty((len(labels), *SHAPE), dtype=np.uint8)
    largest, total, foreground, lowest = 0.0, 0.0, 0, np.inf
    for rows in _batches(len(labels)):
        mapped = deformations.take(rows).apply(points, _RENDER_STEPS)
        grey = np.rint(_sample(mapped, labels[rows], variants[rows]) * 255).astype(np.uint8)
        images[rows] = grey.reshape(-1, *SHAPE)
        lengths = np.linalg.norm(mapped - points, axis=-1)[grey > 0]
        largest, total, foreground = max(largest, lengths.max()), total + lengths.sum(), foreground + lengths.size
        lowest = min(lowest, jacobian_determinants(mapped.reshape(-1, *SHAPE, 2)).min())
    if lowest <= 0:
        raise ValueError(f"a deformation of the MNIST stand-in folds (smallest determinant {lowest:.3f})")
    statistics = {
        "largest_displacement_px": largest,
        "mean_displacement_px": total / foreground,
        "min_determinant": lowest,
    }
    return images, {name: float(value) for name, value in statistics.items()}


def _sample(points: Floats, labels: NDArray[np.uint8], variants: NDArray[np.uint8]) -> Floats:
    """Template of each image at its points (n, ..., 2): (n, ...) in [0, 1]."""
    grey = np.empty(points.shape[:-1])
    for digit, variant in sorted(set(zip(labels.tolist(), variants.tolist(), strict=True))):
        chosen = (labels == digit) & (variants == variant)
        grey[chosen] = template(digit, variant).sample(points[chosen])
    return grey


def _batches(count: int) -> Iterator[slice]:
    for start in range(0, count, _IMAGES_AT_ONCE):
        yield slice(start, min(start + _IMAGES_AT_ONCE, count))
