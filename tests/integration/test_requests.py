#!/usr/bin/env python3
"""Single requests and prices over adversarial records, on both kinds of store: the pages of /api/v1/requests are
what `gtap export token_usage` has, newest first, whatever is asked for; each request's explanation
adds up to its stored cost to the nano-dollar; `gtap explain` says the same."""

import json
import signal
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter

import gtap as support
from stack import mongo
from test_api import Serving, fill

EXPLAINED = 60


class Requests(support.Case):
    def examine(self, store, **shape):
        self.uri = store
        fill(self, store, **shape)
        self.served = Serving(self.gtap, self.uri)
        self.addCleanup(self.served.end, signal.SIGKILL)
        lines = self.gtap.run("export", "token_usage", "--store", self.uri).stdout.splitlines()
        self.stored = {r["event_id"]: r for r in map(json.loads, lines)}
        for check in (self.pages_are_what_is_stored, self.what_is_asked_for,
                      self.an_explanation_adds_up, self.the_command_says_the_same,
                      self.bad_questions):
            with self.subTest(check.__name__):
                check()

    def test_sqlite(self):
        self.examine(f"sqlite:{self.gtap.file('requests.db')}", hosts=2, minutes=40, rate=0.5)

    def test_mongodb(self):
        server = mongo.for_test(self, self.gtap.file("mongo"))
        server.start()
        self.examine(server.uri, hosts=2, minutes=6, rate=0.3)

    def pages(self, **query):
        """All items, page by page."""
        items, cursor = [], {}
        while True:
            page = self.served.json("/api/v1/requests", **query, **cursor)
            items += page["items"]
            if page["next"] is None:
                return items
            cursor = {"cursor": page["next"]}

    def explained(self, event_id):
        return self.served.json("/api/v1/requests/" + urllib.parse.quote(event_id, safe=""))

    def pages_are_what_is_stored(self):
        items = self.pages(limit=37)
        self.assertEqual(Counter(i["event_id"] for i in items), Counter(self.stored.keys()))
        keys = [(i["start"].rstrip("Z").ljust(29, "0"), i["event_id"]) for i in items]
        self.assertEqual([k[0][:19] for k in keys], sorted((k[0][:19] for k in keys), reverse=True))
        for item in items:
            stored = self.stored[item["event_id"]]
            for name in ("model", "prompt_tokens", "completion_tokens", "cost_nusd", "final", "late"):
                self.assertEqual(item[name], stored.get(name), (name, item))
            for name in ("tenant", "host"):
                self.assertEqual(item[name], stored.get(name), (name, item))

    def what_is_asked_for(self):
        everything = self.pages(limit=1000)
        models = sorted({i["model"] for i in everything})
        tenants = sorted({i["tenant"] or "" for i in everything})
        gpus = sorted({g for i in everything for g in i["gpus"]})
        dear = sorted(i["cost_nusd"] for i in everything if i["cost_nusd"])[-20]
        asked = [({"model": models[0]}, lambda i: i["model"] == models[0]),
                 ({"tenant": tenants[:2]}, lambda i: (i["tenant"] or "") in tenants[:2]),
                 ({"gpu": gpus[0]}, lambda i: gpus[0] in i["gpus"]),
                 ({"gpu": gpus[-1], "model": models}, lambda i: gpus[-1] in i["gpus"]),
                 ({"filter": "unplaced"}, lambda i: not i["gpus"]),
                 ({"filter": "open"}, lambda i: not i["final"]),
                 ({"filter": "late"}, lambda i: i["late"]),
                 ({"filter": "unpriced"}, lambda i: i["final"] and i["gpus"] and i["cost_nusd"] is None),
                 ({"min_usd": f"{dear / 1e9:.9f}"}, lambda i: (i["cost_nusd"] or 0) >= dear)]
        for query, wanted in asked:
            want = [i["event_id"] for i in everything if wanted(i)]
            got = [i["event_id"] for i in self.pages(limit=7, **query)]
            self.assertEqual(got, want, query)
        self.assertEqual(len(self.pages(limit=50, min_usd=f"{dear / 1e9:.9f}")), 20)

    def an_explanation_adds_up(self):
        items = self.pages(limit=1000)
        told = 0
        for item in items[:: max(1, len(items) // EXPLAINED)]:
            one = self.explained(item["event_id"])
            self.assertEqual({k: v for k, v in one.items() if k != "explanation"}, item)
            gpus = one["explanation"]["gpus"]
            self.assertEqual([g["gpu"] for g in gpus], item["gpus"])
            for gpu in gpus:
                self.assertEqual(sum(w["cost_nusd"] for w in gpu["windows"]), gpu["cost_nusd"])
                self.assertEqual(sum(w["gpu_cost_nusd"] for w in gpu["windows"]), gpu["gpu_cost_nusd"])
            if item["final"] and item["cost_nusd"] is not None:
                self.assertEqual(sum(g["cost_nusd"] for g in gpus), item["cost_nusd"], one)
                told += 1
        self.assertGreater(told, 10)

    def the_command_says_the_same(self):
        event_id = self.pages(limit=1, filter="all")[0]["event_id"]
        answer = self.gtap.run("explain", event_id, "--store", self.uri, "--json").stdout
        self.assertEqual(json.loads(answer), self.explained(event_id))
        text = self.gtap.run("explain", event_id, "--store", self.uri).stdout
        self.assertIn(self.explained(event_id)["explanation"]["sentence"], text)

    def bad_questions(self):
        for query, parameter in (("cursor=", "cursor"), ("cursor=1.*", "cursor"), ("gpu=h", "gpu"),
                                 ("gpu=/1", "gpu"), ("gpu=h/1:", "gpu"), ("limit=0", "limit"),
                                 ("filter=some", "filter"), ("min_usd=-1", "min_usd"),
                                 ("limit=1&limit=2", "limit"), ("since=now&until=1d", "since")):
            status, body = self.served.get(f"/api/v1/requests?{query}")
            self.assertEqual((status, json.loads(body).get("parameter")), (400, parameter), query)
        status, body = self.served.get("/api/v1/requests/nobody")
        self.assertEqual(status, 404)
        self.assertIn("no request with the event_id nobody", json.loads(body)["detail"])


class Prices(support.Case):
    """A price is said what it would change before it is written, and then changes just that."""

    def send(self, **fields):
        request = urllib.request.Request(f"http://127.0.0.1:{self.served.port}/api/v1/prices", method="POST",
                                         data=json.dumps(fields).encode())
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def bill(self):
        text = self.gtap.run("report", "--store", self.uri, "--format", "json").stdout
        return json.loads(text)["totals"]["bill"]["cost_nusd"] or 0

    def dry_run_comes_true(self, fields):
        status, told = self.send(**fields)
        self.assertEqual((status, told["applied"]), (200, False))
        change = told["recompute"]
        self.assertEqual(change["bill_before_nusd"], self.bill())
        book = self.served.json("/api/v1/prices")["items"]
        status, done = self.send(**fields, apply=True)
        self.assertEqual((status, done["applied"]), (201, True))
        self.assertEqual(change["bill_before_nusd"], self.bill())  # the past stands
        self.assertIn("gtap recompute --since", done["command"])
        self.gtap.run("recompute", "--store", self.uri, "--since", fields["effective_from"])
        self.assertEqual(self.bill(), change["bill_after_nusd"])
        entries = self.served.json("/api/v1/prices")["items"]
        self.assertEqual(entries[:-1], [dict(e, in_force=False, gpus=0) for e in book])
        self.assertEqual((entries[-1]["in_force"], entries[-1]["gpus"]), (True, 8))
        status, again = self.send(**fields)
        self.assertEqual(again["recompute"]["rows_changed"], 0)
        return change

    def test_prices(self):
        self.uri = f"sqlite:{self.gtap.file('prices.db')}"
        self.gtap.run("run", "--in", "synthetic:?duration=10m&rate=3&seed=7", "--out", self.uri)
        self.served = Serving(self.gtap, self.uri)
        self.addCleanup(self.served.end, signal.SIGKILL)
        self.assertEqual(len(self.served.json("/api/v1/prices")["unpriced"]), 8)
        fields = {"name": "NVIDIA*", "price_per_hour_usd": "3.6", "effective_from": "2024-01-01T00:00:00Z"}
        change = self.dry_run_comes_true(fields)
        self.assertEqual((change["bill_before_nusd"], change["windows"]), (0, 11))
        self.assertEqual(change["requests_changed"], 1763)
        change = self.dry_run_comes_true(dict(fields, price_per_hour_usd="7.2"))
        self.assertEqual(self.served.json("/api/v1/prices")["unpriced"], [])
        status, future = self.send(name="H200", price_per_hour_usd="1")
        self.assertIsNone(future["recompute"])
        for bad in ({"name": "x"}, {"name": "", "price_per_hour_usd": "1"}, {"price_per_hour_usd": "1"},
                    {"name": "x", "price_per_hour_usd": "dear"}, {"name": "x", "colour": "red"},
                    {"name": "x", "price_per_hour_usd": "1", "effective_from": "soon"},
                    {"name": "x", "price_per_hour_usd": "1", "apply": "perhaps"}):
            self.assertEqual(self.send(**bad)[0], 400, bad)


if __name__ == "__main__":
    support.main(__name__)
