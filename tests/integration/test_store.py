"""The store in SQLite from outside: full disks, files that cannot be written, foreign and damaged
files, two writers, readers beside a writer, logs of the dead, retention.

    test_store.py --gtap BUILD/gtap [--only PATTERN]
"""

import contextlib
import datetime
import json
import os
import random
import re
import resource
import shlex
import shutil
import sqlite3
import subprocess
import sys
import threading

import gtap as support
from store_case import Case, COULD_NOT, Feeder, Namespace

REQUESTS = 3000
PAGE = 16384


class FullDisk(Case):
    """Nothing that was acknowledged is lost, and the same command goes on when there is room."""

    def setUp(self):
        super().setUp()
        self.input = self.write("day.ndjson", support.records(10 * REQUESTS))
        self.gtap.meter(self.gtap.store("plain.db"), self.input)
        self.plain = self.gtap.computed(self.gtap.store("plain.db"))

    def assert_says_what_is_safe(self, done, why):
        self.assert_refused(done, why)
        if "Nothing of this run is stored yet" in done.stderr:
            return 0
        kept = re.search(r"([\d,]+) records? of this run (is|are) stored and safe; nothing after",
                         done.stderr)
        self.assertIsNotNone(kept, done.stderr)
        self.assertIn("run the same command again: it goes on", done.stderr)
        return int(kept.group(1).replace(",", ""))

    def test_a_small_disk(self):
        space = Namespace(self)
        disk = self.gtap.file("disk")
        os.mkdir(disk)
        space.mount("-t", "tmpfs", "-o", "size=64m", "gtap", disk)
        store, ballast = f"sqlite:{disk}/t.db", f"{disk}/ballast"
        command = ("run", "--in", self.input, "--out", store, "--until-end")
        kept = failures = 0
        for left in (0, 1 << 16, 1 << 18, 1 << 20, 1 << 21, 1 << 21, 3 << 20, 1 << 22, 1 << 22):
            space.run("rm", "-f", ballast)
            room = f"$(( $(stat -f -c %a*%S {disk}) - {left} ))"
            space.run("sh", "-c", f"[ {room} -le 0 ] || fallocate -l {room} {ballast}")
            done = space.gtap(*command)
            if done.returncode == 0:
                break
            failures += 1
            kept += self.assert_says_what_is_safe(done, "the disk is full")
            self.assertIn("Free some space", done.stderr)
        self.assertGreater(failures, 4)
        self.assertGreater(kept, 0)
        space.run("rm", ballast)
        found = sum(len(space.gtap("export", name, "--store", store, expect=0).stdout.splitlines())
                    for name in ("token_usage", "gpu_metrics"))
        self.assertGreaterEqual(found, kept)
        space.gtap(*command, expect=0)
        space.run("cp", f"{disk}/t.db", self.gtap.file("disk.db"))
        self.assert_same("disk.db")

    def assert_same(self, name):
        self.assert_verified(self.gtap.store(name))
        self.assertEqual(self.gtap.computed(self.gtap.store(name)), self.plain)

    def run_limited(self, size, *args):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        child = self.gtap.start(*args, preexec_fn=limit)
        out, err = child.communicate(timeout=support.DEADLINE)
        return subprocess.CompletedProcess(args, child.returncode, out, err)

    def test_files_may_not_grow(self):
        """The kernel's limit on the size of files: at work everywhere, without any mount."""
        store, failures, size = self.gtap.store("limited.db"), 0, 100
        while True:
            done = self.run_limited(size, "run", "--in", self.input, "--out", store, "--until-end")
            if done.returncode == 0:
                break
            self.assert_says_what_is_safe(done, "the file may not grow any more")
            failures += 1
            size = int(size * 1.7) + 4711
        self.assertGreater(failures, 5)
        self.assert_same("limited.db")

    def test_a_price_on_a_full_disk(self):
        store = self.gtap.store("plain.db")
        done = self.run_limited(100, "price", "add", "NVIDIA H100*", "2.95", "--store", store)
        self.assert_refused(done, "the file may not grow any more", "Nothing was changed",
                            "same command again")
        self.gtap.run("price", "add", "NVIDIA H100*", "2.95", "--store", store)
        self.assertEqual(len(self.gtap.export("price_book", store)), 1)


