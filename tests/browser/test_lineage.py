"""From a figure to the archive's checksum with the network off, the code as it was, and the name of any file of the run."""

import csv
import hashlib
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from .conftest import Browser
from .test_pages import PAPERS, page_of

# The hashes that can be read in the last entry of an open chain, and the badge before them.
ARCHIVE = """
const entry = arguments[0].querySelector('.lineage > .archive');
const seen = [...entry.querySelectorAll('button.hash')].filter((button) => button.checkVisibility());
return [entry.querySelector('.badge').textContent, seen.map((button) => button.title)];
"""


def sums(report: Path) -> dict[str, set[str]]:
    """Per dataset, the checksums of its archives as the run's source tables have them."""
    found = {}
    for path in (report.parent / "data").glob("*/source.csv"):
        with open(path, encoding="utf-8", newline="") as file:
            found[path.parent.name] = {row["sha256"] for row in csv.DictReader(file)}
    return found


def exhibits(browser: Browser) -> list[WebElement]:
    return browser.driver.find_elements(By.CSS_SELECTOR, "section.exhibit")


@pytest.mark.parametrize("paper", PAPERS)
def test_a_click_on_any_exhibit_reaches_the_checksum_of_its_archive(browser: Browser, report: Path, paper: str) -> None:
    known = sums(report)
    browser.open(page_of(report, paper))
    assert len(exhibits(browser)) >= 9
    for exhibit in exhibits(browser):
        record = exhibit.find_element(By.CSS_SELECTOR, "details.record")
        # The sheet of a gallery is closed where the gallery can be slid.
        pictures = [image for image in exhibit.find_elements(By.CSS_SELECTOR, ".plate img") if image.is_displayed()]
        target = pictures[0] if pictures else record.find_element(By.TAG_NAME, "summary")
        browser.run("arguments[0].scrollIntoView({block: 'center'})", target)
        target.click()
        assert record.get_attribute("open") is not None
        origin, hashes = browser.run(ARCHIVE, record)
        assert origin == "synthetic"
        assert set(hashes) in known.values()
        assert record.find_element(By.CSS_SELECTOR, "summary .badge").text == "verified"
    assert [address for address in browser.requests() if not address.startswith(("file:", "data:"))] == []
    assert browser.complaints() == []


def named(browser: Browser, *files: Path) -> list[str]:
    """What the page says of files that are given to it."""
    place = browser.driver.find_element(By.CSS_SELECTOR, ".drop")
    for old in place.find_elements(By.CSS_SELECTOR, ".named li"):
        browser.run("arguments[0].remove()", old)
    place.find_element(By.CSS_SELECTOR, "input").send_keys("\n".join(map(str, files)))
    WebDriverWait(browser.driver, 20).until(
        lambda driver: len(place.find_elements(By.CSS_SELECTOR, ".named li")) == len(files)
    )
    return [line.text for line in place.find_elements(By.CSS_SELECTOR, ".named li")]


@pytest.mark.parametrize("page", ["index", "deep_prior"])
def test_a_file_of_the_run_is_named_and_an_altered_one_is_not(
    browser: Browser, report: Path, tmp_path: Path, page: str
) -> None:
    run = report.parent
    figure = run / "deep_prior" / "figures" / "fig2_examples_boxplots.png"
    images, receipt = run / "data" / "tcga_lgg" / "images.npy", run / "receipts" / "deep_prior" / "pair_images"
    receipt = sorted(receipt.glob("*.json"))[0]
    content = bytearray(figure.read_bytes())
    content[-1] ^= 1
    altered = tmp_path / "fig2_examples_boxplots.png"
    altered.write_bytes(content)
    browser.open(page_of(report, page))
    assert named(browser, figure, images, receipt, altered) == [
        f"{figure.name}: Fig. 2 of deep_prior: deep_prior/figures/{figure.name}",
        "images.npy: data/tcga_lgg/images.npy",
        f"{receipt.name}: receipts/deep_prior/pair_images/{receipt.name}",
        "fig2_examples_boxplots.png: unknown or altered",
    ]
    assert browser.complaints() == []


def test_the_code_is_shown_as_it_was(browser: Browser, report: Path) -> None:
    browser.open(page_of(report, "mnist_voxelmorph"))
    exhibit = exhibits(browser)[-1]
    for details in exhibit.find_elements(By.CSS_SELECTOR, "details.record, details.code"):
        browser.run("arguments[0].open = true", details)
    links = exhibit.find_elements(By.CSS_SELECTOR, "a[data-code]")
    assert len(links) > 20
    browser.run("arguments[0].scrollIntoView({block: 'center'})", links[0])
    links[0].click()
    shown = browser.run("return arguments[0].parentElement.querySelector('pre').textContent", links[0])
    assert hashlib.sha256(shown.encode()).hexdigest() == links[0].get_attribute("data-code")
    # Where scripts are off, the link leads to the same file.
    kept = report / str(links[0].get_dom_attribute("href"))
    assert kept.resolve().read_text(encoding="utf-8") == shown
