"""Choosing dataset, measures and methods at the head of a page, and copying its tables in three forms."""

import csv
import io
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from ..conftest import Workflow
from .conftest import PHONE, WIDE, Browser


@pytest.fixture(scope="module")
def page(protocol: Workflow) -> Path:
    return protocol.folder / "results" / "smoke" / "report" / "common_protocol.html"


def lists(browser: Browser) -> list[Select]:
    """Data, up and across."""
    return [Select(element) for element in browser.driver.find_elements(By.CSS_SELECTOR, ".explorer select")]


def shown(browser: Browser) -> list[list[str]]:
    """Cells of the table below the picture."""
    script = (
        "return [...document.querySelectorAll('.explorer table tr')].map(r => [...r.cells].map(c => c.textContent))"
    )
    return browser.run(script)


def copied(browser: Browser, where: str, form: str) -> str:
    browser.cdp("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    button = browser.driver.find_element(By.CSS_SELECTOR, f"{where} .copy[aria-label^='Copy as {form}']")
    button.click()
    said = button.find_element(By.XPATH, "following-sibling::*[@role='status']")
    WebDriverWait(browser.driver, 10).until(lambda _: said.text == "Copied.")
    return str(browser.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])"))


@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (PHONE, False), (WIDE, True)], ids=["wide", "phone", "dark"])
def test_the_page_is_sound(browser: Browser, page: Path, artefacts: Path, size: tuple[int, int], dark: bool) -> None:
    browser.open(page, size, dark)
    assert browser.complaints() == []
    assert browser.axe() == []
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    browser.screenshot(artefacts / f"common_protocol-{size[0]}{'-dark' * dark}.png")
    # The picture is drawn for the width that there is.
    assert browser.run("return document.querySelector('.scatter svg').getBoundingClientRect().right") <= size[0]


def test_the_numbers_are_those_of_the_table_that_was_chosen(browser: Browser, page: Path) -> None:
    browser.open(page)
    data, up, across = lists(browser)
    assert (up.first_selected_option.text, across.first_selected_option.text) == ("NCC", "folded share")
    # By the keyboard alone.
    browser.driver.find_element(By.CSS_SELECTOR, ".explorer select").send_keys(Keys.END)
    assert data.first_selected_option.text == "Heads of 18 subjects"
    assert up.first_selected_option.text == "NCC", "what both datasets have stays chosen"
    up.select_by_value("dice")
    across.select_by_value("seconds")
    head, *rows = shown(browser)
    assert head == ["method", "Dice (95 % interval)", "seconds for one pair"]
    assert [row[0] for row in rows] == ["1 Before registration", "2 Affine (elastix)", "3 B-spline (elastix)"]
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, ".scatter .point")) == 3
    table = page.parents[1] / "common_protocol" / "tables" / "common_ibsr_table.csv"
    expected = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    found = list(csv.DictReader(io.StringIO(copied(browser, ".explorer", "CSV"))))
    for row, whole in zip(found, expected, strict=True):
        assert row["method"] == whole["method"]
        for name in ("dice", "dice_low", "dice_high", "seconds"):
            assert (float(row[name]) if row[name] else None) == (float(whole[name]) if whole[name] else None)
    said = browser.driver.find_element(By.CSS_SELECTOR, ".explorer .caption")
    assert "IBSR V2.0, skull-stripped, synthetic stand-in, smoke scale" in said.text
    said.find_element(By.TAG_NAME, "a").click()
    assert browser.driver.current_url.endswith("#common_ibsr_table")


def test_methods_that_are_not_chosen_go_from_picture_and_table(browser: Browser, page: Path) -> None:
    browser.open(page)
    boxes = browser.driver.find_elements(By.CSS_SELECTOR, ".chosen input")
    boxes[0].send_keys(Keys.SPACE)
    assert [row[0] for row in shown(browser)[1:]] == ["2 DIRNet-BL"]
    assert [e.text for e in browser.driver.find_elements(By.CSS_SELECTOR, ".point text")] == ["2"]
    boxes[1].send_keys(Keys.SPACE)
    assert "No method that was chosen" in browser.driver.find_element(By.CSS_SELECTOR, ".scatter").text
    boxes[0].send_keys(Keys.SPACE)
    # What was chosen stays so with other data.
    lists(browser)[0].select_by_index(1)
    assert len(shown(browser)) == 4


def test_a_logarithmic_axis_has_a_place_for_zero(browser: Browser, page: Path) -> None:
    browser.open(page)
    lists(browser)[2].select_by_value("seconds")
    boxes = browser.driver.find_elements(By.CSS_SELECTOR, ".choices input")
    assert [box.is_selected() for box in boxes] == [False, True]
    across = ".scatter > svg > text[text-anchor=middle]:not(.axis)"
    ticks = f"return [...document.querySelectorAll('{across}')].map(t => t.textContent)"
    powers = [float(text) for text in browser.run(ticks)]
    assert all(later / earlier == pytest.approx(10) for earlier, later in pairwise(powers))
    boxes[1].click()
    steps = [float(text) for text in browser.run(ticks)]
    assert steps[1] - steps[0] == pytest.approx(steps[-1] - steps[-2])


def test_every_table_is_copied_as_markdown_and_latex_with_what_it_is_made_from(browser: Browser, page: Path) -> None:
    browser.open(page)
    markdown = copied(browser, "#common_ibsr_table", "Markdown").splitlines()
    assert markdown[0].startswith("| method | pairs |")
    assert set(markdown[1]) <= set("|-: ")
    assert len({line.count("|") for line in markdown[:5]}) == 1
    assert markdown[-1] == "IBSR V2.0, skull-stripped, synthetic stand-in, smoke scale"
    latex = copied(browser, "#common_ibsr_table", "LaTeX")
    assert latex.startswith("% IBSR V2.0, skull-stripped, synthetic stand-in, smoke scale\n\\begin{tabular}{lr")
    body = [line for line in latex.splitlines() if line.endswith("\\\\")]
    assert len(body) == 4
    assert len({line.count(" & ") for line in body}) == 1
    # A per cent sign would make a comment of the rest of its line.
    assert not [line for line in body if "%" in line.replace("\\%", "")]
    # As of any page, and of tables without a file of their own.
    assert copied(browser, "section[aria-labelledby='time']", "Markdown").startswith("| rule | jobs |")


def test_without_scripts_the_page_says_where_the_numbers_are(browser: Browser, page: Path) -> None:
    browser.open(page, scripts=False)
    text = browser.driver.find_element(By.CSS_SELECTOR, ".explorer").text
    assert "the same numbers stand in the tables below" in text
