"""Ten thousand concurrent requests on one GPU: sums are exact, and any one of them pays what an
independent computation says."""

import random
from bisect import bisect_left
from fractions import Fraction

import engine
from reference import HOUR_NS, Sample, Settings, Usage

S = 10**9
REQUESTS = 10_000
GRIDS = {"": 1, ", their edges in common": S}  # in ns: what all instants are multiples of
EXAMINED = 40
PRICE = 98_320_000_000  # 98.32 USD per hour: a node of eight
LENGTH = 240 * S
DIGITS = 200  # binary places of the weights and of their integral

EPOCH = Settings(default_price=PRICE)
COVERAGE = [Sample(f"s{i}", i * 30 * S, "h", 0) for i in range(LENGTH // (30 * S) + 1)]


def make_requests(grid):
    """All of them run at 100 s."""
    rng = random.Random(grid)
    made = []
    for i in range(REQUESTS):
        start = rng.randrange(0, 100 * S, grid)
        latency = rng.randrange(100 * S + grid, 140 * S, grid)
        ttft = rng.choice([None, rng.randrange(0, latency, grid)])
        made.append(Usage(f"r{i:05}", start + latency, latency, rng.randrange(10**5),
                          rng.randrange(1, 5000), ttft=ttft, host="h", indices=(0,),
                          model=f"model-{i % 3}"))
    return made


def weights(request):
    """(side, begin, end, weight) of its phases."""
    for side, tokens in (("in", EPOCH.w_in * request.prompt),
                         ("out", EPOCH.w_out * request.completion)):
        begin, end = request.phase(side)
        if begin < end:
            yield side, begin, end, (tokens << DIGITS) // (end - begin)


class Integral:
    """Of dt / (sum of weights), over all time."""

    def __init__(self, requests):
        steps = {}
        for r in requests:
            for _, begin, end, weight in weights(r):
                steps[begin] = steps.get(begin, 0) + weight
                steps[end] = steps.get(end, 0) - weight
        self.edges, self.values = sorted(steps), [0]
        current = 0
        for x, y in zip(self.edges, self.edges[1:]):
            current += steps[x]
            added = ((y - x) << 2 * DIGITS) // current if current else 0
            self.values.append(self.values[-1] + added)

    def between(self, begin, end):
        a, b = bisect_left(self.edges, begin), bisect_left(self.edges, end)
        return self.values[b] - self.values[a]

    def share_ns(self, phase):
        _, begin, end, weight = phase
        return Fraction(weight * self.between(begin, end), 1 << 2 * DIGITS)


def wrong_costs(requests, costs):
    integral = Integral(requests)
    by_id = {c["event_id"]: c for c in costs}
    for r in random.Random(0).sample(requests, EXAMINED):
        for phase in weights(r):
            windows = (phase[2] - 1) // EPOCH.window - phase[1] // EPOCH.window + 1
            real = integral.share_ns(phase) * PRICE / HOUR_NS
            got = by_id[r.event_id][f"cost_{phase[0]}"]
            if abs(got - real) > windows:
                yield f"{r.event_id} {phase[0]}: {got}, should be about {float(real)}"


def wrong_sums(requests, end):
    bill = PRICE * LENGTH // HOUR_NS
    for name, got, want in (
            ("rows' cost", sum(r["cost"] for r in end.rows), bill),
            ("rows' time", sum(r["busy_ns"] for r in end.rows), LENGTH),
            ("requests' cost", sum(c["cost"] for c in end.costs),
             sum(r["cost"] for r in end.rows if r["kind"] == "usage")),
            ("prompt tokens", sum(r["prompt_tokens"] for r in end.rows),
             sum(r.prompt for r in requests)),
            ("completion tokens", sum(r["completion_tokens"] for r in end.rows),
             sum(r.completion for r in requests)),
            ("requests", sum(r["requests"] for r in end.rows), len(requests))):
        if got != want:
            yield f"{name}: {got} for {want}"


def check(driver, grid):
    requests = make_requests(grid)
    assert all(r.start <= 100 * S < r.end for r in requests)
    lines = [engine.settings_line(EPOCH), *map(engine.record_line, COVERAGE + requests),
             f"advance {HOUR_NS}"]
    end = engine.run(driver, [lines])[0]["END"]
    wrong = [*wrong_sums(requests, end), *wrong_costs(requests, end.costs)]
    for sentence in wrong[:5]:
        print(f"# {sentence}")
    return not wrong
