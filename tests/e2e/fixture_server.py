#!/usr/bin/env python3
"""A made-up gtap: serves web/ and the API as it is agreed upon, on loopback, with numbers that add up.

It can be stopped and started again on its port, made slow, empty or failing, and it remembers what it
was asked. By hand: fixture_server.py --port 8123 [--empty] [--token T]
"""

import argparse
import datetime
import gzip
import hashlib
import http.server
import json
import os
import re
import socket
import sys
import threading
import time
import urllib.parse

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path[:0] = [os.path.join(ROOT, "tools"), os.path.join(ROOT, "tests", "support")]

import embed  # noqa: E402
from daemon import free_ports  # noqa: E402

CHART = "/usr/share/javascript/chart.js/chart.min.js"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8"}


def web():
    """What is served of web/, packed together as the program's build does."""
    folder = os.path.join(ROOT, "web")
    names = [name for name in os.listdir(folder) if os.path.splitext(name)[1] in TYPES]
    return embed.Assets(embed.read([f"chart.js={CHART}", *(os.path.join(folder, name) for name in sorted(names))]))


BUCKET = 300  # seconds: all costs are made up for such pieces
GPUS = [(f"gpu-0{1 + i // 4}", i % 4) for i in range(8)]
SILENT, UNPRICED, IDLE = ("gpu-02", 3), ("gpu-02", 2), ("gpu-01", 3)
PRICE = {gpu: 2_800_000_000 for gpu in GPUS}  # nano-dollars an hour
MODELS = {"llama-3-70b": 5, "qwen3-30b": 3, "mistral-small": 2}
TENANTS = {"search": 5, "chat": 3, "batch": 2}
SITES = {"gpu-01": "fra", "gpu-02": "ams"}
STEPS = {"5m": 300, "15m": 900, "1h": 3600, "1d": 86400, "window": 300}
DIMS = ("model", "tenant", "gpu", "host", "site", "kind")
SUMS = ("requests", "prompt_tokens", "completion_tokens", "cached_prompt_tokens", "cost_nusd", "cost_in_nusd",
        "cost_out_nusd", "busy_ns", "unpriced_ns", "unpriced_requests")


def rfc3339(t):
    return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def usd(nusd):
    return None if nusd is None else f"{'-' if nusd < 0 else ''}{abs(nusd) // 10**9}.{abs(nusd) % 10**9:09d}"


def noise(*what):
    """Made up, but always the same: in [0, 1)."""
    return int.from_bytes(hashlib.blake2b(repr(what).encode(), digest_size=6).digest(), "big") / 2**48


def gpu_name(gpu):
    return f"{gpu[0]}/{gpu[1]}"


def row(kind, bucket, gpu, **values):
    found = dict.fromkeys(SUMS, 0)
    found.update(kind=kind, t=bucket * BUCKET, gpu=gpu and gpu_name(gpu), host=gpu and gpu[0],
                 site=gpu and SITES[gpu[0]], model=None, tenant=None, energy_j=None)
    found.update(values)
    return found


