"""A run that serves, and a client for it: what the tests of serving share."""

import http.client
import json
import re
import signal
import subprocess
import threading

import gtap as support

POST = "/v1/events"
SKIPPED = support.unittest.SkipTest


class Refused(Exception):
    """The connection did not come about, or broke off before an answer."""


class Served:
    """`gtap run --listen` on a free port of loopback; what it says on stderr is in `said`."""

    def __init__(self, gtap, store, *inputs, options=(), listen="127.0.0.1:0", under=(), **kwargs):
        ins = [word for uri in inputs for word in ("--in", uri)]
        self.launch(gtap, [*under, gtap.path, "run", *ins, "--out", store, *options,
                           *(("--listen", listen) if listen else ())], **kwargs)

    def launch(self, gtap, command, **kwargs):
        """Any command that serves."""
        self.command = command
        self.process = subprocess.Popen(
            self.command, cwd=gtap.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, **kwargs)
        self.said, self.port, self.ending = [], None, None
        gtap.hear(" ".join(command), lambda: "".join(self.said))
        self.heard = threading.Event()  # where it serves, or that it does not
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()
        if not self.heard.wait(support.DEADLINE) or self.port is None:
            self.process.kill()
            raise AssertionError(f"it does not serve: {''.join(self.said)}")

    def listen(self):
        for line in self.process.stderr:
            self.said.append(line)
            found = re.search(r"serving at (https?)://\S+:(\d+)", line)
            if found and not self.heard.is_set():
                self.port = int(found[2])
                self.heard.set()
        self.heard.set()

    def ask(self, method, path, body=None, headers=(), connection=None):
        """The status, and the body as text."""
        c = connection or http.client.HTTPConnection("127.0.0.1", self.port,
                                                     timeout=support.DEADLINE)
        try:
            c.request(method, path, body, dict(headers))
            answer = c.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as e:
            raise Refused(repr(e)) from e
        finally:
            if connection is None:
                c.close()

    def post(self, lines, headers=(), connection=None):
        body = "".join(line + "\n" for line in lines).encode()
        return self.ask("POST", POST, body, headers, connection)

    def get(self, path, headers=()):
        return self.ask("GET", path, None, headers)

    def metric(self, name):
        """The value of one series, None where there is none; name with its labels."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return None

    def ready(self):
        status, text = self.get("/ready")
        return status, json.loads(text)

    def tell(self, number):
        self.ending = number
        self.process.send_signal(number)

    def end(self, number=signal.SIGTERM):
        """Ends the run, unless it was told to already; its exit status."""
        if self.process.poll() is None and number != self.ending:
            self.tell(number)
        status = self.process.wait(support.DEADLINE)
        self.reader.join(support.DEADLINE)
        self.process.stderr.close()
        return status


class Case(support.Case):
    def setUp(self):
        super().setUp()
        self.store = self.gtap.store("served.db")

    def serve(self, *inputs, store=None, **kwargs):
        served = Served(self.gtap, store or self.store, *(inputs or ("http:",)), **kwargs)
        self.addCleanup(served.end, signal.SIGKILL)
        return served

    def stop(self, served):
        self.assertEqual(served.end(), 0, "".join(served.said))

    def stored_ids(self, store=None):
        """The event_ids in the store, as often as they are there."""
        return [row["event_id"] for collection in ("gpu_metrics", "token_usage")
                for row in self.gtap.export(collection, store or self.store)]

    def settle(self, store):
        """Everything in it becomes final, as if no more were to come."""
        self.gtap.meter(store, self.write("nothing.ndjson", []))


def batches(lines, n):
    return [lines[i:i + n] for i in range(0, len(lines), n)]


def ids_of(lines):
    return [json.loads(line)["event_id"] for line in lines]
