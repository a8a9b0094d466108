"""Records out and in again, and prices: export of every collection, price lists, recompute.

    test_records.py --gtap BUILD/gtap [--only TEXT]
"""

import csv
import io
import json
import os
import re

import fleet
import gtap as support

# The field names of the stores and of the wire format: a contract. NDJSON leaves out what a record
# did not say; CSV has a column for each.
RECORD = {
    "token_usage": "ts model prompt_tokens completion_tokens latency_ms cached_prompt_tokens "
                   "ttft_ms host gpu_index gpu_indices gpu_instance requests tenant request_id site "
                   "event_id",
    "gpu_metrics": "ts host gpu_index gpu_instance name uuid utilization mem_used_mb mem_total_mb "
                   "power_w temperature_c sm_clock_mhz energy_mj mig_profile price_per_hour_usd "
                   "source site event_id",
}
COMPUTED = {
    "token_usage": "start cost_per_token cost_nusd cost_in_nusd cost_out_nusd energy_j unpriced_ns "
                   "final late revision method partition",
    "gpu_metrics": "partition",
    "cost_windows": "window_start host gpu_index gpu_instance site kind model tenant cost_nusd "
                    "cost_in_nusd cost_out_nusd prompt_tokens completion_tokens "
                    "cached_prompt_tokens requests unpriced_requests busy_ns energy_j unpriced_ns "
                    "final revision method",
    "dead_letters": "at origin position reason payload",
    "price_book": "id name site price_per_hour_usd effective_from added_at source",
    "gpus": "host gpu_index gpu_instance first_seen last_seen name uuid mig_profile source site "
            "utilization mem_used_mb mem_total_mb power_w temperature_c sm_clock_mhz "
            "price_per_hour_usd",
    "settings": "effective_from window_ns max_gap_ns gpu_timeout_ns horizon_ns price_per_hour_usd "
                "weight_in weight_out method",
}
TIMES = {"ts", "start", "window_start", "at", "effective_from", "added_at", "first_seen",
         "last_seen"}
ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z$")


class Night(support.Case):
    """A night on three GPUs, one of which has no price."""

    def setUp(self):
        super().setUp()
        self.store = self.gtap.store("night.db")
        self.lines = fleet.lines()
        self.metered = self.gtap.meter(self.store, self.write("night.ndjson", self.lines))

    def run_on_store(self, *args, expect=0):
        return self.gtap.run(*args, "--store", self.store, expect=expect)

    def export(self, collection, *args):
        text = self.run_on_store("export", collection, *args).stdout
        return [json.loads(line) for line in text.splitlines()]

    def export_csv(self, collection, *args):
        text = self.run_on_store("export", collection, "--format", "csv", *args).stdout
        return list(csv.DictReader(io.StringIO(text, newline="")))


