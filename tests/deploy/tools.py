"""Tools that tests of what is deployed run, fetched or built once, into a folder that clones of the
repository share: ~/.cache/gtap-tools, or GTAP_TOOLS. And folders on a disk, which outlive no test for long."""

import fcntl
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
for _folder in ("integration", "support"):
    sys.path.append(os.path.join(HERE, "..", _folder))

from daemon import Lock  # noqa: E402

FOLDER = os.environ.get("GTAP_TOOLS") or os.path.expanduser("~/.cache/gtap-tools")
COMPOSE, MONGOSH = "2.40.3", "2.12.0"
ROLES = {"kafka": "vm1_kafka", "mongo": "vm2_mongo", "processor": "vm3_processor",
         "producers": "vm4_producers"}
CONFINED = "GTAP_TEST_CONFINED"
NODE_MAJOR = 20  # what mongosh wants at least
AWAY = re.compile(r"dial tcp|no such host|i/o timeout|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|"
                  r"ECONNRESET|connection refused|403 Forbidden|410 Gone|TLS handshake")


def _run(command, seconds, what, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False,
                              **options)
    except subprocess.TimeoutExpired:
        raise unittest.SkipTest(f"{what}: not had within {seconds} s") from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        if AWAY.search(said):
            raise unittest.SkipTest(f"{what}: the registry cannot be reached")
        raise AssertionError(f"{' '.join(command)}:\n{said[-3000:]}")
    return done.stdout


def _needs(program, what):
    if shutil.which(program) is None:
        raise unittest.SkipTest(f"{what}: no {program} here")


def compose():
    """docker compose, as a program of its own: `config` needs no engine, the rest one at
    DOCKER_HOST. Built from its Go module, as go.mod there has `replace` lines: 2 minutes, once."""
    path = os.path.join(FOLDER, f"docker-compose-{COMPOSE}")
    with Lock(os.path.join(FOLDER, "docker-compose.lock")):
        if not os.path.exists(path):
            _build_compose(path)
    return path


def _build_compose(path):
    what, module = "docker compose", "github.com/docker/compose/v2"
    _needs("go", what)
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    scratch = path + ".build"
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    said = _run(["go", "mod", "download", "-json", f"{module}@v{COMPOSE}"], 120, what, env=env,
                cwd=scratch)
    folder = json.loads(said)["Dir"]
    with open(os.path.join(folder, "go.mod"), encoding="utf-8") as f:
        text = re.sub(r"^module .*", "module scratch", f.read(), count=1, flags=re.M)
    with open(os.path.join(scratch, "go.mod"), "w", encoding="utf-8") as f:
        f.write(text)
    with open(os.path.join(folder, "go.sum"), "rb") as f, \
            open(os.path.join(scratch, "go.sum"), "wb") as to:
        to.write(f.read())
    _run(["go", "mod", "edit", f"-require={module}@v{COMPOSE}"], 60, what, env=env, cwd=scratch)
    _run(["go", "build", "-trimpath", f"-ldflags=-s -w -X {module}/internal.Version=v{COMPOSE}",
          "-o", path + ".part", f"{module}/cmd"], 700, what, env=env, cwd=scratch)
    os.rename(path + ".part", path)
    shutil.rmtree(scratch)


def mongosh():
    """The MongoDB shell, from its npm package."""
    what, folder = "mongosh", os.path.join(FOLDER, f"mongosh-{MONGOSH}")
    _needs("npm", what)
    version = _run(["node", "--version"], 20, what)
    if int(version.lstrip("v").partition(".")[0]) < NODE_MAJOR:
        raise unittest.SkipTest(f"{what}: needs Node {NODE_MAJOR}, this is {version.strip()}")
    with Lock(os.path.join(FOLDER, "mongosh.lock")):
        if not os.path.isdir(folder):
            shutil.rmtree(folder + ".part", ignore_errors=True)
            os.makedirs(folder + ".part")
            _run(["npm", "install", "--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts",
                  f"mongosh@{MONGOSH}"], 300, what, cwd=folder + ".part")
            os.rename(folder + ".part", folder)
    return os.path.join(folder, "node_modules", ".bin", "mongosh")


def ports_matrix(page):
    """{(from, to, port)} of a page's table | From | To | Port | Why |: roles, or "admin"."""
    with open(page, encoding="utf-8") as f:
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in f
                if line.startswith("|")]
    edges = set()
    for row in rows[rows.index(["From", "To", "Port", "Why"]) + 2:]:
        if len(row) != 4 or not row[2].isdigit():
            break
        sender, receiver = row[0].split()[0], row[1].split()[0]
        edges |= {(sender, to, int(row[2])) for to in (ROLES if receiver == "all" else [receiver])}
    known = {"admin", *ROLES}
    assert edges and all({sender, to} <= known for sender, to, _ in edges), f"{page}: {edges}"
    return edges


def confined():
    return CONFINED in os.environ


def apart(*namespaces):
    """The words before a command that is then the first process of a namespace, in whatever further ones
    are named. A skip where that is not permitted."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root")
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", *namespaces]
    probe = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        raise unittest.SkipTest(f"namespaces are not permitted here: {probe.stderr.strip()}")
    return words


def confine(*namespaces):
    """Starts this program again like that, once: all that it starts ends with it, however it ends."""
    if confined():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # which a first process would not hear
        return
    words = apart(*namespaces)
    os.environ[CONFINED] = "1"
    os.execvp(words[0], [*words, sys.executable, *sys.argv])


def scratch(name, add_cleanup):
    """A folder on a disk, where an overlay may lie as it may not in memory; add_cleanup (addCleanup or
    addClassCleanup) takes it away. What tests of the same name left that were killed goes first."""
    with Lock(os.path.join(FOLDER, "scratch.lock")):
        for left in glob.glob(f"/var/tmp/gtap-{name}-*"):
            held = _held(left)
            if held is not None:
                _remove(left)
                os.close(held)
        folder = tempfile.mkdtemp(prefix=f"gtap-{name}-", dir="/var/tmp")
        add_cleanup(os.close, _held(folder))
    add_cleanup(_remove, folder)
    return folder


def _held(folder):
    """The folder's lock, which goes with the process that holds it; None where another does."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # somebody else's, or just gone
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _remove(folder):
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        places = [line.split()[4] for line in file]
    for place in sorted((p for p in places if p.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def tool(name, package):
    """A program of a Debian package that the tests of deploying need."""
    unpacked = os.path.join(HERE, "..", "..", ".cache", "debian", "usr", "sbin")
    found = shutil.which(name) or shutil.which(name, path=f"/usr/sbin:/sbin:{os.path.abspath(unpacked)}")
    if found is None:
        raise unittest.SkipTest(f"no {name} here: tools/install-deps.sh deploy ({package})")
    return found
