#!/usr/bin/env python3
"""Runs test programs of this folder on a MongoDB store: on_mongodb.py PROGRAM...

On the server that GTAP_TEST_MONGODB_URI names, else on a SecantusDB that is started for them and
ended with them; skipped, saying so, where that cannot be had."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("support", "integration"):
    sys.path.append(os.path.join(HERE, "..", "..", folder))

from gtap import DEADLINE, TapResult  # noqa: E402
import mongo  # noqa: E402

SECONDS = 4 * DEADLINE  # one program's: hundreds of searches, of a server written in Python


class OnMongoDB(unittest.TestCase):
    """One program, whose own lines become comments."""

    def __init__(self, program, uri):
        super().__init__("run_program")
        self.program, self.uri = program, uri

    def id(self):
        return f"{type(self).__name__}.{os.path.basename(self.program)}"

    def run_program(self):
        env = dict(os.environ, GTAP_TEST_STORE="mongodb", GTAP_TEST_MONGODB_URI=self.uri,
                   CMOCKA_MESSAGE_OUTPUT="TAP")
        done = subprocess.run([self.program], env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
        print("".join(f"# {line}\n" for line in done.stdout.splitlines()), end="", flush=True)
        last = "\n".join(done.stdout.splitlines()[-20:])
        self.assertEqual(done.returncode, 0, f"a test of it failed:\n{last}")
        self.assertIn("\nok ", "\n" + done.stdout, "it ran no test")


class Holder(unittest.TestCase):
    """What a server is cleaned up with."""

    def runTest(self):
        pass


def main():
    holder = Holder()
    result = TapResult()
    with tempfile.TemporaryDirectory(prefix="gtap-test-") as folder:
        try:
            server = mongo.for_test(holder, folder)
            server.start()
            for program in sys.argv[1:]:
                OnMongoDB(program, server.uri).run(result)
        except unittest.SkipTest as away:
            print(f"1..0 # SKIP {away}")
            return 0
        finally:
            holder.doCleanups()
    print(f"1..{result.number}")
    return 1 if result.failed or result.number == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
