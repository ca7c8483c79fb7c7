"""Debian's Chromium without a window, driven by Selenium: for the page's figures and its tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"
QUIET = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)


def missing() -> str:
    """What stands against driving a browser here; empty where nothing does."""
    if not find_spec("selenium"):
        return "selenium is not installed"
    if not any(map(shutil.which, BROWSERS)):
        return "no Chromium; Debian's packages: chromium, chromium-driver"
    return "" if shutil.which(DRIVER) else "no chromedriver; Debian's package: chromium-driver"


@contextmanager
def browser(width: int = 1280, height: int = 900) -> Iterator[Any]:
    """A driver of a fresh browser, which is closed afterwards; its downloads lie in ``driver.downloads``."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = webdriver.ChromeOptions()
        options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
        for flag in (*QUIET, f"user-data-dir={folder}/profile", f"window-size={width},{height}"):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver: Any = webdriver.Chrome(options=options, service=Service(shutil.which(DRIVER)))
        driver.downloads = Path(folder)
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": folder})
        try:
            yield driver
        finally:
            driver.quit()
