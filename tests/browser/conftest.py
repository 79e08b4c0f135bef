"""A headless Chromium with the network off, and the pages to open in it.

Where the browser is missing these tests are skipped; with REREGISTER_BROWSER=required, as in continuous integration,
that is a failure.
"""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from ..conftest import Workflow

WIDE, PHONE = (1280, 900), (390, 844)
# Debian's packages chromium and chromium-driver, or what else the PATH has.
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


class Browser:
    """Chromium as the tests use it: a page in a size and a colour scheme, and what it asked for and complained of."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM
        assert DRIVER
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (
            "--headless=new",
            f"--user-data-dir={profile}",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            # No name has an address: whatever a page would ask for cannot be had.
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ):
            options.add_argument(argument)
        if os.geteuid() == 0:
            # Chromium refuses its sandbox to root, whom containers run as.
            options.add_argument("--no-sandbox")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        # axe goes through every element of a page of several megabytes, on a machine that tests other things at the same time.
        self.driver.set_script_timeout(300)

    def open(
        self, page: Path, size: tuple[int, int] = WIDE, dark: bool = False, calm: bool = True, scripts: bool = True
    ) -> None:
        """Open a page from its file. Logs of earlier pages are dropped.

        calm: the reader prefers reduced motion; then scrolling is at once, and a click hits what it was aimed at.
        """
        self.scripts(scripts)
        self.look(size, dark, calm)
        for log in ("performance", "browser"):
            self.driver.get_log(log)
        self.driver.get(page.as_uri())
        # Volumes are unpacked after the page was loaded.
        busy = "return document.querySelectorAll('[aria-busy]').length"
        WebDriverWait(self.driver, 20).until(lambda _: not scripts or self.run(busy) == 0)

    def scripts(self, on: bool) -> None:
        """Let pages that are opened from now on run their scripts, or not."""
        self.cdp("Emulation.setScriptExecutionDisabled", value=not on)

    def look(self, size: tuple[int, int] = WIDE, dark: bool = False, calm: bool = True) -> None:
        """Size of the window in CSS pixels and what the reader prefers."""
        width, height = size
        phone = width < 600
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        features = {
            "color-scheme": "dark" if dark else "light",
            "reduced-motion": "reduce" if calm else "no-preference",
        }
        self.cdp(
            "Emulation.setEmulatedMedia",
            media="",
            features=[{"name": f"prefers-{name}", "value": value} for name, value in features.items()],
        )

    def cdp(self, command: str, **arguments: Any) -> Any:
        """One command of the Chrome DevTools Protocol."""
        return self.driver.execute_cdp_cmd(command, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        """Value that a script returns; it runs beside the page and is not held to the page's policy."""
        return self.driver.execute_script(script, *arguments)

    def requests(self) -> list[str]:
        """Addresses asked for since the page was opened."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        sockets = [event["params"] for event in events if event["method"] == "Network.webSocketCreated"]
        return [params["request"]["url"] for params in sent] + [params["url"] for params in sockets]

    def complaints(self) -> list[str]:
        """Lines of the console since the page was opened: errors of scripts, breaches of the policy, warnings."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def axe(self) -> list[str]:
        """What the accessibility checker axe finds wrong: rule, impact, and the elements."""
        self.run(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations));"
        )
        return [f"{rule['id']} ({rule['impact']}): {[node['html'][:200] for node in rule['nodes']]}" for rule in found]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    if not (CHROMIUM and DRIVER):
        missing = [name for name, path in (("chromium", CHROMIUM), ("chromedriver", DRIVER)) if not path]
        say = pytest.fail if os.environ.get("REREGISTER_BROWSER") == "required" else pytest.skip
        say(f"{' and '.join(missing)} not found; Debian's packages are chromium and chromium-driver")
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.driver.quit()


@pytest.fixture(scope="session")
def report(smoke: Workflow) -> Path:
    """Folder of the smoke run's pages."""
    return smoke.folder / "results" / "smoke" / "report"


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: the folder that REREGISTER_ARTEFACTS names, or one of pytest's."""
    named = os.environ.get("REREGISTER_ARTEFACTS")
    return Path(named) if named else tmp_path_factory.mktemp("artefacts")
