#!/usr/bin/env python3
"""What is going on now, as server-sent events: of a run that goes on, and of a store that stands
still, where every number is the one that `gtap report` says.

    test_events.py --gtap BUILD/gtap [--only TEXT]
"""

import http.client
import json
import signal
import socket
import time
from datetime import datetime, timezone

import gtap as support
from served import Case, Served

MEMBERS = {"at", "since", "until", "usd_per_hour", "usd_per_mtok", "busy_share", "idle_usd_per_hour",
           "unattributed_usd_per_hour", "tokens_per_minute", "requests_per_minute", "behind_seconds",
           "final_until", "dead_letters", "late", "ready", "gpus"}
GPUS, PRICE = 8, 2.95


class Listening:
    """A client of /api/v1/events, without a library's help."""

    def __init__(self, port, path="/api/v1/events", headers=()):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=support.DEADLINE)
        self.connection.request("GET", path, headers={"Accept": "text/event-stream", **dict(headers)})
        self.answer = self.connection.getresponse()

    def event(self):
        """The next one: its fields, of which data is read as JSON. None: it is over."""
        fields = {}
        for line in iter(self.answer.readline, b""):
            text = line.decode().rstrip("\n")
            if not text and "data" in fields:
                return {**fields, "data": json.loads(fields["data"])}
            name, colon, value = text.partition(": ")
            if colon and name:
                fields[name] = value
        return None

    def next(self, kind):
        while (event := self.event()) and event["event"] != kind:
            pass
        assert event, f"it is over before there was another {kind}"
        return event

    def close(self):
        self.connection.close()


