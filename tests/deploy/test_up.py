"""One machine, all parts, for real: `make up`, `make smoke` and `make down` with the real docker
compose over podman, every part in a container with the user, the read-only root, the capabilities and
the secrets that the compose files say. In place of the public images, which cannot be fetched, stands
one of this machine's own files: Kafka's jars, SecantusDB and the mongosh, and the gtap under test.

    test_up.py --gtap BUILD/gtap [--only TEXT]

Needs root, podman with runc, and a kernel that lets it make containers; skips where these are not.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path.append(os.path.join(HERE, "..", "integration"))

import containers  # noqa: E402
import gtap as support  # noqa: E402
import kafka  # noqa: E402
import mongo  # noqa: E402
from daemon import DEADLINE, wait_for  # noqa: E402
from python_venv import python_with  # noqa: E402

import tools  # noqa: E402

PARTS = ("kafka", "mongodb", "processor", "producers")
USERS = {"kafka": 1000, "mongodb": 999, "processor": 10001, "producers": 10001}
IMAGE = "localhost/gtap-of-this-machine:1"
CONTAINERS = containers.SETTINGS["containers.conf"] + 'network_config_dir = "{folder}/networks"\n'
STORAGE = '[storage]\ndriver = "{driver}"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/graph"\n'
# As in the images: folders, and who they belong to.
FOLDERS = {"var/lib/kafka/data": 1000, "opt/kafka/config": 1000, "data/db": 999,
           "data/configdb": 999, "var/lib/gtap": 10001}
EMPTY = ("usr", "etc", "run/secrets", "proc", "sys", "dev", "root", "opt/kafka/libs", "opt/kafka/bin",
         "etc/kafka/docker", "gtap", "docker-entrypoint-initdb.d", "opt/gtap", "tmp", "var/tmp")


class Engine:
    """podman's API on a socket, with storage of its own, in a network of its own: what it makes of
    bridges and packet filters is gone with it."""

    def __init__(self, folder, driver):
        self.folder, self.socket = folder, os.path.join(folder, "socket")
        for name, text in (("containers.conf", CONTAINERS), ("storage.conf", STORAGE),
                           ("policy.json", '{{"default": [{{"type": "insecureAcceptAnything"}}]}}')):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text.format(folder=folder, driver=driver))
        self.env = {**os.environ, "CONTAINERS_CONF": f"{folder}/containers.conf",
                    "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf",
                    "DOCKER_HOST": f"unix://{self.socket}"}
        self.log = open(os.path.join(folder, "log"), "w+", encoding="utf-8")
        self.child = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && exec podman system service "
             f"--time 0 unix://{self.socket}"], env=self.env, stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log)

    def run(self, *words, check=True, inside=False, **options):
        """A command, with the engine's settings; inside: in its network."""
        if inside:
            words = ("nsenter", "--target", str(self.child.pid), "--net", *words)
        done = subprocess.run(words, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=3 * DEADLINE, check=False, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}"
                                 f"{done.stderr}")
        return done

    def names(self, *words):
        return self.run("podman", *words).stdout.split()

    def end(self):
        self.run("podman", "rm", "--all", "--force", "--time", "2", check=False)
        self.child.terminate()
        self.child.wait()
        self.log.close()
        self.run("podman", "system", "reset", "--force", check=False)


