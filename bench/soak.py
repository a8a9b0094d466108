"""Two hours of a thousand GPUs, replayed at speed: whether anything grows."""

import subprocess
import time
from dataclasses import dataclass

from following import Followed
from harness import Failed, Goal, Subject, count, mb, median, ms, rate, run
from pipeline import LOAD, FakeServer, Rig, gtap_command

SAMPLE_S = 1
DRAIN_S = 120


@dataclass
class Moment:
    at_s: float
    produced: int
    stored: int
    resident_kib: int

    @property
    def lag(self):
        return max(self.produced - self.stored, 0)


def _feed(rig, topics, seconds, speed):
    """Makes the records up and produces them, both at that many event seconds a second."""
    made = rig.generate(f"{LOAD.format(seconds=seconds)}&speed={speed}")
    feed = subprocess.Popen([rig.program("kafka_fill"), rig.brokers, *topics.names],
                            stdin=made.stdout, stdout=subprocess.DEVNULL)
    made.stdout.close()
    return made, feed


def _produced(rig, topics):
    return sum(sum(rig.cluster.offsets(name)) for name in topics.names)


def _moment(rig, topics, server, running, began):
    stored = server.stored()
    return Moment(time.monotonic() - began, _produced(rig, topics), stored,
                  running.memory_kib("VmRSS"))


def _watch(rig, topics, server, running, feeding):
    """Moments while records are produced, and what is left to do when none come any more."""
    moments, began, fed_at = [], time.monotonic(), None
    while True:
        now = _moment(rig, topics, server, running, began)
        if running.ended():
            running.check()
            raise Failed("gtap ended while records came")
        if fed_at is None:
            moments.append(now)
            fed_at = now.at_s if all(p.poll() is not None for p in feeding) else None
        elif now.stored >= now.produced:
            return moments, now
        elif now.at_s - fed_at > DRAIN_S:
            raise Failed(f"{count(now.lag)} records are not stored {DRAIN_S} s after the last came")
        time.sleep(SAMPLE_S)


def replay(rig, server, seconds, speed):
    topics, group, uri = rig.topics("soak."), rig.turn(), server.begin()
    with Followed(gtap_command(rig, topics, group, uri), rig.path("soak.log")) as running:
        feeding = _feed(rig, topics, seconds, speed)
        try:
            moments, last = _watch(rig, topics, server, running, feeding)
        finally:
            for process in feeding:
                process.kill()
                process.wait()
        if any(process.returncode for process in feeding):
            raise Failed("making the records up failed")
        running.stop()
        running.check()
        return moments, last, running


def quarters(moments, value):
    """Means of the four quarters of the time."""
    size = len(moments) // 4
    if size == 0:
        raise Failed("too short to tell its quarters")
    parts = [moments[i * size:(i + 1) * size] for i in range(4)]
    return [sum(value(m) for m in part) / size for part in parts]


def add_replay(subject, moments, last, running):
    per_s = moments[-1].produced / moments[-1].at_s
    subject.add("records", last.stored, f"{count(last.stored)}, coming at {rate(per_s)}")
    resident = quarters(moments, lambda m: m.resident_kib)
    grown = resident[3] / resident[1]
    subject.add("memory resident, by quarters", grown, ", ".join(mb(kib) for kib in resident)
                + f"; {mb(running.memory_kib())} at the peak; the last over the second {grown:.2f}",
                Goal("flat: at most 1.05", at_most=1.05))
    lag = quarters(moments, lambda m: m.lag)
    behind = [n / per_s for n in lag]
    subject.add("records not yet stored, by quarters", behind[3] - behind[1],
                ", ".join(f"{count(round(n))} ({ms(s)})" for n, s in zip(lag, behind)),
                Goal("no growth: the last less than 1 s more than the second", at_most=1))
    cpu_s = running.cpu_s()
    subject.add("processor time", cpu_s / last.stored, f"{cpu_s / last.stored * 1e6:.2f} us a "
                f"record, {cpu_s / moments[-1].at_s:.2f} cores")


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
        f"second, {speed} event seconds a second, made up and produced to Kafka while one `gtap "
        "run` moves them to the fake mongod, all on the same cores; memory and lag are looked at "
        "once a second. Then the same into SQLite, and reports over it.")
    with Rig(bench) as rig, FakeServer(rig) as server:
        add_replay(subject, *replay(rig, server, seconds, speed))
    add_report(subject, bench, seconds)
    return subject