def instant(text):
    """Seconds; of nine decimals Python takes six."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{fraction or 0}")


class Live(Case):
    def listen(self, served, **kwargs):
        listening = Listening(served.port, **kwargs)
        self.addCleanup(listening.close)
        return listening

    def run_synthetic(self, *options):
        return self.serve("synthetic:", options=("--price", str(PRICE), *options))

    def test_run(self):
        served = self.run_synthetic()
        self.wait_for(lambda: json.loads(served.get("/gpu/info")[1] or "[]"))
        one = self.listen(served)
        self.assertEqual(one.answer.status, 200)
        self.assertEqual(one.answer.getheader("Content-Type"), "text/event-stream; charset=utf-8")
        self.assertEqual(one.answer.getheader("Cache-Control"), "no-store")
        first = [one.event() for _ in range(3)]
        self.assertEqual([event["event"] for event in first], ["now", "gpus", "windows"])
        self.assertEqual(first[0]["retry"], "2000")
        self.assertEqual(set(first[0]["data"]), MEMBERS)
        ids = [int(event["id"]) for event in first]
        deadline = time.monotonic() + support.DEADLINE
        while True:  # one a second, until all GPUs have been billed for some time
            event = one.next("now")
            ids.append(int(event["id"]))
            now = event["data"]
            if abs((now["usd_per_hour"] or 0) / (GPUS * PRICE) - 1) < 0.1 and now["usd_per_mtok"]:
                break
            self.assertLess(time.monotonic(), deadline, now)
        self.assertEqual(ids, sorted(ids))
        self.assertTrue(now["ready"])
        self.assertLess(now["behind_seconds"], 30)
        self.assertEqual(sum(now["gpus"].values()), GPUS)
        gpus = one.next("gpus")["data"]["items"]
        listed = json.loads(served.get("/api/v1/gpus")[1])["items"]
        self.assertEqual([gpu["gpu"] for gpu in gpus], [gpu["gpu"] for gpu in listed])
        self.assertEqual(set(gpus[0]) | {"today"}, set(listed[0]))
        self.again(served, one, ids[-1])

    def again(self, served, one, newest):
        """Who comes again has the whole state at once; then the run ends, and tells both."""
        other = self.listen(served, path="/api/v1/stream", headers={"Last-Event-ID": str(newest)})
        events = [other.event() for _ in range(3)]
        self.assertEqual([event["event"] for event in events], ["now", "gpus", "windows"])
        self.assertGreaterEqual(int(events[0]["id"]), newest)
        served.tell(signal.SIGTERM)
        for listening in (one, other):
            while listening.event():
                pass
        self.stop(served)

    def test_token(self):
        with open(self.gtap.file("token"), "w", encoding="ascii") as f:
            f.write("secret-of-the-test\n")
        served = self.run_synthetic("--api-token-file", self.gtap.file("token"))
        self.assertEqual(self.listen(served).answer.status, 401)
        good = self.listen(served, headers={"Authorization": "Bearer secret-of-the-test"})
        self.assertEqual(good.answer.status, 200)
        self.assertEqual(good.event()["event"], "now")
        self.assertEqual(served.get("/")[0], 200)  # the page asks for the token, and is not one
        self.stop(served)

    def test_refused(self):
        served = self.run_synthetic()
        status, text = served.get("/api/v1/events?since=24h")
        self.assertEqual((status, json.loads(text)["parameter"]), (400, "since"))
        self.assertEqual(served.ask("POST", "/api/v1/events", "x")[0], 405)
        self.stop(served)

    def test_gone_and_slow(self):
        """Clients that are gone and some that do not read: the others are told, records come in."""
        served = self.run_synthetic()
        for number in range(40):
            s = socket.create_connection(("127.0.0.1", served.port), 60)
            self.addCleanup(s.close)
            s.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if number % 2:
                s.close()
        reader = self.listen(served)
        records = served.metric('gtap_input_records_total{input="synthetic:"}') or 0
        for _ in range(4):
            self.assertEqual(reader.next("now")["data"]["ready"], True)
        self.wait_for(lambda: served.metric('gtap_input_records_total{input="synthetic:"}')
                      > records)
        self.wait_for(lambda: served.metric("gtap_events_joined_total") == 41)
        self.assertGreaterEqual(served.metric("gtap_events_listeners"), 21)
        self.wait_for(lambda: served.metric("gtap_events_sent_total") >= 3 * 21)
        self.assertIsNotNone(served.metric("gtap_events_cut_total"))
        self.stop(served)


class Still(support.Case):
    """A store to which nothing comes: what is told is what a report says of the same windows."""

    def test_agrees(self):
        store = self.gtap.store("still.db")
        self.gtap.meter(store, self.write("in.ndjson", support.records(4000)))
        served = Served.__new__(Served)
        served.launch(self.gtap, [self.gtap.path, "serve", "--store", store,
                                  "--listen", "127.0.0.1:0"])
        self.addCleanup(served.end, signal.SIGKILL)
        listening = Listening(served.port)
        self.addCleanup(listening.close)
        now, gpus, windows = (listening.next(kind)["data"] for kind in ("now", "gpus", "windows"))
        since = datetime.fromtimestamp(instant(now["since"]) // 60 * 60, timezone.utc).isoformat()
        report = json.loads(self.gtap.run("report", "--store", store, "--json", "--since", since,
                                          "--by", "gpu,model,tenant,kind").stdout)
        self.assert_same_rows(report, windows["items"])
        hours = (instant(now["until"]) - instant(now["since"])) / 3600
        totals = report["totals"]
        for name, total in (("usd_per_hour", "bill"), ("idle_usd_per_hour", "idle"),
                            ("unattributed_usd_per_hour", "unattributed")):
            self.assertAlmostEqual(now[name], totals[total]["cost_nusd"] / 1e9 / hours, 6)
        self.assertAlmostEqual(now["usd_per_mtok"], totals["bill"]["usd_per_mtok"], 9)
        requests = totals["requests"]
        tokens = requests["prompt_tokens"] + requests["completion_tokens"]
        self.assertAlmostEqual(now["tokens_per_minute"] * hours * 60 / tokens, 1, 8)
        self.assertAlmostEqual(now["requests_per_minute"] * hours * 60 / requests["requests"], 1, 8)
        self.assertEqual(now["gpus"], {"busy": 0, "idle": 0, "silent": 8, "unpriced": 0})
        self.assertEqual(len(gpus["items"]), 8)
        # Nothing changes but the time: only "now" is told again.
        self.assertEqual([listening.event()["event"] for _ in range(2)], ["now", "now"])

    def assert_same_rows(self, report, items):
        key = ("gpu", "kind", "model", "tenant")
        value = ("cost_nusd", "requests", "prompt_tokens", "completion_tokens")
        self.assertGreater(len(items), 8)
        self.assertEqual({tuple(row[k] for k in key): [row[v] for v in value] for row in items},
                         {tuple(row[k] for k in key): [row[v] for v in value]
                          for row in report["rows"]})
        self.assertEqual(sum(row["cost_nusd"] for row in items),
                         report["totals"]["bill"]["cost_nusd"])


if __name__ == "__main__":
    support.main(__name__)
