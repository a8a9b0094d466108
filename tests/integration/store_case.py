"""What the tests of the store share: a writer that is fed line by line, and a place to mount."""

import contextlib
import os
import sqlite3
import subprocess

import gtap as support

COULD_NOT = 3


class Case(support.Case):
    def assert_refused(self, done, *words):
        """It could not run, and said all of these words on stderr."""
        self.assertEqual(done.returncode, COULD_NOT, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def meter_it(self, store, *inputs, **kwargs):
        ins = [word for uri in inputs for word in ("--in", uri)]
        return self.gtap.run("run", *ins, "--out", store, "--until-end", expect=None, **kwargs)

    def bytes_of(self, name):
        with open(self.gtap.file(name), "rb") as f:
            return f.read()

    def stored(self, name):
        """Records that a reader finds."""
        with contextlib.closing(sqlite3.connect(f"file:{self.gtap.file(name)}?mode=ro",
                                                uri=True)) as db:
            return db.execute("SELECT samples + usages FROM meta").fetchone()[0]


class Feeder:
    """A writer that goes on for as long as it is fed: gtap run, reading a pipe."""

    def __init__(self, case, store, lines, *options):
        self.case, self.lines, self.at = case, lines, 0
        pipe = case.gtap.file("pipe")
        if not os.path.exists(pipe):
            os.mkfifo(pipe)
        self.child = case.gtap.start("run", "--in", f"file:{pipe}", "--out", store, *options)
        self.pipe = open(pipe, "w", encoding="utf-8")
        case.addCleanup(self.stop)

    def feed(self, n):
        self.pipe.writelines(line + "\n" for line in self.lines[self.at:self.at + n])
        self.pipe.flush()
        self.at = min(self.at + n, len(self.lines))

    def end(self):
        """The input ends; returns what the writer said."""
        self.feed(len(self.lines))
        self.pipe.close()
        _, err = self.child.communicate(timeout=support.DEADLINE)
        self.case.assertEqual(self.child.returncode, 0, err)
        return err

    def kill(self):
        self.child.kill()
        self.child.communicate()
        self.close()

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.pipe.close()

    def stop(self):
        if self.child.poll() is None:
            self.kill()
        self.close()


class Namespace:
    """A mount namespace of its own: what is mounted in it goes with it."""

    def __init__(self, case):
        self.case = case
        for enter, leave in ((["unshare", "-m"], []),
                             (["unshare", "-rm"], ["-U", "--preserve-credentials"])):
            self.holder = subprocess.Popen([*enter, "sh", "-c", "echo in; exec cat"], text=True,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL)
            self.options = leave
            if self.holder.stdout.readline() == "in\n":
                case.addCleanup(self.leave)
                return
            self.leave()
        case.skipTest("mount namespaces are not to be had here")

    def leave(self):
        self.holder.stdin.close()
        self.holder.wait()
        self.holder.stdout.close()

    def run(self, *args, expect=0):
        inside = ["nsenter", "-t", str(self.holder.pid), "-m", *self.options, "--"]
        done = subprocess.run([*inside, *args], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=support.DEADLINE)
        if expect is not None:
            self.case.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def mount(self, *args):
        done = self.run("mount", *args, expect=None)
        if done.returncode != 0:
            self.case.skipTest(f"nothing may be mounted here: {done.stderr.strip()}")

    def gtap(self, *args, expect=None):
        return self.run(self.case.gtap.path, *args, expect=expect)
