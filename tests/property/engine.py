"""Talks to engine_driver, and puts what it says and what the reference says into one shape."""

import json
import subprocess
from dataclasses import dataclass

import reference
from reference import Sample

HOUR_NS = reference.HOUR_NS
TIMEOUT_S = 60

# A settlement may change these, and only these, of what an undisturbed run says.
ROW_HISTORY = ("revision",)
COST_HISTORY = ("late", "revision")


class DriverError(Exception):
    pass


@dataclass
class Outcome:
    """What one `dump` or `preview` printed: lists of dicts in canonical order."""

    rows: list
    costs: list
    frontier: int
    newest: int
    dirty: list


def decimal(value, scale):
    """value / 10^scale as JSON number text, exactly."""
    sign, digits = ("-" if value < 0 else ""), str(abs(value)).rjust(scale + 1, "0")
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}"


def wire(record):
    """The record as wire-format JSON text."""
    fields = sample_fields(record) if isinstance(record, Sample) else usage_fields(record)
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields if text is not None) + "}"


def text_or_none(value):
    return None if value is None else json.dumps(value)


def sample_fields(s):
    yield "event_id", json.dumps(s.event_id)
    yield "ts", decimal(s.ts, 9)
    yield "host", json.dumps(s.host)
    yield "gpu_index", str(s.index)
    yield "gpu_instance", None if s.instance < 0 else str(s.instance)
    yield "utilization", "0.5"
    yield "power_w", text_or_none(s.power_w)
    yield "name", text_or_none(s.name)
    yield "mig_profile", text_or_none(s.profile)
    yield "site", text_or_none(s.site)
    yield "price_per_hour_usd", None if s.price is None else decimal(s.price, 9)


def usage_fields(u):
    yield "event_id", json.dumps(u.event_id)
    yield "ts", decimal(u.end, 9)
    yield "latency_ms", decimal(u.latency, 6)
    yield "ttft_ms", None if u.ttft is None else decimal(u.ttft, 6)
    yield "prompt_tokens", str(u.prompt)
    yield "completion_tokens", str(u.completion)
    yield "cached_prompt_tokens", text_or_none(u.cached)
    yield "requests", text_or_none(u.requests)
    yield "model", json.dumps(u.model)
    yield "tenant", text_or_none(u.tenant)
    yield "host", text_or_none(u.host)
    yield "gpu_indices", json.dumps(list(u.indices)) if u.indices else None
    yield "gpu_instance", None if u.instance < 0 else str(u.instance)
    yield "site", text_or_none(u.site)


def settings_line(s):
    price = -1 if s.default_price is None else s.default_price
    return (f"settings {s.effective_from} {s.window} {s.max_gap} {s.gpu_timeout} {s.horizon} "
            f"{price} {s.w_in} {s.w_out} {s.method}")


def price_line(entry):
    return f"price {entry.effective_from} {entry.price} {entry.site or '-'} {entry.name}"


def record_line(record):
    return "record " + wire(record)


def run(driver, scripts):
    """Runs scripts (lists of lines) in one process; a list of {label: Outcome}, one per script."""
    text = "\n".join("\n".join(["case", *script, "dump END"]) for script in scripts) + "\n"
    try:
        done = subprocess.run([driver], input=text, capture_output=True, text=True, check=False,
                              timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as e:
        raise DriverError(f"the driver did not end within {TIMEOUT_S} s") from e
    if done.returncode != 0:
        raise DriverError(f"the driver ended with {done.returncode}: {done.stderr.strip()}")
    outcomes, current = [], {}
    for label, outcome in read_outcomes(done.stdout):
        current[label] = outcome
        if label == "END":
            outcomes.append(current)
            current = {}
    if len(outcomes) != len(scripts):
        raise DriverError(f"{len(outcomes)} outcomes for {len(scripts)} scripts")
    return outcomes


def read_outcomes(text):
    found = {"row": [], "cost": []}
    for line in text.splitlines():
        item = json.loads(line)
        kind = item.pop("is")
        if kind != "end":
            found[kind].append(item)
            continue
        label = item.pop("label")
        yield label, Outcome(found["row"], found["cost"], **item)
        found = {"row": [], "cost": []}


def said(row_or_cost, *but):
    return {name: value for name, value in row_or_cost.items() if name not in but}


def reference_row(row):
    host, index, instance = row.gpu or (None, -1, -1)
    return {
        "window_start": row.window_start, "host": host, "index": index, "instance": instance,
        "kind": row.kind, "model": row.model, "tenant": row.tenant, "site": row.site,
        "method": row.method, "cost": row.cost, "cost_in": row.cost_in, "cost_out": row.cost_out,
        "prompt_tokens": row.prompt_tokens, "completion_tokens": row.completion_tokens,
        "cached_prompt_tokens": row.cached_prompt_tokens, "requests": row.requests,
        "unpriced_requests": row.unpriced_requests, "busy_ns": row.busy_ns,
        "unpriced_ns": row.unpriced_ns,
        "energy": None if row.energy is None else float(row.energy), "final": 1, "revision": 1,
    }


def reference_cost(cost):
    return {
        "ts": cost.ts, "event_id": cost.event_id, "method": cost.method, "priced": int(cost.priced),
        "cost": cost.cost, "cost_in": cost.cost_in, "cost_out": cost.cost_out,
        "unpriced_ns": cost.unpriced_ns,
        "energy": None if cost.energy is None else float(cost.energy), "final": 1, "late": 0,
        "revision": 1,
    }


def same(got, want, but=(), energy_tolerance=0.0):
    """None, or the names of the fields in which two rows or costs differ."""
    differ = [name for name in want if name not in but and name != "energy"
              and got.get(name) != want[name]]
    if "energy" in want and "energy" not in but:
        a, b = got["energy"], want["energy"]
        if (a is None) != (b is None):
            differ.append("energy")
        elif a is not None and abs(a - b) > energy_tolerance * max(abs(a), abs(b)):
            differ.append("energy")
    return differ or None


def row_key(row):
    return (row["window_start"], row["host"] or "", row["index"], row["instance"], row["kind"],
            row["model"] or "", row["tenant"] or "", row["tenant"] is None)


def cost_key(cost):
    return cost["event_id"]


def first_difference(what, got, want, key, but=(), energy_tolerance=0.0):
    """None, or a sentence about the first rows (costs) that differ."""
    if [key(g) for g in got] != [key(w) for w in want]:
        extra = [g for g in got if key(g) not in {key(w) for w in want}]
        missing = [w for w in want if key(w) not in {key(g) for g in got}]
        return (f"{what}: extra {extra[:1]}, missing {missing[:1]}" if extra or missing
                else f"{what}: the same, but in another order")
    for g, w in zip(got, want):
        differ = same(g, w, but, energy_tolerance)
        if differ:
            sides = ", ".join(f"{name} {g[name]!r} for {w[name]!r}" for name in differ)
            return f"{what} {key(g)}: {sides}"
    return None


def outcome_difference(got, want):
    """Between two runs of the engine: everything must be equal but the history."""
    return (first_difference("row", got.rows, want.rows, row_key, ROW_HISTORY)
            or first_difference("cost", got.costs, want.costs, cost_key, COST_HISTORY))
