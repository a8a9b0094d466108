"""gtap processor between a broker and a database that fail when told to: nothing is lost, nothing
counts twice, /ready says why it is not ready for as long as that lasts, /health stays well, and it
goes on by itself.

    test_processor_faults.py --gtap BUILD/gtap [--only TEXT]
"""

import json
import time

import fakes
import gtap as support
import watched
from daemon import wait_for

STORE = "the store cannot be written"
DRAINED_S = 25  # what docs/operations.md says that a processor takes which is told to stop


class Database(watched.Faked):
    # What goes wrong, and what /ready says of it. Those that apply the write and hide the answer
    # are the ones that double where somebody does not look.
    FAULTS = (
        ("stall", "does not answer"),
        ("stall-after on insert", "does not answer"),
        ("reset on insert", "connection broke"),
        ("lost on insert", "connection broke"),
        ("drop on insert,update", "connection broke"),
        ("not-primary", "changing its primary"),
        ("shutdown", "changing its primary"),
        ("write-concern", "not acknowledged by a majority"),
        ("rolled-back on insert", "not acknowledged by a majority"),
        ("quota", "quota"),
        ("unauthorized", "not authorised"),
        ("error 14031", "disk is full"),
        ("error 424242", "error 424242"),
        ("partial 3 50 on insert", "took too long"),
    )

    def test_each_fault(self):
        processor = self.processor()
        processor.wait_ready()
        for fault, words in self.FAULTS:
            with self.subTest(fault=fault):
                self.check_fault(processor, fault, words)
        self.wait_counted(processor)
        processor.until(lambda: processor.says("the store is back"), "it does not say so")
        self.finish(processor)

    def test_two_that_begin_a_store(self):
        """The first finds no mark of ours, the second begins the store, the first looks whether
        what is there now is somebody else's."""
        slow = self.mongod.fail("slow 3000 times 1 on find collection meta")
        two = [self.processor(uri="socketTimeoutMS=20000")]
        wait_for(lambda: self.mongod.hits(slow) == 1, complaint="it does not ask")
        two.append(self.processor(uri="socketTimeoutMS=20000"))
        for one in two:
            one.wait_ready()
        self.produce(self.lines(12))
        self.wait_stored()
        for one in two:
            one.stop()

    def check_fault(self, processor, fault, words):
        retries = processor.total("gtap_store_retries_total")
        number = self.mongod.fail(fault)
        try:
            self.produce(self.lines(12))
            processor.wait_unready(STORE, words)
            self.assertEqual(processor.total("gtap_store_up"), 0)
            self.assertGreater(self.mongod.hits(number), 0)
            self.assertGreater(processor.total("gtap_kafka_commit_lag"), 0)
        finally:
            self.mongod.clear()
            self.mongod.tell("primary")
        processor.wait_ready()
        self.wait_stored()
        self.assertGreater(processor.total("gtap_store_retries_total"), retries)

    def finish(self, *processors):
        for one in processors:
            one.stop()
        self.processor("--until-end").wait()
        self.wait_stored()
        self.assert_verified()

    def test_documents_that_it_does_not_take(self):
        """Somebody's validator, or an index of theirs: those records are dead letters."""
        self.mongod.fail("validation model forbidden")
        processor = self.processor()
        good, bad = self.lines(8), self.lines(1, model="forbidden")
        bad = [line for line in bad if "power_w" not in json.loads(line)]
        self.produce(good)
        kept = list(self.sent)
        self.produce(bad)
        processor.until(lambda: processor.total("gtap_refused_total") == 1, "not refused")
        processor.until(lambda: processor.total("gtap_kafka_commit_lag") == 0,
                        "offsets do not follow")
        processor.wait_ready()
        self.sent = kept
        self.wait_stored()
        letter, = self.mongod.find("dead_letters")
        self.assertIn("forbidden", letter["payload"])
        self.assertIn("validation", letter["reason"])
        processor.stop()

    def test_away_at_the_start(self):
        self.mongod.tell("down")
        processor = self.processor()
        processor.wait_unready("the run has not begun")
        processor.wait_unready(STORE, "cannot be reached")
        processor.until(lambda: processor.says("cannot be reached"), "it does not say why")
        self.produce(self.lines(12))
        self.mongod.tell("up")
        processor.wait_ready()
        self.wait_stored()
        self.wait_counted(processor)
        self.finish(processor)

    def test_told_to_stop_while_the_database_is_away(self):
        """One refuses connections, another, of a second group, never answers a write, for as long
        as the time-out of a call lasts (30 s). With the time-outs that there are by default."""
        silent = fakes.FakeMongod()
        self.addCleanup(silent.stop)
        two = [self.processor(uri=""),
               self.processor("--group", "other", uri="", mongod=silent)]
        refusing = two[0]
        for one in two:
            one.wait_ready()
        self.produce(self.lines(12))
        for one in two:
            self.wait_counted(one)
        self.mongod.tell("down")
        stall = silent.fail("stall-after on insert")
        self.produce(self.lines(12))
        refusing.wait_unready(STORE, "cannot be reached")
        wait_for(lambda: silent.hits(stall) > 0, complaint="it does not write")
        began = time.monotonic()
        for one in two:
            one.child.terminate()
        refusing.wait_unready("told to stop")
        for one in two:
            one.wait()
            print(f"# ended {time.monotonic() - began:.1f} s after it was told to")
        # Of which 21 are waited for here: how long it tries is exact in
        # tests/unit/pipeline/test_patience.c; the rest is for a busy machine.
        self.assertLess(time.monotonic() - began, DRAINED_S)
        for one in two:
            self.assertTrue(one.says("was not acknowledged, and comes again"), one.said)
        self.assertTrue(refusing.says("stopped while the store could not be written"))
        self.mongod.tell("up")
        self.finish()

    def test_told_to_stop_while_the_brokers_are_away(self):
        one = self.processor()
        one.wait_ready()
        self.produce(self.lines(12))
        self.wait_stored()
        self.kafka.tell("broker down all")
        one.wait_unready("no input can be read")
        began = time.monotonic()
        one.stop()
        self.assertLess(time.monotonic() - began, DRAINED_S)
        self.kafka.tell("broker up all")
        self.finish()


