#!/usr/bin/env python3
"""The dashboard as the binary serves it, over a store of a made-up cluster: the numbers on the screen are
those of `gtap report`, to the nano-dollar."""

import base64
import gzip
import hashlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import browser as chromium  # noqa: E402
import gtap as support  # noqa: E402  (browser.py has made its folder known)
from daemon import free_ports  # noqa: E402
from page import AXE, Page  # noqa: E402

DAY = "range=2024-01-01T02:00:00Z~2024-01-01T10:00:00Z"
SINCE, UNTIL = "2024-01-01T02:00:00Z", "2024-01-01T10:00:00Z"


class Binary(Page):
    """One store and one `gtap serve` for all tests."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        holder = tempfile.TemporaryDirectory(prefix="gtap-e2e-")
        cls.addClassCleanup(holder.cleanup)
        cls.gtap = support.Gtap(support.ARGS.gtap, holder.name)
        cls.gtap.meter(cls.gtap.store("gtap.db"), "synthetic:?duration=12h&price=2.5")
        cls.child = cls.gtap.start("serve", "--store", cls.gtap.store("gtap.db"), "--listen", "127.0.0.1:0")
        cls.addClassCleanup(cls.end)
        cls.port = int(re.search(r"serving at http://127\.0\.0\.1:(\d+)", cls.child.stderr.readline())[1])

    @classmethod
    def end(cls):
        cls.child.terminate()
        try:
            cls.child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            cls.child.kill()
            cls.child.communicate()

    def serve(self):
        return f"http://127.0.0.1:{self.port}/"

    def setUp(self):
        super().setUp()
        self.provoked = self.missing()

    def ask(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            c.request("GET", path)
            answer = c.getresponse()
            return answer.status, answer.read().decode()
        finally:
            c.close()

    def get(self, path, **params):
        status, text = self.ask(f"/api/v1/{path}?{urllib.parse.urlencode(params)}")
        self.assertEqual(status, 200, text)
        return json.loads(text)

    def missing(self):
        """Complaints of the browser's that routes which this binary does not have may cause."""
        paths = json.loads(self.ask("/openapi.json")[1])["paths"]
        return [f"api/v1/{name}.* 404" for name in ("events", "prices", "requests") if f"/api/v1/{name}" not in paths]

    def needs(self, name):
        if self.ask(f"/api/v1/{name}")[0] == 404:
            self.skipTest(f"this binary has no /api/v1/{name}")

    def report(self, *more):
        done = self.gtap.run("report", "--store", self.gtap.store("gtap.db"), "--since", SINCE, "--until", UNTIL,
                             "--exact", "--json", *more)
        return json.loads(done.stdout)

    def test_the_screen_says_what_the_report_says(self):
        def numbers(rows):
            return [r[4] for r in rows]
        for by in ("model", "tenant"):
            plain = self.gtap.run("report", "--store", self.gtap.store("gtap.db"), "--since", SINCE, "--until", UNTIL,
                                  "--by", by, "--exact").stdout
            for basis in ("busy", "loaded"):
                self.open(f"#/time?{DAY}&by={by}&basis={basis}&exact=1")
                rows = self.table()
                bill = next(r for r in rows if r[0] == "bill")[4]
                self.assertIn(bill, plain)
                self.assertFalse(self.all("main .bad"))
                if basis == "busy":
                    for row in rows:
                        line = next(x for x in plain.splitlines() if x.startswith(row[0] + " "))
                        self.assertIn(row[4], line)
            self.assertEqual(len(numbers(rows)), len(rows))

    def test_filters_add_up(self):
        self.open(f"#/time?{DAY}&by=tenant&model=llama-3-70b&exact=1")
        self.says(r"adds up to what the filter shows: \$[\d.]+ of the whole bill's \$160\.000000000")
        self.open(f"#/time?{DAY}&by=gpu&exact=1")
        self.assertEqual(next(r for r in self.table() if r[0] == "bill")[7], "160.000000000")

    def test_zooming(self):
        self.open(f"#/time?{DAY}")
        self.assertEqual(len(self.all(".chart canvas")), 2)
        self.drag(".chart", 0.4, 0.6)
        self.arrives("range=2024-01-01T0[4-6]:00:00Z")
        begin, end = self.range()
        self.assertEqual(begin % 900 + end % 900, 0)
        self.says("adds up to the bill")

    def test_places_for_everybody(self):
        pages = [f"#/time?{DAY}", f"#/time?{DAY}&by=gpu", f"#/who?{DAY}", f"#/who?{DAY}&tenant=search", "#/health"]
        for scheme in ("light", "dark"):
            for width, height in (chromium.DESKTOP, chromium.PHONE):
                chromium.size(self.browser, width, height)
                chromium.media(self.browser, prefers_color_scheme=scheme)
                for page in pages:
                    self.open(page)
                    with self.subTest(page=page, scheme=scheme, width=width):
                        self.assertEqual(self.script(AXE), [])
                        self.assertFalse(self.all(".problem"))

    def test_now_and_health(self):
        self.open()
        self.wait(lambda: len(self.all(".tile")) == 8, "tiles")
        self.assertEqual({t.text for t in self.all(".tile .state")}, {"silent"})  # of 2024
        self.open("#/health")
        self.says("The store can be read")
        self.says("No record was refused")

    def test_a_request_is_explained(self):
        self.needs("requests")
        self.open(f"#/who?{DAY}&tenant=search&model=llama-3-70b")
        rows = self.all("table.requests tbody tr")
        self.assertEqual(len(rows), 50)
        self.script("document.querySelector('table.requests tbody a').click()")
        self.arrives("id=")
        self.says(r"This request ran [\d.]+ s on (\d GPUs of )?gpu-01.*; [\d.]+ % of the GPUs?'s? [\d.]+ \$ in that time\.")
        self.says("adds up to what it cost on this GPU")
        self.assertFalse(self.all("main .bad, main .problem"))
        event = re.search(r"\bid=([^&]+)", self.hash())[1]
        stored = next(r for r in self.gtap.export("token_usage", self.gtap.store("gtap.db")) if r["event_id"] == event)
        shown = self.text(".request h2").split()[0].replace("$", "").replace(".", "").lstrip("0")
        self.assertEqual(shown, str(stored["cost_nusd"]))

    def test_a_price_is_tried_out(self):
        self.needs("prices")
        self.open("#/prices")
        self.one("#price-name").send_keys("NVIDIA H100*")
        self.one("#price-price_per_hour_usd").send_keys("3.25")
        self.keys("ENTER")
        self.says("Nothing has been written yet")
        self.assertEqual(self.get("prices")["items"], [])
        self.one("#price-apply").click()
        self.says("The price is in the book")
        self.wait(lambda: [p["price_per_hour_usd"] for p in self.get("prices")["items"]] == ["3.250000000"], "the price")

    def load(self, name):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.addCleanup(c.close)
        c.request("GET", f"/{name}", headers={"Accept-Encoding": "gzip"})
        answer = c.getresponse()
        self.assertEqual(answer.status, 200, name)
        return answer, answer.read()

    def test_bytes_of_all(self):
        total = len(self.load("")[1])
        page = gzip.decompress(self.load("")[1]).decode()
        names = re.findall(r'(?:href|src)="(assets/[^"]+)"', page)
        folder = os.path.commonpath(names)
        self.assertIn(f"{folder}/app.js", names)
        for name in {*names, f"{folder}/chart.js"}:
            answer, body = self.load(name)
            self.assertIn("immutable", answer.headers["Cache-Control"])
            total += len(body)
        print(f"# {total} bytes in all")
        self.assertLess(total, 200_000)

    def test_what_is_inline_is_allowed_by_its_hash_and_nothing_else(self):
        answer, body = self.load("")
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        page = gzip.decompress(body).decode()
        self.assertEqual(policy["default-src"], "'none'")
        self.assertNotIn("unsafe", answer.headers["Content-Security-Policy"])
        for kind in ("script", "style"):
            inline = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
            hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline]
            allowed = policy[f"{kind}-src"].split()
            self.assertEqual([a for a in allowed if a != "'self'"], [f"'sha256-{h}'" for h in hashes])
            self.assertTrue(inline)


