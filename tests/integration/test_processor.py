"""Kafka -> processors -> MongoDB, on real servers: whatever the records, their order and the way,
the rows are those that one machine computes; members and servers that come and go; what becomes of
messages that are not as they should be; and the commands that read what is stored.

    test_processor.py --gtap BUILD/gtap [--only TEXT]
"""

import json
import time

import adversary
import gtap as support
import stack
import watched
from daemon import wait_for

ASSIGNED = "gtap_kafka_assigned_partitions"
REBALANCES = "gtap_kafka_rebalances_total"


class SameRows(watched.Real):
    def test_two_processors(self):
        lines = adversary.Cluster(1).lines()
        two = [self.processor(), self.processor()]
        self.produce(lines)
        self.wait_stored(lines)
        for one in two:
            one.stop()
        self.finish()
        self.assert_as_one_machine(lines)

    def test_from_an_agent(self):
        """The whole way, with a producer of ours."""
        lines = adversary.Cluster(2, minutes=10).lines()
        two = [self.processor(), self.processor()]
        self.gtap.run("agent", "--bootstrap", self.kafka.bootstrap, "--topic-metric",
                      self.topics[0], "--topic-token", self.topics[1], "--spool",
                      self.gtap.file("spool"), "--in", self.write("in.ndjson", lines))
        self.wait_stored(lines)
        for one in two:
            one.stop()
        self.finish()
        self.assert_as_one_machine(lines)

    def test_one_topic_of_both_kinds(self):
        self.topics = [f"tokens.{self.mark}"]
        self.kafka.create_topic(self.topics[0], partitions=stack.PARTITIONS)
        lines = adversary.Cluster(3, minutes=10).lines()
        self.produce(lines)
        self.finish()
        self.assert_as_one_machine(lines)

    def processor_args(self, *more):
        args = super().processor_args(*more)
        return (*args, "--topic", self.topics[0]) if len(self.topics) == 1 else args


class Members(watched.Real):
    """Processors join, leave, and are killed; servers restart, and are away for a while."""

    def load(self, seed, parts):
        """A small set of records in so many parts, in the order of arrival."""
        lines = adversary.Cluster(seed, hosts=4, gpus=2, minutes=4, rate=1.0).lines()
        size = len(lines) // parts + 1
        return lines, [lines[i:i + size] for i in range(0, len(lines), size)]

    def share(self, *members):
        """Each has some, and together they have all."""
        def shared():
            parts = [one.total(ASSIGNED) for one in members]
            return all(parts) and sum(parts) == 2 * stack.PARTITIONS
        wait_for(shared, complaint="partitions are not shared out")

    def end_as_one_machine(self, lines, *members):
        self.wait_stored(lines)
        for one in members:
            one.stop()
        self.finish()
        self.assert_as_one_machine(lines)

    def test_members_that_come_and_go(self):
        lines, parts = self.load(4, 4)
        first = self.processor()
        first.wait_ready()
        self.produce(parts[0])
        second = self.processor()
        self.produce(parts[1])
        self.share(first, second)
        first.until(lambda: first.total(REBALANCES, 'kind="revoked"') > 0, "nothing is revoked")
        first.until(lambda: first.total("gtap_shards_taken_total", 'kept="yes"') > 0,
                    "it keeps nothing")
        first.stop()
        self.produce(parts[2])
        second.until(lambda: second.total(ASSIGNED) == 2 * stack.PARTITIONS,
                     "what was left is not taken")
        second.kill()
        third = self.processor()
        self.produce(parts[3])
        self.end_as_one_machine(lines, third)

    def static(self, name):
        """Its place is kept for twice as long as others', in which it has to be back after a kill."""
        return self.processor("--kafka-property", f"group.instance.id={name}", "--kafka-property",
                              "session.timeout.ms=12000")

    def test_static_members(self):
        lines, parts = self.load(5, 2)
        first, second = self.static("a"), self.static("b")
        self.produce(parts[0])
        self.share(first, second)
        self.wait_stored(parts[0])
        before = second.total(REBALANCES)
        first.kill()
        first = self.static("a")
        self.share(first, second)
        self.produce(parts[1])
        self.wait_stored(lines)
        self.assertEqual(second.total(REBALANCES), before, "it was made to give something up")
        other = self.static("b")
        second.wait(expect=3)
        self.assertTrue(second.says("another member of group"), second.said)
        self.end_as_one_machine(lines, first, other)

    def test_servers_that_restart(self):
        """The broker for longer than the session of a member, the database kill -9."""
        lines, parts = self.load(6, 3)
        one = self.processor()
        one.wait_ready()
        self.produce(parts[0])
        self.kafka.kill()
        one.wait_unready("no input can be read")
        self.assertEqual(one.total("gtap_input_up"), 0)
        back = time.monotonic() + 7
        wait_for(lambda: time.monotonic() > back, 10, "time stands still")
        self.kafka.start()
        one.wait_ready()
        one.until(lambda: one.says("is back"), "it does not say that it is back")
        self.mongo.kill()
        self.produce(parts[1])
        one.wait_unready("the store cannot be written", "cannot be reached")
        self.mongo.start()
        one.wait_ready()
        self.kafka.restart()
        self.produce(parts[2])
        self.end_as_one_machine(lines, one)