class Broker(watched.Faked):
    brokers = 2

    def setUp(self):
        super().setUp()
        for topic in (*self.topics, self.dlq):
            for partition in range(self.partitions):
                self.kafka.tell(f"leader {topic} {partition} 1")

    def test_the_coordinator_moves(self):
        self.kafka.tell("coordinator group processor 1")
        processor = self.processor()
        processor.wait_ready()
        self.produce(self.lines(12))
        self.wait_counted(processor)
        for broker in (2, 1):
            self.kafka.tell(f"coordinator group processor {broker}")
            self.produce(self.lines(12))
            self.wait_stored()
            self.wait_counted(processor)
        processor.wait_ready()
        processor.stop()

    def test_commits_that_fail(self):
        processor = self.processor()
        processor.wait_ready()
        for error in ("NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS", "REBALANCE_IN_PROGRESS",
                      "REQUEST_TIMED_OUT"):
            with self.subTest(error=error):
                self.kafka.tell(f"error OffsetCommit {error} 2")
                self.produce(self.lines(12))
                self.wait_stored()
                self.wait_counted(processor)
        # librdkafka repeats some of them itself; those are not counted.
        self.assertGreater(processor.total("gtap_kafka_commit_failures_total"), 0)
        processor.wait_ready()
        processor.stop()

    def test_a_partition_without_a_leader(self):
        processor = self.processor()
        processor.wait_ready()
        first = self.lines(12, host="h1") + self.lines(12, host="h2") + self.lines(12, host="h3")
        self.produce(first)
        self.wait_counted(processor)
        self.kafka.tell(f"leader {self.topics[1]} 0 -1")
        others = [host for host, partition in self.places.items() if partition == 1]
        self.assertTrue(0 < len(others) < len(self.places), self.places)
        for host in others:
            self.produce(self.lines(12, host=host))
        self.wait_stored()  # they go on meanwhile
        self.kafka.tell(f"leader {self.topics[1]} 0 2")
        self.produce(self.lines(12, host="h1") + self.lines(12, host="h2"))
        self.wait_stored()
        self.wait_counted(processor)
        processor.wait_ready()
        processor.stop()

    def test_dead_letters_that_are_not_taken(self):
        """The offset does not pass a letter that Kafka has not acknowledged."""
        self.producer.produce(self.topics[1], "{nonsense", "h1")
        self.assertEqual(self.producer.flush(support.DEADLINE), 0)
        self.kafka.tell("error Produce INVALID_REQUIRED_ACKS 1000")
        processor = self.processor()
        processor.wait_unready(STORE, "dead letter")
        processor.until(lambda: processor.total("gtap_kafka_commit_age_seconds") > 0.5,
                        "the offset has passed it")
        self.kafka.tell("clear Produce")
        processor.wait_ready()
        processor.until(lambda: processor.total("gtap_kafka_commit_age_seconds") == 0,
                        "offsets do not follow")
        letter, = self.mongod.find("dead_letters")
        self.assertEqual(letter["payload"], "{nonsense")
        processor.stop()


if __name__ == "__main__":
    support.main(__name__)
