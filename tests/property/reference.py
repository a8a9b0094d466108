"""The cost model, written down a second time: slow, exact, obvious.

`compute()` turns a set of records into window rows and request costs straight from the definitions
in docs/cost-model.md. Times are int nanoseconds, money is int nano-USD, every share is a Fraction.
It shares nothing with the engine it judges, neither code nor method: each window of each GPU is cut
at all its edges, every segment states who gets which part of it, and sums are taken afterwards.
"""

import math
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Optional

SLICES = {"H100": 7, "A100": 7, "A30": 4}  # of the GPUs that generate.py names
HOUR_NS = 3_600_000_000_000
LATENCY_MIN_NS = 1_000_000
WEIGHT_BITS = 104  # weights are integers below 2^105, in a unit that suits the window
QUOTA_STEP = 1 << 32  # quotas are cut to multiples of 1 / this before they are compared
NUDGE = Fraction(1, 1 << 46)  # added before: whole-number weights leave true ties a hair apart

USAGE, IDLE, UNATTRIBUTED, UNPLACED = "usage", "idle", "unattributed", "unplaced"
KIND_ORDER = {USAGE: 0, IDLE: 1, UNATTRIBUTED: 2, UNPLACED: 3}


@dataclass(frozen=True)
class Settings:
    effective_from: int = 0
    window: int = 60 * 10**9
    max_gap: int = 30 * 10**9
    gpu_timeout: int = 300 * 10**9
    horizon: int = 300 * 10**9
    default_price: Optional[int] = None  # nano-USD per hour
    w_in: int = 1
    w_out: int = 4
    method: str = "weighted"


@dataclass(frozen=True)
class PriceEntry:
    """A line of the price book; its place in the list is its id."""

    effective_from: int
    price: int
    name: str
    site: Optional[str] = None


@dataclass(frozen=True)
class Sample:
    event_id: str
    ts: int
    host: str
    index: int
    instance: int = -1
    price: Optional[int] = None
    power_w: Optional[float] = None
    name: Optional[str] = None
    site: Optional[str] = None
    profile: Optional[str] = None  # of a MIG slice

    @property
    def gpu(self):
        return (self.host, self.index, self.instance)


@dataclass(frozen=True, eq=False)
class Usage:
    event_id: str
    end: int
    latency: int
    prompt: int
    completion: int
    cached: Optional[int] = None
    ttft: Optional[int] = None
    requests: Optional[int] = None
    model: str = "m"
    tenant: Optional[str] = None
    host: Optional[str] = None
    indices: tuple = ()
    instance: int = -1
    site: Optional[str] = None

    @cached_property
    def start(self):
        return self.end - max(self.latency, LATENCY_MIN_NS)

    @cached_property
    def first(self):
        return None if self.ttft is None else min(self.start + self.ttft, self.end)

    @cached_property
    def gpus(self):
        if self.host is None:
            return ()
        return tuple((self.host, i, self.instance) for i in sorted(set(self.indices)))

    @property
    def counted_requests(self):
        return 1 if self.requests is None else self.requests

    @cached_property
    def canonical(self):
        return (self.start, self.event_id.encode())

    def phase(self, side):
        """Where the tokens of this side ("in" or "out") are worked on."""
        if self.first is None:
            return (self.start, self.end)
        return (self.start, self.first) if side == "in" else (self.first, self.end)


@dataclass
class Row:
    window_start: int
    gpu: Optional[tuple]
    kind: str
    model: Optional[str] = None
    tenant: Optional[str] = None
    site: Optional[str] = None
    method: str = "weighted"
    cost: int = 0
    cost_in: int = 0
    cost_out: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_prompt_tokens: int = 0
    requests: int = 0
    unpriced_requests: int = 0
    busy_ns: int = 0
    unpriced_ns: int = 0
    energy: Optional[Fraction] = None  # joules

    @property
    def key(self):
        return (self.window_start, self.gpu, self.kind, self.model, self.tenant)

    def add_energy(self, joules):
        self.energy = joules if self.energy is None else self.energy + joules


