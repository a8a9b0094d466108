#!/usr/bin/env python3
"""The API over stores of adversarial records: every view adds up to the bill of `gtap report`, to
the nano-dollar, and nothing that schemathesis makes of /openapi.json breaks it."""

import concurrent.futures
import gzip
import http.client
import itertools
import json
import os
import signal
import subprocess
import urllib.parse
from decimal import Decimal

import adversary
import gtap as support
import python_venv
import served
from stack import mongo

SCHEMATHESIS = ("schemathesis==4.32.5", "hypothesis==6.170.17")
BYS = ("", "model", "tenant", "gpu", "host", "site", "kind", "model,tenant",
       "gpu,model", "kind,host,tenant")
STEPS = ("none", "window", "5m", "1h", "6h", "1d")
ALL = {"since": "2024-01-01", "until": "2033-01-01"}


class Serving(served.Served):
    """`gtap serve` over a store."""

    def __init__(self, gtap, store, *options):
        self.launch(gtap, [gtap.path, "serve", "--store", store, "--listen", "127.0.0.1:0",
                           *options])

    def json(self, path, **query):
        text = urllib.parse.urlencode(query, doseq=True)
        status, body = self.get(f"{path}?{text}" if text else path)
        assert status == 200, f"{path}?{text}: {status} {body}"
        return json.loads(body)


def usd(nusd):
    return f"{Decimal(nusd).scaleb(-9):.9f}"


def fill(case, store, seed=7, **shape):
    """Adversarial records, of which some come hours late, and one that is none."""
    lines = adversary.Cluster(seed, **shape).lines()
    source = case.write("in.ndjson", [*lines, "not a record"])
    case.gtap.run("run", "--in", source, "--out", store, "--until-end",
                  "--price", "2.5")


