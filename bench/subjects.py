"""What is measured, one function a subject: each returns a Subject for the report."""

import json
import math
import shutil
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import live as site
import paint as painted
import serving as served
import views as looked_at
from agent import agent
from harness import (Failed, Goal, Subject, busiest_thread_s, count, interleave, mb, median, ms, rate, remove_store,
                     results, run)
from listening import Audience
from pipeline import pipeline
from soak import soak

# Half samples, half requests of ordinary length: some 85,000 records an hour.
LOAD = "synthetic:?gpus=64&every=5s&price=2.5&duration={hours}h"
# Some 333,000 requests and 69,000 samples a day, the last 30 days of it.
MONTH = "synthetic:?gpus=24&rate=3.86&every=30s&price=2.5&start=-{days}d&duration={days}d"

LOADS = {
    "steady": "40 requests/s on 8 GPUs",
    "concurrent": "400 requests/s of up to 270 s: 1,200 at once on every GPU",
    "simultaneous": "every request begins and ends on a whole second",
    "parallel": "every request on 2, 4 or 8 GPUs (4.7 in the mean)",
    "prices": "every GPU changes its price once a minute",
    "disorder": "records up to 2.5 min out of order",
    "mixed": "half on whole seconds, a tenth parallel, prices by the minute, 1 min of disorder",
    "mixed, a price a second": "the same, but every GPU changes its price every second",
}


@dataclass
class Scale:
    """How much of everything; --quick takes less."""

    engine: tuple = (100_000, 1_000_000, 10_000_000)
    engine_rounds: int = 3
    decode: tuple = (20_000, 21)
    load_hours: int = 12
    path_rounds: int = 5
    month_days: tuple = (3, 30)
    audit_rounds: int = 3
    starts: int = 21
    post_rounds: int = 3
    listeners: tuple = (1000, 50)  # that read, that do not
    live_s: tuple = (10, 60)  # to warm up, to measure
    page: tuple = (400_000, 401)  # bytes, rounds
    pipeline_s: int = 900  # event seconds: 2.76 M records
    pipeline_rounds: int = 3
    secantus_s: int = 250  # 30,000 records
    mission_messages: int = 20_000
    pace_s: int = 20
    agent_s: tuple = (10, 60)  # to warm up, to measure
    views: tuple = (90, 10_000_000, 11)  # days, requests, rounds
    paint: tuple = (3, 11)  # days, rounds
    soak_s: int = 7200  # event seconds: 22 M records
    soak_speed: float = 0  # event seconds a second; 0: a share of what the machine can do


QUICK = Scale(engine=(5_000, 10_000, 20_000), engine_rounds=1, decode=(500, 3), load_hours=1,
              path_rounds=1, month_days=(1, 2), audit_rounds=1, starts=3,
              post_rounds=1, listeners=(50, 5), live_s=(1, 3), page=(400_000, 3), pipeline_s=20,
              pipeline_rounds=1, secantus_s=30, mission_messages=1_000, pace_s=3, agent_s=(1, 3),
              views=(2, 20_000, 3), paint=(1, 1), soak_s=120, soak_speed=10)


class Bench:
    """What the subjects share: programs, a folder, stores that several of them read."""

    def __init__(self, build, workplace, scale):
        self.gtap = Path(build) / "gtap"
        self.programs = Path(build) / "bench"
        self.fake_nvml = Path(build) / "tests" / "support" / "libfake_nvml_new.so"
        self.workplace = Path(workplace)
        self.scale = scale

    def path(self, name):
        return self.workplace / name

    def store(self, name):
        return f"sqlite:{self.path(name)}"

    def metering(self, source, name):
        """The command that meters an input into a new store."""
        remove_store(self.path(name))
        return [self.gtap, "run", "--in", source, "--out", self.store(name), "--until-end"]

    def meter(self, source, name):
        return run(*self.metering(source, name))

    def load(self):
        """The NDJSON file that is read by several subjects, made when first wanted."""
        path = self.path("load.ndjson")
        if not path.exists():
            source = LOAD.format(hours=self.scale.load_hours)
            with open(path, "wb") as out:
                subprocess.run([self.gtap, "run", "--in", source, "--out", "stdout:",
                                "--until-end"], check=True, stdout=out, stderr=subprocess.DEVNULL)
        return path

    def load_store(self):
        if not self.path("load.db").exists():
            self.meter(f"file:{self.load()}", "load.db")
        return self.path("load.db")

    def month(self, days):
        """A store of so many days, and what it took; made when first wanted."""
        name, taken = f"days{days}.db", self.path(f"days{days}.json")
        if not taken.exists():
            spent = self.meter(MONTH.format(days=days), name)
            taken.write_text(json.dumps({"peak_kib": spent.peak_kib, **stored(self.path(name))}))
        return json.loads(taken.read_text())