class OneMachine(support.Case):
    def setUp(self):
        super().setUp()
        for name in ("podman", "runc", "netavark"):
            if not shutil.which(name) and not os.path.exists(f"/usr/lib/podman/{name}"):
                self.skipTest(f"no {name} here: tools/install-deps.sh deploy")
        if os.environ.get("GTAP_TEST_MONGODB_URI"):
            self.skipTest("starts a database of its own")
        self.compose, self.shell = tools.compose(), tools.mongosh()
        self.jars, self.python = kafka.jars(), python_with("mongo", mongo.PACKAGES)
        self.folder = tools.scratch("up", self.addCleanup)
        self.engine = self.engine_or_skip()
        self.addCleanup(self.engine.end)
        self.make_image()
        self.copy_project()
        self.stop = threading.Event()
        self.heart = threading.Thread(target=self.check_health, daemon=True)
        self.heart.start()
        self.addCleanup(self.heart.join)
        self.addCleanup(self.stop.set)
        self.gtap.hear("the parts", self.logs)

    def engine_or_skip(self):
        for driver in ("overlay", "vfs"):
            folder = os.path.join(self.folder, driver)
            os.makedirs(os.path.join(folder, "networks"))
            engine = Engine(folder, driver)
            wait_for(lambda e=engine: os.path.exists(e.socket) or e.child.poll() is not None,
                     complaint="podman does not listen")
            if engine.child.poll() is None and engine.run("podman", "info", check=False).returncode == 0:
                return engine
            engine.end()
        with open(os.path.join(self.folder, "vfs", "log"), encoding="utf-8") as f:
            self.skipTest(f"podman does not run here: {f.read().strip()[-300:]}")

    def make_image(self):
        root = os.path.join(self.folder, "root")
        for name in (*FOLDERS, *EMPTY):
            os.makedirs(os.path.join(root, name), exist_ok=True)
        for name, uid in FOLDERS.items():
            os.chown(os.path.join(root, name), uid, uid if uid == 10001 else 0)
        for name in ("tmp", "var/tmp", "opt/kafka/config"):  # podman's tmpfs takes the folder's mode
            os.chmod(os.path.join(root, name), 0o1777)
        for name in ("bin", "lib", "lib64", "sbin"):
            os.symlink(f"usr/{name}", os.path.join(root, name))
        for name, text in (("passwd", "root:x:0:0::/root:/bin/sh\nmongodb:x:999:999::/:/bin/sh\n"
                            "appuser:x:1000:1000::/:/bin/sh\ngtap:x:10001:10001::/:/bin/false\n"),
                           ("group", "root:x:0:\ngtap:x:10001:\n")):
            with open(os.path.join(root, "etc", name), "w", encoding="ascii") as f:
                f.write(text)
        archive = os.path.join(self.folder, "image.tar")
        self.engine.run("tar", "-C", root, "-cf", archive, ".")
        self.engine.run("podman", "import", "--change", "ENV PATH=/opt/gtap:/usr/bin:/bin", archive, IMAGE)

    def copy_project(self):
        """The part of the repository that the targets need, so that secrets are not made in it; and
        a `docker` that adds the local images."""
        self.project = os.path.join(self.folder, "project")
        os.makedirs(os.path.join(self.project, "CA0"))
        shutil.copytree(os.path.join(ROOT, "deploy"), os.path.join(self.project, "deploy"),
                        symlinks=True)
        shutil.copytree(os.path.join(ROOT, "CA0", "demo"), os.path.join(self.project, "CA0", "demo"))
        shutil.copy(os.path.join(ROOT, "Makefile"), self.project)
        override = os.path.join(self.folder, "override.json")
        with open(override, "w", encoding="utf-8") as f:
            json.dump({"services": self.local()}, f, indent=1)
        tool = os.path.join(self.folder, "bin", "docker")
        os.makedirs(os.path.dirname(tool))
        with open(tool, "w", encoding="utf-8") as f:
            f.write('#!/bin/bash\nset -e\n[[ $1 == compose && $2 == -f ]]\n'
                    f'exec {self.compose} -f "$3" -f {override} "${{@:4}}"\n')
        os.chmod(tool, 0o755)
        self.engine.env["PATH"] = f"{os.path.dirname(tool)}:{os.environ['PATH']}"

    def local(self):
        """What the local image changes of the services: files of this machine, and no more."""
        def here(entrypoint, environment, mounts):
            both = {**{p: p for p in ("/usr", "/etc/alternatives")}, **mounts}
            own = {"entrypoint": entrypoint} if entrypoint else {}
            return {**own, "image": IMAGE, "pull_policy": "never", "environment": environment,
                    "ulimits": {"nofile": 4096, "nproc": 4096},
                    "volumes": [f"{path}:{at}:ro" for at, path in both.items()]}
        images, binary = os.path.join(HERE, "images"), os.path.dirname(self.gtap.path)
        venv = os.path.dirname(os.path.dirname(self.python))
        java = {p: p for p in ("/etc/java-17-openjdk",) if os.path.isdir(p)}
        gtap = here(["/opt/gtap/gtap"], {}, {"/opt/gtap": binary})
        return {
            "kafka": here(None, {}, {**java, "/opt/kafka/libs": self.jars,
                                     "/opt/kafka/bin": f"{images}/kafka",
                                     "/etc/kafka/docker": f"{images}/kafka"}),
            "mongodb": here([self.python, "/stand-in/entrypoint.py"],
                            {"MONGOSH": "/mongosh/node_modules/.bin/mongosh"},
                            {"/stand-in": f"{images}/mongo", venv: venv, sys.base_prefix: sys.base_prefix,
                             "/mongosh": os.path.dirname(os.path.dirname(os.path.dirname(self.shell)))}),
            "processor": gtap, "producers": gtap}

    def check_health(self):
        """What timers of systemd do for podman elsewhere."""
        while not self.stop.wait(1):
            for part in PARTS:
                self.engine.run("podman", "healthcheck", "run", f"gtap-{part}-1", check=False)

    def logs(self):
        said = [self.engine.run("podman", "logs", "--tail", "5", f"gtap-{part}-1", check=False)
                for part in PARTS]
        return "".join(done.stdout + done.stderr for done in said)

    def make(self, *targets, inside=False, check=True):
        return self.engine.run("make", "--no-print-directory", "-C", self.project, *targets,
                               inside=inside, check=check)

    def inspect(self, part):
        return json.loads(self.engine.run("podman", "inspect", f"gtap-{part}-1").stdout)[0]

    def test_up_smoke_down(self):
        self.make("up")
        for part in PARTS:
            with self.subTest(part):
                found = self.inspect(part)
                self.assertEqual(found["State"]["Health"]["Status"], "healthy")
                self.assertTrue(found["HostConfig"]["ReadonlyRootfs"])
                self.assertGreater(found["HostConfig"]["Memory"], 0)
                with open(f"/proc/{found['State']['Pid']}/status", encoding="ascii") as f:
                    status = dict(line.split(":\t", 1) for line in f.read().splitlines())
                self.assertEqual({int(uid) for uid in status["Uid"].split()}, {USERS[part]})
                for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                    self.assertEqual(int(status[kind], 16), 0, kind)
                self.assertEqual(status["NoNewPrivs"].strip(), "1")
        smoke = self.make("smoke", inside=True)
        self.assertIn("PASSED: smoke-", smoke.stdout)
        self.assert_no_secret()
        self.make("down")
        self.assertEqual(self.engine.names("ps", "--all", "--quiet"), [])
        kept = self.engine.names("volume", "ls", "--quiet")
        self.assertEqual([name for name in kept if name.startswith("gtap_")], [
            "gtap_kafka-data", "gtap_mongodb-config", "gtap_mongodb-data", "gtap_spool"])
        self.assertEqual(self.make("smoke", inside=True, check=False).returncode, 2)
        self.make("down", "VOLUMES=1")
        left = self.engine.names("volume", "ls", "--quiet")
        self.assertEqual([name for name in left if name.startswith("gtap_")], [])
        self.assertEqual(self.engine.names("network", "ls", "--format", "{{.Name}}"), ["podman"])

    def assert_no_secret(self):
        """None in an environment, a command line or a log."""
        secrets = os.path.join(self.project, "deploy", "compose", "secrets")
        said = "".join(json.dumps(self.inspect(part)) for part in PARTS)
        said += "".join(self.engine.run("podman", "logs", f"gtap-{part}-1").stdout for part in PARTS)
        said += "".join(self.engine.run("podman", "top", f"gtap-{part}-1", "args").stdout
                        for part in PARTS)
        for name in os.listdir(secrets):
            with open(os.path.join(secrets, name), encoding="ascii") as f:
                self.assertNotIn(f.read().strip(), said, name)


if __name__ == "__main__":
    try:
        tools.confine()
    except unittest.SkipTest as why:
        OneMachine = unittest.skip(str(why))(OneMachine)
    support.main(__name__)
