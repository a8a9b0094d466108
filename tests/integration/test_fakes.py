"""The fakes as tests and benchmarks start them: fakes.py, over the real programs.

    test_fakes.py --gtap BUILD/gtap [--only TEXT]
"""

import os
import signal
import socket
import subprocess
import sys

import fakes
import gtap as support

FOLDER = os.path.dirname(os.path.abspath(__file__))
# Starts one, says its process id, and waits to be killed.
OWNER = """
import sys
sys.path.insert(0, sys.argv[1])
import gtap
gtap.ARGS.gtap = sys.argv[2]
import fakes
print(getattr(fakes, sys.argv[3])().pid, flush=True)
sys.stdin.read()
"""


def is_running(pid):
    """A process that has ended and that nobody waited for does not run."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Fakes(support.Case):
    def start(self, kind, *options):
        fake = kind(*options)
        self.addCleanup(fake.stop)
        return fake

    def test_mongod_takes_orders_and_tells(self):
        mongod = self.start(fakes.FakeMongod, "--ids")
        self.assertEqual(mongod.uri, f"mongodb://127.0.0.1:{mongod.port}")
        first, second = mongod.fail("lost times 2 on insert"), mongod.fail("slow 5")
        self.assertNotEqual(first, second)
        self.assertEqual((mongod.hits(first), mongod.hits(second)), (0, 0))
        mongod.clear()
        stats = mongod.stats()
        self.assertEqual((stats["documents"], stats["faults"]), (0, {}))
        self.assertEqual(mongod.ids("gpu_metrics"), 0)
        self.assertFalse(mongod.has("gpu_metrics", "x"))
        self.assertEqual(mongod.find("gpu_metrics", host="gpu-01"), [])
        with self.assertRaisesRegex(fakes.Refused, "no such fault"):
            mongod.fail("nonsense")

    def test_mongod_goes_down_and_comes_back_at_the_same_port(self):
        mongod = self.start(fakes.FakeMongod)
        mongod.tell("down")
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", mongod.port))
        mongod.tell("up")
        socket.create_connection(("127.0.0.1", mongod.port)).close()

    def test_kafka_takes_orders(self):
        kafka = self.start(fakes.MockKafka, "--brokers", "2")
        self.assertEqual(len(kafka.bootstrap.split(",")), 2)
        kafka.topic("gpu.metrics.v1", 12)
        kafka.tell("error OffsetCommit NOT_COORDINATOR 3")
        for address in kafka.bootstrap.split(","):
            host, port = address.rsplit(":", 1)
            socket.create_connection((host, int(port))).close()
        with self.assertRaisesRegex(fakes.Refused, "Invalid argument"):
            kafka.tell("topic nothing 0")

    def test_they_end_when_they_are_stopped(self):
        for kind in (fakes.FakeMongod, fakes.MockKafka):
            fake = self.start(kind)
            self.assertTrue(is_running(fake.pid))
            fake.stop()
            self.assertFalse(is_running(fake.pid))
            fake.stop()

    def test_they_do_not_outlive_who_started_them(self):
        for kind in ("FakeMongod", "MockKafka"):
            owner = subprocess.Popen(
                [sys.executable, "-c", OWNER, FOLDER, support.ARGS.gtap, kind],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            pid = int(owner.stdout.readline())
            self.assertTrue(is_running(pid))
            owner.send_signal(signal.SIGKILL)
            owner.communicate()
            self.wait_for(lambda pid=pid: not is_running(pid))

    def test_what_cannot_start_says_so(self):
        taken = self.start(fakes.FakeMongod)
        with self.assertRaisesRegex(fakes.Refused, "did not start: it ended"):
            fakes.FakeMongod("--port", str(taken.port))


if __name__ == "__main__":
    support.main(__name__)
