"""The four machines of CA1 really run: each a root, processes and a network of its own on this machine (see
machines.py), booted by the user data that Terraform made, behind the security groups that it made. Real
Kafka, a server of MongoDB's protocol, gtap's processor and agent, sshd, sudo, nft and the machines' own
scripts; `make` of CA1 runs at the administrator's.

    test_machines.py --gtap BUILD/gtap [--only TEXT]
"""

import json
import os
import random
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path += [HERE, os.path.join(ROOT, "tests", "integration"), os.path.join(ROOT, "tests", "support")]

import gtap as support  # noqa: E402
import machines  # noqa: E402
import terraform  # noqa: E402
import tools  # noqa: E402
from daemon import DEADLINE, wait_for  # noqa: E402

ARCHITECTURE = os.path.join(ROOT, "CA1", "docs", "architecture.md")
# Ports that something listens on, or might: those of the matrix, and what must stay inside.
PORTS = (22, 80, 8080, 9092, 9093, 9094, 9400, 27017)


def golden(name):
    return machines.read(os.path.join(HERE, "golden", name))


def matrix():
    """{(from, to, port)} of CA1's page, by machines."""
    return {(tools.ROLES.get(sender, sender), tools.ROLES[to], port)
            for sender, to, port in tools.ports_matrix(ARCHITECTURE)}


