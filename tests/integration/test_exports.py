"""Reports for others: the page, the files for finance, the dashboard of Grafana.

    test_exports.py --gtap BUILD/gtap [--only TEXT]
"""

import csv
import html.parser
import io
import json
import os
import re
import sys
import unittest.mock
import xml.etree.ElementTree

import adversary
import gtap as support

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import focus  # noqa: E402

VOID = ("meta", "link", "br", "img", "input", "hr")


class Page(html.parser.HTMLParser):
    """What a page is made of; tags that do not nest are an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.values, self.shown = [], [], [], []
        self.rows, self.attrs = [], []
        self.feed(text)
        self.close()
        if self.open:
            raise AssertionError(f"never closed: {self.open}")

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attrs += [(tag, *attr) for attr in attrs]
        if tag == "data":
            self.values.append(dict(attrs)["value"])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attrs += [(tag, *attr) for attr in attrs]

    def handle_endtag(self, tag):
        if tag == "dt" or tag == "dd" or self.open[-1] == tag:
            self.open.pop()
        else:
            raise AssertionError(f"</{tag}> closes {self.open[-1]}")

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if self.open and self.open[-1] not in ("style",):
            self.shown.append(data)


def nusd(text):
    """Exact: nine decimals as an integer."""
    whole, part = text.split(".")
    assert len(part) == 9, text
    return int(whole + part)


class Case(support.Case):
    def adversarial(self, seed=7, **kwargs):
        lines = adversary.Cluster(seed, **kwargs).lines()
        self.store = self.gtap.store("a.db")
        self.gtap.meter(self.store, self.write("a.ndjson", lines))

    def report(self, *args):
        return self.gtap.run("report", "--store", self.store, *args).stdout


class Html(Case):
    def page(self, *args):
        text = self.report("--format", "html", *args)
        return text, Page(text)

    def charts(self, text):
        return [xml.etree.ElementTree.fromstring(svg)
                for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]

    def test_numbers(self):
        """The page's numbers are those of the report as JSON, to the nano-dollar."""
        self.adversarial()
        text, page = self.page()
        report = json.loads(self.report("--json"))
        totals = report["totals"]
        cards = [nusd(v) for v in page.values if re.fullmatch(r"\d+\.\d{9}", v)]
        for part in ("bill", "requests", "idle", "unattributed"):
            self.assertIn(totals[part]["cost_nusd"], cards, part)
        over_time, models, tenants = self.charts(text)
        drawn = [nusd(r.get("data-usd")) for r in over_time.iter("rect")]
        self.assertEqual(sum(drawn), totals["bill"]["cost_nusd"])
        for chart, by in ((models, "model"), (tenants, "tenant")):
            rows = json.loads(self.report("--json", "--by", by))["rows"]
            rows = [r for r in rows if r["kind"] == "usage" and r["cost_nusd"] is not None]
            for kind, key in (("busy", "cost_nusd"), ("load", "loaded_cost_nusd")):
                bars = [nusd(r.get("data-usd")) for r in chart.iter("rect")
                        if r.get("class") == kind]
                self.assertEqual(sorted(bars), sorted(r[key] for r in rows), (by, kind))

    def test_table(self):
        """Its table has the cells of the people's table, with nine decimals if asked."""
        self.adversarial(hosts=2)
        for by in ("model,tenant", "gpu", "day", ""):
            for more in ((), ("--exact",)):
                _, page = self.page("--by", by, *more)
                wanted = self.report("--by", by, *more).split("\n\n")[1].splitlines()
                wanted = [" ".join(line.split()) for line in wanted if line.strip(" -")]
                found = [" ".join(" ".join(row).split()) for row in page.rows]
                self.assertEqual(found, wanted, by)

    def test_self_contained(self):
        """No script, nothing from elsewhere, and foreign text is text."""
        evil = "</title><script>alert('1')</script>\"&\x1b[31m\u202e=1+1"
        lines = [line.replace('"llama-3-70b"', json.dumps(evil)) for line in support.records(400)]
        self.store = self.gtap.store("e.db")
        self.gtap.meter(self.store, self.write("e.ndjson", lines))
        text, page = self.page("--by", "model")
        self.assertNotIn("script", page.tags)
        self.assertFalse([a for a in page.attrs if a[1] in ("src", "href", "style")
                          or a[1].startswith("on")])
        self.assertNotRegex(text, r"url\(|@import|https?:|\x1b|\u202e")
        self.assertTrue(any("<script>alert('1')</script>" in data for data in page.shown))
        self.assertEqual(len(self.charts(text)), 3)  # parsed: well-formed
        self.assertEqual([a[2] for a in page.attrs if a[1] == "charset"], ["utf-8"])

    def test_nothing(self):
        """A range without anything says so, and the page is whole."""
        self.adversarial(hosts=1, minutes=3)
        text, page = self.page("--since", "2001-01-01", "--until", "2001-01-02")
        self.assertIn("Nothing was recorded in this range.", text)
        self.assertNotIn("svg", page.tags)
        self.store = self.gtap.store("none.db")
        self.gtap.run("price", "add", "H100", "1", "--store", self.store)
        text, _ = self.page()
        self.assertIn("No records are stored yet", text)


