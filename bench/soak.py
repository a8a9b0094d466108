"""Two hours of a thousand GPUs, replayed at speed: whether anything grows."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from following import TICK_S, Followed, process_cpu_s
from harness import Failed, Goal, Subject, count, mb, median, ms, rate, run
from pipeline import LOAD, FakeServer, Rig, gtap_command

SAMPLE_S = 1
DRAIN_S = 120
PER_EVENT_S = 3000  # records: samples and requests
USAGES_PER_EVENT_S = 2000
# Of what the machine can do. At all of it, lag grows as soon as anything disturbs, whoever does.
SHARE = 0.7
FULL_SPEED_S = 900  # event seconds to find that out from
GTAP, SERVER, BROKER = "gtap", "the fake mongod", "the broker"
MAKING, PRODUCING = "making records up", "producing them"


@dataclass
class Held:
    """What a process has and has spent so far."""

    cpu_s: float
    resident_kib: int


@dataclass
class Moment:
    at_s: float
    produced: int
    stored: int
    busy_s: float  # of all cores, by anything
    held: dict  # of each process, by its name

    @property
    def lag(self):
        return max(self.produced - self.stored, 0)


def _resident_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    _, found, rest = status.partition("VmRSS:")
    return int(rest.split()[0]) if found else 0  # it has ended


def _busy_s():
    """Processor time that was not idle, of all cores since the machine began."""
    ticks = [int(n) for n in Path("/proc/stat").read_text(encoding="ascii").split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) * TICK_S


class Watched:
    """A replay, looked at from outside."""

    def __init__(self, rig, topics, server, running):
        self.rig, self.topics, self.server, self.running = rig, topics, server, running
        self.began, self.feeding = time.monotonic(), {}

    def feed(self, seconds, speed):
        """Makes the records up and produces them, both at that many event seconds a second, or as
        fast as they can be (0)."""
        pace = f"&speed={speed:g}" if speed else ""
        made = self.rig.generate(LOAD.format(seconds=seconds) + pace)
        filling = subprocess.Popen(
            [self.rig.program("kafka_fill"), self.rig.brokers, *self.topics.names],
            stdin=made.stdout, stdout=subprocess.DEVNULL)
        made.stdout.close()
        self.feeding = {MAKING: made, PRODUCING: filling}

    def end_feeding(self):
        for process in self.feeding.values():
            process.kill()
            process.wait()

    def _produced(self):
        return sum(sum(self.rig.cluster.offsets(name)) for name in self.topics.names)

    def _held(self):
        (broker,) = self.rig.cluster.nodes.values()
        pids = {GTAP: self.running.process.pid, SERVER: self.server.pid, BROKER: broker.pid()}
        pids |= {name: p.pid for name, p in self.feeding.items() if p.poll() is None}
        return {name: Held(process_cpu_s(pid), _resident_kib(pid)) for name, pid in pids.items()}

    def moment(self):
        stored = self.server.stored()
        return Moment(time.monotonic() - self.began, self._produced(), stored, _busy_s(),
                      self._held())

    def watch(self):
        """Moments while records are produced, and the last, when all are stored."""
        moments, fed_at = [], None
        while True:
            if self.running.ended():
                self.running.check()
                raise Failed("gtap ended while records came")
            now = self.moment()
            if fed_at is None:
                moments.append(now)
                ended = all(p.poll() is not None for p in self.feeding.values())
                fed_at = now.at_s if ended else None
            elif now.stored >= now.produced:
                return moments, now
            elif now.at_s - fed_at > DRAIN_S:
                raise Failed(f"{count(now.lag)} records are not stored {DRAIN_S} s after the last "
                             "came")
            time.sleep(SAMPLE_S)


def replay(rig, server, seconds, speed):
    group, uri = rig.turn(), server.begin()
    topics = rig.topics(f"{group}.")
    with Followed(gtap_command(rig, topics, group, uri), rig.path(f"{group}.log")) as running:
        watched = Watched(rig, topics, server, running)
        watched.feed(seconds, speed)
        try:
            moments, last = watched.watch()
        finally:
            watched.end_feeding()
        if any(process.returncode for process in watched.feeding.values()):
            raise Failed("making the records up failed")
        running.stop()
        running.check()
        return moments, last, running


def full_speed(rig, server, seconds):
    """Records a second that are made up, produced, moved and stored when nothing paces them."""
    moments, last, _ = replay(rig, server, seconds, 0)
    first = next((m for m in moments if m.stored > 0), None)
    if first is None or first is moments[-1]:
        raise Failed("too few records to tell how fast they can be moved")
    return (last.stored - first.stored) / (last.at_s - first.at_s)


# ---- quarter by quarter --------------------------------------------------------------------


def quarters(moments):
    """The moments of each quarter of the time, with the first of the next."""
    size = len(moments) // 4
    if size < 2:
        raise Failed("too short to tell its quarters")
    return [moments[i * size:(i + 1) * size + 1] for i in range(4)]


def means(parts, value):
    return [sum(value(m) for m in part) / len(part) for part in parts]


def spent(parts, value):
    """What was added in each quarter, a record stored in it."""
    return [(value(part[-1]) - value(part[0])) / (part[-1].stored - part[0].stored)
            for part in parts]


def listed(values, text):
    return ", ".join(text(v) for v in values)


def us(seconds):
    return f"{seconds * 1e6:.2f}"


def add_processes(subject, parts):
    """Of every process that takes part: where a quarter costs more, whose it is."""
    for name in (GTAP, SERVER, BROKER, MAKING, PRODUCING):
        parts_of = [[m for m in part if name in m.held] for part in parts]
        cpu = spent(parts_of, lambda m, name=name: m.held[name].cpu_s)
        resident = means(parts_of, lambda m, name=name: m.held[name].resident_kib)
        subject.add(f"{name}, by quarters", cpu[3] / cpu[1],
                    f"{listed(cpu, us)} us of processor time a record; {listed(resident, mb)}")
    cores = [(part[-1].busy_s - part[0].busy_s) / (part[-1].at_s - part[0].at_s) for part in parts]
    subject.add("the machine, by quarters", cores[3], f"{listed(cores, '{:.2f}'.format)} of "
                f"{os.cpu_count()} cores busy")


def add_replay(subject, moments, last, running):
    parts, per_s = quarters(moments), moments[-1].produced / moments[-1].at_s
    subject.add("records", last.stored, f"{count(last.stored)}, coming at {rate(per_s)}")
    resident = means(parts, lambda m: m.held[GTAP].resident_kib)
    grown = resident[3] / resident[1]
    subject.add("memory resident, by quarters", grown, f"{listed(resident, mb)}; "
                f"{mb(running.memory_kib())} at the peak; the last over the second {grown:.2f}",
                Goal("flat: at most 1.05", at_most=1.05))
    lag = means(parts, lambda m: m.lag)
    behind = [n / per_s for n in lag]
    most = [max(m.lag for m in part) / per_s for part in parts]
    subject.add("records not yet stored, by quarters", behind[3] - behind[1],
                ", ".join(f"{count(round(n))} ({ms(s)})" for n, s in zip(lag, behind))
                + f"; the most {listed(most, ms)}",
                Goal("no growth: the last less than 1 s more than the second", at_most=1))
    cpu_s = running.cpu_s()
    subject.add("processor time", cpu_s / last.stored, f"{cpu_s / last.stored * 1e6:.2f} us a "
                f"record, {cpu_s / moments[-1].at_s:.2f} cores")
    add_processes(subject, parts)


def add_report(subject, bench, seconds):
    source, name = LOAD.format(seconds=seconds), "soak.db"
    spent = bench.meter(source, name)
    subject.add("the same into SQLite", spent.wall_s, f"{spent.wall_s:.0f} s, "
                f"{mb(spent.peak_kib)}, a store of "
                f"{bench.path(name).stat().st_size / 1e9:.1f} GB")
    for by in ("model,tenant", "host", "hour"):
        times = [run(bench.gtap, "report", "--store", bench.store(name), "--by", by).wall_s
                 for _ in range(bench.scale.starts)]
        subject.add(f"`report --by {by}`", median(times), ms(median(times)),
                    Goal("under 1 s", at_most=1))


def soak(bench):
    seconds, speed = bench.scale.soak_s, bench.scale.soak_speed
    subject = Subject(
        "Soak", f"{seconds / 3600:.3g} event hours of 1,000 GPUs at 1 Hz with 2,000 requests a "
        "second, made up and produced to Kafka while one `gtap run` moves them to the fake mongod, "
        "all on the same cores; memory and lag are looked at once a second. How fast: "
        f"{SHARE:g} of what all of them together can do, which is found out first. The fake has "
        "room for all ids from the beginning, so that it does not slow down. Then the same into "
        "SQLite, and reports over it.")
    expected = int(1.05 * USAGES_PER_EVENT_S * max(seconds, FULL_SPEED_S))
    with Rig(bench) as rig, FakeServer(rig, "--expect", str(expected)) as server:
        if not speed:
            most = full_speed(rig, server, min(seconds, FULL_SPEED_S))
            speed = max(round(SHARE * most / PER_EVENT_S, 1), 0.1)
            subject.add("at full speed", most, rate(most))
        subject.add("replayed", speed, f"{speed:g} event seconds a second")
        add_replay(subject, *replay(rig, server, seconds, speed))
    add_report(subject, bench, seconds)
    return subject
