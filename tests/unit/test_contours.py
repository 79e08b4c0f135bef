"""Contour text, areas and masks against scikit-image and closed forms."""

import numpy as np
import pytest
from skimage.draw import polygon2mask
from skimage.measure import find_contours

from reregister.data.contours import contour_mask, overlap_pixels, parse_contour, points_outside, polygon_area
from reregister.errors import ReregisterError


def circle(x, y, radius, count=400):
    angle = np.arange(count) / count * 2 * np.pi
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def test_parse():
    points = parse_contour(b"\xef\xbb\xbf126.50 129.00\r\n127.00 129.50\r\n127.5 12\r\n\r\n", "c.txt")
    np.testing.assert_array_equal(points, [[126.5, 129], [127, 129.5], [127.5, 12]])
    closed = parse_contour(b"0 0\n4 0\n4 4\n0 0\n", "c.txt")
    assert len(closed) == 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", r"c\.txt has 0 point"),
        (b"1 2\n3 4\n", r"c\.txt has 2 point"),
        (b"1 2\n3 4\n1 2\n", r"c\.txt has 2 point"),
        (b"1 2\n3\n5 6\n", r"c\.txt, line 2: '3'"),
        (b"1 2\n3 4 5\n5 6\n", r"c\.txt, line 2"),
        (b"1 2\n\n3 x\n5 6\n", r"c\.txt, line 3: '3 x'"),
        (b"1 2\n3 4\nnan 6\n", r"c\.txt, line 3"),
        (b"<html>\n", r"c\.txt, line 1"),
        (b"\xff\xfe1\x002\x00", r"c\.txt is no contour: it is not text"),
    ],
)
def test_malformed_files_are_named_with_their_line(data, said):
    with pytest.raises(ReregisterError, match=said):
        parse_contour(data, "c.txt")


def test_area():
    assert polygon_area(np.array([[10, 10], [14, 10], [14, 13], [10, 13.0]])) == 12
    assert polygon_area(np.array([[10, 13], [14, 13], [14, 10], [10, 10.0]])) == 12
    assert polygon_area(circle(100, 80, 20)) == pytest.approx(np.pi * 400, rel=1e-3)


def test_mask():
    points = circle(40.3, 21.7, 9)  # x is the column
    mask = contour_mask(points, (50, 64))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, polygon2mask((50, 64), points[:, ::-1]))
    rows, columns = np.nonzero(mask)
    assert (rows.mean(), columns.mean()) == pytest.approx((21.7, 40.3), abs=0.1)
    assert mask.sum() == pytest.approx(polygon_area(points), rel=0.03)
    # There and back: the outline of a mask encloses the mask.
    outline = find_contours(mask, 0.5)[0][:, ::-1]
    np.testing.assert_array_equal(contour_mask(outline, (50, 64)), mask)


def test_contour_that_leaves_the_image():
    points = circle(2, 20, 8)
    wide = contour_mask(points + 20, (60, 60))
    np.testing.assert_array_equal(contour_mask(points, (40, 40)), wide[20:, 20:])
    assert points_outside(points, (40, 40)) == (points[:, 0] < -0.5).sum() > 0
    assert points_outside(points + 10, (40, 40)) == 0
    assert points_outside(np.array([[39.4, 0], [39.6, 0], [0, 29.4], [0, 29.6]]), (30, 40)) == 2
    assert not contour_mask(points - 100, (40, 40)).any()
    assert not contour_mask(np.array([[3.2, 3.2], [3.4, 3.2], [3.4, 3.4]]), (40, 40)).any()


def test_overlap():
    inner, outer = circle(100, 80, 10), circle(101, 80, 14)
    inside, total = overlap_pixels(inner, outer)
    assert inside == total == contour_mask(inner, (200, 200)).sum()
    assert overlap_pixels(inner, outer + 100)[0] == 0
    both = contour_mask(inner, (200, 200)) & contour_mask(outer - 12, (200, 200))
    assert overlap_pixels(inner, outer - 12) == (both.sum(), total)
    assert 0 < both.sum() < total
    assert overlap_pixels(inner - 99.5, outer - 99.5) == overlap_pixels(inner + 0.5, outer + 0.5)
