"""The viewer of a sequence: it plays, steps and lays grid and differences over, by mouse and by keys, never by itself."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from reregister.drawing import Exhibit
from reregister.figures import cine
from reregister.tables import write_arrays

from .conftest import PHONE, WIDE, Browser
from .panels import STAMP, write_page

FRAMES, SIZE = 5, 32
FIXED = 0.5


@pytest.fixture(scope="module")
def panels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Panels as the library makes them: moving frame n has the grey n / 10, the registered ones that of fixed."""
    grey = (np.arange(FRAMES) / 10).astype(np.float32)[:, None, None, None]
    mask = np.zeros((FRAMES, SIZE, SIZE), np.uint8)
    mask[1, 8:16, 8:16] = 1
    arrays = {
        "method": "dirnet_c1",
        "seed": 0,
        "ids": np.array([f"case_s02_p{phase:02d}" for phase in range(1, 1 + FRAMES)]),
        "moving": np.broadcast_to(grey, (FRAMES, 1, SIZE, SIZE)),
        "warped": np.full((FRAMES, 1, SIZE, SIZE), FIXED, np.float32),
        "fixed": np.full((1, SIZE, SIZE), FIXED, np.float32),
        "ddf": np.zeros((FRAMES, 2, SIZE, SIZE), np.float32),
        "mask_moving": mask,
        "ncc_before": np.linspace(0.5, 0.9, FRAMES),
        "ncc_after": np.linspace(0.95, 0.99, FRAMES),
        "group": "case_s02",
        "unit": "mm",
    }
    path = tmp_path_factory.mktemp("sequence") / "sequence.npz"
    write_arrays(path, arrays)
    about = Exhibit("dirnet", "figS9_gallery", "cine", [("dirnet_c1", "C1")], True, "smoke", True, "ab" * 32)
    return cine.panels(about, {"gallery": [path]})


@pytest.fixture(scope="module")
def page(panels: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("cine"), panels)


@pytest.fixture
def find(browser: Browser) -> Callable[[str], Any]:
    return lambda selector: browser.driver.find_element(By.CSS_SELECTOR, selector)


def frame(browser: Browser) -> tuple[str, int]:
    """Source of the moving image on top, and how many images of that stage are on top."""
    tops = browser.run(
        "return [...document.querySelectorAll('.reel:first-child .stage img:not(.subtract)')]"
        ".filter(image => !image.hidden).map(image => image.src);"
    )
    return tops[0], len(tops)


