#!/usr/bin/env python3
"""The dashboard in a real browser, against a made-up server that can be stopped, made slow, empty and
failing: every place, zooming, permalinks, the keyboard, phones, colours, and what a page says when
something is wrong. After each test the browser's log must be clean but for what the test provoked."""

import os
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import browser as chromium  # noqa: E402
import gtap as support  # noqa: E402  (browser.py has made its folder known)
from fixture_server import Problem  # noqa: E402
from page import AXE, HERE, Page  # noqa: E402

PLACES = {"now": "Now", "time": "Over time", "who": "Who", "prices": "Prices", "health": "Health"}
REQUEST = "01940000-0000-7000-8000-000000000003"


class Places(Page):
    def test_now(self):
        self.open()
        self.says(r"\$/h\s+19\.6")
        self.says(r"\$/Mtok loaded\s+0\.\d{3}\b")
        self.says(r"share idle\s+2\d\s%")
        self.assertEqual(self.text("#title"), "Now")
        self.assertEqual(len(self.all(".tile")), 8)
        for state, n in (("busy", 5), ("idle", 1), ("silent", 1), ("no price", 1)):
            self.assertEqual([t.text for t in self.all(".tile .state")].count(state), n)
        self.says(r"no telemetry for 18 min")
        lines = self.all(".spark path")
        self.assertEqual(len(lines), 3)
        self.assertTrue(all(line.get_attribute("d").count("L") >= 9 for line in lines))

    def test_numbers_move_but_are_not_read_out_each_second(self):
        self.open()
        self.says(r"19\.6")
        self.script("""window.said = [];
            new MutationObserver(() => said.push(announcer.textContent)).observe(announcer, {childList: true, characterData: true, subtree: true})""")
        before = self.text("[data-number=mtok] .value")
        self.wait(lambda: self.text("[data-number=mtok] .value") != before, "another number")
        self.wait(lambda: self.text("[data-number=mtok] .value") not in (before, ""), "another number")
        self.assertLessEqual(len(self.script("return window.said")), 1)
        self.assertEqual(len(self.all("[aria-live]")), 1)

    def test_every_place_by_clicks(self):
        self.open()
        for place, title in PLACES.items():
            self.one(f"[data-place={place}]").click()
            self.arrives(f"^#/{place}")
            self.assertEqual(self.text("#title"), title)
            self.assertEqual(self.browser.title, f"{title} · gtap")
            self.assertEqual(self.one("nav [aria-current=page]").text, title)
        self.browser.back()
        self.arrives("^#/prices")
        self.assertEqual(self.text("#title"), "Prices")

    def test_over_time(self):
        self.open("#/time")
        self.says("adds up to the bill")
        self.assertEqual(len(self.all(".chart canvas")), 2)
        self.says(r"8 GPUs on 2 hosts · final up to")
        self.says(r"Provisional: what is after .* can still change")
        self.says(r"3 rows of this range were settled again after late records")
        drawn = self.script("""const c = document.querySelector('.chart canvas');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, seen = new Set();
            for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]);
            return seen.size""")
        self.assertGreater(drawn, 4)

    def test_tables_add_up_to_the_last_digit(self):
        def cents(text):
            return int(text.replace(",", "").replace(".", "") or 0)
        for address in ("#/time", "#/time?basis=loaded", "#/time?by=tenant&range=6h", "#/who", "#/time?exact=1", "#/who?tenant=chat"):
            self.open(address)
            rows = self.table()
            *groups, requests, idle, unattributed, bill = rows
            self.assertEqual([r[0] for r in (idle, unattributed, bill)], ["idle", "unattributed", "bill"])
            self.assertEqual(sum(cents(r[4]) for r in groups), cents(requests[4]), address)
            self.assertEqual(cents(requests[4]) + cents(idle[4]) + cents(unattributed[4]), cents(bill[4]), address)
            self.assertGreater(cents(bill[4]), 1000)
            self.assertFalse(self.all("main .bad"))

    def test_gpus_add_up_across_as_well(self):
        self.open("#/time?by=gpu")
        *groups, bill = self.table()
        self.assertEqual(len(groups), 8)
        number = lambda t: 0 if t.startswith("–") else int(t.replace(",", "").replace(".", ""))  # noqa: E731
        for row in (*groups, bill):
            self.assertEqual(number(row[4]) + number(row[5]) + number(row[6]), number(row[7]), row)
        for column in range(4, 8):
            self.assertEqual(sum(number(r[column]) for r in groups), number(bill[column]))
        unpriced = next(r for r in groups if r[0] == "gpu-02/2")
        self.assertTrue(unpriced[4].startswith("–"), unpriced)
        self.says("a price is missing: see Prices")

    def test_an_answer_that_does_not_add_up_is_shouted_about(self):
        plain = self.fixture.costs
        def wrong(q):
            answer = plain(q)
            answer["totals"]["bill"]["cost_usd"] = "1.000000000"
            return answer
        self.fixture.costs = wrong
        self.open("#/time")
        self.says(r"These rows add up to \$.* the bill is \$1\.000000000: that is an error of gtap")

    def test_drilling_down_to_the_sentence(self):
        self.open("#/who")
        self.one("table.costs tbody a").click()
        self.arrives("tenant=search")
        self.says("mistral-small")
        next(a for a in self.all("table.costs tbody a") if a.text == "llama-3-70b").click()
        self.arrives("model=llama-3-70b")
        self.says("Requests, newest first")
        next(a for a in self.all("table.requests tbody a")).click()
        self.arrives("id=0194")
        self.says(r"This request ran [\d.]+ s on gpu-0\d/\d beside 23 others; [\d.]+ % of the GPU's [\d.]+ \$ in that time\.")
        self.says("adds up to what it cost on this GPU")
        self.assertEqual([a.text for a in self.all(".crumbs a")], ["everybody", "search", "llama-3-70b", "request"])
        self.all(".crumbs a")[1].click()
        self.arrives(r"tenant=search$")

    def test_drilling_down_from_the_chart_and_filters_end(self):
        self.open("#/time")
        next(a for a in self.all("table.costs tbody a") if a.text == "llama-3-70b").click()
        self.arrives("by=tenant.*model=llama-3-70b")
        self.says("of the whole bill's")
        self.assertEqual([c.text for c in self.all(".chip")], ["model: llama-3-70b ×"])
        self.script("scrollTo(0, 0)")
        self.one(".chip").click()
        self.arrives("^#/time(?!.*model=)")
        self.says("adds up to the bill")

    def test_more_requests(self):
        self.open("#/who?tenant=search&model=llama-3-70b&range=7d")
        self.assertEqual(len(self.all("table.requests tbody tr")), 50)
        self.one("[data-key=more]").click()
        self.wait(lambda: len(self.all("table.requests tbody tr")) == 100, "more requests")
        self.assertEqual(len({a.get_attribute("href") for a in self.all("table.requests tbody a")}), 100)

    def test_search(self):
        self.open("#/who")
        self.one("#search").send_keys("sea")
        names = "return [...document.querySelectorAll('table.costs tbody a')].map((a) => a.innerText)"
        self.wait(lambda: self.script(names) == ["search"], "the search")
        self.says("2 rows not shown by the search; the sums are of all")
        self.assertEqual(self.focused(), "search")
        self.assertIn("q=sea", self.hash())
        self.one("#search").clear()
        self.one("#search").send_keys(REQUEST)
        self.keys("ENTER")
        self.arrives(f"id={REQUEST}")
        self.says("This request ran")

    def test_requests_by_filter(self):
        self.open("#/who?filter=unplaced&range=7d")
        self.says("it names no GPU, so it has no cost")
        self.open("#/who?filter=late")
        self.assertTrue(all("late" in r.text for r in self.all("table.requests tbody tr")))
        self.open("#/who?filter=open")
        self.assertTrue(all("provisional" in r.text for r in self.all("table.requests tbody tr")))

    def test_a_price_is_tried_out_first(self):
        self.open("#/prices")
        self.says("1 GPU without a price")
        self.one(".shout button").click()
        self.assertEqual(self.one("#price-name").get_property("value"), "NVIDIA RTX 6000 Ada")
        self.keys("1.10", "ENTER")
        self.says(r"120 windows from .* would change: 961 rows, 4,123 requests")
        self.says(r"bill before\s+\$480\.000000000")
        self.says(r"difference\s+\+1\.420000001")
        self.says("Nothing has been written yet")
        self.assertEqual(len(self.fixture.prices), 2)
        self.wait(lambda: self.focused() == "price-apply", "focus on what comes next")
        self.keys("ENTER")
        self.says("The price is in the book")
        self.says("gtap recompute --store")
        self.wait(lambda: not self.all(".shout"), "no shouting any more")
        self.assertEqual(self.fixture.prices[-1]["price_per_hour_usd"], "1.10")

    def test_a_price_that_is_none(self):
        self.provoked = ["400"]
        self.open("#/prices")
        self.one("#price-name").send_keys("x")
        self.one("#price-price_per_hour_usd").send_keys("dear")
        self.script("document.querySelector('form.price').noValidate = true")
        self.keys("ENTER")
        self.says("say dollars an hour, such as 2.95")
        self.assertEqual(self.focused(), "price-price_per_hour_usd")

    def test_health(self):
        self.open("#/health")
        self.says("Records come in and are stored")
        self.says("gpu-02:8000 does not answer: connection refused")
        letters = self.all(".letter")
        self.assertEqual(len(letters), 20)
        letters[0].find_element("css selector", "summary").click()
        self.says(r'"model":"<b>llama</b>"')
        self.assertFalse(self.all(".letter b"))
        self.one("[data-key=more-letters]").click()
        self.wait(lambda: len(self.all(".letter")) == 27, "more letters")


