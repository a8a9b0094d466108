"""What gtap tells about itself: /ready, /metrics, Prometheus, and the pages that describe them.

    test_scraping.py --gtap BUILD/gtap [--only TEXT]
"""

import datetime
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import urllib.parse
import urllib.request

import gtap as support
from daemon import free_ports
from served import Case, SKIPPED, batches

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def page(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


UNPACKED = os.path.join(ROOT, ".cache", "debian", "usr", "bin")  # see tools/install-deps.sh


def needs(program):
    """The path of a program of Debian's package prometheus."""
    found = shutil.which(program) or shutil.which(program, path=UNPACKED)
    if not found:
        raise SKIPPED(f"there is no {program}")
    return found


def block(text, name):
    """The code block of a page that is called so."""
    return re.search(rf"```\w+ {re.escape(name)}\n(.*?)```", text, re.DOTALL)[1]


class Metered(Case):
    """A run that has been sent more than is final at once, so that /metrics has all there is."""

    def setUp(self):
        super().setUp()
        self.lines = support.records(3000, rate=5)
        self.served = self.serve()
        for batch in batches(self.lines, 1000):
            self.assertEqual(self.served.post(batch)[0], 200)
        self.wait_for(lambda: "gtap_usd_per_million_tokens{" in self.served.get("/metrics")[1])


class Page(Metered):
    def test_promtool(self):
        promtool = needs("promtool")
        text = self.served.get("/metrics")[1]
        done = subprocess.run([promtool, "check", "metrics"], input=text, text=True,
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_formats_agree(self):
        """OpenMetrics names a counter's family without _total; the samples are the same."""
        def names():
            texts = [self.served.get("/metrics", headers)[1] for headers in ((), OPENMETRICS)]
            self.assertTrue(texts[1].endswith("\n# EOF\n"))
            return texts[1], *(re.findall(r"(?m)^[a-z]\S*(?= )", text) for text in texts)

        self.wait_for(lambda: len(set(map(tuple, names()[1:]))) == 1)  # none came in between
        other, found, _ = names()
        counters = [name for name in found if name.split("{")[0].endswith("_total")]
        families = {name.split("{")[0].removesuffix("_total") for name in counters}
        self.assertEqual(families, set(re.findall(r"(?m)^# TYPE (\S+) counter$", other)))

    def test_described(self):
        """Every metric has its row in docs/serving.md, with its type and labels, and vice versa."""
        text = self.served.get("/metrics")[1]
        served = {}
        for name, kind in re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text):
            self.assertRegex(text, rf"(?m)^# HELP {name} [A-Z0-9].*\.$")
            labels = re.search(rf"(?m)^{name}\{{(.*)\}} ", text)
            served[name] = (kind, re.findall(r'(\w+)="', labels[1]) if labels else [])
        cells = [[cell.strip() for cell in line.split("|")[1:-1]]
                 for line in page("docs/serving.md").splitlines()
                 if re.match(r"\| `(gtap|process)_", line)]
        rows = [(name.strip("`"), kind, unit, re.findall(r"`(\w+)`", labels))
                for name, kind, unit, labels, _ in cells]
        described = {name: (kind, labels) for name, kind, _, labels in rows}
        self.assertEqual(set(served), set(described))
        self.assertEqual(served, described)
        units = {"_seconds": "seconds", "_bytes": "bytes"}
        for name, _, unit, _ in rows:
            for ending, word in units.items():
                if name.removesuffix("_total").endswith(ending):
                    self.assertTrue(unit.startswith(word), name)

    def reported(self, until):
        """What a report over the last hour says of each kind, in USD an hour."""
        # The first request began in the minute before the first sample.
        first = max(until - 3600, support.EPOCH - 60)
        begin, end = (datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat()
                      for at in (first, until))
        report = json.loads(self.gtap.run("report", "--json", "--since", begin, "--until", end,
                                          "--store", self.store).stdout)
        begin, end = (datetime.datetime.fromisoformat(report[key]) for key in ("from", "to"))
        hours = (end - begin) / datetime.timedelta(hours=1)
        return {kind: report["totals"][key]["cost_nusd"] / 1e9 / hours for kind, key in
                (("usage", "requests"), ("idle", "idle"), ("unattributed", "unattributed"))}

    def served_costs(self):
        return {kind: self.served.metric(f'gtap_cost_usd_per_hour{{kind="{kind}"}}')
                for kind in ("usage", "idle", "unattributed")}

    def test_costs_add_up(self):
        """The bill of /metrics is that of a report over the same hour."""

        def agree():  # the page's costs are at most a second older than its times
            until = self.served.metric("gtap_final_until_timestamp_seconds")
            served, reported = self.served_costs(), self.reported(until)
            return all(abs(served[kind] - reported[kind]) < 1e-9 for kind in reported)

        # 8 GPUs at 2.50 USD, all but the first minute, once all that was sent is final.
        self.wait_for(lambda: sum(self.served_costs().values()) > 15)
        self.wait_for(agree)
        self.assertLessEqual(sum(self.served_costs().values()), 20)
        self.assertEqual(self.served.metric("gtap_unpriced_gpu_seconds"), 0)

    def test_gpu_info(self):
        status, text = self.served.get("/gpu/info")
        newest = {}
        for line in self.lines:
            record = json.loads(line)
            if "model" not in record:
                newest[record["gpu_index"]] = record
        gpus = json.loads(text)
        self.assertEqual((status, [gpu["gpu_index"] for gpu in gpus]), (200, sorted(newest)))
        for gpu in gpus:
            self.assertEqual(gpu["power_w"], newest[gpu["gpu_index"]]["power_w"])

    def test_leaves_no_log(self):
        """Who was answered from the store does not outlive the run's own handle."""
        for path in ("/gpu/info", "/metrics"):
            self.assertEqual(self.served.get(path)[0], 200)
        self.stop(self.served)
        self.assertEqual([name for name in os.listdir(self.gtap.folder)
                          if name.endswith(("-wal", "-shm"))], [])


class Scraped(Metered):
    """By Debian's Prometheus."""

    def start_prometheus(self):
        prometheus = needs("prometheus")
        config = block(page("docs/serving.md"), "prometheus.yml").replace(
            "127.0.0.1:8080", f"127.0.0.1:{self.served.port}")
        with open(self.gtap.file("prometheus.yml"), "w", encoding="utf-8") as f:
            f.write("global: {scrape_interval: 1s, scrape_timeout: 1s}\n" + config)
        self.port = free_ports(1)[0]
        process = subprocess.Popen(
            [prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            cwd=self.gtap.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.send_signal, signal.SIGTERM)

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=support.DEADLINE) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None  # it is about to start

    def series(self, query):
        """By their labels, without those that the scrape added."""
        found = self.ask("query", query=query)
        return {tuple(sorted((k, v) for k, v in one["metric"].items()
                             if k not in ("__name__", "job", "instance"))): float(one["value"][1])
                for one in (found or {"result": []})["result"]}

    def test_scrape(self):
        """In the end: a scrape that took longer than it may leaves nothing but its "up" of 0."""
        self.start_prometheus()
        requests = sum('"model"' in line for line in self.lines)
        groups = {(m, t) for m in ("llama-3-70b", "qwen3-30b") for t in ("search", "chat", "batch")}
        for query, wanted in (('up{job="gtap"}', {(): 1}), ("gtap_usages_total", {(): requests}),
                              ("gtap_samples_total", {(): len(self.lines) - requests}),
                              ("gtap_input_up", {(("input", "http:"),): 1})):
            self.wait_for(lambda q=query, w=wanted: self.series(q) == w, f"{query} is not {wanted}")
        self.wait_for(lambda: {tuple(v for _, v in key)
                               for key in self.series("gtap_recent_tokens")} == groups)
        self.wait_for(lambda: len(self.series("gtap_usd_per_million_tokens")) == 2 * len(groups))
        told = set(re.findall(r"(?m)^# TYPE (\S+) ", self.served.get("/metrics", OPENMETRICS)[1]))
        self.wait_for(lambda: told == {name for name in self.ask("metadata") or ()
                                       if name.startswith(("gtap_", "process_"))})

    def test_alerts(self):
        promtool = needs("promtool")
        with open(self.gtap.file("gtap.rules.yml"), "w", encoding="utf-8") as f:
            f.write(block(page("docs/serving.md"), "gtap.rules.yml"))
        done = subprocess.run([promtool, "check", "rules", self.gtap.file("gtap.rules.yml")],
                              text=True, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        served = self.served.get("/metrics")[1]
        for name in re.findall(r"gtap_\w+", block(page("docs/serving.md"), "gtap.rules.yml")):
            self.assertIn(f"# TYPE {name} ", served)


class Source:
    """A page of vLLM's counters at a port that can be closed and opened again."""

    def __init__(self, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                text = ('# TYPE vllm:prompt_tokens_total counter\n'
                        'vllm:prompt_tokens_total{model_name="m"} 10\n'
                        '# TYPE vllm:generation_tokens_total counter\n'
                        'vllm:generation_tokens_total{model_name="m"} 5\n').encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Failing(Case):
    """An input that fails, and comes back, while another goes on."""

    def test_source(self):
        if "vllm+http" not in self.gtap.run("docs", "markdown").stdout:
            raise SKIPPED("this program has no input that fails and comes back")
        source = Source(free_ports(1)[0])
        name = f"vllm+http://127.0.0.1:{source.port}/metrics?gpus=0"
        served = self.serve(name, "http:")
        up = f'gtap_input_up{{input="{name}"}}'
        failures = f'gtap_input_failures_total{{input="{name}"}}'

        def state():
            return {one["input"]: one for one in served.ready()[1]["inputs"]}[name]

        self.wait_for(lambda: state()["last_success_age_s"] is not None)
        self.wait_for(lambda: (served.ready()[0], served.metric(up)) == (200, 1))
        source.close()
        self.wait_for(lambda: not state()["ok"])
        self.wait_for(lambda: served.metric(up) == 0 and served.metric(failures) > 0)
        self.assertTrue(state()["last_error"])
        # The other one works: the run is ready, and takes what is sent.
        self.assertEqual(served.ready()[0], 200)
        self.assertEqual(served.post(support.records(1))[0], 200)
        failed = served.metric(failures)
        source = Source(source.port)
        self.addCleanup(source.close)
        self.wait_for(lambda: state()["ok"] and served.metric(up) == 1)
        self.assertTrue(state()["last_error"])  # of the last failure, also when it is over
        self.assertGreaterEqual(served.metric(failures), failed)
        self.stop(served)
        said = "".join(served.said)
        self.assertEqual((said.count("trying again"), said.count("is back")), (1, 1), said)


if __name__ == "__main__":
    support.main(__name__)
