#!/usr/bin/env python3
"""What serving costs: records sent in by HTTP until they are durable, and the load of a small site.

    bench/serving.py [--quick] [--build DIR] [--dir DIR] [--only posts|live]

`posts`: the same records, once POSTed to `gtap run --in http:` in batches by a few clients, each
waiting for its answer before it sends the next, and once read from a file. Requests a second of wall
time depend on what else the machine does; those of processor time of gtap do so less.

`live`: eight GPUs sampled once a second (`seed:`), two servers sending their requests once a second
(`http:`), one scrape of /metrics every ten seconds; what of one core that takes, by the scheduler's
count, and the memory that is resident.
"""

import argparse
import http.client
import json
import os
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOAD = "synthetic:?gpus=64&every=5s&price=2.5&duration={minutes}m"
GOALS = {"posts": 200_000, "live_cpu": 0.001, "live_bytes": 20e6}


class Run:
    """A `gtap run` that serves, from its first answer until it is stopped."""

    def __init__(self, gtap, store, *inputs):
        ins = [word for uri in inputs for word in ("--in", uri)]
        self.process = subprocess.Popen(
            [gtap, "run", *ins, "--out", f"sqlite:{store}", "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline()
        self.port = int(re.search(r"serving at \S+:(\d+)", said)[1])

    def cpu_s(self):
        """Of all threads, to the nanosecond."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9

    def memory(self, key):
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"{key}:\s+(\d+)", text)[1]) * 1024

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def stop(self):
        self.process.terminate()
        self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError(f"gtap ended with {self.process.returncode}")


def post(connection, body):
    connection.request("POST", "/v1/events", body)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {text.decode()}")


def made_up(gtap, path, minutes):
    """Both kinds of records in the order of time; their lines."""
    with open(path, "wb") as f:
        subprocess.run([gtap, "run", "--in", LOAD.format(minutes=minutes), "--out", "stdout:",
                        "--until-end"], check=True, stdout=f, stderr=subprocess.DEVNULL)
    return path.read_bytes().splitlines(keepends=True)


def posts(gtap, folder, minutes, batch=4096, clients=4):
    """Records a second, of wall time and of gtap's processor time; by HTTP and from a file."""
    lines = made_up(gtap, folder / "load.ndjson", minutes)
    bodies = [b"".join(lines[i:i + batch]) for i in range(0, len(lines), batch)]
    run = Run(gtap, folder / "posts.db", "http:")
    lock, left, failures = threading.Lock(), iter(bodies), []

    def client():
        connection = run.connect()
        try:
            while True:
                with lock:
                    body = next(left, None)
                if body is None:
                    return
                post(connection, body)
        except (OSError, RuntimeError, http.client.HTTPException) as e:
            failures.append(e)
        finally:
            connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    cpu, began = run.cpu_s(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, cpu, peak = time.monotonic() - began, run.cpu_s() - cpu, run.memory("VmHWM")
    run.stop()
    if failures:
        raise failures[0]
    began = time.monotonic()
    child = subprocess.Popen([gtap, "run", "--in", f"file:{folder / 'load.ndjson'}", "--out",
                              f"sqlite:{folder / 'file.db'}", "--until-end"],
                             stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"gtap ended with {child.returncode}")
    file_wall, file_cpu = time.monotonic() - began, usage.ru_utime + usage.ru_stime
    n = len(lines)
    return {"records": n, "bytes": sum(map(len, bodies)), "batch": batch, "clients": clients,
            "per_s": n / wall, "per_cpu_s": n / cpu, "file_per_s": n / file_wall,
            "file_per_cpu_s": n / file_cpu, "peak_bytes": peak}


def inventory(path, gpus=8):
    path.write_text(json.dumps([
        {"host": "gpu-01", "gpu_index": i, "name": "NVIDIA H100 80GB HBM3", "utilization": 0.8,
         "mem_used_mb": 70000, "mem_total_mb": 81559, "power_w": 600, "temperature_c": 60,
         "price_per_hour_usd": 2.5} for i in range(gpus)]), encoding="utf-8")
    return path


def requests(server, second, now, n=3):
    return "".join(json.dumps(
        {"ts": now, "host": "gpu-01", "gpu_index": 4 * server + i, "model": f"model-{server}",
         "tenant": "search", "prompt_tokens": 1500, "completion_tokens": 300, "latency_ms": 900,
         "event_id": f"{server}-{second}-{i}-{now}"}) + "\n" for i in range(n)).encode()


def live(gtap, folder, seconds, warm_up=10):
    """The share of one core and the memory, while records come once a second."""
    run = Run(gtap, folder / "live.db", f"seed:{inventory(folder / 'gpus.json')}", "http:")
    servers = [run.connect() for _ in range(2)]
    begun = time.monotonic()
    cpu = began = None
    for second in range(warm_up + seconds):
        if second == warm_up:
            cpu, began = run.cpu_s(), time.monotonic()
        for i, connection in enumerate(servers):
            post(connection, requests(i, second, time.time()))
        if second % 10 == 0:
            servers[0].request("GET", "/metrics")
            servers[0].getresponse().read()
        time.sleep(max(0, begun + second + 1 - time.monotonic()))
    share = (run.cpu_s() - cpu) / (time.monotonic() - began)
    resident = run.memory("VmRSS")
    run.stop()
    return {"seconds": seconds, "cpu_share": share, "resident_bytes": resident}


def show_posts(found):
    print(f"POST /v1/events, {found['records']:,} records ({found['bytes'] / 1e6:.0f} MB) in batches "
          f"of {found['batch']:,} by {found['clients']} clients, durable:")
    print(f"  {found['per_s']:,.0f} records/s (goal {GOALS['posts']:,}), "
          f"{found['per_cpu_s']:,.0f} a processor second, {found['peak_bytes'] / 1e6:.0f} MB peak")
    print(f"  the same from a file: {found['file_per_s']:,.0f} records/s, "
          f"{found['file_per_cpu_s']:,.0f} a processor second")


def show_live(found):
    print(f"8 GPUs and 2 servers at 1 Hz for {found['seconds']} s:")
    print(f"  {found['cpu_share'] * 100:.3f} % of a core (goal {GOALS['live_cpu'] * 100} %), "
          f"{found['resident_bytes'] / 1e6:.1f} MB resident (goal {GOALS['live_bytes'] / 1e6:.0f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="little of it, to see that it runs")
    parser.add_argument("--only", choices=("posts", "live"))
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--dir", help="where stores are put meanwhile (default TMPDIR)")
    args = parser.parse_args()
    gtap = args.build / "gtap"
    print(f"load average {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} cores")
    with tempfile.TemporaryDirectory(prefix="gtap-bench-", dir=args.dir) as folder:
        if args.only != "live":
            show_posts(posts(gtap, Path(folder), minutes=2 if args.quick else 240))
        if args.only != "posts":
            show_live(live(gtap, Path(folder), 5 if args.quick else 60))


if __name__ == "__main__":
    main()
