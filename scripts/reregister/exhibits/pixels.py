"""Images, outlines and deformed grids in the form in which a page shows them: data URIs, and polylines in pixels."""

import base64
import io

import numpy as np
import seaborn as sns
from contourpy import contour_generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

Array = NDArray[np.floating]
# Lengths that the longer side of a picture may have; an image that is larger by itself stays as it is.
SMALLEST, LARGEST = 224, 448
# Cells of a drawn grid along the longer side of an image, and the points of a line between two crossings at least.
CELLS, POINTS = 14, 4
# Of JPEG, for the frames of sequences.
QUALITY = 85


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
    return _uri("png", _png(_picture(image, stamp), stamp, recipe_id))


def heat_uri(image: Array, highest: float, stamp: str, recipe_id: str) -> str:
    """An image as a PNG like that of `png_uri`, in the colours of a heat map instead of grey.

    image: (H, W) in [0, highest]; highest: above 0, the value of the lightest colour.
    """
    picture = _picture(image / highest, stamp)
    colours = np.rint(255 * np.array(sns.color_palette("rocket", 256))).astype(np.uint8)
    picture.putpalette(colours.tobytes())
    return _uri("png", _png(picture, stamp, recipe_id))


def frame_uri(image: Array, stamp: str, recipe_id: str) -> str:
    """An image as `png_uri`, or as JPEG where that is shorter: a page holds many frames of a sequence.

    Frames are looked at and not measured: what is lost stays below what an eye sees of a moving picture.
    """
    picture, buffer = _picture(image, stamp), io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True, comment=_description(stamp, recipe_id))
    pictures = {"png": _png(picture, stamp, recipe_id), "jpeg": buffer.getvalue()}
    return _uri(*min(pictures.items(), key=lambda item: len(item[1])))


def _picture(image: Array, stamp: str) -> Image.Image:
    """An image (H, W) in [0, 1] in 256 levels, enlarged, with the stamp in its pixels."""
    zoom = zoom_of((image.shape[0], image.shape[1]))
    grey = np.rint(255 * np.clip(np.nan_to_num(image), 0, 1)).astype(np.uint8)
    picture = Image.fromarray(np.kron(grey, np.ones((zoom, zoom), np.uint8)))
    if stamp:
        place = (picture.width - 3, picture.height - 2)
        pen = ImageDraw.Draw(picture)
        pen.text(place, stamp, 255, ImageFont.load_default(10), "rd", stroke_width=1, stroke_fill=0)
    return picture


def _description(stamp: str, recipe_id: str) -> str:
    return f"{stamp}; recipe {recipe_id}" if stamp else f"recipe {recipe_id}"


def _png(picture: Image.Image, stamp: str, recipe_id: str) -> bytes:
    text, buffer = PngInfo(), io.BytesIO()
    text.add_text("Description", _description(stamp, recipe_id))
    picture.save(buffer, "PNG", optimize=True, pnginfo=text)
    return buffer.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(content).decode()


def grid_lines(ddf: Array) -> list[list[list[float]]]:
    """Lines of the fixed image's grid at the places x + ddf(x) where the moving image is sampled.

    ddf: (2, H, W), voxels. Lines stand along rows and columns with `CELLS` cells on the longer side: every 2 pixels on
    an image of 28. Returns polylines of points [x, y]: x along columns, y along rows, in pixels of the image, whose first
    pixel has its centre at 0 and covers -0.5 to 0.5, to 0.01 px. On large images a line has a point every few pixels.
    """
    height, width = ddf.shape[1:]
    step = max(round(max(height, width) / CELLS), 1)
    every = max(step // POINTS, 1)
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    points = np.stack([columns + ddf[1], rows + ddf[0]], axis=-1).round(2)
    lines = [points[row, _ticks(width, every)] for row in _ticks(height, step)]
    lines += [points[_ticks(height, every), column] for column in _ticks(width, step)]
    return [line.tolist() for line in lines]


def determinants(ddf: Array) -> NDArray[np.float64]:
    """Jacobian determinant of x -> x + ddf(x) by central differences, without the outermost pixel, for maps of it.

    ddf: (2, H, W), pixels. Returns (H - 2, W - 2). Tables take theirs from the metrics, which the plotting environment
    cannot load; both agree.
    """
    (a, b), (c, d) = (np.gradient(np.asarray(part, dtype=np.float64)) for part in ddf)
    return np.asarray((1 + a) * (1 + d) - b * c)[1:-1, 1:-1]


def _ticks(length: int, step: int) -> list[int]:
    """Every step-th row from the first, and the last, so that the grid closes."""
    return sorted({*range(0, length, step), length - 1})


def outlines(mask: Array | NDArray[np.integer]) -> list[list[list[float]]]:
    """Closed lines around the labels of a mask, half way between the pixels inside and outside, as `grid_lines` has them.

    mask: (H, W), a number above 0 inside each label. Returns one polyline of points [x, y] for each part and hole of each
    label; none for an empty mask.
    """
    lines = []
    for label in np.unique(np.asarray(mask)):
        if label > 0:
            # A margin of zeros closes the outline of what touches the border.
            inside = np.pad(np.asarray(mask) == label, 1).astype(float)
            found = contour_generator(z=inside).lines(0.5)
            lines += [(np.asarray(line) - 1).round(2).tolist() for line in found]
    return lines