class Views(support.Case):
    def setUp(self):
        super().setUp()
        self.store = f"sqlite:{self.gtap.file('api.db')}"
        fill(self, self.store, hosts=3, minutes=130, rate=0.7)
        self.served = Serving(self.gtap, self.store)
        self.addCleanup(self.served.end, signal.SIGKILL)

    def report(self, *options):
        done = self.gtap.run("report", "--store", self.store, "--format", "json", "--exact", *options)
        return json.loads(done.stdout)

    def assert_adds_up(self, view, bill):
        """Rows, whatever they are grouped and folded by, are the bill on both bases."""
        rows = [row for row in view["rows"] if row["kind"] != "unplaced"]
        for name in ("cost_nusd", "loaded_nusd"):
            self.assertEqual(sum(row[name] or 0 for row in rows), bill["cost_nusd"],
                             (name, view["by"]))
        self.assertEqual(sum(row["busy_ns"] for row in rows), view["totals"]["bill"]["busy_ns"])
        for row in rows:
            if row["cost_nusd"] is not None:
                self.assertEqual(row["cost_usd"], usd(row["cost_nusd"]))
                self.assertEqual(row["cost_nusd"], row["cost_in_nusd"] + row["cost_out_nusd"]
                                 if row["kind"] == "usage" else row["cost_nusd"])

    def test_every_view_is_the_bill(self):
        want = self.report("--by", "model,tenant")["totals"]
        self.assertGreater(want["bill"]["cost_nusd"], 0)
        for by, step, limit in itertools.product(BYS, STEPS, (0, 1)):
            view = self.served.json("/api/v1/costs", by=by, step=step, limit=limit, **ALL)
            self.assert_adds_up(view, want["bill"])
            for part in ("requests", "idle", "unattributed", "unplaced", "bill"):
                for name in ("cost_nusd", "prompt_tokens", "completion_tokens", "requests"):
                    self.assertEqual(view["totals"][part][name], want[part][name],
                                     (by, step, part, name))

    def test_zones_cut_the_same_bill(self):
        want = self.report()["totals"]["bill"]
        for tz, step in itertools.product(("Asia/Kathmandu", "America/St_Johns", "+05:30"),
                                          ("1h", "1d")):
            view = self.served.json("/api/v1/costs", tz=tz, step=step, by="gpu", **ALL)
            self.assertEqual(view["tz"], tz)
            self.assert_adds_up(view, want)

    def test_parts_of_filters_add_up(self):
        """What is chosen and what is left are the whole, and each row says what it said."""
        whole = self.served.json("/api/v1/costs", by="model,gpu", **ALL)
        said = {(r["kind"], r["model"], r["gpu"]): r for r in whole["rows"]}
        gpus = sorted({r["gpu"] for r in whole["rows"] if r["gpu"]})
        total = 0
        for gpu in gpus:
            view = self.served.json("/api/v1/costs", by="model,gpu", gpu=gpu, **ALL)
            for name in ("cost_nusd", "cost_in_nusd", "requests", "prompt_tokens", "busy_ns"):
                self.assertEqual(view["totals"]["unfiltered_bill"][name],
                                 whole["totals"]["bill"][name])
            for row in view["rows"]:
                self.assertEqual(row, said[row["kind"], row["model"], row["gpu"]])
            total += view["totals"]["bill"]["cost_nusd"]
        self.assertEqual(total, whole["totals"]["bill"]["cost_nusd"])
        view = self.served.json("/api/v1/costs", gpu=gpus, **ALL)
        self.assertEqual(view["totals"]["bill"]["cost_nusd"], total)
        filtered = self.report("--where", f"gpu={gpus[0]}", "--where", "kind=usage")
        self.assertEqual(filtered["totals"]["bill"]["cost_nusd"],
                         self.served.json("/api/v1/costs", gpu=gpus[0], kind="usage",
                                          **ALL)["totals"]["bill"]["cost_nusd"])

    def test_same_rows_as_report(self):
        view = self.served.json("/api/v1/costs", by="tenant", step="15m", basis="loaded", **ALL)
        want = self.report("--by", "tenant", "--step", "15m")
        self.assertEqual(len(view["rows"]), len(want["rows"]))
        for ours, theirs in zip(view["rows"], want["rows"]):
            self.assertEqual((ours["time"], ours["kind"], ours["tenant"], ours["cost_nusd"],
                              ours["loaded_nusd"]),
                             (theirs["time"], theirs["kind"], theirs["tenant"], theirs["cost_nusd"],
                              theirs["loaded_cost_nusd"]))
            if ours["kind"] == "usage":
                self.assertEqual(ours["usd_per_mtok"], theirs["loaded_usd_per_mtok"])

    def test_gpus_and_letters(self):
        gpus = self.served.json("/api/v1/gpus")["items"]
        self.assertEqual(len(gpus), 9)
        self.assertEqual({g["state"] for g in gpus}, {"silent"})  # these records are years old
        letters = self.served.json("/api/v1/dead_letters")
        self.assertIsNone(letters["next"])
        self.assertEqual([d["payload"] for d in letters["items"]], ["not a record"])

    def test_packed_tagged_and_described(self):
        c = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=support.DEADLINE)
        self.addCleanup(c.close)
        path = "/api/v1/costs?since=2024-01-01&until=2033-01-01&by=gpu"
        c.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = c.getresponse()
        body = gzip.decompress(answer.read())
        self.assertEqual(json.loads(body), json.loads(self.served.get(path)[1]))
        c.request("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
        again = c.getresponse()
        self.assertEqual((again.status, again.read()), (304, b""))
        paths = self.served.json("/openapi.json")["paths"]
        for path, operations in paths.items():
            streams = "text/event-stream" in json.dumps(operations)  # these do not end
            if "get" in operations and "{" not in path and not streams:
                self.assertIn(self.served.get(path)[0], (200, 304), path)

    def test_token_and_origins(self):
        self.write("token", ["s3cret"])
        guarded = Serving(self.gtap, self.store, "--api-token-file", "token", "--cors-origin",
                          "https://a.example")
        self.addCleanup(guarded.end, signal.SIGKILL)
        self.assertEqual(guarded.get("/api/v1/costs")[0], 401)
        self.assertEqual(guarded.get("/health")[0], 200)
        self.assertEqual(guarded.get("/api/v1/costs", {"Authorization": "Bearer s3cret"})[0], 200)
        c = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=support.DEADLINE)
        self.addCleanup(c.close)
        c.request("OPTIONS", "/api/v1/costs", headers={
            "Origin": "https://a.example", "Access-Control-Request-Headers": "authorization"})
        answer = c.getresponse()
        answer.read()
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "https://a.example")

    def test_serve_refuses(self):
        for words, said in ((["--store", "sqlite:nowhere.db"], "nowhere.db"),
                            (["--store", self.store, "--cors-origin", "*"], "is no origin"),
                            (["--store", self.store, "--listen", "nonsense"], "nonsense")):
            done = self.gtap.run("serve", *words, expect=None)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(said, done.stderr)


