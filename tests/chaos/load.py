"""The load of a campaign: adversarial records, sent by gateways and agents at a steady rate, and
the account of what was acknowledged."""

import http.client
import json
import os
import random
import threading
import time

import adversary

POST_SECONDS = 20  # a gateway that has not answered by then has not answered
BATCH_MAX = 100


class Account:
    """Which records were handed over. A record is `acknowledged` when somebody who took it said so,
    `given_up` when nobody did and it was not sent again: such a one may be there or not."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged, self.given_up, self.wrong = [], [], []
        self.counts = {"answered by Kafka": 0, "answered by the spool": 0, "turned away": 0,
                       "unanswered": 0, "given up": 0, "agent runs": 0}

    def count(self, what, n=1):
        with self.lock:
            self.counts[what] += n

    def acknowledge(self, lines):
        with self.lock:
            self.acknowledged += lines

    def give_up(self, lines):
        with self.lock:
            self.given_up += lines
            self.counts["given up"] += 1

    def complain(self, text):
        with self.lock:
            self.wrong.append(text)


class Pace:
    """Line number n is due n / rate seconds after the start."""

    def __init__(self, rate):
        self.rate, self.start, self.stopped = rate, time.monotonic(), threading.Event()

    def wait(self, number):
        self.stopped.wait(max(0, self.start + number / self.rate - time.monotonic()))

    def due(self, number):
        return self.start + number / self.rate <= time.monotonic()

    def stop(self):
        """All that is left is due at once."""
        self.rate = float("inf")
        self.stopped.set()


class Sender(threading.Thread):
    """Sends its share of the lines, [(number, line)], and says in the end that it is done."""

    def __init__(self, name, lines, pace, account, seed):
        super().__init__(name=name, daemon=True)
        self.lines, self.pace, self.account = lines, pace, account
        self.rng, self.at, self.abandoned = random.Random(seed), 0, False

    def batch(self, most):
        """What is due by now: one line at least, [] after the last."""
        if self.at == len(self.lines):
            return []
        self.pace.wait(self.lines[self.at][0])
        end = self.at + 1
        while end < min(self.at + most, len(self.lines)) and self.pace.due(self.lines[end][0]):
            end += 1
        lines, self.at = [line for _, line in self.lines[self.at:end]], end
        return lines

    def run(self):
        try:
            self.send()
        except Exception as failed:  # pylint: disable=broad-except
            self.account.complain(f"{self.name}: {failed!r}")


class Poster(Sender):
    """A site that POSTs to one gateway or another."""

    def __init__(self, *args, ports=()):
        super().__init__(*args)
        self.ports = ports

    def send(self):
        while (lines := self.batch(self.rng.randrange(1, BATCH_MAX))) and not self.abandoned:
            while not self.abandoned and not self.post(lines):
                self.pace.stopped.wait(0.1)

    def post(self, lines):
        """Whether that is over and done with."""
        connection = http.client.HTTPConnection("127.0.0.1", self.rng.choice(self.ports),
                                                timeout=POST_SECONDS)
        try:
            connection.request("POST", "/v1/events", "\n".join(lines) + "\n",
                               {"Content-Type": "application/x-ndjson"})
            answer = connection.getresponse()
            return self.judge(lines, answer.status, answer.read())
        except ConnectionRefusedError:
            return False
        except (OSError, http.client.HTTPException):
            self.account.count("unanswered")
            if self.rng.random() < 0.05:
                self.account.give_up(lines)
                return True
            return False
        finally:
            connection.close()

    def judge(self, lines, status, text):
        if status in (429, 503):
            self.account.count("turned away")
            return False
        said = json.loads(text)
        if status != 200 or said["accepted"] != len(lines):
            raise AssertionError(f"{len(lines)} records were answered with {status}: {text}")
        self.account.count("answered by Kafka" if said["stored"] == "kafka"
                           else "answered by the spool")
        self.account.acknowledge(lines)
        return True


class Follower(Sender):
    """A machine whose agent follows a file. Now and then the file is finished: then an agent reads
    it once more to its end, and when that ends with 0 all of it is acknowledged."""

    CHUNK = 400

    def __init__(self, *args, member, folder):
        super().__init__(*args)
        self.member, self.folder, self.n = member, folder, 0

    def new_file(self):
        self.n += 1
        path = os.path.join(self.folder, f"{self.name}-{self.n}.ndjson")
        with open(path, "w", encoding="utf-8"):
            return path

    def send(self):
        path, lines = self.new_file(), []
        self.member.use("--in", f"file:{path}?follow=1")
        while (batch := self.batch(BATCH_MAX)) and not self.abandoned:
            with open(path, "a", encoding="utf-8") as f:
                f.writelines(line + "\n" for line in batch)
            lines += batch
            if len(lines) >= self.CHUNK:
                self.finish(path, lines)
                path, lines = self.new_file(), []
                self.member.use("--in", f"file:{path}?follow=1")
        self.finish(path, lines)
        # What is in the spool is sent while an agent runs.
        self.member.use("--in", f"file:{self.new_file()}?follow=1")

    def finish(self, path, lines):
        self.member.use("--in", f"file:{path}")
        while not self.abandoned and self.member.wait_ended(1) != 0:
            continue
        self.account.count("agent runs")
        if not self.abandoned:
            self.account.acknowledge(lines)


def lines_for(seed, count, hosts):
    """About that many lines, as an unruly cluster sends them."""
    per_minute = hosts * 3 * 5.6 + 120  # samples of its GPUs, requests
    cluster = adversary.Cluster(seed, hosts=hosts, minutes=max(8, round(count / per_minute)))
    return cluster.lines()


def shares(lines, senders):
    """Each host's lines go one way; those of no host go any. A record that comes twice comes the
    same way, as it would."""
    parts = [[] for _ in range(senders)]
    for number, line in enumerate(lines):
        record = json.loads(line)
        at = int(record["host"][-2:]) if "host" in record else int(record["event_id"][-4:], 16)
        parts[at % senders].append((number, line))
    return parts
