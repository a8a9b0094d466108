"""Chromium for tests: Debian's, headless, driven by its own chromedriver; nothing is downloaded but
the selenium package."""

import os
import shutil
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))

from python_venv import import_from  # noqa: E402

PACKAGES = ["selenium==4.50.0"]
DESKTOP, PHONE = (1280, 900), (360, 740)
WAIT = 120  # seconds, beside tests that want the same cores


def chromium():
    """The paths of the browser and its driver, or a skip that says what to install."""
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in found:
        raise unittest.SkipTest("chromium and chromium-driver are not installed: tools/install-deps.sh test")
    return found


def open_browser(*more):
    """A new browser without a window."""
    binary, driver = chromium()
    import_from("selenium", PACKAGES, "selenium")
    os.environ["SE_OFFLINE"] = "true"  # its manager is to look for nothing
    from selenium import webdriver  # noqa: PLC0415
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    profile = tempfile.mkdtemp(prefix="gtap-chromium-")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync",
                     "--disable-default-apps", "--disable-extensions", f"--user-data-dir={profile}", *more):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_page_load_timeout(WAIT)
    browser.profile_folder = profile
    return browser


def close_browser(browser):
    browser.quit()
    shutil.rmtree(browser.profile_folder, ignore_errors=True)


def size(browser, width, height):
    """The page's own size, whatever frame the browser has."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})


def media(browser, **features):
    """media(b, prefers_color_scheme="dark"); media="print" too."""
    kind = features.pop("media", "")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": [
        {"name": name.replace("_", "-"), "value": value} for name, value in features.items()]})


def wait_for(condition, what, seconds=WAIT):
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: it did not come about in {seconds} s")
        time.sleep(0.02)
