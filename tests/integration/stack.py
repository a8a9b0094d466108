"""The whole pipeline for tests: brokers and a database that the cases of a class share, topics,
group and database of each case's own, processors and agents as processes, and an oracle that says
what must be in the store in the end."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import uuid

import adversary
import gtap as support

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "support"))

import kafka  # noqa: E402
import mongo  # noqa: E402
from daemon import wait_for  # noqa: E402

PARTITIONS = 12
RAW = ("gpu_metrics", "token_usage")


def kind_of(record):
    return "token_usage" if "model" in record else "gpu_metrics"


class Process:
    """A gtap that goes on by itself; what it says on stderr is in `said`."""

    def __init__(self, case, *args, env=None):
        self.case, self.said = case, []
        case.gtap.hear(f"gtap {' '.join(args)}", lambda: "".join(self.said))
        self.child = subprocess.Popen(
            [case.gtap.path, *args], cwd=case.gtap.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(env or {})})
        self.reader = threading.Thread(target=self._listen, daemon=True)
        self.reader.start()
        case.addCleanup(self.kill)

    def _listen(self):
        for line in self.child.stderr:
            self.said.append(line)

    def says(self, text):
        return any(text in line for line in self.said)

    def kill(self):
        """As a power cut would."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.reader.join(support.DEADLINE)
        self.child.stderr.close()

    def stop(self, expect=0, seconds=support.DEADLINE):
        self.child.send_signal(signal.SIGTERM)
        return self.wait(expect, seconds)

    def wait(self, expect=0, seconds=support.DEADLINE):
        status = self.child.wait(seconds)
        self.reader.join(support.DEADLINE)
        if expect is not None and status != expect:
            raise AssertionError(f"it ended with {status}, not {expect}:\n{''.join(self.said)}")
        return status


class Case(support.Case):
    """A case with topics, a group and a database of its own on servers that its class shares."""

    brokers, kafka_options, mongo_options = 1, {}, {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        holder = tempfile.TemporaryDirectory(prefix="gtap-stack-")
        cls.addClassCleanup(holder.cleanup)
        cls.kafka = kafka.Cluster(os.path.join(holder.name, "kafka"), brokers=cls.brokers,
                                  **cls.kafka_options)
        cls.addClassCleanup(cls.kafka.kill)
        cls.mongo = cls.database_server(os.path.join(holder.name, "mongo"))
        cls.kafka.start()
        cls.mongo.start()

    @classmethod
    def database_server(cls, folder):
        uri = os.environ.get(mongo.ELSEWHERE)
        if uri:
            server = mongo.Elsewhere(uri)
            cls.addClassCleanup(server.drop)
            return server
        server = mongo.Server(folder, **cls.mongo_options)
        cls.addClassCleanup(server.kill)
        cls.addClassCleanup(server.disconnect)
        return server

    def setUp(self):
        super().setUp()
        self.mark = uuid.uuid4().hex[:8]
        self.topics = [f"gpu.{self.mark}", f"token.{self.mark}"]
        self.dlq, self.group = f"dlq.{self.mark}", f"group-{self.mark}"
        self.database = f"{self.mongo.name}_{self.mark}"
        self.store_uri = re.sub(rf"/{self.mongo.name}(?=\?|$)", f"/{self.database}",
                                self.mongo.uri)
        self.addCleanup(self.drop_database)
        for topic in (*self.topics, self.dlq):
            self.kafka.create_topic(topic, partitions=PARTITIONS)

    def drop_database(self):
        with contextlib.suppress(Exception):  # the case may have ended the server
            self.db.client.drop_database(self.database)

    @property
    def db(self):
        return self.mongo.database.client[self.database]

    # Producing

    def produce(self, lines, keyed=True, topics=None):
        """As other people's producers send them."""
        producer = kafka.client().Producer({
            "bootstrap.servers": self.kafka.bootstrap, "linger.ms": 20,
            "partitioner": "murmur2_random", "enable.idempotence": True})
        topics = topics or self.topics
        for line in lines:
            record = json.loads(line)
            topic = topics[-1] if "model" in record else topics[0]
            key = record.get("host") if keyed else None
            producer.produce(topic, line, key)
            producer.poll(0)
        self.assertEqual(producer.flush(support.DEADLINE), 0)

    # Processing

    def processor_args(self, *more):
        return ("processor", "--bootstrap", self.kafka.bootstrap, "--topic-metric", self.topics[0],
                "--topic-token", self.topics[-1], "--dlq-topic", self.dlq, "--group", self.group,
                "--listen", "127.0.0.1:0", *more)

    def processor(self, *more, env=None):
        return Process(self, *self.processor_args(*more),
                       env={"MONGODB_URI": self.store_uri, **(env or {})})

    def finish(self):
        """Everything that is in the topics is stored, final and settled."""
        self.processor("--until-end").wait()

    def stored_ids(self, collection):
        return {document["_id"] for document in self.db[collection].find({}, {"_id": 1})}

    def wait_stored(self, lines, seconds=support.DEADLINE):
        """Until every record of the lines is in the store, and no other."""
        wanted = self.ids(lines)
        def there():
            return all(self.db[c].count_documents({}) >= len(wanted[c]) for c in RAW)
        try:
            wait_for(there, seconds, "the records are not all stored")
        finally:
            for collection in RAW:
                found = self.stored_ids(collection)
                for what, ids in (("invented", found - wanted[collection]),
                                  ("lost", wanted[collection] - found)):
                    self.assertEqual(len(ids), 0, f"{what} in {collection}: {sorted(ids)[:3]}")

    @staticmethod
    def ids(lines):
        wanted = {collection: set() for collection in RAW}
        for line in lines:
            record = json.loads(line)
            wanted[kind_of(record)].add(record["event_id"])
        return wanted

    # Comparing

    def rows(self, store):
        return {"token_usage": sorted(map(adversary.same_shape,
                                          self.gtap.export("token_usage", store))),
                "cost_windows": sorted(map(adversary.same_shape, adversary.unplaced_together(
                    self.gtap.export("cost_windows", store))))}

    def assert_as_one_machine(self, lines):
        """The store has what `gtap run` on one machine makes of the same records."""
        plain = self.gtap.store(f"plain-{uuid.uuid4().hex[:6]}.db")
        self.gtap.meter(plain, self.write("plain.ndjson", lines))
        wanted, found = self.rows(plain), self.rows(self.store_uri)
        for collection, rows in wanted.items():
            there = set(found[collection])
            missing = [row for row in rows if row not in there]
            self.assertEqual(missing[:3], [], f"{len(missing)} rows of {collection} are missing")
            self.assertEqual(found[collection], rows)
        self.assert_verified()

    def assert_verified(self):
        done = self.gtap.run("verify", "--store", self.store_uri, expect=None)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
