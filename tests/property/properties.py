"""The properties that every build must prove (docs/cost-model.md), one function each.

A property takes a case and returns (scripts, judge): what to run through the engine, and a function
from the outcomes to None or a sentence that says what is wrong. It returns None for a case that it
says nothing about. Bounds on money follow from one fact: of a span's bill each party gets its real
share rounded up or down, so its part is less than 1 nano-USD away (or 1, to the nano, where the
share is whole)."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import reference
from engine import (cost_key, first_difference, outcome_difference, price_line, record_line,
                    reference_cost, reference_row, row_key, settings_line)
from generate import PRICE_MAX, TOKENS_MAX, event_time, in_time_order, make_twin
from reference import HOUR_NS, Sample, Usage

ENERGY_TOLERANCE = 1e-9
ROUNDING_SLACK = Fraction(1, 1000)
PROPERTIES = []


def proves(name):
    def register(function):
        PROPERTIES.append((name, function))
        return function
    return register


# What a script is made of.


def setup(case):
    return [*map(settings_line, case.epochs), *map(price_line, case.book)]


def end_of_time(case):
    """An instant by which every window of the case is over."""
    newest = max(map(event_time, case.records), default=0)
    longest = max(e.gpu_timeout for e in case.epochs)
    return ((newest + longest) // HOUR_NS + 2) * HOUR_NS


def feed(records):
    return [record_line(r) for r in records]


def finish(case):
    return ["settle", f"advance {end_of_time(case)}", "settle"]


def plain(case):
    """All records in order of event time, then one step over all windows."""
    return [*setup(case), *feed(case.records), f"advance {end_of_time(case)}"]


def shuffled(case, *what):
    return sorted(case.records, key=lambda r: case.rng("order", *what, r.event_id).random())


def watermarks(case, *what, every=0.5):
    """The records in order of event time, with the watermark moving up now and then."""
    for r in case.records:
        yield r, record_line(r)
        if case.rng("watermark", *what, r.event_id).random() < every:
            yield r, f"watermark {event_time(r)}"


def against_reference(case, outcome):
    rows, costs = reference.compute(case.records, case.epochs, case.book)
    rows, costs = [reference_row(r) for r in rows], [reference_cost(c) for c in costs]
    return (first_difference("row", outcome.rows, rows, row_key, (), ENERGY_TOLERANCE)
            or first_difference("cost", outcome.costs, costs, cost_key, (), ENERGY_TOLERANCE))


def all_equal(outcomes):
    for other in outcomes[1:]:
        found = outcome_difference(other["END"], outcomes[0]["END"])
        if found:
            return found
    return None


def total(items, name, where=lambda item: True):
    return sum(item[name] for item in items if where(item))


def by_gpu(rows, name):
    sums = Counter()
    for row in rows:
        sums[(row["host"], row["index"], row["instance"])] += row[name]
    return sums


def gpu_of(row):
    return (row["host"], row["index"], row["instance"])


# The properties.


@proves("every number is the reference's")
def equals_reference(case):
    return [plain(case)], lambda outcomes: against_reference(case, outcomes[0]["END"])


def window_bills(case):
    """(window start, GPU) -> (money, billed ns, unpriced ns), from times and prices alone."""
    bills = {}
    for gpu in reference.gather(case.records)[0]:
        for view, start, end in reference.windows(gpu, case.epochs, case.book):
            spans = list(view.spans(start, end))
            bills[(start, gpu.key)] = (
                sum(s.bill for s in spans if s.price is not None),
                sum(g.end - g.begin for s in spans for g in s.segments),
                sum(s.bill for s in spans if s.price is None))
    return bills


def conserves(case, outcome):
    found = {}
    for row in outcome.rows:
        if row["kind"] != "unplaced":
            sums = found.setdefault((row["window_start"], gpu_of(row)), [0, 0, 0])
            for i, name in enumerate(("cost", "busy_ns", "unpriced_ns")):
                sums[i] += row[name]
    want = window_bills(case)
    for key in found.keys() | want.keys():
        got, bill = tuple(found.get(key, ())), want.get(key, ())
        if got != bill:
            return f"window {key}: (money, ns, unpriced ns) {got} for {bill}"
    return requests_add_up(case, outcome)


def requests_add_up(case, outcome):
    usage = [row for row in outcome.rows if row["kind"] == "usage"]
    for name in ("cost", "cost_in", "cost_out", "unpriced_ns"):
        a, b = total(outcome.costs, name), total(usage, name)
        if a != b:
            return f"requests' {name} is {a}, usage rows' {b}"
    said = {"prompt_tokens": sum(u.prompt for u in case.usages),
            "completion_tokens": sum(u.completion for u in case.usages),
            "cached_prompt_tokens": sum(u.cached or 0 for u in case.usages),
            "requests": sum(u.counted_requests for u in case.usages)}
    for name, want in said.items():
        if total(outcome.rows, name) != want:
            return f"{name}: {total(outcome.rows, name)} in rows, {want} in records"
    for item in [*usage, *outcome.costs]:
        if item["cost"] != item["cost_in"] + item["cost_out"]:
            return f"in and out do not add up: {item}"
    return None


@proves("conservation")
def conservation(case):
    return [plain(case)], lambda outcomes: conserves(case, outcomes[0]["END"])


@proves("each part is within 1 nano-USD a span of its real share")
def rounding(case):
    def judge(outcomes):
        real = reference.ideal(case.records, case.epochs, case.book)
        for cost in outcomes[0]["END"].costs:
            for side, ideal in real.get(cost["event_id"], {}).items():
                off = abs(cost[f"cost_{side}"] - ideal.money)
                if off > ideal.spans * (1 + ROUNDING_SLACK) + ideal.doubt:
                    return f"{cost['event_id']} {side}: {float(off)} off, {ideal.spans} spans"
        return None
    return [plain(case)], judge


def unfair(rounded, exact):
    """Whether some party got a unit of a span before one with a larger remainder. Who gets one is
    above its real share, by 1 less its remainder, and who does not is below, by its remainder."""
    parts, real = reference.apportion(rounded.bill, rounded.quotas()), exact.quotas()
    excess = [parts.get(party, 0) - quota for party, quota in real.items()]
    slack = 2 * exact.doubt() + Fraction(2, reference.QUOTA_STEP)
    return max(excess) - min(excess) > 1 + slack


@proves("the units left over go to the largest remainders")
def largest_remainders(case):
    """Of the reference, with shares that are not rounded anywhere; the engine equals it."""
    def judge(outcomes):
        for gpu in reference.gather(case.records)[0]:
            for view, start, end in reference.windows(gpu, case.epochs, case.book):
                exact = view.spans(start, end, exact=True)
                if any(unfair(a, b) for a, b in zip(view.spans(start, end), exact)):
                    return f"GPU {gpu.key}, window {start}: a unit went to the wrong party"
        return against_reference(case, outcomes[0]["END"])
    return [plain(case)], judge


@proves("order invariance")
def order(case):
    scripts = [plain(case)]
    scripts += [plain(replace(case, records=tuple(shuffled(case, i)))) for i in range(3)]
    return scripts, all_equal


def has_slack(case):
    """Records in order of event time come too early for any final window to mind."""
    longest = max((u.end - u.start for u in case.usages), default=0)
    timeout = max(e.gpu_timeout for e in case.epochs)
    return all(e.horizon >= timeout + longest for e in case.epochs)


@proves("batching invariance")
def batching(case):
    scripts = [plain(case)]
    for every in (0.2, 1.0):
        steps = [line for _, line in watermarks(case, every, every=every)]
        scripts.append([*setup(case), *steps, "dump BEFORE", *finish(case)])

    def judge(outcomes):
        if has_slack(case):
            for outcome in outcomes[1:]:
                if outcome["BEFORE"].dirty or any(c["late"] for c in outcome["END"].costs):
                    return "something is late in a stream that is in order"
        return all_equal(outcomes)
    return scripts, judge


@proves("duplicate invariance")
def duplicates(case):
    """The same id again, saying the same or something else; and other samples of an instant."""
    if not case.records:
        return None
    rng = case.rng("duplicates")
    again = [r for r in case.records if rng.random() < 0.5]
    lies = [replace(r, ts=r.ts + 1) if isinstance(r, Sample) else replace(r, completion=(r.completion + 1) % TOKENS_MAX)
            for r in case.records if rng.random() < 0.3]
    echoes = [replace(s, event_id=s.event_id + "~", price=(s.price or 0) // 2)
              for s in case.samples if rng.random() < 0.5]
    scripts = [plain(case)]
    scripts += [[*setup(case), *feed(case.records), *feed(rng.sample(extra, len(extra))),
                 f"advance {end_of_time(case)}"] for extra in (again + lies, echoes)]
    return scripts, all_equal


@proves("totals do not depend on W")
def window_length(case):
    epochs = case.epochs[:1]
    if max((u.end - u.start for u in case.usages), default=0) > 5 * HOUR_NS:
        return None
    one = replace(case, epochs=epochs)
    other = replace(case, epochs=(replace(epochs[0], window=HOUR_NS),))
    third = replace(case, epochs=(replace(epochs[0], window=max(epochs[0].window // 8, 10**9)),))
    if HOUR_NS % third.epochs[0].window:
        return None
    cases = [one, other, third]
    names = ("cost", "busy_ns", "unpriced_ns", "prompt_tokens", "completion_tokens",
             "cached_prompt_tokens", "requests")

    def judge(outcomes):
        ends = [outcome["END"] for outcome in outcomes]
        for end in ends[1:]:
            for name in names:
                if by_gpu(ends[0].rows, name) != by_gpu(end.rows, name):
                    return f"{name} by GPU depends on the window's length"
        spans = [spans_of(c, doubted=True) for c in cases]
        return (same_but_for_rounding(ends[0], spans[0], ends[1], spans[1])
                or same_but_for_rounding(ends[0], spans[0], ends[2], spans[2]))
    return [plain(c) for c in cases], judge


def spans_of(case, doubted=False):
    """(request id, side) -> number of spans, hence of roundings, that this cost is made of;
    `doubted`: and what the whole-number weights of its windows may move."""
    real = reference.ideal(case.records, case.epochs, case.book)
    return Counter({(i, side): ideal.spans + (ideal.doubt if doubted else 0)
                    for i, sides in real.items() for side, ideal in sides.items()})


def same_but_for_rounding(first, spans, other, other_spans, factor=1):
    """The other run's costs are `factor` times the first's, within their roundings."""
    by_id = {c["event_id"]: c for c in first.costs}
    for cost in other.costs:
        for side in ("in", "out"):
            key = (cost["event_id"], side)
            off = cost[f"cost_{side}"] - factor * by_id[key[0]][f"cost_{side}"]
            if abs(off) > factor * spans[key] + other_spans[key]:
                return f"{key}: {off} off in {float(spans[key])}, {float(other_spans[key])} spans"
    return None


def scale_prices(case, factor):
    def scaled(price):
        return None if price is None else price * factor
    return replace(
        case,
        epochs=tuple(replace(e, default_price=scaled(e.default_price)) for e in case.epochs),
        book=tuple(replace(e, price=e.price * factor) for e in case.book),
        records=tuple(replace(r, price=scaled(r.price)) if isinstance(r, Sample) else r
                      for r in case.records))


@proves("price linearity")
def linearity(case):
    """k times the price costs k times as much: q and k*q are both met within 1 a span. The share of a
    MIG slice is rounded before it is multiplied."""
    if any(s.instance >= 0 and s.price is None for s in case.samples):
        return None
    stated = [p for p in [*(e.default_price for e in case.epochs), *(e.price for e in case.book),
                          *(s.price for s in case.samples)] if p is not None]
    factor = case.rng("factor").choice([2, 3, 1000])
    if not stated or max(stated) * factor > PRICE_MAX:
        return None
    cases = [case, scale_prices(case, factor)]

    def judge(outcomes):
        ends = [outcome["END"] for outcome in outcomes]
        if [c["unpriced_ns"] for c in ends[0].costs] != [c["unpriced_ns"] for c in ends[1].costs]:
            return "unpriced time depends on how high prices are"
        return same_but_for_rounding(ends[0], spans_of(cases[0]), ends[1], spans_of(cases[1]),
                                     factor)
    return [plain(c) for c in cases], judge


@proves("symmetry")
def symmetry(case):
    """Equal requests pay equally, each part within 1 nano-USD a span."""
    if not case.usages:
        return None
    rng = case.rng("twin")
    chosen = rng.choice(case.usages)
    twin = make_twin(rng, chosen, "twin")
    case = replace(case, records=in_time_order([*case.records, twin]))

    def judge(outcomes):
        costs = {c["event_id"]: c for c in outcomes[0]["END"].costs}
        a, b = costs[chosen.event_id], costs[twin.event_id]
        spans = spans_of(case)
        for side in ("in", "out"):
            n = spans[(chosen.event_id, side)]
            if abs(a[f"cost_{side}"] - b[f"cost_{side}"]) > n:
                return f"twins differ by more than {n} nano-USD in {n} spans: {a}, {b}"
        return None
    return [plain(case)], judge


@proves("dummy: other GPUs and weightless requests change nothing")
def dummy(case):
    rng = case.rng("dummy")
    extra = [Usage(f"elsewhere-{i}", u.end, u.latency, 10, 10, host="elsewhere", indices=(0, 1))
             for i, u in enumerate(case.usages)]
    hosts = [u for u in case.usages if u.gpus and u.completion > 0 and u.ttft is None]
    if hosts and all(e.method == "weighted" for e in case.epochs):
        beside = rng.choice(hosts)
        extra.append(replace(beside, event_id="weightless", prompt=0, cached=None, completion=0,
                             model="weightless", site=None))
    more = replace(case, records=in_time_order([*case.records, *extra]))

    def judge(outcomes):
        before, after = (outcome["END"] for outcome in outcomes)
        for cost in after.costs:
            if cost["event_id"] == "weightless" and (cost["cost"] or cost["unpriced_ns"]):
                return f"a request without weight pays: {cost}"
        ids = {u.event_id for u in extra}
        after.costs = [c for c in after.costs if c["event_id"] not in ids]
        after.rows = [r for r in after.rows
                      if r["host"] != "elsewhere" and r["model"] != "weightless"]
        return outcome_difference(after, before)
    return [plain(case), plain(more)], judge


def split_over_gpus(u):
    """One request a GPU, each with its part of the tokens and of the weight."""
    k = len(u.gpus)
    if k < 2:
        return [u]
    return [replace(u, event_id=f"{u.event_id}/{i:03}", indices=(i,), prompt=u.prompt // k,
                    completion=u.completion // k,
                    cached=None if u.cached is None else u.cached // k)
            for _, i, _ in u.gpus]


def divisible(u):
    k = max(len(u.gpus), 1)

    def rounded(n):
        return None if n is None else min(n - n % -k, TOKENS_MAX // k * k)
    return replace(u, prompt=rounded(u.prompt), completion=rounded(u.completion),
                   cached=rounded(u.cached))


@proves("tensor parallel is the sum over its GPUs")
def tensor_parallel(case):
    if not any(len(u.gpus) > 1 for u in case.usages):
        return None
    whole = replace(case, records=tuple(r if isinstance(r, Sample) else divisible(r)
                                        for r in case.records))
    parts = replace(whole, records=tuple(
        p for r in whole.records for p in ([r] if isinstance(r, Sample) else split_over_gpus(r))))

    def judge(outcomes):
        one, many = (outcome["END"] for outcome in outcomes)
        sums = {}
        for cost in many.costs:
            sums.setdefault(cost["event_id"].split("/")[0], []).append(cost)
        for cost in one.costs:
            for name in ("cost", "cost_in", "cost_out", "unpriced_ns"):
                if cost[name] != total(sums[cost["event_id"]], name):
                    return f"{cost['event_id']}: {name} is not the sum of its GPUs'"
        return first_difference("row", one.rows, many.rows, row_key,
                                ("requests", "unpriced_requests"))
    return [plain(whole), plain(parts)], judge


@proves("restart invariance")
def restart(case):
    scripts = [plain(case)]
    for every in (0.3, 1.0):
        lines = setup(case)
        for r, line in watermarks(case, "restart", every, every=0.7):
            lines.append(line)
            if case.rng("restart", every, r.event_id).random() < every:
                lines.append("restart")
        scripts.append([*lines, "restart", *finish(case), "restart"])
    return scripts, all_equal


def disturbed(case, *what):
    """Any order, with windows closed, settled and the engine restarted whenever it suits nobody."""
    for r in shuffled(case, "late", *what):
        yield record_line(r)
        rng = case.rng("disturb", *what, r.event_id)
        kind = rng.random()
        if kind < 0.35:
            epoch = rng.choice(case.epochs)
            step = rng.choice([epoch.window, epoch.max_gap, epoch.gpu_timeout])
            yield f"advance {max(event_time(r) + rng.randint(-4, 6) * step, 0)}"
        if rng.random() < 0.25:
            yield "settle"
        if rng.random() < 0.15:
            yield "restart"


@proves("lateness invariance")
def lateness(case):
    scripts = [plain(case)]
    scripts += [[*setup(case), *disturbed(case, i), *finish(case)] for i in range(4)]
    late = [*setup(case), f"advance {end_of_time(case)}", *feed(case.records), *finish(case)]
    each = [line for r in shuffled(case, "each") for line in (record_line(r), "settle")]
    scripts += [late, [*setup(case), f"advance {end_of_time(case)}", *each, *finish(case)]]
    return scripts, all_equal


@proves("a preview is what these records make of the open windows, and changes nothing")
def preview(case):
    if not case.records:
        return None
    part = case.records[:case.rng("preview").randint(1, len(case.records))]
    lines = [line for r, line in watermarks(case, "preview") if r in part]
    rest = feed(case.records[len(part):])
    scripts = [plain(case), [*setup(case), *lines, "preview OPEN", *rest, *finish(case)]]

    def judge(outcomes):
        opened = outcomes[1]["OPEN"]
        rows, _ = reference.compute(part, case.epochs, case.book)
        want = [dict(reference_row(r), final=0, revision=0) for r in rows
                if opened.frontier is None or r.window_start >= opened.frontier]
        # Whether a request has an unpriced part is known when it is final.
        return (first_difference("open row", opened.rows, want, row_key, ("unpriced_requests",),
                                 ENERGY_TOLERANCE)
                or all_equal(outcomes))
    return scripts, judge


@proves("settings and prices may be told when they come into force")
def told_later(case):
    """Settings come with a restart, as in life: a longer gpu_timeout asks for older neighbours."""
    if len(case.epochs) < 2 and not any(e.effective_from > 0 for e in case.book):
        return None
    case = replace(case, book=tuple(sorted(case.book, key=lambda e: e.effective_from)))
    told = sorted([(e.effective_from, [settings_line(e), "restart"]) for e in case.epochs]
                  + [(e.effective_from, [price_line(e)]) for e in case.book], key=lambda t: t[0])
    lines = []
    for r, line in watermarks(case, "told", every=1.0):
        while told and told[0][0] <= event_time(r):
            lines += told.pop(0)[1]
        lines.append(line)
    lines += [line for _, rest in told for line in rest]
    return [plain(case), [*lines, *finish(case)]], all_equal
