"""What leaves gtap for finance, on both stores: the same store content, the same bytes; and the ledger
of corrections through crashes, retention and the hands of others.

    test_ledger.py --gtap BUILD/gtap [--only TEXT]
"""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import unittest.mock

import adversary
import fakes
import gtap as support
from stack import mongo

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import focus  # noqa: E402

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
UNPRICED = "NVIDIA H100*"  # the GPUs of support.records()


def requests_only(lines):
    return [line for line in lines if '"model"' in line]


class Case(support.Case):
    """Records around the end of a year that is over: two billing periods, both closed."""

    def records(self, **shape):
        with unittest.mock.patch.object(support, "EPOCH", support.EPOCH - 240):
            first = adversary.Cluster(11, **shape).lines()
            late = requests_only(adversary.Cluster(12, **{**shape, "rate": 0.1}).lines())
        for line in support.records(300, seed=3):  # of GPUs whose price nobody says
            record = {**json.loads(line), "host": "unpriced"}
            record["event_id"] = record["event_id"].replace("0194", "0195", 1)
            record.pop("price_per_hour_usd", None)
            first.append(json.dumps(record))
        # What is late must not come last: nothing but settlements is to be written.
        last = max(json.loads(line)["ts"] for line in first)
        late = [line for line in late if json.loads(line)["ts"] < last - 120]
        self.first, self.late = self.write("first.ndjson", first), self.write("late.ndjson", late)

    def raw(self, store, *args):
        """The bytes of a report, but for the instant at which a page was made, and the store in the
        commands that notes advise."""
        done = subprocess.run([self.gtap.path, "report", "--store", store, *args],
                              cwd=self.gtap.folder, capture_output=True, check=True)
        told = done.stdout.replace(store.encode(), b"STORE")
        return re.sub(rb"Made by gtap on [^ ]+Z", b"Made by gtap", told)

    def focus(self, store, *args, valid=True):
        """As bytes, which are valid and add up to the bill; and what of it are corrections."""
        text = self.raw(store, "--format", "focus", *args)
        data = focus.Dataset(text.decode())
        if valid:
            self.assertEqual(data.wrong, [])
        bill = json.loads(self.raw(store, "--json", *args))["totals"]["bill"]["cost_nusd"]
        self.assertEqual(data.total() * 10**9, bill)
        parts = ([], [])
        for row in data.rows:
            parts[row["ChargeClass"] is not None].append(row)
        return text, *parts

    def assert_adds_up(self, store):
        """Costs follow from the records, and the ledger from the rows; how many were corrected."""
        done = self.gtap.run("verify", "--store", store, "--json", expect=None)
        said = json.loads(done.stdout)
        self.assertEqual(
            (done.returncode, said["rows_different"], said["ledger_different"]), (0, 0, 0), done.stdout)
        return said["ledger_equal"]

    def assert_found(self, store, *words):
        done = self.gtap.run("verify", "--store", store, expect=1)
        for word in (" 0 differ.", "first billed plus the corrections.", "\n  ledger ", *words):
            self.assertIn(word, done.stdout)


