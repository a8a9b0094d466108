"""Requests that are sent in by the programs that people have: the OpenTelemetry SDK, a LiteLLM proxy.

    test_otlp.py --gtap BUILD/gtap [--only TEXT]
"""

import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.request

import gtap as support
from daemon import free_ports, wait_for
from python_venv import python_with

SDK = ("opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2")
LITELLM = ("litellm[proxy]==1.108.7", *SDK)

BEGIN = support.EPOCH
HERE = os.path.dirname(os.path.abspath(__file__))


def ns(second):
    return round((BEGIN + second) * 1e9)


def post(url, body, content_type, headers=None):
    request = urllib.request.Request(url, data=body, method="POST",
                                     headers={"Content-Type": content_type, **(headers or {})})
    with urllib.request.urlopen(request, timeout=support.DEADLINE) as answer:
        return answer.status, answer.read(), answer.headers


class Serving:
    """A run that is sent to."""

    def __init__(self, gtap, store, *inputs):
        words = [word for uri in inputs for word in ("--in", uri)]
        self.child = gtap.start("run", *words, "--out", store, "--listen", "127.0.0.1:0")
        self.said, self.url = [], None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stderr:
            self.said.append(line)
            found = re.search(r"serving at (http://\S+)", line)
            if found:
                self.url = found[1]

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(timeout=support.DEADLINE)
        self.reader.join(timeout=support.DEADLINE)
        self.child.stdout.close()
        self.child.stderr.close()
        return self.child.returncode

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
            self.stop()


class Case(support.Case):
    def serve(self, store, *inputs):
        serving = Serving(self.gtap, store, *inputs)
        self.addCleanup(serving.kill)
        self.wait_for(lambda: serving.url or serving.child.poll() is not None)
        self.assertIsNotNone(serving.url, "".join(serving.said))
        return serving

    def samples(self, name, first, last, price):
        """GPU 0 of gpu-07, a sample a second, at a price an hour."""
        lines = [json.dumps({"ts": first + second, "host": "gpu-07", "gpu_index": 0,
                             "utilization": 0.9, "price_per_hour_usd": price,
                             "event_id": f"sample-{second}"})
                 for second in range(last - first + 1)]
        return self.write(name, lines)

    def settle(self, serving, store, samples):
        """Stops the run, and adds what makes everything final."""
        self.assertEqual(serving.stop(), 0, "".join(serving.said))
        self.gtap.meter(store, samples)
        self.assert_verified(store)
        rows = self.gtap.export("token_usage", store)
        self.assertTrue(all(row["final"] for row in rows))
        return rows

    def idle(self, store):
        return sum(row["cost_nusd"] for row in self.gtap.export("cost_windows", store)
                   if row["kind"] == "idle")


def call(start, end, model, *, kind="CLIENT", **more):
    span = {"name": f"chat {model}", "kind": kind, "start": ns(start), "end": ns(end)}
    return {**span, **more}


