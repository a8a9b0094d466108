"""gtap processor between a broker and a database that fail when told to: nothing is lost, nothing
counts twice, /ready says why it is not ready for as long as that lasts, /health stays well, and it
goes on by itself.

    test_processor_faults.py --gtap BUILD/gtap [--only TEXT]
"""

import gtap as support
import watched
from daemon import wait_for

STORE = "the store cannot be written"


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
        self.assertTrue(processor.says("the store is back"))
        self.finish(processor)

    def test_two_that_begin_a_store(self):
        """The first finds no mark of ours, the second begins the store, the first looks whether
        what is there now is somebody else's."""
        slow = self.mongod.fail("slow 3000 times 1 on find collection meta")
        two = [self.processor(uri="socketTimeoutMS=20000")]
        wait_for(lambda: self.mongod.hits(slow) == 1, 30, "it does not ask")
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
            processor.wait_unready(STORE, words, seconds=20)
            self.assertEqual(processor.total("gtap_store_up"), 0)
            self.assertGreater(self.mongod.hits(number), 0)
            self.assertGreater(processor.total("gtap_kafka_commit_lag"), 0)
        finally:
            self.mongod.clear()
            self.mongod.tell("primary")
        processor.wait_ready(seconds=20)
        self.wait_stored(seconds=20)
        self.wait_counted(processor)
        self.assertGreater(processor.total("gtap_store_retries_total"), retries)

    def finish(self, processor):
        processor.stop()
        self.processor("--until-end").wait()
        self.wait_stored()
        self.assert_verified()


if __name__ == "__main__":
    support.main(__name__)