class Live(Page):
    """A run that meters what happens now, with a token; killed, and started again."""

    def serve(self):
        holder = tempfile.TemporaryDirectory(prefix="gtap-e2e-")
        self.addCleanup(holder.cleanup)
        self.gtap = support.Gtap(support.ARGS.gtap, holder.name)
        self.gtap.meter(self.gtap.store("live.db"), "synthetic:?duration=45m&start=-58m&price=2.5")
        with open(self.gtap.file("token"), "w", encoding="ascii") as f:
            f.write("s3cret-of-this-test\n")
        self.child, self.port = None, free_ports(1)[0]  # its own, too, while it is down
        self.addCleanup(self.kill)
        self.start()
        return f"http://127.0.0.1:{self.port}/"

    def start(self):
        self.child = self.gtap.start("run", "--in", "synthetic:?price=2.5&rate=20", "--out", self.gtap.store("live.db"),
                                     "--api-token-file", self.gtap.file("token"), "--listen", f"127.0.0.1:{self.port}")
        found = None
        while not found:
            line = self.child.stderr.readline()
            self.assertTrue(line, "it does not serve")
            found = re.search(r"serving at http://127\.0\.0\.1:(\d+)", line)

    def kill(self):
        if self.child and self.child.poll() is None:
            self.child.kill()
            self.child.communicate()

    def test_live_lost_and_back(self):
        self.provoked = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE",
                         "status of 401", "status of 503"]
        self.open(wait=False)
        self.says("This gtap wants a token", "#token-dialog")
        self.wait(lambda: self.focused() == "token", "the field")
        self.keys("s3cret-of-this-test", "ENTER")
        self.says(r"\$/h\s+[\d.]+")
        self.says(r"\$/Mtok loaded\s+[\d.,]+")
        self.says(r"share idle\s+\d+\s%")
        self.wait(lambda: len(self.all(".tile")) == 8, "tiles")
        states = "return [...document.querySelectorAll('.tile .state')].map((e) => e.innerText)"
        self.wait(lambda: set(self.script(states)) <= {"busy", "idle"}, "none is silent")
        self.wait(lambda: self.one(".spark path").get_attribute("d").count("L") > 6, "a line")
        self.kill()
        self.says("gtap does not answer", "#banner")
        self.start()
        self.wait(lambda: self.script("return document.querySelector('#banner').hidden"), "it is back")
        self.one("[data-place=time]").click()
        self.arrives("^#/time")
        self.says("adds up to the bill")
        self.wait(lambda: "Provisional: what is after" in self.text(), "it looks again by itself")
        self.one("[data-place=health]").click()
        self.says("Records come in and are stored")
        self.says("synthetic:")


if __name__ == "__main__":
    support.main(__name__)
