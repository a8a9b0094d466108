"""An audience for /api/v1/events: listening.py PORT READERS SLOW. In a process of its own, so that
its work is not the measuring one's. Says "ready" when each has heard something, and what it heard
as JSON when its standard input ends."""

import json
import resource
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path

REQUEST = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
WANTED_S = 60  # in which all must have heard something


class Audience:
    """The process, for whoever measures."""

    def __init__(self, port, readers, slow):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(port), str(readers), str(slow)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            self.process.kill()
            raise RuntimeError("not everyone who listens heard something")

    def leave(self):
        out, _ = self.process.communicate(timeout=60)
        return json.loads(out)


def dial(port, slow):
    s = socket.socket()
    if slow:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    s.sendall(REQUEST)
    return s


class Ear:
    heard = nows = 0
    alive = True


def hear(selector, ears, timeout):
    """False: standard input has ended."""
    for key, _ in selector.select(timeout):
        if key.data is None:
            return False
        ear, got = key.data, key.fileobj.recv(1 << 18)
        ear.heard += len(got)
        ear.nows += got.count(b"event: now\n")
        if not got:
            ear.alive = False
            selector.unregister(key.fileobj)
    return True


def main():
    port, readers, slow = map(int, sys.argv[1:])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    selector, ears = selectors.DefaultSelector(), [Ear() for _ in range(readers)]
    idle = [dial(port, True) for _ in range(slow)]  # they never read
    for ear in ears:
        selector.register(dial(port, False), selectors.EVENT_READ, ear)
    deadline = time.monotonic() + WANTED_S
    while not all(ear.nows for ear in ears) and time.monotonic() < deadline:
        hear(selector, ears, 1)
    if not all(ear.nows for ear in ears):
        sys.exit(1)
    print("ready", flush=True)
    before, began = sum(ear.nows for ear in ears), time.monotonic()
    selector.register(sys.stdin, selectors.EVENT_READ)
    while hear(selector, ears, None):
        pass
    print(json.dumps({"seconds": time.monotonic() - began, "lost": sum(not e.alive for e in ears),
                      "bytes": sum(e.heard for e in ears),
                      "events": sum(e.nows for e in ears) - before, "slow": len(idle)}))


if __name__ == "__main__":
    main()
