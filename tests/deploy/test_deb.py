"""The Debian package: made, looked at by lintian, installed in a clean Debian 12, tried, upgraded over a
configuration that was changed, and purged.

    test_deb.py --gtap BUILD/gtap [--only TEXT]

What is packed is the gtap that is tested; `make deb` compiles it as Debian does.
"""

import os
import re
import shutil
import subprocess

import clean_root
import gtap as support
import tools
from clean_root import done_by

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
UNITS = ("gtap", "gtap-agent", "gtap-gateway", "gtap-processor")
CONFIGURATION = "/etc/gtap/run.conf"
NEWS = "# The next version says more.\n"


class Package(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        clean_root.need("dh", "dpkg-buildpackage", "lintian", "debootstrap", "unshare")
        cls.folder = tools.scratch("deb", cls.addClassCleanup)
        os.chmod(cls.folder, 0o755)  # apt reads as another user
        said = done_by(os.path.join(ROOT, "deploy/deb/build.sh"), os.path.join(cls.folder, "made"),
                       env={**os.environ, "BINARY": os.path.abspath(support.ARGS.gtap),
                            "DEB_BUILD_OPTIONS": "noautodbgsym"})
        cls.deb = said.splitlines()[-1]

    def next_version(self):
        """The same package as a later one, whose configuration files say more."""
        unpacked = os.path.join(self.folder, "next")
        done_by("dpkg-deb", "--raw-extract", self.deb, unpacked)
        for name in ("run", "agent"):
            with open(f"{unpacked}/etc/gtap/{name}.conf", "a", encoding="utf-8") as f:
                f.write(NEWS)
        control = f"{unpacked}/DEBIAN/control"
        with open(control, encoding="utf-8") as f:
            text = re.sub(r"(?m)^(Version: .*)$", r"\1+1", f.read())
        with open(control, "w", encoding="utf-8") as f:
            f.write(text)
        done_by("dpkg-deb", "--build", "--root-owner-group", "-Znone", unpacked, f"{unpacked}.deb")
        return f"{unpacked}.deb"

    def test_lintian(self):
        done = subprocess.run(["lintian", "--fail-on", "error,warning,info", "--display-info", self.deb],
                              capture_output=True, text=True, check=False)
        tags = [line for line in done.stdout.splitlines() if line]
        self.assertEqual((done.returncode, tags), (0, []), done.stderr)

    def test_from_installation_to_purge(self):
        root = clean_root.lent(self.folder)
        before = self.files(root)
        self.install(root, self.deb)
        self.works(root)
        self.starts(root)
        self.upgraded(root)
        root.run("apt-get", "-qq", "purge", "--yes", "gtap")
        left = {name for name in self.files(root) - before if self.is_ours(name)}
        self.assertEqual(left, set())

    def install(self, root, deb):
        place = root.written("/var/tmp")
        os.makedirs(place, exist_ok=True)
        shutil.copy(deb, place)
        words = ("apt-get", "-qq", "install", "--yes", "-o", "Dpkg::Options::=--force-confold",
                 f"/var/tmp/{os.path.basename(deb)}")
        try:
            root.run(*words)
        except AssertionError:  # the archive may have moved on since the base was made
            root.run("apt-get", "-qq", "update")
            root.run(*words)

    @staticmethod
    def files(root):
        return set(root.run("find", "/", "-xdev", "!", "-path", "/proc/*", "!", "-path",
                            "/var/tmp/*").splitlines())

    @staticmethod
    def is_ours(name):
        """Dependencies stay, and the package's log of its installation."""
        return "gtap" in name and not name.startswith("/var/log/")

    def works(self, root):
        self.assertEqual(root.run("gtap", "version"), self.gtap.run("version").stdout)
        self.assertEqual(root.run("stat", "-c", "%U %a", "/usr/bin/gtap"), "root 755\n")
        missing = "ldd /usr/bin/gtap | awk '/not found/ { n++ } END { print n + 0 }'"
        self.assertEqual(root.run("sh", "-c", missing), "0\n")
        for command in ("run", "agent", "gateway", "processor"):
            root.run("gtap", "config", command, "--config", f"/etc/gtap/{command}.conf")
        demo = "synthetic:?duration=5m&rate=3&gpus=2&price=2.5&seed=7"
        root.run("gtap", "run", "--in", demo, "--out", "sqlite:/var/tmp/demo.db")
        self.assertIn(" 0 differ", root.run("gtap", "verify", "--store", "sqlite:/var/tmp/demo.db"))
        self.assertIn("bill", root.run("gtap", "report", "--store", "sqlite:/var/tmp/demo.db"))
        # Libraries that are loaded when they are needed: libcurl, libmongoc.
        done = subprocess.run(root.command("gtap", "health", "http://127.0.0.1:1/"), capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        done = subprocess.run(root.command("gtap", "report", "--store", "mongodb://127.0.0.1:1/x?"
                                           "serverSelectionTimeoutMS=100"), capture_output=True,
                              text=True, check=False)
        self.assertNotIn("install", done.stderr)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.units_are_right(root)

    def units_are_right(self, root):
        for unit in UNITS:
            text = root.run("cat", f"/lib/systemd/system/{unit}.service")
            self.assertRegex(text, r"(?m)^ExecStart=/usr/bin/gtap [a-z]+ --config ")
            self.assertFalse(os.path.lexists(root.written(
                f"/etc/systemd/system/multi-user.target.wants/{unit}.service")))
        if shutil.which("systemd-analyze"):
            verified = self.gtap.file("units")
            os.makedirs(verified)
            for unit in UNITS:
                text = root.run("cat", f"/lib/systemd/system/{unit}.service")
                with open(f"{verified}/{unit}.service", "w", encoding="utf-8") as f:
                    f.write(text.replace("/usr/bin/gtap", self.gtap.path))
            done_by("systemd-analyze", "verify", "--man=no",
                    *(f"{verified}/{unit}.service" for unit in UNITS))

    def starts(self, root):
        """As its unit starts it, with what the package configures, as a user that is nobody; in one
        shell, whose loopback is its own."""
        script = """
            set -e
            umask 077
            install -d -o 65534 -g 65534 /var/lib/gtap
            echo secret >/etc/gtap/token
            cp /etc/gtap/token /var/lib/gtap/credential
            chown 65534 /var/lib/gtap/credential
            cd /var/lib/gtap
            STATE_DIRECTORY=/var/lib/gtap GTAP_API_TOKEN_FILE=/var/lib/gtap/credential \
                setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all \
                gtap run --config /etc/gtap/run.conf &
            pid=$!
            tries=0
            until gtap health http://127.0.0.1:8080/ready 2>/dev/null; do
                tries=$((tries + 1))
                [ "$tries" -lt 600 ] && kill -0 "$pid"
                sleep 0.1
            done
            kill "$pid"
            wait "$pid"
        """
        said = root.run("sh", "-c", script, isolated=True)
        self.assertEqual(said, "http://127.0.0.1:8080/ready: ok\n")
        self.assertTrue(os.path.exists(root.written("/var/lib/gtap/gtap.db")))

    def upgraded(self, root):
        path = root.written(CONFIGURATION)
        root.run("sed", "-i", "s/^# price = .*/price = 1.25/", CONFIGURATION)
        with open(path, encoding="utf-8") as f:
            changed = f.read()
        self.assertIn("\nprice = 1.25\n", changed)
        self.install(root, self.next_version())
        version = root.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "gtap")
        self.assertRegex(version, r"^\d+\.\d+\.\d+\+1 installed$")
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), changed)
        with open(root.written("/etc/gtap/agent.conf"), encoding="utf-8") as f:
            self.assertTrue(f.read().endswith(NEWS))  # nobody had changed that one
        self.assertTrue(os.path.exists(f"{path}.dpkg-dist"))
        self.assertTrue(os.path.exists(root.written("/var/lib/gtap/gtap.db")))
        conffiles = root.run("dpkg-query", "-W", "-f", "${Conffiles}", "gtap")
        self.assertEqual(set(re.findall(r"/etc/\S+", conffiles)),
                         {f"/etc/gtap/{name}.conf" for name in ("run", "agent", "gateway", "processor")})


if __name__ == "__main__":
    support.main(__name__)