class ReadOnly(Case):
    def setUp(self):
        super().setUp()
        self.input = self.write("day.ndjson", support.records(300))
        os.mkdir(self.gtap.file("kept"))
        self.path = self.gtap.file("kept/t.db")
        self.store = f"sqlite:{self.path}"
        self.gtap.meter(self.store, self.input)
        self.before = self.bytes_of("kept/t.db")
        os.chmod(self.gtap.folder, 0o755)

    def as_nobody(self, *args):
        """As a user whom permissions hold back."""
        command = [self.gtap.path, *args]
        if os.geteuid() == 0:
            own = self.gtap.file("gtap")  # the build's folders may be closed to others
            shutil.copy(self.gtap.path, own)
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", own, *args]
        return subprocess.run(command, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, cwd=self.gtap.folder,
                              timeout=support.DEADLINE)

    def assert_unwritable(self, run, *words):
        done = run("run", "--in", self.input, "--out", self.store, "--until-end")
        self.assert_refused(done, *words, "Nothing of this run is stored yet",
                            "Make it writable and run the same command again")
        done = run("price", "add", "NVIDIA H100*", "2.95", "--store", self.store)
        self.assert_refused(done, *words, "Nothing was changed. Make it writable")
        self.assertEqual(self.bytes_of("kept/t.db"), self.before)

    def assert_readable(self, run):
        for command in (("report",), ("export", "token_usage"), ("verify",)):
            done = run(*command, "--store", self.store)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_file(self):
        os.chmod(self.path, 0o444)
        os.chmod(os.path.dirname(self.path), 0o777)
        self.assert_unwritable(self.as_nobody, "cannot be written: Permission denied")
        self.assert_readable(self.as_nobody)

    def test_a_folder(self):
        os.chmod(self.path, 0o666)
        os.chmod(os.path.dirname(self.path), 0o555)
        self.addCleanup(os.chmod, os.path.dirname(self.path), 0o755)
        done = self.as_nobody("run", "--in", self.input, "--out", self.store, "--until-end")
        self.assert_refused(done, "t.db-lock: Permission denied", "Make it writable")
        self.assert_readable(self.as_nobody)

    def test_a_file_nobody_may_read(self):
        os.chmod(self.path, 0o600 if os.geteuid() == 0 else 0)
        done = self.as_nobody("report", "--store", self.store)
        self.assert_refused(done, "cannot be read: Permission denied", "a user who may read it")

    def test_a_medium(self):
        space = Namespace(self)
        folder = os.path.dirname(self.path)
        space.mount("--bind", folder, folder)
        space.mount("-o", "remount,bind,ro", folder)
        self.assert_unwritable(space.gtap, "Read-only file system")
        self.assert_readable(space.gtap)

    def test_a_medium_with_a_log(self):
        """Its writer died before the medium became read-only."""
        feeder = Feeder(self, self.gtap.store("kept/dead.db"), support.records(300))
        feeder.feed(500)
        self.wait_for(lambda: os.path.exists(self.gtap.file("kept/dead.db"))
                   and os.path.getsize(self.gtap.file("kept/dead.db")) > 0
                   and self.stored_or_none("kept/dead.db"))
        feeder.kill()
        space = Namespace(self)
        folder = os.path.dirname(self.path)
        space.mount("--bind", folder, folder)
        space.mount("-o", "remount,bind,ro", folder)
        self.store = self.gtap.store("kept/dead.db")
        self.assert_readable(space.gtap)

    def stored_or_none(self, name):
        try:
            return self.stored(name)
        except sqlite3.OperationalError:
            return 0


