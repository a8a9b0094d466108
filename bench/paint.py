"""How soon a person sees something: the dashboard's first paint in Chromium, and what it loads."""

import statistics
import sys
import time
from pathlib import Path

from harness import Failed
from views import Serving

E2E = Path(__file__).resolve().parent.parent / "tests" / "e2e"
PLACES = {"Now": "#/now", "Over time": "#/time", "Who": "#/who", "Prices": "#/prices", "Health": "#/health"}
WAIT_S = 30
SEEN = """
const paint = performance.getEntriesByName('first-contentful-paint')[0];
return paint && !document.querySelector('.loading, [aria-busy]') ? paint.startTime : null;
"""
# Of the page itself: what it asks the API is as much as there is to show.
LOADED = """
const own = (e) => e.entryType === 'navigation' || new URL(e.name).pathname.startsWith('/assets/');
const list = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
return list.filter(own).reduce((sum, e) => sum + e.encodedBodySize, 0);
"""


def load(browser, url, cached):
    """Seconds until the first paint, once everything is there, and the bytes that the page took."""
    browser.get("about:blank")
    if not cached:
        browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.get(url)
    until = time.monotonic() + WAIT_S
    while (seen := browser.execute_script(SEEN)) is None:
        if time.monotonic() > until:
            raise Failed(f"{url}: nothing was painted, or it still loads")
        time.sleep(0.02)
    return seen / 1e3, browser.execute_script(LOADED)


def measure(gtap, store, rounds):
    """By place: median seconds to the first paint with an empty cache and with a warm one, and
    bytes with an empty one."""
    sys.path.insert(0, str(E2E))
    import browser as chromium  # selenium comes from PyPI, for this subject alone
    found = {}
    browser = chromium.open_browser()
    try:
        with Serving(gtap, store) as served:
            root = f"http://127.0.0.1:{served.connection.port}/"
            for place, address in PLACES.items():
                cold = [load(browser, root + address, False) for _ in range(rounds)]
                warm = [load(browser, root + address, True) for _ in range(rounds)]
                found[place] = (statistics.median(s for s, _ in cold), statistics.median(s for s, _ in warm),
                                max(n for _, n in cold))
    finally:
        chromium.close_browser(browser)
    return found
