"""Four machines and a network of a cloud, on this one: each machine has its own root (an overlay over this
machine's, see layer.py), processes, name and network; a router between them is the cloud, which lets
through what security groups allow and no more. The test itself runs in the router's namespace:

    machines.enter()                       # the test goes on in a network namespace of its own
    cloud = machines.Cloud(folder, gtap, machines.stack_of(terraform.applied(), archive, admin))
    cloud.start() ... cloud.machines["vm1_kafka"].kill() ... cloud.close()

A machine's kill() is a power cut; start() after it is a boot over the same disk. Everything ends with
the test's process, however that ends: it is the first of a process namespace of its own."""

import contextlib
import ipaddress
import json
import os
import shlex
import shutil
import subprocess
import sys

from daemon import DEADLINE, wait_for
import layer
import tools

HERE = os.path.dirname(os.path.abspath(__file__))
GATEWAY, API, METADATA = "10.0.1.1", "10.0.0.2", "169.254.169.254"
STRANGER = "198.51.100.5"
MACHINE_DEADLINE = str(2 * DEADLINE)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a machine's first process does before it is one: its own root, then init.
BEGIN = """
set -e
read -r go
mount --make-rprivate /
mount -t overlay overlay -o lowerdir={layer}:/,upperdir={upper},workdir={work},index=off {root}
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
mount -t sysfs sysfs {root}/sys
mount -t tmpfs -o mode=755 run {root}/run
mount -t tmpfs -o mode=1777 tmp {root}/tmp
mkdir {root}/run/sshd {root}/run/place
mount --bind {place} {root}/run/place
cd {root}
exec chroot . /usr/bin/python3 /usr/lib/machine/init.py {name} /run/place
"""

# Three times, as a first packet may get lost where a machine is busy.
REACH = """
import concurrent.futures, json, socket, sys
def reaches(place):
    for _ in range(3):
        try:
            socket.create_connection(tuple(place), 2).close()
            return True
        except ConnectionRefusedError:
            return False
        except OSError:
            pass
    return False
places = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
    print(json.dumps([p for p, good in zip(places, pool.map(reaches, places)) if good]))
"""