class Ways(Page):
    def test_dragging_zooms(self):
        self.open("#/time?range=2026-11-20T00:00:00Z~2026-11-21T00:00:00Z")
        self.drag(".chart", 0.3, 0.6)
        self.arrives("range=2026-11-20T")
        begin, end = self.range()
        self.assertLess(5 * 3600, end - begin)
        self.assertLess(end - begin, 12 * 3600)
        self.assertEqual((begin % 3600, end % 3600), (0, 0))
        caption = self.text("caption")
        self.assertRegex(caption, r"20 Nov 0\d:00 to 1\d:00 UTC")
        self.says("adds up to the bill")
        self.browser.back()
        self.arrives("range=2026-11-20T00:00:00Z~2026-11-21")

    def test_zooming_with_keys_only(self):
        self.open("#/time?range=2026-11-20T00:00:00Z~2026-11-21T00:00:00Z")
        self.script("document.querySelector('.chart').focus()")
        self.keys("HOME", "ARROW_RIGHT", "ARROW_RIGHT", "shift+ARROW_RIGHT", "shift+ARROW_RIGHT")
        self.wait(lambda: "02:00 to 04:00 chosen" in self.script("return announcer.textContent"), "it is announced")
        self.assertEqual(len(self.all(".brush:not([hidden])")), 1)
        self.keys("ENTER")
        self.arrives("range=2026-11-20T02:00:00Z~2026-11-20T05:00:00Z")
        self.script("document.querySelector('.chart').focus()")
        self.keys("-")
        self.wait(lambda: self.range()[1] - self.range()[0] > 3 * 3600, "wider")

    def test_a_permalink_shows_the_same(self):
        address = ("#/time?range=2026-11-20T00:00:00Z~2026-11-21T00:00:00Z&basis=loaded&by=tenant&model=llama-3-70b&exact=1")
        self.open(address)
        first = self.text("table.costs")
        self.assertIn("requests, loaded", first)
        self.browser.switch_to.new_window("tab")
        self.addCleanup(self.browser.switch_to.window, self.browser.window_handles[0])
        self.addCleanup(self.browser.close)
        self.open(address)
        self.assertEqual(self.text("table.costs"), first)
        self.assertTrue(self.script("return document.querySelector('#basis-loaded').checked"))
        self.assertRegex(self.text("#range"), "20 Nov 00:00 to 21 Nov 00:00 UTC")

    def test_range_and_basis_stay_across_places(self):
        self.open("#/time")
        self.one("#range option[value='7d']").click()
        self.arrives("range=7d")
        self.one("label[for=basis-loaded]").click()
        self.arrives("basis=loaded")
        self.one("[data-place=who]").click()
        self.arrives("^#/who.*range=7d.*basis=loaded")
        self.one("[data-place=health]").click()
        self.arrives("^#/health")
        self.one("[data-place=time]").click()
        self.arrives("^#/time.*range=7d.*basis=loaded")
        self.says("requests, loaded")

    def test_an_address_with_nonsense_is_as_if_it_were_not_there(self):
        self.open("#/time?range=<b>&basis=none&by=colour&step=3s&tz=Mars/Base&x=y")
        self.says("adds up to the bill")
        self.assertEqual(self.one("#range").get_property("value"), "24h")

    def test_a_range_of_ones_own(self):
        self.open("#/time")
        self.one("#range option[value=other]").click()
        self.script("""document.querySelector('#range-from').value = '2026-11-20T06:00';
            document.querySelector('#range-to').value = '2026-11-20T04:00'""")
        self.one("#range-form [type=submit]").click()
        self.says("The end has to be after the beginning", "#range-dialog")
        self.script("document.querySelector('#range-to').value = '2026-11-20T12:00'")
        self.one("#range-form [type=submit]").click()
        self.arrives("range=2026-11-20T06:00:00Z~2026-11-20T12:00:00Z")

    def test_zones(self):
        self.open("#/time?tz=Europe/Berlin&range=2026-11-20T00:00:00Z~2026-11-20T06:00:00Z")
        self.assertIn("20 Nov 01:00 to 07:00 Europe/Berlin", self.text("caption"))
        self.assertTrue(any("tz=Europe%2FBerlin" in a for a in self.fixture.asked))

    def test_keyboard_only(self):
        self.open()
        self.keys("TAB")
        self.assertEqual(self.focused(), "skip")
        self.wait(lambda: self.script("return document.activeElement.getBoundingClientRect().top") >= 0, "it is seen")
        self.keys("ENTER")
        self.assertEqual(self.focused(), "main")
        for key, place in zip("2345", list(PLACES)[1:]):
            self.keys(key)
            self.arrives(f"^#/{place}")
            self.assertEqual(self.focused(), "title")
        self.keys("/")
        self.wait(lambda: self.focused() == "search", "the search")
        self.keys("2", "b")  # typed, not a shortcut
        self.assertEqual(self.one("#search").get_property("value"), "2b")
        self.arrives("q=2b")  # what it finds is shown: focus stays where it is now
        self.script("document.activeElement.blur()")
        self.keys("b")
        self.arrives("basis=loaded")
        self.keys("e")
        self.arrives("exact=1")
        self.keys("?")
        self.says("busy or loaded", "#keys-dialog")
        self.keys("ESCAPE")
        self.wait(lambda: not self.script("return document.querySelector('#keys-dialog').open"), "closed")
        self.settled()
        self.script("document.activeElement.blur()")
        self.keys("r")
        self.wait(lambda: self.focused() == "range", "the range")

    def test_every_control_is_reached_and_seen(self):
        for place in PLACES:
            self.open(f"#/{place}")
            wanted = self.script("""return [...document.querySelectorAll('a[href], button, input, select, [tabindex="0"]')]
                .filter((e) => e.checkVisibility() && e.tabIndex >= 0 && !(e.type === 'radio' && !e.checked)).length""")
            self.script("document.activeElement.blur(); window.reached = new Set()")
            for _ in range(wanted + 2):
                self.keys("TAB")
                dim = self.script("""const e = document.activeElement; reached.add(e);
                    const s = getComputedStyle(e.matches('input[type=radio]') ? e.nextElementSibling : e);
                    return e !== document.body && s.outlineStyle === 'none' ? e.outerHTML : null""")
                self.assertIsNone(dim, "focus is not seen")
            self.assertGreaterEqual(self.script("reached.delete(document.body); return reached.size"), wanted, place)

    def test_light_and_dark(self):
        self.open("#/time")
        back = "return getComputedStyle(document.body).backgroundColor"
        pixel = "const c = document.querySelector('.chart canvas'); return c.toDataURL().length > 3000 ? c.toDataURL() : ''"
        light, chart = self.script(back), self.script(pixel)
        chromium.media(self.browser, prefers_color_scheme="dark")
        self.wait(lambda: self.script(back) != light, "dark by the system")
        dark = self.script(back)
        self.wait(lambda: self.script(pixel) not in ("", chart), "the chart in other colours")
        self.one("#theme").click()
        self.assertEqual((self.text("#theme"), self.script(back)), ("light", light))
        self.browser.refresh()
        self.settled()
        self.assertEqual((self.text("#theme"), self.script(back)), ("light", light))
        self.keys("t")
        self.assertEqual((self.text("#theme"), self.script(back)), ("dark", dark))
        self.keys("t")
        self.assertEqual(self.text("#theme"), "auto")

    def test_for_those_who_see_little_or_nothing(self):
        pages = [*(f"#/{p}" for p in PLACES), "#/time?by=gpu&basis=loaded&model=llama-3-70b",
                 "#/who?tenant=search&model=llama-3-70b", f"#/who?id={REQUEST}", "#/who?filter=unpriced"]
        for scheme in ("light", "dark"):
            for width, height in (chromium.DESKTOP, chromium.PHONE):
                chromium.size(self.browser, width, height)
                chromium.media(self.browser, prefers_color_scheme=scheme)
                for page in pages:
                    self.open(page)
                    with self.subTest(page=page, scheme=scheme, width=width):
                        self.assertEqual(self.script(AXE), [])

    def test_series_are_told_apart_by_those_who_see_fewer_hues(self):
        self.open("#/time")
        for scheme in ("light", "dark"):
            chromium.media(self.browser, prefers_color_scheme=scheme)
            colours = self.script("""return [...Array(8).keys()].map((i) => {
                const s = document.createElement('span'); s.className = `probe c${i}`; document.body.append(s);
                const c = getComputedStyle(s).color.match(/[\\d.]+/g).map(Number); s.remove(); return c; })""")
            least = min(difference(a, b) for i, a in enumerate(colours) for b in colours[:i])
            self.assertGreater(least, 0.065, scheme)

    def test_it_prints(self):
        self.open("#/time")
        self.script("dispatchEvent(new Event('beforeprint'))")
        chromium.media(self.browser, media="print")
        self.assertFalse([e for e in self.all("header, footer, .controls, button") if e.is_displayed()])
        self.assertTrue(self.one("table.costs").is_displayed())
        pdf = self.browser.execute_cdp_cmd("Page.printToPDF", {})["data"]
        self.assertGreater(len(pdf), 20_000)
        self.script("dispatchEvent(new Event('afterprint'))")