class Csv(Case):
    def rows(self, text):
        self.assertTrue(text.isascii() or text.encode().decode("utf-8"))
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))

    def raw(self, *args):
        """With its ends of line as they are."""
        done = support.subprocess.run([self.gtap.path, "report", "--store", self.store, *args],
                                      cwd=self.gtap.folder, capture_output=True, check=True)
        return done.stdout.decode()

    def test_numbers(self):
        """Every line ends in CRLF and has all columns; costs and loaded costs are the bill."""
        self.adversarial(hosts=2)
        text = self.raw("--format", "csv", "--by", "hour,gpu,tenant,model")
        self.assertEqual(text.count("\n"), text.count("\r\n"))
        rows = self.rows(text)
        self.assertFalse([row for row in rows if None in row or None in row.values()])
        bill = json.loads(self.report("--json"))["totals"]["bill"]["cost_nusd"]
        for column in ("cost_usd", "loaded_cost_usd"):
            self.assertEqual(sum(nusd(row[column]) for row in rows if row[column]), bill)

    def test_formulas(self):
        """No cell is run by a spreadsheet: names that could be are behind an apostrophe."""
        names = ("=1+1", "+1", "-1", "@A1", "=cmd|' /C calc'!A0", '=HYPERLINK("x","y")', "a,b", "x")
        lines = support.records(800)
        for n, line in enumerate(lines):
            record = json.loads(line)
            if "model" in record:
                lines[n] = json.dumps({**record, "tenant": names[n % len(names)]})
        self.store = self.gtap.store("f.db")
        self.gtap.meter(self.store, self.write("f.ndjson", lines))
        found = {row["tenant"] for row in self.rows(self.raw("--format", "csv", "--by", "tenant"))}
        wanted = {"'" + name if name[0] in "=+-@" else name for name in names}
        self.assertEqual(found - {""}, wanted)