class Export(Night):
    def test_field_names(self):
        self.run_on_store("price", "add", "NVIDIA L4", "0.5", "--site", "fra", "--source", "x")
        for collection, computed in COMPUTED.items():
            names = RECORD.get(collection, "").split() + computed.split()
            with self.subTest(collection):
                rows = self.export(collection)
                self.assertTrue(rows)
                for row in rows:
                    self.assertLessEqual(set(row), set(names) | {"trace"})
                    self.assertLessEqual(set(computed.split()), set(row))
                lines = self.export_csv(collection)
                self.assertEqual(set(lines[0]), set(names))
                self.assertEqual(len(lines), len(rows))

    def test_formats_agree(self):
        self.run_on_store("price", "add", "NVIDIA L4", "0.5")
        for collection in COMPUTED:
            for row, line in zip(self.export(collection), self.export_csv(collection)):
                for name, shown in line.items():
                    value = row.get(name)
                    if isinstance(value, bool):
                        self.assertEqual(shown, "true" if value else "false")
                    elif isinstance(value, (int, float)):
                        self.assertEqual(float(shown), float(value), name)
                    else:
                        self.assertEqual(shown, value or "", name)

    def test_times_and_money(self):
        for collection in COMPUTED:
            for row in self.export(collection):
                for name, value in row.items():
                    if name in TIMES:
                        self.assertRegex(value, ISO, name)
                    if name.endswith("_nusd") or name.endswith("_ns"):
                        self.assertTrue(value is None or isinstance(value, int), name)

    def test_parts_add_up(self):
        usage = [row for row in self.export("token_usage") if row["cost_nusd"] is not None]
        self.assertTrue(usage)
        for row in usage + [r for r in self.export("cost_windows") if r["kind"] == "usage"]:
            self.assertEqual((row["cost_in_nusd"] or 0) + (row["cost_out_nusd"] or 0),
                             row["cost_nusd"] or 0)
        windows = [row for row in self.export("cost_windows") if row["kind"] == "usage"]
        self.assertEqual(sum(row["cost_nusd"] or 0 for row in windows),
                         sum(row["cost_nusd"] for row in usage))
        for name in ("prompt_tokens", "completion_tokens"):
            placed = [row for row in self.export("token_usage") if "host" in row]
            self.assertEqual(sum(row[name] for row in windows), sum(row[name] for row in placed))
        for level in ("hour", "day"):
            rolled = self.export("cost_windows", "--level", level)
            self.assertLess(len(rolled), len(windows))
        tokens = [sum(row["prompt_tokens"] for row in self.export("cost_windows", "--level", level)
                      if row["window_start"] < "2026-03-29T00:00:00Z")
                  for level in ("window", "hour", "day")]
        self.assertEqual(len(set(tokens)), 1, tokens)

    def test_filters(self):
        everything = self.export("token_usage")
        placed = [row for row in everything if "host" in row]
        self.assertEqual(len(everything), 400)
        wants = {"unplaced": [row for row in everything if "host" not in row],
                 "unpriced": [row for row in placed if row["cost_nusd"] is None],
                 "late": [row for row in everything if row["late"]],
                 "open": [row for row in everything if not row["final"]]}
        self.assertEqual(len(wants["unplaced"]), 10)
        self.assertTrue(wants["unpriced"])
        for where, want in wants.items():
            self.assertEqual([row["event_id"] for row in self.export("token_usage", "--where",
                                                                     where)],
                             [row["event_id"] for row in want], where)
        since, until = "2026-03-28T23:00:00Z", "2026-03-29T01:00:00Z"
        for collection, name in (("token_usage", "start"), ("gpu_metrics", "ts"),
                                 ("cost_windows", "window_start")):
            inside = [row for row in self.export(collection) if since <= row[name] < until]
            self.assertTrue(inside)
            self.assertEqual(self.export(collection, "--since", since, "--until", until), inside)

    def test_dead_letters(self):
        letters = self.export("dead_letters")
        self.assertEqual([row["payload"] for row in letters], self.lines[-2:])
        self.assertEqual([row["position"] for row in letters],
                         [len(self.lines) - 1, len(self.lines)])
        for row in letters:
            self.assertTrue(row["origin"].startswith("file:"))
            self.assertTrue(row["reason"])

    def test_fed_back(self):
        """What was exported costs the same, to the nano-dollar, wherever it is read again."""
        self.run_on_store("price", "add", "NVIDIA L4", "0.5", "--from", "2026-03-28")
        self.run_on_store("recompute")
        lines = []
        for collection in ("token_usage", "gpu_metrics"):
            lines += self.run_on_store("export", collection).stdout.splitlines()
        prices = self.run_on_store("export", "price_book").stdout
        self.write("prices.ndjson", prices.splitlines())
        other = self.gtap.store("other.db")
        self.gtap.run("price", "import", self.gtap.file("prices.ndjson"), "--store", other)
        self.gtap.meter(other, self.write("again.ndjson", lines))
        self.assert_verified(other)
        self.assertEqual(self.gtap.computed(other), self.gtap.computed(self.store))
        for collection in ("token_usage", "gpu_metrics"):
            texts = [re.sub(r'"(late|revision)":\w+,', "", self.gtap.run(
                "export", collection, "--store", store).stdout) for store in (self.store, other)]
            self.assertEqual(sorted(texts[0].splitlines()), sorted(texts[1].splitlines()))
        self.assertIn('"trace":{"id":', texts[0] + "".join(lines))
        again = self.gtap.meter(self.store, self.write("twice.ndjson", lines))
        self.assertIn("gtap: stored 0 records ", again.stderr)
        self.assertIn(f"{len(lines):,} duplicates ignored", again.stderr)
        self.assertNotIn("conflict", again.stderr)