# One GPU at $3.60 an hour, which is a million nano-dollars a second, and weights 1:4. What each
# costs is worked out beside it; the cost model says how.
SPANS = [
    # 10 s of it alone before its first token, 10 s alone behind it; beside B's prompt 4 * 40 / 40 =
    # 4 parts of 4 + 16 for 10 s; beside B's answer 4 parts of 4 + 4 for 20 s: 10 + 10 + 2 + 10.
    call(0, 50, "m", attributes={"gen_ai.system": "vllm", "gen_ai.request.model": "m",
                                 "gen_ai.usage.prompt_tokens": 100,
                                 "gen_ai.usage.completion_tokens": 40, "enduser.id": "a"},
         events=[{"name": "llm.content.completion.chunk", "time": ns(10)},
                 {"name": "llm.content.completion.chunk", "time": ns(11)}]),
    # 200 - 40 tokens to read in 10 s, 16 parts of 20; 30 written in 30 s, 4 parts of 8 for 20 s and
    # alone for 10 s: 8 + 10 + 10. An agent's span and a gateway's are around it.
    call(15, 65, "agent", kind="INTERNAL",
         attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 200,
                     "gen_ai.usage.output_tokens": 30, "gen_ai.request.model": "m"},
         within=[call(18, 62, "m", kind="SERVER",
                      attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "alias",
                                  "gen_ai.usage.input_tokens": 200,
                                  "gen_ai.usage.output_tokens": 30},
                      within=[call(20, 60, "m",
                                   attributes={"gen_ai.operation.name": "chat",
                                               "gen_ai.request.model": "alias",
                                               "gen_ai.response.model": "m",
                                               "gen_ai.response.id": "chatcmpl-b",
                                               "gen_ai.usage.input_tokens": 200,
                                               "gen_ai.usage.cache_read.input_tokens": 40,
                                               "gen_ai.usage.output_tokens": 30,
                                               "gen_ai.usage.reasoning.output_tokens": 20,
                                               "gen_ai.response.time_to_first_chunk": 10.0,
                                               "user.id": "b"})])]),
    # vLLM's: it came at 70 s, waited for 10 s, and had the GPU for itself for 20 s.
    call(70, 100.125, "llm_request", kind="SERVER",
         attributes={"gen_ai.request.id": "chatcmpl-c", "gen_ai.response.model": "m",
                     "gen_ai.usage.prompt_tokens": 50, "gen_ai.usage.completion_tokens": 20,
                     "gen_ai.latency.time_in_queue": 10.0, "gen_ai.latency.e2e": 30.0,
                     "gen_ai.latency.time_to_first_token": 20.0,
                     "gen_ai.latency.time_in_model_prefill": 10.0,
                     "gen_ai.latency.time_in_model_decode": 10.0,
                     "gen_ai.latency.time_in_model_inference": 20.0}),
    # Embeddings at once, one third and two thirds of 10 s: 3333333 1/3 and 6666666 2/3 nano-dollars,
    # of which the greater remainder gets the last one.
    call(130, 140, "e", attributes={"gen_ai.operation.name": "embeddings",
                                    "gen_ai.request.model": "e", "gen_ai.usage.input_tokens": 10,
                                    "user.id": "d"}),
    call(130, 140, "e", attributes={"gen_ai.operation.name": "embeddings",
                                    "gen_ai.request.model": "e", "gen_ai.usage.input_tokens": 20,
                                    "user.id": "e"}),
    # No calls of models, or none that got anywhere.
    call(0, 1, "GET /", kind="SERVER", attributes={"http.request.method": "GET"}),
    call(0, 1, "m", attributes={"gen_ai.operation.name": "execute_tool"}),
]
COSTS = {"a": 32_000_000, "b": 28_000_000, "c": 20_000_000, "d": 3_333_333, "e": 6_666_667}
IDLE = 40_000_000 + 110_000_000  # of [60, 120) and of [120, 240)


