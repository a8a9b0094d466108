"""Reports: every grouping, range, zone and format says what the stored windows add up to.

    test_commands.py --gtap BUILD/gtap [--only TEXT]
"""

import csv
import datetime
import io
import itertools
import json
import os
import re
import tempfile
import unittest
import zoneinfo

import fleet
import gtap as support

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TRACE = os.path.join(ROOT, "..", "shared", "data", "azure", "AzureLLMInferenceTrace_code.csv")
DIMS = ("model", "tenant", "gpu", "host", "site", "hour", "day")
COMBINED = ("model,tenant", "gpu,hour", "host,day,model", "tenant,site", "day,gpu,tenant",
            "model,tenant,gpu,host,site,hour,day", "kind", "kind,model", "hour,kind")


def column(text, title):
    """[(first cells, value)] of a right-aligned column of a table; absent cells are left out."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if re.search(rf"(?<!\S){re.escape(title)}(?!\S)",
                                                             line))
    end = re.search(rf"(?<!\S){re.escape(title)}(?!\S)", lines[at]).end()
    found = []
    for line in itertools.takewhile(bool, lines[at + 1:]):
        if len(line) >= end and line[end - 1] != " ":
            found.append((line[:end].split("  ")[0], line[:end].split()[-1]))
    return found


def units(text):
    """A shown amount as an integer of its last digit."""
    return int(text.replace(",", "").replace(".", ""))


class StoreCase(unittest.TestCase):
    """Tests that read one store of a night on three GPUs."""

    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="gtap-commands-")
        cls.addClassCleanup(cls.holder.cleanup)
        cls.gtap = support.Gtap(support.ARGS.gtap, cls.holder.name)
        support.write_lines(cls.gtap.file("night.ndjson"), fleet.lines())
        cls.store = cls.gtap.store("night.db")
        cls.gtap.meter(cls.store, "file:" + cls.gtap.file("night.ndjson"))
        cls.windows = cls.gtap.export("cost_windows", cls.store)

    def report(self, *args):
        return self.gtap.run("report", "--store", self.store, *args).stdout

    def report_json(self, *args):
        return json.loads(self.report("--json", *args))

    def report_csv(self, *args):
        return list(csv.DictReader(io.StringIO(self.report("--format", "csv", *args), newline="")))


class Groupings(StoreCase):
    def assert_json(self, report, dims, windows, zone=datetime.timezone.utc):
        groups = fleet.group(windows, dims, zone)
        rows = {(row["kind"], *(row[dim] for dim in dims)): row for row in report["rows"]}
        self.assertEqual(len(rows), len(report["rows"]))
        self.assertEqual(set(rows), set(groups))
        for key, sums in groups.items():
            for name in fleet.MONEY + fleet.COUNTS:
                self.assertEqual(rows[key][name], sums.get(name), f"{name} of {key}")
        bill = sum(row["cost_nusd"] or 0 for row in windows)
        self.assertEqual(report["totals"]["bill"]["cost_nusd"], bill)
        self.assertEqual(sum(row["loaded_cost_nusd"] or 0 for row in report["rows"]), bill)

    def assert_csv(self, rows, report, dims):
        self.assertEqual(len(rows), len(report["rows"]))
        for line, row in zip(rows, report["rows"]):
            for dim in dims:
                self.assertEqual(line[dim], row[dim] or "")
            self.assertEqual(line["kind"], row["kind"])
            for name in fleet.COUNTS:
                self.assertEqual(int(line[name]), row[name])
            for name in fleet.MONEY + ("loaded_cost_nusd",):
                shown = line[name.replace("_nusd", "_usd")]
                self.assertEqual(units(shown) if shown else None, row[name])
                self.assertRegex(shown, r"^(\d+\.\d{9})?$")

    def assert_table(self, text, report, dims):
        """Groups add up to the line under their rule, and all parts to the bill."""
        physical = dims and not set(dims) & {"model", "tenant", "kind"}
        amounts = column(text, "bill $" if physical else "$")
        bill = [units(value) for name, value in amounts if name == "bill"]
        self.assertEqual(len(bill), 1)
        apart = "of it " if "of it requests" in dict(amounts) else ""
        parts = {name: units(value) for name, value in amounts if value != "-"
                 and name in (apart + part for part in ("requests", "idle", "unattributed"))}
        if physical:
            rows = list(itertools.takewhile(lambda cell: not cell[1].startswith("---"), amounts))
            self.assertEqual(sum(units(v) for _, v in rows if v != "-"), bill[0])
        else:
            self.assertEqual(sum(parts.values()), bill[0])
        exact = report["totals"]["bill"]["cost_nusd"]
        scale = len(dict(amounts)["bill"].partition(".")[2])
        self.assertLessEqual(abs(bill[0] * 10 ** (9 - scale) - exact), 10 ** (9 - scale) // 2)
        return bill[0], parts

    def test_every_grouping_in_every_format(self):
        for by in ("",) + DIMS + COMBINED:
            dims = tuple(by.split(",")) if by else ()
            with self.subTest(by=by):
                report = self.report_json("--by", by)
                self.assert_json(report, dims, self.windows)
                self.assert_csv(self.report_csv("--by", by), report, dims)
                for basis in ("busy", "loaded"):
                    self.assert_table(self.report("--by", by, "--basis", basis), report, dims)
                    exact = self.report("--by", by, "--basis", basis, "--exact")
                    bill, _ = self.assert_table(exact, report, dims)
                    self.assertEqual(bill, report["totals"]["bill"]["cost_nusd"])

    def test_rows_of_a_table_add_up_to_its_requests(self):
        for args in ((), ("--exact",)):
            amounts = column(self.report("--by", "model,tenant", *args), "$")
            rows = list(itertools.takewhile(lambda cell: not cell[1].startswith("---"), amounts))
            self.assertEqual(sum(units(v) for _, v in rows if v != "-"),
                             units(dict(amounts)["requests"]))
            tokens = column(self.report("--by", "model,tenant", *args), "requests")
            rows = [units(v) for name, v in tokens if name not in ("requests", "unplaced")]
            self.assertEqual(sum(rows), units(dict(tokens)["requests"]))

    def test_loaded_rows_add_up_to_the_bill(self):
        for by in ("model", "tenant", "model,gpu", "kind"):
            amounts = column(self.report("--by", by, "--basis", "loaded"), "$")
            rows = list(itertools.takewhile(lambda cell: not cell[1].startswith("---"), amounts))
            self.assertEqual(sum(units(v) for _, v in rows if v != "-"),
                             units(dict(amounts)["bill"]), by)

    def test_ranges(self):
        for since, until in (("2026-03-28T22:00:00Z", "2026-03-29T01:00:00Z"),
                             ("2026-03-28T21:47:00Z", "2026-03-29T00:13:00Z"),
                             ("2026-03-29", None), (None, "2026-03-28T23:59:00Z"),
                             ("2026-03-29T00:00:00Z", "2026-03-29T00:01:00Z")):
            args = (["--since", since] if since else []) + (["--until", until] if until else [])
            low = (since + "T00:00:00Z" if since and len(since) == 10 else since) or ""
            inside = [row for row in self.windows
                      if low <= row["window_start"] < (until or "9999")]
            for by in ("model", "gpu", "day"):
                with self.subTest(since=since, until=until, by=by):
                    self.assert_json(self.report_json("--by", by, *args), (by,), inside)

    def test_parts_of_the_night_add_up(self):
        cut = "2026-03-29T00:37:00Z"
        whole = self.report_json()["totals"]["bill"]["cost_nusd"]
        parts = [self.report_json(side, cut)["totals"]["bill"]["cost_nusd"]
                 for side in ("--until", "--since")]
        self.assertEqual(sum(parts), whole)

    def test_time_zones(self):
        zones = {"+05:30": datetime.timezone(datetime.timedelta(hours=5, minutes=30)),
                 "-03:00": datetime.timezone(datetime.timedelta(hours=-3))}
        try:
            zones["Europe/Berlin"] = zoneinfo.ZoneInfo("Europe/Berlin")
        except zoneinfo.ZoneInfoNotFoundError:
            print("# Europe/Berlin is left out: there is no tzdata")
        for name, zone in zones.items():
            for by in ("hour", "day", "day,model"):
                with self.subTest(tz=name, by=by):
                    report = self.report_json("--by", by, "--tz", name)
                    self.assert_json(report, tuple(by.split(",")), self.windows, zone)
                    self.assertEqual(report["time_zone"], name)
        self.assertIn(" +05:30 · ", self.report("--tz", "+05:30"))
        self.assertIn(" UTC · ", self.report())

    def test_limit_and_sorts(self):
        whole = self.report_json("--by", "model,tenant")
        for limit in range(1, 12):
            folded = self.report_json("--by", "model,tenant", "--limit", str(limit))
            self.assertEqual(folded["totals"], whole["totals"])
            usage = [row for row in folded["rows"] if row["kind"] == "usage"]
            self.assertEqual(sum(row["cost_nusd"] or 0 for row in usage),
                             whole["totals"]["requests"]["cost_nusd"])
            self.assertLessEqual(len([row for row in usage if "others" not in row]), limit)
        self.assertIn("(2 others)", self.report("--by", "model", "--limit", "1"))
        self.assertIn("(1 other)", self.report("--by", "model", "--limit", "2"))
        keys = {"cost": lambda row: -(row["cost_nusd"] or 0),
                "tokens": lambda row: -(row["prompt_tokens"] + row["completion_tokens"]),
                "requests": lambda row: -row["requests"],
                "name": lambda row: int(row["model"][2:])}  # m-2 before m-10
        for sort, key in keys.items():
            usage = [row for row in self.report_json("--by", "model", "--sort", sort)["rows"]
                     if row["kind"] == "usage"]
            self.assertEqual(usage, sorted(usage, key=key), sort)
        hours = [row["hour"] for row in self.report_json("--by", "hour")["rows"]]
        self.assertEqual(hours, sorted(hours))

    def test_rates_follow_from_sums(self):
        for row in self.report_json("--by", "gpu,model")["rows"]:
            if row["kind"] != "usage" or row["unpriced_requests"]:
                self.assertIsNone(row.get("usd_per_mtok"))
                continue
            for rate, money, tokens in (
                    ("usd_per_mtok", "cost_nusd", row["prompt_tokens"] + row["completion_tokens"]),
                    ("usd_per_mtok_in", "cost_in_nusd", row["prompt_tokens"]),
                    ("usd_per_mtok_out", "cost_out_nusd", row["completion_tokens"])):
                self.assertAlmostEqual(row[rate], row[money] / tokens / 1000, delta=1e-9 * row[rate])


class Missing(StoreCase):
    """gpu-a/1 has no price, ten requests no GPU, and gpu-b/0 is not watched for a while."""

    def test_unpriced(self):
        for row in self.report_json("--by", "gpu")["rows"]:
            unpriced = row["gpu"] == "gpu-a/1"
            self.assertEqual(row["cost_nusd"] is None, unpriced or row["kind"] == "unplaced")
            self.assertEqual(row["unpriced_gpu_seconds"] > 0, unpriced)
        for line in self.report_csv("--by", "gpu"):
            self.assertEqual(line["cost_usd"] == "",
                             line["gpu"] == "gpu-a/1" or line["kind"] == "unplaced")
        text = self.report("--by", "gpu")
        self.assertRegex(text, r"(?m)^gpu-a/1 .*  -  ")
        self.assertRegex(text, r"(?m)^unpriced .* -  no price: gpu-a/1 \(NVIDIA L4\), ")
        self.assertIn("gtap price add 'NVIDIA L4' USD-PER-HOUR --from 2026-03-28T21:30:00Z"
                      f" --store '{self.store}'", text)

    def test_unplaced(self):
        self.assertEqual(self.report_json()["totals"]["unplaced"]["requests"], 10)
        self.assertIsNone(self.report_json()["totals"]["unplaced"]["cost_nusd"])
        self.assertRegex(self.report(), r"(?m)^unplaced +10 .* -  they name no GPU$")
        self.assertIn("\n10 requests could not be placed on a GPU:\n", self.report())

    def test_unattributed(self):
        self.assertGreater(self.report_json()["totals"]["unattributed"]["cost_nusd"], 0)
        self.assertRegex(self.report(), r"(?m)^unattributed .*  no telemetry: gpu-b/0, \d min \d+ s$")

    def test_nothing_in_a_range(self):
        text = self.report("--since", "2026-05-01", "--until", "2026-05-02")
        self.assertIn("Nothing was recorded in this range.", text)
        self.assertIn("The store holds records from 28 Mar", text)


class Provisional(support.Case):
    def test_open_windows_say_so(self):
        store, fifo = self.gtap.store("live.db"), self.gtap.file("fifo")
        os.mkfifo(fifo)
        child = self.gtap.start("run", "--in", f"file:{fifo}", "--out", store)
        with open(fifo, "w", encoding="utf-8") as f:
            f.writelines(line + "\n" for line in fleet.lines()[:2000])
            f.flush()
            self.wait_for(lambda: self.open_report(store))
            final = json.loads(self.gtap.run("report", "--json", "--store", store).stdout)
            with_open = self.open_report(store)
            table = self.gtap.run("report", "--provisional", "--store", store).stdout
            rows = list(csv.DictReader(io.StringIO(self.gtap.run(
                "report", "--provisional", "-f", "csv", "--store", store).stdout, newline="")))
        child.communicate(timeout=support.DEADLINE)
        self.assertEqual(child.returncode, 0)
        self.assertFalse(final["provisional"])
        self.assertTrue(all(row["final"] for row in final["rows"]))
        self.assertGreaterEqual(with_open["totals"]["bill"]["cost_nusd"],
                                final["totals"]["bill"]["cost_nusd"])
        self.assertIn(" · provisional from ", table)
        self.assertIn("false", {row["final"] for row in rows})

    def open_report(self, store):
        done = self.gtap.run("report", "--provisional", "--json", "--store", store, expect=None)
        report = json.loads(done.stdout) if done.returncode == 0 else {}
        return report if report.get("provisional") else None


class Trace(support.Case):
    def test_the_azure_trace(self):
        """What issue 4 asks for, of a real hour."""
        if not os.path.exists(TRACE):
            self.skipTest("../shared/data is not there")
        store = self.gtap.store("t.db")
        done = self.gtap.meter(store, f"trace:{TRACE}?gpus=8&price=2.5")
        self.assertIn("8,819 requests", done.stderr)
        self.assert_verified(store)
        report = json.loads(self.gtap.run("report", "--json", "--store", store).stdout)
        self.assertEqual([report["totals"]["requests"][name] for name in
                          ("requests", "prompt_tokens", "completion_tokens")],
                         [8_819, 18_059_974, 245_896])
        bill = report["totals"]["bill"]["cost_nusd"]
        lines = csv.DictReader(io.StringIO(self.gtap.run(
            "report", "--by", "model,tenant", "-f", "csv", "--store", store).stdout, newline=""))
        self.assertEqual(sum(units(line["cost_usd"]) for line in lines), bill)
        windows = self.gtap.export("cost_windows", store)
        self.assertEqual(sum(row["cost_nusd"] for row in windows), bill)
        text = self.gtap.run("report", "--by", "model,tenant", "--exact", "--store", store).stdout
        amounts = {name: units(value) for name, value in column(text, "$")
                   if not value.startswith("-")}
        self.assertEqual(amounts["bill"], bill)
        self.assertEqual(amounts["requests"] + amounts["idle"] + amounts["unattributed"], bill)
        for dims in (("gpu",), ("hour",), ("model", "gpu")):
            groups = fleet.group(windows, dims)
            rows = json.loads(self.gtap.run("report", "--json", "--by", ",".join(dims), "--store",
                                            store).stdout)["rows"]
            for row in rows:
                key = (row["kind"], *(row[dim] for dim in dims))
                self.assertEqual(row["cost_nusd"], groups[key].get("cost_nusd"))


if __name__ == "__main__":
    support.main(__name__)