class Letters(watched.Real):
    def letters(self, count):
        """What is in the topic of dead letters: {payload: headers}."""
        client = stack.kafka.client()
        reader = client.Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "letters",
                                  "auto.offset.reset": "earliest", "log_level": 2})
        self.addCleanup(reader.close)
        reader.assign([client.TopicPartition(self.dlq, p, 0) for p in range(stack.PARTITIONS)])
        found = []
        def read():
            found.extend(m for m in reader.consume(100, 0.2) if m.error() is None)
            return len(found) >= count
        wait_for(read, complaint=f"there are not {count} dead letters, but {len(found)}")
        self.assertEqual(len(found), count)
        return {m.value(): {k: v.decode() for k, v in m.headers()} for m in found}

    def bad(self):
        """Payloads that no record is made of, and a word of the reason."""
        good = json.loads(support.records(1, seed=7)[-1])
        ahead = json.dumps({**good, "event_id": "ahead", "ts": time.time() + 7200})
        return {b"{not json": "JSON",
                json.dumps({**good, "prompt_tokens": "many"}).encode(): "prompt_tokens",
                json.dumps({**good, "latency_ms": -1}).encode(): "latency_ms",
                b"[]": "", b"": "", ahead.encode(): "ahead"}

    def test_what_is_no_record(self):
        good = support.records(5, seed=8, gpus=1)
        usage = next(line for line in good if "model" in json.loads(line))
        conflict = json.dumps({**json.loads(usage), "prompt_tokens": 4}).encode()
        one = self.processor()
        self.produce(good)
        self.wait_stored(good)
        bad = self.bad()
        producer = stack.kafka.client().Producer({"bootstrap.servers": self.kafka.bootstrap})
        for payload in [*bad, conflict]:
            producer.produce(self.topics[1], payload or None, "gpu-01", partition=3)
        self.assertEqual(producer.flush(30), 0)
        letters = self.letters(len(bad) + 1)
        self.wait_committed(len(good) + len(bad) + 1)
        for payload, word in {**bad, conflict: "another"}.items():
            headers = letters[payload or None] if payload else letters.get(None, letters.get(b""))
            self.assertIn(word, headers["gtap.reason"])
            origin = f"event_id:{json.loads(usage)['event_id']}"
            if payload != conflict:
                origin = rf"kafka:{self.topics[1]}/3/\d+"
            self.assertRegex(headers["gtap.origin"], f"^{origin}$")
        stored = list(self.db.dead_letters.find({}))
        self.assertEqual(len(stored), len(bad) + 1)
        self.assertEqual(sorted(d["reason"] for d in stored),
                         sorted(h["gtap.reason"] for h in letters.values()))
        one.until(lambda: (one.total("gtap_dead_letters_total"), one.total("gtap_conflicts_total"))
                  == (len(bad), 1), "they are not counted")
        one.stop()
        self.finish()
        self.assert_as_one_machine(good)

    def test_first_producers(self):
        """No key, no event_id, no host: what the mission's first producers send has a cost."""
        self.topics = [f"tokens.{self.mark}"]
        self.kafka.create_topic(self.topics[0], partitions=stack.PARTITIONS)
        lines = []
        for line in support.records(8, seed=9, gpus=1):
            record = json.loads(line)
            for name in ("host", "event_id"):
                del record[name]
            lines.append(json.dumps(record))
        one = self.processor("--topic", self.topics[0], "--assume-host", "vm4")
        self.produce(lines, keyed=False)
        wait_for(lambda: self.db.token_usage.count_documents({}) == 8,
                 complaint="they are not stored")
        one.until(lambda: one.total("gtap_kafka_unkeyed_total") == len(lines),
                  "messages without a key are not counted")
        one.until(lambda: sum(self.committed().values()) ==
                  len(lines) + one.total("gtap_kafka_forwarded_total"), "offsets do not follow")
        one.stop()
        self.processor("--topic", self.topics[0], "--assume-host", "vm4", "--until-end").wait()
        for document in self.db.token_usage.find({}):
            self.assertEqual(document["host"], "vm4")
            self.assertGreater(document["cost_per_token"], 0)
            self.assertTrue(document["final"])
            self.assertRegex(document["_id"], rf"^{self.topics[0]}/\d+/\d+$")
        self.assertEqual(self.db.dead_letters.count_documents({}), 0)
        self.assert_verified()