# Machado, Oliveira and Fernandes, 2009: as seen without one kind of cones.
SIGHT = ((1, 0, 0, 0, 1, 0, 0, 0, 1),
         (0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998),
         (0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881))


def oklab(rgb, sight):
    """Perceived colour: https://bottosson.github.io/posts/oklab/."""
    v = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    r, g, b = (min(1, max(0, sum(sight[3 * i + k] * v[k] for k in range(3)))) for i in range(3))
    root = [(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3),
            (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3),
            (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)]
    rows = ((0.2104542553, 0.7936177850, -0.0040720468), (1.9779984951, -2.4285922050, 0.4505937099),
            (0.0259040371, 0.7827717662, -0.8086757660))
    return [sum(k * x for k, x in zip(row, root)) for row in rows]


def difference(a, b):
    return min(sum((x - y) ** 2 for x, y in zip(oklab(a, s), oklab(b, s))) ** 0.5 for s in SIGHT)


class Troubles(Page):
    def test_the_server_is_lost_and_comes_back(self):
        self.provoked = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"]
        self.open()
        self.says(r"19\.6")
        self.fixture.stop()
        self.says(r"gtap does not answer\. These numbers are .* old, of \d\d:\d\d:\d\d UTC", "#banner")
        self.says(r"19\.6")  # the last numbers stay, greyed
        self.assertIn("grayscale", self.script("return getComputedStyle(document.querySelector('#place')).filter"))
        self.assertEqual(self.text("#connection"), "not connected")
        asked = len(self.fixture.asked)
        self.fixture.start()
        self.wait(lambda: self.script("return document.querySelector('#banner').hidden"), "it is back")
        self.wait(lambda: any(a.startswith("/api/v1/costs") for a in self.fixture.asked[asked:]), "it looks again")
        self.wait(lambda: self.text("#connection") == "live", "live")

    def test_a_server_that_falls_silent_is_lost_too(self):
        self.open()
        self.says(r"19\.6")
        self.fixture.mute = True
        self.says("gtap does not answer", "#banner")
        self.fixture.mute = False
        self.wait(lambda: self.script("return document.querySelector('#banner').hidden"), "it is back")

    def test_a_stream_without_news_says_so(self):
        self.open()
        self.says(r"19\.6")
        self.fixture.dry = True
        self.says(r"gtap cannot read its store\. These numbers are .* old", "#banner")
        self.fixture.dry = False
        self.wait(lambda: self.script("return document.querySelector('#banner').hidden"), "it is back")

    def test_lost_before_anything_was_there(self):
        self.provoked = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"]
        self.open("#/prices")
        self.fixture.stop()
        self.one("[data-place=who]").click()
        self.says("gtap cannot be reached at this address")
        self.fixture.start()
        self.says("adds up to the bill")

    def test_nothing_has_reported_yet(self):
        self.fixture.empty = True
        self.open()
        self.says("No GPU has reported yet")
        self.says("gtap agent --bootstrap")
        self.says(r"no priced GPU time in the last minutes")
        for page in ("#/time", "#/who"):
            self.open(page)
            self.says("No GPU has reported yet")
        self.open("#/prices")
        self.says("The price book is empty")
        self.open("#/health")
        self.says("This process has no inputs")
        self.says("No record was refused")
        self.fixture.empty = False

    def test_nothing_in_this_range(self):
        whole = self.fixture.costs
        self.fixture.costs = lambda q: {**whole(q), "rows": []} if "range" not in q and "7d" not in q["since"] else whole(q)
        self.open("#/time?range=1h")
        self.says("Nothing in this range")
        self.one("main .empty a").click()
        self.arrives("range=7d")
        self.says("adds up to the bill")

    def test_an_error_says_what_to_do(self):
        self.provoked = ["50[03]", "400", "404"]
        self.fixture.fail["costs"] = Problem(400, "the range is too long", "ask for at most 366 days", parameter="since")
        self.open("#/time")
        self.says("The range is too long|the range is too long")
        self.says("ask for at most 366 days")
        self.says("Change the range or the filters above")
        self.fixture.fail["costs"] = Problem(500, "the store failed", "sqlite:gtap.db: disk I/O error")
        self.one("[data-key=again]").click()
        self.says("the log of gtap says more")
        self.fixture.fail.clear()
        self.one("[data-key=again]").click()
        self.says("adds up to the bill")
        self.open("#/who?id=nothing")
        self.says("it may be older than --retain keeps")

    def test_busy_is_tried_again(self):
        self.provoked = ["503"]
        self.fixture.fail["prices"] = Problem(503, "too many at once", "ask again in a second")
        self.open("#/prices", wait=False)
        self.wait(lambda: sum(a == "/api/v1/prices" for a in self.fixture.asked) >= 2, "again")
        self.fixture.fail.clear()
        self.says("The price book")

    def test_slow_says_so(self):
        self.fixture.delay = 2.5
        self.open("#/who", wait=False)
        self.says("Loading")
        self.says("Still waiting for gtap to answer")
        self.fixture.delay = 0
        self.says("adds up to the bill")

    def test_a_slow_answer_to_an_old_question_is_not_shown(self):
        self.fixture.delay = 1.0
        self.open("#/who?tenant=search&model=llama-3-70b", wait=False)
        self.script("location.hash = '#/who'")
        self.fixture.delay = 0
        self.says("adds up to the bill")
        self.settled()
        self.assertFalse(self.all("table.requests"))

    def test_a_token_is_asked_for(self):
        self.provoked = ["401"]
        self.fixture.token = "s3cret"
        self.open(wait=False)
        self.says("This gtap wants a token", "#token-dialog")
        self.wait(lambda: self.focused() == "token", "the field")
        self.keys("wrong", "ENTER")
        self.says("That token does not fit", "#token-dialog")
        self.keys("s3cret", "ENTER")
        self.says(r"19\.6")
        self.wait(lambda: self.text("#connection") == "live", "live")
        self.assertFalse(any("s3cret" in a for a in self.fixture.asked))
        self.script("sessionStorage.clear()")

    def test_what_has_not_changed_is_not_sent_again(self):
        self.open("#/prices")
        self.one("[data-place=health]").click()
        self.arrives("health")
        self.one("[data-place=prices]").click()
        self.arrives("prices")
        self.wait(lambda: ("/api/v1/prices", 304) in self.fixture.statuses, "304")

    def test_corrected_numbers_come_by_themselves_and_focus_stays(self):
        self.open("#/who")
        self.script("document.querySelector('table.costs tbody a').focus()")
        key = self.focused()
        before = self.text("table.costs tbody")
        plain = self.fixture.costs
        self.fixture.costs = lambda q: plain({**q, "since": ["48h"]})
        self.script("document.dispatchEvent(new Event('visibilitychange'))")
        self.wait(lambda: self.text("table.costs tbody") != before, "other numbers")
        self.assertEqual(self.focused(), key)


