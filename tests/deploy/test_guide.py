"""CA0/aws-vm-setup-instructions.md, command by command, against moto, which answers as AWS does: the
network, the groups and the machines are as the page says, the groups equal the ports matrix, also from
another address, and after the teardown nothing is left.

    test_guide.py --gtap BUILD/gtap
"""

import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "integration"))

import gtap as support  # noqa: E402
from daemon import DEADLINE  # noqa: E402
from python_venv import python_with  # noqa: E402

import terraform  # noqa: E402
import test_ca0  # noqa: E402

AWSCLI = ["awscli==1.45.11"]
STEPS = ("1. Settings", "2. Network", "3. Security groups", "4. Machines")
MOVED = "When your address changes"
ELSEWHERE = "198.51.100.9/32"
NAMES = {"vm1_kafka": "kafka", "vm2_mongo": "mongo", "vm3_processor": "processor",
         "vm4_producers": "producers"}


class Guide(support.Case):
    def commands(self, title):
        page = test_ca0.read("aws-vm-setup-instructions.md")
        section = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)[1]
        return "".join(re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S))

    def test_against_moto(self):
        aws = os.path.dirname(python_with("awscli", AWSCLI))
        with terraform.moto(self.gtap.folder) as (address, _):
            self.env = {**os.environ, "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "test",
                        "AWS_SECRET_ACCESS_KEY": "test", "PATH": f"{aws}:{os.environ['PATH']}",
                        "HOME": self.gtap.folder, "AWS_EC2_METADATA_DISABLED": "true",
                        "AWS_DEFAULT_REGION": "us-east-1"}  # version 1 does not read AWS_REGION
            script = "".join(map(self.commands, STEPS)).replace("AWS_PROFILE=terraform ", "", 1)
            looked = "aws ec2 describe-security-groups >groups\naws ec2 describe-instances >machines\n"
            teardown = self.commands("Teardown").replace("make down\n", "")
            shutil.copy(os.path.join(test_ca0.CA0, "ca0.env.example"), self.gtap.folder)
            self.run_script(script + looked + "cp ca0.env made.env\n" +
                            self.commands(MOVED) + looked.replace(">", ">moved-") + "cp ca0.env moved.env\n" +
                            teardown + looked.replace(">", ">left-") +
                            "aws ec2 describe-vpcs --filters Name=cidr,Values=10.0.0.0/16 >left-vpcs\n")
        self.assert_stack("", f"{test_ca0.ADMIN}/32")
        self.assert_stack("moved-", ELSEWHERE)
        self.assertFalse(os.path.exists(self.gtap.file(".ssh/ca0.pem")))
        left = [g["GroupName"] for g in self.made("left-groups")["SecurityGroups"]]
        self.assertEqual([name for name in left if name.startswith("ca0")], [])
        self.assertEqual(self.made("left-vpcs")["Vpcs"], [])
        self.assertEqual({i["State"]["Name"] for i in self.instances("left-machines")} -
                         {"terminated"}, set())

    def run_script(self, text):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], env=self.env,
                              cwd=self.gtap.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=7 * DEADLINE, check=False)
        self.assertEqual(done.returncode, 0, f"{done.stdout[-1000:]}{done.stderr}")

    def made(self, name):
        with open(self.gtap.file(name), encoding="utf-8") as f:
            return json.load(f)

    def instances(self, name):
        return [i for r in self.made(name)["Reservations"] for i in r["Instances"]]

    def assert_stack(self, prefix, admin):
        self.assert_machines(prefix + "machines", admin)
        self.assert_groups(self.made(prefix + "groups")["SecurityGroups"], admin)
        with open(self.gtap.file((prefix.rstrip("-") or "made") + ".env"), encoding="ascii") as f:
            settings = dict(line.strip().split("=", 1) for line in f if "=" in line and line[0] != "#")
        self.assertEqual(settings["MY_IP_CIDR"], admin)
        for one in self.instances(prefix + "machines"):
            name = next(t["Value"] for t in one["Tags"] if t["Key"] == "Name")
            self.assertEqual(settings[f"{name[:3].upper()}_HOST"], one["PublicIpAddress"])

    def assert_machines(self, looked, admin):
        found = {}
        for one in self.instances(looked):
            name = next(t["Value"] for t in one["Tags"] if t["Key"] == "Name")
            found[name] = (one["PrivateIpAddress"], one["InstanceType"])
            self.assertEqual(one["MetadataOptions"]["HttpTokens"], "required")
            self.assertEqual(one["MetadataOptions"]["InstanceMetadataTags"], "enabled")
            self.assertIn({"Key": "AdminCidr", "Value": admin}, one["Tags"])
            self.assertEqual([g["GroupName"] for g in one["SecurityGroups"]], [f"ca0-{NAMES[name]}"])
        rows = re.findall(r"^\| VM\d \| `(\w+)` \| ([\d.]+) \| (t3\.\w+),", test_ca0.read("README.md"), re.M)
        self.assertEqual(found, {name: (address, kind) for name, address, kind in rows})

    def assert_groups(self, groups, admin):
        names = {g["GroupId"]: g["GroupName"].removeprefix("ca0-") for g in groups}
        inwards, pairs, outwards = set(), set(), set()
        for group in (g for g in groups if g["GroupName"].startswith("ca0-")):
            role = names[group["GroupId"]]
            for rule in group["IpPermissions"]:
                self.assertEqual(rule["IpProtocol"], "tcp")
                self.assertEqual(rule["FromPort"], rule["ToPort"])
                for source in rule["IpRanges"]:
                    self.assertEqual(source["CidrIp"], admin)
                    inwards.add(("admin", role, rule["FromPort"]))
                for pair in rule["UserIdGroupPairs"]:
                    inwards.add((names[pair["GroupId"]], role, rule["FromPort"]))
            for rule in group["IpPermissionsEgress"]:
                self.assertNotEqual(rule["IpProtocol"], "-1", role)
                for pair in rule["UserIdGroupPairs"]:
                    pairs.add((role, names[pair["GroupId"]], rule["FromPort"]))
                for _ in rule["IpRanges"]:
                    outwards.add(f"{rule['FromPort']}/{rule['IpProtocol']}")
        self.assertEqual(inwards, test_ca0.matrix())
        self.assertEqual(pairs, {row for row in test_ca0.matrix() if row[0] != "admin"})
        self.assertEqual(outwards, {"53/tcp", "53/udp", "80/tcp", "443/tcp"})


if __name__ == "__main__":
    support.main(__name__)
