"""Contour text of cardiac challenges: polygons in image pixels, their area, and the masks that they enclose."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from reregister.errors import ReregisterError


def parse_contour(data: bytes, name: str) -> NDArray[np.float64]:
    """Points of a contour file, one `x y` a line: x the column, y the row, in 0-based image pixels (datasets.md 4.2).

    data: the file's bytes; blank lines and a byte order mark are passed over. name: for messages.
    Returns float64 (K, 2), columns x and y, closed in thought: the first point is not repeated as the last one.
    Raises ReregisterError with the name, and the line where there is one: no text, anything but two finite numbers a
    line, fewer than three points.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ReregisterError(f"{name} is no contour: it is not text; take the file from the archive again.") from None
    points = [_point(line, name, number) for number, line in enumerate(lines, 1) if line.strip()]
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    if len(points) < 3:
        raise ReregisterError(
            f"{name} has {len(points)} point(s) where a contour needs three; take the file from the archive again."
        )
    return np.array(points, dtype=np.float64)


def polygon_area(points: NDArray[np.float64]) -> float:
    """Area in square pixels that a polygon (K, 2) encloses, whichever way round it goes (shoelace formula)."""
    x, y = (points - points.mean(axis=0)).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def contour_mask(points: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.uint8]:
    """Pixels within a contour: uint8 (H, W), 1 inside; what leaves the image is cut off at its border.

    points: (K, 2) x, y. All zeros where the contour encloses no pixel centre of the image.
    By `skimage.draw.polygon2mask`, as for the golden overlaps of papers.md 1.9.
    """
    return polygon2mask(tuple(shape), points[:, ::-1]).astype(np.uint8)


def points_outside(points: NDArray[np.float64], shape: Sequence[int]) -> int:
    """Number of points of a contour (K, 2) that lie off an image of (H, W) pixels, whose border is at -0.5 and H - 0.5."""
    rows, columns = shape
    return int(((points < -0.5) | (points > (columns - 0.5, rows - 0.5))).any(axis=1).sum())


def overlap_pixels(inner: NDArray[np.float64], outer: NDArray[np.float64]) -> tuple[int, int]:
    """Pixels of the inner contour that lie within the outer one, and all pixels of the inner one.

    inner, outer: (K, 2) x, y in pixels. An endocardium lies within its own epicardium (datasets.md 4.3).
    """
    both = np.concatenate([inner, outer])
    low = np.floor(both.min(axis=0)) - 1
    shape = (np.ceil(both.max(axis=0)) - low + 2).astype(int)[::-1]
    enclosed, enclosing = (contour_mask(points - low, shape) for points in (inner, outer))
    return int((enclosed & enclosing).sum()), int(enclosed.sum())


def _point(line: str, name: str, number: int) -> tuple[float, float]:
    try:
        x, y = (float(word) for word in line.split())
    except ValueError:
        x = y = np.nan
    if not np.isfinite([x, y]).all():
        raise ReregisterError(
            f"{name}, line {number}: {line.strip()[:40]!r} where two numbers `x y` are expected; "
            "take the file from the archive again."
        )
    return x, y
