"""Live sources over HTTP: inference servers and DCGM exporters, real pages and bad ones.

    test_servers.py --gtap BUILD/gtap [--only TEXT]
"""

import os
import random
import shutil
import signal
import subprocess
import threading
import time

import gtap as support
from daemon import free_ports
from pages import Pages

SHARED = os.environ.get("GTAP_SHARED", os.path.join(os.path.dirname(__file__), "../../../shared"))
PRICE = 3.6  # USD per hour: a millionth of a dollar each millisecond


def capture(name):
    path = os.path.join(SHARED, "data", name)
    if not os.path.exists(path):
        raise support.unittest.SkipTest(f"{name} is not there")
    with open(path, encoding="utf-8") as f:
        return f.read()


def counters(prompt, completion, model="m", running=0):
    return (f'vllm:prompt_tokens_total{{model_name="{model}"}} {prompt}\n'
            f'vllm:generation_tokens_total{{model_name="{model}"}} {completion}\n'
            f'vllm:num_requests_running{{model_name="{model}"}} {running}\n')


class Growing:
    """Counters that grow by the same each time they are asked for."""

    def __init__(self, model):
        self.model, self.n, self.lock = model, 0, threading.Lock()

    def __call__(self):
        with self.lock:
            self.n += 1
            return counters(10 * self.n, self.n, self.model)


class Case(support.Case):
    def setUp(self):
        super().setUp()
        self.store = self.gtap.store("live.db")
        self.stopped = []

    def serve(self, page, how="well", **kwargs):
        pages = Pages(page, how, **kwargs)
        self.addCleanup(pages.close)
        return pages

    def start(self, *inputs):
        ins = [word for uri in inputs for word in ("--in", uri)]
        run = self.gtap.start("run", *ins, "--out", self.store)
        self.addCleanup(self.stop, run)
        return run

    def stop(self, run):
        """Ends the run, unless that was done; its last words."""
        if run in self.stopped:
            return ""
        self.stopped.append(run)
        if run.poll() is None:
            run.send_signal(signal.SIGTERM)
        out, err = run.communicate(timeout=support.DEADLINE)
        self.assertEqual(run.returncode, 0, err)
        return out + err

    def usage(self):
        return self.gtap.export("token_usage", self.store) if self.stored() else []

    def stored(self):
        return os.path.exists(self.gtap.file("live.db")) and self.gtap.run(
            "export", "token_usage", "--store", self.store, expect=None).returncode == 0

    def wait_for_usage(self, model="m", n=1):
        self.wait_for(lambda: sum(u["model"] == model for u in self.usage()) >= n)


def total(usage, field):
    return sum(u[field] for u in usage)


def moved(usage):
    return [u for u in usage if u["prompt_tokens"] or u["completion_tokens"]]


