"""A service of a compose project as a process of this machine: its own mounts, the user, the rights and
the environment that the compose file gives it. Supervised by a process that this file's main() is:

    container.py STATE     STATE/service.json says what to run; STATE/{pid,log} come about
"""

import json
import os
import signal
import subprocess
import sys
import time

# What an image brings along: what it runs, as whom, and who owns a new volume.
IMAGES = {
    "apache/kafka": {"entrypoint": ["/__cacert_entrypoint.sh"], "user": "1000:1000"},
    "mongo": {"entrypoint": ["docker-entrypoint.sh"], "user": "0:0"},
    "gtap": {"entrypoint": ["gtap"], "user": "10001:10001"},
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RESTART_PAUSE = 1


def about(service):
    return IMAGES[service["image"].rpartition(":")[0]]


def ids(service):
    user, _, group = str(service.get("user") or about(service)["user"]).partition(":")
    return int(user), int(group or user)


def environment(service):
    return {"PATH": PATH, "HOME": "/", **service["environment"]}


def words(service):
    entrypoint = service["entrypoint"] or about(service)["entrypoint"]
    return [*entrypoint, *service["command"]]


def as_user(service):
    """The words before a command that give it the service's user and no other right."""
    user, group = ids(service)
    return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs",
            "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]


def make_volume(service, source):
    """A named volume; a new one belongs to the user, as its folder in the image does."""
    if not os.path.isdir(source):
        os.makedirs(source)
        os.chown(source, *ids(service))


def mount_all(service):
    """In a mount namespace of its own: what it sees and nobody else does. The machine's /run, where
    secrets of others are, is not in it."""
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "-o", "mode=755", "aside", "/mnt")
    for name, what in (("root", "/"), ("run", "/run")):
        os.mkdir(f"/mnt/{name}")
        mount("--bind", what, f"/mnt/{name}")
    mount("-t", "tmpfs", "-o", "mode=755", "run", "/run")
    if service.get("read_only"):
        mount("-o", "remount,bind,ro", "/")
    for kind, source, target, read_only in service["mounts"]:
        is_file = kind == "bind" and os.path.isfile(aside(source))
        make_target(target, is_file)
        if kind == "tmpfs":
            mount("-t", "tmpfs", "-o", source or "mode=1777", "tmpfs", target)
            continue
        mount("--bind", aside(source), target)
        if read_only:
            mount("-o", "remount,bind,ro", target)
    mount("-t", "tmpfs", "-o", "mode=000", "none", "/mnt")


def mount(*args):
    subprocess.run(["mount", *args], check=True)


def aside(path):
    """Where a path of the machine is while its service's mounts are made; as writable as it was."""
    return f"/mnt{path}" if path.startswith("/run/") else f"/mnt/root{path}"


def make_target(target, is_file):
    """Where it is mounted. The root may be read-only by now, so it is made beside."""
    if os.path.exists(target):
        return
    path = target if target.startswith("/run/") else f"/mnt/root{target}"
    os.makedirs(os.path.dirname(path) if is_file else path, exist_ok=True)
    if is_file:
        with open(path, "a", encoding="ascii"):
            pass


def inside(state, then):
    """Replaces this process by `then` in the service's namespaces."""
    with open(os.path.join(state, "service.json"), encoding="utf-8") as file:
        service = json.load(file)
    mount_all(service)
    os.chdir(service.get("working_dir") or "/")
    command = [*as_user(service), *then]
    os.execvpe(command[0], command, environment(service))


class Supervisor:
    def __init__(self, state):
        self.state, self.stopped, self.child = state, False, None
        with open(os.path.join(state, "service.json"), encoding="utf-8") as file:
            self.service = json.load(file)

    def start(self):
        with open(os.path.join(self.state, "log"), "ab") as log:
            self.child = subprocess.Popen(
                ["unshare", "--mount", sys.executable, __file__, "--inside", self.state],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        part = os.path.join(self.state, "pid.part")
        with open(part, "w", encoding="ascii") as file:
            file.write(str(self.child.pid))
        os.rename(part, os.path.join(self.state, "pid"))

    def stop(self, *_):
        self.stopped = True
        if self.child.poll() is None:
            self.child.terminate()

    def go(self):
        signal.signal(signal.SIGTERM, self.stop)
        while not self.stopped:
            self.start()
            status = self.child.wait()
            with open(os.path.join(self.state, "log"), "a", encoding="utf-8") as log:
                log.write(f"-- ended with {status}\n")
            if self.service.get("restart", "no") == "no":
                break
            if not self.stopped:
                time.sleep(RESTART_PAUSE)
        os.unlink(os.path.join(self.state, "pid"))


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        with open(os.path.join(sys.argv[2], "service.json"), encoding="utf-8") as whole:
            inside(sys.argv[2], words(json.load(whole)))
    else:
        Supervisor(sys.argv[1]).go()