class Both(Case):
    FORMS = (["--format", "focus"], ["--format", "focus", "--by", "day"],
             ["--format", "focus", "--since", "2025-12-01", "--until", "2026-01-01"],
             ["--format", "focus", "--since", "2026-01-01", "--until", "2199-01-01"],
             ["--format", "csv"], ["--format", "csv", "--by", "hour,gpu,tenant,model"],
             ["--format", "csv", "--by", "site,host,kind", "--basis", "loaded"],
             ["--format", "html"], ["--format", "html", "--by", "tenant", "--exact"],
             ["--format", "json", "--by", "day,model"], ["--exact"], ["--by", "gpu"])

    def assert_same(self, one, other, forms=FORMS):
        for form in forms:
            self.assertEqual(self.raw(one, *form), self.raw(other, *form), form)

    def test_same_bytes(self):
        """What comes out of both stores is the same to the last byte, first, after late records,
        and after prices that came in later; and corrections leave what was billed as it was."""
        server = mongo.for_test(self, self.gtap.file("mongo"))
        server.start()
        stores = self.gtap.store("a.db"), server.uri
        self.records(hosts=1, minutes=8, rate=0.5)
        for store in stores:
            self.gtap.meter(store, self.first)
        self.assert_same(*stores, self.FORMS[:1])
        before, regular, corrections = self.focus(stores[0])
        counts = [len(corrections)]  # of what came hours late among the first
        for store in stores:
            self.gtap.meter(store, self.late)
        self.assert_same(*stores)
        for store in stores:
            self.gtap.run("price", "add", UNPRICED, "3.25", "--from", "2025-01-01", "--store", store)
            self.gtap.run("recompute", "--store", store)
        self.assert_same(*stores, self.FORMS[:4])
        counts.append(len(self.focus(stores[0])[2]))
        after, still, corrections = self.focus(stores[0])
        self.assertNotEqual(after, before)
        self.assertEqual(still, regular)
        self.assertLess(counts[0], counts[1])
        self.assertTrue(any(row["EffectiveCost"] < 0 for row in corrections))
        self.assertEqual(*(self.assert_adds_up(store) for store in stores))
        self.broken_on_mongodb(server, stores[1])

    def broken_on_mongodb(self, server, store):
        """What somebody did to the ledger is found."""
        ledger = server.database["cost_corrections"]
        one = ledger.find_one({"number": 0, "cost_nusd": {"$ne": 0}})
        ledger.update_one({"_id": one["_id"]}, {"$inc": {"cost_nusd": 1}})
        self.assert_found(store, "cost_nusd", "1 is not what")
        ledger.replace_one({"_id": one["_id"]}, one)
        ledger.insert_one({**one, "_id": one["_id"][:-6] + "000099", "number": 99})
        self.assert_found(store, "1 is not what")
        ledger.delete_one({"number": 99})
        self.assert_adds_up(store)


