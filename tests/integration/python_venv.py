"""Virtual environments with pinned packages for the tests, under the build folders."""

import contextlib
import fcntl
import glob
import importlib
import os
import re
import shutil
import subprocess
import sys
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build-python")
UV = "uv==0.13.9"

# What pip and uv say when there is no network, or a registry does not answer.
AWAY = re.compile(r"from versions: none|NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|"
                  r"name resolution|dns error|error sending request|Failed to fetch|timed out",
                  re.IGNORECASE)


def _run(command, seconds):
    env = dict(os.environ)
    if "PIP_CERT" in env:
        env.setdefault("SSL_CERT_FILE", env["PIP_CERT"])
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds,
                              check=False)
    except subprocess.TimeoutExpired:
        raise unittest.SkipTest(f"the package registry is too slow: {command[0]}") from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        if AWAY.search(said):
            raise unittest.SkipTest("the package registry cannot be reached")
        raise AssertionError(f"{' '.join(command)}:\n{said}")


def python_with(name, packages):
    """The interpreter of an environment with these packages, made when it is not there yet."""
    folder = os.path.abspath(os.path.join(ROOT, name))
    with _locked(folder):
        return _made(folder, packages)


@contextlib.contextmanager
def _locked(folder):
    """One at a time makes it: tests run beside each other."""
    os.makedirs(ROOT, exist_ok=True)
    with open(f"{folder}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def import_from(name, packages, module):
    """A module of such an environment, in this very process."""
    folder = os.path.dirname(os.path.dirname(python_with(name, packages)))
    for site in glob.glob(os.path.join(folder, "lib", "python3*", "site-packages")):
        if site not in sys.path:
            sys.path.append(site)
    return importlib.import_module(module)


def _made(folder, packages):
    python, stamp = os.path.join(folder, "bin", "python"), os.path.join(folder, "packages.txt")
    wanted = "\n".join([UV, *packages])
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as f:
            if f.read() == wanted:
                return python
    uv = _uv()
    shutil.rmtree(folder, ignore_errors=True)
    _run([uv, "venv", "--quiet", "--python", sys.executable, folder], 120)
    _run([uv, "pip", "install", "--quiet", "--no-cache", "--python", python, *packages], 400)
    with open(stamp, "w", encoding="utf-8") as f:
        f.write(wanted)
    return python


def _uv():
    """What makes them, in an environment of its own: pip would take ten seconds for each of them."""
    folder = os.path.abspath(os.path.join(ROOT, UV.replace("==", "-")))
    with _locked(folder):
        uv = os.path.join(folder, "bin", "uv")
        if not os.path.exists(uv):
            _run([sys.executable, "-m", "venv", "--clear", folder], 120)
            _run([os.path.join(folder, "bin", "python"), "-m", "pip", "install", "--quiet", "--retries", "1",
                  UV], 180)
    return uv
