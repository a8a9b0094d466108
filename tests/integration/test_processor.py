"""Kafka -> processors -> MongoDB, on real servers: whatever the records, their order and the way,
the rows are those that one machine computes.

    test_processor.py --gtap BUILD/gtap
"""

import adversary
import gtap as support
import stack


class SameRows(stack.Case):
    def test_two_processors(self):
        for seed in (1, 2):
            with self.subTest(seed=seed):
                self.tearDown()
                self.setUp()
                lines = adversary.Cluster(seed).lines()
                two = [self.processor(), self.processor()]
                self.produce(lines)
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


if __name__ == "__main__":
    support.main(__name__)