class Foreign(Case):
    """What is not a store, or a store of a later gtap, is left as it is."""

    COMMANDS = (("report",), ("export", "token_usage"), ("verify",), ("recompute",),
                ("price", "list"), ("price", "add", "NVIDIA H100*", "2.95"))

    def assert_left_alone(self, name, *words):
        before = self.bytes_of(name)
        store = self.gtap.store(name)
        for command in self.COMMANDS:
            done = self.gtap.run(*command, "--store", store, expect=None)
            self.assert_refused(done, *words, name)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        done = self.meter_it(store, "synthetic:?duration=2")
        self.assert_refused(done, *words, name)
        self.assertNotIn("records of this run", done.stderr)
        self.assertEqual(self.bytes_of(name), before)
        self.assertEqual([n for n in os.listdir(self.gtap.folder) if n.startswith(name)], [name])

    def test_a_text(self):
        self.write("day.ndjson", support.records(50))
        self.assert_left_alone("day.ndjson", "is not a store of gtap", "left as it is",
                               "choose another file")

    def test_a_database_of_another(self):
        with contextlib.closing(sqlite3.connect(self.gtap.file("theirs.db"))) as db:
            db.executescript("CREATE TABLE t(x); INSERT INTO t VALUES (1);")
        self.assert_left_alone("theirs.db", "is a database of another program", "left as it is",
                               "choose another file")

    def test_a_newer_gtap(self):
        self.gtap.meter(self.gtap.store("newer.db"), "synthetic:?duration=2")
        with contextlib.closing(sqlite3.connect(self.gtap.file("newer.db"))) as db:
            db.executescript("PRAGMA user_version = 40; PRAGMA wal_checkpoint(TRUNCATE);")
        self.assert_left_alone("newer.db", "was written by a newer gtap (schema 40",
                               "left as it is", "use that gtap")

    def test_an_older_gtap(self):
        """The oldest there can be: ours by name. It is brought up to date, aloud, by who writes."""
        with contextlib.closing(sqlite3.connect(self.gtap.file("older.db"))) as db:
            db.execute(f"PRAGMA application_id = {int.from_bytes(b'gtap', 'big')}")
        store = self.gtap.store("older.db")
        self.assert_refused(self.gtap.run("report", "--store", store, expect=None),
                            "was written by an older gtap (schema 0", "brings it up to date")
        done = self.meter_it(store, "synthetic:?duration=2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the store was brought from schema 0 to schema", done.stderr)
        self.assert_verified(store)


