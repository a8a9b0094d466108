#!/usr/bin/env python3
"""Single requests over adversarial records, on both kinds of store: the pages of /api/v1/requests are
what `gtap export token_usage` has, newest first, whatever is asked for; each request's explanation
adds up to its stored cost to the nano-dollar; `gtap explain` says the same."""

import json
import signal
import urllib.parse
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
        self.examine(f"sqlite:{self.gtap.file('requests.db')}", hosts=2, minutes=60, rate=0.5)

    def test_mongodb(self):
        server = mongo.for_test(self, self.gtap.file("mongo"))
        server.start()
        self.examine(server.uri, hosts=2, minutes=12, rate=0.3)

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


if __name__ == "__main__":
    support.main(__name__)
