"""`gtap top` before a terminal: its keys, sizes and endings, over a store, an API and inputs."""

import codecs
import fcntl
import http.server
import json
import os
import pty
import select
import shlex
import signal
import struct
import subprocess
import termios
import threading
import time
from unittest import mock

import gtap as support
import served
from python_venv import import_from

PACKAGES = ["pyte==0.8.2", "wcwidth==0.2.13"]
AT = "2026-01-01T00:02:00Z"
UP, DOWN, PAGE_DOWN = b"\x1bOA", b"\x1bOB", b"\x1b[6~"
F = {1: b"\x1bOP", 2: b"\x1bOQ", 3: b"\x1bOR", 4: b"\x1bOS", 6: b"\x1b[17~", 9: b"\x1b[20~",
     10: b"\x1b[21~"}


def emulator(size):
    """A screen, and the stream that feeds it; with the scrolling that pyte does not know."""
    pyte = import_from("pyte", PACKAGES, "pyte")

    class Screen(pyte.Screen):
        def scroll(self, change):
            x, y = self.cursor.x, self.cursor.y
            self.cursor.y = self.margins.top if self.margins else 0
            change()
            self.cursor.x, self.cursor.y = x, y

        def scroll_up(self, count=None):
            self.scroll(lambda: self.delete_lines(count))

        def scroll_down(self, count=None):
            self.scroll(lambda: self.insert_lines(count))

        def repeat(self, count=None):
            self.draw(self.buffer[self.cursor.y][self.cursor.x - 1].data * (count or 1))

    class Stream(pyte.Stream):
        csi = dict(pyte.Stream.csi, S="scroll_up", T="scroll_down", b="repeat")
        events = pyte.Stream.events | {"scroll_up", "scroll_down", "repeat"}

    screen = Screen(*size)
    return screen, Stream(screen)