class Crash(Case):
    """kill -9 in the middle of a commit that has entries for the ledger. What is there then is
    whole, and what is there when it was begun again is what is there without a crash."""

    def setUp(self):
        super().setUp()
        self.records(hosts=1, minutes=20, rate=0.5)
        self.plain = self.gtap.store("plain.db")
        self.gtap.meter(self.plain, self.first)
        self.before, self.regular, _ = self.focus(self.plain)
        self.gtap.meter(self.plain, self.late)
        self.after = self.focus(self.plain)[0]
        self.assertNotEqual(self.after, self.before)

    def begin(self, store, *command):
        return self.gtap.start(*(command or ("run", "--in", self.late, "--out", store,
                                             "--until-end")))

    def kill(self, child):
        self.assertIsNone(child.poll())
        child.kill()
        child.communicate()

    def go_on(self, store):
        self.gtap.meter(store, self.late)
        self.assertEqual(self.focus(store)[0], self.after)
        self.assertEqual(self.assert_adds_up(store), self.assert_adds_up(self.plain))

    # What is stalled, and whether what was billed before is seen until it goes on. Not where rows of
    # windows are ahead of their hours: then the sum is the bill, but shares are of another moment.
    MONGODB = (("stall-after on update collection cost_corrections", True),
               ("stall on update collection cost_windows", True),
               ("stall on update collection token_usage", False),
               ("stall on update collection cost_hours", False),
               ("stall-after on update collection cost_days", True),
               ("stall after 1 on update collection cost_corrections", True))

    def test_mongodb(self):
        mongod = fakes.FakeMongod()
        self.addCleanup(mongod.stop)
        for i, (fault, whole) in enumerate(self.MONGODB):
            with self.subTest(fault):
                store = f"{mongod.uri}/crash{i}"
                self.gtap.meter(store, self.first)
                self.assertEqual(self.focus(store)[0], self.before)
                self.crash(mongod, fault, store)
                regular = self.focus(store, valid=whole)[1]
                if whole:
                    self.assertEqual(regular, self.regular)
                self.go_on(store)

    def crash(self, mongod, fault, store, *command):
        number = mongod.fail(fault)  # before there is somebody who may be past that place
        child = self.begin(store, *command)
        self.wait_for(lambda: mongod.hits(number) > 0 or child.poll() is not None)
        self.kill(child)
        mongod.clear()

    def test_recompute_on_mongodb(self):
        """Killed when the ledger was written and the rows were not, nobody sees these entries; and
        what comes of other prices is written over them."""
        mongod = fakes.FakeMongod()
        self.addCleanup(mongod.stop)
        store, price = f"{mongod.uri}/x", ("price", "add", UNPRICED)
        more = ("--from", "2025-01-01", "--store")
        self.gtap.meter(store, self.first)
        self.gtap.meter(store, self.late)
        self.assertEqual(self.focus(store)[0], self.after)
        self.gtap.run(*price, "2.5", *more, store)
        self.crash(mongod, "stall on update collection cost_windows", store, "recompute",
                   "--store", store)
        self.assertGreater(len(mongod.find("cost_corrections", unsure=True)), 0)
        self.assertEqual(self.focus(store)[0], self.after)
        for one in (store, self.plain):
            self.gtap.run(*price, "3.5", *more, one)
            self.gtap.run("recompute", "--store", one)
        self.assertEqual(self.focus(store)[0], self.focus(self.plain)[0])
        self.assertNotEqual(self.focus(store)[0], self.after)
        self.assertEqual(self.assert_adds_up(store), self.assert_adds_up(self.plain))

    def test_entries_that_stay_unsure(self):
        """Killed when all but that was written, an entry stays unsure; it holds nevertheless, also
        when a later settlement leaves no such row: idle time that requests take up."""
        ids = map(support.event_id, range(5 * 10**6, 6 * 10**6))
        sample = {"host": "h", "gpu_index": 0, "utilization": 0.5, "price_per_hour_usd": 2.5}
        request = {"model": "m", "host": "h", "gpu_index": 0, "prompt_tokens": 9,
                   "completion_tokens": 9}
        first = self.write("idle.ndjson", [json.dumps(
            {**sample, "ts": support.EPOCH + 5 * i, "event_id": next(ids)}) for i in range(72)])
        self.late, whole = (self.write(f"{end}.ndjson", [json.dumps(
            {**request, "ts": support.EPOCH + end, "latency_ms": 1000 * seconds,
             "event_id": next(ids)})]) for end, seconds in ((150, 30), (180, 60)))
        mongod = fakes.FakeMongod()
        self.addCleanup(mongod.stop)
        store, plain = f"{mongod.uri}/x", self.gtap.store("idle.db")
        for one in (store, plain):
            self.gtap.meter(one, first)
        self.crash(mongod, "stall after 1 on update collection cost_corrections", store)
        self.gtap.meter(plain, self.late)
        self.assertEqual(self.focus(store)[0], self.focus(plain)[0])
        for source in (self.late, whole):
            for one in (store, plain):
                self.gtap.meter(one, source)
            self.assertEqual(self.focus(store)[0], self.focus(plain)[0])
        self.assertGreater(len(mongod.find("cost_corrections", unsure=True)), 0)
        self.assertGreater(len(mongod.find("cost_corrections", gone=True, kind="idle")), 0)
        self.assertEqual(self.assert_adds_up(store), self.assert_adds_up(plain))

    # A trigger that never ends holds the commit at that place.
    SQLITE = ("AFTER INSERT ON cost_correction", "AFTER INSERT ON cost_window WHEN NEW.revision > 1",
              "AFTER INSERT ON cost_hour", "AFTER INSERT ON usage_cost WHEN NEW.late")

    def test_sqlite(self):
        for i, place in enumerate(self.SQLITE):
            with self.subTest(place):
                name = f"crash{i}.db"
                store = self.gtap.store(name)
                self.gtap.meter(store, self.first)
                self.change(name, f"CREATE TRIGGER hold {place} BEGIN SELECT ({ENDLESS}); END")
                child = self.begin(store)
                self.wait_for(lambda: self.is_held(name) or child.poll() is not None)
                self.kill(child)
                self.change(name, "DROP TRIGGER hold")
                self.assertEqual(self.focus(store)[0], self.before)  # nothing of it is there
                self.go_on(store)

    def change(self, name, *statements):
        with contextlib.closing(sqlite3.connect(self.gtap.file(name))) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()

    def is_held(self, name):
        """Whether somebody writes for longer than any commit takes."""
        with contextlib.closing(sqlite3.connect(self.gtap.file(name), timeout=0.4)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
        return False

    def test_broken_on_sqlite(self):
        """Each thing that somebody can do to the ledger or a row is found, but for one: an account
        that is gone as a whole, which is as if nothing had ever been corrected."""
        one = ("(window_start, shard, place, kind, consumer) = (SELECT window_start, shard, place,"
               " kind, consumer FROM cost_correction WHERE n = 0 AND cost_nusd != 0 LIMIT 1)")
        columns = ", ".join(name for name in self.columns() if name != "n")
        for statement, word in (
                (f"UPDATE cost_correction SET cost_nusd = cost_nusd + 1 WHERE n = 0 AND {one}",
                 "cost_nusd"),
                (f"UPDATE cost_correction SET requests = requests - 1 WHERE n = -1 AND {one}",
                 "requests"),
                (f"DELETE FROM cost_correction WHERE n = 0 AND {one}", "cost_nusd"),
                (f"DELETE FROM cost_correction WHERE n = -1 AND {one}", "closed is not there"),
                (f"INSERT INTO cost_correction({columns}, n) SELECT {columns}, 99 FROM"
                 f" cost_correction WHERE n = 0 AND {one}", "cost_nusd")):
            with self.subTest(statement):
                with contextlib.closing(sqlite3.connect(self.gtap.file("plain.db"))) as db:
                    with contextlib.closing(sqlite3.connect(self.gtap.file("b.db"))) as copy:
                        db.backup(copy)
                self.assert_adds_up(self.gtap.store("b.db"))
                self.change("b.db", statement)
                self.assert_found(self.gtap.store("b.db"), word, "1 is not what")

    def columns(self):
        with contextlib.closing(sqlite3.connect(self.gtap.file("plain.db"))) as db:
            return [row[1] for row in db.execute("PRAGMA table_info(cost_correction)")]


class Retained(Case):
    """A correction lives as long as what it corrects, and hours are kept for ever."""

    def test_both(self):
        mongod = fakes.FakeMongod()
        self.addCleanup(mongod.stop)
        self.records(hosts=1, minutes=130, rate=0.3)
        nothing = self.write("nothing.ndjson", [])
        late = [json.loads(line) for line in requests_only(support.records(40, seed=9))]
        again = self.write("again.ndjson", [json.dumps(
            {**r, "host": "node-00", "event_id": r["event_id"].replace("0194", "0196", 1)})
            for r in late])
        for store in (self.gtap.store("r.db"), f"{mongod.uri}/r"):
            with self.subTest(store):
                self.gtap.meter(store, self.first)
                self.gtap.meter(store, self.late)
                self.assertGreater(self.assert_adds_up(store), 0)
                whole = self.focus(store)
                self.assertGreater(len(whole[2]), 0)
                # Windows go; then records that change windows which are not there any more, which
                # nobody would see; then raw records, too.
                for source, *options in ((nothing, "--retain-windows", "1s"),
                                         (again, "--retain-windows", "1s"),
                                         (nothing, "--retain-windows", "1s", "--retain-raw", "1s")):
                    self.gtap.run("run", "--in", source, "--out", store, "--until-end", *options)
                    self.assertEqual(self.focus(store)[0], whole[0])
                    self.assert_adds_up(store)
                kept = self.gtap.export("cost_windows", store)
                self.assertTrue(all(row["window_start"] >= "2026-01-01T01" for row in kept))


if __name__ == "__main__":
    support.main(__name__)