@dataclass
class Cost:
    event_id: str
    ts: int
    method: str
    priced: bool = True
    cost: int = 0
    cost_in: int = 0
    cost_out: int = 0
    unpriced_ns: int = 0
    energy: Optional[Fraction] = None

    add_energy = Row.add_energy


@dataclass
class Segment:
    """A stretch of billed time of one GPU within which nothing changes."""

    begin: int
    end: int
    price: Optional[int]
    covered: bool
    power_w: Optional[float]
    shares: dict  # party -> Fraction of the segment; they add up to 1
    active: list
    doubt: Fraction  # how far whole-number weights may move any one share


@dataclass
class Span:
    """Contiguous segments of one window and one price; what is rounded, is rounded here."""

    gpu: tuple
    price: Optional[int]
    segments: list = field(default_factory=list)

    @property
    def bill(self):
        x, y = self.segments[0].begin, self.segments[-1].end
        if self.price is None:
            return y - x
        return self.price * y // HOUR_NS - self.price * x // HOUR_NS

    @property
    def rate(self):
        """What a nanosecond costs (nano-USD), or 1 where there is no price."""
        return Fraction(1) if self.price is None else Fraction(self.price, HOUR_NS)

    def quotas(self):
        """Everyone's real part of the bill."""
        times = add_up((p, s * (g.end - g.begin)) for g in self.segments
                       for p, s in g.shares.items())
        return {party: self.rate * times[party] for party in sorted(times, key=party_order)}

    def doubt(self):
        return self.rate * sum(g.doubt * (g.end - g.begin) for g in self.segments)


def add_up(pairs):
    sums = {}
    for key, value in pairs:
        sums[key] = sums[key] + value if key in sums else value
    return sums


def party_order(party):
    """Parties are (request, "in" | "out"), (None, IDLE) and (None, UNATTRIBUTED)."""
    request, side = party
    if request is None:
        return (1, KIND_ORDER[side])
    return (0, *request.canonical, side)  # "in" sorts before "out"


