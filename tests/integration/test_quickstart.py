"""docs/quickstart-pipeline.md, command by command, on real servers: only ports and the folder are
others than on the page.

    test_quickstart.py --gtap BUILD/gtap
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import gtap as support
import test_docs as docs

sys.path.append(os.path.join(docs.ROOT, "tests", "support"))
import kafka  # noqa: E402
import mongo  # noqa: E402
from daemon import DEADLINE, free_ports, wait_for  # noqa: E402

PAGE, FOLDER = "docs/quickstart-pipeline.md", "/tmp/quickstart"
MESSAGE = "my-first-request"
PORTS = {"9092": 5, "27017": 1, "8080": 1, "8081": 1}  # and how many in a row


class Quickstart(support.Case):
    def setUp(self):
        super().setUp()
        if os.environ.get(mongo.ELSEWHERE):
            self.skipTest("the page starts a database of its own")
        kafka.jars()
        kafka.client()
        mongo.pymongo()
        self.servers = self.gtap.file("quickstart")
        self.ports = {port: str(free_ports(count)[0]) for port, count in PORTS.items()}
        self.env = {**os.environ, "PORT": self.ports["8080"]}
        self.ran, self.children = 0, []
        self.addCleanup(self.end_all)

    def blocks(self):
        return [item for section in docs.sections(PAGE) for item in section.items
                if isinstance(item, docs.Block) and item.kind == "sh"]

    def of(self, word):
        return [b for b in self.blocks() if b.words[1:] == ([word] if word else [])]

    def command(self, block):
        """What the block says, with the test's ports, folder and binary."""
        text = "\n".join(block.lines).replace(FOLDER, self.servers)
        text = re.sub(r"\bbuild/gtap\b", self.gtap.path, text)
        return re.sub(r"(?<=[ :])(" + "|".join(PORTS) + r")\b", lambda m: self.ports[m[1]], text)

    def run_block(self, block):
        self.ran += 1
        text = self.command(block)
        done = subprocess.run(["bash", "-o", "pipefail", "-e", "-c", text], cwd=docs.ROOT,
                              env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=DEADLINE, check=False)
        self.assertEqual(done.returncode, 0, f"{PAGE}:{block.line}\n{text}\n{done.stdout}"
                         f"{done.stderr}")
        return done.stdout

    def start_block(self, block):
        self.ran += 1
        log = open(self.gtap.file(f"log-{block.line}"), "w", encoding="utf-8")
        self.addCleanup(log.close)
        child = subprocess.Popen(["bash", "-c", "exec " + self.command(block)], cwd=docs.ROOT,
                                 env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.children.append(child)
        return child

    def said(self, block):
        path = self.gtap.file(f"log-{block.line}")
        if not os.path.exists(path):
            return ""  # not started yet
        with open(path, encoding="utf-8") as f:
            return f.read()

    def end_all(self):
        for child in self.children:
            child.kill()
            child.wait()
        for kind, name in ((kafka.Cluster, "kafka"), (mongo.Server, "mongo")):
            if os.path.exists(os.path.join(self.servers, name)):
                kind(os.path.join(self.servers, name)).kill()

    def ready(self, port):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}/ready",
                                        timeout=DEADLINE) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.read().decode()
        except OSError:
            return ""  # not yet

    def wait_unless_ended(self, condition, complaint):
        def done():
            ended = [c for c in self.children if c.poll() is not None]
            self.assertEqual(ended, [], [self.said(b) for b in self.of("running")[:2]])
            return condition()
        try:
            wait_for(done, complaint=complaint)
        except AssertionError as e:
            said = "\n".join(self.said(block) for block in self.of("running"))
            raise AssertionError(f"{e}\n{said}{self.ready('8080')}{self.ready('8081')}") from e

    def publish(self, block, number):
        """The page's message, under an id of its own; how long until its cost is there to read."""
        name = f"{MESSAGE}-{number}"
        block.lines = [line.replace(MESSAGE, name) for line in block.lines]
        self.run_block(block)
        sent = time.monotonic()
        self.wait_unless_ended(lambda: (self.db.token_usage.find_one({"_id": name}) or {})
                               .get("cost_per_token"), f"{name} has no cost")
        block.lines = [line.replace(name, MESSAGE) for line in block.lines]
        return time.monotonic() - sent

    def test_the_page(self):
        servers, running, message = self.of(None), self.of("running"), self.of("message")[0]
        self.run_block(servers[0])
        self.db = mongo.pymongo().MongoClient(
            f"mongodb://127.0.0.1:{self.ports['27017']}/gtap").get_default_database()
        self.addCleanup(self.db.client.close)
        self.start_block(running[0])
        self.wait_unless_ended(lambda: "partitions here" in self.said(running[0]),
                               "the processor does not read")
        self.start_block(running[1])
        self.wait_unless_ended(lambda: self.db.gpu_metrics.count_documents({"gpu_index": 1}) > 4,
                               "no samples come")
        self.run_block(message)
        self.wait_unless_ended(lambda: (self.db.token_usage.find_one({"_id": MESSAGE}) or {})
                               .get("cost_per_token"), "the message has no cost")
        self.see()
        # "Within a second": by the best of some, as the machine does other things, too.
        took = [self.publish(message, 0)]
        while min(took) >= 1.0 and len(took) < 10:
            took.append(self.publish(message, len(took)))
        self.assertLess(min(took), 1.0, took)
        self.wait_unless_ended(lambda: self.db.cost_windows.find_one({"model": "llama-3-70b"}),
                               "no window has the message")
        self.assertRegex(self.run_block(servers[1]), "llama-3-70b")
        self.start_block(running[2])
        self.wait_unless_ended(lambda: "6 of 12 partitions here" in self.ready("8081"),
                               "the second processor does not get half")
        self.end()
        self.assertEqual(self.ran, len(self.blocks()) - self.left_out + len(took))

    def see(self):
        self.left_out = 0
        for block in self.of("mongosh"):
            if shutil.which("mongosh"):
                self.assertIn("cost_per_token", self.run_block(block))
            else:
                self.left_out += 1
                print("# mongosh is not installed: its command was not run")
        shown = self.run_block(self.of("document")[0])
        self.assertRegex(shown, r"'cost_per_token': [0-9.e-]+")
        self.assertIn("'final': False", shown)

    def end(self):
        for child in self.children:
            child.send_signal(signal.SIGINT)
        self.assertEqual([child.wait(DEADLINE) for child in self.children], [0] * 3)
        self.run_block(self.of("end")[0])
        self.assertFalse(os.path.exists(self.servers))


if __name__ == "__main__":
    support.main(__name__)
