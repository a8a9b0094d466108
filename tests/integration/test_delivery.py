"""`gtap gateway` and a real broker: killed and started again, and refusing what is too long for a
topic. What was acknowledged is there.

    test_delivery.py --gtap BUILD/gtap [--only TEXT]
"""

import json
import os
import random
import tempfile

import gtap as support
import sending
from sending import brokers


def many(first, n, **more):
    lines = [support.usage(random.Random(i), i, support.EPOCH + i, 0)
             for i in range(first, first + n)]
    return [json.dumps({**json.loads(line), **more}) for line in lines]


def ids(first, n):
    return [support.event_id(first + i) for i in range(n)]


class Delivery(support.Case):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory(prefix="gtap-kafka-")
        cls.addClassCleanup(holder.cleanup)
        cls.cluster = brokers.Cluster(os.path.join(holder.name, "one"))
        cls.addClassCleanup(cls.cluster.kill)
        cls.cluster.start()

    def start(self, topic, partitions=12, **config):
        self.cluster.create_topic(topic, partitions=partitions, **config)
        self.topics = sending.Topics(self.cluster.bootstrap, (topic,))
        self.addCleanup(self.topics.close)
        gateway = sending.Sender(self.gtap, "gateway", self.cluster.bootstrap, "--topic", topic,
                                 "--spool", self.gtap.file("spool"))
        self.addCleanup(gateway.kill)
        return gateway

    def post(self, gateway, lines):
        status, text = gateway.post(lines)
        self.assertEqual(status, 200, text)
        return json.loads(text)["stored"]

    def test_a_broker_that_is_killed(self):
        gateway, n = self.start("killed"), 0
        for _ in range(20):  # again, where the broker took longer than the gateway waits for it
            self.wait_for(lambda: self.post(gateway, many(n, 50)) == "kafka")
            n += 50
        self.cluster.kill()
        places = set()
        while n < 3000:
            places.add(self.post(gateway, many(n, 50)))
            n += 50
        self.assertEqual(places, {"spool"})
        self.cluster.start()
        self.assertEqual(self.topics.read_until(ids(0, n)), ids(0, n))
        self.wait_for(lambda: self.post(gateway, many(n, 1)) == "kafka")
        self.assertEqual(gateway.stop(), 0)

    @staticmethod
    def lines_of(path):
        """Those that are there whole, if it is there."""
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return [line for line in f if line.endswith("\n")]

    def test_what_the_topic_has_no_room_for(self):
        """A broker refuses a whole batch that is too long: only the record that is goes aside."""
        gateway = self.start("small", **{"max.message.bytes": "3000"})
        lines = many(0, 30)
        noise = "".join(random.Random(1).choices("0123456789abcdef", k=9000))
        lines[7:7] = many(1000, 1, note=noise)
        self.post(gateway, lines)
        # In any order: what was refused in company is sent again behind what went in another batch.
        self.assertEqual(sorted(self.topics.read_until(ids(0, 30))), ids(0, 30))
        refused = self.gtap.file("spool/refused.ndjson")
        self.wait_for(lambda: self.lines_of(refused))
        kept = [json.loads(line) for line in self.lines_of(refused)]
        self.assertEqual([r["event_id"] for r in kept], ids(1000, 1))
        self.wait_for(lambda: any("max.message.bytes" in line for line in gateway.said))
        self.assertEqual(gateway.stop(), 0)

    def test_a_topic_that_comes_late(self):
        """Nobody has made it yet, and brokers may not: records wait."""
        topic = "late"
        gateway = sending.Sender(self.gtap, "gateway", self.cluster.bootstrap, "--topic", topic,
                                 "--spool", self.gtap.file("spool"))
        self.addCleanup(gateway.kill)
        self.assertEqual(self.post(gateway, many(0, 10)), "spool")
        self.cluster.create_topic(topic, partitions=3)
        topics = sending.Topics(self.cluster.bootstrap, (topic,))
        self.addCleanup(topics.close)
        self.assertEqual(topics.read_until(ids(0, 10)), ids(0, 10))


if __name__ == "__main__":
    support.main(__name__)
