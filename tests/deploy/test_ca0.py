"""CA0, the four machines by hand, without machines: the firewall by the real ufw equals the ports matrix
of the page, sshd takes the drop-in and keys alone, the make targets say over SSH what they should.
Of CA0 and CA1: diagrams are what their sources say, commands of the guides parse, links lead somewhere.

    test_ca0.py --gtap BUILD/gtap [--only TEXT]
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path.append(os.path.join(HERE, "..", "integration"))

import gtap as support  # noqa: E402
from daemon import DEADLINE, HOST, Daemon, free_ports, listens, wait_for  # noqa: E402

import tools  # noqa: E402

CA0 = os.path.join(ROOT, "CA0")
STAGES = os.path.join(ROOT, "CA[01]")
GUIDES = (["aws-vm-setup-instructions.md"], ["..", "CA1", "CA1-step-by-step-guide.md"])
UFW = os.path.join(ROOT, "deploy", "host", "ufw", "gtap-ufw")
ADMIN = "203.0.113.7"
ADDRESSES = {"kafka": "10.0.1.101", "mongo": "10.0.1.102", "processor": "10.0.1.103",
             "producers": "10.0.1.104", "admin": ADMIN}
# What security groups let through unasked, or the page lists in words.
OUTWARDS = {"53/udp", "53/tcp", "80/tcp", "443/tcp", "67/udp", "169.254.169.123:123"}
RULE = re.compile(r"^ufw (?:allow from (?P<source>\S+) to any port (?P<port>\d+) proto tcp|"
                  r"allow out (?:to (?P<to>\S+) port (?P<out>\d+) proto (?:tcp|udp)|(?P<any>\S+)))"
                  r" comment '?gtap'?$")


def read(*path):
    with open(os.path.join(CA0, *path), encoding="utf-8") as f:
        return f.read()


def matrix():
    return tools.ports_matrix(os.path.join(CA0, "docs", "architecture.md"))


def rules(text):
    """({(source address, port)} inwards, {(address, port)} to others, other words) of ufw's lines."""
    inwards, to, others = set(), set(), set()
    for line in text.splitlines():
        found = RULE.match(line.strip())
        if not found:
            continue
        if found["source"]:
            inwards.add((found["source"], int(found["port"])))
        elif found["any"]:
            others.add(found["any"])
        elif found["to"] in ADDRESSES.values():
            to.add((found["to"], int(found["out"])))
        else:
            others.add(f"{found['to']}:{found['out']}")
    return inwards, to, others


class Firewall(support.Case):
    def ufw(self, role, *args, **env):
        return subprocess.run([UFW, role, *args], capture_output=True, text=True, check=False,
                              timeout=DEADLINE, stdin=subprocess.DEVNULL,
                              env={**os.environ, "MY_IP_CIDR": f"{ADMIN}/32", **env})

    def assert_matrix(self, role, text):
        inwards, to, others = rules(text)
        wanted = {(ADDRESSES[source], port) for source, where, port in matrix() if where == role}
        self.assertEqual(inwards, wanted, role)
        wanted = {(ADDRESSES[where], port) for source, where, port in matrix() if source == role}
        self.assertEqual(to, wanted, role)
        self.assertEqual(others, OUTWARDS, role)

    def test_equals_the_matrix(self):
        self.assertEqual(len(matrix()), 8)
        for role in ("kafka", "mongo", "processor", "producers"):
            done = self.ufw(role, "--dry-run")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assert_matrix(role, done.stdout)
            for direction in ("incoming", "outgoing", "routed"):
                self.assertIn(f"ufw default deny {direction}\n", done.stdout)

    def test_refuses_what_opens_too_much(self):
        for cidr in ("", "0.0.0.0/0", "203.0.113.7", "203.0.113.7/24", "203.0.113.300/32", "::/0",
                     "203.0.113.7/32 or any"):
            done = self.ufw("kafka", "--dry-run", MY_IP_CIDR=cidr)
            self.assertEqual((done.returncode, done.stdout), (2, ""), cidr)
            self.assertIn("MY_IP_CIDR", done.stderr)
        for args in ((), ("nobody", "--dry-run"), ("kafka", "--force"), ("kafka", "--dry-run", "x")):
            done = subprocess.run([UFW, *args], capture_output=True, text=True, check=False,
                                  env={**os.environ, "MY_IP_CIDR": f"{ADMIN}/32"})
            self.assertEqual((done.returncode, done.stdout), (2, ""), args)

    def test_the_real_ufw(self):
        """In a network of its own, with settings of its own. Twice, and then as another role."""
        program = tools.tool("ufw", "ufw")
        if os.geteuid() != 0:
            self.skipTest("needs root")
        folder = tools.scratch("ufw", self.addCleanup)
        for path in ("etc/ufw", "lib/ufw", "usr/share/ufw"):
            if os.path.isdir(f"/{path}"):
                shutil.copytree(f"/{path}", os.path.join(folder, path))
        os.makedirs(os.path.join(folder, "etc/default"))
        shutil.copy("/etc/default/ufw", os.path.join(folder, "etc/default"))
        os.makedirs(os.path.join(folder, "etc/ufw/applications.d"), exist_ok=True)
        options = f"--rootdir={folder} --datadir={folder}"
        subprocess.run([program, *options.split(), "allow", "8888/tcp"], check=True,
                       capture_output=True)
        for role, env in (("kafka", {}), ("kafka", {}), ("processor", {}), ("processor", {})):
            done = subprocess.run(
                ["unshare", "--net", UFW, role], capture_output=True, text=True, check=False,
                timeout=DEADLINE, env={**os.environ, "MY_IP_CIDR": f"{ADMIN}/32", **env,
                                       "UFW_OPTIONS": options})
            if "iptables" in done.stderr and "ermission" in done.stderr:
                self.skipTest(f"no packet filter here: {done.stderr.splitlines()[0]}")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("Firewall is active", done.stdout)
            added = subprocess.run([program, *options.split(), "show", "added"], check=True,
                                   capture_output=True, text=True).stdout
            self.assert_matrix(role, added)
            self.assertIn("ufw allow 8888/tcp\n", added)  # somebody else's


