"""CA1's Terraform: one stack's life against moto (terraform.applied), and what its variables refuse."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import terraform
import tools
from terraform import ADMIN, MACHINES, ROOT, Terraform, applied, copied, terraform_environment

sys.path.append(os.path.join(ROOT, "tests", "integration"))
import gtap  # noqa: E402

ADDRESSES = {"vm1_kafka": "10.0.1.101", "vm2_mongo": "10.0.1.102", "vm3_processor": "10.0.1.103",
             "vm4_producers": "10.0.1.104"}
OUTPUTS = {"instance_private_ips", "instance_public_ips", "instance_ids", "vpc_id", "subnet_id",
           "security_groups", "artifacts_bucket", "db_name", "account_id", "arn", "region"}
SECRETS = {"vm1_kafka": {"kafka-processor", "kafka-producers"},
           "vm2_mongo": {"mongo-root", "mongo-gtap"},
           "vm3_processor": {"kafka-processor", "mongo-gtap"},
           "vm4_producers": {"kafka-producers"}}
FILES = {"kafka_processor_password": "kafka-processor", "kafka_producers_password": "kafka-producers",
         "mongodb_root_password": "mongo-root", "mongodb_gtap_password": "mongo-gtap",
         "mongodb_uri": "mongo-gtap"}
OUTWARD = {("udp", 53, "10.0.0.0/16"), ("tcp", 53, "10.0.0.0/16"), ("tcp", 80, "0.0.0.0/0"),
           ("tcp", 443, "0.0.0.0/0")}
MATRICES = [os.path.join(ROOT, stage, "docs", "architecture.md") for stage in ("CA0", "CA1")]


def matrix(path):
    """The ports matrix of a page, as (from, to, port) of machines, and the administrators' network."""
    names = {**tools.ROLES, "admin": ADMIN}
    return {(names[sender], names[to], port) for sender, to, port in tools.ports_matrix(path)}


