"""What the machines of CA1 are told at their first boot: rendered from an apply against moto and from a
plan with everything otherwise, and looked at with the tools that read it on a machine."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import unittest

from terraform import MACHINES, MOTO, ROOT, applied, free_ports, python_with, written

sys.path.append(os.path.join(ROOT, "tests", "integration"))
import gtap  # noqa: E402

# What cloud-init does with these is known; any other key is a mistake (it takes unknown ones silently).
KEYS = {"hostname", "disable_root", "ssh_pwauth", "package_update", "packages", "write_files", "runcmd"}
FOLDERS = {"sbin": "/opt/gtap/sbin", "bin": "/opt/gtap/bin", "ufw": "/opt/gtap/sbin",
           "systemd": "/etc/systemd/system", "ssh": "/etc/ssh/sshd_config.d", "docker": "/etc/docker",
           "nft": "/etc/gtap"}
SERVICES = {"vm1_kafka": "kafka", "vm2_mongo": "mongodb", "vm3_processor": "processor",
            "vm4_producers": "producers"}
UNITS = ("gtap-metadata", "gtap-secrets", "gtap-image", "gtap-stack")
FOLLOWS = ("gtap-admin.service", "gtap-admin.timer")


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=gtap.DEADLINE, **options)


# Unpacked, not installed: installed, it would run when the machine starts. See tools/install-deps.sh.
UNPACKED = os.path.join(ROOT, ".cache", "debian", "usr", "lib", "python3", "dist-packages")


def schema_of(path):
    if os.path.isdir(os.path.join(UNPACKED, "cloudinit")):
        return run("/usr/bin/python3", "-m", "cloudinit.cmd.main", "schema", "--config-file", path,
                   env={**os.environ, "PYTHONPATH": UNPACKED})
    need("cloud-init")
    return run("cloud-init", "schema", "--config-file", path)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None and not os.path.exists(f"/usr/sbin/{program}"):
            raise unittest.SkipTest(f"no {program}: tools/install-deps.sh deploy")


def wrong_with(text, folder):
    """All that is wrong with a cloud-config, as cloud-init, yamllint and the list of keys see it."""
    import yaml
    path = os.path.join(folder, "user-data")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    schema = schema_of(path)
    lint = run("yamllint", "-d", "{rules: {key-duplicates: enable}}", path)
    wrong = [] if schema.returncode == 0 else [schema.stdout + schema.stderr]
    wrong += [] if lint.returncode == 0 else [lint.stdout]
    unknown = set(yaml.safe_load(text)) - KEYS
    return wrong + [f"unknown key {key}" for key in sorted(unknown)]


def scripts_in(files):
    return {path: content for path, (_, content) in files.items()
            if re.match(r"#!(/usr)?/bin/(env )?(ba)?sh\b", content)}


class CloudInit(gtap.Case):
    @classmethod
    def setUpClass(cls):
        need("yamllint", "shellcheck", "systemd-analyze")
        facts = applied()
        cls.texts = {**facts["user_data"],
                     **{f"{name}, otherwise": text for name, text in facts["edge_user_data"].items()}}
        cls.edges = facts["edge_user_data"]
        cls.files = {name: written(text) for name, text in cls.texts.items()}

    def test_rendered_for_all(self):
        self.assertEqual(set(self.texts), {*MACHINES, *(f"{name}, otherwise" for name in MACHINES)})
        for name, text in self.texts.items():
            self.assertTrue(text.startswith("#cloud-config\n"), name)
            left = re.findall(r"%\{|\$\{[a-z_.]+\}",
                              text[:text.index("/etc/gtap/machine.env")])
            self.assertEqual(left, [], name)

    def test_cloud_init_takes_them(self):
        for name, text in self.texts.items():
            with self.subTest(name):
                self.assertEqual(wrong_with(text, self.gtap.folder), [])

    def test_what_is_wrong_is_seen(self):
        good = self.texts["vm1_kafka"]
        for change in ("\nruncmd:\n  - [touch, /tmp/x]\n", "\nruncmmd:\n  - [touch, /tmp/x]\n",
                       "\npackage_update: 7\n"):
            self.assertNotEqual(wrong_with(good + change, self.gtap.folder), [], change)

    def test_files_are_those_of_the_repository(self):
        """Byte for byte, with what `indent` and YAML do to them in between."""
        for name, files in self.files.items():
            found = {path: content for path, (_, content) in files.items()}
            for folder, to in FOLDERS.items():
                self.same(found, os.path.join("deploy", "host", folder), to)
            service = SERVICES[name.split(",", 1)[0]]
            if os.path.isdir(os.path.join(ROOT, "deploy", "compose", service)):
                self.same(found, os.path.join("deploy", "compose", service), f"/opt/gtap/{service}")
            with open(os.path.join(ROOT, "deploy", "compose", "services", f"{service}.yaml"),
                      encoding="utf-8") as file:
                self.assertEqual(found["/opt/gtap/compose.yaml"], file.read())

    def same(self, found, folder, to):
        path = os.path.join(ROOT, folder)
        for name in os.listdir(path) if os.path.isdir(path) else ():
            with open(os.path.join(path, name), encoding="utf-8") as file:
                self.assertEqual(found[f"{to}/{name}"], file.read(), name)

    def test_what_is_run_is_there_and_may_be_run(self):
        for files in self.files.values():
            every = "\n".join(content for _, content in files.values())
            ours = set(re.findall(r"(?:^|[=\s])(/opt/gtap/s?bin/[\w-]+)", every))
            self.assertLessEqual({"/opt/gtap/sbin/gtap-admin", "/opt/gtap/sbin/gtap-secrets"}, ours)
            for path in (*ours, "/opt/gtap/sbin/gtap-ufw"):  # which gtap-admin finds beside itself
                self.assertEqual(files[path][0], "0755", path)
            for path in re.findall(r"--file (/\S+)", every):
                if path.startswith("/etc/"):
                    self.assertIn(path, files)

    def test_scripts(self):
        folder = os.path.join(self.gtap.folder, "scripts")
        os.makedirs(folder)
        scripts = {path: content for files in self.files.values()
                   for path, content in scripts_in(files).items()}
        self.assertGreaterEqual(len(scripts), 4)
        paths = []
        for path, content in scripts.items():
            paths.append(os.path.join(folder, path.replace("/", "_")))
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write(content)
        done = run("shellcheck", "--exclude=SC1091", *paths)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        with open(paths[0], "a", encoding="utf-8") as file:
            file.write("\necho $undefined_and_unquoted\n")
        self.assertNotEqual(run("shellcheck", paths[0]).returncode, 0)

    def test_scripts_of_the_repository(self):
        """Those that no user data has, too."""
        found = []
        for top, _, names in os.walk(os.path.join(ROOT, "deploy")):
            for name in names:
                path = os.path.join(top, name)
                with open(path, "rb") as file:
                    first = file.readline()
                if first.startswith(b"#!") and re.search(rb"\b(ba)?sh\b", first):
                    found.append(path)
                if first.startswith(b"#!") and re.search("/deploy/(host|terraform)/", path):
                    self.assertTrue(os.stat(path).st_mode & stat.S_IXUSR, path)
        self.assertGreaterEqual(len(found), 5)
        done = run("shellcheck", "--exclude=SC1091", *found)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_python_scripts_compile(self):
        for path, (_, content) in self.files["vm3_processor"].items():
            if content.startswith("#!/usr/bin/python3"):
                compile(content, path, "exec")

    def test_secrets_that_cannot_be_had_leave_what_is_there(self):
        """All or none: gtap-secrets of vm3, and nobody to ask."""
        files = self.files["vm3_processor"]
        script, config = (os.path.join(self.gtap.folder, name) for name in ("script", "config"))
        for path, source in ((script, "/opt/gtap/sbin/gtap-secrets"), (config, "/etc/gtap/secrets.json")):
            with open(path, "w", encoding="utf-8") as file:
                file.write(files[source][1])
        secrets = os.path.join(self.gtap.folder, "secrets")
        os.makedirs(secrets)
        old = os.path.join(secrets, "mongodb_uri")
        with open(old, "w", encoding="ascii") as file:
            file.write("old\n")
        port, = free_ports(1)
        done = run(python_with("moto", MOTO), script, "--config", config, "--dir", secrets,
                   "--patience", "0", env={
                       **os.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                       "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                       "AWS_MAX_ATTEMPTS": "1"})
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("instance profile", done.stderr)
        with open(old, encoding="ascii") as file:
            self.assertEqual((os.listdir(secrets), file.read()), (["mongodb_uri"], "old\n"))

    def test_units(self):
        """As systemd reads them, in a root where what they start is there."""
        root = os.path.join(self.gtap.folder, "root")
        files = self.files["vm3_processor"]
        for path, (mode, content) in files.items():
            if path.startswith(("/etc/systemd/", "/opt/gtap/sbin/")):
                self.lay(root, path, content, int(mode, 8))
        for program in ("/usr/bin/docker", "/usr/sbin/nft"):
            self.lay(root, program, "#!/bin/sh\n", 0o755)
        for unit in ("docker.service", "ufw.service"):
            self.lay(root, f"/etc/systemd/system/{unit}", "[Service]\nExecStart=/usr/bin/docker\n", 0o644)
        shutil.copytree("/usr/lib/systemd/system", root + "/usr/lib/systemd/system", symlinks=True,
                        ignore_dangling_symlinks=True)
        units = [*(f"{unit}.service" for unit in UNITS), *FOLLOWS]
        self.assertLessEqual({f"/etc/systemd/system/{unit}" for unit in units}, set(files))
        self.assertEqual(self.verified(root, units), [])
        self.lay(root, "/etc/systemd/system/gtap-stack.service",
                 files["/etc/systemd/system/gtap-stack.service"][1].replace("Type=oneshot", "Type=onshot")
                 .replace("/usr/bin/docker", "/usr/bin/dockr"), 0o644)
        self.assertNotEqual(self.verified(root, units), [])

    @staticmethod
    def lay(root, path, content, mode):
        where = root + path
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "w", encoding="utf-8") as file:
            file.write(content)
        os.chmod(where, mode)

    @staticmethod
    def verified(root, units):
        """What systemd-analyze says of our units; of Debian's, it may say what it likes."""
        done = run("systemd-analyze", "verify", "--man=no", f"--root={root}", *units)
        return [line for line in (done.stdout + done.stderr).splitlines() if "gtap-" in line]

    def test_the_stack_comes_back_after_a_reboot(self):
        files = self.files["vm1_kafka"]
        setup = files["/opt/gtap/sbin/gtap-setup"][1]
        enabled = set(re.findall(r"[\w-]+\.service", "".join(re.findall(r"systemctl enable.*", setup))))
        for unit in UNITS:
            self.assertIn(f"{unit}.service", enabled)
            self.assertIn("WantedBy=multi-user.target",
                          files[f"/etc/systemd/system/{unit}.service"][1])
        self.assertRegex(setup, r"systemctl enable --now .*\bgtap-admin\.timer\b")
        self.assertIn("After=network-online.target docker.service gtap-secrets.service",
                      files["/etc/systemd/system/gtap-stack.service"][1])

    def test_settings_are_known_to_the_compose_file_and_complete(self):
        import yaml
        for name, files in self.files.items():
            compose = files["/opt/gtap/compose.yaml"][1]
            parsed = yaml.safe_load(compose)
            self.assertEqual(list(parsed["services"]), [SERVICES[name.split(",", 1)[0]]])
            self.assertEqual(set(parsed["secrets"]), {
                one["file"] for one in json.loads(files["/etc/gtap/secrets.json"][1])["secrets"]})
            settings = dict(line.split("=", 1) for line in files["/opt/gtap/.env"][1].splitlines())
            used = set(re.findall(r"\$\{([A-Z_]+)", compose))
            self.assertLessEqual(set(settings), used, name)
            required = set(re.findall(r"\$\{([A-Z_]+):\?", compose))
            self.assertLessEqual(required, {key for key, value in settings.items() if value}, name)

    def test_variables_arrive(self):
        files = {name: written(text) for name, text in self.edges.items()}
        env = {name: files[name]["/opt/gtap/.env"][1].splitlines() for name in MACHINES}
        for name in ("vm3_processor", "vm4_producers"):
            self.assertIn("GTAP_IMAGE=registry.example/tools/gtap:0.1.0", env[name])
            self.assertIn("GTAP_PULL=missing", env[name])
            self.assertNotIn("/etc/gtap/image.json", files[name])
        self.assertIn("RATE=", env["vm4_producers"])
        self.assertIn("GPU_METRICS_SOURCE=nvidia-smi", env["vm4_producers"])
        self.assertIn("PRICE_PER_HOUR_USD=3.123456789", env["vm3_processor"])
        self.assertIn("DB_NAME=costs_2", env["vm2_mongo"])
        self.assertIn("MONGO_IMAGE=mongo@sha256:" + "0" * 64, env["vm2_mongo"])
        uri, = (one["as"] for one in json.loads(files["vm3_processor"]["/etc/gtap/secrets.json"][1])["secrets"]
                if one["file"] == "mongodb_uri")
        self.assertEqual(uri, "mongodb://gtap:{secret}@10.0.1.102:27017/costs_2?authSource=costs_2")
        for name in MACHINES:
            role = dict(line.split("=", 1) for line in files[name]["/etc/gtap/machine.env"][1].splitlines())
            self.assertEqual(role, {"ROLE": name.split("_")[1], "KAFKA_IP": "10.0.1.101",
                                    "MONGO_IP": "10.0.1.102", "PROCESSOR_IP": "10.0.1.103",
                                    "PRODUCERS_IP": "10.0.1.104"})

    def test_rules_that_the_kernel_takes(self):
        need("nft", "unshare")
        if os.geteuid() != 0:
            self.skipTest("only root may ask the kernel")
        path = os.path.join(self.gtap.folder, "metadata.nft")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.files["vm1_kafka"]["/etc/gtap/metadata.nft"][1])
        # Twice, as at a second start; in a network of its own.
        done = run("unshare", "--net", "sh", "-ec", 'nft -f "$0"; nft -f "$0"; nft list ruleset', path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("skuid != 0"), 1)


if __name__ == "__main__":
    gtap.main("__main__")
