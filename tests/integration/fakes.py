"""Servers that fail when told to: a fake mongod and librdkafka's mock cluster, each a process of its
own on loopback. What they take is said at the heads of tests/support/fake_mongod/main.c, faults.h
and tests/support/mock_kafka.c.

    mongod = fakes.FakeMongod("--ids")      # its address is mongod.uri
    mongod.fail("lost times 1 on insert")
    mongod.stats()["inserted"]
    mongod.stop()

They end with the process that started them, however that ends.
"""

import json
import os
import selectors
import socket
import subprocess
import time

import gtap as support

STARTING_S = ANSWERING_S = support.DEADLINE


class Refused(Exception):
    """It did not take a command, or did not start."""


def program(name):
    """Where meson puts it, beside the binary under test."""
    return os.path.join(os.path.dirname(os.path.abspath(support.ARGS.gtap)), "tests", "support",
                        name)


class Lines:
    """Lines from a file descriptor, each awaited until a deadline."""

    def __init__(self, fd):
        self.fd, self.data = fd, b""

    def next(self, seconds):
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as waiting:
            waiting.register(self.fd, selectors.EVENT_READ)
            while b"\n" not in self.data:
                if not waiting.select(max(deadline - time.monotonic(), 0)):
                    raise Refused(f"no line within {seconds} s")
                more = os.read(self.fd, 1 << 16)
                if not more:
                    raise Refused("it ended")
                self.data += more
        line, self.data = self.data.split(b"\n", 1)
        return line.decode()


class Fake:
    """A process that says a line when it is ready, and ends when its stdin does."""

    def __init__(self, path, *options):
        self.process = subprocess.Popen([path, *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, bufsize=0)
        self.lines = Lines(self.process.stdout.fileno())
        try:
            self.ready = self.lines.next(STARTING_S).split()
        except Refused as e:
            self.stop()
            raise Refused(f"{path} did not start: {e}") from e

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        """Ends it at once; harmless when it has ended."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def checked(line, answer):
    if answer != "ok" and not answer.startswith("ok "):
        raise Refused(f"{line}: {answer}")
    return answer[3:]


class FakeMongod(Fake):
    """options: as at the head of fake_mongod/main.c, say --forget or --standalone."""

    def __init__(self, *options):
        super().__init__(program("fake_mongod"), "--leash", *options)
        self.port, self.control_port = int(self.ready[1]), int(self.ready[3])
        self.uri = f"mongodb://127.0.0.1:{self.port}"
        self.control = socket.create_connection(("127.0.0.1", self.control_port), STARTING_S)
        self.answers = Lines(self.control.fileno())

    def tell(self, line):
        """A line of the control channel; what stands behind "ok" in its answer."""
        self.control.sendall(line.encode() + b"\n")
        return checked(line, self.answers.next(ANSWERING_S))

    def fail(self, fault):
        """From now on, as faults.h says: `lost times 2 on insert`. The number of the fault."""
        return int(self.tell(f"fail {fault}"))

    def hits(self, fault):
        """How often that number's fault has struck."""
        return self.stats()["faults"][str(fault)]

    def clear(self):
        self.tell("clear")

    def stats(self):
        return json.loads(self.tell("stats"))

    def ids(self, collection):
        return int(self.tell(f"ids {collection}"))

    def has(self, collection, _id):
        """_id: text, a number, or a dict of Extended JSON."""
        return self.tell(f"has {collection} {json.dumps(_id)}") == "1"

    def find(self, collection, **filters):
        """Documents as dicts (relaxed Extended JSON) whose fields have these values."""
        n = int(self.tell(f"find {collection} {json.dumps(filters)}"))
        return [json.loads(self.answers.next(ANSWERING_S)) for _ in range(n)]

    def stop(self):
        if hasattr(self, "control"):
            self.control.close()
        super().stop()


class MockKafka(Fake):
    """options: as at the head of mock_kafka.c, say "--brokers", "1"."""

    def __init__(self, *options):
        super().__init__(program("mock_kafka"), *options)
        self.bootstrap = self.ready[1]

    def tell(self, line):
        """A line as at the head of mock_kafka.c; what stands behind "ok" in its answer."""
        self.process.stdin.write(line.encode() + b"\n")
        return checked(line, self.lines.next(ANSWERING_S))

    def topic(self, name, partitions):
        self.tell(f"topic {name} {partitions}")
