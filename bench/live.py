"""A small site: eight GPUs sampled by NVML and two vLLM servers scraped, once a second."""

import http.server
import os
import subprocess
import sys
import threading
import time
from serving import GPUS, SCRAPE_S, SERVERS, Run

HISTOGRAMS = (
    "time_to_first_token_seconds", "inter_token_latency_seconds", "e2e_request_latency_seconds",
    "request_queue_time_seconds", "request_inference_time_seconds", "request_prefill_time_seconds",
    "request_decode_time_seconds", "request_time_per_output_token_seconds", "request_prompt_tokens",
    "request_generation_tokens", "iteration_tokens_total", "request_max_num_generation_tokens")
BUCKETS = 24
MODEL = "Qwen/Qwen3-0.6B"
BEGAN = time.time()


# What they say moves as with three requests a second of 1,500 and 300 tokens.
TOKENS = (4500, 900)


def histogram(name, labels, second):
    yield f"# HELP vllm:{name} Histogram of {name.replace('_', ' ')}."
    yield f"# TYPE vllm:{name} histogram"
    for i in range(BUCKETS):
        yield f'vllm:{name}_bucket{{{labels},le="{0.001 * 2 ** i:g}"}} {second * (i + 1)}.0'
    yield f"vllm:{name}_count{{{labels}}} {second * BUCKETS}.0"
    yield f"vllm:{name}_sum{{{labels}}} {second * 3.71}"


def page(second):
    """What a vLLM v1 server says of one engine and model, 3 requests a second."""
    labels = f'engine="0",model_name="{MODEL}"'
    lines = [f"process_start_time_seconds {BEGAN}"]
    for kind, name, value in (
            ("counter", "prompt_tokens_total", TOKENS[0] * second),
            ("counter", "generation_tokens_total", TOKENS[1] * second),
            ("counter", "prefix_cache_queries_total", 4500 * second),
            ("counter", "prefix_cache_hits_total", 1500 * second),
            ("counter", "num_preemptions_total", 0),
            ("gauge", "num_requests_running", 3), ("gauge", "num_requests_waiting", 0),
            ("gauge", "kv_cache_usage_perc", 0.31)):
        lines += [f"# HELP vllm:{name} {name.replace('_', ' ')}.", f"# TYPE vllm:{name} {kind}",
                  f"vllm:{name}{{{labels}}} {value}.0"]
    for reason, times in (("stop", 2), ("length", 1), ("abort", 0)):
        lines.append(f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} '
                     f"{times * second}.0")
    for name in HISTOGRAMS:
        lines += histogram(name, labels, second)
    return "\n".join(lines).encode() + b"\n"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # gtap has ended

    def log_message(self, *args):  # pylint: disable=arguments-differ
        pass

    def do_GET(self):  # pylint: disable=invalid-name
        body = page(1000 + round(time.time() - BEGAN))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve():
    """Both servers, in a process of their own: prints their ports, ends with its input."""
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(SERVERS)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
    sys.stdin.read()


def live(gtap, library, store, warm_up_s, seconds):
    """The share of one core and the memory resident."""
    env = {**os.environ, "FAKE_NVML_GPUS": str(GPUS), "GTAP_NVML_LIBRARY": str(library)}
    with subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as servers:
        ports = [int(servers.stdout.readline()) for _ in range(SERVERS)]
        inputs = [f"vllm+http://127.0.0.1:{port}?host=gpu-01&gpus={4 * i}-{4 * i + 3}"
                  for i, port in enumerate(ports)]
        with Run(gtap, store, "nvml:?host=gpu-01&price=2.5", *inputs, env=env) as run:
            measured = watch(run, warm_up_s, seconds)
        servers.stdin.close()
    return measured


def watch(run, warm_up_s, seconds):
    reader, cpu_s, began, begun = run.connect(), None, None, time.monotonic()
    for second in range(warm_up_s + seconds):
        if second == warm_up_s:
            cpu_s, began = run.cpu_s(), time.monotonic()
        if second % SCRAPE_S == 0:
            reader.request("GET", "/metrics")
            reader.getresponse().read()
        time.sleep(max(0, begun + second + 1 - time.monotonic()))
    share = (run.cpu_s() - cpu_s) / (time.monotonic() - began)
    resident_kib = run.memory_kib("VmRSS")
    reader.close()
    run.stop()
    return share, resident_kib


if __name__ == "__main__":
    serve()
