"""A server process that outlives the program that started it: known by its pid file, ended by its
pid, found again later; and what servers on loopback need: free ports, certificates, a deadline."""

import fcntl
import os
import random
import signal
import socket
import subprocess
import tempfile
import time

HOST = "127.0.0.1"

# Seconds that tests wait for what takes a moment, on a machine that does other things as well. One
# that passes waits no longer than it must. Sanitizers double it: see tests/integration/meson.build.
DEADLINE = 120 * int(os.environ.get("GTAP_TEST_SLOWNESS", "1"))


class Daemon:
    """One process and its folder, which gets `pid` and `log`.

    A server that a test starts stays in the test's process group, so that whoever ends the group
    ends the server; one started by hand (`alone`) gets a session of its own."""

    def __init__(self, folder):
        self.folder, self._child = folder, None
        self.log = os.path.join(folder, "log")
        self._pid_file = os.path.join(folder, "pid")

    def start(self, command, alone=False):
        if self.pid() is not None:
            raise RuntimeError(f"{self.folder}: it runs already, pid {self.pid()}")
        os.makedirs(self.folder, exist_ok=True)
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, cwd=self.folder, start_new_session=alone)
        with open(self._pid_file, "w", encoding="ascii") as f:
            f.write(f"{self._child.pid} {_born(self._child.pid)}\n")

    def pid(self):
        """The pid while it runs, else None. A pid that the kernel gave to another is not ours."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        try:
            with open(self._pid_file, encoding="ascii") as f:
                pid, born = f.read().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _born(int(pid)) == born else None

    def signal(self, number):
        pid = self.pid()
        if pid is not None:
            os.kill(pid, number)

    def stop(self, seconds=15):
        """Asks it to end; kills it when it has not in time."""
        self.signal(signal.SIGTERM)
        if not holds(lambda: self.pid() is None, seconds):
            self.kill()

    def kill(self):
        """kill -9: back when it is gone."""
        self.signal(signal.SIGKILL)
        wait_for(lambda: self.pid() is None, complaint=f"{self.folder}: it does not die")

    def tail(self, lines=20):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except FileNotFoundError:
            return ""


def _born(pid):
    """When a process started, in ticks since boot; None for none or one that only waits to be
    reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def holds(condition, seconds=DEADLINE):
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
    return True


def wait_for(condition, seconds=DEADLINE, complaint="it did not come about"):
    if not holds(condition, seconds):
        raise AssertionError(f"{complaint} (waited {seconds} s)")


def listens(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((HOST, port)) == 0


def free_ports(count):
    """Ports in a row that nobody has, below those that the kernel hands to clients: they stay
    free while the server that has them is down for a moment. As long as this process lives, nobody
    else gets them here: seconds may pass until a server has them, or has them again."""
    for _ in range(1000):
        first = random.randrange(15000, 32000 - count)
        ports = list(range(first, first + count))
        if all(map(_is_free, ports)) and all(map(_reserve, ports)):
            return ports
    raise RuntimeError(f"no {count} free ports in a row between 15000 and 32000")


_reserved = {"file": None, "ports": set()}


def _reserve(port):
    """A byte for each port in a file that all tests of this user share, locked by one process; the
    kernel lets go of it when that ends, however it does."""
    if _reserved["file"] is None:
        path = os.path.join(tempfile.gettempdir(), f"gtap-test-ports-{os.getuid()}")
        _reserved["file"] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    if port in _reserved["ports"]:
        return False
    try:
        fcntl.lockf(_reserved["file"], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _reserved["ports"].add(port)
    return True


def _is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((HOST, port))
        except OSError:
            return False
    return True


class Lock:
    """Held by one process at a time: tests that run beside each other fetch things once."""

    def __init__(self, path):
        self.path, self.file = path, None

    def __enter__(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.file = open(self.path, "w", encoding="ascii")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


def make_certificates(folder):
    """`ca.pem`, `server.pem` and `server.key` in the folder: a server that is 127.0.0.1 and
    localhost, signed by an authority of its own. Made once. PKCS #8, as Java wants keys."""
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(os.path.join(folder, "server.pem")):
        return
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    extensions = os.path.join(folder, "extensions")
    with open(extensions, "w", encoding="ascii") as f:
        f.write(f"subjectAltName=DNS:localhost,IP:{HOST}\nbasicConstraints=CA:FALSE\n"
                "extendedKeyUsage=serverAuth,clientAuth\n")
    for command in (
            [*new, "-x509", "-days", "30", "-subj", "/CN=gtap tests", "-keyout", "ca.key",
             "-out", "ca.pem"],
            [*new, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"],
            ["openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
             "-CAcreateserial", "-days", "30", "-extfile", extensions, "-out", "server.pem"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
