"""What serving costs: records sent in by HTTP until they are durable, and the load of a small site."""

import http.client
import json
import os
import re
import subprocess
import threading
import time
from itertools import islice
from pathlib import Path

from harness import Failed, Spent

BATCH = 4096   # records in a POST
CLIENTS = 4    # each waits for its answer before it sends the next
GPUS = 8
SERVERS = 2
SCRAPE_S = 10  # /metrics is read this often


class Run:
    """A `gtap run` that serves, from its first answer until the end of a with statement."""

    def __init__(self, gtap, store, *inputs, env=None):
        ins = [word for uri in inputs for word in ("--in", uri)]
        self.process = subprocess.Popen(
            [gtap, "run", *ins, "--out", f"sqlite:{store}", "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=env)
        said, port = "", None
        while port is None:  # inputs may say before what they are
            line = self.process.stderr.readline()
            said += line
            if not line:
                self.process.kill()
                self.process.wait()
                raise Failed(f"gtap run does not serve: {said}")
            port = re.search(r"serving at \S+:(\d+)", line)
        self.port = int(port[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()

    def cpu_s(self):
        """Of all threads, to the nanosecond."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9

    def memory_kib(self, key):
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"{key}:\s+(\d+)", text)[1])

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def stop(self):
        """Lets it finish; the processor time of its whole life."""
        self.process.terminate()
        err = self.process.stderr.read()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode != 0:
            raise Failed(f"gtap run: exit status {self.process.returncode}\n{err}")
        return usage.ru_utime + usage.ru_stime


def post(connection, body):
    connection.request("POST", "/v1/events", body)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise Failed(f"POST /v1/events: {answer.status}: {text.decode()}")


def batches(path):
    """Where the batches of a file of lines begin, and their lengths. They are read as they are
    sent: what this process holds would count as memory of the programs it starts later."""
    found, offset = [], 0
    with open(path, "rb") as f:
        while length := sum(map(len, islice(f, BATCH))):
            found.append((offset, length))
            offset += length
    return found


def post_all(run, path):
    """Posts a file by all clients at once; the time from the first request to the last answer."""
    lock, left, failures = threading.Lock(), iter(batches(path)), []

    def client(f):
        connection = run.connect()
        try:
            while True:
                with lock:
                    part = None if failures else next(left, None)
                if part is None:
                    return
                post(connection, os.pread(f.fileno(), part[1], part[0]))
        except (OSError, Failed, http.client.HTTPException) as e:
            failures.append(e)
        finally:
            connection.close()

    with open(path, "rb") as f:
        threads = [threading.Thread(target=client, args=(f,)) for _ in range(CLIENTS)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise Failed(f"posting failed: {failures[0]}") from failures[0]
    return time.monotonic() - began


def posts(gtap, load, store):
    """What it takes to post a load into a new store. The wall time ends with the last answer, the
    processor time with the process."""
    with Run(gtap, store, "http:") as run:
        wall_s = post_all(run, load)
        peak_kib = run.memory_kib("VmHWM")
        return Spent(wall_s, run.stop(), peak_kib, "")


# ---- a small site --------------------------------------------------------------------------


def inventory(path):
    path.write_text(json.dumps([
        {"host": "gpu-01", "gpu_index": i, "name": "NVIDIA H100 80GB HBM3", "utilization": 0.8,
         "mem_used_mb": 70000, "mem_total_mb": 81559, "power_w": 600, "temperature_c": 60,
         "price_per_hour_usd": 2.5} for i in range(GPUS)]), encoding="utf-8")
    return path


def requests(server, second, now, n=3):
    """What a server of four of the GPUs sends in a second."""
    return "".join(json.dumps(
        {"ts": now, "host": "gpu-01", "gpu_index": 4 * server + i, "model": f"model-{server}",
         "tenant": "search", "prompt_tokens": 1500, "completion_tokens": 300, "latency_ms": 900,
         "event_id": f"{server}-{second}-{i}-{now}"}) + "\n" for i in range(n)).encode()


def one_second(servers, second):
    for i, connection in enumerate(servers):
        post(connection, requests(i, second, time.time()))
    if second % SCRAPE_S == 0:
        servers[0].request("GET", "/metrics")
        servers[0].getresponse().read()


def live(gtap, folder, store, warm_up_s, seconds):
    """The share of one core and the memory resident, while records come once a second."""
    gpus = inventory(Path(folder) / "gpus.json")
    with Run(gtap, store, f"seed:{gpus}", "http:") as run:
        servers = [run.connect() for _ in range(SERVERS)]
        begun = time.monotonic()
        cpu_s = began = None
        for second in range(warm_up_s + seconds):
            if second == warm_up_s:
                cpu_s, began = run.cpu_s(), time.monotonic()
            one_second(servers, second)
            time.sleep(max(0, begun + second + 1 - time.monotonic()))
        share = (run.cpu_s() - cpu_s) / (time.monotonic() - began)
        resident_kib = run.memory_kib("VmRSS")
        for connection in servers:
            connection.close()
        run.stop()
    return share, resident_kib
