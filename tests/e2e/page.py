"""A page of the dashboard in a browser, and what tests do with it."""

import os
import re
import sys
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import browser as chromium  # noqa: E402
from fixture_server import Fixture  # noqa: E402

with open(os.path.join(HERE, "axe.js"), encoding="utf-8") as f:
    AXE = f.read()


class Page(unittest.TestCase):
    """One browser for all tests of a class, a server for each."""

    @classmethod
    def setUpClass(cls):
        cls.browser = chromium.open_browser()
        cls.addClassCleanup(chromium.close_browser, cls.browser)

    def serve(self):
        self.fixture = Fixture().start()
        self.addCleanup(lambda: self.fixture.server and self.fixture.stop())
        return self.fixture.url

    def setUp(self):
        self.url = self.serve()
        self.provoked = []  # patterns of what the log may say
        chromium.size(self.browser, *chromium.DESKTOP)
        chromium.media(self.browser, prefers_color_scheme="light")
        self.browser.get_log("browser")

    def tearDown(self):
        lines = [f"{line['level']} {line['message']}" for line in self.browser.get_log("browser")]
        self.browser.get("about:blank")
        bad = [line for line in lines if not any(re.search(p, line) for p in self.provoked)]
        self.assertEqual(bad, [])

    # --- what tests do

    def open(self, address="", wait=True):
        self.browser.get("about:blank")
        self.browser.get(self.url + address)
        if wait:
            self.settled()

    def script(self, text, *args):
        return self.browser.execute_script(text, *args)

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def one(self, selector):
        return chromium.wait_for(lambda: next(iter(self.all(selector)), None), selector)

    def text(self, selector="main"):
        return self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def wait(self, condition, what=""):
        return chromium.wait_for(condition, what)

    def says(self, pattern, selector="main"):
        return self.wait(lambda: re.search(pattern, self.text(selector)), f"{pattern} in {selector}")

    def settled(self):
        self.wait(lambda: self.script("return !document.querySelector('.loading, [aria-busy]')"), "loading")

    def hash(self):
        return urllib.parse.unquote(self.script("return location.hash"))

    def arrives(self, pattern):
        self.wait(lambda: re.search(pattern, self.hash()), f"the address {pattern}, not {self.hash()}")
        self.settled()

    def keys(self, *names):
        from selenium.webdriver.common.action_chains import ActionChains  # noqa: PLC0415
        from selenium.webdriver.common.keys import Keys  # noqa: PLC0415
        actions = ActionChains(self.browser)
        for name in names:
            if name.startswith("shift+"):
                actions.key_down(Keys.SHIFT).send_keys(getattr(Keys, name[6:])).key_up(Keys.SHIFT)
            else:
                actions.send_keys(getattr(Keys, name, name))
        actions.perform()

    def focused(self):
        return self.script("return document.activeElement.id || document.activeElement.dataset.key || document.activeElement.tagName")

    def drag(self, selector, begin, end):
        """Over these parts of a chart's width."""
        from selenium.webdriver.common.action_chains import ActionChains  # noqa: PLC0415
        box = self.one(selector)
        width = box.size["width"]
        actions = ActionChains(self.browser, duration=20)
        actions.move_to_element_with_offset(box, int(width * (begin - 0.5)), 0).click_and_hold()
        actions.move_by_offset(int(width * (end - begin) / 2), 0).move_by_offset(int(width * (end - begin) / 2), 0)
        actions.release().perform()

    def range(self):
        """[from, to] of the address, in seconds."""
        found = re.search(r"range=([^&~]+)~([^&]+)", self.hash())
        return [self.script("return Date.parse(arguments[0]) / 1000", t) for t in found.groups()]

    def table(self, selector="table.costs"):
        """Rows of cells, as texts; money in cents."""
        return self.script("""return [...document.querySelectorAll(arguments[0] + ' :is(tbody, tfoot) tr')].map((r) =>
            [...r.cells].map((c) => c.innerText.trim()))""", selector)
