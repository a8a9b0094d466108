"""How soon a person sees something: the dashboard's first paint in Chromium, and what it loads."""

import contextlib
import http.server
import statistics
import sys
import threading
import time
from pathlib import Path

from harness import Failed
from views import Serving

E2E = Path(__file__).resolve().parent.parent / "tests" / "e2e"
PLACES = {"Now": "#/now", "Over time": "#/time", "Who": "#/who", "Prices": "#/prices", "Health": "#/health"}
WAIT_S = 30
WORD = "One word"
PAGE = b"<!doctype html><title>word</title><p>word"
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


class OneWord(http.server.BaseHTTPRequestHandler):
    """A page of one word, without anything else: what the browser itself takes."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        found = self.path == "/"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE) if found else 0))
        self.end_headers()
        self.wfile.write(PAGE if found else b"")


@contextlib.contextmanager
def one_word():
    """Its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OneWord)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


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
    """By place, and for a page of one word: median seconds to the first paint with an empty cache and
    with a warm one, and bytes with an empty one. All of them in turns."""
    sys.path.insert(0, str(E2E))
    import browser as chromium  # selenium comes from PyPI, for this subject alone
    browser = chromium.open_browser()
    try:
        with Serving(gtap, store) as served, one_word() as word:
            root = f"http://127.0.0.1:{served.connection.port}/"
            pages = {WORD: word, **{place: root + address for place, address in PLACES.items()}}
            loads = {name: ([], []) for name in pages}
            for _ in range(rounds):
                for name, url in pages.items():
                    for cached in (False, True):
                        loads[name][cached].append(load(browser, url, cached))
    finally:
        chromium.close_browser(browser)
    return {name: (statistics.median(s for s, _ in cold), statistics.median(s for s, _ in warm),
                   max(n for _, n in cold)) for name, (cold, warm) in loads.items()}