class Captures(Case):
    """Real pages, served, then with more on their counters."""

    def grow(self, scheme, name, replacements, options=""):
        page = capture(name)
        later = page
        for old, new in replacements:
            self.assertIn(old, later)
            later = later.replace(old, new, 1)
        pages = self.serve(page)
        run = self.start(f"{scheme}+http://{pages.address}/metrics?every=100ms{options}")
        self.wait_for(lambda: pages.served >= 2)
        pages.page = later
        self.wait_for(lambda: moved(self.usage()))
        self.stop(run)
        return self.usage()

    def check(self, usage, **want):
        """What moved is one interval: this. Where requests run at both ends, others are empty."""
        intervals = moved(usage)
        self.assertEqual(len(intervals), 1)
        self.assertEqual({k: intervals[0].get(k) for k in want}, want)
        self.assertGreater(intervals[0]["latency_ms"], 0)

    def test_vllm(self):
        usage = self.grow("vllm", "prometheus/vllm_v1_sampled_nvidia-aicr.prom",
                          [('0.6B"} 80.0', '0.6B"} 95.0'), ('0.6B"} 500.0', '0.6B"} 521.0'),
                           ('0.6B"} 10.0', '0.6B"} 12.0')])
        self.check(usage, model="Qwen/Qwen3-0.6B", prompt_tokens=15, completion_tokens=21,
                   requests=2, cached_prompt_tokens=None)

    def test_vllm_by_source(self):
        usage = self.grow("vllm", "prometheus/vllm_mixed_excerpt_datadog.prom",
                          [('prompt_tokens_total{model_name="facebook/opt-125m"} 5.0',
                            'prompt_tokens_total{model_name="facebook/opt-125m"} 25.0'),
                           ('source="local_compute"} 53.0', 'source="local_compute"} 58.0')])
        self.check(usage, model="facebook/opt-125m", prompt_tokens=20, completion_tokens=0,
                   requests=0, cached_prompt_tokens=15)

    def test_sglang(self):
        usage = self.grow("sglang", "prometheus/sglang_excerpt_docs.prom",
                          [("8.128902e+06", "8.128992e+06"), ("7.557572e+06", "7.557575e+06")])
        self.check(usage, model="meta-llama/Llama-3.1-8B-Instruct", prompt_tokens=90,
                   completion_tokens=3, requests=None)

    def test_tgi(self):
        usage = self.grow("tgi", "prometheus/tgi_excerpt_datadog.prom",
                          [("length_sum 662", "length_sum 700"), ("success 109", "success 111")],
                          "&model=served")
        self.check(usage, model="served", prompt_tokens=38, completion_tokens=0, requests=2)

    def test_nim(self):
        usage = self.grow("nim", "prometheus/nim_excerpt_datadog.prom",
                          [('instruct"} 109.0', 'instruct"} 110.0'),
                           ('instruct"} 174.0', 'instruct"} 180.0'),
                           ('instruct"} 5.0', 'instruct"} 6.0')])
        self.check(usage, model="meta/llama-3.1-8b-instruct", prompt_tokens=1,
                   completion_tokens=6, requests=1)

    def test_dcgm(self):
        pages = self.serve(capture("dcgm/dcgm_8xH100_sampled.prom"))
        run = self.start(f"dcgm+http://{pages.address}/metrics?every=100ms&price=2.5")
        self.wait_for(lambda: pages.served >= 3)
        self.stop(run)
        samples = self.gtap.export("gpu_metrics", self.store)
        first = {s["gpu_index"]: s for s in reversed(samples)}
        want = [(30, 113.611), (29, 68.347), (26, 65.709), (29, 67.316), (28, 68.717),
                (26, 65.742), (28, 67.328), (26, 66.997)]
        got = [(first[i]["temperature_c"], first[i]["power_w"]) for i in range(8)]
        self.assertEqual(got, want)
        for sample in samples:
            self.assertEqual((sample["host"], sample["name"], sample["utilization"],
                              sample["price_per_hour_usd"], sample["source"]),
                             ("gpu-node-1", "NVIDIA H100 80GB HBM3", 0, 2.5, "dcgm"))
            self.assertNotIn("mem_used_mb", sample)


class Simulated:
    """A vLLM whose counters follow a list of requests, and which can be killed. Time is real."""

    def __init__(self, seed, seconds):
        rng = random.Random(seed)
        self.lock = threading.RLock()
        self.begun = self.born = float("inf")  # see begin()
        self.requests, at = [], 0.0
        while at < seconds:
            at += rng.expovariate(4)
            first = at + rng.uniform(0.01, 0.05)
            self.requests.append((at, first, first + rng.uniform(0.01, 0.2), rng.randrange(1, 900),
                                  rng.randrange(1, 90)))
        self.expected, self.last, self.baseline = [0, 0, 0], None, None
        self.scrapes = []  # (time, life)
        self.life, self.start = 0, time.time()

    def begin(self):
        """Time begins: once it is watched, or nobody knows what came before."""
        with self.lock:
            self.begun = self.born = time.monotonic()

    def now(self):
        return time.monotonic() - self.begun

    def lived(self, request):
        return request[0] >= self.born - self.begun

    def count(self):
        """prompt, completion, requests, running, of this life."""
        now, sums = self.now(), [0, 0, 0, 0]
        for start, first, end, prompt, output in filter(self.lived, self.requests):
            sums[0] += prompt * (now >= first)
            sums[1] += output * (now >= end)
            sums[2] += now >= end
            sums[3] += start <= now < end
        return sums

    def page(self):
        with self.lock:
            sums = self.count()
            self.last = sums[:3]
            self.baseline = self.baseline or self.last
            self.scrapes.append((self.now(), self.life))
            start = self.start
        return (f"process_start_time_seconds {start:.3f}\n"
                + counters(f"{sums[0]:e}" if sums[0] < 1e6 else sums[0], sums[1], "m", sums[3])
                + f'vllm:request_success_total{{model_name="m",finished_reason="stop"}} {sums[2]}\n')

    def restart(self):
        """What was counted since the last scrape is gone, and so is what ran."""
        with self.lock:
            self.expected = [a + b for a, b in zip(self.expected, self.last)]
            self.last = [0, 0, 0]
            self.born = time.monotonic()
            self.life, self.start = self.life + 1, time.time()

    def metered(self):
        with self.lock:
            return [e + l - b for e, l, b in zip(self.expected, self.last, self.baseline)]


