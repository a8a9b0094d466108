"""Random cases, most of them nasty: times that meet at edges and miss by 1 ns, phases of length
zero, gaps of exactly max_gap and gpu_timeout, prices and tokens at their limits."""

import math
import random
from dataclasses import dataclass, replace

from reference import HOUR_NS, PriceEntry, Sample, Settings, Usage

S = 10**9
MS = 10**6
DAY = 24 * HOUR_NS
BASE = 1_699_999_200 * S  # an hour's beginning
TOKENS_MAX = 10**9
PRICE_MAX = 10**15

WINDOWS = [S, 2 * S, 5 * S, 10 * S, 15 * S, 30 * S, 60 * S, 300 * S, HOUR_NS, HOUR_NS // 1024]
PRICES = [0, 1, 999_999_999, 2_000_000_000, 3_600_000_000, HOUR_NS, PRICE_MAX]
TOKENS = [0, 0, 1, 1, 2, 3, 7, 100, 1000, 4096, 123_457]
NAMES = ["NVIDIA H100 80GB HBM3", "nvidia h100 80gb hbm3", "NVIDIA H100 NVL", "NVIDIA A100"]
SLICES = ["MIG 3g.40gb of NVIDIA H100 80GB HBM3", "MIG of NVIDIA A100", "MIG 1g.6gb"]
PATTERNS = NAMES + SLICES[:1] + ["MIG 1g*", "mig ?g.* of nvidia a*", "NVIDIA H100*", "*", "?VIDIA A*", "nvidia*nvl", "NVIDIA H100 ???", "AMD*"]
SITES = [None, None, "ams", "fra"]


@dataclass(frozen=True)
class Style:
    name: str
    requests: int = 8
    samples: int = 14
    windows: int = 5
    gpus: int = 2
    hosts: int = 1
    epochs: int = 1
    extreme: bool = False
    twins: bool = False
    tensor: bool = False
    days: bool = False


STYLES = [
    Style("mixed"),
    Style("mixed"),
    Style("mixed", requests=4, samples=6, gpus=1),
    Style("crowd", requests=24, samples=6, windows=2, gpus=1),
    Style("twins", twins=True),
    Style("requests only", samples=0),
    Style("samples only", requests=0, samples=24),
    Style("extreme", extreme=True),
    Style("tensor", gpus=8, tensor=True, samples=20),
    Style("fleet", gpus=3, hosts=3, samples=24),
    Style("epochs", epochs=3, windows=8),
    Style("epochs", epochs=3, windows=8, extreme=True),
    Style("days", days=True, requests=4, windows=3),
]


@dataclass(frozen=True)
class Case:
    name: str
    seed: str
    epochs: tuple
    book: tuple
    records: tuple  # in order of event time

    def rng(self, *what):
        """Randomness that does not change when a record is dropped."""
        return random.Random(repr((self.seed, *what)))

    def drop(self, field, i):
        items = getattr(self, field)
        return replace(self, **{field: items[:i] + items[i + 1:]})

    @property
    def usages(self):
        return [r for r in self.records if isinstance(r, Usage)]

    @property
    def samples(self):
        return [r for r in self.records if isinstance(r, Sample)]


def event_time(record):
    return record.ts if isinstance(record, Sample) else record.end


def in_time_order(records):
    return tuple(sorted(records, key=lambda r: (event_time(r), r.event_id)))


class Maker:
    def __init__(self, rng, style):
        self.rng, self.style = rng, style
        self.base = rng.choice([BASE, BASE, BASE, 0, HOUR_NS])
        self.window = rng.choice([300 * S, HOUR_NS]) if style.days else rng.choice(WINDOWS)
        self.epochs = self.make_epochs()
        self.length = rng.randint(1, style.windows) * self.window
        self.seen = [self.base, self.base + self.length]
        self.gpus = self.make_gpus()

    def chance(self, p):
        return self.rng.random() < p

    def make_settings(self, window, effective_from=0):
        rng = self.rng
        max_gap = rng.choice([window // 4, window // 2, window, 3 * window, 30 * S])
        timeout = max_gap + rng.choice([0, 1, window // 3, window, 4 * window])
        w_in, w_out = rng.choice([(1, 4), (1, 4), (1, 1), (3, 2), (1, 65535), (65521, 1)])
        return Settings(
            effective_from, window, max_gap, timeout, timeout + rng.choice([0, 0, window, DAY]),
            rng.choice([None, None, self.price()]), w_in, w_out,
            "equal" if self.chance(0.2) else "weighted")

    def make_epochs(self):
        epochs = [self.make_settings(self.window)]
        at = self.base
        for _ in range(self.rng.randint(1, self.style.epochs) - 1):
            before = epochs[-1].window
            window = self.rng.choice([w for w in WINDOWS if w <= 4 * self.window
                                      and w >= self.window // 8])
            both = math.lcm(before, window)
            at = (at // both + self.rng.randint(1, 2)) * both
            epochs.append(self.make_settings(window, at))
        return tuple(e for e in epochs if e.effective_from < self.base + 20 * self.window)

    def make_gpus(self):
        hosts = [f"gpu-{i}" for i in range(self.rng.randint(1, self.style.hosts))]
        gpus = []
        for _ in range(self.rng.randint(1, self.style.gpus)):
            host, index = self.rng.choice(hosts), self.rng.choice([0, 1, 2, 7, 65535])
            gpus.append((host, index, self.rng.choice([-1, -1, -1, 0, 3])))
        if self.style.tensor:
            gpus = [(hosts[0], i, -1) for i in range(self.style.gpus)]
        return gpus

    def price(self):
        if self.style.extreme and self.chance(0.5):
            return PRICE_MAX - self.rng.randint(0, 3)
        return self.rng.choice([*PRICES, self.rng.randint(1, 10**10), self.rng.randint(1, 10**10)])

    def instant(self):
        """Some instant, preferably one that means something already, or nearly so."""
        rng, epoch = self.rng, self.rng.choice(self.epochs)
        kind = rng.random()
        if kind < 0.3:
            at = self.base + rng.randint(0, self.length)
        elif kind < 0.6:
            at = self.base + rng.randint(0, 4 * self.length // self.window) * self.window // 4
        else:
            at = rng.choice(self.seen) + rng.choice([0, 1, -1]) * rng.choice(
                [epoch.max_gap, epoch.gpu_timeout, epoch.window, MS])
        at += rng.choice([0, 0, 0, 1, -1])
        return min(max(at, self.base), self.base + 2 * self.length)

    def tokens(self):
        if self.style.extreme and self.chance(0.4):
            return self.rng.choice([TOKENS_MAX, TOKENS_MAX - 1, 1])
        return self.rng.choice([*TOKENS, self.rng.randint(0, 10**5)])

    def latency(self, end):
        if self.style.days and self.chance(0.7):
            return self.rng.choice([DAY, DAY + 1, 3 * HOUR_NS, 30 * HOUR_NS + 7])
        if self.chance(0.25):
            return self.rng.choice([0, 1, MS - 1, MS, MS + 1, self.window, self.window - 1])
        return max(end - self.instant(), self.rng.choice([0, MS, self.window]))

    def ttft(self, latency):
        choices = [None, None, 0, latency, latency // 2, max(latency - 1, 0), min(1, latency),
                   self.rng.randint(0, latency), self.rng.randint(0, latency)]
        return self.rng.choice(choices)

    def place(self):
        kind = self.rng.random()
        if kind < 0.04:
            return {}
        host, index, instance = self.rng.choice(self.gpus)
        if kind < 0.07:
            return {"host": host}
        whole = sorted({i for h, i, inst in self.gpus if h == host and inst < 0})
        if len(whole) > 1 and (self.style.tensor or self.chance(0.2)):
            k = self.rng.randint(2, len(whole))
            return {"host": host, "indices": tuple(self.rng.sample(whole, k))}
        return {"host": host, "indices": (index,), "instance": instance}

    def usage(self, event_id):
        rng = self.rng
        end = max(self.instant(), MS)
        latency = min(self.latency(end), end)  # nothing starts before 1970
        prompt = self.tokens()
        made = Usage(
            event_id, end, latency, prompt, self.tokens(),
            cached=rng.choice([None, None, 0, prompt, prompt // 3]), ttft=self.ttft(latency),
            requests=rng.choice([None, None, None, 0, 1, 5000]),
            model=rng.choice(["llama-3-70b", "qwen3-30b", "q"]),
            tenant=rng.choice([None, "search", "chat"]), site=rng.choice(SITES), **self.place())
        self.seen += [t for t in (made.start, made.first, made.end) if t is not None and t >= 0]
        return made

    def name(self, gpu):
        return self.rng.choice([None, *NAMES, *(SLICES if gpu[2] >= 0 else [])])

    def profile(self, gpu):
        return self.rng.choice([None, "1g.10gb", "3g.40gb", "7g.80gb"]) if gpu[2] >= 0 else None

    def samples(self, n):
        """Per GPU a regular stream with holes, some strays, and some that share an instant."""
        made, rng = [], self.rng
        for gpu in self.gpus:
            epoch = rng.choice(self.epochs)
            step = rng.choice([epoch.max_gap, epoch.max_gap, epoch.max_gap + 1, epoch.gpu_timeout,
                               epoch.gpu_timeout + 1, max(epoch.max_gap // 3, 1), self.window])
            traits = {"name": self.name(gpu), "profile": self.profile(gpu), "site": rng.choice(SITES),
                      "price": rng.choice([None, self.price()]),
                      "power_w": rng.choice([None, 71.25, 699.9])}
            at = self.instant()
            for _ in range(rng.randint(0, max(1, n // len(self.gpus)))):
                made.append(self.sample(len(made), self.instant() if self.chance(0.2) else at,
                                        gpu, traits))
                if self.chance(0.1):
                    made.append(self.sample(len(made), made[-1].ts, gpu, traits))
                at += step * rng.choice([1, 1, 1, 2])
        return made

    def sample(self, number, ts, gpu, traits):
        rng, known = self.rng, dict(traits)
        if self.chance(0.25):
            known["price"] = rng.choice([None, self.price()])
        if self.chance(0.15):
            known["power_w"] = rng.choice([None, 0.0, 350.1])
        if self.chance(0.1):
            known["name"], known["site"] = self.name(gpu), rng.choice(SITES)
        self.seen.append(ts)
        return Sample(f"s{rng.randint(0, 999):03}-{number}", ts, *gpu, **known)

    def book(self):
        entries = []
        for _ in range(self.rng.choice([0, 0, 1, 3, 6])):
            since = [0, 0, self.instant()] + [e.effective_from for e in entries]
            entries.append(PriceEntry(self.rng.choice(since), self.price(),
                                      self.rng.choice(PATTERNS), self.rng.choice(SITES)))
        return tuple(entries)


def make_twin(rng, usage, number):
    return replace(usage, event_id=f"r{rng.randint(0, 999):03}-{number}")


def generate(seed, style=None):
    """The case of this seed: the same on every machine."""
    rng = random.Random(seed)
    style = style or rng.choice(STYLES)
    maker = Maker(rng, style)
    records = maker.samples(style.samples) if style.samples else []
    for i in range(rng.randint(0, style.requests)):
        records.append(maker.usage(f"r{rng.randint(0, 999):03}-{i}"))
        if style.twins and rng.random() < 0.6:
            records.append(make_twin(rng, records[-1], f"{i}t"))
    return Case(style.name, seed, maker.epochs, maker.book(), in_time_order(records))