def usage_rows(bucket, gpu, busy_cost, busy):
    """What requests cost in five minutes of a GPU: shares of it that add up."""
    weights = {(m, t): MODELS[m] * TENANTS[t] * (0.3 + noise(bucket, gpu, m, t))
               for m in MODELS for t in TENANTS if (m != "qwen3-30b" or t == "batch")}
    total, rest, rows = sum(weights.values()), busy_cost, []
    for i, ((model, tenant), weight) in enumerate(weights.items()):
        share = weight / total
        cost = rest if i == len(weights) - 1 else int(busy_cost * share)
        rest -= cost
        per = {"llama-3-70b": 1.0, "qwen3-30b": 2.6, "mistral-small": 1.7}[model] * (0.8 + 0.4 * noise(bucket // 12, model, tenant))
        prompt, completion = int(4e5 * busy * share * per), int(9e4 * busy * share * per)
        priced = gpu != UNPRICED
        rows.append(row("usage", bucket, gpu, model=model, tenant=tenant, requests=1 + int(900 * share * busy),
                        prompt_tokens=prompt, completion_tokens=completion, cached_prompt_tokens=prompt // 9,
                        cost_nusd=cost if priced else 0, cost_in_nusd=cost * 2 // 5 if priced else 0,
                        cost_out_nusd=cost - cost * 2 // 5 if priced else 0,
                        busy_ns=int(BUCKET * 1e9 * busy * share), unpriced_ns=0 if priced else 10**9,
                        unpriced_requests=0 if priced else 1 + int(900 * share * busy), energy_j=1000.0 * share))
    return rows


_made = {}


def bucket_rows(bucket, part=1.0):
    """All rows of five minutes; part: of those that have only begun."""
    key = (bucket, round(part, 2))
    if key not in _made:
        rows, hour = [], (bucket * BUCKET % 86400) / 3600
        for gpu in GPUS:
            price = int(PRICE[gpu] * BUCKET / 3600 * part)
            load = 0.35 + 0.4 * max(0.0, 1 - abs(hour - 14) / 9) + 0.2 * noise(bucket, gpu)
            busy = 0.0 if gpu == IDLE and noise(bucket // 40) < 0.5 else min(1.0, load) * part
            used = int(price * min(1.0, load)) if busy else 0
            lost = int(price * 0.2) if gpu == SILENT and not busy else 0
            if busy:
                rows += usage_rows(bucket, gpu, used, busy)
            if gpu != UNPRICED:
                rows.append(row("idle", bucket, gpu, cost_nusd=price - used - lost))
                lost = lost or (price // 40 if gpu == SILENT else 0)
                rows[-1]["cost_nusd"] = price - used - lost
                if lost:
                    rows.append(row("unattributed", bucket, gpu, cost_nusd=lost))
        if bucket % 50 == 0:
            rows.append(row("unplaced", bucket, None, model="llama-3-70b", tenant="chat", requests=1, prompt_tokens=90,
                            completion_tokens=10))
        _made[key] = rows
    return _made[key]


class Problem(Exception):
    def __init__(self, status, title, detail="", **more):
        super().__init__(title)
        self.status, self.body = status, {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}


def instant(text, now, name):
    ago = re.fullmatch(r"(\d+)([smhd])", text)
    if ago:
        return now - int(ago[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[ago[2]]
    try:
        found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Problem(400, f"{name} is not a time", f"{name}={text}: say 24h, 2026-11-22 or 2026-11-22T14:00:00Z",
                      parameter=name) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.timezone.utc)
    return found.timestamp()


def money(v, name="cost"):
    return {f"{name}_nusd": v, f"{name}_usd": usd(v)}


def sums(rows):
    found = {name: sum(r[name] or 0 for r in rows) for name in SUMS}
    found["cost_usd"] = usd(found["cost_nusd"])
    found["energy_j"] = None
    return found


def spread(groups, by):
    """Sets loaded_nusd: idle time of a place and step is borne by what ran there."""
    pools = {}
    for key, g in groups.items():
        physical = (key[0], *(v for d, v in zip(by, key[2:]) if d in ("gpu", "host", "site")))
        pools.setdefault(physical, []).append(g)
    for pool in pools.values():
        used = [g for g in pool if g["kind"] == "usage"]
        rest = [g for g in pool if g["kind"] in ("idle", "unattributed")]
        free, total = sum(g["cost_nusd"] for g in rest), sum(g["cost_nusd"] for g in used)
        for g in pool:
            g["loaded_nusd"] = g["cost_nusd"] if total == 0 or g["kind"] == "unplaced" else 0
        left = free
        for i, g in enumerate(used if total else []):
            share = left if i == len(used) - 1 else free * g["cost_nusd"] // total
            left -= share
            g["loaded_nusd"] = g["cost_nusd"] + share


def per_mtok(cost, tokens, unpriced):
    return None if tokens == 0 or unpriced else cost / 1000 / tokens


def finish(g, basis):
    cost = g["loaded_nusd"] if basis == "loaded" else g["cost_nusd"]
    unpriced = g["kind"] == "usage" and g["unpriced_requests"] == g["requests"] and g["requests"] > 0
    scale = cost / g["cost_nusd"] if g["cost_nusd"] else 1
    g.update(cost_usd=usd(g["cost_nusd"]), loaded_usd=usd(g["loaded_nusd"]), others=0,
             usd_per_mtok=per_mtok(cost, g["prompt_tokens"] + g["completion_tokens"], unpriced),
             usd_per_mtok_in=per_mtok(g["cost_in_nusd"] * scale, g["prompt_tokens"], unpriced),
             usd_per_mtok_out=per_mtok(g["cost_out_nusd"] * scale, g["completion_tokens"], unpriced))
    if unpriced:
        g.update(dict.fromkeys(("cost_nusd", "cost_usd", "loaded_nusd", "loaded_usd", "cost_in_nusd", "cost_out_nusd")))
    if g["kind"] != "usage":
        g.update(usd_per_mtok=None, usd_per_mtok_in=None, usd_per_mtok_out=None)
    return g


class Fixture:
    """The server and its moods; used from tests in the same process."""

    def __init__(self, port=0, token=None):
        self.port, self.token = port, token
        self.empty = self.mute = self.dry = False
        self.delay, self.fail = 0.0, {}  # path prefix -> Problem
        self.prices = [{"id": "p1", "effective_from": "2026-01-01T00:00:00Z", "name": "NVIDIA H100*", "site": None,
                        "price_per_hour_usd": "3.100000000", "source": "list price", "added_at": "2026-01-01T08:00:00Z"},
                       {"id": "p2", "effective_from": "2026-06-01T00:00:00Z", "name": "NVIDIA H100*", "site": None,
                        "price_per_hour_usd": "2.800000000", "source": "contract 4711", "added_at": "2026-05-20T08:00:00Z"}]
        self.web = web()
        self.asked, self.statuses, self.server, self.connections = [], [], None, set()

    # --- as a process

    def start(self):
        fixture = self

        class Handler(Answer):
            it = fixture

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 64

            def handle_error(self, request, client_address):
                pass  # browsers go away in the middle

        self.port = self.port or free_ports(1)[0]  # its own, too, while it is stopped
        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    # --- what is served

    def costs(self, q):
        now = time.time()
        since, until = instant(q.get("since", ["24h"])[0], now, "since"), now
        if "until" in q:
            until = min(now, instant(q["until"][0], now, "until"))
        step, by = q.get("step", ["none"])[0], [d for d in q.get("by", [""])[0].split(",") if d]
        if step != "none" and step not in STEPS or set(by) - set(DIMS):
            raise Problem(400, "a parameter is wrong", "say step=1h, by=model,tenant", parameter="step")
        if until - since > 366 * 86400:
            raise Problem(400, "the range is too long", "ask for at most 366 days", parameter="since")
        basis, every = q.get("basis", ["busy"])[0], STEPS.get(step)
        first, last = int(since // BUCKET), int(-(-until // BUCKET))
        rows = [] if self.empty else [r for b in range(first, last)
                                      for r in bucket_rows(b, min(1.0, (now - b * BUCKET) / BUCKET))]
        groups = {}
        for r in rows:
            key = (r["t"] // every * every if every else None, r["kind"], *(r[d] for d in by))
            if key not in groups:
                groups[key] = {"kind": r["kind"], **dict.fromkeys(SUMS, 0), **{d: r[d] for d in by},
                               "energy_j": None, **({"time": rfc3339(key[0])} if every else {})}
            for name in SUMS:
                groups[key][name] += r[name]
        spread(groups, by)
        filters = {d: q[d] for d in DIMS if d in q and d != "kind"}
        whole = list(groups.values())
        if filters:
            keep = {}
            for r in rows:  # a filter on what is not grouped by chooses among the rows themselves
                if all(r[d] in v for d, v in filters.items()):
                    key = (r["t"] // every * every if every else None, r["kind"], *(r[d] for d in by))
                    g = keep.setdefault(key, {**groups[key], **dict.fromkeys(SUMS, 0), "of": groups[key]})
                    for name in SUMS:
                        g[name] += r[name]
            for g in keep.values():
                of = g.pop("of")
                g["loaded_nusd"] = of["loaded_nusd"] * g["cost_nusd"] // of["cost_nusd"] if of["cost_nusd"] else 0
            shown = list(keep.values())
        else:
            shown = whole
        shown = [finish(g, basis) for g in shown]
        kinds = {k: sums([g for g in shown if g["kind"] == k]) for k in ("usage", "idle", "unattributed", "unplaced")}
        hosts = {g[0] for g in GPUS}
        final = now - 360
        answer = {"since": rfc3339(first * BUCKET), "until": rfc3339(last * BUCKET), "tz": q.get("tz", ["UTC"])[0], "step": step,
                  "by": by, "basis": basis, "final_until": None if self.empty else rfc3339(int(final // 60) * 60),
                  "splits": [{"method": "weighted", "weight_in": 1, "weight_out": 4}],
                  "gpus": 0 if self.empty else len(GPUS), "hosts": 0 if self.empty else len(hosts), "rows": shown,
                  "totals": {"requests": kinds["usage"], **{k: kinds[k] for k in ("idle", "unattributed", "unplaced")},
                             "bill": sums([g for g in shown if g["kind"] != "unplaced"])},
                  "provisional": until > final and not self.empty, "corrections": 0 if self.empty else 3}
        answer["totals"]["unfiltered_bill"] = sums([g for g in whole if g["kind"] != "unplaced"])
        return answer

    def gpus(self, q):
        del q
        now, items = time.time(), []
        for gpu in [] if self.empty else GPUS:
            state = "silent" if gpu == SILENT else "unpriced" if gpu == UNPRICED else "idle" if gpu == IDLE else "busy"
            today = [r for b in range(int(now // 86400) * 288, int(now // BUCKET)) for r in bucket_rows(b) if r["gpu"] == gpu_name(gpu)]
            cost = sum(r["cost_nusd"] for r in today)
            idle = sum(r["cost_nusd"] for r in today if r["kind"] == "idle")
            tokens = sum(r["prompt_tokens"] + r["completion_tokens"] for r in today)
            busy = state in ("busy", "unpriced")
            items.append({
                "gpu": gpu_name(gpu), "host": gpu[0], "gpu_index": gpu[1], "gpu_instance": None, "name": "NVIDIA H100 80GB HBM3"
                if gpu != UNPRICED else "NVIDIA RTX 6000 Ada", "uuid": None, "site": SITES[gpu[0]], "mig_profile": None, "state": state,
                "last_seen": rfc3339(int(now) - (1080 if gpu == SILENT else 0)), "first_seen": "2026-01-01T00:00:00Z",
                "utilization": round(0.9 + 0.09 * noise(gpu, int(now)), 2) if busy else 0.0,
                "mem_used_mb": 74_000 if busy else 900, "mem_total_mb": 81_559, "power_w": 600 + int(60 * noise(gpu, int(now))) if busy else 71,
                "temperature_c": 61, "price_per_hour_usd": None if gpu == UNPRICED else usd(PRICE[gpu]),
                "price_source": None if gpu == UNPRICED else "book", "price_entry": None if gpu == UNPRICED else "p2",
                "today": {"cost_nusd": cost, "cost_usd": usd(cost if gpu != UNPRICED else None), "idle_nusd": idle,
                          "idle_share": idle / cost if cost else None, "requests": sum(r["requests"] for r in today),
                          "tokens": tokens, "usd_per_mtok": per_mtok(cost, tokens, False)},
                "models": ["llama-3-70b"] if gpu[1] < 2 and busy else ["qwen3-30b", "mistral-small"] if busy else []})
        return {"items": items, "at": rfc3339(now), "tz": "UTC"}

    def request(self, n, now):
        gpu = GPUS[int(noise("g", n) * 8)]
        start, latency = now // 60 * 60 - 47 * n - 70, 800 + 40_000 * noise("l", n) ** 3
        cost = int(2.8e9 / 3600 * latency / 1000 * (0.02 + 0.1 * noise("s", n)))
        model = "qwen3-30b" if noise("m", n) < 0.3 else "llama-3-70b"
        tenant = "batch" if model == "qwen3-30b" else "search" if noise("t", n) < 0.6 else "chat"
        found = {"event_id": f"01940000-0000-7000-8000-{n:012x}", "request_id": f"req-{n:06d}", "ts": rfc3339(start + latency / 1000),
                 "start": rfc3339(start), "model": model, "tenant": tenant, "host": gpu[0], "gpus": [gpu_name(gpu)], "site": SITES[gpu[0]],
                 "requests": 1, "prompt_tokens": int(200 + 3000 * noise("p", n)), "completion_tokens": int(20 + 800 * noise("c", n)),
                 "cached_prompt_tokens": int(100 * noise("h", n)), "latency_ms": round(latency, 3), "ttft_ms": round(latency * 0.1, 3),
                 **money(cost), "cost_in_nusd": cost * 2 // 5, "cost_out_nusd": cost - cost * 2 // 5, "cost_per_token": None,
                 "energy_j": 310.5, "unpriced_ns": 0, "final": n >= 6, "late": n % 17 == 9, "revision": 2 if n % 17 == 9 else int(n >= 6),
                 "method": "weighted"}
        if n % 23 == 7:
            found.update(gpus=[], host=None, **money(None), cost_in_nusd=None, cost_out_nusd=None)
        elif gpu == UNPRICED:
            found.update(**money(None), cost_in_nusd=None, cost_out_nusd=None, unpriced_ns=int(latency * 1e6))
        return found

    def requests(self, q):
        now, limit, begin = time.time(), int(q.get("limit", ["50"])[0]), int(q.get("cursor", ["0"])[0] or 0)
        since = instant(q.get("since", ["24h"])[0], now, "since")
        until = instant(q["until"][0], now, "until") if "until" in q else now
        test = {"all": lambda r: True, "unplaced": lambda r: not r["gpus"], "unpriced": lambda r: r["unpriced_ns"] > 0,
                "late": lambda r: r["late"], "open": lambda r: not r["final"]}[q.get("filter", ["all"])[0]]
        least = float(q.get("min_usd", ["0"])[0])
        found, n = [], begin
        while not self.empty and n < 5000 and len(found) < limit:
            r = self.request(n, now)
            start = instant(r["start"], now, "start")
            if start < since:
                break
            wanted = all(v[0] in (r[k] if k == "gpu" else [r.get(k)]) for k, v in q.items() if k in ("model", "tenant", "host", "site"))
            if "gpu" in q:
                wanted = wanted and set(q["gpu"]) & set(r["gpus"])
            if wanted and start < until and test(r) and (least == 0 or (r["cost_nusd"] or 0) >= least * 1e9):
                found.append(r)
            n += 1
        return {"items": found, "next": str(n) if len(found) == limit else None, "since": rfc3339(since), "until": rfc3339(until)}

    def explain(self, event_id):
        now = time.time()
        found = re.fullmatch(r"01940000-0000-7000-8000-([0-9a-f]{12})", event_id)
        if not found or int(found[1], 16) >= 5000:
            raise Problem(404, "there is no such request", f"{event_id} is not in the store: it may be older than --retain keeps")
        r = self.request(int(found[1], 16), now)
        if not r["gpus"]:
            return {**r, "explanation": {"sentence": "names no GPU, and so could not be placed: it has no cost", "gpus": [],
                                         "method": None, "weight_in": None, "weight_out": None, "revision": r["revision"],
                                         "notes": ["Its record has neither host nor gpu_index."]}}
        start, seconds = instant(r["start"], now, "start"), r["latency_ms"] / 1000
        whole = int(2.8e9 / 3600 * seconds)
        first, last = int(start // 60), int((start + seconds) // 60)
        windows, rest, cost = [], r["cost_nusd"], r["cost_nusd"]
        for w in range(first, last + 1):
            length = min(start + seconds, (w + 1) * 60) - max(start, w * 60)
            part = None if cost is None else rest if w == last else int(cost * length / seconds)
            rest = None if cost is None else rest - part
            windows.append({"window_start": rfc3339(w * 60), **money(part),
                            **money(None if cost is None else int(whole * length / seconds), "gpu_cost"), "beside": 9 + w % 17, "final": r["final"]})
        sentence = (f"ran {seconds:.3g} s on {r['gpus'][0]} beside 23 others; {100 * cost / whole:.2g} % of the GPU's {whole / 1e9:.3g} $ in that time"
                    if cost is not None else f"ran {seconds:.3g} s on {r['gpus'][0]}, which has no price: what it cost is not known")
        return {**r, "explanation": {"sentence": sentence, "method": "weighted", "weight_in": 1, "weight_out": 4, "revision": r["revision"],
                                     "notes": ["A sample came late; it was settled again."] if r["late"] else [],
                                     "gpus": [{"gpu": r["gpus"][0], "from": r["start"], "until": rfc3339(start + seconds), "beside": 23,
                                               **money(cost), **money(whole, "gpu_cost"), "share": None if cost is None else cost / whole, "energy_j": 310.5,
                                               "windows": windows, "prices": [{"from": r["start"], "until": rfc3339(start + seconds),
                                                                               "price_per_hour_usd": "2.800000000" if cost is not None else None,
                                                                               "entry": "p2" if cost is not None else None,
                                                                               "source": "book" if cost is not None else None}]}]}}

    def price_list(self, q):
        del q
        latest = self.prices[-1]["id"] if self.prices else None
        items = [] if self.empty else [{**p, "in_force": p["id"] == latest, "gpus": 7 if p["id"] == latest else 0} for p in self.prices]
        return {"items": items, "default_price_per_hour_usd": None, "unpriced": [] if self.empty or len(self.prices) > 2 else [
            {"gpu": gpu_name(UNPRICED), "name": "NVIDIA RTX 6000 Ada", "since": "2026-11-26T08:00:00Z"}]}

    def add_price(self, body):
        wrong = set(body) - {"name", "price_per_hour_usd", "effective_from", "site", "source", "apply"}
        if wrong or not re.fullmatch(r"\d{1,6}(\.\d{1,9})?", body.get("price_per_hour_usd", "")):
            raise Problem(400, "the price is not one", "price_per_hour_usd: say dollars an hour, such as 2.95", parameter="price_per_hour_usd")
        entry = {"id": "p3", "effective_from": body.get("effective_from", rfc3339(int(time.time()))), "name": body["name"],
                 "site": body.get("site"), "price_per_hour_usd": body["price_per_hour_usd"], "source": body.get("source"),
                 "added_at": rfc3339(int(time.time()))}
        now = int(time.time())
        change = {"from": rfc3339(now - 7200), "until": rfc3339(now), "windows": 120, "rows_changed": 961, "requests_changed": 4123,
                  **money(480_000_000_000, "bill_before"), **money(481_420_000_001, "bill_after")}
        if not body.get("apply"):
            return 200, {"applied": False, "entry": entry, "recompute": change}
        self.prices.append(entry)
        return 201, {"applied": True, "entry": entry, "recompute": change,
                     "command": f"gtap recompute --store sqlite:gtap.db --from {change['from']}"}

    def dead_letters(self, q):
        begin, limit = int(q.get("cursor", ["0"])[0] or 0), int(q.get("limit", ["20"])[0])
        now = int(time.time())
        every = [] if self.empty else [
            {"at": rfc3339(now - 300 * i), "origin": "http: from 10.0.0.7", "position": None if i % 2 else f"tokens/3/{91_000 + i}",
             "reason": ("latency_ms: is negative", "conflict: another record has this event_id", "ts: is 3 days in the future")[i % 3],
             "payload": '{"ts":1795600000,"model":"<b>llama</b>","host":"gpu-01","gpu_index":0,"prompt_tokens":310,"latency_ms":-4}' * (40 if i == 1 else 1),
             "truncated": i == 1} for i in range(27)]
        end = begin + limit
        return {"items": every[begin:end], "next": str(end) if end < len(every) else None}

    def status(self, q):
        del q
        failing = {"name": "vllm+http://gpu-02:8000/metrics", "ok": False, "live": True, "ended": False, "records": 80_311, "age_seconds": 1080.0,
                   "last_error": "gpu-02:8000 does not answer: connection refused. See whether the server runs there."}
        return {"version": "0.1.0", "store": "sqlite:gtap.db", "ready": True, "reasons": [], "inputs": [] if self.empty else [
            {"name": "nvml:", "ok": True, "live": True, "ended": False, "records": 691_203, "last_error": None, "age_seconds": 0.4},
            {"name": "http:", "ok": True, "live": True, "ended": False, "records": 253_545, "last_error": None, "age_seconds": 1.2}, failing],
            "serving_only": self.empty, "stored": {"samples": 691_203, "usages": 253_545, "dead_letters": 27},
            "counters": {"samples": 691_203, "usages": 253_545, "duplicates": 12, "late": 31, "dead_letters": 27, "unplaced": 2}, "behind_seconds": 1.2,
            "settling_seconds": 0, "final_until": rfc3339(int(time.time()) // 60 * 60 - 360), "uptime_seconds": 93_600}

    def now(self):
        t = time.time()
        wave = 1 + 0.1 * noise("w", int(t))
        if self.empty:
            return {"at": rfc3339(t), **dict.fromkeys(("usd_per_hour", "usd_per_mtok", "busy_share", "idle_usd_per_hour", "unattributed_usd_per_hour",
                                                       "tokens_per_minute", "requests_per_minute", "behind_seconds", "final_until")),
                    "dead_letters": 0, "late": 0, "gpus": {"busy": 0, "idle": 0, "silent": 0}, "ready": True}
        return {"at": rfc3339(t), "usd_per_hour": 19.6, "usd_per_mtok": round(0.7 * wave, 4), "busy_share": 0.71, "idle_usd_per_hour": round(5.1 * wave, 2),
                "unattributed_usd_per_hour": 0.56, "tokens_per_minute": int(612_000 * wave), "requests_per_minute": int(940 * wave), "behind_seconds": 1.2,
                "final_until": rfc3339(int(t) // 60 * 60 - 360), "dead_letters": 27, "late": 31, "gpus": {"busy": 6, "idle": 1, "silent": 1}, "ready": True}


class Answer(http.server.BaseHTTPRequestHandler):
    """One exchange; `it` is the Fixture."""

    protocol_version = "HTTP/1.1"
    it = None

    def log_message(self, *args):
        pass

    def setup(self):
        super().setup()
        self.it.connections.add(self.connection)

    def finish(self):
        self.it.connections.discard(self.connection)
        super().finish()

    def send(self, status, body, kind, headers=()):
        etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"' if status == 200 else None
        if etag and self.headers.get("If-None-Match") == etag:
            status, body = 304, b""
        self.it.statuses.append((self.path, status))
        packed = len(body) > 1000 and "gzip" in self.headers.get("Accept-Encoding", "")
        body = gzip.compress(body, 6) if packed else body
        self.send_response(status)
        for name, value in (*headers, ("Content-Type", kind), ("X-Content-Type-Options", "nosniff"), ("Vary", "Accept-Encoding"),
                            *([("ETag", etag)] if etag else []), *([("Content-Encoding", "gzip")] if packed else []),
                            ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, status, value):
        kind = "application/json" if status < 400 else "application/problem+json"
        self.send(status, json.dumps(value).encode(), kind, [("Cache-Control", "no-store")])

    def send_file(self, name):
        plain, kind = self.it.web.files.get(os.path.basename(name)), TYPES.get(os.path.splitext(name)[1])
        if not kind or plain is None:
            self.send_json(404, {"title": "there is nothing here", "status": 404, "detail": "the dashboard is at /"})
            return
        keep = "public, max-age=31536000, immutable" if name.startswith(f"{self.it.web.version}/") else "no-cache"
        self.send(200, plain, kind, [("Content-Security-Policy", self.it.web.policy), ("Cache-Control", keep),
                                     ("Referrer-Policy", "no-referrer")])

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        server, number, gpus = self.it.server, 0, None
        try:
            while self.it.server is server:
                if self.it.dry:
                    self.wfile.write(b": the store cannot be read now\n\n")
                elif not self.it.mute:
                    number += 1
                    found = self.it.gpus({})["items"]
                    out = f"retry: 1000\nid: {number}\nevent: now\ndata: {json.dumps(self.it.now())}\n\n"
                    fresh = json.dumps([{k: v for k, v in g.items() if k != "today"} for g in found])
                    if fresh != gpus:
                        out, gpus = f"{out}id: {number}\nevent: gpus\ndata: {fresh}\n\n", fresh
                    self.wfile.write(f": alive\n\n{out}".encode())
                    self.wfile.flush()
                time.sleep(1)
        except OSError:
            pass
        finally:
            self.close_connection = True

    def api(self, path, q):
        if path in ("events", "stream"):
            return self.stream()
        routes = {"costs": self.it.costs, "gpus": self.it.gpus, "requests": self.it.requests, "prices": self.it.price_list,
                  "dead_letters": self.it.dead_letters, "status": self.it.status}
        if path.startswith("requests/"):
            return self.send_json(200, self.it.explain(urllib.parse.unquote(path[9:])))
        if path not in routes:
            raise Problem(404, "there is no such route", "see /openapi.json")
        return self.send_json(200, routes[path](q))

    def check(self, path):
        time.sleep(self.it.delay)
        if self.it.token and self.headers.get("Authorization") != f"Bearer {self.it.token}":
            raise Problem(401, "a token is wanted", "send Authorization: Bearer TOKEN")
        for prefix, problem in self.it.fail.items():
            if path.startswith(prefix):
                raise problem

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        self.it.asked.append(self.path)
        if url.path == "/":
            return self.send_file("index.html")
        if url.path.startswith("/assets/"):
            return self.send_file(url.path[8:])
        try:
            if not url.path.startswith("/api/v1/"):
                raise Problem(404, "there is nothing here", "the dashboard is at /")
            self.check(url.path[8:])
            return self.api(url.path[8:], urllib.parse.parse_qs(url.query))
        except Problem as p:
            return self.send_json(p.status, p.body)

    def do_POST(self):
        self.it.asked.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.check(self.path[8:])
            if self.path != "/api/v1/prices":
                raise Problem(404, "there is no such route")
            return self.send_json(*self.it.add_price(body))
        except Problem as p:
            return self.send_json(p.status, p.body)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--token")
    args = parser.parse_args()
    fixture = Fixture(args.port, args.token).start()
    fixture.empty = args.empty
    print(fixture.url, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
