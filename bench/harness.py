"""Running programs and saying what they took: the benchmarks' tools."""

import json
import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Spent:
    """What a process took, from its start to its end."""

    wall_s: float
    cpu_s: float  # user and system time, all threads
    peak_kib: int  # most memory it held at once (VmHWM)
    out: str


class Failed(Exception):
    """A program that is measured did not do its work."""


def run(*command, env=None):
    """Runs a program to its end."""
    began = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=env)
    out, err = drain(process)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: exit status {process.returncode}\n{err}")
    return Spent(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, out)


def drain(process):
    """Both outputs; what is measured writes little to stderr, so one after the other is fine."""
    with process.stdout, process.stderr:
        return process.stdout.read(), process.stderr.read()


def busiest_thread_s(*command):
    """The processor time of the thread of a program that takes most of it, to some 50 ms: with a
    core for each thread and a quick disk, the program takes no longer."""
    spent = {}
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    while process.poll() is None:
        for stat in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            try:
                spent[stat.parent.name] = int(stat.read_text().split()[0]) / 1e9
            except (OSError, IndexError):
                pass  # it has ended
        time.sleep(0.05)
    if process.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: exit status {process.returncode}")
    return max(spent.values())


def results(*command):
    """The lines that a program of ours printed, as dictionaries."""
    return [json.loads(line) for line in run(*command).out.splitlines()]


def interleave(rounds, measures):
    """Calls every function of a dictionary in turn, so that what disturbs one disturbs all alike:
    lists of their answers under the same keys."""
    answers = {key: [] for key in measures}
    for _ in range(rounds):
        for key, measure in measures.items():
            answers[key].append(measure())
    return answers


def median(values):
    return statistics.median(values)


def remove_store(path):
    for suffix in ("", "-wal", "-shm", "-lock"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


# ---- what goes into the report -------------------------------------------------------------


@dataclass
class Goal:
    """value must be `at_least` or `at_most` this; text is how people say it."""

    text: str
    at_least: float = float("-inf")
    at_most: float = float("inf")

    def met(self, value):
        return self.at_least <= value <= self.at_most


@dataclass
class Row:
    what: str
    value: float
    measured: str
    goal: Goal = None

    def cells(self):
        if self.goal is None:
            return [self.what, self.measured, "", ""]
        return [self.what, self.measured, self.goal.text,
                "yes" if self.goal.met(self.value) else "**no**"]


@dataclass
class Subject:
    title: str
    how: str  # a sentence or two
    rows: list = field(default_factory=list)

    def add(self, what, value, measured, goal=None):
        self.rows.append(Row(what, value, measured, goal))

    def markdown(self):
        lines = [f"## {self.title}", "", self.how, "", "| what | measured | goal | met |", "|-|-|-|-|"]
        lines += ["| " + " | ".join(row.cells()) + " |" for row in self.rows]
        return "\n".join(lines) + "\n"

    def missed(self):
        return [row for row in self.rows if row.goal and not row.goal.met(row.value)]


def rate(per_second, unit="records/s"):
    """1.64 M records/s, 312 k records/s."""
    for size, letter in ((1e6, "M "), (1e3, "k ")):
        if per_second >= size:
            return f"{per_second / size:.3g} {letter}{unit}"
    return f"{per_second:.3g} {unit}"


def count(n):
    return f"{n:,}"


def ms(seconds):
    return f"{seconds * 1e3:.3g} ms"


def mb(kib):
    return f"{kib * 1024 / 1e6:.0f} MB"
