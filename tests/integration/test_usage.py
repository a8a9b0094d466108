"""The program as a stranger meets it: help, mistakes, configuration, terminals, pipes, exit codes.

    test_usage.py --gtap BUILD/gtap [--only TEXT]
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

import fleet
import gtap as support

COMMANDS = ("run", "report", "export", "verify", "recompute", "price list", "price add",
            "price import", "config", "bench", "docs", "version", "help")
ESCAPE = "\x1b"


class Small(unittest.TestCase):
    """Tests that read one store of an hour."""

    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="gtap-usage-")
        cls.addClassCleanup(cls.holder.cleanup)
        cls.gtap = support.Gtap(support.ARGS.gtap, cls.holder.name)
        support.write_lines(cls.gtap.file("night.ndjson"), fleet.lines())
        cls.store = cls.gtap.store("night.db")
        cls.gtap.meter(cls.store, "file:" + cls.gtap.file("night.ndjson"))

    def gtap_with(self, *args, env=None, expect=0, **kwargs):
        done = subprocess.run([self.gtap.path, *args], cwd=self.holder.name, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=support.DEADLINE,
                              check=False, env={"PATH": os.environ["PATH"], **(env or {})}, **kwargs)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def on_terminal(self, *args, columns=80, env=None, stdout=None):
        """What a terminal gets to see; stdout: a file, when only stderr is the terminal."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        child = subprocess.Popen([self.gtap.path, *args], cwd=self.holder.name, stdin=slave,
                                 stdout=stdout or slave, stderr=slave,
                                 env={"PATH": os.environ["PATH"], "TERM": "xterm", **(env or {})})
        os.close(slave)
        seen = self.read_all(master)
        os.close(master)
        child.wait(timeout=support.DEADLINE)
        return seen.decode().replace("\r\n", "\n"), child.returncode

    def read_all(self, master, seconds=120):
        seen, deadline = b"", time.monotonic() + seconds
        while select.select([master], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other end is closed
                return seen
            if not piece:
                return seen
            seen += piece
        self.fail("it does not end")
        return seen


class Help(Small):
    def test_every_command(self):
        for command in COMMANDS:
            with self.subTest(command):
                asked = self.gtap_with(*command.split(), "--help")
                self.assertEqual(asked.stderr, "")
                self.assertTrue(asked.stdout.startswith(f"gtap {command}: "))
                self.assertIn(f"usage: gtap {command}", asked.stdout)
                self.assertIn("--help", asked.stdout)
                self.assertEqual(self.gtap_with("help", *command.split()).stdout, asked.stdout)
                self.assertEqual(self.gtap_with(*command.split(), "-h").stdout, asked.stdout)

    def test_overview_names_every_command(self):
        text = self.gtap_with("--help").stdout
        for command in COMMANDS:
            self.assertRegex(text, rf"(?m)^  {command} +\w")
        self.assertEqual(self.gtap_with("help").stdout, text)
        self.assertEqual(self.gtap_with(expect=2).stderr, text)

    def test_groups(self):
        asked = self.gtap_with("price", "--help").stdout
        for verb in ("list", "add", "import"):
            self.assertRegex(asked, rf"(?m)^  price {verb} +\w")
        self.assertEqual(self.gtap_with("help", "price").stdout, asked)
        bare = self.gtap_with("price", expect=2)
        self.assertEqual((bare.stdout, bare.stderr), ("", asked))

    def test_width(self):
        for columns, most in ((60, 60), (80, 80), (300, 100)):
            text, status = self.on_terminal("report", "--help", columns=columns)
            self.assertEqual(status, 0)
            lines = text.partition("\nexamples:\n")[0].split("\n")
            self.assertLessEqual(max(map(len, lines)), most)
        self.assertGreater(max(map(len, lines)), 80)


class Mistakes(Small):
    def test_usage_says_what_to_do(self):
        """Wrong usage is 2, says what is wrong on stderr, and where help is."""
        for args, said, see in (
                (["reprot"], "did you mean gtap report?", "gtap help"),
                (["report", "--sinse", "1d"], "did you mean --since?", "gtap report --help"),
                (["report", "--since"], "--since needs a value: --since TIME", "gtap report --help"),
                (["report", "--since", "2026"], "--since: must be a time such as 24h",
                 "gtap report --help"),
                (["report", "--by", "modle"], "choose from model, tenant", "gtap report --help"),
                (["report", "--format", "xml"], "--format: must be table, csv, json, html or focus",
                 "gtap report --help"),
                (["report", "now"], "unexpected argument 'now'", "gtap report --help"),
                (["export"], "expected COLLECTION", "gtap export --help"),
                (["export", "windows"], "choose from token_usage, gpu_metrics", "gtap export --help"),
                (["price", "lst"], "did you mean gtap price list?", "gtap help"),
                (["price", "add", "H100"], "expected NAME USD_PER_HOUR", "gtap price add --help"),
                (["run"], "there is no input: gtap run --in URI", "gtap run --help"),
                (["verify", "--since", "1d", "--until", "2d"], "--since must be before --until",
                 "gtap verify --help"),
                (["config", "prise"], "did you mean gtap price?", "gtap config --help"),
                (["docs", "pdf"], "choose from markdown, man", "gtap docs --help")):
            with self.subTest(args=args):
                done = self.gtap_with(*args, expect=2)
                self.assertEqual(done.stdout, "")
                self.assertTrue(done.stderr.startswith("gtap: "), done.stderr)
                self.assertIn(said, done.stderr)
                self.assertTrue(done.stderr.endswith(f"      See: {see}\n"), done.stderr)

    def test_stores_that_are_not_there(self):
        for args in (["report"], ["verify"], ["recompute"], ["export", "gpus"], ["price", "list"]):
            with self.subTest(args=args):
                done = self.gtap_with(*args, "--store", "sqlite:none.db", expect=3)
                self.assertEqual(done.stdout, "")
                self.assertRegex(done.stderr, r"^gtap: sqlite:none\.db: .*\n +gtap run ")
                self.assertFalse(os.path.exists(self.gtap.file("none.db")))

    def test_answers_and_failures(self):
        self.gtap_with("report", "--store", self.store)
        self.gtap_with("verify", "--store", self.store)
        self.gtap_with("report", "--config", "none.conf", expect=3)
        self.gtap_with("price", "import", "none.csv", "--store", self.store, expect=3)
        copy = self.gtap.store("copy.db")
        self.gtap.meter(copy, "file:" + self.gtap.file("night.ndjson"))
        self.gtap_with("price", "add", "NVIDIA L4", "1", "--from", "2026-01-01", "--store", copy)
        done = self.gtap_with("verify", "--store", copy, expect=1)
        self.assertRegex(done.stdout, r"(?m)^[\d,]+ stored rows are equal, [\d,]+ differ\.$")
        self.assertRegex(done.stdout, r"(?m)^  request u-\d+ of ")
        self.assertIn("After a price correction this is expected", done.stdout)
        self.assertIn(f"\n  gtap recompute --store '{copy}'\n", done.stdout)

    def test_json_everywhere(self):
        """One JSON value on standard output, of every command that has an answer."""
        copy, prices = ["--store", self.gtap.store("json.db")], self.gtap.file("prices.csv")
        support.write_lines(prices, ["name,price_per_hour_usd,effective_from", "L4,1,2026-01-01"])
        told = {}
        for args in (["run", "--in", "file:night.ndjson", "--out", copy[1]],
                     ["report", *copy], ["verify", *copy], ["recompute", *copy],
                     ["price", "add", "X", "2", *copy], ["price", "import", prices, *copy],
                     ["price", "list", *copy], ["config"], ["version"]):
            done = self.gtap_with(*args, "--json")
            self.assertTrue(done.stdout.endswith("\n"))
            told[" ".join(args[:2])] = json.loads(done.stdout)
        self.assertEqual((told["run --in"]["requests"], told["run --in"]["dead_letters"]), (400, 2))
        self.assertEqual(told["price add"]["price_nusd_hour"], 2_000_000_000)
        self.assertEqual(told["price import"], {"prices": 1, "added": True})
        self.assertEqual([row["name"] for row in told["price list"]], ["L4", "X"])

    def test_a_full_disk_behind_a_pipe(self):
        for args in (["report"], ["export", "gpu_metrics"], ["verify"]):
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run([self.gtap.path, *args, "--store", self.store], stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=support.DEADLINE,
                                      check=False)
            self.assertEqual(done.returncode, 3)
            self.assertEqual(done.stderr, "gtap: standard output: No space left on device\n")


class Configuration(Small):
    CONF = ("[gtap]\nstore = mongodb://user:hush@db/gtap\ntz = +01:00\n\n"
            "[report]\nby = gpu\nexact = yes\n\n[run]\nin = file:a\nin = file:b\nprice = 2.95\n")

    def setUp(self):
        with open(self.gtap.file("gtap.conf"), "w", encoding="utf-8") as f:
            f.write(self.CONF)

    def listed(self, *args, env=None):
        text = self.gtap_with("config", "--json", "--config", "gtap.conf", *args, env=env).stdout
        self.assertNotIn("hush", text)
        return json.loads(text)["commands"]

    def test_sources_of_every_value(self):
        env = {"GTAP_REPORT_BY": "model", "PRICE_PER_HOUR_USD": "3"}
        told = self.listed(env=env)
        self.assertEqual(told["report"]["by"],
                         {"value": "model", "origin": "environment", "where": "GTAP_REPORT_BY"})
        self.assertEqual(told["report"]["exact"],
                         {"value": "yes", "origin": "file", "where": "gtap.conf:7"})
        self.assertEqual(told["report"]["tz"]["where"], "gtap.conf:3")
        self.assertEqual(told["report"]["format"],
                         {"value": "table", "origin": "default", "where": None})
        self.assertEqual(told["report"]["provisional"],
                         {"value": "no", "origin": "default", "where": None})
        self.assertEqual(told["run"]["in"],
                         {"value": "file:a file:b", "origin": "file", "where": "gtap.conf:11"})
        self.assertEqual(told["run"]["price"],
                         {"value": "3", "origin": "environment", "where": "PRICE_PER_HOUR_USD"})
        self.assertEqual(set(self.listed("price")), {"price list", "price add", "price import"})
        self.assertEqual(set(self.listed("price", "add")), {"price add"})

    def test_in_force(self):
        """Flags go before the environment, that before the file."""
        args = ["report", "--config", "gtap.conf", "--store", self.store]
        env = {"GTAP_REPORT_BY": "host"}
        self.assertRegex(self.gtap_with(*args).stdout, r"(?m)^gpu +requests")
        self.assertIn(" +01:00 · ", self.gtap_with(*args).stdout)
        self.assertRegex(self.gtap_with(*args).stdout, r"\.\d{9}\b")
        self.assertRegex(self.gtap_with(*args, env=env).stdout, r"(?m)^host +requests")
        self.assertRegex(self.gtap_with(*args, "--by", "site", env=env).stdout,
                         r"(?m)^site +requests")
        self.assertNotRegex(self.gtap_with(*args, "--no-exact", env=env).stdout, r"\.\d{9}\b")

    def test_secrets(self):
        secret = "mongodb://user:hush@db/gtap"
        with open(self.gtap.file("secret"), "w", encoding="utf-8") as f:
            f.write(secret + "\n")
        for args, env in ((["--config", "gtap.conf"], {}), ([], {"GTAP_STORE": secret}),
                          ([], {"GTAP_STORE_FILE": "secret"})):
            text = self.gtap_with("config", *args, env=env).stdout
            self.assertNotIn("hush", text)
            self.assertIn("mongodb://user:***@db/gtap", text)

    def test_mistakes_name_the_place(self):
        for text, said in (("[report]\nbj = gpu\n", "bad.conf:2: unknown key 'bj' in [report]: "
                                                    "did you mean by?"),
                           ("[reprot]\nby = gpu\n", "bad.conf:2: unknown section [reprot]: "
                                                    "did you mean [report]?"),
                           ("[report]\nlimit = few\n", "bad.conf:2: limit: must be a whole"),
                           ("[report\n", "bad.conf:1: must be [section]")):
            with open(self.gtap.file("bad.conf"), "w", encoding="utf-8") as f:
                f.write(text)
            done = self.gtap_with("report", "--config", "bad.conf", expect=2)
            self.assertIn(said, done.stderr)


class Terminal(Small):
    def test_piped_is_plain(self):
        for args in (["report"], ["report", "--by", "gpu"], ["verify"], ["price", "list"],
                     ["export", "token_usage"], ["config"]):
            store = [] if args == ["config"] else ["--store", self.store]
            done = self.gtap_with(*args, *store, env={"TERM": "xterm", "COLUMNS": "20"})
            self.assertNotIn(ESCAPE, done.stdout + done.stderr)
            self.assertNotIn("\r", done.stderr)
            self.assertNotIn("\u2026", done.stdout)

    def test_color(self):
        args = ("report", "--store", self.store)
        self.assertIn(ESCAPE, self.on_terminal(*args)[0])
        self.assertNotIn(ESCAPE, self.on_terminal(*args, env={"NO_COLOR": "1"})[0])
        self.assertNotIn(ESCAPE, self.on_terminal(*args, env={"TERM": "dumb"})[0])
        self.assertNotIn(ESCAPE, self.on_terminal(*args, "--color", "never")[0])
        self.assertIn(ESCAPE, self.gtap_with(*args, "--color", "always").stdout)
        plain = self.on_terminal(*args, env={"NO_COLOR": "1"}, columns=200)[0]
        self.assertEqual(plain, self.gtap_with(*args).stdout)

    def test_tables_fit(self):
        for columns in (40, 60, 80, 120):
            text, _ = self.on_terminal("report", "--by", "gpu", "--store", self.store,
                                       columns=columns, env={"NO_COLOR": "1"})
            table = text.split("\n\n")[1].split("\n")
            width = max(len(re.sub(r"  no .*|  they .*", "", line)) for line in table)
            self.assertLessEqual(width, max(columns, 50))  # money is never left out
            self.assertIn("bill $", table[0])

    def test_progress(self):
        """Long work says how far it is, and the line is gone in the end."""
        seen, status = self.on_terminal("verify", "--store", self.store)
        self.assertEqual(status, 0)
        self.assertRegex(seen, r"\rverifying: \d+ % · [\d,]+ records?\x1b\[K")
        self.assertLess(seen.count("verifying: "), 150)  # of 300 windows
        self.assertIn("\r\x1b[K", seen)
        seen, status = self.on_terminal("run", "--in", "file:night.ndjson", "--out",
                                        "sqlite:progress.db", "--until-end")
        self.assertEqual(status, 0)
        self.assertRegex(seen, r"\r(\d+\.\d % · )?[\d,]+ records? (stored )?· ")
        self.assertRegex(seen, r"\r\x1b\[Kgtap: stored 5,\d{3} records")
        with open(self.gtap.file("out.ndjson"), "w", encoding="utf-8") as out:
            seen, status = self.on_terminal("export", "gpu_metrics", "--store", self.store,
                                            stdout=out)
        self.assertEqual(status, 0)
        self.assertRegex(seen, r"\rexporting: \d+ % · [\d,]+ rows")

    def test_progress_fits(self):
        seen, _ = self.on_terminal("verify", "--store", self.store, columns=25)
        for line in re.findall(r"\r([^\r\x1b]*)\x1b\[K", seen):
            self.assertLess(len(line), 25)

    def test_a_reader_who_has_enough(self):
        """`gtap export ... | head -1` is no failure to speak of, however SIGPIPE is set."""
        for ignored in (False, True):
            def ignore(ignored=ignored):
                if ignored:
                    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            child = subprocess.Popen([self.gtap.path, "export", "gpu_metrics", "--store",
                                      self.store], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                     preexec_fn=ignore)
            self.assertTrue(child.stdout.readline().startswith(b'{"ts":'))
            child.stdout.close()
            self.assertEqual(child.stderr.read(), b"")
            child.stderr.close()
            self.assertIn(child.wait(timeout=support.DEADLINE), (-signal.SIGPIPE, 3))


if __name__ == "__main__":
    support.main(__name__)
