"""Processors that are asked how they fare, on real servers and on fakes: what the tests of faults
share."""

import http.client
import json
import re

import fakes
import gtap as support
import stack
from daemon import wait_for

QUICK = ("session.timeout.ms=6000", "heartbeat.interval.ms=500", "reconnect.backoff.ms=50",
         "reconnect.backoff.max.ms=200", "topic.metadata.refresh.interval.ms=1000")
PROPERTIES = [word for p in QUICK for word in ("--kafka-property", p)]


class Watched(stack.Process):
    """A processor that serves on a free port of loopback."""

    def port(self):
        def found():
            return next((m for m in (re.search(r"serving at https?://\S+:(\d+)", line)
                                     for line in list(self.said)) if m), None)
        wait_for(lambda: found() or self.child.poll() is not None,
                 complaint="it does not serve")
        if not found():
            raise AssertionError(f"it does not serve:\n{''.join(self.said)}")
        return int(found()[1])

    def get(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=support.DEADLINE)
        try:
            c.request("GET", path)
            answer = c.getresponse()
            return answer.status, answer.read().decode()
        finally:
            c.close()

    def ready(self):
        status, text = self.get("/ready")
        return status, json.loads(text)

    def metrics(self):
        """{series: value} of the page."""
        found = {}
        for line in self.get("/metrics")[1].splitlines():
            if not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                found[series] = float(value)
        return found

    def total(self, name, labels=""):
        """The sum of a family's series whose labels have this text."""
        return sum(value for series, value in self.metrics().items()
                   if series.partition("{")[0] == name and labels in series)

    def wait(self, expect=0, seconds=support.DEADLINE):
        return super().wait(expect, seconds)

    def wait_ready(self):
        self.until(lambda: self.ready()[0] == 200, "it is not ready")

    def wait_unready(self, *words):
        """Until /ready is 503 and says all of these; /health is ok the while."""
        def unready():
            status, state = self.ready()
            text = json.dumps(state)
            return status == 503 and all(word in text for word in words)
        self.until(unready, f"/ready does not say {words}")
        assert self.get("/health") == (200, '{"status":"ok"}\n')

    def until(self, condition, complaint):
        try:
            wait_for(lambda: condition() or self.child.poll() is not None,
                     complaint=complaint)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.ready()}\n{''.join(self.said)}") from e
        if self.child.poll() is not None:
            raise AssertionError(f"{complaint}, it ended:\n{''.join(self.said)}")


class Real(stack.Case):
    """Real servers."""

    def processor(self, *more, env=None):
        return Watched(self, *self.processor_args(*PROPERTIES, *more),
                       env={"MONGODB_URI": self.store_uri, **(env or {})})

    def committed(self):
        """Of every partition of the topics, the offset that the group has committed."""
        return {place: offset for place, (offset, _) in self.kafka.committed(self.group).items()
                if place[0] in self.topics}

    def wait_committed(self, messages, seconds=support.DEADLINE):
        """Until the group's offsets are behind so many messages."""
        wait_for(lambda: sum(self.committed().values()) == messages, seconds,
                 f"{messages} messages are not committed")


class Faked(support.Case):
    """A mock cluster and a fake mongod of the case's own."""

    partitions, brokers = 2, 1
    topics, dlq = ("gpu.metrics.v1", "token.usage.v1"), "gtap.dlq.v1"

    def setUp(self):
        super().setUp()
        self.kafka = fakes.MockKafka("--brokers", str(self.brokers))
        self.addCleanup(self.kafka.stop)
        self.mongod = fakes.FakeMongod()
        self.addCleanup(self.mongod.stop)
        for topic in (*self.topics, self.dlq):
            self.kafka.topic(topic, self.partitions)
        self.producer = stack.kafka.client().Producer({
            "bootstrap.servers": self.kafka.bootstrap, "partitioner": "murmur2_random",
            "linger.ms": 1, "log_level": 2})
        self.sent, self.number = [], 0
        self.places = {}  # the partition of each host

    def processor(self, *more, uri="socketTimeoutMS=1000&serverSelectionTimeoutMS=500",
                  mongod=None):
        return Watched(self, "processor", "--bootstrap", self.kafka.bootstrap,
                       "--listen", "127.0.0.1:0", *PROPERTIES, *more,
                       env={"MONGODB_URI": f"{(mongod or self.mongod).uri}/gtap?{uri}"})

    def lines(self, requests, **more):
        """Some requests and the samples around them; other ones each time."""
        self.number += 1
        made = [json.loads(line) for line in
                support.records(requests, seed=self.number, gpus=2, rate=4.0)]
        for n, record in enumerate(made):
            record |= {"event_id": f"{self.number}-{n}",
                       "ts": record["ts"] + 60 * self.number, **more}
        return [json.dumps(record) for record in made]

    def produce(self, lines):
        for line in lines:
            record = json.loads(line)
            self.producer.produce(self.topics["model" in record], line, record.get("host"),
                                  on_delivery=self.note_place)
        self.assertEqual(self.producer.flush(support.DEADLINE), 0)
        self.sent += lines

    def note_place(self, error, message):
        if error is None and message.key():
            self.places[message.key().decode()] = message.partition()

    def ids(self):
        return stack.Case.ids(self.sent)

    def wait_stored(self, seconds=support.DEADLINE):
        """Until every record that was sent is stored, and no other."""
        wanted = self.ids()
        wait_for(lambda: all(self.mongod.ids(c) >= len(wanted[c]) for c in stack.RAW), seconds,
                 "the records are not all stored")
        for collection in stack.RAW:
            found = [document["_id"] for document in self.mongod.find(collection)]
            self.assertEqual(sorted(found), sorted(wanted[collection]))

    def wait_counted(self, processor):
        """Every record that was sent is counted, once, by one processor, and every offset behind
        them committed."""
        wanted = self.ids()
        counts = ("gtap_samples_total", "gtap_usages_total")
        processor.until(lambda: [processor.total(c) for c in counts] ==
                        [len(wanted[c]) for c in stack.RAW], "they are not all counted")
        processor.until(lambda: processor.total("gtap_kafka_commit_age_seconds") == 0 and
                        processor.total("gtap_kafka_commit_lag") == 0,
                        "offsets do not follow")
        for name in ("gtap_conflicts_total", "gtap_dead_letters_total", "gtap_refused_total"):
            self.assertEqual(processor.total(name), 0, name)

    def assert_verified(self):
        done = self.gtap.run("verify", "--store", f"{self.mongod.uri}/gtap", expect=None)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(" 0 differ", done.stdout)