class Topics(watched.Real):
    def refused(self, status, *words):
        one = self.processor()
        one.wait(expect=status)
        for word in words:
            self.assertTrue(one.says(word), f"{word}: {one.said}")

    def test_topics_that_there_are_not(self):
        self.topics = [f"gpu.made.{self.mark}", f"token.made.{self.mark}"]
        self.dlq = f"dlq.made.{self.mark}"
        self.refused(3, "there is no topic", "--create-topics")
        one = self.processor("--create-topics")
        one.wait_ready()
        one.until(lambda: one.says("created 3 topics"), "it does not say what it made")
        for topic in (*self.topics, self.dlq):
            self.assertEqual(len(self.kafka.describe(topic)), 12)
        one.stop()
        one = self.processor("--create-topics")
        one.wait_ready()
        self.assertFalse(one.says("created"))
        one.stop()

    def test_topics_that_do_not_pair_up(self):
        self.topics[1] = f"token.six.{self.mark}"
        self.kafka.create_topic(self.topics[1], partitions=6)
        self.refused(2, "has 12 partitions", "has 6", "--alter", "--partitions 12")

    def test_a_store_with_another_number_of_shards(self):
        lines = support.records(3, seed=10, gpus=1)
        self.gtap.meter(self.store_uri, self.write("three.ndjson", lines))
        self.refused(2, "has 12 shards", "are in 1: give it a store of its own")


class Commands(watched.Real):
    def test_what_is_stored_is_read_and_corrected(self):
        lines = support.records(30, seed=11, gpus=2)
        lines = [json.dumps({k: v for k, v in json.loads(line).items()
                             if k != "price_per_hour_usd"}) for line in lines]
        self.produce(lines)
        self.finish()
        store = ("--store", self.store_uri)
        report = json.loads(self.gtap.run("report", *store, "--format", "json").stdout)
        self.assertTrue(report)
        self.assertTrue(all(row["cost_nusd"] is None
                            for row in self.gtap.export("token_usage", self.store_uri)))
        self.assertEqual(len(self.gtap.export("gpu_metrics", self.store_uri)), len(lines) - 30)
        self.gtap.run("price", "add", "NVIDIA H100*", "2.95", "--from", "2025-01-01", *store)
        self.assertIn("2.95", self.gtap.run("price", "list", *store).stdout)
        self.assertEqual(self.gtap.run("verify", *store, expect=1).returncode, 1)
        one = self.processor()
        one.wait_ready()
        done = self.gtap.run("recompute", *store, expect=3)
        self.assertIn("is being written by process", done.stderr)
        self.assertIn("stop that one", done.stderr)
        one.stop()
        self.gtap.run("recompute", *store)
        self.assert_verified()
        costs = [row["cost_nusd"] for row in self.gtap.export("token_usage", self.store_uri)]
        self.assertTrue(all(cost is not None for cost in costs))
        self.assertIn("2.95", json.dumps(self.gtap.export("price_book", self.store_uri)))


class Newer(watched.Real):
    """Kafka 4.3.1."""

    kafka_options = {"version": "4.3.1"}

    def test_two_processors(self):
        lines = adversary.Cluster(12, hosts=3, gpus=2, minutes=4).lines()
        two = [self.processor(), self.processor()]
        self.produce(lines)
        self.wait_stored(lines)
        for one in two:
            one.stop()
        self.finish()
        self.assert_as_one_machine(lines)


if __name__ == "__main__":
    support.main(__name__)
