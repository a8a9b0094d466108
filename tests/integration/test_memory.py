"""What a run may hold of memory: it does not grow with the number of records.

    test_memory.py --gtap BUILD/gtap [--only TEXT]
"""

import os
from pathlib import Path

import gtap as support

LOAD = "synthetic:?gpus=24&rate=3.86&every=30s&price=2.5&duration=72h"  # 1.2 million records
PEAK_KIB = 160 * 1024  # SQLite's cache is 64 MiB of it


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


if __name__ == "__main__":
    support.main(__name__)
