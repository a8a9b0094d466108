"""One bill, whoever asks: every view of a store, on both kinds of stores, over records as nobody
would want them, says what `gtap report` says, to the nano-dollar.

    test_totals.py --gtap BUILD/gtap [--only TEXT]

Two more views need a browser and a Prometheus: tests/e2e/test_binary.py compares what the dashboard
shows with the report, test_grafana.py what Grafana's panels show with /metrics.
"""

import collections
import contextlib
import csv
import datetime
import io
import itertools
import json
import os
import re
import signal
import sqlite3
import sys
import time
import unittest.mock
import urllib.parse

import adversary
import fakes
import gtap as support
from test_api import ALL, BYS, STEPS, Serving
from test_events import Listening, instant
from test_exports import Page, nusd

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import focus  # noqa: E402

SUMS = ("cost_nusd", "prompt_tokens", "completion_tokens", "requests")
PARTS = ("requests", "idle", "unattributed", "unplaced", "bill")
MINUTES = 12


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()


class Totals(support.Case):
    """Records of two months that are closed, of which some came late, and of the last minutes."""

    def test_sqlite(self):
        self.examine(self.gtap.store("totals.db"))

    def test_mongodb(self):
        mongod = fakes.FakeMongod()
        self.addCleanup(mongod.stop)
        self.examine(f"{mongod.uri}/totals")

    def examine(self, store):
        self.store = store
        recent = time.time() // 60 * 60 - MINUTES * 60
        closed = support.EPOCH - MINUTES * 30
        for seed, epoch in ((31, closed), (32, recent), (33, closed)):
            with unittest.mock.patch.object(support, "EPOCH", epoch):
                lines = adversary.Cluster(seed, hosts=2, minutes=MINUTES, rate=0.7).lines()
            if seed == 33:  # late: requests alone, as GPUs had told all
                lines = [line for line in lines if '"model"' in line][::8]
            self.gtap.run("run", "--in", self.write(f"{seed}.ndjson", lines), "--out", store,
                          "--until-end", "--price", "2.5")
        self.served = Serving(self.gtap, store)
        self.addCleanup(self.served.end, signal.SIGKILL)
        self.want = self.report()["totals"]
        for part in PARTS[:-2]:
            self.assertGreater(self.want[part]["cost_nusd"], 0, part)
        for check in (self.costs, self.tables, self.requests, self.gpus, self.events, self.top, self.table,
                      self.files, self.metrics):
            with self.subTest(check.__name__):
                check()

    def report(self, *options):
        return json.loads(self.gtap.run("report", "--store", self.store, "--json", *options).stdout)

    def raw(self, *options):
        done = support.subprocess.run([self.gtap.path, "report", "--store", self.store, *options],
                                      cwd=self.gtap.folder, capture_output=True, check=True)
        return done.stdout.decode()

    def costs(self):
        """All groupings and all steps, whole and folded."""
        views = [*itertools.product(BYS, ("none",), (0, 1)), *itertools.product(("", "gpu"), STEPS, (0,)),
                 ("model,tenant", "1d", 1)]
        for by, step, limit in views:
            view = self.served.json("/api/v1/costs", by=by, step=step, limit=limit, **ALL)
            for part, name in itertools.product(PARTS, SUMS):
                self.assertEqual(view["totals"][part][name], self.want[part][name],
                                 (by, step, limit, part, name))
            for name in ("cost_nusd", "loaded_nusd"):
                self.assertEqual(sum(row[name] or 0 for row in view["rows"]
                                     if row["kind"] != "unplaced"),
                                 self.want["bill"]["cost_nusd"], (by, step, limit, name))

    def tables(self):
        """Hour by hour, what SQL reads from the tables; views read the same from packs."""
        if not self.store.startswith("sqlite:"):
            return
        found = collections.Counter()
        for row in self.served.json("/api/v1/costs", by="gpu,model,tenant", step="1h", **ALL)["rows"]:
            for name in SUMS:
                found[instant(row["time"]), row["kind"], name] += row[name] or 0
        path = self.store.removeprefix("sqlite:")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            hours = db.execute("SELECT window_start / 1000000000, kind, coalesce(sum(cost_nusd), 0), sum(prompt_tokens), "
                               "sum(completion_tokens), sum(requests) FROM cost_hours GROUP BY 1, 2").fetchall()
        self.assertGreater(len(hours), 2)
        for start, kind, *sums in hours:
            self.assertEqual([found[start, kind, name] for name in SUMS], sums, (start, kind))

    def requests(self):
        """Page by page, every request once; an explanation adds up to its cost."""
        found, cursor = [], {}
        while cursor is not None:
            page = self.served.json("/api/v1/requests", limit=500, **ALL, **cursor)
            found += page["items"]
            cursor = {"cursor": page["next"]} if page["next"] else None
        placed = [one for one in found if one["gpus"]]
        self.assertEqual(sum(one["cost_nusd"] for one in placed), self.want["requests"]["cost_nusd"])
        for name in SUMS[1:]:
            self.assertEqual(sum(one[name] for one in found),
                             sum(self.want[part][name] for part in ("requests", "unplaced")), name)
        dearest = max(placed, key=lambda one: one["cost_nusd"])
        said = self.served.json("/api/v1/requests/" + urllib.parse.quote(dearest["event_id"]))
        self.assertEqual(sum(window["cost_nusd"] for gpu in said["explanation"]["gpus"]
                             for window in gpu["windows"]), dearest["cost_nusd"])

    def gpus(self):
        """Each GPU's day so far, and all of them."""
        day, items, today = None, None, None
        while day != time.time() // 86400:  # once more, where midnight was between the two
            day = time.time() // 86400
            items = self.served.json("/api/v1/gpus")["items"]
            today = self.report("--since", "today", "--provisional", "--by", "gpu,kind")
        self.assertEqual(sum(one["today"]["cost_nusd"] for one in items),
                         today["totals"]["bill"]["cost_nusd"] or 0)
        for one in items:
            rows = {row["kind"]: row["cost_nusd"] or 0 for row in today["rows"]
                    if row["gpu"] == one["gpu"]}
            self.assertEqual((one["today"]["cost_nusd"], one["today"]["idle_nusd"],
                              one["today"]["unattributed_nusd"]),
                             (sum(rows.values()), rows.get("idle", 0), rows.get("unattributed", 0)))

    def events(self):
        """The windows that are told now, and the rates of them."""
        listening = Listening(self.served.port)
        self.addCleanup(listening.close)
        now, _, windows = (listening.next(kind)["data"] for kind in ("now", "gpus", "windows"))
        said = self.report("--since", iso(instant(now["since"]) // 60 * 60), "--provisional",
                           "--by", "gpu,model,tenant,kind")
        others = (windows.get("others") or {}).get("cost_nusd") or 0
        self.assertEqual(sum(row["cost_nusd"] or 0 for row in windows["items"]) + others,
                         said["totals"]["bill"]["cost_nusd"])
        hours = (instant(now["until"]) - instant(now["since"])) / 3600
        for name, part in (("usd_per_hour", "bill"), ("idle_usd_per_hour", "idle"),
                           ("unattributed_usd_per_hour", "unattributed")):
            self.assertAlmostEqual(now[name], said["totals"][part]["cost_nusd"] / 1e9 / hours, 6)

    def top(self):
        """On the terminal."""
        at = iso(time.time() // 60 * 60)
        for by in ("model,tenant", "tenant"):
            top = json.loads(self.gtap.run("top", "--json", "--store", self.store, "--at", at,
                                           "--window", "1h", "--by", by.replace(",", "/")).stdout)
            said = self.report("--by", by, "--provisional", "--until", at, "--since",
                               iso(instant(at.replace("+00:00", "Z")) - 3600))
            totals = said["totals"]
            self.assertEqual((top["totals"]["bill_nusd"], top["totals"]["idle_nusd"]),
                             (totals["bill"]["cost_nusd"], totals["idle"]["cost_nusd"]))
            self.assertEqual(sum(gpu["cost_nusd"] for gpu in top["gpus"]),
                             totals["bill"]["cost_nusd"])
            self.assertEqual(sorted(row["loaded_cost_nusd"] for row in top["rows"]),
                             sorted(row["loaded_cost_nusd"] for row in said["rows"]
                                    if row["kind"] == "usage"))

    def table(self):
        """The table for people, exact; and single months, which add up to all."""
        text = self.raw("--exact", "--by", "gpu,kind")
        self.assertIn(f"{self.want['bill']['cost_nusd'] / 10**9:,.9f}", text)
        edges = ("2025-12-01", "2026-01-01", "2026-02-01", "2199-01-01")
        months = [self.report("--since", since, "--until", until)["totals"]["bill"]["cost_nusd"] or 0
                  for since, until in zip(edges, edges[1:])]
        self.assertEqual(sum(months), self.want["bill"]["cost_nusd"])

    def files(self):
        """CSV, FOCUS and the page."""
        bill = self.want["bill"]["cost_nusd"]
        for by in ("hour,gpu,tenant,model", "site"):
            rows = list(csv.DictReader(io.StringIO(self.raw("--format", "csv", "--by", by), newline="")))
            for column in ("cost_usd", "loaded_cost_usd"):
                self.assertEqual(sum(nusd(row[column]) for row in rows if row[column]), bill)
        for by in ("hour", "day"):
            data = focus.Dataset(self.raw("--format", "focus", "--by", by))
            self.assertEqual(data.wrong, [])
            self.assertEqual(data.total() * 10**9, bill)
            self.assertGreater(sum(row["ChargeClass"] is not None for row in data.rows), 0)
            for kind in ("idle", "unattributed"):
                self.assertEqual(data.total(x_Kind=kind) * 10**9, self.want[kind]["cost_nusd"])
        text = self.raw("--format", "html")
        shown = [nusd(value) for value in Page(text).values if re.fullmatch(r"\d+\.\d{9}", value)]
        for part in ("bill", "requests", "idle", "unattributed"):
            self.assertIn(self.want[part]["cost_nusd"], shown, part)

    def metrics(self):
        """The gauges that Prometheus and Grafana show, of the last hour that is final."""
        kinds = {"usage": "requests", "idle": "idle", "unattributed": "unattributed"}
        until = self.served.metric("gtap_final_until_timestamp_seconds")
        said = self.report("--since", iso(until - 3600), "--until", iso(until))
        hours = (instant(said["to"]) - instant(said["from"])) / 3600
        for kind, part in kinds.items():
            found = self.served.metric(f'gtap_cost_usd_per_hour{{kind="{kind}"}}')
            self.assertAlmostEqual(found, said["totals"][part]["cost_nusd"] / 1e9 / hours, 8)


if __name__ == "__main__":
    support.main(__name__)
