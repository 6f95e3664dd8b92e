"""A page as a person meets it: opened in headless Chromium, wide and on a phone.

Nothing outside of this machine is reached: whatever a page asks of it fails, and so
does the page.
"""

import base64
import contextlib
import os
import shutil
import time
from collections.abc import Iterator

from selenium import webdriver
from selenium.common import exceptions
from selenium.webdriver.chrome import service

# Pixels: a desktop's window and a phone's.
WIDTHS = (1280, 390)
_HEIGHT = 900
# Of a picture, pixels.
_TALLEST = 5_000
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DRIVER = "chromedriver"
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
# What reaches out of a page to the right, and isn't scrolled within something else.
_BEYOND = """
const width = arguments[0];
const scrolls = (e) => {
  for (let up = e.parentElement; up && up !== document.body; up = up.parentElement) {
    const style = getComputedStyle(up);
    if (style.overflowX !== 'visible' || style.position === 'fixed') return true;
  }
  return getComputedStyle(e).position === 'fixed';
};
const beyond = [...document.body.querySelectorAll('*')].filter(
  (e) => e.getBoundingClientRect().right > width + 1 && !scrolls(e));
const root = document.documentElement;
return {
  page: Math.max(root.scrollWidth, document.body.scrollWidth),
  height: root.scrollHeight,
  elements: beyond.slice(0, 5).map((e) => e.outerHTML.slice(0, 120)),
};
"""


def lacking() -> str:
    """Say what this machine lacks to open pages; empty: nothing."""
    if not shutil.which(_DRIVER) or not _browser():
        return "needs Chromium and its driver (chromium, chromium-driver)"
    return ""


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


class Browser:
    """Chromium, and what it says of the pages it opens."""

    def __init__(self, driver: webdriver.Chrome):
        self._driver = driver

    def faults(
        self,
        address: str,
        width: int,
        picture: str = "",
        until: str = "",
        must_fit: bool = True,
    ) -> list[str]:
        """Open a page; return what is wrong with it: errors, and what doesn't fit.

        Args:
            address: Its URL.
            width: Of the window, pixels.
            picture: Where to save what it looks like, PNG; empty: nowhere.
            until: JavaScript that is true once the page shows what it should.
            must_fit: Whether the page's own layout is asked for.
        """
        driver = self._driver
        metrics = {
            "width": width,
            "height": _HEIGHT,
            "deviceScaleFactor": 1,
            "mobile": width < 600,
        }
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.get_log("browser")
        driver.get(address)
        faults = self._wait(until) if until else []
        found = driver.execute_script(_BEYOND, width)
        if picture:
            self._keep(picture, width, found["height"])
        if must_fit and found["page"] > width:
            faults.append(f"{found['page']} pixels wide: {found['elements']}")
        faults += [
            entry["message"]
            for entry in driver.get_log("browser")
            if entry["level"] == "SEVERE"
        ]
        return [f"{address} at {width} pixels: {fault}" for fault in faults]

    def _keep(self, picture: str, width: int, height: int) -> None:
        """Save the page from its top, as far as a picture reaches."""
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, _TALLEST)}
        shot = self._driver.execute_cdp_cmd(
            "Page.captureScreenshot",
            {"captureBeyondViewport": True, "clip": clip | {"scale": 1}},
        )
        os.makedirs(os.path.dirname(picture), exist_ok=True)
        with open(picture, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def _wait(self, until: str, seconds: float = 60.0) -> list[str]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(exceptions.JavascriptException):
                if self._driver.execute_script(f"return Boolean({until})"):
                    return []
            time.sleep(0.1)
        return [f"never showed what it should ({until})"]


@contextlib.contextmanager
def opened() -> Iterator[Browser]:
    """Start Chromium, and end it."""
    options = webdriver.ChromeOptions()
    options.binary_location = _browser()
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    driver = webdriver.Chrome(
        options, service.Service(executable_path=shutil.which(_DRIVER))
    )
    # A busy machine stops a page for a minute at times.
    driver.set_script_timeout(300)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