class Focus(Case):
    def setUp(self):
        """Records around the end of a year, so that there are two billing periods."""
        super().setUp()
        with unittest.mock.patch.object(support, "EPOCH", support.EPOCH - 700):
            self.adversarial(seed=11)

    def text(self, *args):
        done = support.subprocess.run(
            [self.gtap.path, "report", "--store", self.store, "--format", "focus", *args],
            cwd=self.gtap.folder, capture_output=True, check=True)
        return done.stdout.decode()

    def bill(self, *args):
        return json.loads(self.report("--json", *args))["totals"]["bill"]["cost_nusd"]

    def test_conforms(self):
        """The validator has nothing to say, and the sum is the bill to the nano-dollar."""
        for by in ("hour", "day"):
            data = focus.Dataset(self.text("--by", by))
            self.assertEqual(data.wrong, [])
            self.assertEqual(data.total() * 10**9, self.bill())
            kinds = json.loads(self.report("--json"))["totals"]
            for kind in ("idle", "unattributed"):
                self.assertEqual(data.total(x_Kind=kind) * 10**9, kinds[kind]["cost_nusd"])

    def test_months(self):
        """Files of one month each, by when it is billed, are the file of all; so are the bills:
        what was settled later is a correction in the month in which it was."""
        whole = focus.Dataset(self.text())
        rows, months = [], ("2025-12-01", "2026-01-01", "2026-02-01", "2199-01-01")
        for since, until in zip(months, months[1:]):
            month = focus.Dataset(self.text("--since", since, "--until", until))
            self.assertEqual(month.wrong, [])
            rows += month.rows
        self.assertCountEqual(map(repr, rows), map(repr, whole.rows))
        for since, until in zip(months[:2], months[1:]):
            start, end = focus.when(since + "T00:00:00Z"), focus.when(until + "T00:00:00Z")
            now = sum(row["EffectiveCost"] for row in whole.rows
                      if start <= row["ChargePeriodStart"] < end)
            self.assertEqual(now * 10**9, self.bill("--since", since, "--until", until))
        self.assertGreater(sum(row["ChargeClass"] is not None for row in whole.rows), 0)

    def test_quantities(self):
        """Tokens and requests are all there, unplaced and unpriced ones too, which say so."""
        data = focus.Dataset(self.text())
        self.assertEqual(data.wrong, [])
        totals = json.loads(self.report("--json"))["totals"]
        both = [totals["requests"], totals["unplaced"]]
        for meter, key in (("Input Tokens", "prompt_tokens"), ("Output Tokens",
                                                               "completion_tokens")):
            self.assertEqual(data.total("ConsumedQuantity", SkuMeter=meter),
                             sum(part[key] for part in both))
        count = {key: sum(int(row[key] or 0) for row in data.rows) for key in
                 ("x_Requests", "x_CachedInputTokens", "x_UnpricedRequests")}
        self.assertEqual(count, {
            "x_Requests": sum(part["requests"] for part in both),
            "x_CachedInputTokens": sum(part["cached_prompt_tokens"] for part in both),
            "x_UnpricedRequests": totals["requests"]["unpriced_requests"]})
        self.assertGreater(count["x_UnpricedRequests"], 0)
        unknown = [row for row in data.rows if "not 0 but unknown" in row["ChargeDescription"]]
        self.assertTrue({"usage", "unplaced"} <= {row["x_Kind"] for row in unknown})
        self.assertEqual({row["x_CostComplete"] for row in unknown}, {"false"})
        free = [row for row in data.rows if row["EffectiveCost"] == 0 and row not in unknown
                and row["ChargeClass"] is None]
        self.assertEqual({row["x_UnpricedHours"] for row in free if row["x_CostComplete"] == "true"}
                         - {"0.000000000", None}, set())

    def test_names(self):
        """What nobody can know but who runs it comes from options."""
        data = focus.Dataset(self.text(
            "--billing-account", "acct-1", "--billing-account-name", "Research", "--provider",
            "Our Own", "--invoice-issuer", "Treasury", "--service", "Chat"))
        self.assertEqual(data.wrong, [])
        names = ("BillingAccountId", "BillingAccountName", "ServiceProviderName",
                 "HostProviderName", "InvoiceIssuerName", "ServiceName")
        self.assertEqual({tuple(row[name] for name in names) for row in data.rows},
                         {("acct-1", "Research", "Our Own", "Our Own", "Treasury", "Chat")})

    def test_misuse(self):
        for args, word in ((("--by", "model"), "--by hour"), (("--tz", "+02:00"), "UTC"),
                           (("--limit", "3"), "--limit")):
            done = self.gtap.run("report", "--store", self.store, "--format", "focus", *args,
                                 expect=2)
            self.assertIn(word, done.stderr)

    def test_validator(self):
        """The validator notices what is broken on purpose."""
        rows = list(csv.DictReader(io.StringIO(self.text(), newline="")))
        usage = next(n for n, row in enumerate(rows)
                     if row["x_Kind"] == "usage" and float(row["EffectiveCost"]) > 0.01
                     and not row["ChargeClass"]
                     and row["SubAccountId"])
        cases = {
            "EffectiveCost is null": {"EffectiveCost": ""},
            "no number": {"PricingQuantity": "1,000"},
            "no UTC datetime": {"ChargePeriodStart": "2026-01-01 00:00:00"},
            "not within the billing period": {"ChargePeriodStart": "2025-11-30T23:00:00Z"},
            "may not be 'Refund'": {"ChargeClass": "Refund"},
            "was not closed": {"ChargeClass": "Correction"},
            "do not add up to 1": {"AllocatedMethodDetails":
                                   '{"Elements":[{"AllocatedRatio":0.5}]}'},
            "not its share": {name: "9" for name in
                              ("EffectiveCost", "BilledCost", "ListCost", "ContractedCost")},
            "ListCost differs": {"ListCost": "77"},
            "ConsumedUnit is null": {"ConsumedUnit": ""},
            "was another before": {"SkuMeter": "Lines"},
            "CapacityReservationStatus": {"CapacityReservationId": ""},
            "SubAccountId and SubAccountType": {"SubAccountType": ""},
            "no JSON object": {"SkuPriceDetails": "[1]"},
        }
        for said, change in cases.items():
            broken = [{**row, **(change if n == usage else {})} for n, row in enumerate(rows)]
            found = focus.Dataset(self.written(broken)).wrong
            self.assertTrue(any(said in fault for fault in found), (said, found[:3]))
        self.assertIn("there is no ListCost", focus.Dataset(self.written(
            [{k: v for k, v in row.items() if k != "ListCost"} for row in rows[:2]])).wrong)
        self.assertIn("Model is neither of FOCUS nor begins with x_", focus.Dataset(self.written(
            [{**row, "Model": "m"} for row in rows[:2]])).wrong)

    def written(self, rows):
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()