class Terminal:
    """A program on a terminal of its own, and what stands on its screen."""

    def __init__(self, command, folder, term="xterm-256color", size=(80, 24), **env):
        self.screen, self.stream = emulator(size)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.master, self.slave = pty.openpty()
        self.written = b""
        self.resize(*size)
        self.before = termios.tcgetattr(self.slave)
        environment = dict(os.environ, TERM=term, LANG="C.UTF-8", LC_ALL="C.UTF-8", **env)
        environment.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=self.slave, stdout=self.slave,
            stderr=self.slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def read(self, seconds=0.05):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return False
            self.written += data
            self.stream.feed(self.decoder.decode(data))
        return True

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait(self, condition, seconds=support.DEADLINE):
        deadline = time.monotonic() + seconds
        while not condition(self.text()):
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not show; the screen has:\n{self.text()}")
            self.read()

    def shows(self, *parts):
        self.wait(lambda text: all(part in text for part in parts))

    def press(self, keys, *parts):
        os.write(self.master, keys)
        self.shows(*parts)

    def end(self, seconds=support.DEADLINE):
        """The exit status; the terminal is as it was."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read()
        while self.read(0) and select.select([self.master], [], [], 0)[0]:
            pass
        status = self.process.poll()
        assert status is not None, "it does not end"
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class TopCase(support.Case):
    def store(self):
        store = self.gtap.store("t.db")
        source = self.write("day.ndjson", support.records(600, gpus=3, rate=5.0))
        self.gtap.run("run", "--in", source, "--out", store, "--until-end")
        return store

    def terminal(self, *args, **kwargs):
        t = Terminal([self.gtap.path, "top", *args], self.gtap.folder, **kwargs)
        self.addCleanup(t.close)
        return t


class OnAStore(TopCase):
    def test_every_key(self):
        t = self.terminal("--store", self.store(), "--at", AT, "--window", "1h")
        t.shows("gtap  $", "GPU ", "gpu-01/0", "MODEL / TENANT", "llama-3-70b / chat", "bill")
        for key, letter in ((F[2], b"b"), (b"2", b"2")):
            t.press(key, "F2 model ", "MODEL  ")
            t.press(letter, "F2 tenant", "TENANT  ")
            t.press(key, "F2 gpu/model", "GPU / MODEL")
            t.press(letter, "F2 model/tenant", "MODEL / TENANT")
        t.press(F[3], "last 24 h")
        t.press(b"3", "today")
        t.press(b"w", "last 1 min")
        t.press(b"w", "last 5 min")
        t.press(b"w", "last 1 h")
        t.press(F[4], "F4 loaded", "idle (in the rows)")
        t.press(b"4", "F4 busy")
        t.press(b"l", "F4 loaded")
        t.press(b"l", "F4 busy")
        for word in ("tokens", "requests", "rate", "name", "cost"):
            t.press(F[6], f"F6 {word}")
        for key, word in ((b"s", "tokens"), (b"6", "requests"), (b">", "rate"), (b"T", "tokens"),
                          (b"R", "requests"), (b"M", "rate"), (b"N", "name"), (b"P", "cost")):
            t.press(key, f"F6 {word}")
        t.press(F[1], "this help")
        t.press(b"h", "MODEL / TENANT")
        t.press(b"?", "this help")
        t.press(b"\x1b", "MODEL / TENANT")
        t.press(F[9], "gpu-01/0 is NVIDIA H100 80GB HBM3 at $2.5 an hour")
        t.press(b"9", "MODEL / TENANT")
        t.press(DOWN + DOWN + b"\r", "gpu-01/2 is NVIDIA")
        t.press(b"e", "MODEL / TENANT")
        t.press(UP + b"e", "gpu-01/1 is NVIDIA")
        t.press(b"e", "MODEL / TENANT")
        t.press(b"\te", "GPU time, which cost $")
        t.press(b"e" + PAGE_DOWN + b"kje", "GPU time, which cost $")
        t.press(b"e/qwen", "filter: qwen_", "(3 hidden)")
        t.press(b"x\x7f\r", "filter: qwen", "qwen3-30b / ")
        t.wait(lambda text: "llama-3-70b / " not in text)
        t.press(b"\x1b", "llama-3-70b / ")
        t.press(b"\x0c", "llama-3-70b / ")
        os.write(t.master, F[10])
        self.assertEqual(t.end(), 0)

    def test_numbers_are_those_of_the_report(self):
        store = self.store()
        for by in ("model,tenant", "model", "tenant"):
            for window, since in (("1h", "2025-12-31T23:02:00Z"), ("5m", "2025-12-31T23:57:00Z"),
                                  ("today", "2026-01-01T00:00:00Z")):
                top = json.loads(self.gtap.run(
                    "top", "--json", "--store", store, "--at", AT, "--window", window,
                    "--by", by.replace(",", "/")).stdout)
                report = json.loads(self.gtap.run(
                    "report", "--json", "--store", store, "--by", by, "--provisional",
                    "--since", since, "--until", AT).stdout)
                self.compare(top, report, by.split(","))

    def compare(self, top, report, dims):
        fields = ("requests", "prompt_tokens", "completion_tokens", "cost_nusd",
                  "loaded_cost_nusd", "usd_per_mtok", "loaded_usd_per_mtok")
        rows = [{f: row[f] for f in (*dims, *fields)} for row in top["rows"]]
        want = [{f: row[f] for f in (*dims, *fields)} for row in report["rows"]
                if row["kind"] == "usage"]
        key = lambda row: json.dumps([row[d] for d in dims])
        self.assertGreater(len(want), 1)
        self.assertEqual(sorted(rows, key=key), sorted(want, key=key))
        totals = report["totals"]
        self.assertEqual(top["totals"]["bill_nusd"], totals["bill"]["cost_nusd"])
        self.assertEqual(top["totals"]["idle_nusd"], totals["idle"]["cost_nusd"])
        self.assertEqual(top["usd_per_mtok"], totals["bill"]["usd_per_mtok"])
        self.assertEqual(sum(g["cost_nusd"] for g in top["gpus"]), top["totals"]["bill_nusd"])

    def test_sizes(self):
        t = self.terminal("--store", self.store(), "--at", AT, size=(80, 24))
        t.shows("F10 quit", "bill")
        for columns, lines in ((40, 10), (200, 60), (20, 4), (200, 24), (80, 24)):
            t.resize(columns, lines)
            t.wait(lambda text, n=lines: "F1 help" in t.screen.display[n - 1])
            if columns >= 80:  # every column, whole, and the clock at the right end
                t.shows("F10 quit", "bill", "power", "H100 80GB HBM3", "llama-3-70b / search",
                        "of bill")
                t.wait(lambda text, n=columns: t.screen.display[0].rstrip().endswith("00:02:00")
                       and len(t.screen.display[0].rstrip()) == n)
                t.wait(lambda text: "…" not in text)
        os.write(t.master, b"q")
        self.assertEqual(t.end(), 0)

    def test_a_store_that_comes_later(self):
        t = self.terminal("--store", self.gtap.store("t.db"), "--at", AT, "--delay", "100ms")
        t.shows("waiting for sqlite:", "there is no such file; trying again")
        self.store()
        t.shows("llama-3-70b / ", "bill")
        os.write(t.master, b"0")
        self.assertEqual(t.end(), 0)

    def test_signals(self):
        store = self.store()
        for number in (signal.SIGTERM, signal.SIGINT):
            t = self.terminal("--store", store, "--at", AT)
            t.shows("bill")
            t.process.send_signal(number)
            self.assertEqual(t.end(), 0)
        t = self.terminal("--store", store, "--at", AT)
        t.shows("bill")
        os.write(t.master, b"\x03")
        self.assertEqual(t.end(), 0)

    def test_stopped_and_continued(self):
        words = [self.gtap.path, "top", "--store", self.store(), "--at", AT]
        shell = f"{shlex.join(words)}; echo it stands; read -r; fg >/dev/null; exit $?"
        t = Terminal(["bash", "-mc", shell], self.gtap.folder)
        self.addCleanup(t.close)
        t.shows("bill", "F10 quit")
        os.write(t.master, b"\x1a")
        t.shows("it stands")
        self.assertTrue(termios.tcgetattr(t.slave)[3] & termios.ICANON)
        t.screen.reset()
        t.press(b"\n", "bill", "F10 quit")
        os.write(t.master, b"q")
        self.assertEqual(t.end(), 0)

    def test_terminals(self):
        store = self.store()
        for term in ("vt100", "xterm", "xterm-256color", "linux"):
            t = self.terminal("--store", store, "--at", AT, term=term)
            t.shows("gpu-01/0", "bill")
            os.write(t.master, b"q")
            self.assertEqual(t.end(), 0)
            self.assertEqual(b"\x1b[3" in t.written, term != "vt100", term)
        t = self.terminal("--store", store, "--at", AT, NO_COLOR="1")
        t.shows("bill")
        os.write(t.master, b"q")
        self.assertEqual(t.end(), 0)
        self.assertNotIn(b"\x1b[32m", t.written)
        t = self.terminal("--store", store, "--at", AT, term="dumb")
        t.shows("one frame, as with --once", "bill")
        self.assertEqual(t.end(), 0)
        t = self.terminal("--store", store, "--at", AT, term="never-heard-of")
        t.shows("the terminal 'never-heard-of' is not known here")
        self.assertEqual(t.end(), 3)

    def test_piped(self):
        done = self.gtap.run("top", "--store", self.store(), "--at", AT)
        self.assertIn("one frame, as with --once", done.stderr)
        self.assertIn("bill", done.stdout)
        self.assertNotIn("\x1b", done.stdout)
        done = self.gtap.run("top", "--once", "--store", self.gtap.store("none.db"), expect=3)
        self.assertIn("there is no such file", done.stderr)
        self.gtap.run("top", "--in", "kafka://localhost/x", expect=2)
        self.gtap.run("top", "ftp://localhost", expect=2)
        self.gtap.run("top", "http://localhost", "--store", "sqlite:x", expect=2)


    def test_piped_whole(self):
        """Into a pipe every line is whole, unless somebody wants it as wide as that."""
        store, long = self.gtap.store("long.db"), "meta-llama/" + "very-" * 30 + "long"
        records = support.records(60, gpus=1, rate=5.0)
        source = self.write("long.ndjson", [r.replace("llama-3-70b", long) for r in records])
        self.gtap.run("run", "--in", source, "--out", store, "--until-end")
        whole = self.gtap.run("top", "--once", "--store", store, "--at", AT).stdout
        self.assertIn(f"{long} / chat", whole)
        self.assertNotIn("…", whole)
        narrow = self.gtap.run("top", "--once", "--width", "80", "--store", store, "--at", AT)
        self.assertEqual(max(map(len, narrow.stdout.splitlines())), 80)
        with mock.patch.dict(os.environ, COLUMNS="90"):
            columns = self.gtap.run("top", "--once", "--store", store, "--at", AT)
        self.assertEqual(max(map(len, columns.stdout.splitlines())), 90)
        self.gtap.run("top", "--once", "--width", "-1", "--store", store, expect=2)


class OnInputs(TopCase):
    def test_in_memory(self):
        t = self.terminal("--in", "synthetic:?rate=50&gpus=2", "--price", "3", "--delay", "200ms",
                          size=(120, 24))
        t.shows("this machine", "/0", "$6.00/h", "provisional")
        t.wait(lambda text: " / " in text.split("TENANT")[-1])
        os.write(t.master, b"q")
        self.assertEqual(t.end(), 0)
        self.assertEqual(os.listdir(self.gtap.folder), [])

    def test_once(self):
        done = self.gtap.run("top", "--json", "--in", "synthetic:?rate=50&gpus=2", "--price", "3")
        top = json.loads(done.stdout)
        self.assertGreater(top["totals"]["bill_nusd"], 0)
        self.assertEqual(len(top["gpus"]), 2)

    def test_an_input_that_is_none(self):
        t = self.terminal("--in", "file:/does/not/exist")
        t.shows("/does/not/exist")
        os.write(t.master, b"q")
        self.assertEqual(t.end(), 0)


class Api(http.server.BaseHTTPRequestHandler):
    """/api/v1 as its contract says, out of what the store's report and export say."""

    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
            return self.answer(401, {"title": "Unauthorized", "detail": "a token is needed"})
        if server.broken:
            return self.answer(503, {"title": "Busy", "detail": "the store is away: wait"})
        if self.path.startswith("/api/v1/costs?"):
            by = self.path.split("by=")[1].split("&")[0]
            return self.answer(200, server.case.costs(by))
        return self.answer(200, server.case.gpus())

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class OnAnApi(TopCase):
    def setUp(self):
        super().setUp()
        self.at = self.store()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        self.server.case, self.server.token, self.server.broken = self, None, False
        self.server.asked = []
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def costs(self, by):
        r = json.loads(self.gtap.run("report", "--json", "--store", self.at, "--by", by,
                                     "--provisional").stdout)
        rows = [dict(row, busy_ns=round(row["gpu_seconds"] * 1e9),
                     unpriced_ns=round(row["unpriced_gpu_seconds"] * 1e9),
                     loaded_nusd=row["loaded_cost_nusd"]) for row in r["rows"]]
        return {"since": r["from"], "until": r["to"], "final_until": r["final_until"],
                "splits": r["splits"], "provisional": False, "rows": rows}

    def gpus(self):
        top = json.loads(self.gtap.run("top", "--json", "--store", self.at, "--at", AT).stdout)
        items = [dict(g, price_per_hour_usd="2.500000000", price_source="sample",
                      first_seen="2026-01-01T00:00:00Z") for g in top["gpus"]]
        return {"at": AT, "items": items}

    def test_same_as_the_store(self):
        options = ("--json", "--at", AT, "--window", "1h")
        api = json.loads(self.gtap.run("top", self.url, *options).stdout)
        store = json.loads(self.gtap.run("top", "--store", self.at, *options).stdout)
        self.assertEqual(api["totals"], store["totals"])
        strip = lambda rows: [{k: v for k, v in row.items() if k not in ("usd_per_hour", "final")}
                              for row in rows]
        self.assertEqual(strip(api["rows"]), strip(store["rows"]))
        self.assertEqual(strip(api["gpus"]), strip(store["gpus"]))

    def test_a_gtap_that_serves(self):
        server = served.Served.__new__(served.Served)
        server.launch(self.gtap, [self.gtap.path, "serve", "--listen", "127.0.0.1:0", "--store",
                                  self.at])
        self.addCleanup(server.end)
        url = f"http://127.0.0.1:{server.port}"
        for by in ("model/tenant", "model", "tenant", "gpu/model"):
            options = ("--json", "--at", AT, "--window", "1h", "--by", by)
            api = json.loads(self.gtap.run("top", url, *options).stdout)
            store = json.loads(self.gtap.run("top", "--store", self.at, *options).stdout)
            self.assertGreater(len(store["rows"]), 1)
            self.assertEqual(api, store)
        t = self.terminal(url, "--window", "today", "--tz", "Europe/Berlin")
        t.shows("today: -", "nothing in the window")
        os.write(t.master, b"q")
        self.assertEqual(t.end(), 0)

    def test_lost_and_found(self):
        t = self.terminal(self.url, "--delay", "100ms")
        t.shows("llama-3-70b / ", "bill", self.url)
        self.server.broken = True
        t.shows("no news for ", "the store is away: wait; trying again", "llama-3-70b / ")
        self.server.broken = False
        t.wait(lambda text: "no news" not in text)
        t.press(F[2], "F2 model ", "MODEL  ")
        self.assertTrue(any("by=model&" in path for path in self.server.asked))
        os.write(t.master, b"q")
        self.assertEqual(t.end(), 0)

    def test_token(self):
        self.server.token = "secret"
        done = self.gtap.run("top", self.url, "--once", expect=3)
        self.assertIn("--api-token-file", done.stderr)
        with open(self.gtap.file("token"), "w", encoding="ascii") as f:
            f.write("secret\n")
        done = self.gtap.run("top", self.url, "--once", "--api-token-file",
                             self.gtap.file("token"))
        self.assertIn("bill", done.stdout)

    def test_nobody_there(self):
        self.server.shutdown()
        self.server.server_close()
        t = self.terminal(self.url)
        t.shows(f"waiting for {self.url}", "trying again")
        t.process.send_signal(signal.SIGTERM)
        self.assertEqual(t.end(), 0)


if __name__ == "__main__":
    support.main(__name__)
