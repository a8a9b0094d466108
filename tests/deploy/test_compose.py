"""The compose projects: each is what docker compose takes, refuses to start without what it needs,
and keeps to the rules; one machine with all parts really comes up, works and goes down.

    test_compose.py --gtap BUILD/gtap [--only TEXT]
"""

import glob
import json
import os
import re
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path.append(os.path.join(HERE, "..", "integration"))

import gtap as support  # noqa: E402
import stack  # noqa: E402
from daemon import DEADLINE  # noqa: E402

import tools  # noqa: E402

COMPOSE = os.path.join(ROOT, "deploy", "compose")
ROLES = ("kafka", "mongodb", "processor", "producers")
SETTINGS = {"KAFKA_HOST": "10.0.1.101", "MONGODB_BIND": "10.0.1.102",
            "KAFKA_BOOTSTRAP": "10.0.1.101:9092"}
NEEDS = {"kafka": "KAFKA_HOST", "mongodb": "MONGODB_BIND", "processor": "KAFKA_BOOTSTRAP",
         "producers": "KAFKA_BOOTSTRAP"}
SECRETS = ("kafka_processor_password", "kafka_producers_password", "mongodb_root_password",
           "mongodb_gtap_password", "mongodb_uri")
INDEX_OPTIONS = ("partialFilterExpression", "expireAfterSeconds")


def projects():
    """{what it is called: (file, settings)} of every compose project in the repository."""
    found = {f"services/{role}": (os.path.join(COMPOSE, "services", f"{role}.yaml"), SETTINGS)
             for role in ROLES}
    found["one machine"] = (os.path.join(COMPOSE, "compose.yaml"), {})
    example = os.path.join(ROOT, "CA0", "ca0.env.example")
    with open(example, encoding="utf-8") as f:
        ca0 = dict(line.strip().split("=", 1) for line in f if "=" in line and line[0] != "#")
    for path in sorted(glob.glob(os.path.join(ROOT, "CA0", "vm*", "docker-compose.yml"))):
        found[os.path.basename(os.path.dirname(path))] = (path, ca0)
    return found