class Prices(Night):
    def bill(self):
        text = self.run_on_store("report", "--by", "gpu", "--json").stdout
        return {(row["gpu"], row["kind"]): row for row in json.loads(text)["rows"]}

    def test_missing_is_never_zero(self):
        """Everywhere: the GPU without a price has no cost, rather than one of 0."""
        for row in self.export("cost_windows"):
            if row["host"] == "gpu-a" and row["gpu_index"] == 1:
                self.assertIsNone(row["cost_nusd"])
                self.assertGreater(row["unpriced_ns"], 0)
        for row in self.export("token_usage"):
            if "host" not in row or (row["host"], row["gpu_index"]) == ("gpu-a", 1):
                for name in ("cost_per_token", "cost_nusd", "cost_in_nusd", "cost_out_nusd"):
                    self.assertIsNone(row[name])
        for collection, names in (("gpus", ["price_per_hour_usd"]),
                                  ("settings", ["price_per_hour_usd"])):
            values = [row[name] for row in self.export(collection) for name in names]
            self.assertNotIn(0, values)
            self.assertIn(None, values)
        self.run_on_store("price", "add", "NVIDIA L4", "0.5", "--from", "2026-03-28")
        for args in ((), ("--json",)):
            shown = self.run_on_store("verify", *args, expect=1).stdout
            self.assertIn("unknown" if not args else '{"stored":null,"derived":', shown)
            self.assertNotRegex(shown, r'stored 0,|cost\w*":\{"stored":0')
        self.assertEqual(len(json.loads(shown)["differences"]), 10)
        none = self.run_on_store("verify", "--show", "0", expect=1).stdout
        self.assertRegex(none, r" differ\.\n\nAfter a price correction")

    def test_metering_says_so(self):
        """Once for each name, with the command that mends it; not where a price is known."""
        said = [line for line in self.metered.stderr.splitlines() if "no price is known" in line]
        self.assertEqual(said, ["gtap: no price is known for NVIDIA L4: its costs stay empty until "
                                "gtap price add 'NVIDIA L4' USD-PER-HOUR --from "
                                f"2026-03-28T21:30:00Z --store '{self.store}'"])
        for args in (["--price", "1"], []):
            store = self.gtap.store(f"priced{len(args)}.db")
            if not args:
                self.gtap.run("price", "add", "nvidia l4", "0.5", "--from", "2026-01-01", "--store",
                              store)
            done = self.gtap.run("run", "--in", "file:" + self.gtap.file("night.ndjson"), "--out",
                                 store, *args)
            self.assertNotIn("no price is known", done.stderr)

    def slice_cost(self, name, *args, **more):
        """What ten seconds of a MIG slice cost (None: unpriced), beside 2.95 USD an hour for the
        H100, and whether the run says that no price is known."""
        lines = [json.dumps({"ts": f"2026-01-01T00:00:{second}Z", "host": "h", "gpu_index": 0,
                             "gpu_instance": 3, "utilization": 0.5, "name": name, **more})
                 for second in ("00", "10")]
        store = self.gtap.store(f"slice{len(os.listdir(self.gtap.folder))}.db")
        for gpu, price in (("NVIDIA H100*", "2.95"), ("*A30", "1"), ("MIG 7g* of NVIDIA H100*", "9")):
            self.gtap.run("price", "add", gpu, price, "--from", "2026-01-01", "--store", store)
        done = self.gtap.run("run", "--in", self.write("slice.ndjson", lines), "--out", store, *args)
        self.assert_verified(store)
        rows = self.gtap.export("cost_windows", store)
        self.assertEqual({row["gpu_instance"] for row in rows}, {3})
        return (None if rows[0]["cost_nusd"] is None else sum(row["cost_nusd"] for row in rows),
                "no price is known" in done.stderr)

    def test_a_slice_costs_its_share(self):
        """By the book or --price, whoever names it; where nobody can tell its share, nothing."""
        gpu = "NVIDIA H100 80GB HBM3"
        for usd, name, args, more in (
                (2.95 / 7, gpu, (), {"mig_profile": "1g.10gb"}),                 # as dcgm: does
                (2.95 * 3 / 7, f"MIG 3g.40gb of {gpu}", (), {"mig_profile": "3g.40gb"}),  # nvml:
                (2.95 * 2 / 7, f"{gpu} MIG 2g.20gb", (), {}),                    # the driver
                (2.95 / 7, gpu, ("--price", "70"), {"mig_profile": "1g.10gb"}),
                (9, gpu, (), {"mig_profile": "7g.80gb"}),                        # its own entry
                (1 / 4, "NVIDIA A30", (), {"mig_profile": "1g.6gb"}),
                (1, "NVIDIA B200", ("--price", "7"), {"mig_profile": "1g.23gb"}),
                (0.42, gpu, ("--price", "7"), {"price_per_hour_usd": 0.42}),
                (None, "NVIDIA B200", (), {"mig_profile": "1g.23gb"}),
                (None, gpu, ("--price", "7"), {}),
                (None, "NVIDIA R100", ("--price", "7"), {"mig_profile": "1g.36gb"})):
            with self.subTest(name=name, args=args, more=more):
                cost, said = self.slice_cost(name, *args, **more)
                self.assertEqual(said, usd is None)
                if usd is None:
                    self.assertIsNone(cost)
                else:
                    self.assertAlmostEqual(cost, usd * 1e9 * 10 / 3600, delta=1)

    def test_nothing_has_a_price(self):
        store = self.gtap.store("bare.db")
        lines = [json.dumps({k: v for k, v in json.loads(line).items()
                             if k != "price_per_hour_usd"}) for line in self.lines[:-2]]
        self.gtap.meter(store, self.write("bare.ndjson", lines))
        self.assert_verified(store)
        verified = self.gtap.run("verify", "--store", store).stdout
        self.assertRegex(verified, r"(?m)^  bill +-$")
        self.assertNotIn("0.000000000", verified)
        self.assertIsNone(json.loads(self.gtap.run("verify", "--json", "--store",
                                                   store).stdout)["bill_nusd"])
        table = self.gtap.run("report", "--exact", "--store", store).stdout
        self.assertRegex(table, r"(?m)^bill +-  +-  loaded$")
        self.assertRegex(table, r"(?m)^requests .* -  +-  busy$")
        report = json.loads(self.gtap.run("report", "--json", "--store", store).stdout)
        self.assertIsNone(report["totals"]["bill"]["cost_nusd"])

    def test_nothing_to_derive_yet(self):
        store = self.gtap.store("new.db")
        self.gtap.run("price", "add", "NVIDIA L4", "0.5", "--store", store)
        for command, words in (("verify", "there is nothing to verify."),
                               ("recompute", "there is nothing to recompute.")):
            self.assertIn(words, self.gtap.run(command, "--store", store).stdout)
            told = json.loads(self.gtap.run(command, "--json", "--store", store).stdout)
            self.assertEqual((told["from"], told["to"], told["differences"]), (None, None, []))
        self.assertEqual(self.gtap.run("report", "--store", store).stdout,
                         "No records are stored yet: bring some in with gtap run.\n")

    def test_effective_dates(self):
        """$0.50 until midnight, $0.70 from then on: each hour costs what held in it."""
        before = self.bill()
        done = self.run_on_store("price", "add", "nvidia l?", "0.5", "--from", "2026-03-28")
        self.assertIn("nvidia l? costs $0.50 an hour from 28 Mar 00:00 UTC on (entry 1).",
                      re.sub(r" 2026", "", done.stdout))
        self.assertIn("1 known GPU has this name", done.stdout)
        self.assertIn(f"gtap recompute --since 2026-03-28T00:00:00Z --store '{self.store}'",
                      done.stdout)
        self.run_on_store("price", "add", "NVIDIA L4", "0.7", "--from", "2026-03-29")
        self.assertEqual(self.bill(), before)
        self.run_on_store("verify", expect=1)
        dry = self.run_on_store("recompute", "--dry-run").stdout
        self.assertIn("would be replaced (dry run: nothing was changed).", dry)
        self.assertEqual(self.bill(), before)
        self.run_on_store("recompute")
        self.assert_verified(self.store)
        after = self.bill()
        for key, row in before.items():
            if key[0] != "gpu-a/1":
                self.assertEqual(after[key], row)
        hours = json.loads(self.run_on_store("report", "--by", "hour,gpu", "--json").stdout)["rows"]
        for hour, price in (("2026-03-28T23:00:00Z", 500_000_000),
                            ("2026-03-29T00:00:00Z", 700_000_000)):
            self.assertEqual(sum(row["cost_nusd"] for row in hours
                                 if row["hour"] == hour and row["gpu"] == "gpu-a/1"), price)
        revisions = {row["revision"] for row in self.export("cost_windows")
                     if (row["host"], row["gpu_index"]) == ("gpu-a", 1)}
        self.assertEqual(revisions, {2})

    def test_lists(self):
        self.assertIn("The price book is empty", self.run_on_store("price", "list").stdout)
        self.write("prices.csv", ["name,price_per_hour_usd,effective_from,site,source",
                                  "NVIDIA L4,0.5,2026-01-01,,",
                                  "NVIDIA L4,0.6,2026-02-01,,invoice",
                                  '"NVIDIA ""X"", Y",12.345678901,2026-01-01,fra,'])
        path = self.gtap.file("prices.csv")
        dry = self.run_on_store("price", "import", "--dry-run", path).stdout
        self.assertIn("3 prices are in order", dry)
        self.assertIn("The price book is empty", self.run_on_store("price", "list").stdout)
        self.assertIn("3 prices are added.", self.run_on_store("price", "import", path).stdout)
        table = self.run_on_store("price", "list").stdout
        self.assertRegex(table, r"^name +site +\$/h  from \(UTC\) ")
        self.assertRegex(table, r"(?m)^NVIDIA L4 +any +0\.60 ")
        self.assertRegex(table, r'(?m)^NVIDIA "X", Y  fra   12\.345678901 ')
        self.assertNotIn("0.50", table)
        self.assertIn("0.50", self.run_on_store("price", "list", "--all").stdout)
        self.assertIn("0.50", self.run_on_store("price", "list", "--at", "2026-01-15").stdout)
        self.assertIn("No price is in force at that time",
                      self.run_on_store("price", "list", "--at", "2025-01-01").stdout)
        book = json.loads(self.run_on_store("price", "list", "--all", "--json").stdout)
        self.assertEqual([row["price_nusd_hour"] for row in book],
                         [12_345_678_901, 500_000_000, 600_000_000])

    def test_bad_lists_change_nothing(self):
        self.write("bad.csv", ["name,price_per_hour_usd,effective_from", "A,1,2026-01-01",
                               "B,dear,2026-01-01"])
        done = self.run_on_store("price", "import", self.gtap.file("bad.csv"), expect=3)
        self.assertIn("bad.csv: line 3: price_per_hour_usd: must be an amount", done.stderr)
        self.assertIn("The price book is empty", self.run_on_store("price", "list").stdout)


if __name__ == "__main__":
    support.main(__name__)
