"""Pictures and grids for a page: pixels, sizes, stamp, metadata, and where a line of the grid goes."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from reregister.exhibits.pixels import grid_lines, png_uri, zoom_of

STAMP = "synthetic stand-in, demo scale"
RECIPE = "ab" * 32


def opened(uri: str) -> Image.Image:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


@pytest.mark.parametrize(
    ("shape", "zoom"),
    [((28, 28), 8), ((20, 28), 8), ((100, 90), 3), ((150, 150), 2), ((224, 10), 1), ((256, 256), 1), ((448, 448), 1)],
)
def test_zoom_is_the_least_that_makes_the_longer_side_large_enough(shape: tuple[int, int], zoom: int) -> None:
    assert zoom_of(shape) == zoom
    assert 224 <= zoom * max(shape) <= 448


def test_a_larger_image_stays_as_it_is() -> None:
    assert zoom_of((512, 600)) == 1


def test_pixels_are_those_of_the_image_enlarged_without_smoothing() -> None:
    image = np.random.default_rng(0).random((28, 20))
    image[0, :3] = (-0.5, 1.5, np.nan)
    picture = opened(png_uri(image, "", RECIPE))
    assert (picture.mode, picture.size) == ("L", (160, 224))
    expected = np.rint(255 * np.clip(np.nan_to_num(image), 0, 1))
    np.testing.assert_array_equal(np.asarray(picture), expected.repeat(8, 0).repeat(8, 1))
    assert picture.info["Description"] == f"recipe {RECIPE}"


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_the_stamp_stands_in_the_pixels_and_the_metadata(grey: float) -> None:
    image = np.full((28, 28), grey)
    plain, stamped = (opened(png_uri(image, stamp, RECIPE)) for stamp in ("", STAMP))
    assert stamped.info["Description"] == f"{STAMP}; recipe {RECIPE}"
    changed = np.asarray(plain) != np.asarray(stamped)
    rows, columns = np.nonzero(changed)
    # Readable on black, grey and white: some hundred pixels of a line at the lower edge, and not cut off.
    assert changed.sum() > 200
    assert rows.min() >= 224 - 18
    assert 0 < columns.min() < columns.max() < 223
    other = opened(png_uri(image, "synthetic stand-in, full scale", RECIPE))
    assert (np.asarray(other) != np.asarray(stamped)).any()


def test_the_same_image_gives_the_same_bytes() -> None:
    image = np.random.default_rng(0).random((28, 28))
    assert png_uri(image, STAMP, RECIPE) == png_uri(image.copy(), STAMP, RECIPE)
    assert png_uri(image, STAMP, RECIPE) != png_uri(image, STAMP, "cd" * 32)


def test_grid_of_the_identity_passes_through_every_second_pixel() -> None:
    lines = np.array(grid_lines(np.zeros((2, 28, 28))))
    places = [*range(0, 28, 2), 27]
    assert lines.shape == (2 * len(places), 28, 2)
    along = np.arange(28)
    for place, line in zip(places, lines[: len(places)], strict=True):
        np.testing.assert_allclose(line, np.stack([along, np.full(28, place)], axis=1))
    for place, line in zip(places, lines[len(places) :], strict=True):
        np.testing.assert_allclose(line, np.stack([np.full(28, place), along], axis=1))


def test_channel_0_moves_lines_down_and_channel_1_to_the_right() -> None:
    ddf = np.zeros((2, 28, 14))
    ddf[0], ddf[1] = 3, -1.25
    still, moved = (np.array(line) for line in (grid_lines(np.zeros_like(ddf))[2], grid_lines(ddf)[2]))
    np.testing.assert_allclose(moved - still, [[-1.25, 3.0]] * 14)


def test_a_larger_image_has_as_many_cells() -> None:
    assert len(grid_lines(np.zeros((2, 280, 140)))) == 15 + 8
