"""The gallery's viewer: it wipes, flickers and lays the grid over, by mouse and by keys, and says what it shows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from .conftest import PHONE, WIDE, Browser
from .panels import SIZE, STAMP, random_panels, write_page

NAME = "figS9_gallery"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("gallery"))


@pytest.fixture
def find(browser: Browser) -> Callable[[str], Any]:
    return lambda selector: browser.driver.find_element(By.CSS_SELECTOR, selector)


def clip(browser: Browser) -> str:
    return str(browser.run("return getComputedStyle(document.querySelector('.stage .warped')).clipPath"))


def shown(browser: Browser) -> str:
    """Which of the fixed and the registered image lies on top."""
    hidden = browser.run("return document.querySelector('.stage .fixed').hidden")
    return "registered" if hidden else "fixed"


def wipe(browser: Browser, value: int) -> None:
    set_value = "const s = document.querySelector('input[type=range]'); s.value = arguments[0];"
    browser.run(set_value + "s.dispatchEvent(new Event('input', {bubbles: true}));", value)


def test_the_slider_wipes_by_keys(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    browser.open(page)
    assert browser.complaints() == []
    assert clip(browser) == "inset(0px 50% 0px 0px)"
    slider = find("input[type=range]")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert clip(browser) == "inset(0px 49% 0px 0px)"
    assert slider.get_attribute("aria-valuetext") == "51 % registered, 49 % moving"
    slider.send_keys(Keys.HOME)
    assert clip(browser) == "inset(0px 100% 0px 0px)"
    slider.send_keys(Keys.END)
    assert clip(browser) in ("inset(0px 0% 0px 0px)", "inset(0px)")
    assert browser.run("return document.querySelector('label[for=\"' + arguments[0].id + '\"]').textContent", slider)


def test_the_wipe_changes_pixels_where_it_says(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    browser.open(page)
    stage = find(".stage")
    pictures = []
    for value in (0, 50, 100):
        wipe(browser, value)
        pictures.append(stage.screenshot_as_png)
    moving, half, warped = pictures
    assert len({moving, half, warped}) == 3
    find(f"input[name='{NAME}-rank'][value='best']").click()
    assert stage.screenshot_as_png != warped


def test_each_method_and_rank_shows_its_own_pair(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    browser.open(page)
    for item in random_panels()["items"]:
        find(f"input[name='{NAME}-method'][value='{item['method']}']").click()
        find(f"input[name='{NAME}-rank'][value='{item['rank']}']").click()
        for role in ("moving", "warped", "fixed"):
            image = find(f".stage .{role}")
            assert image.get_attribute("src") == item[role]
            assert item["fixed_id" if role == "fixed" else "moving_id"] in image.get_attribute("alt")
        text = find(".viewer dl").text
        assert f"{item['moving_id']} to {item['fixed_id']}, group 7" in text
        assert f"{item['ncc_before']:.4g} before, {item['ncc_after']:.4g} after" in text
        assert "1.23 % of pixels" in text
        assert ("not known" in text) == (item["field_error"] is None)
    assert find(f"input[name='{NAME}-rank'][value='worst']").get_attribute("disabled") == "true"


def test_a_method_without_a_worst_pair_shows_another(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    browser.open(page)
    find(f"input[name='{NAME}-rank'][value='worst']").click()
    find(f"input[name='{NAME}-method'][value='second']").click()
    chosen = find(f"input[name='{NAME}-rank']:checked").get_attribute("value")
    assert chosen != "worst"
    assert f"m-{chosen} to f-1" in find(".viewer dl").text


def test_the_grid_lies_over_the_pixels(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    browser.open(page)
    assert not find(".stage svg").is_displayed()
    before = find(".stage").screenshot_as_png
    find(f"#{NAME}-grid").send_keys(Keys.SPACE)
    assert find(".stage svg").is_displayed()
    assert find(".stage").screenshot_as_png != before
    # A line through the middle of the first row of pixels, over the whole width but half a pixel at each end.
    box = "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.top, r.width, r.height];"
    left, top, width, height = browser.run(box, ".stage")
    x, y, length, _ = browser.run(box, ".stage polyline")
    pixel = width / SIZE
    assert abs(x - (left + pixel / 2)) < 2
    assert abs(y - (top + height / SIZE / 2)) < 2
    assert abs(length - (width - pixel)) < 3


def test_flicker_alternates_at_most_twice_a_second_and_stops(
    browser: Browser, page: Path, find: Callable[[str], Any]
) -> None:
    browser.open(page, calm=False)
    watch = """
    window.changes = [];
    new MutationObserver(() => window.changes.push(performance.now()))
      .observe(document.querySelector('.stage .fixed'), {attributes: true, attributeFilter: ['hidden']});
    """
    browser.run(watch)
    button = find(".viewer button[aria-pressed]")
    button.send_keys(Keys.ENTER)
    assert button.get_attribute("aria-pressed") == "true"
    WebDriverWait(browser.driver, 20).until(lambda _: browser.run("return window.changes.length") >= 5)
    button.send_keys(Keys.ENTER)
    assert button.get_attribute("aria-pressed") == "false"
    assert shown(browser) == "registered"
    assert browser.run("return FLICKER_MS") >= 500
    assert clip(browser) == "inset(0px 50% 0px 0px)"


def test_moving_the_slider_ends_the_flicker(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    browser.open(page, calm=False)
    button = find(".viewer button[aria-pressed]")
    assert button.text == "Flicker with the fixed image"
    button.click()
    wipe(browser, 30)
    assert button.get_attribute("aria-pressed") == "false"
    assert clip(browser) == "inset(0px 70% 0px 0px)"


def test_with_reduced_motion_nothing_moves_by_itself(browser: Browser, page: Path, find: Callable[[str], Any]) -> None:
    browser.open(page, calm=True)
    count = "window.timers = 0; const set = window.setInterval;"
    browser.run(count + "window.setInterval = (...given) => { window.timers++; return set(...given); };")
    button = find(".viewer button[aria-pressed]")
    assert button.text == "Show the fixed image"
    button.click()
    assert shown(browser) == "fixed"
    assert browser.run("return window.timers") == 0
    button.click()
    assert shown(browser) == "registered"


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1280", "390"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_viewer_is_in_order_for_the_checker(
    browser: Browser, page: Path, find: Callable[[str], Any], size: tuple[int, int], dark: bool
) -> None:
    browser.open(page, size, dark)
    assert browser.axe() == []
    assert browser.complaints() == []
    assert find(".viewer .stamp").text == STAMP
    assert find(".viewer .stamp").is_displayed()
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]


def test_without_scripts_the_sheet_is_shown(browser: Browser, page: Path) -> None:
    browser.open(page, scripts=False)
    assert browser.run("return document.querySelector('.viewer').checkVisibility()") is False
    assert browser.run("return document.querySelector('.sheet img').getBoundingClientRect().width") > 100
    browser.scripts(True)


def test_a_gallery_without_pairs_leaves_the_sheet(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path, {"stamp": "", "items": []}))
    assert browser.complaints() == []
    assert browser.run("return document.querySelector('.viewer').checkVisibility()") is False
    assert browser.run("return document.querySelector('.sheet').open") is True


def test_the_smoke_runs_galleries_work(browser: Browser, report: Path, find: Callable[[str], Any]) -> None:
    browser.open(report / "mnist_voxelmorph.html")
    viewers = browser.driver.find_elements(By.CSS_SELECTOR, ".viewer.ready")
    assert len(viewers) == 1
    wipe(browser, 20)
    assert clip(browser) == "inset(0px 80% 0px 0px)"
    methods = viewers[0].find_elements(By.CSS_SELECTOR, "fieldset:first-of-type input")
    sources = set()
    for method in methods:
        method.click()
        sources.add(find(".stage .warped").get_attribute("src"))
    assert len(sources) == len(methods) >= 2
    assert find(".viewer .stamp").text.startswith("synthetic stand-in")
    assert browser.run("return document.querySelectorAll('.stage polyline').length") > 10
