"""`gtap health`, against what a server can do.

    test_health.py --gtap BUILD/gtap [--only TEXT]
"""

import os
import shutil
import socket
import subprocess
import sys
import time

import gtap as support
import served
from pages import Pages

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from daemon import free_ports, make_certificates  # noqa: E402

PROBLEM = '{"type":"about:blank","title":"Busy","status":503,"detail":"the store is away"}'


class Ways(Pages):
    """And the ways that a health check meets."""

    def empty(self, request):
        self.head(request, status=204)

    def problem(self, request):
        body = PROBLEM.encode()
        self.head(request, ("Content-Type", "application/problem+json"),
                  ("Content-Length", len(body)), status=503)
        request.wfile.write(body)


class Health(support.Case):
    def pages(self, how="well", **kwargs):
        pages = Ways('{"status":"ok"}\n', how, **kwargs)
        self.addCleanup(pages.close)
        return pages

    def ask(self, url, *options, expect=0):
        done = self.gtap.run("health", url, *options, expect=expect)
        said = done.stdout if expect == 0 else done.stderr
        self.assertEqual(done.stdout + done.stderr, said)
        self.assertTrue(expect == 2 or said.count("\n") == 1, said)
        return said

    def refused(self, url, *options):
        return self.ask(url, *options, expect=1)

    def test_successes(self):
        for how in ("well", "chunked", "empty"):
            url = f"http://{self.pages(how).address}/health"
            self.assertEqual(self.ask(url), f"{url}: ok\n")
        pages = self.pages("moved")
        self.ask(f"http://{pages.address}/metrics")

    def test_a_gtap_that_serves(self):
        run = served.Served(self.gtap, self.gtap.store("s.db"), "http:")
        self.addCleanup(run.end, served.signal.SIGKILL)
        for path in ("health", "ready"):
            self.wait_for(lambda p=path: run.get(f"/{p}")[0] == 200)
            self.ask(f"http://127.0.0.1:{run.port}/{path}")
        self.assertIn("answers 404", self.refused(f"http://127.0.0.1:{run.port}/nothing"))
        self.assertEqual(run.end(), 0)
        with socket.socket() as nobody:  # has the port, so that no other test can serve there
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            self.assertIn("connect", self.refused(f"http://127.0.0.1:{port}/health"))

    def test_refusals(self):
        self.assertIn("answers 503", self.refused(f"http://{self.pages('broken').address}/health"))
        said = self.refused(f"http://{self.pages('problem').address}/health")
        self.assertIn("answers 503: the store is away", said)
        pages = self.pages("moved_away")
        pages.away = self.pages().address
        self.assertIn("another address", self.refused(f"http://{pages.address}/health"))
        self.refused(f"http://{self.pages('half').address}/health")

    def test_silence(self):
        url = f"http://{self.pages('silent').address}/health"
        begun = time.monotonic()
        self.assertIn("timed out", self.refused(url, "--timeout", "200ms"))
        self.assertLess(time.monotonic() - begun, support.DEADLINE / 4)

    def test_token(self):
        url = f"http://{self.pages(token='s3cret').address}/health"
        with open(self.gtap.file("token"), "w", encoding="ascii") as f:
            f.write("s3cret\n")
        self.assertIn("--api-token-file", self.refused(url))
        self.ask(url, "--api-token-file", self.gtap.file("token"))
        with open(self.gtap.file("token"), "w", encoding="ascii") as f:
            f.write("other\n")
        said = self.refused(url, "--api-token-file", self.gtap.file("token"))
        self.assertNotIn("other", said)

    def test_certificates(self):
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl to make a certificate with")
        make_certificates(self.gtap.folder)
        pages = self.pages(certificate=(self.gtap.file("server.pem"),
                                        self.gtap.file("server.key")))
        url = f"https://{pages.address}/health"
        self.assertIn("certificate", self.refused(url).lower())
        self.ask(url, "--tls-ca", self.gtap.file("ca.pem"))

    def test_misuse(self):
        for url in ("localhost:8080", "ftp://h/", "http://", "http:///etc", "http://u:p@h/", "http://h /"):
            said = self.ask(url, expect=2)
            self.assertIn("is no address", said)
        self.assertIn("1ms or more", self.ask("http://h/", "--timeout", "0", expect=2))

    def told(self, variable, value):
        return subprocess.run([self.gtap.path, "health"], env={**os.environ, variable: value}, text=True,
                              stdout=subprocess.PIPE, cwd=self.gtap.folder, check=True).stdout

    def test_where_it_asks_by_itself(self):
        """The address that a gtap serves at by default: nobody need be there."""
        done = self.gtap.run("health", expect=None)
        self.assertIn("http://127.0.0.1:8080/health", done.stdout + done.stderr)
        address = self.pages().address
        self.assertEqual(self.told("GTAP_HEALTH_URL", f"http://{address}/x"), f"http://{address}/x: ok\n")
        port = free_ports(1)[0]
        self.assertIn(f":{port}/", self.refused(f"http://127.0.0.1:{port}/health"))


if __name__ == "__main__":
    support.main(__name__)
