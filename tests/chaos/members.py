"""The processes of a campaign: started again at once whenever they are killed, and watched."""

import os
import signal
import subprocess
import threading
import time

# Resident memory that a process of each kind may ever have had, in MiB.
CEILINGS = {"processor": 96, "gateway": 64, "agent": 48}
LOOK_SECONDS = 0.2


def peak_mib(pid):
    """VmHWM, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


class Member:
    """One process that has to be there. An agent may end by itself, with 0; nobody else may."""

    def __init__(self, fleet, kind, name, args, env=None):
        self.fleet, self.kind, self.name = fleet, kind, name
        self.args, self.more = list(args), []
        self.env = {**os.environ, **(env or {})}
        self.lock = threading.RLock()  # whoever has it starts, ends or stops the process
        self.child, self.ended = None, None
        self.log = os.path.join(fleet.folder, f"{name}.log")

    @property
    def pid(self):
        return self.child.pid if self.child else None

    def start(self):
        with self.lock, open(self.log, "ab") as log:
            self.note(f"started {' '.join(self.more)}")
            self.ended = None
            self.child = subprocess.Popen([self.fleet.gtap, *self.args, *self.more],
                                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                          stderr=log, env=self.env)

    def kill(self):
        """kill -9, and started again. False: there was nothing to kill."""
        with self.lock:
            if self.child is None or self.child.poll() is not None:
                return False
            self.fleet.look_at(self)
            self.child.kill()
            self.child.wait()
            self.start()
            return True

    def stop(self, seconds=40):
        """In order, for good."""
        with self.lock:
            if self.child is None:
                return
            self.fleet.look_at(self)
            begin = time.monotonic()
            if self.child.poll() is None:
                self.child.send_signal(signal.SIGTERM)
            try:
                status = self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                status = f"{self.child.wait()}, by force after {seconds} s"
            self.child = None
            self.fleet.stopped(self, time.monotonic() - begin)
            if status != 0:
                self.fleet.complain(f"{self.name} was asked to stop and ended with {status}")

    def end(self):
        with self.lock:
            if self.child is not None:
                self.child.kill()
                self.child.wait()
                self.child = None

    def freeze(self, seconds, over):
        """SIGSTOP for a time, unless the campaign is `over`."""
        with self.lock:
            if self.child is None or self.child.poll() is not None:
                return False
            self.child.send_signal(signal.SIGSTOP)
            over.wait(seconds)
            self.child.send_signal(signal.SIGCONT)
            return True

    def use(self, *more):
        """Goes on with other arguments, in order."""
        with self.lock:
            self.stop()
            self.more = list(more)
            self.start()

    def wait_ended(self, seconds):
        """The status with which it ended by itself, None while it runs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self.lock:
                if self.child is not None and self.child.poll() is not None:
                    self.fleet.look_at(self)
                    return self.child.returncode
            self.fleet.over.wait(0.02)
        return None

    def note(self, text):
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(f"--- {time.strftime('%H:%M:%S')} {text}\n")

    def tail(self, lines=15):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])


class Fleet:
    """All of them."""

    def __init__(self, gtap, folder):
        self.gtap, self.folder = os.path.abspath(gtap), folder
        self.members, self.wrong, self.peaks, self.stops = [], [], {}, {}
        self.lock, self.over = threading.Lock(), threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def complain(self, text):
        self.wrong.append(text)

    def stopped(self, member, seconds):
        member.note(f"ended {seconds:.1f} s after it was asked to")
        self.stops[member.kind] = max(self.stops.get(member.kind, 0), seconds)

    def add(self, kind, name, args, env=None, start=True):
        member = Member(self, kind, name, args, env)
        with self.lock:
            self.members.append(member)
        if start:
            member.start()
        return member

    def remove(self, member, seconds=40):
        with self.lock:
            self.members.remove(member)
        member.stop(seconds)

    def of(self, kind):
        with self.lock:
            return [m for m in self.members if m.kind == kind]

    def look_at(self, member):
        peak = peak_mib(member.pid)
        if peak is not None:
            self.peaks[member.kind] = max(self.peaks.get(member.kind, 0), peak)

    def _watch(self):
        while not self.over.wait(LOOK_SECONDS):
            for member in list(self.members):
                if member.lock.acquire(blocking=False):
                    try:
                        self._check(member)
                    finally:
                        member.lock.release()

    def _check(self, member):
        if member.child is None:
            return
        self.look_at(member)
        status = member.child.poll()
        if status is None or member.ended is not None:
            return
        member.ended = status
        if status != 0 or member.kind != "agent":
            self.complain(f"{member.name} ended by itself, with {status}:\n{member.tail()}")
            member.start()

    def close(self):
        self.over.set()
        self.watcher.join(10)
        for member in self.members:
            member.end()
