"""The units for systemd, and the examples of their configuration.

    test_service.py --gtap BUILD/gtap [--only TEXT]
"""

import glob
import os
import re
import shutil
import subprocess

import gtap as support

DEPLOY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy")
EXPOSURE_MOST = 15  # tenths, of 100
COMMANDS = {"gtap": "run", "gtap-agent": "agent", "gtap-gateway": "gateway",
            "gtap-processor": "processor"}


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Units(support.Case):
    def analyze(self, *args):
        if not shutil.which("systemd-analyze"):
            raise support.unittest.SkipTest("there is no systemd-analyze")
        done = subprocess.run(["systemd-analyze", *args], cwd=self.gtap.folder, text=True,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def units(self):
        """Copies that name the program that is tested."""
        for name in COMMANDS:
            path = self.gtap.file(f"{name}.service")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text_of(f"{DEPLOY}/systemd/{name}.service")
                        .replace("/usr/local/bin/gtap", self.gtap.path))
            yield path

    def test_there_are_no_others(self):
        names = {os.path.basename(path) for path in glob.glob(f"{DEPLOY}/systemd/*")}
        self.assertEqual(names, {f"{name}.service" for name in COMMANDS})
        names = {os.path.basename(path) for path in glob.glob(f"{DEPLOY}/conf/*")}
        self.assertEqual(names, {f"{command}.conf" for command in COMMANDS.values()})

    def test_verified(self):
        done = self.analyze("verify", "--man=no", *self.units())
        self.assertEqual(done.stdout + done.stderr, "")

    def test_exposure(self):
        for unit in self.units():
            done = self.analyze("security", "--offline=true", f"--threshold={EXPOSURE_MOST}",
                                "--no-pager", unit)
            capabilities = re.findall(r"(?m)^(\S+) CapabilityBoundingSet=", done.stdout)
            self.assertGreater(len(capabilities), 10)
            self.assertEqual(set(capabilities), {"✓"}, unit)

    def test_secrets_are_handed_over(self):
        """Files that root alone reads come as credentials, and the command is told where."""
        for name, command in COMMANDS.items():
            text = text_of(f"{DEPLOY}/systemd/{name}.service")
            self.assertIn(f"\nExecStart=/usr/local/bin/gtap {command} "
                          f"--config /etc/gtap/{command}.conf\n", text)
            handed = re.findall(r"(?m)^LoadCredential=(\S+):/etc/gtap/(\S+)$", text)
            told = re.findall(r"(?m)^Environment=\S+_FILE=%d/(\S+)$", text)
            self.assertEqual([a for a, _ in handed], told)
            self.assertEqual(handed, [(a, a) for a, _ in handed])

    def in_force(self, command, path):
        lines = self.gtap.run("config", command, "--config", path).stdout.splitlines()
        return {line.split()[1]: line.split()[2] for line in lines
                if line.startswith(f"{command} ")}

    def test_configuration(self):
        wanted = {
            "run": {"in": "http:", "store": "sqlite:/var/lib/gtap/gtap.db",
                    "listen": "127.0.0.1:8080"},
            "agent": {"in": "gpu:", "bootstrap": "127.0.0.1:9092", "listen": "127.0.0.1:9400",
                      "spool-max": "1G"},
            "gateway": {"in": "http:", "bootstrap": "127.0.0.1:9092", "listen": "127.0.0.1:8081"},
            "processor": {"bootstrap": "127.0.0.1:9092", "group": "processor",
                          "listen": "127.0.0.1:8080", "dlq-topic": "gtap.dlq.v1"},
        }
        for command, values in wanted.items():
            found = self.in_force(command, f"{DEPLOY}/conf/{command}.conf")
            self.assertEqual({key: found.get(key) for key in values}, values)

    def test_what_is_commented_out_is_right_too(self):
        for command in COMMANDS.values():
            proposed = re.sub(r"(?m)^# (?=[a-z-]+ = )", "",
                              text_of(f"{DEPLOY}/conf/{command}.conf"))
            path = self.gtap.file(f"{command}.conf")
            with open(path, "w", encoding="utf-8") as f:
                f.write(proposed)
            self.assertGreater(len(re.findall(r"(?m)^[a-z-]+ = ", proposed)), 5)
            self.in_force(command, path)


if __name__ == "__main__":
    support.main(__name__)