class Weight(Page):
    def test_small_and_quick_and_from_here_only(self):
        self.open()
        self.says(r"19\.6")
        entries = self.script("return performance.getEntriesByType('resource').map((e) => [e.name, e.encodedBodySize])")
        self.assertEqual({urllib.parse.urlsplit(name).netloc for name, _ in entries}, {f"127.0.0.1:{self.fixture.port}"})
        assets = {name.rsplit("/", 1)[1]: n for name, n in entries if "/assets/" in name}
        self.assertNotIn("chart.js", assets)  # only when the first chart is shown
        self.one("[data-place=time]").click()
        self.arrives("time")
        self.wait(lambda: self.all(".chart canvas"), "charts")
        entries = self.script("""return [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]
            .map((e) => [e.name, e.encodedBodySize])""")
        total = sum(n for name, n in entries if "/api/" not in name)
        self.assertLess(total, 200_000)
        # By the best of some, as two busy cores do other things, too; alone it is about 60 ms.
        paints = [self.paint()]
        while min(paints) >= 2000 and len(paints) < 10:
            self.open()
            paints.append(self.paint())
        print(f"# {total} bytes in all, first paint after {min(paints):.0f} ms")
        self.assertLess(min(paints), 2000, paints)

    def paint(self):
        found = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        return self.wait(lambda: self.script(found), "the first paint")

    def test_nothing_inline_and_nothing_foreign_in_the_sources(self):
        folder = os.path.join(HERE, "..", "..", "web")
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), encoding="utf-8") as source:
                text = source.read()
            if name.endswith((".js", ".html")):
                self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", name)
            if name.endswith(".html"):
                self.assertNotRegex(text, r"<style|\sstyle=|\son\w+=|https?://", name)


if __name__ == "__main__":
    support.main(__name__)
