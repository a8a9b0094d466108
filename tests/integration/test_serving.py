"""Records that are sent in over HTTP: what was answered is stored, whatever happens to gtap.

    test_serving.py --gtap BUILD/gtap [--kills N] [--only TEXT]
"""

import gzip
import http.client
import json
import os
import queue
import random
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import warnings

import gtap as support
from served import Case, Refused, SKIPPED, batches, ids_of


class Sending(Case):
    """What is sent in is what a file would have brought."""

    def setUp(self):
        super().setUp()
        self.lines = support.records(2000)

    def assert_as_from_file(self):
        plain = self.gtap.store("plain.db")
        self.gtap.meter(plain, self.write("plain.ndjson", self.lines))
        self.settle(self.store)
        self.assert_verified(self.store)
        self.assertEqual(self.gtap.computed(self.store), self.gtap.computed(plain))
        reports = [self.gtap.run("report", "--exact", "--store", store).stdout
                   for store in (self.store, plain)]
        self.assertEqual(*reports)

    def test_batches(self):
        served = self.serve()
        for several in batches(batches(self.lines, 500), 2):
            # One connection, which is not left idle for so long that it would be closed.
            connection = http.client.HTTPConnection("127.0.0.1", served.port,
                                                    timeout=support.DEADLINE)
            self.addCleanup(connection.close)
            for batch in several:
                status, answer = served.post(batch, connection=connection)
                self.assertEqual((status, json.loads(answer)),
                                 (200, {"accepted": len(batch), "rejected": 0, "errors": []}))
            # It is durable: another process sees it already.
            self.assertLessEqual({i for batch in several for i in ids_of(batch)},
                                 set(self.stored_ids()))
        self.stop(served)
        self.assert_as_from_file()

    def test_formats(self):
        served = self.serve()
        parts = batches(self.lines, len(self.lines) // 4 + 1)
        array = ("[" + ",".join(parts[1]) + "]").encode()
        packed = gzip.compress("\n".join(parts[2]).encode())
        chunks = iter([line.encode() + b"\n" for line in parts[3]])
        answers = [
            served.post(parts[0]),
            served.ask("POST", "/v1/events", array, {"Content-Type": "application/json"}),
            served.ask("POST", "/v1/events", packed, {"Content-Encoding": "gzip"}),
            served.ask("POST", "/v1/events", chunks),  # in chunks, since its length is not known
        ]
        self.assertEqual([status for status, _ in answers], [200] * 4, answers)
        self.stop(served)
        self.assert_as_from_file()

    def test_twice(self):
        served = self.serve()
        for _ in range(2):
            self.assertEqual(served.post(self.lines)[0], 200)
        self.stop(served)
        self.assert_as_from_file()


class Listening(Case):
    """Where it serves, and what."""

    def test_address_of_an_input(self):
        """An input that is sent to at an address of its own does not open another one."""
        served = self.serve("http:127.0.0.1:0", listen=None)
        self.assertNotIn("/metrics", "".join(served.said))
        self.assertEqual(served.get("/metrics")[0], 404)
        self.assertEqual(served.post(support.records(1))[0], 200)
        self.stop(served)

    def test_two_addresses(self):
        served = self.serve("http:127.0.0.2:0")
        self.assertEqual(served.post(support.records(1))[0], 404)
        self.assertEqual(served.get("/ready")[0], 200)
        self.stop(served)

    def test_in_the_way(self):
        served = self.serve()
        address = f"127.0.0.1:{served.port}"
        for options, says in ((("--listen", address), "another program listens there"),
                              (("--listen", "nowhere"), "is no address to listen on"),
                              (("--listen", ":0", "--api-token-file", "none"), "token file 'none'"),
                              (("--listen", ":0", "--tls-cert", "none"), "needs both")):
            done = self.gtap.run("run", "--in", "http:", "--out", self.gtap.store("other.db"),
                                 *options, expect=None)
            self.assertIn(says, done.stderr)
            self.assertNotEqual(done.returncode, 0)
        self.stop(served)


class Interrupted(Case):
    """kill -9 and SIGTERM, while others send."""

    def send_until_killed(self, served, batch, how):
        """Sends a batch and kills gtap in the middle of it; whether it was answered by 200."""
        body = "".join(line + "\n" for line in batch).encode()
        head = (f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        answer = b""
        with socket.create_connection(("127.0.0.1", served.port), timeout=support.DEADLINE) as s:
            s.sendall(head + body[:len(body) // 2])
            if how != "in the body":
                s.sendall(body[len(body) // 2:])
            if how == "after the answer":
                answer = s.recv(4096)
            elif how == "meanwhile":
                # Up to twice the time in which a trickle is committed.
                if select.select([s], [], [], self.random.uniform(0, 0.4))[0]:
                    answer = s.recv(4096)
            served.end(signal.SIGKILL)
            try:
                answer = answer or s.recv(4096)
            except ConnectionError:
                pass
        return answer.startswith(b"HTTP/1.1 200")

    def test_kill(self):
        self.random = random.Random(5)
        kills = min(support.ARGS.kills, 24)
        lines = support.records(40 * kills)
        parts = batches(lines, len(lines) // kills + 1)
        hows = ("in the body", "at once", "meanwhile", "after the answer")
        answered = set()
        for i, batch in enumerate(parts):
            how = hows[i % len(hows)]
            if self.send_until_killed(self.serve(), batch, how):
                answered |= set(ids_of(batch))
            self.assertLessEqual(answered, set(self.stored_ids()), how)
            if not answered.issuperset(ids_of(batch)):  # the client sends it again
                served = self.serve()
                self.assertEqual(served.post(batch)[0], 200)
                answered |= set(ids_of(batch))
                served.end(signal.SIGKILL)
        self.assertEqual(sorted(self.stored_ids()), sorted(ids_of(lines)))
        plain = self.gtap.store("plain.db")
        self.gtap.meter(plain, self.write("plain.ndjson", lines))
        self.settle(self.store)
        self.assert_verified(self.store)
        self.assertEqual(self.gtap.computed(self.store), self.gtap.computed(plain))

    def test_idempotency_key(self):
        """Records without ids: the key of the request makes them, so that again is not twice."""
        lines = []
        for line in support.records(50):
            record = json.loads(line)
            del record["event_id"]
            lines.append(json.dumps(record))
        for _ in range(2):
            served = self.serve()
            status, answer = served.post(lines, {"Idempotency-Key": "batch-7"})
            self.assertEqual((status, json.loads(answer)["accepted"]), (200, len(lines)))
            served.end(signal.SIGKILL)
        ids = self.stored_ids()
        self.assertEqual((len(ids), len(set(ids))), (len(lines), len(lines)))

    def test_drain(self):
        """SIGTERM: what was answered by 200 is there, everybody else knows that it may not be."""
        lines = support.records(20000)
        parts = batches(lines, 40)
        served = self.serve()
        lock, answered, others = threading.Lock(), [], []

        def client():
            while True:
                with lock:
                    if not parts:
                        return
                    batch = parts.pop(0)
                try:
                    status, _ = served.post(batch)
                except Refused:
                    status = 0
                with lock:
                    (answered if status == 200 else others).append((status, batch))
                if status == 0:
                    return

        clients = [threading.Thread(target=client) for _ in range(8)]
        for thread in clients:
            thread.start()
        self.wait_for(lambda: len(answered) >= 20)
        served.tell(signal.SIGTERM)
        for thread in clients:
            thread.join(support.DEADLINE)
        self.assertEqual(served.end(), 0, "".join(served.said))
        self.assertLessEqual({status for status, _ in others}, {0, 503})
        stored = self.stored_ids()
        self.assertEqual(len(stored), len(set(stored)))
        self.assertLessEqual({i for _, batch in answered for i in ids_of(batch)}, set(stored))
        # The next run takes the rest; nothing is there twice.
        served = self.serve()
        for batch in [batch for _, batch in others] + parts:
            self.assertEqual(served.post(batch)[0], 200)
        self.stop(served)
        self.assertEqual(sorted(self.stored_ids()), sorted(ids_of(lines)))


class Guarded(Case):
    """Who may send, and who is told no."""

    lines = support.records(1)

    def bearer(self, token):
        return {"Authorization": f"Bearer {token}"}

    def write_token(self, token):
        path = self.gtap.file("token")
        with open(path, "w", encoding="utf-8") as f:
            f.write(token + "\n")
        return path

    def test_token(self):
        served = self.serve(options=("--api-token-file", self.write_token("first")))
        for headers, status in (((), 401), (self.bearer("wrong"), 401),
                                (self.bearer("first"), 200)):
            self.assertEqual(served.post(self.lines, headers)[0], status)
        self.assertEqual(served.get("/metrics")[0], 200)
        self.write_token("second")
        served.tell(signal.SIGHUP)
        self.wait_for(lambda: served.post(self.lines, self.bearer("second"))[0] == 200)
        self.assertEqual(served.post(self.lines, self.bearer("first"))[0], 401)
        os.unlink(self.gtap.file("token"))  # a mishap: the old one stays in force, and it is said
        served.tell(signal.SIGHUP)
        self.wait_for(lambda: "cannot read the token file" in "".join(served.said))
        self.assertEqual(served.post(self.lines, self.bearer("second"))[0], 200)
        self.stop(served)
        for secret in ("first", "second"):
            self.assertNotIn(secret, "".join(served.said) + " ".join(served.command))

    def test_other_hosts(self):
        """Without a token only this host may send; in a network name space with another address."""
        tools = [tool for tool in ("unshare", "nsenter", "ip") if not shutil.which(tool)]
        if tools:
            raise SKIPPED(f"there is no {tools[0]}")
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        apart = ["unshare", "--net", *user, "sh", "-c",
                 "ip link set lo up && ip addr add 192.0.2.1/32 dev lo && exec \"$@\"", "sh"]
        if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
            raise SKIPPED("this system makes no network name spaces")
        served = self.serve(listen=":0", under=apart)
        asks = ("import http.client, sys\n"
                "c = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=240)\n"
                "c.request('POST', '/v1/events', sys.argv[3].encode())\n"
                "print(c.getresponse().status)\n")
        inside = ["nsenter", "--net", *(["--user", "--preserve-credentials"] if user else []),
                  "--target", str(served.process.pid), sys.executable, "-c", asks]
        for address, status in (("127.0.0.1", "200"), ("192.0.2.1", "403")):
            done = subprocess.run([*inside, address, str(served.port), self.lines[0]], text=True,
                                  capture_output=True, check=False, timeout=support.DEADLINE)
            self.assertEqual(done.stdout.strip(), status, done.stderr)
        self.stop(served)


class Encrypted(Case):
    """TLS, by certificates that openssl made."""

    lines = support.records(1)

    def certify(self, name):
        """A certificate and its key, to be given to gtap by install()."""
        if not shutil.which("openssl"):
            raise SKIPPED("there is no openssl")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                        self.gtap.file(name + ".key"), "-out", self.gtap.file(name + ".cert")],
                       check=True, capture_output=True)

    def install(self, name):
        for what in ("key", "cert"):
            shutil.copy(self.gtap.file(f"{name}.{what}"), self.gtap.file(what))

    def connect(self, served, name):
        """A connection that trusts that certificate alone."""
        context = ssl.create_default_context(cafile=self.gtap.file(name + ".cert"))
        c = http.client.HTTPSConnection("127.0.0.1", served.port, timeout=support.DEADLINE,
                                        context=context)
        c.connect()
        self.addCleanup(c.close)
        return c

    def test_tls(self):
        self.certify("first")
        self.install("first")
        served = self.serve(options=("--tls-cert", "cert", "--tls-key", "key"))
        self.assertIn("https://", "".join(served.said))
        self.assertEqual(served.post(self.lines, connection=self.connect(served, "first"))[0], 200)
        with self.assertRaises(Refused):  # what is no TLS has no answer
            served.get("/metrics")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", served.port), timeout=support.DEADLINE) as s:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                old.wrap_socket(s)
        self.stop(served)

    def test_renewal(self):
        """Who comes after it was said is shown the new certificate; who is there is served on, and
        then asked to come again. (Many at a time, of several ages: tests/unit/http/test_renewal.c.)
        """
        names = ("first", "second", "third", "fourth")
        for name in names:
            self.certify(name)
        self.install(names[0])
        served = self.serve(options=("--tls-cert", "cert", "--tls-key", "key"))
        for i, name in enumerate(names[1:]):
            old = self.connect(served, names[i])
            self.assertEqual(served.post(self.lines, connection=old)[0], 200)
            self.install(name)
            served.tell(signal.SIGHUP)
            self.wait_for(lambda n=i + 1: "".join(served.said).count("certificates again") == n)
            for _ in range(5):
                self.connect(served, name)
            old.request("POST", "/v1/events", self.lines[0].encode())
            answer = old.getresponse()
            self.assertEqual((answer.status, answer.getheader("Connection")), (200, "close"))
            answer.read()
        with open(self.gtap.file("cert"), "w", encoding="utf-8") as f:
            f.write("no certificate\n")
        served.tell(signal.SIGHUP)
        self.wait_for(lambda: "do not serve" in "".join(served.said))
        self.connect(served, names[-1])  # it is still in force
        self.stop(served)


class Managed(Case):
    """What a service manager is told (sd_notify(3))."""

    def test_notices(self):
        path = self.gtap.file("notify")
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(path)
        notices = queue.Queue()

        def take():
            """At once: a notice that finds the socket full is lost."""
            while notice := manager.recv(4096):
                notices.put(notice.decode())

        taker = threading.Thread(target=take)
        taker.start()
        self.addCleanup(taker.join)
        self.addCleanup(manager.shutdown, socket.SHUT_RDWR)
        env = {**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "2000000"}
        served = self.serve(env=env)

        def hear(*wanted):
            """The notices up to the last of those wanted."""
            heard, left = [], list(wanted)
            while left:
                heard.append(notices.get(timeout=support.DEADLINE))
                left = [w for w in left if not heard[-1].startswith(w)]
            return heard

        first = hear("READY=1", "STATUS=", "WATCHDOG=1")
        self.assertLess(first.index("READY=1"), first.index("WATCHDOG=1"))
        self.assertEqual(served.post(support.records(1))[0], 200)
        served.tell(signal.SIGHUP)
        again = hear("RELOADING=1", "READY=1")
        self.assertLess(again.index("RELOADING=1"), again.index("READY=1"))
        served.tell(signal.SIGTERM)
        hear("STOPPING=1")
        hear("STATUS=")  # the last, when all is stored: it was said before that
        self.stop(served)


if __name__ == "__main__":
    support.main(__name__)
