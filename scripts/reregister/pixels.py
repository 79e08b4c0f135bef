"""Images and deformed grids in the form in which a page shows them: PNGs as data URIs, polylines in pixels."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

Array = NDArray[np.floating]
# Lengths that the longer side of a picture may have; an image that is larger by itself stays as it is.
SMALLEST, LARGEST = 224, 448
# Cells of a drawn grid along the longer side of an image.
CELLS = 14


def zoom_of(shape: tuple[int, int]) -> int:
    """The whole number by which an image (H, W) is enlarged: the least that makes its longer side SMALLEST pixels.

    It is less where that would pass LARGEST, and 1 at least.
    """
    side = max(shape)
    return max(min(-(-SMALLEST // side), LARGEST // side), 1)


def png_uri(image: Array, stamp: str, recipe_id: str) -> str:
    """An image as a data URI of an 8-bit grey PNG, enlarged by `zoom_of` without smoothing.

    image: (H, W), intensities in [0, 1]; what lies outside is cut. stamp: drawn into the pixels, at the lower edge, and
    kept in the metadata with the recipe's id; "" on the dataset's own images. The same arguments give the same bytes.
    """
    zoom = zoom_of((image.shape[0], image.shape[1]))
    grey = np.rint(255 * np.clip(np.nan_to_num(image), 0, 1)).astype(np.uint8)
    picture = Image.fromarray(np.kron(grey, np.ones((zoom, zoom), np.uint8)))
    text = PngInfo()
    text.add_text("Description", f"{stamp}; recipe {recipe_id}" if stamp else f"recipe {recipe_id}")
    if stamp:
        place = (picture.width - 3, picture.height - 2)
        pen = ImageDraw.Draw(picture)
        pen.text(place, stamp, 255, ImageFont.load_default(10), "rd", stroke_width=1, stroke_fill=0)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True, pnginfo=text)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def grid_lines(ddf: Array) -> list[list[list[float]]]:
    """Lines of the fixed image's grid at the places x + ddf(x) where the moving image is sampled.

    ddf: (2, H, W), voxels. Lines stand along rows and columns with `CELLS` cells on the longer side: every 2 pixels on
    an image of 28. Returns polylines of points [x, y]: x along columns, y along rows, in pixels of the image, whose first
    pixel has its centre at 0 and covers -0.5 to 0.5, to 0.01 px.
    """
    height, width = ddf.shape[1:]
    step = max(round(max(height, width) / CELLS), 1)
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    points = np.stack([columns + ddf[1], rows + ddf[0]], axis=-1).round(2)
    lines = [points[row] for row in _ticks(height, step)] + [points[:, column] for column in _ticks(width, step)]
    return [line.tolist() for line in lines]


def _ticks(length: int, step: int) -> list[int]:
    """Every step-th row from the first, and the last, so that the grid closes."""
    return sorted({*range(0, length, step), length - 1})
