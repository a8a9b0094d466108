"""`gtap bench`: it measures what it says, whatever the date and the environment, and cleans up.

    test_bench.py --gtap BUILD/gtap [--only TEXT]
"""

import json
import os
from unittest import mock

import gtap as support


class Bench(support.Case):
    def bench(self, *args, **env):
        with mock.patch.dict(os.environ, env):
            done = self.gtap.run("bench", "--records", "2000", "--dir", self.gtap.folder, *args)
        self.assertEqual(os.listdir(self.gtap.folder), [], "it left something behind")
        return done.stdout

    def test_all_records_are_read_and_stored(self):
        rows = json.loads(self.bench("--json"))
        self.assertEqual([row["store"] for row in rows], ["null:", "sqlite:"])
        for row in rows:
            self.assertEqual(row["records"], 2000)
            self.assertGreater(row["records_per_second"], 0)

    def test_says_what_the_numbers_mean(self):
        self.assertRegex(self.bench(), r"keeps up with about\s[\d,]+ of them")

    def test_environment_does_not_make_the_load(self):
        rows = json.loads(self.bench("--json", RATE="none of your business"))
        self.assertEqual([row["records"] for row in rows], [2000, 2000])


if __name__ == "__main__":
    support.main(__name__)
