"""`gtap agent` and `gtap gateway` on a host of their own, whose network loses packets or is cut off:
two network namespaces, joined by a veth pair. The test moves into the first, where the brokers are;
the other one is the senders'. Skipped where namespaces are not permitted.

    test_partition.py --gtap BUILD/gtap [--only TEXT]
"""

import json
import os
import shutil
import subprocess
import sys
import time
import unittest

import gtap as support
import sending
from python_venv import import_from

INSIDE = "GTAP_TEST_IN_NAMESPACE"
HERE, THERE = "10.77.0.1", "10.77.0.2"
# nft's, in the namespaces. Theirs has chains for trouble, too.
RULES_HERE = """
add table ip gtap
add chain ip gtap in {{ type nat hook prerouting priority -100; }}
add rule ip gtap in ip daddr {here} tcp dport {port} dnat to 127.0.0.1:{port}
"""
RULES_THERE = """
add table ip gtap
add chain ip gtap out {{ type nat hook output priority -100; }}
add rule ip gtap out ip daddr 127.0.0.1 tcp dport {port} dnat to {here}:{port}
add chain ip gtap from {{ type nat hook postrouting priority 100; }}
add rule ip gtap from ip daddr {here} snat to {there}
add chain ip gtap trouble {{ type filter hook output priority 0; }}
add chain ip gtap back {{ type filter hook input priority 0; }}
"""
# Posts batches of records to the gateway of its own host until stdin ends; says the first number of
# each that was acknowledged, and where it went. With 10 ms between them: one that posts as soon as
# it is answered never lets a spool run empty, as there is always one more in it.
POSTER = """
import http.client, json, random, select, sys
sys.path.insert(0, sys.argv[1])
import gtap
number, port = int(sys.argv[2]), int(sys.argv[3])
while not select.select([sys.stdin], [], [], 0.01)[0]:
    lines = [gtap.usage(random.Random(n), n, gtap.EPOCH + n, 0) for n in range(number, number + 5)]
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=gtap.DEADLINE)
    try:
        c.request("POST", "/v1/events", "".join(line + chr(10) for line in lines))
        answer = c.getresponse()
        text = answer.read()
        if answer.status == 200:
            print(number, json.loads(text)["stored"], flush=True)
    except OSError:
        pass
    c.close()
    number += 5
"""


def command(*words, text=None):
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")


def unshared():
    """The words that begin a command in a network namespace of its own; SkipTest: not permitted."""
    for words in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        try:
            done = subprocess.run([*words, "nft", "add", "table", "ip", "gtap"],
                                  capture_output=True, text=True, check=False)
        except FileNotFoundError as e:
            raise unittest.SkipTest(f"no {e.filename} here: tools/install-deps.sh test") from None
        if done.returncode == 0:
            return words
    raise unittest.SkipTest(f"network namespaces are not permitted here: {done.stderr.strip()}")