class Machine(support.Case):
    def test_sshd(self):
        program = tools.tool("sshd", "openssh-server")
        if os.geteuid() != 0:
            self.skipTest("needs root")
        drop_in = os.path.join(ROOT, "deploy", "host", "ssh", "10-gtap.conf")
        key = self.gtap.file("host_key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        settings = self.gtap.file("sshd_config")
        with open(settings, "w", encoding="utf-8") as f:
            # As Ubuntu's images have it, cloud-init's file among them: the first value counts.
            f.write(f"HostKey {key}\nInclude {drop_in}\nPasswordAuthentication yes\n"
                    "KbdInteractiveAuthentication yes\nPermitRootLogin yes\nUsePAM yes\n")
        # Its user, for where the package is unpacked alone.
        users = self.gtap.file("passwd")
        with open("/etc/passwd", encoding="utf-8") as known, open(users, "w", encoding="utf-8") as f:
            f.write(known.read() + "sshd:x:64999:65534::/run/sshd:/usr/sbin/nologin\n")
        os.makedirs("/run/sshd", exist_ok=True)
        for test in ("-t", "-T"):
            done = subprocess.run(
                ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" /etc/passwd && shift && exec "$@"',
                 "sh", users, program, test, "-f", settings], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        for line in ("passwordauthentication no", "kbdinteractiveauthentication no",
                     "permitrootlogin no", "authenticationmethods publickey",
                     "pubkeyauthentication yes", "permitemptypasswords no"):
            self.assertIn(f"{line}\n", done.stdout)

    def test_scripts(self):
        checker = tools.tool("shellcheck", "shellcheck")
        scripts = [UFW, os.path.join(CA0, "bootstrap.sh"), os.path.join(CA0, "demo", "smoke-test.sh"),
                   *glob.glob(os.path.join(ROOT, "deploy", "compose", "**", "*.sh"), recursive=True)]
        done = subprocess.run([checker, *scripts], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


def stub(folder, name, text):
    """A program that does what a few lines of bash do."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    put(path, f"#!/bin/bash\n{text}\n")
    os.chmod(path, 0o755)


def put(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


class Folders(support.Case):
    """Of the tests themselves: what a killed one leaves goes with the next, what a living one has does not."""

    def test_what_was_killed_is_swept(self):
        name = f"probe{os.getpid()}"
        script = (f"import sys; sys.path.append({HERE!r}); import tools\n"
                  f"print(tools.scratch({name!r}, lambda *_: None), flush=True); sys.stdin.read()")
        processes = [subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True) for _ in range(2)]
        folders = [process.stdout.readline().strip() for process in processes]
        for process in processes:
            self.addCleanup(process.communicate)
        processes[0].kill()
        processes[0].wait()
        self.assertEqual([os.path.isdir(folder) for folder in folders], [True, True])
        own = tools.scratch(name, self.addCleanup)
        self.assertEqual([os.path.isdir(folder) for folder in (*folders, own)], [False, True, True])
        processes[1].communicate()
        own = tools.scratch(name, self.addCleanup)
        self.assertFalse(os.path.exists(folders[1]))


class Bootstrap(support.Case):
    """bootstrap.sh with an /etc and an /opt of its own; programs that would change more write down what
    they were asked."""

    OVER = 'set -e; for place in etc opt; do mount --bind "$1/$place" "/$place"; done; shift; exec "$@"'

    def test_a_new_machine(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("namespaces are not permitted here")
        folder = tools.scratch("bootstrap", self.addCleanup)
        programs, log = os.path.join(folder, "bin"), os.path.join(folder, "log")
        for place in ("opt", "etc/ssh/sshd_config.d", "etc/systemd/system"):  # as Ubuntu has them
            os.makedirs(os.path.join(folder, place))
        for name in ("apt-get", "systemctl", "sshd", "ufw", "cloud-init"):
            stub(programs, name, f'echo "{name} $*" >>{log}')
        for _ in range(2):
            done = subprocess.run(
                ["unshare", "--mount", "sh", "-c", self.OVER, "sh", folder,
                 os.path.join(CA0, "bootstrap.sh"), "mongo"], capture_output=True, text=True, check=False,
                env={"PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin", "MY_IP_CIDR": f"{ADMIN}/32",
                     "MONGO_IP": "10.0.1.202"})
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assert_steps(read(log).splitlines())
        self.assertEqual(read(folder, "etc/ssh/sshd_config.d/10-gtap.conf"),
                         read(ROOT, "deploy/host/ssh/10-gtap.conf"))
        settings = dict(line.split("=") for line in read(folder, "etc/gtap/machine.env").splitlines())
        self.assertEqual(settings, {"ROLE": "mongo", "MY_IP_CIDR": f"{ADMIN}/32", "KAFKA_IP": "10.0.1.101",
                                    "MONGO_IP": "10.0.1.202", "PROCESSOR_IP": "10.0.1.103",
                                    "PRODUCERS_IP": "10.0.1.104"})
        for name in ("gtap-ufw", "gtap-admin"):
            self.assertTrue(os.access(os.path.join(folder, "opt/gtap/sbin", name), os.X_OK), name)
        secrets = os.stat(os.path.join(folder, "etc/gtap/secrets"))
        self.assertEqual((secrets.st_mode & 0o777, secrets.st_gid), (0o750, 10001))

    def assert_steps(self, said):
        """Twice the same; whoever prepares a machine is let in before the rest is shut out."""
        half = len(said) // 2
        self.assertEqual([line for line in said[:half] if "show added" not in line],
                         [line for line in said[half:] if "show added" not in line])
        order = ["cloud-init status --wait", "apt-get -q update", "systemctl enable --now docker", "sshd -t",
                 "systemctl reload ssh", f"ufw allow from {ADMIN} to any port 22 proto tcp comment gtap",
                 "ufw --force enable", "systemctl daemon-reload", "systemctl enable --now gtap-admin.timer"]
        self.assertEqual([line for line in said[:half] if line in order], order)


class Admin(support.Case):
    """gtap-admin, with a metadata service of the tests and a ufw that writes down what it was asked."""

    def setUp(self):
        super().setUp()
        tools.tool("curl", "curl")
        self.port, other = free_ports(2)
        self.tags({})
        put(self.gtap.file("config"), json.dumps({
            "metadata": [HOST, self.port], "api": [HOST, other], "machines": {},
            "log": self.gtap.file("requests"), "changing": self.gtap.file("changing")}))
        self.service = Daemon(self.gtap.file("service"))
        self.service.start([sys.executable, os.path.join(HERE, "cloud.py"), self.gtap.file("config")])
        self.addCleanup(self.service.stop)
        wait_for(lambda: listens(self.port), complaint="no metadata service")
        stub(self.gtap.file("bin"), "ufw", f'echo "$*" >>{self.gtap.file("asked")}')
        put(self.gtap.file("machine.env"), f"ROLE=processor\nMY_IP_CIDR={ADMIN}/32\n")
        os.makedirs(self.gtap.file("sbin"))
        for path in (UFW, os.path.join(ROOT, "deploy", "host", "sbin", "gtap-admin")):
            shutil.copy(path, self.gtap.file("sbin"))

    def tags(self, tags):
        put(self.gtap.file("changing"), json.dumps({"tags": {HOST: tags}}))

    def turn(self, expect=0):
        """A turn of the timer: who ufw was told to let in, and what was said."""
        put(self.gtap.file("asked"), "")
        done = subprocess.run(
            [self.gtap.file("sbin/gtap-admin")], capture_output=True, text=True, check=False,
            timeout=DEADLINE, stdin=subprocess.DEVNULL,
            env={"PATH": f"{self.gtap.file('bin')}:/usr/sbin:/usr/bin:/sbin:/bin",
                 "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{HOST}:{self.port}",
                 "GTAP_MACHINE_ENV": self.gtap.file("machine.env"),
                 "GTAP_ADMIN_STATE": self.gtap.file("state")})
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        told = [line for line in read(self.gtap.file("asked")).splitlines() if line.startswith("allow from")]
        return told, done.stdout + done.stderr

    def assert_follows(self, address):
        told, said = self.turn()
        self.assertEqual(told, [f"allow from {address} to any port {port} proto tcp comment gtap"
                                for port in (22, 8080)])
        self.assertIn(f"gtap-admin: people come from {address}/32\n", said)
        self.assertEqual(self.turn(), ([], ""))  # it is told once

    def test_follows_the_tag(self):
        self.assert_follows(ADMIN)  # no tag: what the machine was told at first
        self.tags({"AdminCidr": "198.51.100.9/32"})
        self.assert_follows("198.51.100.9")
        for wrong in ("0.0.0.0/0", "anywhere", "198.51.100.9/24"):
            self.tags({"AdminCidr": wrong})
            told, said = self.turn(expect=1)
            self.assertEqual(told, [])
            self.assertIn(f"gtap-ufw does not take {wrong}; the packet filter stays as it is", said)
        self.tags({"AdminCidr": "203.0.113.8/32"})
        self.assert_follows("203.0.113.8")
        self.service.stop()
        told, said = self.turn(expect=1)
        self.assertEqual(told, [])
        self.assertIn("the metadata service does not answer", said)

    def test_without_any_address(self):
        put(self.gtap.file("machine.env"), "ROLE=processor\n")
        told, said = self.turn(expect=1)
        self.assertEqual(told, [])
        self.assertIn("has no tag AdminCidr", said)


class Targets(support.Case):
    """make, with an ssh that writes down what it was asked."""

    def setUp(self):
        super().setUp()
        self.folder = self.gtap.file("CA0")
        shutil.copytree(CA0, self.folder, symlinks=True)
        os.symlink(os.path.join(ROOT, "deploy"), self.gtap.file("deploy"))
        os.symlink(os.path.join(ROOT, "schemas"), self.gtap.file("schemas"))
        self.said = self.gtap.file("said")
        stub(self.gtap.file("bin"), "ssh",
             f'said="${{@: -2}}"\necho "${{said//$\'\\n\'/ }}" >>{self.said}\ncat >"{self.said}.stdin.$(wc -l <{self.said})"\n'
             f'echo "$*" >{self.said}.options\nexit "${{SSH_STATUS:-0}}"')
        with open(self.gtap.file("image.tar"), "w", encoding="ascii") as f:
            f.write("an image")

    def make(self, *targets, configured=True, expect=0, **env):
        if configured:
            shutil.copy(os.path.join(CA0, "ca0.env.example"), os.path.join(self.folder, "ca0.env"))
        if os.path.exists(self.said):
            os.unlink(self.said)
        path = f"{self.gtap.file('bin')}:{os.environ['PATH']}"
        done = subprocess.run(
            ["make", "-C", self.folder, f"IMAGE_ARCHIVE={self.gtap.file('image.tar')}", *targets],
            capture_output=True, text=True, check=False, timeout=DEADLINE, stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": path, **env})
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        if not os.path.exists(self.said):
            return done, []
        with open(self.said, encoding="utf-8") as f:
            return done, f.read().splitlines()

    def test_up_and_down_in_order(self):
        hosts = [f"ubuntu@203.0.113.{n}" for n in (11, 12, 13, 14)]
        folders = ["vm1-kafka", "vm2-mongo", "vm3-processor", "vm4-producers"]
        said = self.make("up")[1]
        self.assertEqual(said, [
            f"{host} cd /opt/gtap/CA0/{folder} && sudo docker compose --env-file ../ca0.env up "
            "--detach --wait --wait-timeout 300" for host, folder in zip(hosts, folders)])
        said = self.make("down")[1]
        self.assertEqual([line.split()[0] for line in said], hosts[::-1])
        self.assertNotIn("volumes", "".join(said))

    def test_setup(self):
        done, said = self.make("setup")
        self.assertEqual(len(said), 14)  # files, packages, secrets; the image where it is needed
        for role in ("kafka", "mongo", "processor", "producers"):
            self.assertEqual(sum(f"bootstrap.sh {role}" in line and "MY_IP_CIDR=203.0.113.7/32" in line
                                 for line in said), 1)
        self.assertEqual(sum("docker load" in line for line in said), 2)
        for name in os.listdir(os.path.join(self.folder, "secrets")):
            with open(os.path.join(self.folder, "secrets", name), encoding="ascii") as f:
                self.assertNotIn(f.read().strip(), done.stdout + "".join(said))

    def test_the_guide_prepares_machines_as_setup_does(self):
        """Steps 5 and 6 of the page, but for the image itself."""
        page = read("aws-vm-setup-instructions.md")
        steps = re.search(r"^## 5\. .*?(?=^## 7\. )", page, re.M | re.S)[0]
        script = "".join(re.findall(r"^```sh\n(.*?)^```", steps, re.M | re.S))
        script = script.replace("make -C .. image ARCHIVE=build/gtap-image.tar\n", "")
        by_make = self.received(self.make("setup")[1])
        os.makedirs(self.gtap.file("build"))
        shutil.copy(self.gtap.file("image.tar"), self.gtap.file("build/gtap-image.tar"))
        os.unlink(self.said)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, capture_output=True, text=True,
            check=False, timeout=DEADLINE, stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{self.gtap.file('bin')}:{os.environ['PATH']}"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.received(read(self.said).splitlines()), by_make)

    def received(self, said):
        """What each machine was told and given: {address: {role, secrets, whether files, whether an image}}."""
        machines = {}
        for number, line in enumerate(said, 1):
            about = machines.setdefault(line.split()[0], {})
            given = f"{self.said}.stdin.{number}"
            if role := re.search(r"sudo MY_IP_CIDR=203\.0\.113\.7/32 .*/opt/gtap/CA0/bootstrap\.sh (\w+)$", line):
                about["role"] = role[1]
            elif "docker load" in line:
                about["image"] = read(given)
            elif os.path.getsize(given) > 0:
                with tarfile.open(given) as tar:
                    names = tar.getnames()
                if "/etc/gtap/secrets" in line:
                    about["secrets"] = sorted(names)
                    continue
                self.assertFalse([name for name in names if "secret" in os.path.basename(name) and
                                  not name.endswith(("secrets.sh", "gtap-secrets", "gtap-secrets.service"))])
                about["files"] = {"CA0/bootstrap.sh", "CA0/ca0.env", "CA0/vm1-kafka/docker-compose.yml",
                                  "deploy/compose/services/kafka.yaml", "deploy/host/sbin/gtap-admin"} <= set(names)
        return machines

    def test_each_target(self):
        targets = re.findall(r"\bvm\d-[\w-]+|\bssh-\w+", self.make("help")[0].stdout)
        self.assertGreater(len(targets), 12)
        targets += [f"vm{n}-{verb}" for n in range(1, 5) for verb in
                    "sync bootstrap secrets up wait health ps logs restart doctor down".split()]
        targets += ["vm3-build", "vm4-build", "ps"]
        for target in sorted(set(targets) - {"vm3-curl"}):
            with self.subTest(target):
                self.assertTrue(self.make(target, "SURE=yes")[1])
                if target not in ("ps",):
                    self.make(target, "SURE=yes", expect=2, SSH_STATUS="1")

    def test_data_goes_only_when_sure(self):
        for target in ("vm1-wipe", "vm2-down-v"):
            done, said = self.make(target, expect=2)
            self.assertEqual(said, [])
            self.assertIn(f"SURE=yes make {target}", done.stderr)
            self.assertIn("down --volumes", self.make(target, "SURE=yes")[1][0])

    def test_a_new_machine_is_known_from_then_on(self):
        """Nobody is asked anything, and a machine that is another one is refused."""
        self.make("vm1-up")
        options = read(f"{self.said}.options")
        for option in ("BatchMode=yes", "StrictHostKeyChecking=accept-new", "IdentitiesOnly=yes",
                       f"UserKnownHostsFile={self.folder}/.known_hosts"):
            self.assertIn(f"-o {option} ", options)

    def test_without_an_image(self):
        done, said = self.make("vm3-build", f"IMAGE_ARCHIVE={self.gtap.file('none.tar')}", expect=2)
        self.assertEqual(said, [])
        self.assertIn("make image ARCHIVE=build/gtap-image.tar", done.stderr)

    def test_without_settings(self):
        done = self.make("vm1-up", configured=False, expect=2)[0]
        self.assertIn("VM1_HOST is not set: cp ca0.env.example ca0.env", done.stderr)

    def test_env(self):
        self.assertEqual(self.make("--silent", "--no-print-directory", "env")[0].stdout,
                         "export KAFKA_BOOTSTRAP=10.0.1.101:9092\n"
                         "export MONGO_URL=mongodb://10.0.1.102:27017/ca0\n"
                         "export PROCESSOR_HEALTH=http://10.0.1.103:8080/health\n")


class Pages(support.Case):
    def test_diagrams(self):
        program = tools.tool("plantuml", "plantuml, graphviz, fonts-dejavu-core")
        sources = glob.glob(os.path.join(STAGES, "diagrams", "*.puml"))
        self.assertEqual(len(sources), 3)
        subprocess.run([program, "-tsvg", "-nometadata", "-failfast2", "-o", self.gtap.folder, *sources],
                       check=True, timeout=DEADLINE)
        for source in sources:
            rendered = source.replace(".puml", ".svg")
            self.assertEqual(texts(rendered), texts(self.gtap.file(os.path.basename(rendered))),
                             f"{rendered}: make diagrams, in CA0 or CA1")

    def test_commands_parse(self):
        for guide in GUIDES:
            blocks = re.findall(r"^```sh\n(.*?)^```", read(*guide), re.M | re.S)
            self.assertGreater(len(blocks), 10, guide)
            self.parse(blocks)

    def parse(self, blocks):
        for block in blocks:
            done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True,
                                  check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), block)

    def test_links(self):
        pages = glob.glob(os.path.join(STAGES, "**", "*.md"), recursive=True)
        self.assertGreater(len(pages), 9)
        for page in pages:
            with open(page, encoding="utf-8") as f:
                text = re.sub(r"^```.*?^```", "", f.read(), flags=re.M | re.S)
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
                self.assertNotRegex(target, "^https?:", page)
                self.assertTrue(os.path.exists(os.path.join(os.path.dirname(page), target)),
                                f"{page}: {target}")

    def test_paths_of_the_mission(self):
        for path in ("README.md", "aws-vm-setup-instructions.md", "diagrams/architecture.puml",
                     "diagrams/hardware-architecture.puml", "docs/architecture.md",
                     "docs/conversation-summary.md", "schemas/gpu.metrics.v1.json",
                     "schemas/token.usage.v1.json", "screenshots", "demo/smoke-test.sh",
                     "vm1-kafka/docker-compose.yml", "vm1-kafka/config",
                     "vm2-mongo/docker-compose.yml", "vm2-mongo/config/init-scripts/indexes.js",
                     "vm3-processor/docker-compose.yml", "vm3-processor/app/main.c",
                     "vm3-processor/app/utils", "vm4-producers/docker-compose.yml",
                     "vm4-producers/producer.c"):
            self.assertTrue(os.path.exists(os.path.join(CA0, path)), path)
        for path in ("README.md", "CA1-step-by-step-guide.md", "diagrams/architecture-final.puml",
                     "docs/architecture.md", "screenshots", "Makefile", "terraform/Makefile",
                     "terraform/providers.tf", "terraform/terraform.tfvars.example",
                     "terraform/modules/instances/templates", "terraform/modules/network",
                     "terraform/modules/security_groups", "terraform/modules/vpc"):
            self.assertTrue(os.path.exists(os.path.join(ROOT, "CA1", path)), path)


def texts(path):
    return sorted(text for element in xml.etree.ElementTree.parse(path).iter()
                  for text in [(element.text or "").strip()] if element.tag.endswith("text"))


if __name__ == "__main__":
    support.main(__name__)
