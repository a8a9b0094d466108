"""Ten thousand slow, half-open and oversized connections, beside a client that means well.

    test_crowd.py --gtap BUILD/gtap [--only TEXT]
"""

import collections
import http.client
import itertools
import random
import re
import resource
import shutil
import socket
import time

import gtap as support
from served import Case, SKIPPED, ids_of

CONNECTIONS, AT_A_TIME = 10_000, 250
SERVED_MOST = 1024 + 64  # what docs/serving.md says, and those that are about to close
MIB = 1 << 20
POST = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\n"
LINE = b'{"ts":"2026-11-26T00:00:00Z","model":"m","prompt_tokens":1,"completion_tokens":1}\n'

KINDS = {
    "half-open": b"",
    "half a header": POST[:-3],
    "half a body": POST + b"Content-Length: 100000\r\n\r\n" + 20 * LINE,
    "a body that does not end": POST + b"Transfer-Encoding: chunked\r\n\r\n4000\r\n" + 0x4000 * b" ",
    "a body too large": POST + b"Content-Length: 40000000\r\n\r\n" + 0x10000 * b" ",
    "a header too large": POST + b"X: " + 20000 * b"x",
    "no reading": 200 * b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + 500 * b"\x00",
}


def send_what_fits(connection, data):
    try:
        while data:
            data = data[connection.send(data, socket.MSG_DONTWAIT):]
    except OSError:
        pass  # it is full, or cut off already


class Crowd(Case):
    def setUp(self):
        super().setUp()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
        self.most = min(2000, limit[1] - 200)
        if self.most < SERVED_MOST:
            raise SKIPPED("the limit of open files is too low for a crowd")
        self.crowd = collections.deque()
        self.addCleanup(self.disperse)
        self.random = random.Random(7)
        self.numbers = itertools.count(1)
        self.sent = []

    def disperse(self):
        while self.crowd:
            self.crowd.popleft().close()

    def join(self, served, data):
        """One more connection, from some address of 127.0.0.0/8; the oldest makes room for it."""
        if len(self.crowd) == self.most:
            self.crowd.popleft().close()
        address = "127." + ".".join(str(self.random.randrange(1, 255)) for _ in range(3))
        connection = socket.create_connection(("127.0.0.1", served.port), 60, (address, 0))
        self.crowd.append(connection)
        send_what_fits(connection, data)

    def requests(self, n=50):
        return [support.usage(self.random, next(self.numbers), time.time(), 0) for _ in range(n)]

    def send(self, served):
        """What a client that means well sends is stored, at the first attempt."""
        lines = self.requests()
        status, answer = served.post(lines)
        self.assertEqual(status, 200, answer)
        self.sent += ids_of(lines)

    def status(self, served, key):
        with open(f"/proc/{served.process.pid}/status", encoding="ascii") as f:
            return int(re.search(rf"{key}:\s+(\d+) kB", f.read())[1]) * 1024

    def assert_memory(self, served, before, most):
        """Unless a sanitizer watches, whose own memory is no matter."""
        if self.status(served, "VmSize") < 1 << 40:
            self.assertLess(self.status(served, "VmHWM") - before, most)

    def test_ten_thousand(self):
        served = self.serve("http:", "seed:")
        seed = 'gtap_input_records_total{input="seed:"}'
        for _ in range(5):
            self.send(served)
        before = self.status(served, "VmHWM")
        sampled = served.metric(seed)
        data = itertools.cycle(KINDS.values())
        for _ in range(CONNECTIONS // AT_A_TIME):
            for _ in range(AT_A_TIME):
                self.join(served, next(data))
            self.send(served)
        self.assert_memory(served, before, 64 * MIB)
        # They are still there; other inputs go on, and who asks is answered.
        self.assertLessEqual(served.metric("gtap_http_connections"), SERVED_MOST)
        self.assertLess(served.metric("process_open_fds"), SERVED_MOST + 64)
        self.assertGreater(served.metric("gtap_http_turned_away_total"), 0)
        now = served.metric(seed)
        self.assertGreater(now, sampled)
        self.wait_for(lambda: served.metric(seed) > now)
        self.assertEqual(served.get("/ready")[0], 200)
        self.disperse()
        self.wait_for(lambda: served.metric("gtap_http_connections") <= 1)
        self.send(served)
        self.stop(served)
        stored = [row["event_id"] for row in self.gtap.export("token_usage", self.store)]
        self.assertEqual(sorted(stored), sorted(self.sent))

    def test_few_files(self):
        """Connections leave the store the descriptors it needs, however few there are."""
        if not shutil.which("prlimit"):
            raise SKIPPED("there is no prlimit")
        served = self.serve(under=("prlimit", "--nofile=400:400"))
        for _ in range(10):
            for _ in range(50):
                self.join(served, POST)
            self.send(served)
        self.assertEqual(served.metric("process_max_fds"), 400)
        self.assertLess(served.metric("process_open_fds"), 200)
        self.assertEqual(served.get("/ready")[0], 200)
        self.stop(served)
        stored = [row["event_id"] for row in self.gtap.export("token_usage", self.store)]
        self.assertEqual(sorted(stored), sorted(self.sent))

    def test_stalled_bodies(self):
        """Bodies that stall hold no more than their bound, and make room for one that comes whole."""
        served = self.serve()
        self.send(served)
        before = self.status(served, "VmHWM")
        part = POST + b"Content-Length: 30000000\r\n\r\n" + 8 * MIB * b" "
        for _ in range(40):
            self.join(served, b"")
            self.crowd[-1].settimeout(support.DEADLINE)
            try:
                self.crowd[-1].sendall(part)
            except OSError:
                pass  # it was cut off, to make room for others
        # As large as those; it may have to come again, as it is told.
        body = b"".join(line.encode() + b"\n" for line in self.requests(40000))
        self.wait_for(lambda: self.send_large(served, body) == 200)
        self.assert_memory(served, before, (128 + 96) * MIB)
        self.stop(served)

    def send_large(self, served, body):
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=support.DEADLINE)
        try:
            status, answer = served.ask("POST", "/v1/events", body, connection=connection)
        finally:
            connection.close()
        self.assertIn(status, (200, 503), answer)
        return status


if __name__ == "__main__":
    support.main(__name__)