class Host:
    """The senders' host, in a network of its own; SkipTest where there cannot be one."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        self.under = ["nsenter", "--net", f"--target={self.process.pid}"]
        own = os.readlink("/proc/self/ns/net")
        support.wait_for(lambda: os.readlink(f"/proc/{self.process.pid}/ns/net") != own,
                         complaint="unshare does not come about")
        try:
            command("ip", "link", "add", "here", "type", "veth", "peer", "name", "there", "netns",
                    str(self.process.pid))
        except (AssertionError, FileNotFoundError) as e:
            self.close()
            raise unittest.SkipTest(f"no pair of network devices here: {e}") from None
        self.set_up("here", HERE)
        self.set_up("there", THERE, *self.under)

    def join(self, port):
        """What goes to this port of loopback there comes out here."""
        places = {"here": HERE, "there": THERE, "port": port}
        command("nft", "-f", "-", text=RULES_HERE.format(**places))
        command(*self.under, "nft", "-f", "-", text=RULES_THERE.format(**places))

    @staticmethod
    def set_up(device, address, *under):
        command(*under, "ip", "address", "add", f"{address}/24", "dev", device)
        for name in ("lo", device):
            command(*under, "ip", "link", "set", name, "up")
        command(*under, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet")

    def lose(self, percent):
        """So many of the packets to the brokers, and of those from them, are lost."""
        for chain, way in (("trouble", "daddr"), ("back", "saddr")):
            which = "" if percent == 100 else f"numgen random mod 100 < {percent}"
            command(*self.under, "nft", f"add rule ip gtap {chain} ip {way} {HERE} {which} drop")

    def heal(self):
        for chain in ("trouble", "back"):
            command(*self.under, "nft", f"flush chain ip gtap {chain}")

    def link(self, state):
        command("ip", "link", "set", "here", state)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        if shutil.which("ip") is None:
            return
        subprocess.run(["ip", "link", "del", "here"], capture_output=True, check=False)
        subprocess.run(["nft", "delete", "table", "ip", "gtap"], capture_output=True, check=False)


class Partition(sending.Case):
    """The network first: where it cannot be had, nothing else is started."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if INSIDE not in os.environ:
            raise unittest.SkipTest(WHY_NOT)

    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)
        super().setUp()
        self.host.join(int(self.kafka.bootstrap.rsplit(":", 1)[1]))

    def start(self, name, *options):
        return self.send(name, "--spool", self.spool(), *options, under=self.host.under)

    def check_samples(self):
        """No sample is missing, and none is out of order."""
        numbers = [int(name.rsplit(":", 1)[1]) for name in dict.fromkeys(self.topics.ids())]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        return len(numbers)

    def drained(self, sender):
        n = len(self.topics.read())
        self.wait_for(lambda: self.spooled() == 0 and len(self.topics.read()) > n + 100)
        self.assertEqual(sender.stop(), 0)

    def test_an_agent_that_is_cut_off(self):
        agent = self.start("agent", "--in", "seed:?every=10ms")
        self.wait_for(lambda: len(self.topics.read()) > 100)
        for cut, mend in ((lambda: self.host.lose(100), self.host.heal),
                          (lambda: self.host.link("down"), lambda: self.host.link("up"))):
            cut()
            self.wait_for(lambda: self.spooled() > 100_000)
            mend()
            begun = time.monotonic()
            self.wait_for(lambda: self.spooled() == 0)
            print(f"# drained {time.monotonic() - begun:.1f} s after it could be reached again")
        self.drained(agent)
        self.check_samples()

    def test_an_agent_whose_packets_are_lost(self):
        agent = self.start("agent", "--in", "seed:?every=10ms")
        self.host.lose(15)
        self.wait_for(lambda: len(self.topics.read()) > 2000)
        self.host.heal()
        self.drained(agent)
        self.check_samples()

    def test_a_gateway_that_is_cut_off(self):
        gateway = self.start("gateway")
        poster = subprocess.Popen(
            [*self.host.under, sys.executable, "-c", POSTER, os.path.dirname(__file__), "1",
             str(gateway.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(poster.wait)
        self.addCleanup(poster.kill)
        acknowledged = []

        def hear(n, *places):
            """Acknowledgements until n of them are from one of these places."""
            deadline = time.monotonic() + support.DEADLINE
            while n > 0:
                self.assertLess(time.monotonic(), deadline, f"{n} more were to come from {places}")
                number, where = poster.stdout.readline().split()
                acknowledged.append(int(number))
                n -= where in places

        hear(30, "kafka")
        # Of every fifth packet lost TCP makes so little that the spool may not run empty meanwhile.
        for percent, places in ((100, ["spool"]), (20, ["spool", "kafka"])):
            self.host.lose(percent)
            hear(20, *places)
            self.host.heal()
            hear(20, "kafka")
        poster.stdin.close()
        acknowledged += [int(line.split()[0]) for line in poster.stdout]
        poster.stdout.close()
        wanted = [support.event_id(first + i) for first in acknowledged for i in range(5)]
        self.topics.read_until(wanted)
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(json.dumps(sorted(set(wanted))), json.dumps(sorted(wanted)))


def move_in():
    """The same once more, in a namespace of its own; returns why not. What comes from a registry is
    fetched before, which cannot be reached from there."""
    try:
        words = unshared()
        import_from("kafka", sending.brokers.CLIENT, "confluent_kafka")
    except unittest.SkipTest as e:
        return str(e)
    os.environ[INSIDE] = "1"
    os.execvp(words[0], [*words, "--", sys.executable, *sys.argv])


if __name__ == "__main__":
    if INSIDE not in os.environ:
        WHY_NOT = move_in()
    else:
        command("ip", "link", "set", "lo", "up")
    support.main(__name__)