def stored(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        samples, usages = db.execute("SELECT samples, usages FROM meta").fetchone()
    return {"samples": samples, "usages": usages, "records": samples + usages}


def growth(ns):
    """The exponent of n with which time grows, from times a record at the first and last n."""
    (n0, t0), (n1, t1) = min(ns.items()), max(ns.items())
    return 1 + math.log(t1 / t0) / math.log(n1 / n0)


def engine(bench):
    subject = Subject(
        "Engine", "`bench/engine`: records straight into the cost engine on one thread, a load a "
        "process, processor time without the making of the records. What is held is what has "
        "happened in the horizon of 5 min.")
    least, most_loads, most = bench.scale.engine
    cases = [(name, most_loads) for name in LOADS] + [("mixed", least), ("mixed", most)]
    answers = interleave(bench.scale.engine_rounds, {
        case: lambda case=case: results(bench.programs / "engine", *case)[0] for case in cases})
    ns = {case: median([a["cpu_s"] / a["records"] for a in answers[case]]) * 1e9 for case in cases}
    for name, text in LOADS.items():
        per_s = 1e9 / ns[name, most_loads]
        subject.add(f"{name}: {text}", per_s, f"{rate(per_s)} ({ns[name, most_loads]:.0f} ns)",
                    Goal("2 M/s per core", at_least=2e6))
    sizes = {n: ns["mixed", n] for n in bench.scale.engine}
    exponent = growth(sizes)
    subject.add("mixed, growth: " + ", ".join(f"{ns:.0f} ns at {count(n)}" for n, ns in sizes.items()),
                exponent, f"n^{exponent:.2f} ({sizes[most] / sizes[least]:.2f} times the time a record)",
                Goal("linear: at most n^1.1", at_most=1.1))
    held = {n: answers["mixed", n][0] for n in (most_loads, most)}
    subject.add(f"mixed, held at {count(most)} records", held[most]["peak_kib"],
                f"{count(held[most]['held'])} records, {mb(held[most]['peak_kib'])}")
    grown = held[most]["peak_kib"] / held[most_loads]["peak_kib"]
    subject.add(f"the same over {count(most_loads)} records", grown, f"{grown:.2f}",
                Goal("bounded: at most 1.1", at_most=1.1))
    return subject


def decode(bench):
    subject = Subject(
        "Decoding", "`bench/decode`: the same NDJSON lines of both kinds, in alternating rounds. "
        "gtap makes checked records with exact numbers, copied strings and a digest; the others "
        "read every field and keep nothing.")
    ns = {}
    for line in results(bench.programs / "decode", *bench.scale.decode):
        ns.setdefault(line["reader"], []).append(line["cpu_s"] / line["records"] * 1e9)
        size = line["bytes"] / line["records"]
    ns = {reader: median(times) for reader, times in ns.items()}
    for reader, time_ns in ns.items():
        subject.add(reader, time_ns, f"{time_ns:.0f} ns a record of {size:.0f} bytes, "
                    f"{size / time_ns * 1e3:.0f} MB/s")
    subject.add("jansson's time over gtap's", ns["jansson"] / ns["gtap"],
                f"{ns['jansson'] / ns['gtap']:.1f}", Goal("10", at_least=10))
    subject.add("gtap's time over simdjson's", ns["gtap"] / ns["simdjson"],
                f"{ns['gtap'] / ns['simdjson']:.1f}")
    return subject


def path(bench):
    subject = Subject(
        "File to SQLite", "`gtap run --in file:... --out sqlite:... --until-end` into a new store, "
        "to the end of the process; beside it `bench/store_write`, which inserts the rows of that "
        "store into the same schema and does nothing else. In turns; every commit is on the disk.")
    plain, packed = bench.load(), bench.path("load.ndjson.zst")
    run("zstd", "-q", "-f", plain, "-o", packed)
    records = stored(bench.load_store())["records"]
    spent = interleave(bench.scale.path_rounds, {
        "plain": lambda: bench.meter(f"file:{plain}", "load.db"),
        ".zst": lambda: bench.meter(f"file:{packed}", "packed.db"),
        "bare": lambda: Timed(**results(bench.programs / "store_write", bench.load_store(),
                                        bench.path("bare.db"), 16384)[0]),
    })
    wall = {key: median([s.wall_s for s in list_]) for key, list_ in spent.items()}
    cpu = {key: median([s.cpu_s for s in list_]) for key, list_ in spent.items()}
    for key in ("plain", ".zst"):
        subject.add(f"{key}, {count(records)} records", records / wall[key], rate(records / wall[key]),
                    Goal("300 k/s on 2 cores", at_least=3e5))
    subject.add("plain, by processor time", records / cpu["plain"],
                rate(records / cpu["plain"], "records a processor second"))
    busiest = busiest_thread_s(*bench.metering(f"file:{plain}", "load.db"))
    subject.add("plain, by its busiest thread", records / busiest,
                f"{rate(records / busiest)} with a core for each thread and no waiting for the disk")
    subject.add("bare inserting, the same records", records / wall["bare"],
                f"{rate(records / wall['bare'])} ({count(spent['bare'][0].rows)} rows)")
    for what, times in (("wall", wall), ("processor", cpu)):
        share = times["bare"] / times["plain"]
        subject.add(f"plain over bare, by {what} time", share, f"{share:.2f}",
                    Goal("0.5", at_least=0.5))
    peak = max(s.peak_kib for s in spent["plain"] + spent[".zst"])
    subject.add("memory at the peak", peak, mb(peak), Goal("under 200 MB", at_most=200e6 / 1024))
    return subject


@dataclass
class Timed:
    rows: int
    cpu_s: float
    wall_s: float


def memory(bench):
    subject = Subject(
        "Memory", "`gtap run` on `synthetic:` loads of days, into SQLite: the most memory that the "
        "process held (VmHWM). It holds the requests and samples of the horizon, a few batches, "
        "and SQLite's cache of 64 MiB.")
    short, long = (bench.month(days) for days in bench.scale.month_days)
    for month in (short, long):
        subject.add(f"{count(month['records'])} records ({count(month['usages'])} requests)",
                    month["peak_kib"], mb(month["peak_kib"]),
                    Goal("under 200 MB", at_most=200e6 / 1024))
    grown = long["peak_kib"] / short["peak_kib"]
    subject.add("the second over the first", grown, f"{grown:.2f}",
                Goal("bounded: at most 1.1", at_most=1.1))
    return subject


def report(bench):
    days = bench.scale.month_days[-1]
    month = bench.month(days)
    subject = Subject(
        "Reports", f"`gtap report` on a store of {count(month['usages'])} requests over {days} "
        "days, from the start of the process to its end; beside it the start alone "
        "(`gtap version`). In turns; the file is in the page cache.")
    store = bench.store(f"days{days}.db")
    cases = {"model,tenant": ["--by", "model,tenant"], "day": ["--by", "day"],
             "hour": ["--by", "hour"], "since 24h": ["--since", "24h"]}
    commands = {name: [bench.gtap, "report", "--store", store, *case]
                for name, case in cases.items()}
    commands["start"] = [bench.gtap, "version"]
    spent = interleave(bench.scale.starts, {
        name: lambda command=command: run(*command) for name, command in commands.items()})
    wall = {name: median([s.wall_s for s in list_]) for name, list_ in spent.items()}
    for name, case in cases.items():
        cpu = median([s.cpu_s for s in spent[name]])
        subject.add(f"`report {' '.join(case)}`", wall[name],
                    f"{ms(wall[name])} ({wall[name] / wall['start']:.1f} starts; {ms(cpu)} of "
                    "processor time)", Goal("100 ms", at_most=0.1))
    subject.add("start alone", wall["start"], ms(wall["start"]))
    return subject


def audit(bench):
    subject = Subject(
        "Verify and recompute", "`gtap verify` and `gtap recompute` of everything in the store "
        "that *File to SQLite* made. recompute finds all rows as they should be. Memory of less "
        "than the driver's own 25 MB cannot be told.")
    records = stored(bench.load_store())["records"]
    store = f"sqlite:{bench.load_store()}"
    spent = interleave(bench.scale.audit_rounds, {
        name: lambda name=name: run(bench.gtap, name, "--store", store)
        for name in ("verify", "recompute")})
    for name, list_ in spent.items():
        wall, cpu = median([s.wall_s for s in list_]), median([s.cpu_s for s in list_])
        peak = max(s.peak_kib for s in list_)
        subject.add(f"{name}, {count(records)} records", records / wall,
                    f"{rate(records / wall)}, {rate(records / cpu, 'a processor second')}, "
                    f"{mb(peak)}")
    return subject


def first_record(bench, name):
    """From the start of a process until another one sees its first record."""
    line = bench.first_line
    path = bench.path(name)
    began = time.monotonic()
    process = subprocess.Popen([bench.gtap, "run", "--in", "file:-", "--out", f"sqlite:{path}"],
                               stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        process.stdin.write(line)
        process.stdin.flush()
        while not has_record(path):
            if time.monotonic() - began > 10:
                raise Failed("the first record is not in the store after 10 s")
            time.sleep(0.0005)
        return time.monotonic() - began
    finally:
        process.stdin.close()
        process.wait()


def has_record(path):
    """Looks only where a WAL has been written, so as not to stand in the way of a new store."""
    wal = Path(f"{path}-wal")
    if not wal.exists() or wal.stat().st_size == 0:
        return False
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        with db:
            found = db.execute("SELECT count(*) FROM sample").fetchone()[0] > 0
        db.close()
        return found
    except sqlite3.OperationalError:
        return False


def start(bench):
    subject = Subject(
        "Start", "A record is written to `gtap run --in file:-` as it starts, and looked for in "
        "the new store every 0.5 ms by another process. The binary is measured without its symbols.")
    with open(bench.load(), "rb") as load:
        bench.first_line = load.readline()
    times = []
    for _ in range(bench.scale.starts):
        remove_store(bench.path("first.db"))
        times.append(first_record(bench, "first.db"))
    subject.add("start to the first record stored", median(times), ms(median(times)),
                Goal("50 ms", at_most=0.05))
    alone = [run(bench.gtap, "version") for _ in range(bench.scale.starts)]
    subject.add("start and end alone (`gtap version`)", median([s.wall_s for s in alone]),
                ms(median([s.wall_s for s in alone])))
    stripped = bench.path("gtap")
    shutil.copy(bench.gtap, stripped)
    run("strip", stripped)
    subject.add("the binary", stripped.stat().st_size, f"{stripped.stat().st_size / 1e3:.0f} kB")
    libraries = [line for line in run("ldd", bench.gtap).out.splitlines() if "=>" in line]
    subject.add("libraries it loads", len(libraries), str(len(libraries)))
    return subject


def posting(bench, subject):
    """The rows about records that are sent in, beside the same records from a file."""
    load, records = bench.load(), stored(bench.load_store())["records"]

    def by_http():
        remove_store(bench.path("posts.db"))
        spent = served.posts(bench.gtap, load, bench.path("posts.db"))
        if (found := stored(bench.path("posts.db"))["records"]) != records:
            raise Failed(f"{found} records are in the store of the {records} that were posted")
        return spent

    spent = interleave(bench.scale.post_rounds, {
        "http": by_http, "file": lambda: bench.meter(f"file:{load}", "load.db")})
    for key, what, goal in (
            ("http", f"POST, {count(records)} records", Goal("200 k/s on 2 cores", at_least=2e5)),
            ("file", "the same from a file", None)):
        wall, cpu = (median([getattr(s, clock) for s in spent[key]]) for clock in ("wall_s", "cpu_s"))
        subject.add(what, records / wall, rate(records / wall), goal)
        subject.add(f"{what}, by processor time", records / cpu,
                    rate(records / cpu, "records a processor second"))
    peak = max(s.peak_kib for s in spent["http"])
    subject.add("POST, memory at the peak", peak, mb(peak))


def scraped(bench, subject):
    """The rows about a small site whose servers are scraped."""
    warm_up_s, seconds = bench.scale.live_s
    remove_store(bench.path("site.db"))
    share, resident = site.live(bench.gtap, bench.fake_nvml, bench.path("site.db"), warm_up_s,
                                seconds)
    found = stored(bench.path("site.db"))
    if found["usages"] < served.SERVERS * (seconds - 2):
        raise Failed(f"live: {found['usages']} intervals came of {served.SERVERS} servers")
    subject.add(f"live for {seconds} s, of one core", share, f"{share * 100:.3f} %",
                Goal("under 0.1 %", at_most=0.001))
    subject.add("live, memory resident at the end", resident, f"{resident * 1024 / 1e6:.1f} MB",
                Goal("under 20 MB", at_most=20e6 / 1024))
    subject.add(f"live, stored in all {warm_up_s + seconds} s", found["records"],
                f"{count(found['samples'])} samples, {count(found['usages'])} intervals")


def serving(bench):
    warm_up_s, seconds = bench.scale.live_s
    subject = Subject(
        "Serving", f"`gtap run --in http: --out sqlite:...`: {served.CLIENTS} clients on the same "
        f"cores POST batches of {count(served.BATCH)} records, each waiting for the answer, which "
        "says that the batch is on the disk; in turns with `--in file:`. Wall time of POST ends "
        f"with the last answer. Live: `--in nvml: --in vllm+http: --in vllm+http:`, once a second "
        f"{served.GPUS} GPUs sampled and {served.SERVERS} servers' pages of "
        f"{len(site.page(1000)) / 1e3:.0f} kB read, whose counters move; a library of the tests "
        "stands in for NVIDIA's, so that what that takes itself is not in it. /metrics is read "
        f"every {served.SCRAPE_S} s; processor time by the scheduler's count, over {seconds} s "
        f"after {warm_up_s} s of warming up. All go into one commit a second, which writes the "
        "pages that it touched and syncs them: nearly half of the time, and most of that is the kernel's. "
        "Live, by POST: `--in seed: --in http:`, the same GPUs, and the servers send 3 requests each "
        "once a second; each POST is answered when it is on the disk, which makes two commits a "
        "second.")
    posting(bench, subject)
    scraped(bench, subject)
    remove_store(bench.path("live.db"))
    share, resident = served.live(bench.gtap, bench.workplace, bench.path("live.db"), warm_up_s,
                                  seconds)
    found = stored(bench.path("live.db"))
    subject.add(f"live, by POST, for {seconds} s, of one core", share, f"{share * 100:.3f} %")
    subject.add("live, by POST, memory resident at the end", resident,
                f"{resident * 1024 / 1e6:.1f} MB")
    subject.add(f"live, by POST, stored in all {warm_up_s + seconds} s", found["records"],
                f"{count(found['samples'])} samples, {count(found['usages'])} requests")
    return subject


def sse(bench):
    readers, slow = bench.scale.listeners
    load, records = bench.load(), stored(bench.load_store())["records"]
    subject = Subject(
        "Listeners", f"`gtap run --in http:`, records sent in as under Serving, with and without "
        f"{count(readers)} clients of /api/v1/events that read all and {slow} that never read, in "
        "turns. The clients are a Python program on the same cores, whose work is in the wall time "
        "but not in the processor time.")
    heard = []

    def posts(listen):
        remove_store(bench.path("sse.db"))
        with served.Run(bench.gtap, bench.path("sse.db"), "http:") as run_:
            audience = Audience(run_.port, readers, slow) if listen else None
            before = run_.cpu_s()
            wall_s = served.post_all(run_, load)
            cpu_s = run_.cpu_s() - before
            if listen:
                heard.append(audience.leave())
            run_.stop()
        if (found := stored(bench.path("sse.db"))["records"]) != records:
            raise Failed(f"{found} records are in the store of the {records} that were posted")
        return wall_s, cpu_s

    spent = interleave(bench.scale.post_rounds,
                       {"alone": lambda: posts(False), "heard": lambda: posts(True)})
    (alone, alone_cpu), (beside, beside_cpu) = (
        (median([s[0] for s in spent[key]]), median([s[1] for s in spent[key]]))
        for key in ("alone", "heard"))
    subject.add("ingestion without listeners", records / alone, rate(records / alone))
    subject.add("with them", records / beside, rate(records / beside))
    subject.add("with over without, by wall time", alone / beside, f"{alone / beside:.2f}")
    subject.add("with over without, by gtap's processor time", alone_cpu / beside_cpu,
                f"{alone_cpu / beside_cpu:.2f}")
    each = median([h["events"] / readers / h["seconds"] for h in heard])
    subject.add("events \"now\" that each reader got", each, f"{each:.2f} a second")
    lost = sum(h["lost"] for h in heard)
    subject.add("readers that were cut off", lost, count(lost), Goal("none", at_most=0))
    return subject


def pages(bench):
    answers = results(bench.programs / "exposition", *bench.scale.page)
    size = answers[0]["bytes"]
    subject = Subject(
        "Pages of metrics", f"`bench/exposition`: the same page of {count(size)} bytes in vLLM's "
        "names, mostly histograms, in alternating rounds; processor time. It fits the processor's "
        "caches, as a page just received does; a sum of its words is the raw speed of that memory.")
    times, found = {}, {}
    for line in answers:
        times.setdefault(line["reader"], []).append(line["cpu_s"])
        found[line["reader"]] = line["found"]
    times = {reader: median(list_) for reader, list_ in times.items()}
    for reader, time_s in times.items():
        subject.add(f"{reader}: {count(found[reader])} found", size / time_s,
                    f"{size / time_s / 1e6:,.0f} MB/s")
    for other in ("memchr", "words"):
        share = times["gtap, wanted counters"] / times[other]
        subject.add(f"gtap's time for wanted counters over that of {other}", share, f"{share:.2f}")
    for reader in ("gtap, wanted counters", "gtap, every line"):
        subject.add(f"{reader}: the page", times[reader], ms(times[reader]),
                    Goal("under 1 ms", at_most=1e-3))
    return subject


def views(bench):
    days, requests, rounds = bench.scale.views
    store = bench.path("views.db")
    remove_store(store)
    ins = [word for uri in looked_at.sources(days, requests) for word in ("--in", uri)]
    run(bench.gtap, "run", *ins, "--out", f"sqlite:{store}", "--until-end")
    usages = stored(store)["usages"]
    subject = Subject(
        "Views", f"Each query of the dashboard, asked of `gtap serve` over a store of "
        f"{count(usages)} requests of {days} days: wall time from the question to the last byte of "
        f"the answer, median of {rounds}; the file is in the page cache as far as it fits.")
    for name, (seconds, found) in looked_at.measure(bench.gtap, store, days, rounds).items():
        subject.add(name, seconds, f"{ms(seconds)} ({count(found)})", Goal("50 ms", at_most=0.05))
    remove_store(store)
    return subject


def paint(bench):
    days, rounds = bench.scale.paint
    bench.month(days)
    subject = Subject(
        "Paint", f"The dashboard in Chromium, headless, on loopback, over a store of {days} days: from the beginning of "
        f"the navigation to the first contentful paint, as the browser tells it, median of {rounds}, all in turns; then "
        "all bytes of the page itself, packed. A page of one word and nothing else, of a server in Python, is what "
        "the browser itself takes.")
    measured = painted.measure(bench.gtap, bench.path(f"days{days}.db"), rounds)
    for times, cached in zip(measured.pop(painted.WORD), ("nothing cached", "again")):
        subject.add(f"{painted.WORD}: first paint, {cached}", times, ms(times))
    for place, (cold, warm, size) in measured.items():
        subject.add(f"{place}: first paint, nothing cached", cold, ms(cold), Goal("100 ms", at_most=0.1))
        subject.add(f"{place}: first paint again", warm, ms(warm), Goal("100 ms", at_most=0.1))
        subject.add(f"{place}: bytes", size, count(size), Goal("200 kB", at_most=200_000))
    return subject


SUBJECTS = {f.__name__: f for f in (
    engine, decode, path, memory, report, audit, start, serving, sse, views, paint, pages, pipeline, agent)}
LONG = {"soak": soak}  # only when named