def apportion(bill, quotas):
    """Largest remainder: integer parts of `bill` for quotas (party -> Fraction, in tie order)."""
    steps = {p: math.floor((q + NUDGE) * QUOTA_STEP) for p, q in quotas.items() if q != 0}
    parts = {p: s // QUOTA_STEP for p, s in steps.items()}
    missing = bill - sum(parts.values())
    assert -len(parts) <= missing <= len(parts), "a bill that is not the sum of its quotas"
    by_fraction = sorted(parts, key=lambda p: -(steps[p] % QUOTA_STEP))  # stable: ties keep order
    for party in by_fraction[:missing] if missing >= 0 else by_fraction[missing:]:
        parts[party] += 1 if missing > 0 else -1
    return parts


def doubt(weights):
    """w / W with each weight less by up to 1: a share moves by no more than (n + 1) / (W - n)."""
    if len(weights) < 2:
        return Fraction(0)
    n, total = len(weights), sum(weights.values())
    return Fraction(n + 1) / (total - n) if total > 2 * n else Fraction(1)


def merge(intervals, join=0):
    """The union of intervals; gaps no longer than `join` count as filled."""
    merged = []
    for begin, end in sorted(intervals):
        if merged and begin - merged[-1][1] <= join:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    return [(begin, end) for begin, end in merged if begin < end]


def clip(intervals, begin, end):
    return [(max(x, begin), min(y, end)) for x, y in intervals if x < end and y > begin]


def glob_matches(pattern, text):
    regex = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(regex, text, re.IGNORECASE | re.ASCII | re.DOTALL) is not None


def book_price(book, name, site, t):
    """The price of the book's entry in force at t, or None."""
    def rank(numbered):
        i, entry = numbered
        plain = "*" not in entry.name and "?" not in entry.name
        return (entry.effective_from, entry.site is not None, plain, i)

    matching = [(i, e) for i, e in enumerate(book)
                if e and e.effective_from <= t and e.site in (None, site) and glob_matches(e.name, name)]
    return max(matching, key=rank)[1].price if matching else None


def slice_of(sample):
    """(its own name for the book, its GPU's name, its share or None) of a MIG slice's sample; None
    of a whole GPU's."""
    gpu, profile = sample.name, sample.profile
    named = re.fullmatch(r"MIG(?: (\S+))?(?: of (.*))?", gpu or "")
    if named:
        profile, gpu = named.groups()
    elif sample.instance < 0 and profile is None:
        return None
    own = "MIG" + (f" {profile}" if profile else "") + (f" of {gpu}" if gpu else "")
    part = re.match(r"(\d)g", profile or "")
    whole = next((n for family, n in SLICES.items() if family in (gpu or "").upper()), 0)
    known = part and 0 < int(part[1]) <= whole
    return own, gpu, Fraction(int(part[1]), whole) if known else None


def slice_price(book, found, site, t, fallback):
    own, gpu, share = found
    price = book_price([e if e.name.upper().startswith("MIG") else None for e in book], own, site, t)
    if price is not None or share is None:
        return price
    price = book_price(book, gpu, site, t)
    price = fallback if price is None else price
    return None if price is None else math.floor(price * share + Fraction(1, 2))


class Gpu:
    """All that is known about one GPU, in order."""

    def __init__(self, key):
        self.key = key
        self.samples = []
        self.requests = []

    def finish(self):
        by_ts = {}
        for s in sorted(self.samples, key=lambda s: s.event_id.encode()):
            by_ts.setdefault(s.ts, s)
        self.samples = [by_ts[ts] for ts in sorted(by_ts)]
        self.requests.sort(key=lambda r: r.canonical)


class View:
    """One GPU as one settings epoch sees it."""

    def __init__(self, gpu, epoch, book):
        self.gpu, self.epoch, self.book = gpu, epoch, book
        self.ts = [s.ts for s in gpu.samples]
        covered = [(a, b) for a, b in zip(self.ts, self.ts[1:]) if b - a <= epoch.max_gap]
        busy = [(r.start, r.end) for r in gpu.requests]
        points = [(t, t) for t in self.ts]
        self.billed = merge(covered + busy + points, epoch.gpu_timeout)
        edges = {t for r in gpu.requests for t in (r.start, r.first, r.end) if t is not None}
        for t in self.ts:
            edges |= {t, t + epoch.gpu_timeout, t - epoch.max_gap}
        edges |= {entry.effective_from for entry in book}
        self.edges = sorted(edges)

    def newest_sample(self, t):
        """Index of the newest sample at or before t, -1 when there is none."""
        return bisect_right(self.ts, t) - 1

    def covered(self, t):
        i = self.newest_sample(t)
        return 0 <= i < len(self.ts) - 1 and self.ts[i + 1] - self.ts[i] <= self.epoch.max_gap

    def sample_in_force(self, t):
        i = self.newest_sample(t)
        if i >= 0 and t - self.ts[i] < self.epoch.gpu_timeout:
            return self.gpu.samples[i]
        if i + 1 < len(self.ts) and self.ts[i + 1] - t <= self.epoch.max_gap:
            return self.gpu.samples[i + 1]
        return None

    def price(self, t):
        sample = self.sample_in_force(t)
        if sample is not None and sample.price is not None:
            return sample.price
        cut = slice_of(sample) if sample is not None else None
        if cut:
            return slice_price(self.book, cut, sample.site, t, self.epoch.default_price)
        if sample is None and self.gpu.key[2] >= 0:
            return None  # of which nobody says what share it is
        found = None
        if sample is not None and sample.name is not None:
            found = book_price(self.book, sample.name, sample.site, t)
        return self.epoch.default_price if found is None else found

    def site(self, begin, end):
        sited = [s for s in self.gpu.samples if s.site is not None]
        seen = [s for s in sited if begin - self.epoch.gpu_timeout < s.ts < end]
        if seen:
            return seen[-1].site
        soon = [s for s in sited if end <= s.ts <= end - 1 + self.epoch.max_gap]
        if soon:
            return soon[0].site
        stated = [r.site for r in self.active(begin, end) if r.site is not None]
        return stated[0] if stated else None

    def active(self, begin, end):
        return [r for r in self.gpu.requests if r.start < end and r.end > begin]

    def amount(self, request, side):
        """Coefficient times tokens, and ns times GPUs, of one phase."""
        begin, end = request.phase(side)
        if side == "in":
            tokens = self.epoch.w_in * (request.prompt - (request.cached or 0))
        else:
            tokens = self.epoch.w_out * request.completion
        return tokens, (end - begin) * len(request.gpus)

    def unit(self, candidates):
        """S, where the weights of a window count in 2^-S."""
        amounts = [self.amount(r, side) for r in candidates for side in ("in", "out")]
        return min((WEIGHT_BITS - tokens.bit_length() + length.bit_length()
                    for tokens, length in amounts if tokens > 0 and length > 0), default=0)

    def weight(self, request, side, t, unit, exact):
        begin, end = request.phase(side)
        if not begin <= t < end:
            return 0
        tokens, length = self.amount(request, side)
        weight = Fraction(tokens << unit, length)
        return weight if exact else math.floor(weight)

    def weights(self, t, active, unit, exact):
        if self.epoch.method != "weighted":
            return {}
        weights = {(r, side): self.weight(r, side, t, unit, exact)
                   for r in active for side in ("in", "out")}
        return {party: w for party, w in weights.items() if w > 0}

    def shares(self, t, active, covered, weights):
        """Who gets which part of the instant t."""
        if not active:
            return {(None, IDLE if covered else UNATTRIBUTED): Fraction(1)}
        total = sum(weights.values())
        if total > 0:
            return {party: Fraction(w) / total for party, w in weights.items()}
        return self.equal_shares(t, active)

    @staticmethod
    def equal_shares(t, active):
        each = Fraction(1, len(active))
        shares = {}
        for r in active:
            if r.first is None:
                shares[(r, "in")] = shares[(r, "out")] = each / 2
            else:
                shares[(r, "in" if t < r.first else "out")] = each
        return shares

    def segments(self, begin, end, candidates, exact):
        """A billed stretch of one window, cut at every edge."""
        unit = self.unit(candidates)
        inside = self.edges[bisect_right(self.edges, begin):bisect_left(self.edges, end)]
        cuts = [begin, *inside, end]
        for x, y in zip(cuts, cuts[1:]):
            active = [r for r in candidates if r.start <= x < r.end]
            covered = self.covered(x)
            power = self.gpu.samples[self.newest_sample(x)].power_w if covered else None
            weights = self.weights(x, active, unit, exact)
            yield Segment(x, y, self.price(x), covered, power,
                          self.shares(x, active, covered, weights), active, doubt(weights))

    def spans(self, begin, end, exact=False):
        candidates = self.active(begin, end)
        for x, y in clip(self.billed, begin, end):
            span = None
            for segment in self.segments(x, y, candidates, exact):
                if span is None or span.price != segment.price:
                    if span is not None:
                        yield span
                    span = Span(self.gpu.key, segment.price)
                span.segments.append(segment)
            yield span


def epoch_at(epochs, t):
    return max((e for e in epochs if e.effective_from <= t), key=lambda e: e.effective_from,
               default=epochs[0])


def window_start(epochs, t):
    return t - t % epoch_at(epochs, t).window


def gather(records):
    """GPUs by key, and the unplaced requests; of two records with one id the first counts."""
    gpus, unplaced, seen = {}, [], set()
    for r in records:
        kind = type(r)
        if (kind, r.event_id) in seen:
            continue
        seen.add((kind, r.event_id))
        if kind is Sample:
            gpus.setdefault(r.gpu, Gpu(r.gpu)).samples.append(r)
            continue
        for key in r.gpus:
            gpus.setdefault(key, Gpu(key)).requests.append(r)
        if not r.gpus:
            unplaced.append(r)
    for gpu in gpus.values():
        gpu.finish()
    return [gpus[key] for key in sorted(gpus, key=gpu_order)], unplaced


def gpu_order(key):
    return (key[0].encode(), key[1], key[2])


def windows(gpu, epochs, book):
    """(view, window begin, window end) for every window in which the GPU is billed at all."""
    epochs = sorted(epochs, key=lambda e: e.effective_from)
    bounds = [-math.inf] + [e.effective_from for e in epochs[1:]] + [math.inf]
    for epoch, begin, end in zip(epochs, bounds, bounds[1:]):
        view = View(gpu, epoch, book)
        starts = set()
        for x, y in clip(view.billed, begin, end):
            starts.update(range(x - x % epoch.window, y, epoch.window))
        for start in sorted(starts):
            yield view, start, start + epoch.window


def tokens_in(n, phase, request, begin, end):
    """How many of n tokens spread over the phase fall into [begin, end)."""
    x, y = phase
    if x == y:
        instant = x if x < request.end else request.end - 1
        return n if begin <= instant < end else 0
    a, b = max(begin, x), min(end, y)
    return n * (b - x) // (y - x) - n * (a - x) // (y - x) if a < b else 0


@dataclass(frozen=True)
class Place:
    """One window of one GPU; (start, None) is where the unplaced are counted."""

    start: int
    gpu: Optional[tuple]
    method: str
    site: Optional[str] = None


class Ledger:
    def __init__(self):
        self.rows = {}
        self.costs = {}

    def row(self, place, kind, model=None, tenant=None):
        row = Row(place.start, place.gpu, kind, model, tenant, place.site, place.method)
        return self.rows.setdefault(row.key, row)

    def party_row(self, place, party):
        request, side = party
        if request is None:
            return self.row(place, side)
        return self.row(place, USAGE, request.model, request.tenant)

    def entries(self, place, party):
        """Where a party's part is written: its row, and its request's cost."""
        yield self.party_row(place, party)
        if party[0] is not None:
            yield self.costs[party[0].event_id]

    def take_span(self, place, span):
        quotas = span.quotas()
        if span.price is None:
            self.lose_price(quotas)
        for party, part in apportion(span.bill, quotas).items():
            for entry in self.entries(place, party):
                if span.price is None:
                    entry.unpriced_ns += part
                    continue
                entry.cost += part
                if party[1] == "in":
                    entry.cost_in += part
                elif party[1] == "out":
                    entry.cost_out += part

    def lose_price(self, quotas):
        """Any part without a price leaves the whole without one, even a part that rounds to 0."""
        for (request, _), quota in quotas.items():
            if request is not None and quota > 0:
                self.costs[request.event_id].priced = False

    def take_energy(self, place, segment):
        """Who runs while the power is known has a known energy, be its share nothing."""
        if segment.power_w is None:
            return
        joules = Fraction(segment.power_w) * (segment.end - segment.begin) / 10**9
        known = [(request, "in") for request in segment.active]
        for party in dict.fromkeys([*known, *segment.shares]):
            for entry in self.entries(place, party):
                entry.add_energy(joules * segment.shares.get(party, 0))

    def take_busy(self, place, segments):
        """Billed time, shared out over the window's rows."""
        times = add_up((self.party_row(place, party).key, share * (g.end - g.begin))
                       for g in segments for party, share in g.shares.items())
        billed = sum(g.end - g.begin for g in segments)
        ordered = {key: times[key] for key in sorted(times, key=key_order)}
        for key, part in apportion(billed, ordered).items():
            self.rows[key].busy_ns = part

    def take_tokens(self, place, end, request):
        row = self.party_row(place, (request, "in"))
        j, k = request.gpus.index(place.gpu), len(request.gpus)
        for n, side, name in ((request.prompt, "in", "prompt_tokens"),
                              (request.cached or 0, "in", "cached_prompt_tokens"),
                              (request.completion, "out", "completion_tokens")):
            here = n * (j + 1) // k - n * j // k
            spread = tokens_in(here, request.phase(side), request, place.start, end)
            setattr(row, name, getattr(row, name) + spread)

    def take_window(self, view, start, end):
        place = Place(start, view.gpu.key, view.epoch.method, view.site(start, end))
        for request in view.active(start, end):
            self.take_tokens(place, end, request)
        segments = []
        for span in view.spans(start, end):
            self.take_span(place, span)
            segments += span.segments
        for segment in segments:
            self.take_energy(place, segment)
        self.take_busy(place, segments)

    def take_unplaced(self, request, place):
        self.costs[request.event_id].priced = False
        row = self.row(place, UNPLACED, request.model, request.tenant)
        row.prompt_tokens += request.prompt
        row.cached_prompt_tokens += request.cached or 0
        row.completion_tokens += request.completion
        row.requests += request.counted_requests

    def count_request(self, request, start):
        row = self.rows[(start, request.gpus[0], USAGE, request.model, request.tenant)]
        row.requests += request.counted_requests
        if not self.costs[request.event_id].priced:
            row.unpriced_requests += request.counted_requests


def text_order(text):
    return (0, b"") if text is None else (1, text.encode())


def key_order(key):
    start, gpu, kind, model, tenant = key
    place = (0,) if gpu is None else (1, *gpu_order(gpu))
    return (start, place, KIND_ORDER[kind], text_order(model), text_order(tenant))


def compute(records, epochs, book):
    """(rows in canonical order, costs by (ts, start, event_id)) of a set of records."""
    gpus, unplaced = gather(records)
    placed = list({r.event_id: r for g in gpus for r in g.requests}.values())
    ledger = Ledger()
    last_window = {}
    for r in sorted(placed + unplaced, key=lambda r: (r.end, *r.canonical)):
        last_window[r] = window_start(epochs, r.end - 1)
        method = epoch_at(epochs, last_window[r]).method
        ledger.costs[r.event_id] = Cost(r.event_id, r.end, method)
    for r in unplaced:
        method = ledger.costs[r.event_id].method
        ledger.take_unplaced(r, Place(last_window[r], None, method))
    for gpu in gpus:
        for view, start, end in windows(gpu, epochs, book):
            ledger.take_window(view, start, end)
    for r in placed:
        ledger.count_request(r, last_window[r])
    rows = sorted(ledger.rows.values(), key=lambda row: key_order(row.key))
    return rows, list(ledger.costs.values())


@dataclass
class Ideal:
    """What one side of a request would cost without any rounding, and how far from that its cost
    may be: 1 nano-USD for each span that it is made of, and what whole-number weights may move."""

    money: Fraction = Fraction(0)
    spans: int = 0
    doubt: Fraction = Fraction(0)


def ideal(records, epochs, book):
    """Request id -> side -> Ideal."""
    found = {}
    for gpu in gather(records)[0]:
        for view, start, end in windows(gpu, epochs, book):
            for span in view.spans(start, end, exact=True):
                if span.price is None:
                    continue
                for (request, side), quota in span.quotas().items():
                    if request is not None:
                        sides = found.setdefault(request.event_id, {"in": Ideal(), "out": Ideal()})
                        sides[side].money += quota
                        sides[side].spans += 1
                        sides[side].doubt += span.doubt()
    return found
