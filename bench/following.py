"""Processes that are followed from outside while they work: what they took, and how far they are."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from harness import Failed

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Flow:
    """What it took to move records, by all processes together."""

    records: int
    wall_s: float
    cpu_s: float
    peak_kib: int  # the sum of the most that each process held
    life_us: float = 0  # processor time a record of the processes' whole lives, their start too
    thread_us: float = 0  # the same of the thread that took most of it
    server_us: float = 0  # and of who they wrote to

    @property
    def per_s(self):
        return self.records / self.wall_s

    @property
    def cpu_us(self):
        return self.cpu_s / self.records * 1e6


def process_cpu_s(pid):
    """User and system time of all its threads, those that have ended too."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


class Followed:
    """A process whose output goes to a file; ended with the `with` statement, if not before."""

    def __init__(self, command, log, env=None):
        self.command, self.log = [str(word) for word in command], Path(log)
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, env=env and {**os.environ, **env})
        self.usage = None  # once it has ended
        self.threads = {}  # s by thread, as last looked at

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if not self.ended():
            self.process.kill()
            self._wait(0)

    def ended(self):
        """Whether it has; Failed where it did not do so well."""
        return self.usage is not None or self._wait(os.WNOHANG)

    def _wait(self, options):
        pid, status, usage = os.wait4(self.process.pid, options)
        if pid == 0:
            return False
        self.usage, self.process.returncode = usage, os.waitstatus_to_exitcode(status)
        return True

    def check(self):
        if self.process.returncode not in (None, 0):
            raise Failed(f"{' '.join(self.command)}: exit status {self.process.returncode}\n"
                         f"{self.log.read_text(errors='replace')[-2000:]}")

    def stop(self, seconds=60):
        """SIGTERM, and back when it has ended."""
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > deadline:
                raise Failed(f"{' '.join(self.command)}: does not end on SIGTERM")
            time.sleep(0.01)

    def cpu_s(self):
        """User and system time of all its threads, those that have ended too."""
        if self.usage:
            return self.usage.ru_utime + self.usage.ru_stime
        return process_cpu_s(self.process.pid)

    def threads_cpu_s(self):
        """Of the threads that it has now, to the nanosecond."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9

    def look_at_threads(self):
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            try:
                ns = int(task.read_text(encoding="ascii").split()[0])
                self.threads[task.parent.name] = ns / 1e9
            except (OSError, IndexError):
                pass  # it has ended

    def memory_kib(self, key="VmHWM"):
        """VmHWM or VmRSS; once it has ended, the former."""
        if self.usage:
            return self.usage.ru_maxrss
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition(f"{key}:")[2].split()[0])


@dataclass
class Watch:
    """How a flow is followed."""

    progress: object  # a function: how many records are stored
    total: int
    share: float = 0  # of the records that are not measured, at the beginning
    ends: bool = True  # the processes end by themselves when they are done
    every_s: float = 0.02
    limit_s: float = 570


def _mark(watch, processes, done):
    return (time.monotonic(), done, sum(p.cpu_s() for p in processes))


def follow(processes, watch):
    """From the first record stored (or a share of all) until all are stored and, where they end by
    themselves, the processes have ended. Of processes that began with nothing to leave out, the
    processor time is that of their whole lives."""
    began, first = time.monotonic(), None
    while True:
        ended = [p.ended() for p in processes]
        done = watch.progress()
        if first is None and done > watch.share * watch.total:
            first = _mark(watch, processes, done)
        for p in processes:
            p.check()
            p.look_at_threads()
        if all(ended) if watch.ends else done >= watch.total:
            break
        if any(ended) and not watch.ends or time.monotonic() - began > watch.limit_s:
            raise Failed(f"{' '.join(processes[0].command)}: {done} of {watch.total} records are "
                         f"stored\n{processes[0].log.read_text(errors='replace')[-2000:]}")
        time.sleep(watch.every_s)
    last = _mark(watch, processes, watch.progress())
    return _flow(watch, processes, first, last)


def _flow(watch, processes, first, last):
    if last[1] != watch.total:
        raise Failed(f"{' '.join(processes[0].command)}: stored {last[1]} of {watch.total} records")
    records = last[1] - first[1]
    cpu_s = last[2] - first[2] if watch.share > 0 else last[2] * records / last[1]
    return Flow(records, last[0] - first[0], cpu_s, sum(p.memory_kib() for p in processes),
                last[2] / last[1] * 1e6,
                max(s for p in processes for s in p.threads.values()) / last[1] * 1e6)
