"""The unit for systemd, its example of a configuration, and what is installed.

    test_service.py --gtap BUILD/gtap [--only TEXT]
"""

import os
import re
import shutil
import subprocess

import gtap as support

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
UNIT = os.path.join(ROOT, "deploy/systemd/gtap.service")
EXPOSURE_MOST = 15  # tenths, of 100


class Service(support.Case):
    def analyze(self, *args):
        if not shutil.which("systemd-analyze"):
            raise support.unittest.SkipTest("there is no systemd-analyze")
        done = subprocess.run(["systemd-analyze", *args], cwd=self.gtap.folder, text=True,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def unit(self):
        """A copy that names the program that is tested."""
        with open(UNIT, encoding="utf-8") as f:
            text = f.read()
        path = self.gtap.file("gtap.service")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("/usr/local/bin/gtap", self.gtap.path))
        return path

    def test_unit(self):
        done = self.analyze("verify", "--man=no", self.unit())
        self.assertEqual(done.stdout + done.stderr, "")

    def test_exposure(self):
        done = self.analyze("security", "--offline=true", f"--threshold={EXPOSURE_MOST}",
                            "--no-pager", self.unit())
        capabilities = re.findall(r"(?m)^(\S+) CapabilityBoundingSet=", done.stdout)
        self.assertGreater(len(capabilities), 10)
        self.assertEqual(set(capabilities), {"✓"})

    def test_configuration(self):
        example = os.path.join(ROOT, "deploy/gtap.conf")
        lines = self.gtap.run("config", "run", "--config", example).stdout.splitlines()
        told = {line.split()[1]: line.split()[2] for line in lines if line.startswith("run ")}
        self.assertEqual((told["in"], told["store"], told["listen"]),
                         ("http:", "sqlite:/var/lib/gtap/gtap.db", "127.0.0.1:8080"))
        with open(example, encoding="utf-8") as f:  # what is commented out is right, too
            proposed = re.sub(r"(?m)^# (?=[a-z-]+ = )", "", f.read())
        with open(self.gtap.file("proposed.conf"), "w", encoding="utf-8") as f:
            f.write(proposed)
        self.assertGreater(len(re.findall(r"(?m)^[a-z-]+ = ", proposed)), 5)
        self.gtap.run("config", "run", "--config", self.gtap.file("proposed.conf"))

    def test_installed(self):
        prefix = self.gtap.file("prefix")
        subprocess.run([os.path.join(ROOT, "tools/install.sh"), self.gtap.path, prefix], check=True,
                       cwd=self.gtap.folder)
        for path in ("bin/gtap", "share/man/man1/gtap.1", "lib/systemd/system/gtap.service",
                     "share/doc/gtap/gtap.conf"):
            self.assertTrue(os.path.isfile(os.path.join(prefix, path)), path)


if __name__ == "__main__":
    support.main(__name__)