def union(spans):
    """The spans merged, in order."""
    merged = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged


class SimulatedServer(Case):
    SECONDS = 6

    def meter(self, server):
        """Runs until the list is through, with a restart and a time without answers in it."""
        pages = self.serve(server.page)
        gpus = self.serve('DCGM_FI_DEV_GPU_UTIL{gpu="0",Hostname="h",modelName="H100"} 50\n')
        run = self.start(f"vllm+http://{pages.address}/metrics?every=100ms&gpus=0&host=h",
                         f"dcgm+http://{gpus.address}/metrics?every=100ms&price={PRICE}")
        self.wait_for(lambda: len(server.scrapes) >= 2 and gpus.served >= 2)
        server.begin()
        self.wait_for(lambda: server.now() > self.SECONDS / 3)
        server.restart()
        self.wait_for(lambda: server.now() > self.SECONDS / 2)
        pages.how = "broken"
        asked = pages.asked
        self.wait_for(lambda: pages.asked > asked)
        pages.how = "well"
        self.wait_for(lambda: server.now() > self.SECONDS + 1)
        pages.how = "broken"  # so that the last page served is the last one taken
        self.wait_for(lambda: total(self.usage(), "prompt_tokens") >= server.metered()[0])
        sampled = gpus.served
        self.wait_for(lambda: gpus.served > sampled + 1)  # GPU time is known to the end
        self.stop(run)

    def final(self):
        """The same records metered from a file, so that every cost is final."""
        lines = []
        for collection in ("gpu_metrics", "token_usage"):
            lines += self.gtap.run("export", collection, "--store", self.store).stdout.splitlines()
        store = self.gtap.store("final.db")
        self.gtap.meter(store, self.write("all.ndjson", lines))
        self.assert_verified(store)
        return self.gtap.export("token_usage", store)

    def test_tokens_are_exact_and_cost_is_that_of_whole_intervals(self):
        server = Simulated(5, self.SECONDS)
        self.meter(server)
        usage = self.final()
        got = [total(usage, k) for k in ("prompt_tokens", "completion_tokens", "requests")]
        self.assertEqual(got, server.metered())
        self.assertTrue(all(u["final"] for u in usage))
        self.check_time(server, usage)

    def check_time(self, server, usage):
        cost = total(usage, "cost_nusd") / 1e9
        metered = total(usage, "latency_ms") / 1e3
        self.assertAlmostEqual(cost, metered * PRICE / 3600, places=7)
        # The true time, rounded out: each time of work to whole intervals, at both ends; and one
        # interval more for the restart, whose end is no end of work.
        spans = union((start, end) for start, _, end, _, _ in server.requests)
        longest = max(u["latency_ms"] for u in usage) / 1e3
        busy = sum(end - start for start, end in spans)
        self.assertLessEqual(metered, busy + (2 * len(spans) + 1) * longest)
        self.assertGreater(metered, busy / 2)  # requests that the restart ended are no time here


