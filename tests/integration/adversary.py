"""Records as no cluster would send them, but some might: what every order and route must agree on.

Requests of all lengths on several hosts and GPUs, alone and parallel, on edges of windows, without
tokens, without a place; GPUs that change their price, lose it, fall silent and come back; the same
records twice; most in the order of time, some minutes and some hours late.
"""

import json
import random

import gtap as support

MODELS = ("llama-3-70b", "qwen3-30b", "mixtral-8x7b")
TENANTS = ("search", "chat", None)


class Cluster:
    """hosts x gpus for so many minutes; the same seed, the same lines."""

    def __init__(self, seed, hosts=5, gpus=3, minutes=25, rate=2.0):
        self.rng = random.Random(seed)
        self.hosts = [f"node-{n:02d}" for n in range(hosts)]
        self.gpus, self.minutes, self.rate = gpus, minutes, rate
        self.number = seed * 1_000_000
        self.prefix = f"{seed:04x}"

    def event_id(self):
        self.number += 1
        return support.event_id(self.number)

    def samples(self, host, gpu):
        rng = self.rng
        price = rng.choice((None, 0, 1.25, 2.5, 98.32))
        now = rng.randrange(0, 5_000)
        while now < self.minutes * 60_000:
            if rng.random() < 0.01:
                now += rng.choice((31_000, 120_000, 299_999, 301_000, 600_000))
            if rng.random() < 0.02:
                price = rng.choice((None, 0.000000001, 1.25, 2.5, 3.6))
            record = {"ts": support.EPOCH + now / 1000, "host": host, "gpu_index": gpu,
                      "utilization": round(rng.random(), 3), "event_id": self.event_id()}
            if rng.random() < 0.9:
                record["power_w"] = rng.randrange(60, 700)
            if price is not None:
                record["price_per_hour_usd"] = price
            yield now, record
            now += rng.choice((1_000, 5_000, 5_000, 10_000, 29_999))

    def end_of_request(self):
        now = self.rng.randrange(0, self.minutes * 60_000)
        return now - now % 60_000 if self.rng.random() < 0.1 else now

    def place(self):
        rng = self.rng
        if rng.random() < 0.03:
            return {}
        placed = {"host": rng.choice(self.hosts)}
        if rng.random() < 0.2:
            placed["gpu_indices"] = sorted(rng.sample(range(self.gpus), 2))
        else:
            placed["gpu_index"] = rng.randrange(self.gpus)
        return placed

    def request(self):
        rng, end = self.rng, self.end_of_request()
        latency = rng.choice((0, 0.5, 1, rng.uniform(5, 900), rng.uniform(900, 30_000), 240_000))
        prompt = rng.choice((0, 1, rng.randrange(1, 4_000)))
        record = {"ts": support.EPOCH + end / 1000, "model": rng.choice(MODELS),
                  "prompt_tokens": prompt, "completion_tokens": rng.choice((0, 1, 37, 812)),
                  "latency_ms": round(latency, 6), "event_id": self.event_id(), **self.place()}
        tenant = rng.choice(TENANTS)
        if tenant:
            record["tenant"] = tenant
        if rng.random() < 0.7:
            record["ttft_ms"] = round(latency * rng.choice((0, 0.1, 1)), 6)
        if prompt and rng.random() < 0.3:
            record["cached_prompt_tokens"] = rng.randrange(prompt)
        return end, record

    def delay(self):
        """Milliseconds between what happened and its arrival."""
        chance = self.rng.random()
        if chance < 0.85:
            return self.rng.randrange(0, 2_000)
        return self.rng.randrange(0, 400_000 if chance < 0.98 else 20_000_000)

    def lines(self):
        """All of it in the order of arrival, with a few that come twice."""
        happened = [s for host in self.hosts for gpu in range(self.gpus)
                    for s in self.samples(host, gpu)]
        happened += [self.request() for _ in range(int(self.minutes * 60 * self.rate))]
        again = self.rng.sample(happened, len(happened) // 50)
        arrivals = [(at + self.delay(), n, record)
                    for n, (at, record) in enumerate(happened + again)]
        return [json.dumps(record) for _, _, record in sorted(arrivals, key=lambda a: a[:2])]


def same_shape(row):
    """A row as every store must have it: without what may remember how records came."""
    left_out = (*support.HISTORY, "partition")
    return json.dumps({k: v for k, v in row.items() if k not in left_out}, sort_keys=True)


def unplaced_together(rows):
    """Requests without a place are in no particular shard: their rows, of all shards, as one."""
    counts = ("prompt_tokens", "completion_tokens", "cached_prompt_tokens", "requests",
              "unpriced_requests")
    merged = {}
    for row in rows:
        if row["kind"] != "unplaced":
            yield row
            continue
        key = (row["window_start"], row["model"], row["tenant"])
        one = merged.setdefault(key, {**row, **dict.fromkeys(counts, 0)})
        for name in counts:
            one[name] += row[name]
    yield from merged.values()
