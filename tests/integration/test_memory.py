"""What a run may hold of memory: it does not grow with the number of records.

    test_memory.py --gtap BUILD/gtap [--only TEXT]
"""

import os
from pathlib import Path

import fakes
import gtap as support

LOAD = "synthetic:?gpus=24&rate=3.86&every=30s&price=2.5&duration=72h"  # 1.2 million records
PEAK_KIB = 160 * 1024  # SQLite's cache is 64 MiB of it
HOUR = "synthetic:?gpus=64&every=30s&rate=10&price=2.5&duration=65m"
READ_MAX = 5000  # MG_BATCH_MAX


class Memory(support.Case):
    def test_a_long_run_is_bounded(self):
        if b"__asan_" in Path(self.gtap.path).read_bytes():
            self.skipTest("a sanitizer holds more memory than what it watches")
        process = self.gtap.start("run", "--in", LOAD, "--out", self.gtap.store("long.db"),
                                  "--until-end")
        with process.stdout, process.stderr:
            said = process.stdout.read() + process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, said)
        self.assertLess(usage.ru_maxrss, PEAK_KIB)

    def test_mongodb_answers_in_parts(self):
        """Else an hour of a shard's rows comes in one piece of up to 16 MiB, which libmongoc takes
        twice, and what a process once held it goes on to hold."""
        mongod = fakes.FakeMongod()
        self.addCleanup(mongod.stop)
        store = f"{mongod.uri}/parts"
        self.gtap.meter(store, HOUR)
        stats = mongod.stats()
        rows = stats["collections"]["parts.cost_windows"]
        self.assertGreater(rows, 2 * READ_MAX)
        self.assertGreater(stats["collections"]["parts.cost_hours"], 0)  # rolled up
        exported = self.gtap.run("export", "cost_windows", "--store", store).stdout
        self.assertEqual(exported.count("\n"), rows)
        self.assertEqual(mongod.stats()["largest_batch"], READ_MAX)


if __name__ == "__main__":
    support.main(__name__)
