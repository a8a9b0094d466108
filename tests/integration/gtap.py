"""What the integration tests share: a binary, a folder of their own, made-up records, and stores
compared by what was computed."""

import argparse
import hashlib
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from daemon import DEADLINE, wait_for  # noqa: E402

HISTORY = ("late", "revision")  # what a row may remember of the order records came in
EPOCH = 1_767_225_600  # 2026-01-01T00:00:00Z


ARGS = argparse.Namespace(gtap=None, kills=50)  # of the command line, see main()
LINES_OF_TRACE, LINES_OF_VOICE, LINES_OF_FAILURE = 30, 12, 60  # of what failed, at most


class Gtap:
    """The binary, run in a folder; its stores and files are in there."""

    def __init__(self, path, folder):
        self.path, self.folder = os.path.abspath(path), folder
        self.voices = []  # see hear()

    def hear(self, name, said):
        """A process that goes on by itself: what said() answers is told where its test fails."""
        self.voices.append((name, said))

    def file(self, name):
        return os.path.join(self.folder, name)

    def store(self, name):
        return f"sqlite:{self.file(name)}"

    def start(self, *args, **kwargs):
        child = subprocess.Popen([self.path, *args], cwd=self.folder, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 **kwargs)
        self.hear(f"gtap {' '.join(args)}", lambda: unread(child.stderr))
        return child

    def run(self, *args, expect=0, timeout=300):
        done = subprocess.run([self.path, *args], cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, check=False)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"gtap {' '.join(args)} ended with {done.returncode}, not {expect}:"
                                 f"\n{done.stdout}{done.stderr}")
        return done

    def meter(self, store, *inputs):
        ins = [word for uri in inputs for word in ("--in", uri)]
        return self.run("run", *ins, "--out", store, "--until-end")

    def export(self, collection, store):
        lines = self.run("export", collection, "--store", store).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def computed(self, store):
        """A digest of all that was computed, whatever the order it was computed in."""
        lines = []
        for collection in ("token_usage", "cost_windows"):
            for row in self.export(collection, store):
                lines.append(json.dumps({k: v for k, v in row.items() if k not in HISTORY},
                                        sort_keys=True))
        return len(lines), hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def verify(self, store):
        return self.run("verify", "--store", store, expect=None)


def unread(pipe):
    """What stands in a pipe that nobody reads."""
    if pipe is None or pipe.closed or not select.select([pipe], [], [], 0)[0]:
        return ""
    return os.read(pipe.fileno(), 1 << 16).decode(errors="replace")


def records(n, seed=1, gpus=8, rate=20.0):
    """Requests and the GPU samples around them, as lines in the order of event time."""
    rng = random.Random(seed)
    now, sampled, number, lines = float(EPOCH), EPOCH, 0, []
    for _ in range(n):
        now += rng.expovariate(rate)
        while sampled <= now:
            for gpu in range(gpus):
                number += 1
                lines.append(sample(number, sampled + gpu * 0.1, gpu, 400 + rng.randrange(200)))
            sampled += 1
        number += 1
        lines.append(usage(rng, number, now, rng.randrange(gpus)))
    return lines


def event_id(number):
    return f"01940000-0000-7000-8000-{number:012x}"


def sample(number, ts, gpu, power):
    return json.dumps({"ts": round(ts, 3), "host": "gpu-01", "gpu_index": gpu,
                       "name": "NVIDIA H100 80GB HBM3", "utilization": 0.83, "power_w": power,
                       "price_per_hour_usd": 2.5, "event_id": event_id(number)})


def usage(rng, number, ts, gpu):
    latency = rng.uniform(500, 15000)
    return json.dumps({"ts": round(ts, 6), "model": rng.choice(("llama-3-70b", "qwen3-30b")),
                       "tenant": rng.choice(("search", "chat", "batch")), "host": "gpu-01",
                       "gpu_index": gpu, "prompt_tokens": rng.randrange(10, 3000),
                       "completion_tokens": rng.randrange(1, 800),
                       "latency_ms": round(latency, 3),
                       "ttft_ms": round(latency * rng.random() * 0.3, 3),
                       "event_id": event_id(number)})


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in lines)


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gtap-test-")
        self.addCleanup(holder.cleanup)
        self.gtap = Gtap(ARGS.gtap, holder.name)

    def write(self, name, lines):
        write_lines(self.gtap.file(name), lines)
        return f"file:{self.gtap.file(name)}"

    def assert_verified(self, store):
        done = self.gtap.verify(store)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(" 0 differ", done.stdout)

    @staticmethod
    def wait_for(condition, complaint="it did not come about"):
        wait_for(condition, complaint=complaint)


class TapResult(unittest.TestResult):
    """Says what came of each test in the Test Anything Protocol, as it ends."""

    number = failed = 0

    def say(self, good, test, note=""):
        self.number += 1
        self.failed += not good
        name = test.id().split(".", 1)[-1]
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}{note}", flush=True)

    def explain(self, test, text):
        """On stderr, which `meson test --print-errorlogs` shows: of a TAP program's stdout it shows
        nothing. The processes of the test still run, mostly."""
        lines = text.splitlines()[-LINES_OF_TRACE:]
        for name, said in getattr(getattr(test, "gtap", None), "voices", ()):
            last = said().splitlines()[-LINES_OF_VOICE:]
            lines += [f"-- {name}", *last] if last else []
        print(f"{test.id()}:", *lines[:LINES_OF_FAILURE], sep="\n", file=sys.stderr, flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.say(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.explain(test, self.failures[-1][1])
        self.say(False, test)

    def addError(self, test, err):
        super().addError(test, err)
        self.explain(test, self.errors[-1][1])
        self.say(False, test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            kind = self.failures if issubclass(err[0], test.failureException) else self.errors
            self.explain(test, kind[-1][1])
            self.say(False, subtest)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say(True, test, f" # SKIP {reason}")


def main(module):
    """Runs a module's tests; the last line counts them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gtap", required=True)
    parser.add_argument("--kills", type=int, default=ARGS.kills)
    parser.add_argument("--only", default="", help="tests whose name has this text")
    parser.parse_args(namespace=ARGS)
    loader = unittest.TestLoader()
    if ARGS.only:
        loader.testNamePatterns = [f"*{ARGS.only}*"]
    result = TapResult()
    loader.loadTestsFromModule(sys.modules[module]).run(result)
    print(f"1..{result.number}")
    skipped = len(result.skipped)
    print(f"# {result.number - result.failed - skipped} passed, {result.failed} failed"
          + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if result.failed or result.number == 0 else 0)