class Compose(support.Case):
    def setUp(self):
        super().setUp()
        self.compose = tools.compose()

    def config(self, file, settings, *args, expect=0):
        env = {"PATH": os.environ["PATH"], "HOME": self.gtap.folder,
               "GTAP_SECRETS": os.path.join(self.gtap.folder, "secrets"), **settings}
        done = subprocess.run([self.compose, "-f", file, "config", *args], env=env,
                              capture_output=True, text=True, timeout=DEADLINE, check=False)
        self.assertEqual(done.returncode, expect, f"{file}: {done.stderr}")
        return done

    def services(self):
        for project, (file, settings) in projects().items():
            found = json.loads(self.config(file, settings, "--format", "json").stdout)
            for name, service in found["services"].items():
                yield f"{project}: {name}", service, found

    def test_every_project(self):
        self.assertEqual(len(projects()), 9)
        for project, (file, settings) in projects().items():
            with self.subTest(project):
                done = self.config(file, settings)
                self.assertEqual(done.stderr, "")  # no obsolete key, no variable without a value
                with open(file, encoding="utf-8") as f:
                    self.assertNotRegex(f.read(), re.compile(r"^version:", re.M))

    def test_unknown_keys_are_refused(self):
        """That config checks anything at all."""
        with open(os.path.join(COMPOSE, "services", "processor.yaml"), encoding="utf-8") as f:
            text = f.read().replace("    read_only: true", "    read_onyl: true")
        broken = self.gtap.file("broken.yaml")
        with open(broken, "w", encoding="utf-8") as f:
            f.write(text)
        self.assertIn("read_onyl", self.config(broken, SETTINGS, expect=1).stderr)

    def test_what_must_be_said(self):
        for role, variable in NEEDS.items():
            with self.subTest(role):
                file = os.path.join(COMPOSE, "services", f"{role}.yaml")
                without = {k: v for k, v in SETTINGS.items() if k != variable}
                self.assertIn(f"required variable {variable} is missing",
                              self.config(file, without, expect=1).stderr)

    def test_no_more_rights_than_needed(self):
        for name, service, _ in self.services():
            with self.subTest(name):
                self.assertEqual(service["cap_drop"], ["ALL"])
                self.assertEqual(service["security_opt"], ["no-new-privileges:true"])
                self.assertTrue(service["read_only"])
                self.assertRegex(service["user"], r"^[1-9]\d*:10001$")
                for key in ("cap_add", "privileged", "devices", "pid", "ipc", "env_file", "build"):
                    self.assertNotIn(key, service)
                self.assertRegex(service["image"], r"^(apache/kafka|mongo|gtap):\d")
                limits = service["deploy"]["resources"]["limits"]
                self.assertEqual(set(limits), {"cpus", "memory", "pids"})
                self.assertIn("test", service["healthcheck"])
                self.assertIn("max-size", service["logging"]["options"])
                for mount in service.get("volumes", ()):
                    if mount["type"] == "bind":
                        self.assertTrue(mount["read_only"], mount)
                        self.assertTrue(mount["source"].startswith(COMPOSE), mount)
                        self.assertTrue(os.path.exists(mount["source"]), mount)
                        self.assertFalse(mount["bind"].get("create_host_path", False), mount)

    def test_networks(self):
        for name, service, found in self.services():
            with self.subTest(name):
                if found["name"] != "gtap":
                    self.assertEqual(service["network_mode"], "host")
                    self.assertNotIn("ports", service)
                    continue
                self.assertNotIn("network_mode", service)
                self.assertEqual(list(service["networks"]), ["pipeline"])
                for port in service.get("ports", ()):
                    self.assertEqual((port["host_ip"], port["target"]), ("127.0.0.1", 8080))

    def test_order_of_start(self):
        found = {name: service for name, service, _ in self.services()}
        wants = {"processor": {"kafka", "mongodb"}, "producers": {"kafka"}}
        for name, others in wants.items():
            needs = found[f"one machine: {name}"]["depends_on"]
            self.assertEqual({k: v["condition"] for k, v in needs.items()},
                             dict.fromkeys(others, "service_healthy"))

    def test_no_secret_in_sight(self):
        self.make_secrets()
        said = "".join(self.config(file, settings).stdout for file, settings in
                       projects().values())
        for name in SECRETS:
            with open(os.path.join(self.gtap.folder, "secrets", name), encoding="ascii") as f:
                self.assertNotIn(f.read().strip(), said)
        for name, service, found in self.services():
            for secret in service["secrets"]:
                self.assertIn(secret["source"], SECRETS, name)
                self.assertTrue(found["secrets"][secret["source"]]["file"].endswith(
                    f"/secrets/{secret['source']}"))
            for key, value in service["environment"].items():
                if re.search("PASSWORD|SECRET|(^|_)URI(_|$)", key):
                    self.assertRegex(key, "_FILE$")
                    self.assertTrue(value.startswith("/run/secrets/"), f"{name}: {key}")

    def make_secrets(self, **env):
        folder = os.path.join(self.gtap.folder, "secrets")
        return subprocess.run([os.path.join(COMPOSE, "secrets.sh"), folder], capture_output=True,
                              text=True, check=False, env={**os.environ, **env})

    def test_secrets(self):
        folder = os.path.join(self.gtap.folder, "secrets")
        first = self.make_secrets(MONGODB_HOST="10.0.1.102", DB_NAME="ca7")
        self.assertEqual((first.returncode, first.stdout, first.stderr), (0, "", ""))
        self.assertEqual(sorted(os.listdir(folder)), sorted(SECRETS))
        mode, root = stat.S_IMODE(os.stat(folder).st_mode), os.geteuid() == 0
        self.assertEqual(mode, 0o750 if root else 0o700)
        values = {}
        for name in SECRETS:
            path = os.path.join(folder, name)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o440 if root else 0o444)
            if root:
                self.assertEqual((os.stat(path).st_uid, os.stat(path).st_gid), (0, 10001))
            with open(path, encoding="ascii") as f:
                values[name] = f.read()
        passwords = [values[name] for name in SECRETS[:4]]
        for password in passwords:
            self.assertRegex(password, r"^[A-Za-z0-9]{32}\n$")
        self.assertEqual(len(set(passwords)), 4)
        self.assertEqual(values["mongodb_uri"], "mongodb://gtap:" + passwords[3].strip() +
                         "@10.0.1.102:27017/ca7?authSource=ca7\n")
        self.assertEqual(self.make_secrets(MONGODB_HOST="other").returncode, 0)
        for name, value in values.items():
            with open(os.path.join(folder, name), encoding="ascii") as f:
                self.assertEqual(f.read(), value)
        # A password of another day and its URI do not go together.
        os.unlink(os.path.join(folder, "mongodb_gtap_password"))
        again = self.make_secrets()
        self.assertEqual(again.returncode, 1)
        self.assertIn("remove mongodb_uri", again.stderr)
        os.unlink(os.path.join(folder, "mongodb_uri"))
        self.assertEqual(self.make_secrets().returncode, 0)