class Machines(unittest.TestCase):
    """The stack is up for all of them; a test that breaks something mends it."""

    @classmethod
    def setUpClass(cls):
        facts = terraform.applied()
        folder = tools.scratch("machines", cls.addClassCleanup)
        archive = os.path.join(folder, "image.tar")
        with open(archive, "wb") as file:
            file.write(terraform.ARCHIVE)
        admin = terraform.ADMIN.partition("/")[0]
        cls.cloud = machines.Cloud(folder, support.ARGS.gtap,
                                   machines.stack_of(facts, archive, admin))
        cls.addClassCleanup(cls.cloud.close)
        cls.outputs = os.path.join(folder, "outputs.json")
        with open(cls.outputs, "w", encoding="utf-8") as file:
            json.dump({name: {"value": value} for name, value in cls.cloud.stack["outputs"].items()}, file)
        cls.cloud.start()

    def make(self, *targets, expect=0, **variables):
        """What `make` says, at the administrator's machine."""
        words = [f"{name}={value}" for name, value in {
            "OUTPUTS": self.outputs, "SSH_KEY": self.cloud.key,
            "KNOWN_HOSTS": os.path.join(self.cloud.folder, "known_hosts"), **variables}.items()]
        done = self.cloud.admin.run("make", "--no-print-directory", "-s", "-C",
                                    os.path.join(ROOT, "CA1"), *targets, *words,
                                    env={"MAKEFLAGS": "", "MAKELEVEL": ""}, timeout=4 * DEADLINE)
        said = done.stdout + done.stderr
        if expect is not None:
            self.assertEqual(done.returncode == 0, expect == 0, said)
        return said

    def on(self, name, *words, text=None, expect=0):
        """What a command says, on a machine, as root."""
        done = self.cloud.machines[name].inside(*words, text=text)
        if expect is not None:
            self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout

    def mongo(self, script):
        return self.on("vm2_mongo", "/opt/gtap/bin/gtap-mongo", text=script).strip()

    # What the mission prints

    def test_addresses_and_environment(self):
        self.assertEqual(self.make("addrs"), golden("addrs"))
        self.assertEqual(self.make("env"), golden("env"))

    def test_verify(self):
        said = self.make("verify")
        self.assertTrue(said.startswith(golden("verify")), said)
        self.assertGreater(len(said.splitlines()), len(golden("verify").splitlines()), "no logs of VM4")

    def test_workflow(self):
        said = self.make("verify-workflow", MAX_DOCS=100)
        self.assertEqual(said.splitlines()[-1], "=== CA1: Workflow verified end-to-end ===", said)
        self.assertIn("costs exact to the nano-dollar", said)
        self.assertRegex(said, r"\n\d+ newest requests looked at")

    def test_expanded(self):
        said = self.make("verify-topics", "verify-mongo-expanded", "verify-processor-expanded")
        self.assertIn("tokens 12 partitions, 12 with a leader", said)
        self.assertRegex(said, r"token_usage: \d+ documents")

    # Who may talk to whom

    def test_every_connection_of_the_matrix_and_no_other(self):
        self.check_connections()

    def check_connections(self):
        """Each of the matrix comes about, and no other; by what the cloud filters and what the machines do,
        and by what the machines filter alone."""
        allowed = matrix()
        self.assertEqual(len(allowed), 8)
        self.assertEqual(self.wrong_connections(allowed), [])
        with self.cloud.open_to_all():
            self.assertEqual(self.wrong_connections(allowed), [])

    def wrong_connections(self, allowed):
        wrong = []
        for host in self.cloud.hosts:
            tries = []
            for name, machine in self.cloud.machines.items():
                if host is not machine:
                    outside = host in (self.cloud.admin, self.cloud.stranger)
                    public = self.cloud.stack["outputs"]["instance_public_ips"][name]
                    tries += [(name, public if outside else machine.address, port) for port in PORTS]
            open_ones = host.reaches_of([(address, port) for _, address, port in tries])
            for name, address, port in tries:
                may = (host.name, name, port) in allowed
                if ((address, port) in open_ones) != may:
                    wrong.append(f"{host.name} -> {name} {port}: {'refused' if may else 'open'}")
        return wrong

    def test_another_address_to_come_from(self):
        """The stranger's, who is then the admin for the machines' own filters: one turn of gtap-admin.timer
        each, which nobody does here by the clock."""
        self.addCleanup(self.follow, self.cloud.admin.address + "/32")
        self.follow(self.cloud.stranger.address + "/32")
        moved = {(("stranger" if sender == "admin" else sender), to, port) for sender, to, port in matrix()}
        with self.cloud.open_to_all():
            self.assertEqual(self.wrong_connections(moved), [])
        self.cloud.tag("AdminCidr", "0.0.0.0/0")
        said = self.cloud.machines["vm1_kafka"].inside("/opt/gtap/sbin/gtap-admin")
        self.assertEqual((said.returncode, said.stdout), (1, ""), said.stderr)
        self.assertIn("gtap-ufw does not take 0.0.0.0/0; the packet filter stays as it is", said.stderr)

    def follow(self, cidr):
        self.cloud.tag("AdminCidr", cidr)
        for name in self.cloud.machines:
            self.on(name, "systemctl", "start", "gtap-admin.service")
            self.assertEqual(self.on(name, "/opt/gtap/sbin/gtap-admin"), "")  # it is told once

    def test_password_login_is_refused(self):
        said = self.cloud.admin.run(
            "ssh", "-v", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o",
            "UserKnownHostsFile=/dev/null", "-o", "PubkeyAuthentication=no", "ubuntu@192.0.2.101", "true")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("Authentications that can continue: publickey\n", said.stderr.replace("\r", ""))

    # What a machine may have

    def test_each_machine_asked_for_its_own_secrets_and_got_no_other(self):
        lines = machines.read(os.path.join(self.cloud.folder, "api.log")).splitlines()
        for name, machine in self.cloud.machines.items():
            asked = {line.split()[3] for line in lines
                     if line.startswith(machine.address) and "GetSecretValue" in line}
            policy = self.cloud.stack["api"]["machines"][machine.address]
            self.assertEqual(asked, set(policy["secrets"]), name)
        self.assertFalse([line for line in lines if not line.endswith(" 200")])

    def test_only_root_gets_the_credentials_of_a_machine(self):
        ask = ["curl", "-s", "-m", "3", "-X", "PUT", "http://169.254.169.254/latest/api/token"]
        self.assertTrue(self.on("vm3_processor", *ask))
        self.on("vm3_processor", "setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", *ask,
                expect=7)

    def test_no_secret_on_a_disk_or_in_a_command_line(self):
        values = list(self.cloud.stack["changing"]["secrets"].values())
        self.assertEqual(len(values), 4)
        for machine in self.cloud.machines.values():
            for folder, _, names in os.walk(machine.places["upper"]):
                if "/volumes/" in folder:  # a database keeps what it checks passwords with
                    continue
                for name in names:
                    path = os.path.join(folder, name)
                    if os.path.isfile(path) and not os.path.islink(path):
                        with open(path, "rb") as file:
                            text = file.read()
                        self.assertFalse([v for v in values if v.encode() in text], path)
            lines = machine.inside("sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'")
            self.assertFalse([v for v in values if v in lines.stdout], machine.name)

    def test_passwords_are_changed(self):
        """As `make deploy` with another secrets_version does, and then `make new-passwords`."""
        new = {arn: f"{i}{value}"[:32] for i, (arn, value) in
               enumerate(sorted(self.cloud.stack["changing"]["secrets"].items())) if "mongo-root" not in arn}
        self.assertEqual(len(new), 3)
        self.cloud.change_secrets(new)
        self.make("new-passwords")
        self.make("verify", "verify-workflow")
        uri = self.on("vm3_processor", "cat", "/run/gtap/secrets/mongodb_uri")
        self.assertTrue([value for value in new.values() if f":{value}@" in uri])

    # Power cuts

    def test_nothing_is_lost_when_machines_are_cut_off_and_boot_in_any_order(self):
        rng = random.Random(7)
        sent, at = [], int(time.time()) - 3000
        for turn, name in enumerate(rng.sample(sorted(self.cloud.machines), 4)):
            sent += self.publish(f"before-{turn}", at + 60 * turn)
            machine = self.cloud.machines[name]
            machine.kill()
            if name not in ("vm1_kafka", "vm4_producers"):
                sent += self.publish(f"without-{name}", at + 60 * turn + 20)
            machine.start()
            machine.wait_up()
        order = rng.sample(sorted(self.cloud.machines), 4)
        for name in order:
            self.cloud.machines[name].kill()
        rng.shuffle(order)
        for name in order:
            self.cloud.machines[name].start()
        for name in order:
            self.cloud.machines[name].wait_up()
        sent += self.publish("after", at + 600)
        self.check_stored(sent)
        said = self.make("verify")
        self.assertTrue(said.startswith(golden("verify")), said)
        self.check_connections()  # the filters are back, too

    def publish(self, mark, at):
        """Requests that Kafka has acknowledged: their ids."""
        ids = [f"cut-{mark}-{i}" for i in range(20)]
        lines = [json.dumps({"ts": at + i, "model": "m", "host": "cut", "gpu_index": 0,
                             "prompt_tokens": 10, "completion_tokens": 5, "latency_ms": 500,
                             "event_id": id}) for i, id in enumerate(ids)]
        self.on("vm4_producers", "/opt/gtap/bin/gtap-publish", text="\n".join(lines) + "\n")
        return ids

    def check_stored(self, ids):
        """Every one, once, and none that nobody sent."""
        script = "print(JSON.stringify(db.token_usage.find({host: 'cut'}).toArray().map(d => d._id)))"

        def stored():
            return sorted(json.loads(self.mongo(script)))

        wait_for(lambda: stored() == sorted(ids), 2 * DEADLINE,
                 f"of {len(ids)} requests these are not there")

    # Checks that must fail

    def assert_fails(self, target, *texts, **variables):
        said = self.make(target, expect=1, **variables)
        self.assertIn("FAILED: ", said)
        self.assertIn("look at: ", said)
        for text in texts:
            self.assertIn(text, said)

    def test_verify_kafka_fails(self):
        topics = ["/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "127.0.0.1:9094"]
        in_kafka = ["docker", "compose", "--project-directory", "/opt/gtap", "exec", "-T", "kafka"]
        self.on("vm1_kafka", *in_kafka, *topics, "--delete", "--topic", "tokens")
        self.assert_fails("verify-kafka", "topic tokens is missing")
        self.on("vm1_kafka", *in_kafka, *topics, "--create", "--topic", "tokens", "--partitions", "3")
        self.assert_fails("verify-kafka", "tokens 3 partitions, 3 with a leader, not 12")
        self.on("vm1_kafka", *in_kafka, *topics, "--alter", "--topic", "tokens", "--partitions", "12")
        self.make("verify-kafka")
        with self.stopped("vm1_kafka"):
            self.assert_fails("verify-kafka", "make logs-vm1")
            # Its metrics may still tell of what was acknowledged a moment before.
            wait_for(lambda: "no record of theirs was acknowledged" in
                     self.make("verify-producers", expect=None, WAIT_SEC=3))

    def test_verify_mongo_fails(self):
        with self.stopped("vm2_mongo"):
            self.assert_fails("verify-mongo", "mongod does not answer")
            wait_for(lambda: "is not ready" in self.make("verify-processor", expect=None),
                     complaint="a processor without its database is ready")
        wait_for(lambda: "FAILED" not in self.make("verify-processor", expect=None))

    def test_verify_mongo_fails_for_a_user_that_is_gone(self):
        forget = ("db.getSiblingDB('admin').auth('root', require('fs').readFileSync("
                  "'/run/secrets/mongodb_root_password', 'utf8').trimEnd());"
                  "db.getSiblingDB('ca0').dropUser('gtap')")
        in_mongo = ["docker", "compose", "--project-directory", "/opt/gtap", "exec", "-T", "mongodb"]
        self.on("vm2_mongo", *in_mongo, "mongosh", "--quiet", "--norc", "--eval", forget)
        self.assert_fails("verify-mongo", "mongodb/apply.sh makes it again")
        self.on("vm2_mongo", *in_mongo, "bash", "/gtap/mongodb/apply.sh")
        self.make("verify-mongo")

    def test_verify_workflow_fails_for_a_request_without_its_cost(self):
        self.mongo("db.token_usage.insertOne({_id: 'no-cost', seq: Long('9000000000000000000'), final: true,"
                   " prompt_tokens: 1, completion_tokens: 1})")
        try:
            self.assert_fails("verify-workflow", "no-cost: final, and without cost_per_token")
        finally:
            self.mongo("db.token_usage.deleteOne({_id: 'no-cost'})")

    def test_verify_workflow_fails_where_producers_stand_still(self):
        self.on("vm4_producers", "pkill", "-STOP", "-x", "gtap")
        try:  # what was on its way may still arrive at first
            wait_for(lambda: "the producers' own records do not come" in
                     self.make("verify-workflow", expect=None, WAIT_SEC=20), 3 * DEADLINE)
        finally:
            self.on("vm4_producers", "pkill", "-CONT", "-x", "gtap")

    def test_verify_processor_fails(self):
        with self.stopped("vm3_processor"):
            self.assert_fails("verify-processor", "the processor does not answer")
            self.assert_fails("verify-workflow", WAIT_SEC=5)

    def test_verify_producers_fails(self):
        with self.stopped("vm4_producers"):
            self.assert_fails("verify-producers", "the producers do not run")
            self.assert_fails("verify-workflow", WAIT_SEC=5)

    def test_a_machine_that_is_off_and_outputs_that_are_not_there(self):
        with open(self.outputs + ".none", "w", encoding="utf-8") as file:
            file.write("{}")
        self.assert_fails("env", "make deploy", OUTPUTS=self.outputs + ".none")
        self.assert_fails("verify-mongo", "OUTPUTS names a file", OUTPUTS="/nonexistent")
        self.assert_fails("verify-workflow", "MAX_DOCS", MAX_DOCS="many")

    def stopped(self, name):
        """A machine's service is down meanwhile."""
        return Stopped(self, name)


class Stopped:
    def __init__(self, case, name):
        self.case, self.name = case, name

    def __enter__(self):
        self.case.on(self.name, "systemctl", "stop", "gtap-stack.service")

    def __exit__(self, *_):
        self.case.on(self.name, "systemctl", "start", "gtap-stack.service")


def without_a_network():
    """Goes on in the router's namespace; says why not where that is impossible."""
    try:
        if not tools.confined():
            tools.apart("--net")
            terraform.applied()  # once, while packages can be fetched; inside it is at hand
        machines.enter()
    except unittest.SkipTest as why:
        return str(why)
    return None


if __name__ == "__main__":
    reason = without_a_network()
    if reason is not None:
        Machines = unittest.skip(reason)(Machines)
    support.main(__name__)