class Corrections(Case):
    """What changes in a closed month comes out as corrections; the rows stay as they were."""

    def setUp(self):
        super().setUp()
        self.store = self.gtap.store("c.db")

    def dataset(self):
        done = support.subprocess.run([self.gtap.path, "report", "--store", self.store, "--format",
                                       "focus"], cwd=self.gtap.folder, capture_output=True,
                                      check=True)
        data = focus.Dataset(done.stdout.decode())
        self.assertEqual(data.wrong, [])
        bill = json.loads(self.report("--json"))["totals"]["bill"]["cost_nusd"] or 0  # None: unknown
        self.assertEqual(data.total() * 10**9, bill)
        regular = [row for row in data.rows if row["ChargeClass"] is None]
        return regular, [row for row in data.rows if row["ChargeClass"]], bill

    def total(self, rows):
        return sum(row["EffectiveCost"] for row in rows) * 10**9

    def late(self, n):
        """Requests of the time that the others are of, and one of time without a GPU's word."""
        lines = [line for line in support.records(600, seed=n) if '"model"' in line]
        for k, line in enumerate(lines[::20]):
            yield json.dumps({**json.loads(line), "event_id": support.event_id(n * 10**6 + k)})

    def test_late_and_priced_again(self):
        self.gtap.meter(self.store, self.write("a.ndjson", support.records(600)))
        first, corrections, bill = self.dataset()
        self.assertEqual(corrections, [])
        for n in (2, 3):  # the second time over rows that were corrected before
            self.gtap.meter(self.store, self.write(f"late{n}.ndjson", self.late(n)))
            regular, corrections, after = self.dataset()
            self.assertEqual(regular, first)
            self.assertEqual(self.total(corrections), after - bill)
            self.assertGreater(sum(row["ConsumedQuantity"] for row in corrections
                                   if row["ConsumedUnit"] == "Tokens"), 0)
            self.assertTrue(any(row["EffectiveCost"] < 0 for row in corrections))
        self.assert_verified(self.store)

    def test_site(self):
        """That GPUs are at a site comes out when the month is closed: it goes from none to that."""
        lines = support.records(600)
        self.gtap.meter(self.store, self.write("a.ndjson", lines))
        first, _, bill = self.dataset()
        late = [json.dumps({**json.loads(line), "ts": json.loads(line)["ts"] + 0.05, "site": "fra",
                            "event_id": support.event_id(4 * 10**6 + n)})
                for n, line in enumerate(lines) if '"model"' not in line]
        self.gtap.meter(self.store, self.write("sites.ndjson", late))
        regular, corrections, after = self.dataset()
        self.assertEqual(regular, first)
        self.assertEqual({row["RegionId"] for row in regular}, {None})
        moved = {site: self.total([row for row in corrections if row["RegionId"] == site])
                 for site in (None, "fra")}
        self.assertEqual(moved[None] + moved["fra"], after - bill)
        self.assertGreater(moved["fra"], after / 2)
        self.assert_verified(self.store)

    def test_price(self):
        """A price that was not known when the month was closed."""
        lines = [json.dumps({k: v for k, v in json.loads(line).items()
                             if k != "price_per_hour_usd"}) for line in support.records(600)]
        self.gtap.meter(self.store, self.write("a.ndjson", lines))
        first, _, bill = self.dataset()
        self.assertEqual((bill, {row["x_CostComplete"] for row in first}), (0, {"false"}))
        for price in ("2.5", "3.25"):
            self.gtap.run("price", "add", "NVIDIA H100*", price, "--from", "2025-01-01",
                          "--store", self.store)
            self.gtap.run("recompute", "--store", self.store)
            regular, corrections, bill = self.dataset()
            self.assertEqual(regular, first)
            self.assertEqual(self.total(corrections), bill)
            self.assertGreater(bill, 0)
        hours = sum(float(row["x_UnpricedHours"] or 0) for row in regular + corrections)
        self.assertAlmostEqual(hours, 0, places=6)


if __name__ == "__main__":
    support.main(__name__)
