"""Containers without an engine that runs as a service: buildah and podman with settings that work as
root in a container or a plain machine, and images made here, since none can be fetched.

The storage is kept in the cache beside the base, so that the base is imported once."""

import glob
import hashlib
import os
import re
import subprocess
import unittest

import clean_root
from clean_root import CACHE, Lock, done_by

INSTALL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/install-deps.sh")
BASE = "localhost/gtap-base"
FOLDER = os.path.join(CACHE, "containers-1")
SETTINGS = {
    "containers.conf": """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
cgroupns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
""",
    "storage.conf": f"""
[storage]
driver = "vfs"
runroot = "{FOLDER}/run"
graphroot = "{FOLDER}/storage"
""",
    "policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}\n',
    "registries.conf": "unqualified-search-registries = []\n",
}
ENVIRONMENT = {**os.environ, "CONTAINERS_CONF": f"{FOLDER}/containers.conf",
               "CONTAINERS_STORAGE_CONF": f"{FOLDER}/storage.conf",
               "CONTAINERS_REGISTRIES_CONF": f"{FOLDER}/registries.conf", "BUILDAH_ISOLATION": "chroot"}


def set_up():
    """Skips where there is nothing to run containers with."""
    clean_root.need("buildah", "podman", "runc")
    os.makedirs(FOLDER, exist_ok=True)
    with Lock(f"{FOLDER}.lock"):
        for name, text in SETTINGS.items():
            with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as f:
                f.write(text)


def tool(*words, check=True):
    """podman or buildah; the CompletedProcess."""
    done = subprocess.run(words, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    if check and done.returncode != 0:
        said = (done.stdout + done.stderr).splitlines()[-30:]
        raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n" + "\n".join(said))
    return done


def runtime():
    """What the group `runtime` is, in a word: another list makes another base."""
    with open(INSTALL, encoding="utf-8") as f:
        packages = re.search(r"(?ms)^runtime=\((.*?)^\)", f.read())[1]
    return hashlib.sha256(" ".join(packages.split()).encode()).hexdigest()[:8]


def base():
    """The name of an image of Debian 12 with what gtap needs to run, on which images are built."""
    set_up()
    name = f"{clean_root.RELEASE}-runtime-{runtime()}"
    root, image = clean_root.kept(name, make_runtime), f"{BASE}:{name}"
    with Lock(f"{FOLDER}.lock"):
        if tool("podman", "image", "exists", image, check=False).returncode != 0:
            forget_others(root)
            archive = f"{FOLDER}/base.tar"
            done_by("tar", "-C", root, "-cf", archive, ".")
            try:
                tool("podman", "import", archive, image)
            finally:
                os.unlink(archive)
    return image


def forget_others(root):
    """Bases of lists that were."""
    for path in glob.glob(f"{CACHE}/{clean_root.RELEASE}-runtime-*/"):
        if os.path.normpath(path) != root:
            done_by("rm", "-rf", "--one-file-system", path)
            tool("podman", "rmi", f"{BASE}:{os.path.basename(os.path.normpath(path))}", check=False)


def make_runtime(folder):
    """The clean root and the packages of the group `runtime`: what building the image would install."""
    done_by("cp", "-a", "-T", clean_root.base(), folder)
    os.makedirs(f"{folder}/src/tools")
    done_by("cp", INSTALL, f"{folder}/src/tools")
    clean_root.Root(folder).run("/src/tools/install-deps.sh", "runtime")
    done_by("rm", "-rf", f"{folder}/src", f"{folder}/var/cache/apt/archives")
    os.makedirs(f"{folder}/var/cache/apt/archives/partial")


def skip_without_containers(image):
    """Some machines let nobody make a container; that is no failure of the image."""
    done = tool("podman", "run", "--rm", "--network", "none", image, "version", check=False)
    if done.returncode != 0 and "OCI" in done.stderr:
        raise unittest.SkipTest(f"no container can be run here: {done.stderr.splitlines()[-1]}")
