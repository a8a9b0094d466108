#!/usr/bin/env python3
"""Makes docs/screenshots/*.png: every place of the dashboard on a made-up server, light and dark, on a
desktop and a phone; 256 colours each, so that they stay small."""

import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import browser as chromium  # noqa: E402
from fixture_server import Fixture  # noqa: E402
from python_venv import import_from  # noqa: E402

PILLOW = ["pillow==11.3.0"]
OUT = os.path.join(HERE, "..", "..", "docs", "screenshots")
PAGES = {"now": "#/now", "time": "#/time", "who": "#/who", "request": "#/who?id=01940000-0000-7000-8000-000000000009",
         "prices": "#/prices", "health": "#/health"}
HEIGHT_MAX = {"desktop": 1600, "phone": 1500}


def shoot(browser, fixture, address, device, scheme):
    width, height = {"desktop": chromium.DESKTOP, "phone": chromium.PHONE}[device]
    chromium.size(browser, width, height)
    chromium.media(browser, prefers_color_scheme=scheme)
    browser.get("about:blank")
    browser.get(fixture.url + address)
    chromium.wait_for(lambda: browser.execute_script(
        "return !document.querySelector('.loading, [aria-busy]') && connection.textContent === 'live'"), address)
    whole = browser.execute_script("return document.documentElement.scrollHeight")
    chromium.size(browser, width, min(whole, HEIGHT_MAX[device]))
    time.sleep(0.3)  # charts follow the size a frame later
    return browser.get_screenshot_as_png()


def main():
    image = import_from("pillow", PILLOW, "PIL.Image")
    only = sys.argv[1:]
    os.makedirs(OUT, exist_ok=True)
    fixture, browser = Fixture().start(), chromium.open_browser()
    try:
        for place, address in PAGES.items():
            for device in ("desktop", "phone"):
                for scheme in ("light", "dark"):
                    name = f"{place}-{device}-{scheme}.png"
                    if only and not any(o in name for o in only):
                        continue
                    with tempfile.TemporaryFile() as f:
                        f.write(shoot(browser, fixture, address, device, scheme))
                        picture = image.open(f).convert("RGB").quantize(256, dither=0)
                    picture.save(os.path.join(OUT, name), optimize=True)
                    print(name, os.path.getsize(os.path.join(OUT, name)))
    finally:
        chromium.close_browser(browser)
        fixture.stop()


main()