class Indexes(stack.Case):
    """mongodb/*.js by the real mongosh."""

    def mongosh(self, script, **env):
        return subprocess.run(
            ["bash", os.path.join(COMPOSE, "mongodb", script)], capture_output=True, text=True,
            timeout=DEADLINE, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "MONGOSH": tools.mongosh(), "MONGODB_PORT": str(self.mongo.port),
                 "MONGO_INITDB_DATABASE": self.database, "GTAP_SECRETS_DIR": self.gtap.folder,
                 "HOME": self.gtap.folder, **env})

    def indexes(self, database):
        return {(name, index["name"]): (list(index["key"].items()),
                                        {k: index[k] for k in INDEX_OPTIONS if k in index})
                for name in database.list_collection_names() for index in
                database[name].list_indexes() if index["name"] != "_id_"}

    def test_as_the_program_makes_them(self):
        tools.mongosh()
        if os.environ.get("GTAP_TEST_MONGODB_URI"):
            self.skipTest("makes users in a database server of its own")
        self.keep("gtap", "gtap-secret")
        admin = self.db.client.admin
        admin.command("createUser", "root", pwd="root-secret", roles=["root"])
        self.addCleanup(admin.command, "dropUser", "root")
        self.keep("root", "wrong")
        self.assertNotEqual(self.mongosh("health.sh").returncode, 0)  # nobody made the user, nobody can
        self.keep("root", "root-secret")
        for _ in range(2):
            done = self.mongosh("apply.sh")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(f"user gtap of the database {self.database}", done.stdout)
            self.assertNotIn("secret", done.stdout + done.stderr)
        self.assertEqual(self.mongosh("health.sh").returncode, 0)
        [user] = self.db.command("usersInfo", "gtap")["users"]
        self.assertEqual([(r["role"], r["db"]) for r in user["roles"]],
                         [("readWrite", self.database)])
        by_script = self.indexes(self.db)
        other = f"{self.database}_own"
        self.addCleanup(self.db.client.drop_database, other)
        store = self.store_uri.replace(self.database, other)
        self.gtap.run("run", "--in", self.write("none.ndjson", support.records(1)), "--out", store,
                      "--until-end")
        self.assertEqual(by_script, self.indexes(self.db.client[other]))
        # The database is the program's to begin, with what is there already.
        self.gtap.run("run", "--in", self.write("one.ndjson", support.records(1)), "--out",
                      self.store_uri, "--until-end")
        self.assertEqual(by_script, self.indexes(self.db))
        # A password that has changed: apply.sh takes it over, and so does the health check.
        self.keep("gtap", "another")
        self.assertEqual(self.mongosh("apply.sh").returncode, 0)
        self.assert_logs_in("another")
        self.keep("gtap", "a-third")
        done = self.mongosh("health.sh")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assert_logs_in("a-third")

    def keep(self, user, password):
        with open(self.gtap.file(f"mongodb_{user}_password"), "w", encoding="ascii") as f:
            f.write(password + "\n")

    def assert_logs_in(self, password):
        client = type(self.db.client)("127.0.0.1", self.mongo.port, username="gtap", password=password,
                                      authSource=self.database)
        self.addCleanup(client.close)
        self.assertEqual(client[self.database].command("ping")["ok"], 1)


if __name__ == "__main__":
    support.main(__name__)