def command(*words, text=None, under=()):
    done = subprocess.run([*under, *words], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def enter():
    """Starts this program again in namespaces of its own, in which it is the router. What has to be
    downloaded is there by then."""
    if not tools.confined():
        layer.fetch()
    tools.confine("--net")
    command("ip", "link", "set", "lo", "up")


class Host:
    """A namespace with an address, joined to the router."""

    def __init__(self, name, address, network):
        self.name, self.address, self.process = name, address, None
        self.network = network
        self.device = name.split("_")[0]

    @property
    def under(self):
        return ["nsenter", "--net", f"--target={self.process.pid}"]

    def begin(self, words, **kwargs):
        """Starts the process that the namespaces belong to, and gives them their network."""
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, text=True, **kwargs)
        own = os.readlink("/proc/self/ns/net")
        wait_for(lambda: os.readlink(f"/proc/{self.process.pid}/ns/net") != own,
                 complaint="unshare does not come about")
        command("ip", "link", "add", self.device, "type", "veth", "peer", "name", "eth0", "netns",
                str(self.process.pid))
        command("ip", "link", "set", self.device, "up")
        command("ip", "route", "replace", f"{self.address}/32", "dev", self.device)
        sysctl(f"conf/{self.device}/proxy_arp", 1)
        command("ip", "address", "add", f"{self.address}/{self.network.prefixlen}", "dev", "eth0",
                under=self.under)
        for name in ("lo", "eth0"):
            command("ip", "link", "set", name, "up", under=self.under)
        gateway = GATEWAY if self.network.prefixlen < 32 else API
        command("ip", "route", "add", f"{gateway}/32", "dev", "eth0", under=self.under)
        command("ip", "route", "add", "default", "via", gateway, under=self.under)

    def start(self):
        self.begin(["unshare", "--net", "cat"])

    def kill(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process = None
        wait_for(self._has_left, complaint=f"{self.device} stays")

    def _has_left(self):
        """Its device goes with its namespace, in a while; at once where it is asked to."""
        ask = {"capture_output": True, "check": False}
        subprocess.run(["ip", "link", "del", self.device], **ask)
        return subprocess.run(["ip", "link", "show", self.device], **ask).returncode != 0

    def run(self, *words, env=None, **kwargs):
        """What a command says, run at this host."""
        return subprocess.run([*self.under, *words], capture_output=True, text=True, check=False,
                              env={**os.environ, **(env or {})}, **kwargs)

    def reaches_of(self, places):
        """Those of (address, port) that a TCP connection comes about to: with a packet filter in between
        the others say nothing, so all are tried at once."""
        done = self.run(sys.executable, "-c", REACH, json.dumps(places))
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return {tuple(place) for place in json.loads(done.stdout)}


class Machine(Host):
    def __init__(self, name, address, folder, lower, user_data, key):
        super().__init__(name, address, ipaddress.ip_network("10.0.1.0/24"))
        self.folder = os.path.join(folder, name)
        self.log = os.path.join(self.folder, "console")
        self.places = {"layer": lower, "name": name.replace("_", "-")}
        for place in ("upper", "work", "root", "place"):
            self.places[place] = os.path.join(self.folder, place)
            os.makedirs(self.places[place])
        self._lay("var/lib/cloud/user-data", user_data)
        self._lay("home/ubuntu/.ssh/authorized_keys", key, 0o600)
        self._lay("etc/hosts", f"127.0.0.1 localhost {self.places['name']}\n")
        for path in ("home/ubuntu", "home/ubuntu/.ssh", "home/ubuntu/.ssh/authorized_keys"):
            os.chown(os.path.join(self.places["upper"], path), 1000, 1000)
        os.makedirs(os.path.join(self.places["upper"], "etc/ssh"), exist_ok=True)
        command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                os.path.join(self.places["upper"], "etc/ssh/ssh_host_ed25519_key"))

    def _lay(self, path, text, mode=0o644):
        path = os.path.join(self.places["upper"], path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def start(self):
        """A boot; wait_up() waits until it is done."""
        boot = os.path.join(self.places["place"], "boot")
        if os.path.exists(boot):
            os.unlink(boot)
        shutil.rmtree(os.path.join(self.places["work"], "work"), ignore_errors=True)
        script = BEGIN.format(**{key: shlex.quote(value) for key, value in self.places.items()})
        environment = {
            "PATH": PATH,
            "AWS_ENDPOINT_URL": f"http://{API}:443", "MACHINE_DEADLINE": MACHINE_DEADLINE,
            "PYTHONPATH": layer.python_path(), "PYTHONDONTWRITEBYTECODE": "1"}
        with open(self.log, "ab") as log:
            self.begin(["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork",
                        "--kill-child=KILL", "sh", "-c", script], stdout=log, stderr=log,
                       env=environment)
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def inside(self, *words, text=None):
        """What a command says, run on the machine as root."""
        init = first_child(self.process.pid)
        return subprocess.run(
            ["nsenter", "--mount", "--net", "--uts", "--ipc", "--pid", "--root", "--wd",
             f"--target={init}", *words], input=text, capture_output=True, text=True, check=False,
            stdin=None if text is not None else subprocess.DEVNULL,
            env={"PATH": PATH, "HOME": "/root", "MACHINE_DEADLINE": MACHINE_DEADLINE,
                 "AWS_ENDPOINT_URL": f"http://{API}:443", "PYTHONPATH": layer.python_path(),
                 "PYTHONDONTWRITEBYTECODE": "1"})

    def wait_up(self):
        boot = os.path.join(self.places["place"], "boot")
        wait_for(lambda: os.path.exists(boot) or self.process.poll() is not None,
                 seconds=3 * DEADLINE, complaint=f"{self.name} does not boot:\n{self.tail()}")
        if self.process.poll() is not None or "failed" in read(boot):
            raise AssertionError(f"{self.name} did not boot:\n{self.tail(60)}")

    def tail(self, lines=30):
        journal = os.path.join(self.places["upper"], "var/log/journal.txt")
        texts = [read(path) for path in (self.log, journal) if os.path.exists(path)]
        return "\n".join("\n".join(text.splitlines()[-lines:]) for text in texts)


def first_child(pid):
    """PID 1 of the namespace that unshare made."""
    return int(read(f"/proc/{pid}/task/{pid}/children").split()[0])


def make(path):
    os.makedirs(path)
    return path


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def sysctl(name, value):
    with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
        file.write(str(value))


def stack_of(facts, archive, admin):
    """What a Cloud needs of terraform.applied(): each machine may have what its own role's policy names."""
    aws, ids = facts["aws"], facts["outputs"]["instance_ids"]
    instances = {i["InstanceId"]: i for i in aws["instances"]}
    about = {name: instances[ids[name]] for name in ids}
    machines, objects = {}, {}
    for name, instance in about.items():
        profile = instance["IamInstanceProfile"]["Arn"].rpartition("/")[2]
        role, = aws["profiles"][profile]
        allowed = [arn for arn in resources(aws["roles"][role]["inline"])]
        machines[facts["outputs"]["instance_private_ips"][name]] = {
            "role": role, "secrets": [arn for arn in allowed if ":secretsmanager:" in arn],
            "objects": [arn.rpartition(":")[2] for arn in allowed if ":s3:" in arn]}
        objects |= {key: archive for key in machines[instance["PrivateIpAddress"]]["objects"]}
    # Moto's public addresses are of 127.0.0.0/8, which no packet leaves a host with.
    public = {name: f"192.0.2.{i}" for i, name in enumerate(sorted(ids), 101)}
    return {"outputs": facts["outputs"] | {"instance_public_ips": public}, "user_data": facts["user_data"], "admin": admin,
            "rules": aws["rules"],
            "groups_of": {name: [group["GroupId"] for interface in instance["NetworkInterfaces"]
                                 for group in interface["Groups"]] for name, instance in about.items()},
            "api": {"machines": machines, "objects": objects},
            "changing": {"secrets": {s["arn"]: s["value"] for s in aws["secrets"].values()},
                         "tags": {instance["PrivateIpAddress"]: {t["Key"]: t["Value"] for t in instance["Tags"]}
                                  for instance in about.values()}}}


def resources(policies):
    """The ARNs that a role's policies name."""
    for policy in policies.values():
        for statement in policy["Statement"]:
            named = statement["Resource"]
            yield from [named] if isinstance(named, str) else named


class Cloud:
    """The network and its machines. `stack` is what stack_of() gives."""

    def __init__(self, folder, gtap, stack):
        self.folder, self.stack = folder, stack
        # On a file system of its own: an overlay takes no layer that lies in another of its layers.
        command("mount", "-t", "tmpfs", "-o", "mode=755", "layer", make(os.path.join(folder, "tmpfs")))
        self.lower = os.path.join(folder, "tmpfs", "layer")
        layer.build(self.lower, gtap)
        self.key = os.path.join(folder, "key")
        command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        self.addresses = stack["outputs"]["instance_private_ips"]
        self.machines = {name: Machine(name, address, folder, self.lower, stack["user_data"][name],
                                       read(self.key + ".pub"))
                         for name, address in self.addresses.items()}
        single = lambda address: ipaddress.ip_network(f"{address}/32")  # noqa: E731
        admin = stack["admin"]
        self.admin = Host("admin", admin, single(admin))
        self.stranger = Host("stranger", STRANGER, single(STRANGER))
        self.hosts = [self.admin, self.stranger, *self.machines.values()]
        self.api = None

    def start(self):
        sysctl("ip_forward", 1)
        for address in (GATEWAY, API, METADATA):
            command("ip", "address", "add", f"{address}/32", "dev", "lo")
        command("nft", "-f", "-", text=rules(self.stack, self.addresses))
        self.serve_api()
        for host in self.hosts:
            host.start()
        for machine in self.machines.values():
            machine.wait_up()

    def tag(self, name, value):
        """Every machine's tag, from now on."""
        for tags in self.stack["changing"]["tags"].values():
            tags[name] = value
        self.say_what_changes()

    def change_secrets(self, values):
        """{arn: value} from now on, for who asks again."""
        self.stack["changing"]["secrets"] |= values
        self.say_what_changes()

    def say_what_changes(self):
        path = os.path.join(self.folder, "changing.json")
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(self.stack["changing"], file)
        os.rename(path + ".part", path)
        return path

    def serve_api(self):
        config = {"metadata": [METADATA, 80], "api": [API, 443], "changing": self.say_what_changes(),
                  "log": os.path.join(self.folder, "api.log"), **self.stack["api"]}
        path = os.path.join(self.folder, "api.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        self.api = subprocess.Popen([sys.executable, os.path.join(HERE, "cloud.py"), path],
                                    stdout=subprocess.PIPE, text=True)
        if self.api.stdout.readline() != "ready\n":
            raise AssertionError("the cloud's API does not come up")

    @contextlib.contextmanager
    def open_to_all(self):
        """Security groups let through everything meanwhile: what is refused, the machines refuse."""
        command("nft", "insert rule ip vpc forward accept")
        try:
            yield
        finally:
            command("nft", "flush ruleset")
            command("nft", "-f", "-", text=rules(self.stack, self.addresses))

    def close(self):
        for host in self.hosts:
            host.kill()
        command("umount", "--lazy", os.path.join(self.folder, "tmpfs"))
        if self.api is not None:
            self.api.kill()
            self.api.wait()
            self.api.stdout.close()


def rules(stack, addresses):
    """nft's rules of the router: each packet of a new connection passes what its sender's groups let out
    and what its receiver's groups let in. Public addresses are the machines', one to one."""
    groups = {}
    for name, ids in stack["groups_of"].items():
        for group in ids:
            groups.setdefault(group, []).append(addresses[name])
    lines = ["table ip vpc {"]
    for name, ids in stack["groups_of"].items():
        for way, key in (("out", "daddr"), ("in", "saddr")):
            lines.append(f"chain {name}_{way} {{")
            for rule in stack["rules"]:
                if rule["GroupId"] in ids and rule["IsEgress"] == (way == "out"):
                    lines += [f"  {text} return" for text in matches(rule, key, groups)]
            lines.append("  counter drop\n}")
    lines.append("chain forward { type filter hook forward priority 0; policy drop;\n"
                 "  ct state established,related accept")
    for name in addresses:
        lines.append(f'  iifname "{device(name)}" jump {name}_out')
    for name in addresses:
        lines.append(f'  oifname "{device(name)}" jump {name}_in')
    lines.append("  accept\n}\nchain input { type filter hook input priority 0; policy accept;\n"
                 f"  ip daddr {METADATA} accept")
    for name in addresses:
        lines.append(f'  iifname "{device(name)}" ct state new jump {name}_out')
    lines.append("}\nchain public { type nat hook prerouting priority -100;")
    for name, address in stack["outputs"]["instance_public_ips"].items():
        if address:
            lines.append(f"  ip daddr {address} dnat to {addresses[name]}")
    lines.append("}\n}")
    return "\n".join(lines) + "\n"


def device(name):
    return name.split("_")[0]


def matches(rule, key, groups):
    """A rule of a security group as nft's expressions."""
    other = rule.get("ReferencedGroupInfo", {}).get("GroupId")
    peers = groups.get(other, []) if other else [rule["CidrIpv4"]]
    protocol, first, last = rule["IpProtocol"], rule["FromPort"], rule["ToPort"]
    ports = "" if protocol == "-1" else f"{protocol} dport {first}-{last}"
    return [f"ip {key} {peer} {ports}" for peer in peers]