def grey(browser: Browser, reel: int) -> int:
    """Level of the middle of a stage as it is on the screen, 0 to 255."""
    stage = browser.driver.find_elements(By.CSS_SELECTOR, ".reel .stage")[reel]
    with Image.open(io.BytesIO(stage.screenshot_as_png)) as picture:
        return int(picture.convert("L").getpixel((picture.width // 3, picture.height // 3)))


def test_each_frame_shows_its_own_images_and_numbers(
    browser: Browser, page: Path, panels: dict[str, Any], find: Callable[[str], Any]
) -> None:
    browser.open(page)
    assert browser.complaints() == []
    slider = find("input[type=range]")
    for place, expected in enumerate(panels["frames"]):
        assert frame(browser) == (expected["moving"], 1)
        assert abs(grey(browser, 0) - 25.5 * place) < 3
        text = find(".viewer dl").text
        assert f"{place + 1}, frame {place + 1} of {FRAMES} (case_s02_p0{place + 1})" in text
        assert f"{expected['ncc_before']:.4g} before, {expected['ncc_after']:.4g} after" in text
        assert slider.get_attribute("aria-valuetext") == f"phase {place + 1}, frame {place + 1} of {FRAMES}"
        lines = browser.run("return document.querySelectorAll('.reel svg.outline-moving polyline').length")
        assert lines == (1 if place == 1 else 0)
        slider.send_keys(Keys.ARROW_RIGHT)
    assert slider.get_attribute("value") == str(FRAMES)


def test_it_plays_when_asked_and_stops(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    browser.open(page, calm=False)
    button = find(".controls button")
    first = frame(browser)
    assert (button.text, button.get_attribute("aria-pressed")) == ("Play", "false")
    assert browser.run("return FRAME_MS") >= 100
    button.send_keys(Keys.SPACE)
    assert (button.text, button.get_attribute("aria-pressed")) == ("Pause", "true")
    assert find(".viewer dl").get_attribute("aria-live") == "off"
    WebDriverWait(browser.driver, 20).until(lambda _: frame(browser) != first)
    # It goes round.
    WebDriverWait(browser.driver, 20).until(lambda _: frame(browser) == first)
    button.send_keys(Keys.SPACE)
    assert button.text == "Play"
    assert find(".viewer dl").get_attribute("aria-live") == "polite"
    stopped = frame(browser)
    browser.driver.execute_async_script("setTimeout(arguments[0], 4 * FRAME_MS)")
    assert frame(browser) == stopped


@pytest.mark.parametrize("calm", [True, False], ids=["reduced motion", "any motion"])
def test_nothing_plays_by_itself(browser: Browser, page: Path, calm: bool) -> None:
    browser.open(page, calm=calm)
    first = frame(browser)
    browser.driver.execute_async_script("setTimeout(arguments[0], 4 * FRAME_MS)")
    assert frame(browser) == first


def test_a_reader_who_comes_to_prefer_less_motion_gets_it(
    browser: Browser, page: Path, find: Callable[[str], Any]
) -> None:
    browser.open(page, calm=False)
    find(".controls button").click()
    browser.look(calm=True)
    WebDriverWait(browser.driver, 20).until(lambda _: find(".controls button").text == "Play")


def test_space_and_arrows_work_wherever_the_focus_is(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    browser.open(page)
    slider, button = find("input[type=range]"), find(".controls button")
    slider.send_keys(Keys.SPACE)
    assert button.text == "Pause"
    slider.send_keys(Keys.SPACE)
    assert button.text == "Play"
    slider.send_keys(Keys.HOME)
    # From the first frame back to the last one, by the button's arrows.
    button.send_keys(Keys.ARROW_LEFT)
    assert slider.get_attribute("value") == str(FRAMES)
    button.send_keys(Keys.ARROW_RIGHT)
    assert slider.get_attribute("value") == "1"
    # A box keeps its own space.
    find("#figS9_gallery-grid").send_keys(Keys.SPACE)
    assert find("#figS9_gallery-grid").is_selected()
    assert button.text == "Play"


def test_grid_and_differences_lie_over_the_pixels(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    browser.open(page)
    assert not find(".reel svg.grid").is_displayed()
    find("#figS9_gallery-grid").click()
    assert find(".reel svg.grid").is_displayed()
    find("#figS9_gallery-grid").click()
    find("input[type=range]").send_keys(Keys.END)
    find("#figS9_gallery-difference").click()
    # The last moving frame is 0.1 darker than the fixed image, shown three times as bright; the registered one equals it.
    assert abs(grey(browser, 0) - 3 * 25.5) < 6
    assert grey(browser, 1) == 0
    assert abs(grey(browser, 2) - 255 * FIXED) < 3


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_cine_is_in_order_for_the_checker(
    browser: Browser, page: Path, find: Callable[[str], Any], size: tuple[int, int], dark: bool
) -> None:
    browser.open(page, size, dark)
    assert browser.axe() == []
    assert browser.complaints() == []
    assert find(".viewer .stamp").text == STAMP
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]


def test_a_sequence_without_frames_leaves_the_sheet(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path, {"stamp": "", "kind": "sequence", "frames": []}))
    assert browser.complaints() == []
    assert browser.run("return document.querySelector('.viewer').checkVisibility()") is False
    assert browser.run("return document.querySelector('.sheet').open") is True
