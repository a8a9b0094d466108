"""CA0/demo/smoke-test.sh against real Kafka, SecantusDB by the real mongosh, and a processor: it
passes and leaves nothing behind; and it fails, saying what is wrong, for each thing that it checks.

    test_smoke.py --gtap BUILD/gtap [--only TEXT]
"""

import concurrent.futures
import http.server
import os
import re
import shlex
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path.append(os.path.join(HERE, "..", "integration"))

import gtap as support  # noqa: E402
import stack  # noqa: E402
from daemon import DEADLINE, free_ports, wait_for  # noqa: E402

import tools  # noqa: E402

SMOKE = os.path.join(ROOT, "CA0", "demo", "smoke-test.sh")
MONGODB = os.path.join(ROOT, "deploy", "compose", "mongodb")
PASSWORD = "smoke-secret"
WINDOWS = ("cost_windows", "cost_hours", "cost_days", "cost_corrections", "gpus")


class Smoke(stack.Case):
    def setUp(self):
        super().setUp()
        self.mongosh = tools.mongosh()
        if os.environ.get("GTAP_TEST_MONGODB_URI"):
            self.skipTest("makes a user in a database server of its own")
        with open(self.gtap.file("mongodb_gtap_password"), "w", encoding="ascii") as f:
            f.write(PASSWORD + "\n")
        self.db.command("createUser", "gtap", pwd=PASSWORD,
                        roles=[{"role": "readWrite", "db": self.database}])
        self.port = free_ports(1)[0]
        self.listen = f"127.0.0.1:{self.port}"
        self.publish = shlex.join([
            self.gtap.path, "agent", "--bootstrap", self.kafka.bootstrap, "--topic-metric",
            self.topics[0], "--topic-token", self.topics[1], "--in", "file:-", "--spool=",
            "--listen", "127.0.0.1:0"])
        self.mongo_command = f"bash {MONGODB}/eval.sh"

    def start_processor(self):
        process = self.processor("--listen", self.listen)
        wait_for(lambda: process.says("partitions here"), complaint="the processor does not read")
        return process

    def processor_args(self, *more):
        args = super().processor_args()
        at = args.index("--listen")
        return (*args[:at], *args[at + 2:], *more)

    def smoke(self, *args, **changed):
        env = {**os.environ, "SMOKE_PUBLISH": self.publish, "SMOKE_MONGO": self.mongo_command,
               "SMOKE_HEALTH": f"curl --silent --show-error --fail http://{self.listen}/health",
               "MONGOSH": self.mongosh, "MONGODB_PORT": str(self.mongo.port),
               "MONGO_INITDB_DATABASE": self.database, "GTAP_SECRETS_DIR": self.gtap.folder,
               "HOME": self.gtap.folder, **changed}
        return subprocess.run(["bash", SMOKE, *args], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=3 * DEADLINE, check=False)

    def left(self):
        """What of smoke tests is in the database."""
        return [d for name in ("gpu_metrics", "token_usage")
                for d in self.db[name].find({"_id": {"$regex": "^smoke-"}})] + \
               [d for name in WINDOWS for d in self.db[name].find({"host": {"$regex": "^smoke-"}})]

    def test_passes_and_leaves_nothing(self):
        self.start_processor()
        others = support.records(20)
        self.produce(others)
        self.wait_stored(others)
        done = self.smoke()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"PASSED: smoke-\d{14}-[0-9a-f]{12}\n$")
        self.assertEqual(done.stderr, "")
        self.assertEqual(self.left(), [])
        # Nothing comes back later, and what others sent is untouched.
        self.finish()
        self.assertEqual(self.left(), [])
        self.wait_stored(others)
        self.assert_verified()

    def broken_publish(self, edit):
        """A publisher that does a sed command to the records before it sends them."""
        return f"sed {shlex.quote(edit)} | {self.publish}"

    def publish_beside(self, edit):
        """A publisher beside which somebody sends a record that gtap's own agent would not."""
        file = self.gtap.file("beside")
        return (f"tee {file} | {self.publish} && grep -- '-gpu0\"' {file} | sed {shlex.quote(edit)} | "
                f"kcat -P -b {self.kafka.bootstrap} -t {self.topics[0]} -k smoke")

    def smoke_until(self, publish, wanted):
        """Once more, with more time, where it ended before all had come that shows what is wrong."""
        done = self.smoke("--seconds", "25", SMOKE_PUBLISH=publish)
        if not re.search(wanted, done.stderr):
            done = self.smoke("--seconds", str(DEADLINE), SMOKE_PUBLISH=publish)
        return done

    def test_fails_for_what_arrives(self):
        self.start_processor()
        cases = {
            r"/-a\"/d": r"0 documents \S+-a in token_usage, not 1",
            r"/-gpu20\"/d": r"5 samples in gpu_metrics, not 6",
            r"s/:3\.6/:3.7/": r"cost_nusd is \d+, not 10000000",
            r"s/:900,/:901,/": r"cost_per_token is [\d.e-]+, not 0\.00001\b",
            r"/-c\"/{p;s/-c\"/-d\"/}": r"-d in token_usage, which nobody sent",
        }
        cases = {self.broken_publish(edit): wanted for edit, wanted in cases.items()}
        cases[self.publish_beside("s/gpu_index\":0/gpu_index\":-1/")] = r"dead letter: gpu_index"
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            ran = {publish: pool.submit(self.smoke_until, publish, wanted)
                   for publish, wanted in cases.items()}
        for publish, wanted in cases.items():
            with self.subTest(wanted):
                done = ran[publish].result()
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertRegex(done.stderr, wanted)
                self.assertIn("  look at: ", done.stderr)
                self.assertNotIn("PASSED", done.stdout)
        self.assertEqual(self.left(), [])

    def test_fails_where_nothing_answers(self):
        self.answering({"/health": b'{"status":"failing"}'})
        nobody = free_ports(1)[0]
        cases = [
            ({"SMOKE_HEALTH": f"curl -sf http://127.0.0.1:{nobody}/health"},
             "the processor does not answer"),
            ({}, 'the processor is not well: {"status":"failing"}'),
            ({"SMOKE_HEALTH": "echo '{\"status\":\"ok\"}'", "MONGODB_PORT": str(nobody)},
             "MongoDB cannot be asked"),
            ({"SMOKE_HEALTH": "echo '{\"status\":\"ok\"}'", "MONGO_INITDB_DATABASE": "other"},
             "MongoDB cannot be asked"),
            ({"SMOKE_HEALTH": "echo '{\"status\":\"ok\"}'", "SMOKE_MONGO": "echo 7; cat >/dev/null"},
             "MongoDB answers '7'"),
            ({"SMOKE_HEALTH": "echo '{\"status\":\"ok\"}'", "SMOKE_PUBLISH": "false"},
             "the records were not taken"),
            # Nobody processes what arrives.
            ({"SMOKE_HEALTH": "echo '{\"status\":\"ok\"}'"}, "not as it must be after 1 s"),
        ]
        for changed, wanted in cases:
            with self.subTest(wanted):
                done = self.smoke("--seconds", "1", **changed)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(f"FAILED: {wanted}", done.stderr)
                self.assertIn("  look at: ", done.stderr)
                self.assertNotIn("PASSED", done.stdout)

    def test_fails_where_it_cannot_clean_up(self):
        self.start_processor()
        keeping = self.gtap.file("keeping.sh")
        with open(keeping, "w", encoding="ascii") as f:
            f.write(f"sed 's/deleteMany/countDocuments/' | {self.mongo_command}\n")
        done = self.smoke(SMOKE_MONGO=f"bash {keeping}")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"FAILED: the documents of \S+ are not all removed: left \d+")
        self.assertNotIn("PASSED", done.stdout)
        self.assertNotEqual(self.left(), [])

    def test_usage(self):
        for args in (["--seconds"], ["--seconds", "0"], ["--frobnicate"]):
            done = self.smoke(*args)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, re.compile("^FAILED: ", re.M))

    def answering(self, pages):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(pages[self.path])

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)


if __name__ == "__main__":
    support.main(__name__)
