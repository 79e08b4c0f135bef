"""Slices of the LGG stand-in, drawn from the template and the deformations of a head, and encoded as in the original."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.interpolate import make_interp_spline

from reregister.data.phantoms.brain_slice import DEPTH, FLAIR, FULL_SIZE, POST, PRE, TEXTURE, inside, sample
from reregister.data.phantoms.lgg_draws import Head
from reregister.data.phantoms.velocity import Deformations, jacobian_determinants, pixel_grid

Floats = NDArray[np.floating[Any]]

#: psi is integrated on so many nodes along each axis and drawn between them by cubic splines; the truth is integrated at
#: every pixel, and differs by 0.002 px at most.
_NODES, _STEPS = 65, 4
#: Share of a tumour in its tissue: some of what lies under it shows through.
_COVER = 0.9
#: How much wider a tumour's edge is than others: it infiltrates. The mask ends in the middle of it.
_DIFFUSE = 3.0


@dataclass
class Tally:
    """Statistics of every psi so far: displacements in pixels on the head, determinants on the pixel grid."""

    largest: float = 0.0
    total: float = 0.0
    pixels: int = 0
    lowest: float = np.inf
    slices: int = 0

    def add(self, mapped: Floats, grid: Floats, head: NDArray[np.bool_]) -> None:
        """Count in psi (H, W, 2) of one slice; grid: the pixels; head: (H, W), where there is one."""
        lengths = np.linalg.norm(mapped - grid, axis=-1)[head]
        self.largest, self.total = max(self.largest, float(lengths.max())), self.total + float(lengths.sum())
        self.pixels, self.slices = self.pixels + lengths.size, self.slices + 1
        self.lowest = min(self.lowest, float(jacobian_determinants(mapped[np.newaxis]).min()))

    def statistics(self) -> dict[str, float]:
        """What `write` of the stand-in returns. Raises ValueError where a psi folds."""
        if self.lowest <= 0:
            raise ValueError(f"a deformation of the LGG stand-in folds (smallest determinant {self.lowest:.3f})")
        return {
            "largest_displacement_px": self.largest,
            "mean_displacement_px": self.total / self.pixels,
            "min_determinant": self.lowest,
            "slices": float(self.slices),
        }


def slices_of(
    head: Head, raster: NDArray[np.float32], size: int, tally: Tally, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Image uint8 (H, W, 3), channels as in the original, and mask (H, W) of 0 and 255 of each slice of a head.

    raster: of `paint` at the same size. tally: counts every psi in. rng: noise, and nothing else.
    """
    scale = (size - 1) / (FULL_SIZE - 1)
    grid = pixel_grid((size, size))
    for mapped, with_tumour in zip(psi_on_pixels(head.deformations, size), head.with_tumour, strict=True):
        depth = sample(raster, mapped, DEPTH)
        tally.add(mapped, grid, depth > 0)
        texture = sample(raster, mapped + head.tumour.shift * scale, TEXTURE)
        # The skull is an obstacle: 15 pixels deep is where the brain begins.
        edge = np.minimum(head.tumour.distance(mapped / scale, texture), depth - 16.0)
        share = _COVER * inside(edge / _DIFFUSE) if with_tumour else np.zeros_like(edge)
        yield (
            _image(head, raster, mapped, share, texture, rng),
            np.where(with_tumour & (edge > 0), 255, 0).astype(np.uint8),
        )


def psi_on_pixels(deformations: Deformations, size: int) -> Iterator[Floats]:
    """psi (size, size, 2) of one slice after the other, pixels; 0.002 px off at most (see `_NODES`)."""
    nodes = np.linspace(0, size - 1, _NODES)
    points = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    # Row x of `between` has the weights of the nodes at pixel x.
    between = make_interp_spline(nodes, np.eye(_NODES), k=3)(np.arange(size))
    for reached in deformations.apply(points, _STEPS).reshape(-1, _NODES, _NODES, 2):
        yield np.stack([between @ reached[..., axis] @ between.T for axis in (0, 1)], axis=-1)


def tiff(pixels: NDArray[np.uint8]) -> bytes:
    """An uncompressed TIFF of RGB (H, W, 3) or grey (H, W) pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="TIFF")
    return buffer.getvalue()


def _image(
    head: Head,
    raster: NDArray[np.float32],
    mapped: Floats,
    share: Floats,
    texture: Floats,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    look = head.look
    tumour = {
        PRE: 0.215 + 0.012 * texture,
        FLAIR: head.tumour.grey + 0.07 * texture,
        POST: 0.30 + 0.05 * np.clip(texture - 0.8, 0, 2),
    }
    image = np.empty((*share.shape, 3), np.uint8)
    for channel, name in ((FLAIR, "flair"), (PRE, "pre"), (POST, "post")):
        if name in look.missing:
            image[..., channel] = image[..., FLAIR]
            continue
        grey = sample(raster, mapped, channel)
        grey += share * (tumour[channel] - grey)
        bright = look.brightest * np.clip(grey, 0, 1) ** look.gamma
        noise = look.noise * rng.standard_normal(share.shape, dtype=np.float32)
        # The magnitude of a signal with noise is never negative.
        image[..., channel] = np.clip(np.rint(np.abs(bright + noise)), 0, 255)
    return image