class Faults(Case):
    """Whatever one server does, the others are metered, and it is too, once it behaves."""

    BAD = ("half", "half_chunked", "endless", "huge", "silent", "broken", "open_metrics_cut")

    def test_others_go_on(self):
        good = self.serve(Growing("good"))
        bad = [self.serve(Growing("bad"), how) for how in self.BAD]
        away = self.serve(Growing("bad"), "moved_away")
        away.away = good.address
        locked = self.serve(Growing("bad"), token="s3cret")
        bad += [away, locked]
        uris = [f"vllm+http://{p.address}/metrics?every=100ms&timeout=500ms" for p in bad]
        run = self.start(f"vllm+http://{good.address}/metrics?every=100ms", *uris)
        self.wait_for(lambda: all(p.asked >= 2 for p in bad))
        self.wait_for_usage("good", 5)
        self.assertEqual([u for u in self.usage() if u["model"] != "good"], [])
        locked.token = None
        for pages in bad:
            pages.how = "well"
        self.wait_for_usage("bad", len(bad))
        self.stop(run)

    def test_it_can_be_stopped_whatever_a_server_does(self):
        servers = [self.serve("", how) for how in ("endless", "silent")]
        uris = [f"vllm+http://{p.address}/metrics?timeout=5m" for p in servers]
        run = self.start(*uris)
        self.wait_for(lambda: all(p.asked for p in servers))
        self.stop(run)

    def test_a_page_that_is_cut_off_is_no_reset(self):
        """Without a length nothing tells; half a number must not be taken for a smaller one."""
        pages = self.serve(lambda: 'vllm:num_requests_running{model_name="m"} 0\n'
                           'vllm:prompt_tokens_total{model_name="m"} 1234')
        run = self.start(f"vllm+http://{pages.address}/metrics?every=100ms")
        self.wait_for(lambda: pages.served >= 2)
        pages.how = "cut"
        served = pages.served
        self.wait_for(lambda: pages.served >= served + 3)
        pages.page = 'vllm:prompt_tokens_total{model_name="m"} 1240'
        pages.how = "well"
        self.wait_for(self.usage)
        self.stop(run)
        self.assertEqual([u["prompt_tokens"] for u in self.usage()], [6])

    def test_ways_that_are_fine(self):
        ways = ("zipped", "chunked", "moved")
        servers = [self.serve(Growing(how), how) for how in ways]
        run = self.start(*[f"vllm+http://{p.address}/metrics?every=100ms" for p in servers])
        for how in ways:
            self.wait_for_usage(how, 3)
        self.stop(run)
        for how in ways:
            mine = [u for u in self.usage() if u["model"] == how]
            self.assertTrue(all(u["prompt_tokens"] == 10 * u["completion_tokens"] for u in mine))

    def test_a_server_that_comes_up_later(self):
        port = free_ports(1)[0]
        run = self.start(f"vllm+http://127.0.0.1:{port}/metrics?every=100ms")
        self.wait_for(self.stored)
        self.serve(Growing("late"), port=port)
        self.wait_for_usage("late", 2)
        self.stop(run)


class Secrets(Case):
    def secret(self, text):
        with open(self.gtap.file("new"), "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(self.gtap.file("new"), self.gtap.file("token"))

    def test_a_token_from_a_file_that_changes(self):
        pages = self.serve(Growing("m"), token="s3cret-1")
        self.secret("s3cret-1\n")
        run = self.start(f"vllm+http://{pages.address}/metrics?every=100ms"
                         f"&auth={self.gtap.file('token')}")
        self.wait_for_usage(n=2)
        pages.token = "s3cret-2"
        asked, served = pages.asked, pages.served
        self.wait_for(lambda: pages.asked > asked + 1)
        self.assertLessEqual(pages.served, served + 1)
        self.secret("Bearer s3cret-2")
        self.wait_for(lambda: pages.served > served + 3)
        words = self.stop(run)
        self.assertNotIn("s3cret", words)
        with open(self.gtap.file("live.db"), "rb") as f:
            self.assertNotIn(b"s3cret", f.read())

    def test_a_certificate_is_checked(self):
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl to make a certificate with")
        pem, key = self.gtap.file("cert.pem"), self.gtap.file("key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", pem,
                        "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        trusted = self.serve(Growing("trusted"), certificate=(pem, key))
        other = self.serve(Growing("other"), certificate=(pem, key))
        run = self.start(f"vllm+https://{trusted.address}/metrics?every=100ms&cacert={pem}",
                         f"vllm+https://{other.address}/metrics?every=100ms")
        self.wait_for_usage("trusted", 5)
        self.stop(run)
        self.assertEqual(other.served, 0)


if __name__ == "__main__":
    support.main(__name__)