class Stack(gtap.Case):
    """What stood after `terraform apply`, and what was left after `destroy`."""

    @classmethod
    def setUpClass(cls):
        cls.facts = applied()
        cls.aws, cls.outputs = cls.facts["aws"], cls.facts["outputs"]
        cls.instances = {machine: next(i for i in cls.aws["instances"] if i["InstanceId"] == one)
                         for machine, one in cls.outputs["instance_ids"].items()}

    def rules(self, egress):
        """The rules that moto holds, as (from, to, protocol, port), of machines or networks."""
        names = {group: machine for machine, group in self.outputs["security_groups"].items()}
        found = set()
        for rule in self.aws["rules"]:
            if rule["GroupId"] not in names or rule["IsEgress"] != egress:
                continue
            self.assertEqual(rule["FromPort"], rule["ToPort"])
            other = names.get(rule.get("ReferencedGroupInfo", {}).get("GroupId"), rule.get("CidrIpv4"))
            self.assertIsNotNone(other, rule)
            pair = (names[rule["GroupId"]], other) if egress else (other, names[rule["GroupId"]])
            found.add((*pair, rule["IpProtocol"], rule["FromPort"]))
        return found

    def test_a_second_plan_changes_nothing(self):
        self.assertIn("No changes.", self.facts["second_plan"])

    def test_another_address_replaces_no_machine(self):
        """The groups follow, and the tags that the machines read; what they were told at first has none."""
        actions = self.changes("other_address")
        self.assertEqual({tuple(what) for what in actions.values()}, {("no-op",), ("update",)})
        self.assertEqual(self.instances_in(actions), dict.fromkeys(MACHINES, ["update"]))
        for machine in MACHINES:
            _, after = self.facts["other_address"][f'module.instances.aws_instance.machine["{machine}"]']
            self.assertEqual(after["tags"]["AdminCidr"], terraform.ELSEWHERE)
        self.assertEqual(sum(after.get("cidr_ipv4") == terraform.ELSEWHERE
                             for _, after in self.facts["other_address"].values()), 5)
        for text in self.facts["user_data"].values():
            self.assertNotIn("MY_IP_CIDR", terraform.written(text)["/etc/gtap/machine.env"][1])

    def test_another_image_replaces_those_that_keep_nothing(self):
        actions = self.changes("other_image")
        again = ["delete", "create"]
        self.assertEqual(self.instances_in(actions), {
            "vm1_kafka": ["no-op"], "vm2_mongo": ["no-op"], "vm3_processor": again, "vm4_producers": again})
        kinds = {address.split(".")[2].split("[")[0] for address, what in actions.items() if "delete" in what}
        self.assertEqual(kinds, {"aws_instance", "aws_s3_object"})
        digest = hashlib.sha256(terraform.OTHER_ARCHIVE).hexdigest()
        for machine in ("vm3_processor", "vm4_producers"):
            _, after = self.facts["other_image"][f'module.instances.aws_instance.machine["{machine}"]']
            self.assertIn(digest, terraform.unpacked(after["user_data_base64"]))

    def test_the_guide_counts_what_is_made(self):
        made = [change for change in self.facts["plan"]["resource_changes"]
                if change["change"]["actions"] == ["create"] and change["mode"] == "managed"]
        with open(os.path.join(ROOT, "CA1", "CA1-step-by-step-guide.md"), encoding="utf-8") as file:
            said = re.findall(r"Plan: (\d+) to add|Resources: (\d+) (?:added|destroyed)", file.read())
        self.assertEqual([int(a or b) for a, b in said], [len(made)] * 3)

    def changes(self, name):
        return {address: actions for address, (actions, _) in self.facts[name].items()}

    @staticmethod
    def instances_in(actions):
        return {machine: actions[f'module.instances.aws_instance.machine["{machine}"]']
                for machine in MACHINES}

    def test_outputs_are_named_as_the_mission_says(self):
        self.assertEqual(set(self.outputs), OUTPUTS)
        self.assertEqual(self.outputs["instance_private_ips"], ADDRESSES)
        public = self.outputs["instance_public_ips"]
        self.assertEqual(set(public), set(MACHINES))
        self.assertEqual(len({ip for ip in public.values() if re.fullmatch(r"(\d+\.){3}\d+", ip)}), 4)
        self.assertEqual(self.outputs["account_id"], "123456789012")
        self.assertRegex(self.outputs["arn"], r"^arn:aws:")
        self.assertEqual((self.outputs["region"], self.outputs["db_name"]), ("us-east-1", "ca0"))
        self.assertFalse(any(about["sensitive"] for about in self.facts["terraform_output"].values()))

    def test_machines_are_where_the_outputs_say(self):
        for machine, instance in self.instances.items():
            self.assertEqual(instance["PrivateIpAddress"], ADDRESSES[machine])
            self.assertEqual(instance["SubnetId"], self.outputs["subnet_id"])
            self.assertEqual(instance["VpcId"], self.outputs["vpc_id"])
            self.assertEqual(instance["KeyName"], terraform.KEY_PAIR)
            groups = [g["GroupId"] for i in instance["NetworkInterfaces"] for g in i["Groups"]]
            self.assertEqual(groups, [self.outputs["security_groups"][machine]])

    def test_what_is_let_in_is_the_ports_matrix(self):
        found = {(one, to, port) for one, to, protocol, port in self.rules(egress=False)
                 if protocol == "tcp"}
        self.assertEqual(len(found), len(self.rules(egress=False)), "something but TCP is let in")
        self.assertEqual(len(found), 8)
        for path in MATRICES:
            with self.subTest(os.path.relpath(path, ROOT)):
                self.assertEqual(found, matrix(path))

    def test_what_is_let_out_is_packages_aws_and_the_pairs(self):
        inward = {edge for edge in self.rules(egress=False) if edge[0] in MACHINES}
        outward = {(machine, cidr, protocol, port) for machine in MACHINES
                   for protocol, port, cidr in OUTWARD}
        self.assertEqual(self.rules(egress=True), inward | outward)

    def test_the_group_that_a_vpc_comes_with_is_closed(self):
        default, = (group for group in self.aws["groups"] if group["GroupName"] == "default"
                    and group["VpcId"] == self.outputs["vpc_id"])
        self.assertEqual((default["IpPermissions"], default["IpPermissionsEgress"]), ([], []))

    def test_a_machine_may_read_its_secrets_and_its_image_and_nothing_else(self):
        bucket = self.outputs["artifacts_bucket"]
        key, = self.aws["buckets"][bucket]["objects"]
        for machine, instance in self.instances.items():
            profile = instance["IamInstanceProfile"]["Arn"].rpartition("/")[2]
            role, = self.aws["profiles"][profile]
            policy, = self.aws["roles"][role]["inline"].values()
            wanted = {("secretsmanager:GetSecretValue", self.aws["secrets"][f"ca1/{name}"]["arn"])
                      for name in SECRETS[machine]}
            if machine in ("vm3_processor", "vm4_producers"):
                wanted.add(("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"))
            self.assertEqual(granted(policy), wanted, machine)
            self.assertEqual(self.aws["roles"][role]["attached"],
                             ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"])

    def test_the_metadata_service_wants_a_token_and_disks_are_encrypted(self):
        planned = {change["index"]: change["change"]["after"]
                   for change in self.facts["plan"]["resource_changes"]
                   if change["type"] == "aws_instance"}
        self.assertEqual(set(planned), set(MACHINES))
        for machine, instance in self.instances.items():
            metadata = instance["MetadataOptions"]
            self.assertEqual((metadata["HttpTokens"], metadata["HttpPutResponseHopLimit"],
                              metadata["InstanceMetadataTags"]), ("required", 1, "enabled"))
            self.assertIn({"Key": "AdminCidr", "Value": ADMIN}, instance["Tags"])
            disk, = planned[machine]["root_block_device"]
            self.assertEqual((disk["encrypted"], disk["volume_type"]), (True, "gp3"), machine)
        self.assertEqual([disk["Encrypted"] for disk in self.aws["volumes"]], [True] * 4)

    def test_no_secret_is_in_the_state_the_plan_or_the_user_data(self):
        secrets = [about["value"] for about in self.aws["secrets"].values()]
        self.assertEqual(len(set(secrets)), 4)
        places = {"state": self.facts["state"], "plan": json.dumps(self.facts["plan"]),
                  **self.facts["user_data"]}
        for secret in secrets:
            self.assertRegex(secret, r"^[A-Za-z0-9]{32}$")
            for name, text in places.items():
                self.assertNotIn(secret, text, name)
        self.assertIn("secret_string_wo_version", self.facts["state"])  # the state was looked at

    def test_gtap_secrets_makes_the_files_that_containers_read(self):
        for machine, left in self.facts["scripts"].items():
            files = left["secret_files"]
            compose = terraform.written(self.facts["user_data"][machine])["/opt/gtap/compose.yaml"][1]
            self.assertEqual(set(files), set(re.findall(r"/run/gtap/secrets}/(\w+)$", compose, re.M)))
            for name, about in files.items():
                self.assertEqual((about["mode"], about["uid"], about["gid"]), ("0o440", 0, 10001))
                self.assertEqual(about["content"], self.content(name) + "\n")

    def content(self, name):
        secret = self.aws["secrets"][f"ca1/{FILES[name]}"]["value"]
        if name == "mongodb_uri":
            return f"mongodb://gtap:{secret}@10.0.1.102:27017/ca0?authSource=ca0"
        return secret

    def test_gtap_image_loads_what_has_the_digest_and_nothing_else(self):
        for machine, left in self.facts["scripts"].items():
            if machine not in ("vm3_processor", "vm4_producers"):
                self.assertIsNone(left["docker"])
                continue
            docker = left["docker"]
            self.assertEqual(docker["loaded"],
                             hashlib.sha256(terraform.ARCHIVE).hexdigest())
            self.assertEqual((docker["loads"], docker["again"]),
                             (1, "gtap-image: gtap:0.1.0 is there"))
            self.assertIn("not loaded", docker["refused"])

    def test_the_bucket_is_private_encrypted_and_for_tls_alone(self):
        bucket, = self.aws["buckets"].values()
        self.assertEqual(set(bucket["public"].values()), {True})
        self.assertEqual(bucket["versioning"], "Enabled")
        rule, = bucket["encryption"]["Rules"]
        self.assertEqual(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256")
        statement, = bucket["policy"]["Statement"]
        self.assertEqual((statement["Effect"], statement["Action"], statement["Condition"]),
                         ("Deny", "s3:*", {"Bool": {"aws:SecureTransport": "false"}}))

    def test_user_data_fits(self):
        for machine in MACHINES:
            packed = base64.b64decode(
                self.aws["user_data"][self.outputs["instance_ids"][machine]])
            self.assertLess(len(packed), 16384, machine)

    def test_destroy_leaves_nothing(self):
        self.assertEqual({kind: left for kind, left in self.facts["left"].items() if left}, {})
        self.assertEqual(self.facts["left_in_state"], [])


def granted(policy):
    """What a policy allows, as (action, resource); a denial or a condition is no such thing."""
    pairs = set()
    for statement in policy["Statement"]:
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource"}, statement
        assert statement["Effect"] == "Allow", statement
        actions, resources = ([value] if isinstance(value, str) else value
                              for value in (statement["Action"], statement["Resource"]))
        pairs |= {(action, resource) for action in actions for resource in resources}
    return pairs


# Each is refused, by name; the rest of the values is good.
REFUSED = [
    ("my_ip_cidr", "0.0.0.0/0"), ("my_ip_cidr", "0.0.0.0/1"), ("my_ip_cidr", "203.0.0.0/16"),
    ("my_ip_cidr", "203.0.113.7"), ("my_ip_cidr", "::/0"), ("my_ip_cidr", "203.0.113.7/24"),
    ("my_ip_cidr", "203.0.113.700/32"), ("my_ip_cidr", ""),
    ("subnet_cidr", "10.1.1.0/24"), ("subnet_cidr", "10.0.1.0/26"), ("subnet_cidr", "10.0.1.1/24"),
    ("vpc_cidr", "10.0.0.0/8"), ("vpc_cidr", "10.0.0.1/16"),
    ("project_name", "CA1"), ("project_name", "1ca"), ("project_name", "c" * 21),
    ("aws_region", "Virginia"), ("ssh_key_name", " "), ("ami_id", "ubuntu"), ("ami_id", "ami-12"),
    ("gtap_image_archive", "no-such-file.tar"), ("gtap_image", "gtap"), ("gtap_image", "gtap:latest"),
    ("db_name", "ca0; drop"), ("db_name", "admin"), ("price_per_hour_usd", "cheap"),
    ("price_per_hour_usd", "-1"), ("gpu_metrics_source", "guess"), ("producer_rate", "fast"),
    ("secrets_version", "0"), ("flow_log_days", "2"), ("instance_types", '{vm1_kafka="small"}'),
    ("disk_gb", "{vm2_mongo=4}"), ("secret_arns", '{mongo_root="arn:aws:secretsmanager:*"}'),
]
ACCEPTED = [
    ("my_ip_cidr", "198.51.100.0/24"), ("subnet_cidr", "10.0.128.0/25"), ("project_name", "c4"),
    ("ami_id", "ami-0fedcba9876543210"), ("producer_rate", ""), ("gpu_metrics_source", "nvml"),
    ("price_per_hour_usd", "3.123456789"), ("disk_gb", "{vm1_kafka=500}"), ("db_name", "costs"),
]


class Variables(gtap.Case):
    def setUp(self):
        super().setUp()
        self.env = terraform_environment(self.gtap.folder)

    def plan(self, *given):
        """Of variables.tf alone, which needs no provider."""
        folder = os.path.join(self.gtap.folder, "variables")
        os.makedirs(folder, exist_ok=True)
        shutil.copy(os.path.join(ROOT, "CA1", "terraform", "variables.tf"), folder)
        values = {"my_ip_cidr": ADMIN, "gtap_image": "registry.example/gtap:0.1.0", **dict(given)}
        words = [word for name, value in values.items() for word in ("-var", f"{name}={value}")]
        return Terraform(folder, self.env).run("plan", "-input=false", "-no-color", *words,
                                               expect=None)

    def test_values_that_are_refused(self):
        for name, value in REFUSED:
            with self.subTest(f"{name}={value}"):
                done = self.plan((name, value))
                self.assertNotEqual(done.returncode, 0, done.stdout)
                self.assertIn("Invalid value for variable", done.stderr)
                self.assertRegex(done.stderr, rf'variable "({name}|gtap_image)"')

    def test_values_that_are_taken(self):
        for name, value in ACCEPTED:
            with self.subTest(f"{name}={value}"):
                done = self.plan((name, value))
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_subnets_of_a_private_stack_do_not_overlap(self):
        apart = [("public_subnet", "false"), ("edge_subnet_cidr", "10.0.0.0/28")]
        self.assertEqual(self.plan(*apart).returncode, 0)
        within = [("public_subnet", "false"), ("edge_subnet_cidr", "10.0.1.0/28")]
        self.assertIn("overlap", self.plan(*within).stderr)

    def test_an_image_comes_from_somewhere(self):
        said = self.plan(("gtap_image", "gtap:0.1.0")).stderr
        self.assertIn("must name a registry", said.replace("\n", " "))

    def test_the_example_is_taken(self):
        """terraform.tfvars.example, every line of it; the archive is one that is there."""
        with open(os.path.join(ROOT, "CA1", "terraform", "terraform.tfvars.example"),
                  encoding="utf-8") as file:
            text = file.read()
        optional = re.sub(r"(?m)^# (\w+ +=)", r"\1", text)
        self.assertGreater(optional.count(" = "), text.count("\n# ") // 2)
        folder = os.path.join(self.gtap.folder, "example")
        os.makedirs(folder)
        shutil.copy(os.path.join(ROOT, "CA1", "terraform", "variables.tf"), folder)
        for content in (text, optional):
            with open(os.path.join(folder, "terraform.tfvars"), "w", encoding="utf-8") as file:
                file.write(content.replace("../../build/gtap-image.tar", "variables.tf"))
            Terraform(folder, self.env).run("plan", "-input=false", "-no-color", "-var",
                                            f"my_ip_cidr={ADMIN}")

    def test_formatted(self):
        for folder in ("CA1/terraform", "deploy/terraform"):
            done = Terraform(os.path.join(ROOT, folder), self.env).run(
                "fmt", "-check", "-recursive", "-diff", expect=None)
            self.assertEqual((done.returncode, done.stdout), (0, ""))


class Configuration(gtap.Case):
    def test_terraform_test_and_validate(self):
        """`terraform test`: what the variables change in a plan, private subnet and all."""
        env = terraform_environment(self.gtap.folder)
        there = Terraform(copied(self.gtap.folder), env)
        there.init()
        there.run("validate", "-no-color")
        done = there.run("test", "-no-color")
        self.assertRegex(done.stdout, r"Success! 3 passed, 0 failed")


class Make(gtap.Case):
    """CA1/terraform's Makefile and stack.sh, with a terraform and a curl that write down what they
    were asked."""

    def setUp(self):
        super().setUp()
        self.folder = copied(self.gtap.folder)
        self.log = self.gtap.file("log")
        self.tools = self.gtap.file("tools")
        os.makedirs(self.tools)
        self.tool("terraform", 'printf "%s\\n" "terraform $*" >>"$LOG"\n'
                  'for word; do [[ $word == -out=* ]] && echo "secret plan" >"${word#-out=}"; done\n'
                  'if [[ $1 == show ]]; then printf "%s\\n" "a = \\"203.0.113.7/32\\"" '
                  '"b = \\"10.0.1.0/24\\"" "c = \\"arn:aws:iam::123456789012:x\\"" '
                  '"    + user_data_base64 = \\"abc\\""; fi')
        self.tool("curl", 'printf "%s\\n" "curl" >>"$LOG"; echo "${SEEN_AT-198.51.100.9}"')

    def tool(self, name, text):
        with open(os.path.join(self.tools, name), "w", encoding="ascii") as file:
            file.write(f"#!/bin/bash\n{text}\n")
        os.chmod(os.path.join(self.tools, name), 0o755)

    def make(self, target, tfvars="", expect=0, **env):
        open(self.log, "w", encoding="ascii").close()
        with open(os.path.join(self.folder, "terraform.tfvars"), "w", encoding="ascii") as file:
            file.write(tfvars)
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(("AWS_", "TF_", "MAKE"))}
        temporary = self.gtap.file("tmp")
        os.makedirs(temporary, exist_ok=True)
        done = subprocess.run(["make", "-C", self.folder, target], capture_output=True, text=True,
                              check=False, timeout=gtap.DEADLINE,
                              env={**clean, "PATH": f"{self.tools}:{clean['PATH']}",
                                   "LOG": self.log, "TMPDIR": temporary, **env})
        self.assertEqual(done.returncode == 0, expect == 0, done.stdout + done.stderr)
        self.assertEqual(os.listdir(temporary), [], "a plan was left behind")
        with open(self.log, encoding="ascii") as file:
            return file.read().splitlines(), done

    def test_deploy_finds_out_where_you_are(self):
        asked, _ = self.make("deploy")
        self.assertEqual(asked[0], "terraform init -input=false")
        self.assertIn("curl", asked)
        planned = next(line for line in asked if line.startswith("terraform plan"))
        self.assertIn("-var my_ip_cidr=198.51.100.9/32", planned)
        self.assertTrue(asked[-1].startswith("terraform apply -input=false "))

    def test_what_is_given_is_not_asked_for(self):
        for given in ({"tfvars": 'my_ip_cidr = "203.0.113.7/32"\n'},
                      {"MY_IP_CIDR": "203.0.113.7/32"}, {"TF_VAR_my_ip_cidr": "203.0.113.7/32"}):
            with self.subTest(given):
                self.assertNotIn("curl", self.make("plan", **given)[0])

    def test_the_environment_goes_before_the_file(self):
        asked, _ = self.make("plan", tfvars='aws_profile = "other"\n', AWS_PROFILE="mine",
                             AWS_REGION="eu-west-1", SSH_KEY_NAME="key", MY_IP_CIDR="203.0.113.7/32")
        planned = asked[1]
        for words in ("aws_profile=mine", "aws_region=eu-west-1", "ssh_key_name=key",
                      "my_ip_cidr=203.0.113.7/32"):
            self.assertIn(f"-var {words}", planned)

    def test_an_archive_that_was_made_is_taken(self):
        made = self.gtap.file("build/gtap-image.tar")
        os.makedirs(os.path.dirname(made))
        open(made, "w", encoding="ascii").close()
        mine = {"MY_IP_CIDR": "203.0.113.7/32"}
        self.assertIn(f"-var gtap_image_archive={made}", self.make("plan", **mine)[0][1])
        for other in ('gtap_image = "registry.example/gtap:1"\n', 'gtap_image_archive = "x"\n'):
            self.assertNotIn("gtap_image", self.make("plan", tfvars=other, **mine)[0][1])
        self.assertIn("-var gtap_image_archive=/other.tar", self.make(
            "plan", GTAP_IMAGE_ARCHIVE="/other.tar", **mine)[0][1])

    def test_an_answer_that_is_no_address_is_refused(self):
        asked, done = self.make("deploy", SEEN_AT="<html>", expect=2)
        self.assertIn("MY_IP_CIDR=ADDRESS/32", done.stderr)
        self.assertFalse([line for line in asked if "apply" in line])

    def test_what_is_kept_of_a_plan_is_redacted(self):
        self.make("plan", MY_IP_CIDR="203.0.113.7/32")
        with open(os.path.join(self.folder, "plan.redacted.txt"), encoding="ascii") as file:
            text = file.read()
        self.assertEqual(text, 'a = "(network)"\nb = "10.0.1.0/24"\nc = "arn:aws:iam::(account):x"\n'
                         "    + user_data_base64 = (redacted)\n")

    def test_down_asks_unless_told_not_to(self):
        self.assertNotIn("-auto-approve", self.make("down", MY_IP_CIDR="203.0.113.7/32")[0][-1])
        self.assertIn("-auto-approve", self.make("down", MY_IP_CIDR="203.0.113.7/32", YES="1")[0][-1])


if __name__ == "__main__":
    gtap.main("__main__")
