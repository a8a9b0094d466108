"""Runs of the whole program: orders of arrival, interruptions, kill -9, full disks.

    test_pipeline.py --gtap BUILD/gtap [--kills N] [--only TEXT]
"""

import os
import random
import signal
import sqlite3
import subprocess
import time

import gtap as support

REQUESTS = 6000


class Orders(support.Case):
    """Whatever way the same records come in, what is computed is the same, byte for byte."""

    def setUp(self):
        super().setUp()
        self.lines = support.records(REQUESTS)
        self.gtap.meter(self.gtap.store("plain.db"), self.write("plain.ndjson", self.lines))
        self.assert_verified(self.gtap.store("plain.db"))
        self.plain = self.gtap.computed(self.gtap.store("plain.db"))

    def assert_same(self, *files):
        store = self.gtap.store("other.db")
        self.gtap.meter(store, *files)
        self.assert_verified(store)
        self.assertEqual(self.gtap.computed(store), self.plain)

    def test_shuffled(self):
        lines = self.lines[:]
        random.Random(3).shuffle(lines)
        self.assert_same(self.write("shuffled.ndjson", lines))

    def test_hours_late(self):
        early = [line for i, line in enumerate(self.lines) if i % 7]
        late = [line for i, line in enumerate(self.lines) if i % 7 == 0]
        self.assert_same(self.write("late.ndjson", early + late))

    def test_backwards(self):
        self.assert_same(self.write("backwards.ndjson", self.lines[::-1]))

    def test_everything_twice(self):
        self.assert_same(self.write("twice.ndjson", self.lines + self.lines))

    def test_samples_and_requests_in_two_files(self):
        requests = [line for line in self.lines if '"model"' in line]
        samples = [line for line in self.lines if '"model"' not in line]
        self.assert_same(self.write("requests.ndjson", requests),
                         self.write("samples.ndjson", samples))

    def test_requests_first_samples_after(self):
        self.assert_same(self.write("sorted.ndjson", sorted(self.lines, key=lambda line:
                                                            '"model"' not in line)))

    def test_in_ten_runs(self):
        store = self.gtap.store("other.db")
        size = len(self.lines) // 10 + 1
        for i in range(10):
            part = self.lines[i * size:(i + 1) * size]
            self.gtap.meter(store, self.write(f"part{i}.ndjson", part))
        self.assert_verified(store)
        self.assertEqual(self.gtap.computed(store), self.plain)

    def test_a_file_that_grew(self):
        store = self.gtap.store("other.db")
        for upto in (len(self.lines) // 3, 2 * len(self.lines) // 3, len(self.lines)):
            self.gtap.meter(store, self.write("grown.ndjson", self.lines[:upto]))
        self.assert_verified(store)
        self.assertEqual(self.gtap.computed(store), self.plain)

    def test_exported_and_fed_back(self):
        lines = []
        for collection in ("gpu_metrics", "token_usage"):
            lines += self.gtap.run("export", collection, "--store",
                                   self.gtap.store("plain.db")).stdout.splitlines()
        self.assert_same(self.write("exported.ndjson", lines))


class Interruptions(support.Case):
    def setUp(self):
        super().setUp()
        self.lines = support.records(REQUESTS * 4, seed=2)
        self.input = self.write("load.ndjson", self.lines)
        self.gtap.meter(self.gtap.store("plain.db"), self.input)
        self.plain = self.gtap.computed(self.gtap.store("plain.db"))

    def stored(self):
        """Ids that are in the store now."""
        if not os.path.exists(self.gtap.file("killed.db")):
            return set()
        db = sqlite3.connect(f"file:{self.gtap.file('killed.db')}?mode=ro", uri=True)
        try:
            return {row[0] for table in ("gpu_metrics", "token_usage")
                    for row in db.execute(f"SELECT event_id FROM {table}")}
        except sqlite3.OperationalError:
            return set()  # killed before the schema was there
        finally:
            db.close()

    def kill_once(self, store, rng, seconds):
        """Killed at some moment within so many seconds, unless it ends before."""
        child = self.gtap.start("run", "--in", self.input, "--out", store, "--until-end")
        try:
            child.wait(timeout=rng.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            child.kill()
        child.communicate()
        return child.returncode == -signal.SIGKILL

    def test_killed_at_random_moments(self):
        """No acknowledged record is lost, none counted twice, and the end is the same."""
        store, rng = self.gtap.store("killed.db"), random.Random(5)
        begin = time.monotonic()
        self.gtap.meter(self.gtap.store("timing.db"), self.input)
        whole = time.monotonic() - begin
        before, killed, runs = set(), 0, 0
        while killed < support.ARGS.kills and runs < 40 * support.ARGS.kills:
            runs += 1
            begin = time.monotonic()
            if not self.kill_once(store, rng, whole):
                # As long as the last that ended: the machine may have been busier at the first.
                whole = min(whole, time.monotonic() - begin)
                self.start_over(before)
                before = set()
                continue
            killed += 1
            after = self.stored()
            self.assertTrue(before <= after, "an acknowledged record is gone")
            before = after
        self.gtap.meter(store, self.input)
        self.assert_verified(store)
        self.assertEqual(self.gtap.computed(store), self.plain)
        self.assertGreaterEqual(killed, support.ARGS.kills)

    def start_over(self, before):
        """The run came to its end; the next ones begin anew."""
        self.assertTrue(before <= self.stored())
        self.assert_verified(self.gtap.store("killed.db"))
        self.assertEqual(self.gtap.computed(self.gtap.store("killed.db")), self.plain)
        for suffix in ("", "-wal", "-shm"):
            path = self.gtap.file("killed.db" + suffix)
            if os.path.exists(path):
                os.unlink(path)

    def test_told_to_stop(self):
        """SIGTERM drains; the same command goes on."""
        store = self.gtap.store("stopped.db")
        fifo = self.gtap.file("pipe")
        os.mkfifo(fifo)
        child = self.gtap.start("run", "--in", f"file:{fifo}", "--in", "seed:", "--out", store)
        with open(fifo, "w", encoding="utf-8") as f:
            f.writelines(line + "\n" for line in self.lines[:2000])
            f.flush()
            self.wait_for(lambda: self.count(self.gtap.file("stopped.db")) >= 2000)
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=support.DEADLINE)
        self.assertEqual(child.returncode, 0)

    @staticmethod
    def count(path):
        if not os.path.exists(path):
            return 0
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return sum(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                       for table in ("gpu_metrics", "token_usage"))
        except sqlite3.OperationalError:
            return 0
        finally:
            db.close()


if __name__ == "__main__":
    support.main(__name__)