class Sdk(Case):
    """The official SDK of OpenTelemetry for Python."""

    def send(self, serving, times, compression, expect="SUCCESS"):
        python = python_with("opentelemetry", SDK)
        work = {"resource": {"service.name": "test", "host.name": "gpu-07"}, "spans": SPANS,
                "times": times, "compression": compression}
        done = subprocess.run([python, os.path.join(HERE, "otlp_sdk.py"),
                               f"{serving.url}/v1/traces"], input=json.dumps(work), text=True,
                              capture_output=True, timeout=support.DEADLINE, check=False)
        self.assertEqual((done.returncode, done.stdout.split()), (0, [expect] * times),
                         done.stderr)
        return done.stderr

    def check(self, rows, store):
        by_tenant = {row.get("tenant", "c"): row for row in rows}
        self.assertEqual({name: row["cost_nusd"] for name, row in by_tenant.items()}, COSTS)
        self.assertEqual(len(rows), len(COSTS))
        self.assertEqual(self.idle(store), IDLE)
        b, c = by_tenant["b"], by_tenant["c"]
        self.assertEqual((b["request_id"], b["model"], b["cached_prompt_tokens"],
                          b["completion_tokens"]), ("chatcmpl-b", "m", 40, 30))
        self.assertEqual((c["request_id"], c["latency_ms"], c["ttft_ms"]),
                         ("chatcmpl-c", 20000, 10000))

    def test_priced_to_the_nano_dollar(self):
        store = self.gtap.store("sdk.db")
        serving = self.serve(store, "otlp:?host=gpu-07&gpus=0")
        self.send(serving, 1, "NoCompression")
        self.check(self.settle(serving, store, self.samples("gpu.ndjson", BEGIN, BEGIN + 240, 3.6)),
                   store)

    def test_sent_again(self):
        """By the exporter, and after a restart: nothing counts twice."""
        store = self.gtap.store("again.db")
        serving = self.serve(store, "otlp:?host=gpu-07&gpus=0")
        self.send(serving, 3, "Gzip")
        self.assertEqual(serving.stop(), 0)
        self.assertEqual(len(self.gtap.export("token_usage", store)), len(COSTS))
        serving = self.serve(store, "otlp:?host=gpu-07&gpus=0")
        self.assertEqual(len({row["event_id"] for row in self.gtap.export("token_usage", store)}),
                         len(COSTS))
        self.check(self.settle(serving, store, self.samples("gpu.ndjson", BEGIN, BEGIN + 240, 3.6)),
                   store)

    def test_partial_success(self):
        """A span that cannot be used is told to the exporter, and the others are kept."""
        store = self.gtap.store("partial.db")
        serving = self.serve(store, "otlp:")
        spans = {"resourceSpans": [{"scopeSpans": [{"spans": [
            {"traceId": f"{i:032x}", "spanId": f"{i:016x}", "startTimeUnixNano": str(ns(0)),
             "endTimeUnixNano": str(ns(1)), "attributes": [
                 {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
                 {"key": "gen_ai.usage.input_tokens", "value": {"intValue": str(tokens)}},
                 {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "1"}}]}
            for i, tokens in ((1, 5), (2, -5))]}]}]}
        status, body, headers = post(f"{serving.url}/v1/traces", json.dumps(spans).encode(),
                                     "application/json")
        self.assertEqual((status, headers["Gtap-Spans"]),
                         (200, "accepted=1, passed-over=0, rejected=1"))
        answer = json.loads(body)["partialSuccess"]
        self.assertEqual(answer["rejectedSpans"], "1")
        self.assertIn("prompt_tokens: is negative (-5)", answer["errorMessage"])
        self.assertEqual(serving.stop(), 0)
        self.assertEqual(len(self.gtap.export("token_usage", store)), 1)
        letters = self.gtap.export("dead_letters", store)
        self.assertEqual([letter["reason"] for letter in letters],
                         ["prompt_tokens: is negative (-5)"])


CONFIG = """\
model_list:
  - model_name: llama
    litellm_params:
      model: hosted_vllm/llama-3-70b
      api_base: http://127.0.0.1:9/v1
      mock_response: "It costs what the GPU costs while it works."
  - model_name: cached
    litellm_params:
      model: hosted_vllm/llama-3-70b
      api_base: http://127.0.0.1:9/v1
      mock_response: "Once."
litellm_settings:
  callbacks: ["gtap", "otel"]
  cache: true
  cache_params: {{type: local, supported_call_types: ["acompletion"]}}
callback_settings:
  gtap:
    callback_type: generic_api
    endpoint: {events}/v1/events
    headers: {{}}
    max_retries: 3
"""