class Runs(served.Case):
    """What runs answer beside what they do: of their own store, while they write it."""

    def test_a_run_answers(self):
        run = self.serve()
        lines = adversary.Cluster(3, hosts=2, minutes=12, rate=0.5).lines()
        for batch in served.batches(lines, 500):
            status, text = run.post(batch)
            self.assertEqual(status, 200, text)
        path = "/api/v1/costs?by=model,gpu&provisional=true&" + urllib.parse.urlencode(ALL)

        def agrees():  # windows that are open are stored about once a second
            want = json.loads(self.gtap.run("report", "--store", self.store, "--format", "json",
                                            "--provisional").stdout)["totals"]
            view = json.loads(run.get(path)[1])
            rows = [row["cost_nusd"] or 0 for row in view["rows"] if row["kind"] != "unplaced"]
            self.assertEqual(sum(rows), view["totals"]["bill"]["cost_nusd"])
            return (want["bill"]["cost_nusd"] == view["totals"]["bill"]["cost_nusd"] > 0
                    and want["requests"]["requests"] == view["totals"]["requests"]["requests"] > 0)

        self.wait_for(agrees)

        def counted():  # the run tells of itself about once a second
            status = json.loads(run.get("/api/v1/status")[1])
            self.assertFalse(status["serving_only"])
            self.assertEqual([i["name"] for i in status["inputs"]], ["http:"])
            stored = status["stored"]["samples"] + status["stored"]["usages"]
            return status["counters"]["records"] == stored > 0

        self.wait_for(counted)
        self.stop(run)

    def test_without_a_store_there_are_no_views(self):
        run = self.serve("http:", store="null:")
        self.assertEqual(run.get("/api/v1/costs")[0], 404)
        self.assertEqual(run.get("/health")[0], 200)
        self.stop(run)

    def test_many_at_a_time(self):
        """Each is answered, or told to ask again; and the run goes on."""
        store = f"sqlite:{self.gtap.file('many.db')}"
        fill(self, store, hosts=3, minutes=60, rate=0.7)
        serving = Serving(self.gtap, store)
        self.addCleanup(serving.end, signal.SIGKILL)
        path = "/api/v1/costs?step=window&by=model,tenant,gpu&" + urllib.parse.urlencode(ALL)
        with concurrent.futures.ThreadPoolExecutor(120) as pool:
            answers = list(pool.map(lambda _: serving.get(path), range(120)))
        self.assertEqual({status for status, _ in answers} - {200, 503}, set())
        bodies = {body for status, body in answers if status == 200}
        self.assertEqual(len(bodies), 1)
        self.assertEqual(serving.get(path)[0], 200)
        self.assertEqual(serving.end(), 0)


class Schemathesis(support.Case):
    """Each route, asked in all ways that its description allows, and in ways that it does not."""

    def examine(self, store, examples, phases="examples,coverage,fuzzing"):
        python = python_venv.python_with("schemathesis", SCHEMATHESIS)
        serving = Serving(self.gtap, store)
        self.addCleanup(serving.end, signal.SIGKILL)
        url = f"http://127.0.0.1:{serving.port}"
        done = subprocess.run(
            [os.path.join(os.path.dirname(python), "schemathesis"), "run", f"{url}/openapi.json",
             "--url", url, "--max-examples", str(examples), "--seed", "1", "--no-color",
             "--generation-database", "none", "--phases", phases, "--checks",
             "not_a_server_error,status_code_conformance,content_type_conformance,"
             "response_headers_conformance,response_schema_conformance,unsupported_method",
             "--request-timeout", str(support.DEADLINE),
             "--exclude-path-regex", "/(events|stream)$"],  # those answers do not end
            capture_output=True, text=True, timeout=4 * support.DEADLINE, cwd=self.gtap.folder,
            check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
        self.assertRegex(done.stdout, r"[1-9][0-9]* passed|No issues found|generated")
        self.assertEqual(serving.get("/health")[0], 200)

    def test_sqlite(self):
        store = f"sqlite:{self.gtap.file('s.db')}"
        fill(self, store, hosts=2, minutes=70, rate=0.5)
        self.examine(store, 30)

    def test_mongodb(self):
        server = mongo.for_test(self, self.gtap.file("mongo"))
        server.start()
        fill(self, server.uri, hosts=2, minutes=10, rate=0.3)
        self.examine(server.uri, 8, "examples,fuzzing")
        found = Serving(self.gtap, server.uri)
        self.addCleanup(found.end, signal.SIGKILL)
        want = json.loads(self.gtap.run("report", "--store", server.uri, "--format", "json").stdout)
        for by in ("model,tenant", "gpu"):
            view = found.json("/api/v1/costs", by=by, step="5m", **ALL)
            self.assertEqual(view["totals"]["bill"]["cost_nusd"],
                             want["totals"]["bill"]["cost_nusd"])
        letters = found.json("/api/v1/dead_letters", limit=1)
        self.assertEqual([d["payload"] for d in letters["items"]], ["not a record"])


if __name__ == "__main__":
    support.main(__name__)
