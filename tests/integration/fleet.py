"""A night on three GPUs with everything that a report must tell apart: two hosts and sites, prices
stated, in the book and missing, tenants and none, requests on no GPU, a gap in telemetry, records
that are none. It goes over midnight and the hour that Berlin's clocks skip in spring."""

import collections
import datetime
import json
import random

BEGIN = int(datetime.datetime(2026, 3, 28, 21, 30, tzinfo=datetime.timezone.utc).timestamp())
HOURS = 5
GPUS = [  # host, index, name, site, stated price
    ("gpu-a", 0, "NVIDIA H100 80GB HBM3", "fra", 2.5),
    ("gpu-a", 1, "NVIDIA L4", "fra", None),
    ("gpu-b", 0, "NVIDIA L40S", None, 1.1),
]
UNWATCHED = (9000, 9200)  # seconds after BEGIN in which gpu-b/0 sends nothing
MONEY = ("cost_nusd", "cost_in_nusd", "cost_out_nusd")
COUNTS = ("prompt_tokens", "completion_tokens", "cached_prompt_tokens", "requests",
          "unpriced_requests")


def iso(second):
    stamp = datetime.datetime.fromtimestamp(second, datetime.timezone.utc)
    return stamp.isoformat().replace("+00:00", "Z")


def samples():
    for second in range(0, HOURS * 3600, 10):
        for number, (host, index, name, site, price) in enumerate(GPUS):
            if host == "gpu-b" and UNWATCHED[0] < second < UNWATCHED[1]:
                continue
            line = {"ts": iso(BEGIN + second), "host": host, "gpu_index": index, "name": name,
                    "utilization": 0.5, "power_w": 100 + number, "mem_total_mb": 81920,
                    "event_id": f"s-{number}-{second}"}
            if site:
                line["site"] = site
            if price:
                line["price_per_hour_usd"] = price
            yield second, line


def requests(n=400, seed=4):
    rng = random.Random(seed)
    for number in range(n):
        second = rng.uniform(60, HOURS * 3600 - 400)
        host, index, _, site, _ = rng.choice(GPUS)
        latency = rng.randrange(500, 30000)
        line = {"ts": round(BEGIN + second, 3), "model": rng.choice(("m-1", "m-2", "m-10")),
                "prompt_tokens": rng.randrange(10, 5000), "completion_tokens": rng.randrange(1, 900),
                "latency_ms": latency, "event_id": f"u-{number}"}
        tenant = rng.choice(("chat", "search", None, 'a "b", c'))
        if tenant:
            line["tenant"] = tenant
        if number % 5:
            line["ttft_ms"] = latency // 4
        if number % 7 == 0:
            line["cached_prompt_tokens"] = line["prompt_tokens"] // 2
        if number % 11 == 0:
            line["trace"] = {"id": number, "tags": ["a", "\u00fc"]}  # no field of gtap's: kept
        if number % 40:
            line.update({"host": host, "gpu_index": index}, **({"site": site} if site else {}))
        yield second, line


def lines():
    """In the order of event time, with two lines that are no records."""
    everything = sorted(list(samples()) + list(requests()), key=lambda pair: pair[0])
    return [json.dumps(line) for _, line in everything] + ["no record", '{"ts":1}']


class Sums:
    """What reports must say of a group of exported windows."""

    def __init__(self):
        self.values = collections.Counter()
        self.known = collections.Counter()  # of money: rows that have any

    def add(self, row):
        for name in COUNTS:
            self.values[name] += row[name]
        for name in MONEY:
            if row[name] is not None:
                self.values[name] += row[name]
                self.known[name] += 1

    def get(self, name):
        """None where nothing is known."""
        return self.values[name] if name not in MONEY or self.known[name] else None


def label(row, dim, zone):
    """What a report calls a window in one dimension; None: it has none."""
    if dim == "gpu":
        return f"{row['host']}/{row['gpu_index']}" if row["host"] else None
    if dim in ("hour", "day"):
        start = datetime.datetime.fromisoformat(row["window_start"].replace("Z", "+00:00"))
        local = start.astimezone(zone)
        if dim == "day":
            return local.date().isoformat()
        hour = local.replace(minute=0, second=0)
        return hour.isoformat().replace("+00:00", "Z")
    return row[dim]


def group(windows, dims, zone=datetime.timezone.utc):
    """{(kind, labels...): Sums} of exported windows."""
    groups = collections.defaultdict(Sums)
    for row in windows:
        groups[(row["kind"], *(label(row, dim, zone) for dim in dims))].add(row)
    return groups