class LiteLlm(Case):
    """A stock proxy with a mock model, which tells of a call in both of its ways."""

    def start_proxy(self, events, traces):
        python = python_with("litellm", LITELLM)
        with open(self.gtap.file("config.yaml"), "w", encoding="utf-8") as f:
            f.write(CONFIG.format(events=events))
        port = free_ports(1)[0]  # it takes long to start
        env = {**os.environ, "LITELLM_MASTER_KEY": "sk-" + "0123456789abcdef" * 4,
               "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False",
               "HF_HUB_OFFLINE": "1",  # or it looks for each model's tokenizer for 20 s
               "DEFAULT_FLUSH_INTERVAL_SECONDS": "1", "OTEL_BSP_SCHEDULE_DELAY": "500",
               "OTEL_EXPORTER": "otlp_http", "OTEL_ENDPOINT": f"{traces}/v1/traces"}
        with open(self.gtap.file("proxy.log"), "w", encoding="utf-8") as log:
            child = subprocess.Popen([os.path.join(os.path.dirname(python), "litellm"), "--config",
                                      "config.yaml", "--host", "127.0.0.1", "--port", str(port)],
                                     cwd=self.gtap.folder, env=env, stdout=log, stderr=log)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: child.poll() is not None or self.is_up(url), 3 * support.DEADLINE,
                 "the proxy does not come up")  # it imports for half a minute of a busy machine
        self.assertIsNone(child.poll(), self.log())
        return url, env["LITELLM_MASTER_KEY"]

    def log(self):
        with open(self.gtap.file("proxy.log"), encoding="utf-8") as f:
            return f.read()[-4000:]

    @staticmethod
    def is_up(url):
        try:
            with urllib.request.urlopen(f"{url}/health/liveliness", timeout=5):
                return True
        except OSError:
            return False

    @staticmethod
    def ask(url, key, **body):
        body = {"messages": [{"role": "user", "content": "What does a token cost?"}], **body}
        _, answer, _ = post(f"{url}/v1/chat/completions", json.dumps(body).encode(),
                            "application/json", {"Authorization": f"Bearer {key}"})
        if not body.get("stream"):
            return json.loads(answer)["usage"]
        chunks = [json.loads(line[6:]) for line in answer.decode().splitlines()
                  if line.startswith("data: {")]
        return next(chunk["usage"] for chunk in chunks if chunk.get("usage"))

    def test_both_ways(self):
        inputs = "?host=gpu-07&gpus=0"
        stores = [self.gtap.store("events.db"), self.gtap.store("traces.db")]
        runs = [self.serve(stores[0], f"http:{inputs}"), self.serve(stores[1], f"otlp:{inputs}")]
        url, key = self.start_proxy(runs[0].url, runs[1].url)
        before = time.time()
        usages = [self.ask(url, key, model="llama", user="ann"),
                  self.ask(url, key, model="llama", user="bob", stream=True,
                           stream_options={"include_usage": True}),
                  self.ask(url, key, model="cached", user="ann", temperature=0)]
        self.assertGreater(self.ask(url, key, model="cached", user="ann", temperature=0)
                           ["completion_tokens"], 0)  # from the cache
        after = time.time()
        self.delivered(stores, usages)
        # $3,600 an hour is a nano-dollar a nanosecond: a call that has the GPU for itself costs as
        # many as it took.
        samples = self.samples("gpu.ndjson", int(before) - 5, int(after) + 60, 3600)
        costs = [self.check(self.settle(run, store, samples), store, usages, before, after)
                 for run, store in zip(runs, stores)]
        # A log says which model answered, a span what its clients call it.
        self.assertEqual([self.models(store) for store in stores],
                         [["llama-3-70b"] * 3, ["cached", "llama", "llama"]])
        for event, trace in zip(*costs):
            self.assertLess(abs(event - trace), 1000)  # one rounds its times to microseconds

    def models(self, store):
        return sorted(row["model"] for row in self.gtap.export("token_usage", store))

    @staticmethod
    def count(store):
        db = sqlite3.connect(f"file:{store.removeprefix('sqlite:')}?mode=ro", uri=True)
        try:
            return db.execute("SELECT count(*) FROM token_usage").fetchone()[0]
        finally:
            db.close()

    def delivered(self, stores, usages):
        try:
            self.wait_for(lambda: all(self.count(store) >= len(usages) for store in stores))
        except AssertionError:
            self.fail(f"it did not come: {self.log()}")

    def check(self, rows, store, usages, before, after):
        rows.sort(key=lambda row: row["ts"])
        self.assertEqual([(row["prompt_tokens"], row["completion_tokens"]) for row in rows],
                         [(usage["prompt_tokens"], usage["completion_tokens"]) for usage in usages])
        for row in rows:
            self.assertEqual(row["cost_nusd"], round(row["latency_ms"] * 1e6))
        spent = sum(row["cost_nusd"] for row in rows)
        self.assertLess(spent, (after - before) * 1e9)
        seconds = int(after) + 60 - (int(before) - 5)
        self.assertEqual(spent + self.idle(store), seconds * 10**9)
        return [row["cost_nusd"] for row in rows]


if __name__ == "__main__":
    support.main(__name__)
