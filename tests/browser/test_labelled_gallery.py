"""What the gallery's viewer shows of labelled pairs besides: outlines, Dice, heat maps, and the pair common to all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from reregister.drawing import Exhibit
from reregister.figures import gallery, pair_comparison
from reregister.tables import write_arrays

from ..unit.test_cardiac_figures import PAIR, examples_of
from .conftest import Browser
from .panels import write_page

NAME = "figS9_gallery"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any]]]:
    """A page of all pairs and one of the common pair, each with its panels."""
    folder = tmp_path_factory.mktemp("labelled")
    paths = [folder / f"{method}.npz" for method in PAIR]
    for path, method in zip(paths, PAIR, strict=True):
        write_arrays(path, examples_of(method))
    about = Exhibit("dirnet", NAME, "gallery", list(PAIR.items()), True, "smoke", True, "ab" * 32)
    made = {module.__name__: module.panels(about, {"gallery": paths}) for module in (gallery, pair_comparison)}
    return {name.split(".")[-1]: (write_page(folder / name, panels), panels) for name, panels in made.items()}


@pytest.fixture
def find(browser: Browser) -> Callable[[str], Any]:
    return lambda selector: browser.driver.find_element(By.CSS_SELECTOR, selector)


def legends(browser: Browser) -> list[str]:
    return [legend.text for legend in browser.driver.find_elements(By.CSS_SELECTOR, ".viewer legend")]


def test_the_common_pair_can_be_chosen_and_has_its_dice(
    browser: Browser, pages: dict[str, Any], find: Callable[[str], Any]
) -> None:
    page, panels = pages["gallery"]
    browser.open(page)
    assert browser.complaints() == []
    assert legends(browser) == ["Method", "Pair by Dice after registration"]
    find(f"input[name='{NAME}-rank'][value='common']").click()
    common = next(item for item in panels["items"] if item["rank"] == "common")
    assert find(".stage .warped").get_attribute("src") == common["warped"]
    assert "0.6 before, 0.9 after" in find(".viewer dl").text
    assert browser.axe() == []


def test_outlines_lie_over_the_pixels_and_follow_the_wipe(
    browser: Browser, pages: dict[str, Any], find: Callable[[str], Any]
) -> None:
    browser.open(pages["gallery"][0])
    stage = find(".stage")
    with_outlines = stage.screenshot_as_png
    assert find(".stage svg.outline-fixed").is_displayed()
    # The other outlines end where their image does.
    clips = [find(f".stage svg.outline-{role}").value_of_css_property("clip-path") for role in ("warped", "moving")]
    assert clips == ["inset(0px 50% 0px 0px)", "inset(0px 0px 0px 50%)"]
    find(f"#{NAME}-outlines").send_keys(Keys.SPACE)
    assert not find(".stage svg.outline-fixed").is_displayed()
    assert stage.screenshot_as_png != with_outlines


def test_heat_maps_take_the_place_of_the_images(
    browser: Browser, pages: dict[str, Any], find: Callable[[str], Any]
) -> None:
    page, panels = pages["pair_comparison"]
    browser.open(page)
    assert legends(browser) == ["Method", "Pair"]
    item = panels["items"][0]
    find(f"#{NAME}-heat").click()
    for role, when in (("moving", "before"), ("warped", "after")):
        image = find(f".stage .{role}")
        assert image.get_attribute("src") == item[f"difference_{when}"]
        assert image.get_attribute("alt").startswith("Difference")
    assert find(".sides").text.split() == ["difference", "after", "difference", "before"]
    assert "from 0 (dark) to 0.75 (light)" in find(".viewer dl").text
    assert browser.axe() == []
    find(f"#{NAME}-heat").click()
    assert find(".stage .warped").get_attribute("src") == item["warped"]
