"""What the tests of `gtap agent` and `gtap gateway` share: both commands, and what stands in Kafka,
read by another client than ours."""

import contextlib
import http.client
import json
import os
import sys
import time

import fakes
import gtap as support
from python_venv import import_from
from served import Served

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import kafka as brokers  # noqa: E402

TOPICS = ("gpu.metrics.v1", "token.usage.v1")
QUICK = ("reconnect.backoff.max.ms=100",)  # brokers that are back are found at once


class Sender(Served):
    """`gtap agent` or `gtap gateway`, serving on a free port of loopback."""

    def __init__(self, gtap, name, bootstrap, *options, under=(), listen="127.0.0.1:0", **kwargs):
        properties = [word for p in QUICK for word in ("--kafka-property", p)]
        env = {**os.environ, "HOSTNAME": "node-1"}
        env.pop("MALLOC_PERTURB_", None)  # it touches all that is allocated: memory is measured
        kwargs.setdefault("env", env)
        self.launch(gtap, [*under, gtap.path, name, "-b", bootstrap, "--listen", listen,
                           *properties, *options], **kwargs)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=support.DEADLINE)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def wait(self, seconds=support.DEADLINE):
        """Until it ends by itself; its exit status."""
        self.process.wait(seconds)
        self.reader.join(seconds)
        return self.process.returncode

    def stop(self, seconds=support.DEADLINE):
        self.process.terminate()
        return self.wait(seconds)


class Topics:
    """All messages of some topics, from their beginning, in the order they came here."""

    def __init__(self, bootstrap, topics=TOPICS):
        self.client = import_from("kafka", brokers.CLIENT, "confluent_kafka")
        self.consumer = self.client.Consumer({
            "bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest",
            "enable.auto.commit": False, "fetch.wait.max.ms": 20, "reconnect.backoff.max.ms": 100,
            "log_level": 0})
        self.topics, self.records, self.assigned = topics, [], False

    def assign(self):
        parts = []
        for name in self.topics:
            topic = self.consumer.list_topics(name, 30).topics[name]
            parts += [self.client.TopicPartition(name, p, 0) for p in topic.partitions]
        self.consumer.assign(parts)
        self.assigned = True

    def read(self):
        """What has come by now: (topic, partition, key, record)."""
        if not self.assigned:
            self.assign()
        for message in self.consumer.consume(5000, 0.1):
            if message.error() is None:
                key = message.key().decode() if message.key() is not None else None
                self.records.append((message.topic(), message.partition(), key,
                                     json.loads(message.value())))
        return self.records

    def ids(self):
        return [record["event_id"] for *_, record in self.read()]

    def read_until(self, wanted, seconds=support.DEADLINE):
        """Until all these ids have come; returns those that came, in order, each once."""
        deadline, wanted = time.monotonic() + seconds, set(wanted)
        while not wanted <= set(self.ids()):
            if time.monotonic() > deadline:
                missing = wanted - set(self.ids())
                raise AssertionError(f"{len(missing)} of {len(wanted)} records did not arrive, "
                                     f"such as {min(missing)}")
        return list(dict.fromkeys(self.ids()))

    def close(self):
        self.consumer.close()


class Case(support.Case):
    """A test with a mock cluster of one broker."""

    partitions = 3

    def setUp(self):
        super().setUp()
        self.kafka = fakes.MockKafka("--brokers", "1")
        self.addCleanup(self.kafka.stop)
        for name in TOPICS:
            self.kafka.topic(name, self.partitions)
        self.topics = Topics(self.kafka.bootstrap)
        self.addCleanup(self.topics.close)
        self.senders = []
        self.addCleanup(self.kill_all)

    def kill_all(self):
        for sender in self.senders:
            if sender.process.poll() is None:
                sender.kill()

    def send(self, name, *options, **kwargs):
        sender = Sender(self.gtap, name, self.kafka.bootstrap, *options, **kwargs)
        self.senders.append(sender)
        return sender

    def spool(self):
        return self.gtap.file("spool")

    def spooled(self):
        """Bytes of messages that the spool holds."""
        total = 0
        for name in os.listdir(self.spool()):
            with contextlib.suppress(FileNotFoundError):  # sent since it was listed
                if name.endswith(".spool"):
                    total += os.path.getsize(os.path.join(self.spool(), name))
        return total