class Damaged(Case):
    def setUp(self):
        super().setUp()
        day = self.write("day.ndjson", support.records(REQUESTS))
        self.gtap.meter(self.gtap.store("good.db"), day)
        self.good = self.bytes_of("good.db")
        self.answers = {command: self.answer(command, "good.db") for command in self.COMMANDS}

    COMMANDS = (("report", "--json"), ("export", "token_usage"), ("export", "gpu_metrics"),
                ("export", "cost_windows"), ("verify", "--json"))

    def answer(self, command, name):
        return self.gtap.run(*command, "--store", self.gtap.store(name), expect=None)

    def try_all(self, data):
        """Each command tells the damage, or (it did not touch it) gives an answer."""
        told = 0
        with open(self.gtap.file("bad.db"), "wb") as f:
            f.write(data)
        for command in self.COMMANDS:
            done = self.answer(command, "bad.db")
            self.assertIn(done.returncode, (0, 1, COULD_NOT), (command, done.stderr))
            if done.returncode == COULD_NOT:
                self.assertRegex(done.stderr, "damaged|was left as it is|is empty")
                told += 1
            elif command[0] == "export" and command[1] != "cost_windows":
                self.assertEqual(done.stdout, self.answers[command].stdout)
        self.assertEqual(self.bytes_of("bad.db"), data)
        return told

    def test_pages(self):
        rng, told = random.Random(11), 0
        pages = len(self.good) // PAGE
        for page in sorted(rng.sample(range(pages), 12)):
            bad = bytearray(self.good)
            bad[page * PAGE:(page + 1) * PAGE] = rng.randbytes(PAGE)
            told += self.try_all(bytes(bad))
        self.assertGreater(told, 12)

    def test_cut_short(self):
        whole = len(self.good)
        for size in (100, 512, PAGE, whole // 3, whole - PAGE, whole - 1):
            self.assertGreater(self.try_all(self.good[:size]), 0, size)

    def test_written_to(self):
        """A run into a damaged store ends with an error or goes well; what it says is true."""
        rng = random.Random(12)
        for _ in range(6):
            bad = bytearray(self.good)
            page = rng.randrange(len(self.good) // PAGE)
            bad[page * PAGE:(page + 1) * PAGE] = bytes(PAGE)
            with open(self.gtap.file("bad.db"), "wb") as f:
                f.write(bad)
            done = self.meter_it(self.gtap.store("bad.db"), "synthetic:?duration=20&seed=3")
            self.assertIn(done.returncode, (0, COULD_NOT), done.stderr)
            if done.returncode == COULD_NOT:
                self.assertRegex(done.stderr, "damaged|was left as it is")
            for name in ("bad.db-wal", "bad.db-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.gtap.file(name))


class Packed(Case):
    """What is packed of hours and days, for reports, and the hands of others."""

    ONE = "WHERE id = (SELECT min(id) FROM cost_pack WHERE level = 1)"
    INPUT = ("synthetic:?start=2024-01-01T22:00:00Z&duration=3h&every=5s&gpus=2&price=2.5&rate=0.1"
             "&models=llama-3-8b")  # a day ends within
    DAMAGES = {
        "is missing": f"DELETE FROM cost_pack {ONE}",
        "is there, but has no rows": "INSERT INTO cost_pack(level, window_start, shard, rows)"
                                     f" SELECT level, window_start + 1, shard, rows FROM cost_pack {ONE}",
        "is damaged": f"UPDATE cost_pack SET rows = x'0000' || substr(rows, 3) {ONE}",
        "is packed otherwise": "UPDATE cost_pack SET rows = (SELECT p.rows FROM cost_pack p WHERE"
                               f" p.id = (SELECT max(id) FROM cost_pack WHERE level = 1)) {ONE}",
    }

    def setUp(self):
        super().setUp()
        self.store = self.gtap.store("gtap.db")
        self.gtap.meter(self.store, self.INPUT)
        self.before = self.report()

    def damage(self, sql):
        with contextlib.closing(sqlite3.connect(self.store.removeprefix("sqlite:"))) as db:
            self.assertGreater(db.execute(sql).rowcount, 0)
            db.commit()

    def report(self):
        return self.gtap.run("report", "--by", "model,hour", "--json", "--store", self.store,
                             expect=None)

    def as_json(self, *command, expect=0):
        done = self.gtap.run(*command, "--json", "--store", self.store, expect=expect)
        return json.loads(done.stdout)

    def assert_whole(self):
        self.assertEqual(self.as_json("verify")["packs_different"], 0)
        self.assertEqual(self.report().stdout, self.before.stdout)

    def test_each_damage(self):
        for words, sql in self.DAMAGES.items():
            with self.subTest(words):
                self.damage(sql)
                done = self.gtap.run("verify", "--store", self.store, expect=1)
                self.assertIn("1 packed hour or day is not what the rows say.", done.stdout)
                self.assertIn(words, done.stdout)
                self.assertIn(" 0 differ.", done.stdout)
                for wet in (("--dry-run",), ()):
                    told = self.as_json("recompute", "--show", "9", *wet)
                    self.assertEqual((told["packs_different"], told["rows_different"]), (1, 0))
                    self.assertIn(words, json.dumps(told["differences"]))
                self.assert_whole()

    def test_as_verify_advises(self):
        """A report of what is damaged says what to do, verify says it, and that is right."""
        self.damage("UPDATE cost_pack SET rows = zeroblob(9) WHERE level = 1")
        self.assert_refused(self.report(), "what is packed for reports of the hour from",
                            "`gtap recompute` packs them again")
        told = self.gtap.run("verify", "--store", self.store, expect=1).stdout
        self.assertRegex(told, r"\n\d packed hours or days are not what the rows say\.\n")
        dry = self.gtap.run("recompute", "--dry-run", "--store", self.store).stdout
        self.assertIn("they would be packed again (dry run: nothing was changed).", dry)
        advice = re.search(r"^  gtap (recompute .*)$", told, re.MULTILINE)[1]
        done = self.gtap.run(*shlex.split(advice))
        self.assertIn("not what the rows say: they were packed again.", done.stdout)
        self.assert_whole()

    def test_an_hour_that_is_no_sum(self):
        """What SQL reads was changed: the hour is summed up again, and packed."""
        self.damage("UPDATE cost_hour SET cost_nusd = cost_nusd + 1, cost_in_nusd = cost_in_nusd + 1"
                    " WHERE kind = 0 AND n = 0")
        self.assertGreater(self.as_json("verify", expect=1)["rows_different"], 1)
        self.as_json("recompute")
        self.assert_whole()

    def test_without_raw_records(self):
        """Hours and days outlive what they were made of, and so does what is packed of them."""
        self.store = self.gtap.store("kept.db")
        self.gtap.run("run", "--in", self.INPUT, "--out", self.store, "--until-end",
                      "--retain-raw", "45m", "--retain-windows", "45m")
        self.assertEqual(self.report().stdout, self.before.stdout)
        self.damage(f"UPDATE cost_pack SET rows = x'' {self.ONE}")
        self.assertEqual(self.as_json("verify", expect=1)["packs_different"], 1)
        self.assertEqual(self.as_json("recompute")["packs_different"], 1)
        self.assert_whole()


class TwoWriters(Case):
    def test_the_second_is_refused(self):
        store, lines = self.gtap.store("t.db"), support.records(400)
        feeder = Feeder(self, store, lines)
        feeder.feed(500)
        self.wait_for(lambda: self.lock_says("t.db") == str(feeder.child.pid))
        for command in (("run", "--in", "synthetic:?duration=2", "--out", store, "--until-end"),
                        ("recompute", "--store", store)):
            done = self.gtap.run(*command, expect=None)
            self.assert_refused(done, f"is being written by process {feeder.child.pid}: stop it",
                                "or write to another file")
        self.gtap.run("price", "add", "NVIDIA H100*", "2.95", "--store", store)
        feeder.end()
        self.gtap.meter(store, "synthetic:?duration=2")
        self.assertEqual(len(self.gtap.export("price_book", store)), 1)
        self.assert_verified(store)

    def lock_says(self, name):
        """Who has the lock; it is written once that is had."""
        path = self.gtap.file(f"{name}-lock")
        return self.bytes_of(f"{name}-lock").decode() if os.path.exists(path) else ""

    def test_a_killed_one_holds_nothing(self):
        store = self.gtap.store("t.db")
        feeder = Feeder(self, store, support.records(400))
        self.wait_for(lambda: self.lock_says("t.db") == str(feeder.child.pid))
        feeder.kill()
        self.assertTrue(os.path.exists(self.gtap.file("t.db-lock")))
        self.gtap.meter(store, "synthetic:?duration=2")


class Readers(Case):
    """Several processes read while one writes."""

    def setUp(self):
        super().setUp()
        self.lines = support.records(2 * REQUESTS, rate=10.0)
        self.gtap.meter(self.gtap.store("plain.db"), self.write("day.ndjson", self.lines))
        self.plain = self.gtap.computed(self.gtap.store("plain.db"))
        self.store = self.gtap.store("t.db")
        self.faults, self.rounds, self.done = [], 0, threading.Event()

    def report(self):
        done = self.gtap.run("report", "--by", "model,tenant", "--store", self.store, "--json")
        report = json.loads(done.stdout)
        parts = sum(report["totals"][kind]["cost_nusd"] or 0
                    for kind in ("requests", "idle", "unattributed"))
        if parts != report["totals"]["bill"]["cost_nusd"]:
            self.faults.append(f"the report does not add up: {done.stdout}")
        rows = sum(row["cost_nusd"] or 0 for row in report["rows"] if row["kind"] == "usage")
        if rows != (report["totals"]["requests"]["cost_nusd"] or 0):
            self.faults.append(f"the rows do not add up: {done.stdout}")

    def export(self):
        lines = self.gtap.run("export", "gpu_metrics", "--store", self.store).stdout.splitlines()
        numbers = sorted(json.loads(line)["event_id"] for line in lines)
        known = sorted(json.loads(line)["event_id"] for line in self.lines if '"model"' not in line)
        if numbers != known[:len(numbers)]:
            self.faults.append("an export with a hole in it")

    def verify(self):
        done = self.gtap.verify(self.store)
        if done.returncode != 0:
            self.faults.append(done.stdout + done.stderr)

    def read_on(self, read):
        while not self.done.is_set():
            try:
                read()
            except AssertionError as e:
                self.faults.append(str(e))
            self.rounds += 1

    def test_beside_a_writer(self):
        feeder = Feeder(self, self.store, self.lines)
        feeder.feed(3000)
        self.wait_for(self.ready)
        readers = [threading.Thread(target=self.read_on, args=(read,))
                   for read in (self.report, self.export, self.verify)]
        for reader in readers:
            reader.start()
        step = len(self.lines) // 40
        for i in range(40):
            feeder.feed(step)
            self.wait_for(lambda target=i: self.rounds > target or self.faults)
        self.done.set()
        for reader in readers:
            reader.join()
        self.assertEqual(self.faults[:1], [])
        feeder.end()
        self.assert_verified(self.store)
        self.assertEqual(self.gtap.computed(self.store), self.plain)

    @staticmethod
    def late(lines):
        """The same lines, but of the second half every ninth comes seven minutes late."""
        def arrives(i):
            return json.loads(lines[i])["ts"] + (420 if i > len(lines) // 2 and i % 9 == 0 else 0)
        return [lines[i] for i in sorted(range(len(lines)), key=arrives)]

    def test_verify_beside_late_records(self):
        """What is not settled yet is left out, not called different; also after a kill."""
        lines = support.records(2 * REQUESTS, gpus=2, rate=4.0)
        plain, late = self.gtap.store("in_order.db"), self.late(lines)
        self.gtap.meter(plain, self.write("in_order.ndjson", lines))
        feeder = Feeder(self, self.store, late)
        for fed in range(1, 13):
            feeder.feed(len(late) // 12)
            self.wait_for(lambda least=fed * (len(late) // 12) - 1: self.ready(least - 1))
            self.verify()
        feeder.kill()
        self.verify()
        self.assertEqual(self.faults[:1], [])
        self.gtap.meter(self.store, self.write("late.ndjson", late))
        self.assert_verified(self.store)
        self.assertEqual(self.gtap.computed(self.store), self.gtap.computed(plain))

    def ready(self, least=2000):
        try:
            return os.path.exists(self.gtap.file("t.db")) and self.stored("t.db") > least
        except sqlite3.OperationalError:
            return False

    def test_a_long_reader_holds_nobody_up(self):
        """A reader that stops in its middle: the writer goes on, and it sees its own moment."""
        self.gtap.meter(self.store, self.write("first.ndjson", self.lines[:len(self.lines) // 2]))
        first = self.stored("t.db")
        reader = self.gtap.start("export", "gpu_metrics", "--store", self.store)
        reader.stdout.readline()
        self.gtap.meter(self.store, self.write("all.ndjson", self.lines))
        self.assertGreater(self.stored("t.db"), first)
        rest = reader.stdout.read().splitlines()
        reader.stderr.close()
        reader.stdout.close()
        self.assertEqual(reader.wait(), 0)
        samples = sum('"model"' not in line for line in self.lines[:len(self.lines) // 2])
        self.assertEqual(len(rest) + 1, samples)
        self.assert_verified(self.store)


class LogOfTheDead(Case):
    def test_readers_and_the_next_writer(self):
        lines = support.records(REQUESTS, rate=2.0)
        plain = self.gtap.store("plain.db")
        day = self.write("day.ndjson", lines)
        self.gtap.meter(plain, day)
        store = self.gtap.store("t.db")
        feeder = Feeder(self, store, lines)
        feeder.feed(12000)
        self.wait_for(lambda: os.path.exists(self.gtap.file("t.db-wal")) and self.ready())
        feeder.kill()
        kept = self.stored("t.db")
        self.assertGreater(os.path.getsize(self.gtap.file("t.db-wal")), 0)
        self.gtap.run("report", "--store", store)
        self.assert_verified(store)
        found = sum(len(self.gtap.export(name, store)) for name in ("gpu_metrics", "token_usage"))
        self.assertEqual(found, kept)
        self.gtap.meter(store, day)
        self.assertFalse(os.path.exists(self.gtap.file("t.db-wal")))  # it is one file again
        self.assert_verified(store)
        self.assertEqual(self.gtap.computed(store), self.gtap.computed(plain))

    def ready(self):
        try:
            return self.stored("t.db") >= 11000
        except sqlite3.OperationalError:
            return False


class Retention(Case):
    def setUp(self):
        super().setUp()
        # Two hours, with holes longer than gpu_timeout and shorter ones.
        lines = support.records(REQUESTS, gpus=2, rate=0.4)
        self.lines = [line for line in lines if not self.in_a_hole(json.loads(line)["ts"])]
        self.input = self.write("day.ndjson", self.lines)
        self.gtap.meter(self.gtap.store("plain.db"), self.input)
        self.last = max(json.loads(line)["ts"] for line in self.lines)

    @staticmethod
    def in_a_hole(ts):
        minute = (ts - support.EPOCH) / 60
        return 20 < minute < 24 or 50 < minute < 62 or 70 < minute < 72 or 90 < minute < 93

    def run_keeping(self, *options):
        store = self.gtap.store("t.db")
        self.gtap.run("run", "--in", self.input, "--out", store, "--until-end", *options)
        return store

    def oldest(self, collection, store):
        rows = self.gtap.export(collection, store)
        return min(time_of(row.get("window_start") or row["ts"]) for row in rows)

    def test_raw_records(self):
        for minutes in (30, 45, 60, 63, 75, 100):
            store = self.run_keeping("--retain-raw", f"{minutes}m")
            for collection in ("gpu_metrics", "token_usage"):
                oldest = self.last - minutes * 60 - 1
                self.assertGreaterEqual(self.oldest(collection, store), oldest)
                whole = self.gtap.export(collection, self.gtap.store("plain.db"))
                self.assertLess(len(self.gtap.export(collection, store)), len(whole))
            self.assert_verified(store)
            self.assertEqual(self.gtap.export("cost_windows", store),
                             self.gtap.export("cost_windows", self.gtap.store("plain.db")))
            self.assertEqual(self.totals(store), self.totals(self.gtap.store("plain.db")))
            self.forget()

    def test_windows(self):
        store = self.run_keeping("--retain-windows", "20m")
        self.assertGreaterEqual(self.oldest("cost_windows", store), self.last - 3600 - 20 * 60)
        self.assert_verified(store)
        self.assertEqual(self.totals(store), self.totals(self.gtap.store("plain.db")))

    def test_both_and_on_and_on(self):
        """One run after the other, each with more of the file, none of which knows the first."""
        store = self.gtap.store("t.db")
        for i in range(1, 9):
            part = self.write("grown.ndjson", self.lines[:len(self.lines) * i // 8])
            self.gtap.run("run", "--in", part, "--out", store, "--until-end",
                          "--retain-raw", "25m", "--retain-windows", "15m", "--retain-dead", "1h")
            self.assert_verified(store)
        self.assertEqual(self.totals(store), self.totals(self.gtap.store("plain.db")))

    def test_dead_letters(self):
        bad = self.write("bad.ndjson", ["no record"] * 10 + self.lines[:1000])
        store = self.gtap.store("t.db")
        self.gtap.meter(store, bad)
        self.assertEqual(len(self.gtap.export("dead_letters", store)), 10)
        self.gtap.run("run", "--in", self.input, "--out", store, "--until-end",
                      "--retain-dead", "1ms")
        self.assertEqual(self.gtap.export("dead_letters", store), [])

    def test_too_late(self):
        """What belongs to expired time cannot be computed any more, and changes nothing."""
        store = self.run_keeping("--retain-raw", "30m")
        rows = self.gtap.export("cost_windows", store)
        done = self.gtap.meter(store, self.write("again.ndjson", self.lines))
        self.assertRegex(done.stderr, r"[\d,]+ of expired time kept as dead letters")
        self.assertEqual(self.gtap.export("cost_windows", store), rows)
        self.assertEqual(self.totals(store), self.totals(self.gtap.store("plain.db")))
        self.assert_verified(store)
        kept = sum(len(self.gtap.export(name, store)) for name in ("gpu_metrics", "token_usage"))
        letters = self.gtap.export("dead_letters", store)
        self.assertEqual(kept + len(letters), len(self.lines))
        self.assertEqual({letter["reason"] for letter in letters},
                         {"too late: the records of its time were expired"})
        self.assertEqual({letter["origin"] for letter in letters},
                         {f"file:{self.gtap.file('again.ndjson')}"})

    def totals(self, store):
        done = self.gtap.run("report", "--by", "hour", "--store", store, "--json")
        return json.loads(done.stdout)["totals"]

    def forget(self):
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.gtap.file("t.db" + suffix))


def time_of(text):
    """Seconds since the epoch of an ISO 8601 time in UTC, to the second."""
    parsed = datetime.datetime.fromisoformat(text[:19])
    return parsed.replace(tzinfo=datetime.timezone.utc).timestamp()


if __name__ == "__main__":
    sys.exit(support.main(__name__))
