"""The viewer of volumes: its pixels are those of the arrays, at every voxel, by mouse, wheel and keys; labels and grid."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from reregister.figures import volumes

from ..conftest import Workflow
from ..unit.test_packed_volumes import reoriented
from ..unit.test_volume_panels import AXES, LABELS, METHODS, exhibit, planted, write_planted
from .conftest import PHONE, WIDE, Browser
from .panels import STAMP, write_page

NAME = "figS9_gallery"
# Of a page's volumes: the axis that is scrolled, and those down and across the page.
PLANES = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
SAID = [f".{plane} .sides span" for plane in PLANES]
SIZE = (7, 6, 5)
MIDDLE = (3, 3, 2)
READY = "return document.querySelectorAll('.viewer.volumes.ready').length"
# Colours at places given in parts of a canvas.
PIXELS = """
const canvas = document.querySelector(arguments[0]), context = canvas.getContext('2d');
const pixel = (x, y) => context.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data;
return arguments[1].map(([x, y]) => [...pixel(x, y)].slice(0, 3));
"""
# Where words and the length to measure by lie, in CSS pixels of a canvas: they are no part of the image.
WORDS = "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.width, r.height];"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    return write_page(folder / "page", volumes.panels(exhibit(), write_planted(folder)))


@pytest.fixture
def find(browser: Browser) -> Callable[[str], Any]:
    return lambda selector: browser.driver.find_element(By.CSS_SELECTOR, selector)


def open_volumes(browser: Browser, page: Path, **look: Any) -> None:
    browser.open(page, **look)
    assert browser.run(READY) == 1


def choose(browser: Browser, kind: str, value: str) -> None:
    browser.run("document.querySelector(arguments[0]).click()", f"input[name='{NAME}-{kind}'][value='{value}']")


def tick(browser: Browser, *boxes: str) -> None:
    for box in boxes:
        browser.run("document.querySelector(arguments[0]).click()", f"#{NAME}-{box}")


def slices(browser: Browser) -> tuple[int, ...]:
    """Where the voxel lies, by what stands beside the sliders: down, back, left, from 0."""
    texts = browser.run("return arguments[0].map((place) => document.querySelector(place).textContent)", SAID)
    assert [int(text.split(" of ")[1]) for text in texts] == list(SIZE)
    return tuple(int(text.split(" of ")[0]) - 1 for text in texts)


def go(browser: Browser, *voxel: int) -> None:
    script = (
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'));"
    )
    for plane, at in zip(PLANES, voxel, strict=True):
        browser.run(script, f"{NAME}-{plane}", at + 1)


def turned(method: str, name: str, row: int = 3) -> np.ndarray:
    """An array of the planted pair, images as levels, with its axes as the page has them; by nibabel."""
    own = planted(method)[name][row]
    return reoriented(np.rint(255 * own[0]).astype(int) if own.ndim == 4 else own, AXES)


def cut(array: np.ndarray, plane: str, voxel: tuple[int, ...] = MIDDLE) -> np.ndarray:
    return array.take(voxel[PLANES[plane][0]], PLANES[plane][0])


def drawn(browser: Browser, plane: str, inside: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    """Colours (rows, columns, 3) of the voxels of a plane, each read at one place inside it (along rows, along columns)."""
    rows, columns = (SIZE[axis] for axis in PLANES[plane][1:])
    places = [[(c + inside[1]) / columns, (r + inside[0]) / rows] for r in range(rows) for c in range(columns)]
    return np.array(browser.run(PIXELS, f".{plane} canvas", places)).reshape(rows, columns, 3)


def clear(browser: Browser, plane: str) -> np.ndarray:
    """Voxels of a plane over whose middle no word is written."""
    rows, columns = (SIZE[axis] for axis in PLANES[plane][1:])
    width, height = browser.run(WORDS, f".{plane} canvas")
    y, x = np.meshgrid(
        (np.arange(rows) + 0.5) * height / rows, (np.arange(columns) + 0.5) * width / columns, indexing="ij"
    )
    letters = [(11, width / 2), (height - 10, width / 2), (height / 2, 10), (height / 2, width - 10)]
    far = np.min([np.hypot(y - top, x - left) for top, left in letters], 0) > 16
    found = far & ((y < height - 28) | (x > width / 2))
    assert found.mean() > 0.8
    return found


def assert_grey(browser: Browser, expected: np.ndarray, voxel: tuple[int, ...] = MIDDLE) -> None:
    for plane in PLANES:
        seen = clear(browser, plane)
        own = drawn(browser, plane)
        np.testing.assert_array_equal(own[seen], np.repeat(cut(expected, plane, voxel)[seen][:, None], 3, 1), plane)


def test_every_pixel_is_that_of_the_array_at_every_place(browser: Browser, page: Path) -> None:
    open_volumes(browser, page)
    assert browser.complaints() == []
    choose(browser, "labels", "none")
    tick(browser, "cross")
    assert slices(browser) == MIDDLE
    for method in METHODS:
        choose(browser, "method", method)
        for role in ("moving", "warped", "fixed"):
            choose(browser, "view", role)
            assert_grey(browser, turned(method, role))
    for voxel in ((0, 0, 0), (6, 5, 4), (1, 4, 3)):
        go(browser, *voxel)
        assert slices(browser) == voxel
        assert_grey(browser, turned("ants_syn", "fixed"), voxel)
    # Another pair, with another moving image.
    choose(browser, "view", "moving")
    choose(browser, "rank", "worst")
    assert_grey(browser, turned("ants_syn", "moving", 2), voxel)


def test_planes_are_as_wide_as_they_are_in_the_body(browser: Browser, page: Path) -> None:
    for size in (WIDE, PHONE):
        open_volumes(browser, page, size=size)
        # 7 voxels of 2 mm down, 6 of 1 mm back, 5 of 1.5 mm left.
        for plane, (high, wide) in {"axial": (6, 7.5), "coronal": (14, 7.5), "sagittal": (14, 6)}.items():
            width, height = browser.run(WORDS, f".{plane} canvas")
            assert height / width == pytest.approx(high / wide, rel=0.02)
        widths = [browser.run(WORDS, f".{plane} canvas")[0] for plane in PLANES]
        assert widths == pytest.approx([widths[0], widths[0], widths[0] * 6 / 7.5], rel=0.03)


def test_keys_move_by_one_voxel_or_slice(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    open_volumes(browser, page)
    steps = {Keys.PAGE_DOWN: (1, 0), Keys.PAGE_UP: (-1, 0), Keys.ARROW_DOWN: (1, 1), Keys.ARROW_UP: (-1, 1)}
    steps |= {Keys.ARROW_RIGHT: (1, 2), Keys.ARROW_LEFT: (-1, 2)}
    for plane, axes in PLANES.items():
        canvas = find(f".{plane} canvas")
        for key, (by, which) in steps.items():
            before = list(slices(browser))
            canvas.send_keys(key)
            before[axes[which]] += by
            assert list(slices(browser)) == before
        assert slices(browser) == MIDDLE
        canvas.send_keys(Keys.HOME, Keys.PAGE_UP)
        assert slices(browser)[axes[0]] == 0
        canvas.send_keys(Keys.END, Keys.PAGE_DOWN)
        assert slices(browser)[axes[0]] == SIZE[axes[0]] - 1
        go(browser, *MIDDLE)
        slider = find(f"#{NAME}-{plane}")
        for key, by in ((Keys.ARROW_RIGHT, 1), (Keys.PAGE_DOWN, 1), (Keys.ARROW_LEFT, -1), (Keys.PAGE_UP, -1)):
            before = slices(browser)[axes[0]]
            slider.send_keys(key)
            assert slices(browser)[axes[0]] == before + by
    style = "return [getComputedStyle(document.activeElement).outlineStyle, document.activeElement.tagName]"
    find(".axial canvas").send_keys(Keys.ARROW_LEFT)
    assert browser.run(style) == ["solid", "CANVAS"]


def test_sliders_say_slice_and_millimetres(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    open_volumes(browser, page)
    words = {
        "axial": "slice 4 of 7, 6.0 mm from the superior end",
        "coronal": "slice 4 of 6, 3.0 mm from the anterior end",
        "sagittal": "slice 3 of 5, 3.0 mm from the right end",
    }
    for plane, text in words.items():
        slider = find(f"#{NAME}-{plane}")
        assert slider.get_attribute("aria-valuetext") == text
        assert slider.accessible_name == plane.capitalize()
        assert find(f".{plane} canvas").accessible_name == f"{plane.capitalize()} slice"


def roll(browser: Browser, canvas: Any, by: int) -> None:
    ActionChains(browser.driver).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, by).perform()


def test_the_wheel_moves_by_one_slice_and_the_page_stays(
    browser: Browser, page: Path, find: Callable[[str], Any]
) -> None:
    open_volumes(browser, page)
    for plane, (across, _, _) in PLANES.items():
        canvas = find(f".{plane} canvas")
        ActionChains(browser.driver).move_to_element(canvas).move_by_offset(3, 3).perform()
        where = browser.run("return scrollY")
        for by in (120, -120, 100, -40):
            before = slices(browser)[across]
            roll(browser, canvas, by)
            assert slices(browser)[across] == before + np.sign(by)
        # A touch pad sends many small steps.
        for _ in range(3):
            roll(browser, canvas, 10)
        assert slices(browser)[across] == MIDDLE[across] + 1
        assert browser.run("return scrollY") == where
        go(browser, *MIDDLE)


def test_a_page_that_scrolls_past_the_planes_scrolls_on(
    browser: Browser, page: Path, find: Callable[[str], Any]
) -> None:
    open_volumes(browser, page)
    canvas = find(".axial canvas")
    event = "const e = new WheelEvent('wheel', {deltaY: 120, cancelable: true}); return arguments[0].dispatchEvent(e);"
    # Nobody pointed at the plane: the page takes the wheel.
    assert browser.run(event, canvas) is True
    assert slices(browser) == MIDDLE
    canvas.send_keys(Keys.END)
    # At the last slice, too.
    assert browser.run(event, canvas) is True
    canvas.send_keys(Keys.PAGE_UP)
    assert browser.run(event, canvas) is False
    assert slices(browser)[0] == SIZE[0] - 1


def test_a_click_and_a_drag_move_the_voxel(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    open_volumes(browser, page)
    for plane, (across, down, right) in PLANES.items():
        go(browser, *MIDDLE)
        canvas = find(f".{plane} canvas")
        width, height = browser.run(WORDS, f".{plane} canvas")

        # From the middle of the canvas, as the driver counts.
        places = [
            ((column + 0.5) / SIZE[right] - 0.5, (row + 0.5) / SIZE[down] - 0.5) for row, column in ((1, 3), (4, 0))
        ]
        (first, second) = [(round(x * width), round(y * height)) for x, y in places]
        pointer = ActionChains(browser.driver)
        pointer.move_to_element_with_offset(canvas, *first).click().perform()
        assert slices(browser) == tuple({across: MIDDLE[across], down: 1, right: 3}[axis] for axis in range(3))
        pointer = ActionChains(browser.driver)
        pointer.move_to_element_with_offset(canvas, *first).click_and_hold()
        pointer.move_to_element_with_offset(canvas, *second).release().perform()
        assert slices(browser) == tuple({across: MIDDLE[across], down: 4, right: 0}[axis] for axis in range(3))


def test_labels_are_filled_where_they_are(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    open_volumes(browser, page)
    tick(browser, "cross")
    choose(browser, "labels", "filled")
    colours = [np.array([0xE6, 0x9F, 0x00]), np.array([0x56, 0xB4, 0xE9])]
    for view, role in (("moving", "moving"), ("warped", "warped"), ("fixed", "fixed")):
        choose(browser, "view", view)
        grey, mask = turned("trained", role), turned("trained", f"mask_{role}")
        for only in (0, 2):
            Select(find(f"#{NAME}-only")).select_by_value(str(only))
            expected = np.repeat(grey[..., None], 3, -1).astype(float)
            for number, colour in enumerate(colours, 1):
                own = (mask == number) & (only in (0, number))
                expected[own] = 0.55 * expected[own] + 0.45 * colour
            for plane in PLANES:
                seen = clear(browser, plane)
                assert (cut(mask, plane) > 0).any()
                assert np.abs(drawn(browser, plane) - cut(expected, plane))[seen].max() <= 1
    assert find(".swatches").text == LABELS[1]
    assert [option.text for option in Select(find(f"#{NAME}-only")).options] == ["all", *LABELS]


def test_outlines_lie_on_the_borders_of_labels(browser: Browser, page: Path) -> None:
    open_volumes(browser, page)
    tick(browser, "cross")
    choose(browser, "view", "fixed")
    # Red less blue, of the first label's orange and the second one's sky blue; the image is grey.
    tint = {1: 0xE6 - 0x00, 2: 0x56 - 0xE9}
    mask = turned("trained", "mask_fixed")
    for plane in PLANES:
        own = cut(mask, plane)
        top = drawn(browser, plane, (0.01, 0.5))
        left = drawn(browser, plane, (0.5, 0.01))
        checked = 0
        for (row, column), label in np.ndenumerate(own):
            for edge, other in (
                (top, own[row - 1, column] if row else 0),
                (left, own[row, column - 1] if column else 0),
            ):
                lined = label > 0 and other != label
                checked += lined
                if label:
                    found = (edge[row, column, 0] - edge[row, column, 2]) / tint[label]
                    # Part of a pixel where the border does not fall on one.
                    assert found > 0.4 if lined else found == 0, (plane, row, column)
        assert checked > 3
        # The middle of a voxel stays free.
        seen = clear(browser, plane)
        grey = cut(turned("trained", "fixed"), plane)
        np.testing.assert_array_equal(drawn(browser, plane)[seen][:, 0], grey[seen])


def test_the_grid_goes_where_the_field_says(browser: Browser, page: Path) -> None:
    open_volumes(browser, page)
    tick(browser, "cross")
    choose(browser, "labels", "none")
    for method, sign in (("trained", 1), ("ants_syn", -1)):
        choose(browser, "method", method)
        before = drawn(browser, "coronal")
        tick(browser, "grid")
        # Down by 1.25 voxels, back by 0.5; to the right by 0.1 for each voxel along the stored axis, which leads there.
        far = {0: np.full(SIZE, sign * -1.25), 1: np.full(SIZE, 0.5), 2: -0.1 * np.arange(5)[::-1] * np.ones(SIZE)}
        for plane, (across, down, right) in PLANES.items():
            rows, columns = SIZE[down], SIZE[right]
            by = [cut(far[axis], plane) for axis in (down, right)]
            row, column = np.indices((rows, columns))
            # Crossings of the lines, and places between them on no line.
            x = (column + 0.5 + by[1]) / columns
            y = (row + 0.5 + by[0]) / rows
            inside = (x > 0.05) & (x < 0.95) & (y > 0.05) & (y < 0.95) & (row > 0) & (column > 0)
            places = np.stack([x, y], -1)[inside].tolist()
            orange = np.array(browser.run(PIXELS, f".{plane} canvas", places))
            reddish = orange[:, 0] - orange[:, 2] > 60
            assert len(reddish) >= 4
            assert reddish.mean() > 0.9, (plane, method)
            between = np.stack([x - 0.5 / columns, y - 0.5 / rows], -1)[inside].tolist()
            plain = np.array(browser.run(PIXELS, f".{plane} canvas", between))
            assert (plain[:, 0] - plain[:, 2] > 60).mean() < 0.1, (plane, method)
            assert across not in (down, right)
        tick(browser, "grid")
        np.testing.assert_array_equal(drawn(browser, "coronal"), before)


def test_differences_and_the_checkerboard(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    open_volumes(browser, page)
    tick(browser, "cross")
    choose(browser, "labels", "none")
    fixed, moving, warped = (turned("trained", role).astype(float) for role in ("fixed", "moving", "warped"))
    for view, image in (("before", moving), ("after", warped)):
        choose(browser, "view", view)
        share = np.clip((image - fixed) / 64, -1, 1)[..., None]
        expected = np.where(share > 0, share * [255, 160, 40], -share * [60, 150, 255])
        for plane in PLANES:
            assert np.abs(drawn(browser, plane) - cut(expected, plane))[clear(browser, plane)].max() <= 1
        assert "full from 0.25 on" in find(".choices").text
    choose(browser, "view", "checker")
    for plane in PLANES:
        # Few voxels: each tile is one.
        row, column = np.indices([SIZE[axis] for axis in PLANES[plane][1:]])
        expected = np.where((row + column) % 2, cut(fixed, plane), cut(warped, plane))
        seen = clear(browser, plane)
        np.testing.assert_array_equal(drawn(browser, plane)[seen][:, 1], expected[seen])


def test_what_is_said_of_the_voxel_is_that_of_the_stored_array(
    browser: Browser, page: Path, find: Callable[[str], Any]
) -> None:
    open_volumes(browser, page)
    own = planted("trained")
    for voxel in (MIDDLE, (4, 2, 3)):
        go(browser, *voxel)
        text = find(".found").text
        # The stored axes lead back, down and to the right.
        stored = (voxel[1], voxel[0], SIZE[2] - 1 - voxel[2])
        assert f"{stored[0]}, {stored[1]}, {stored[2]} of the stored array ({AXES})" in text
        for role, word in (("moving", "Moving"), ("warped", "Registered"), ("fixed", "Fixed")):
            label = own[f"mask_{role}"][3][stored]
            said = LABELS[label - 1] if label else "no label"
            assert f"{word}\n{own[role][3, 0][stored]:.2f}, {said}" in text
        back, down, right = own["ddf"][3, 0][stored], own["ddf"][3, 1][stored] * 2, own["ddf"][3, 2][stored] * 1.5
        far = np.sqrt(back**2 + down**2 + right**2)
        sign = "I" if down > 0 else "S"
        assert f"{far:.1f} mm away: {right:.1f} R, {back:.1f} P, {abs(down):.1f} {sign}" in text


def test_another_method_leaves_the_voxel_where_it_is(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    open_volumes(browser, page)
    go(browser, 1, 2, 3)
    choose(browser, "method", "ants_syn")
    assert slices(browser) == (1, 2, 3)
    assert "m to f, group all" in find(".choices").text
    legends = [legend.text for legend in browser.driver.find_elements(By.CSS_SELECTOR, ".viewer legend")]
    assert legends == ["Method", "Pair by Dice after registration", "Image", "Labels (of the fixed image: solid)"]


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_volumes_are_in_order_for_the_checker(
    browser: Browser, page: Path, artefacts: Path, find: Callable[[str], Any], size: tuple[int, int], dark: bool
) -> None:
    open_volumes(browser, page, size=size, dark=dark)
    browser.screenshot(artefacts / f"volumes_{size[0]}_{'dark' if dark else 'light'}.png")
    assert browser.axe() == []
    assert browser.complaints() == []
    assert find(".viewer .stamp").text == STAMP
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]


def test_without_scripts_or_what_they_need_the_sheet_is_shown(browser: Browser, page: Path) -> None:
    browser.open(page, scripts=False)
    sheet = "return document.querySelector('.sheet img').getBoundingClientRect().width"
    assert browser.run(sheet) > 100
    browser.scripts(True)
    old = browser.cdp("Page.addScriptToEvaluateOnNewDocument", source="delete window.DecompressionStream")
    try:
        browser.open(page)
        assert browser.complaints() == []
        assert browser.run(READY) == 0
        assert browser.run(sheet) > 100
    finally:
        browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=old["identifier"])


def test_a_page_without_volumes_says_why_and_where_they_lie(
    browser: Browser, tmp_path: Path, find: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = write_planted(tmp_path / "results")
    monkeypatch.setattr(volumes, "LARGEST", 1000)
    browser.open(write_page(tmp_path / "report", volumes.panels(exhibit(), inputs)))
    assert browser.run(READY) == 0
    assert find(".absent").text.startswith("The volumes are not in this page: pairs of 6 x 7 x 5 voxels")
    places = [link.get_attribute("href") for link in browser.driver.find_elements(By.CSS_SELECTOR, ".absent a")]
    assert [place.split("/report/../")[-1].split("label_driven/")[-1] for place in places] == [
        f"metrics/ibsr/{method}.gallery.npz" for method in METHODS
    ]
    browser.open(write_page(tmp_path / "hidden", volumes.panels(exhibit(show_images=False), inputs)))
    assert "the terms of the data set do not allow images to be published" in find(".absent").text
    assert browser.run(READY) == 0
    assert browser.run("return document.querySelector('.sheet').open") is True
    assert browser.complaints() == []


@pytest.mark.parametrize(("paper", "experiment", "name"), [("label_driven", "ibsr", "figS4_volumes")])
def test_the_smoke_runs_volumes_are_those_of_its_pairs(
    browser: Browser, smoke: Workflow, report: Path, find: Callable[[str], Any], paper: str, experiment: str, name: str
) -> None:
    browser.open(report / f"{paper}.html")
    assert browser.run(READY) == 1
    place = f".viewer[data-name='{name}']"
    assert find(f"{place} .stamp").text.startswith("synthetic stand-in")
    method = find(f"input[name='{name}-method']:checked").get_attribute("value")
    with np.load(smoke.folder / f"results/smoke/{paper}/metrics/{experiment}/{method}.gallery.npz") as file:
        row = file["rank"].tolist().index("common")
        fixed, axes = file["fixed"][row, 0], str(file["axes"][row])
    levels = reoriented(np.rint(255 * fixed).astype(int), axes)
    for choice in ("view'][value='fixed", "labels'][value='none"):
        browser.run("document.querySelector(arguments[0]).click()", f"input[name='{name}-{choice}']")
    browser.run("document.querySelector(arguments[0]).click()", f"#{name}-cross")
    rows, columns = levels.shape[0], levels.shape[2]
    places = [[(c + 0.5) / columns, (r + 0.5) / rows] for r in range(2, rows - 2) for c in range(2, columns - 2)]
    found = np.array(browser.run(PIXELS, f"{place} .coronal canvas", places))[:, 0].reshape(rows - 4, columns - 4)
    expected = levels[2:-2, levels.shape[1] // 2, 2:-2]
    assert (found == expected).mean() > 0.9
    assert len(np.unique(expected)) > 10
