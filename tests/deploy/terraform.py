"""CA1's Terraform, run for the tests: against moto, which answers as AWS does, on loopback.

`applied()` is the whole life of one stack (apply, a second plan, destroy) as facts, plain data. Its
two minutes are spent once: the facts are kept under .cache, by a digest of all that went into them,
and whoever asks while they are being made waits for them."""

import base64
import contextlib
import glob
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path += [os.path.join(ROOT, "tests", "integration"), os.path.join(ROOT, "tests", "support")]
from daemon import DEADLINE, HOST, Daemon, Lock, free_ports, listens, wait_for  # noqa: E402
from python_venv import python_with  # noqa: E402

MACHINES = ("vm1_kafka", "vm2_mongo", "vm3_processor", "vm4_producers")
MOTO = ["moto[server]==5.2.1"]
REGION = "us-east-1"
ADMIN = "203.0.113.7/32"  # an address that documentation is written with
ELSEWHERE = "198.51.100.9/32"
KEY_PAIR = "operators"
ARCHIVE = b"not an image: docker is a stand-in here\n" * 100
OTHER_ARCHIVE = b"a later one\n"
CACHE = os.path.join(ROOT, ".cache", "deploy")

# Where a plugin mirror may be, beside TF_PLUGIN_MIRROR.
MIRRORS = ("~/.terraform.d/plugins", "/usr/local/share/terraform/plugins",
           "/usr/share/terraform/plugins", "/opt/*")

# Of one machine image, as much as the search for Ubuntu's looks at. No creation_date: moto fails
# over it.
AMIS = [{"ami_id": "ami-0123456789abcdef0", "state": "available", "public": True,
         "owner_id": "099720109477", "image_type": "machine", "architecture": "x86_64",
         "name": "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260801",
         "description": "Ubuntu 24.04", "platform": None, "root_device_name": "/dev/sda1",
         "root_device_type": "ebs", "sriov": "simple", "virtualization_type": "hvm",
         "hypervisor": "xen", "image_location": "amazon/ubuntu"}]

# Two things that moto does otherwise than AWS. It takes a Deny whose condition is not met for a Deny,
# so that a bucket that refuses what comes without TLS would refuse everything (the policy itself is
# read back and compared). And a terminated machine keeps the interfaces that outlive it.
SERVER = """
import copy, sys
from moto.ec2.models.instances import Instance
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.server import main

terminated = Instance.terminate

def terminate(instance):
    state = terminated(instance)
    for index, interface in list(instance.nics.items()):
        if not interface.delete_on_termination:
            shown = copy.copy(interface)
            instance.detach_eni(interface)
            instance.nics[index] = shown
    return state

Instance.terminate = terminate
FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL
main(sys.argv[1:])
"""

# What no test is about: where AWS is.
OVERRIDE = """provider "aws" {
  profile                     = null
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
"""

VARIABLES = f"""project_name       = "ca1"
aws_region         = "{REGION}"
ssh_key_name       = "{KEY_PAIR}"
my_ip_cidr         = "{ADMIN}"
public_subnet      = true
gtap_image_archive = "gtap-image.tar"
"""


def mirror():
    """The folder of a plugin mirror that has the AWS provider; a skip where there is none."""
    for pattern in (os.environ.get("TF_PLUGIN_MIRROR", ""), *MIRRORS):
        for folder in glob.glob(os.path.expanduser(pattern)) if pattern else []:
            if glob.glob(os.path.join(folder, "*", "hashicorp", "aws", "5.100.0", "*")):
                return folder
    raise unittest.SkipTest("no AWS provider: TF_PLUGIN_MIRROR names a folder with 5.100.0 in it")


def terraform_environment(folder):
    """Variables with which terraform takes the provider from the mirror, and asks nobody else."""
    if shutil.which("terraform") is None:
        raise unittest.SkipTest("no terraform")
    rc = os.path.join(folder, "terraform.rc")
    given = os.environ.get("TF_CLI_CONFIG_FILE", "")
    if os.path.exists(given):
        rc = given
    else:
        with open(rc, "w", encoding="ascii") as file:
            file.write('provider_installation {\n  filesystem_mirror {\n'
                       f'    path = "{mirror()}"\n  }}\n}}\n')
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("AWS_", "TF_"))}
    return {**env, "TF_CLI_CONFIG_FILE": rc, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true"}


def copied(folder):
    """CA1 and what it is composed of, in a folder where files may be added: its terraform folder."""
    for name in ("CA1", "deploy"):
        shutil.copytree(os.path.join(ROOT, name), os.path.join(folder, name), symlinks=True,
                        ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars"))
    return os.path.join(folder, "CA1", "terraform")


class Terraform:
    """The program, in one folder."""

    def __init__(self, folder, env):
        self.folder, self.env = folder, env

    def run(self, *args, expect=(0,), seconds=420):
        done = subprocess.run(["terraform", *args], cwd=self.folder, env=self.env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds,
                              check=False)
        if expect is not None and done.returncode not in expect:
            raise AssertionError(f"terraform {' '.join(args)} ended with {done.returncode}:\n"
                                 f"{done.stdout[-6000:]}{done.stderr[-6000:]}")
        return done

    def init(self):
        self.run("init", "-input=false", "-no-color")


@contextlib.contextmanager
def moto(folder):
    """A server that answers as AWS does: its address, and a Python with its client."""
    python = python_with("moto", MOTO)
    amis = os.path.join(folder, "amis.json")
    with open(amis, "w", encoding="ascii") as file:
        json.dump(AMIS, file)
    port, = free_ports(1)
    server = Daemon(os.path.join(folder, "moto"))
    server.start(["env", f"MOTO_AMIS_PATH={amis}", "MOTO_IAM_LOAD_MANAGED_POLICIES=true",
                  python, "-c", SERVER, "-H", HOST, "-p", str(port)])
    try:
        wait_for(lambda: listens(port), complaint=f"moto does not listen: {server.tail()}")
        yield f"http://{HOST}:{port}", python
    finally:
        server.stop()


def ask(python, env, script, *args):
    """What a few lines with boto3 print as JSON; they run where moto's packages are."""
    done = subprocess.run([python, "-c", script, *args], env=env, capture_output=True, text=True,
                          timeout=DEADLINE, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


INVENTORY = """
import boto3, json, sys
ec2, iam, secrets, s3 = (boto3.client(name) for name in ("ec2", "iam", "secretsmanager", "s3"))
machines = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]
            if i["State"]["Name"] != "terminated"]
profiles = iam.list_instance_profiles()["InstanceProfiles"]
def role(name):
    inline = {p: iam.get_role_policy(RoleName=name, PolicyName=p)["PolicyDocument"]
              for p in iam.list_role_policies(RoleName=name)["PolicyNames"]}
    attached = [p["PolicyArn"] for p in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]]
    return {"inline": inline, "attached": attached}
def bucket(name):
    return {"public": s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"],
            "encryption": s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"],
            "versioning": s3.get_bucket_versioning(Bucket=name).get("Status"),
            "policy": json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]),
            "objects": [o["Key"] for o in s3.list_objects_v2(Bucket=name).get("Contents", [])]}
said = {
    "instances": machines,
    "user_data": {i["InstanceId"]: ec2.describe_instance_attribute(
        InstanceId=i["InstanceId"], Attribute="userData")["UserData"]["Value"] for i in machines},
    "volumes": ec2.describe_volumes()["Volumes"],
    "groups": ec2.describe_security_groups()["SecurityGroups"],
    "rules": ec2.describe_security_group_rules()["SecurityGroupRules"],
    "profiles": {p["InstanceProfileName"]: [r["RoleName"] for r in p["Roles"]] for p in profiles},
    "roles": {r["RoleName"]: role(r["RoleName"]) for p in profiles for r in p["Roles"]},
    "secrets": {s["Name"]: {"arn": s["ARN"], "value": secrets.get_secret_value(SecretId=s["ARN"])["SecretString"]}
                for s in secrets.list_secrets()["SecretList"]},
    "buckets": {b["Name"]: bucket(b["Name"]) for b in s3.list_buckets()["Buckets"]},
}
json.dump(said, sys.stdout, default=str)
"""

# All that a stack can leave behind. Moto has VPCs of its own, and what comes with them.
LEFT = """
import boto3, json, sys
ec2, iam, secrets, s3 = (boto3.client(name) for name in ("ec2", "iam", "secretsmanager", "s3"))
ours = {"Filters": [{"Name": "tag:Project", "Values": ["ca1"]}]}
left = {
    "instances": [i["InstanceId"] for r in ec2.describe_instances()["Reservations"]
                  for i in r["Instances"] if i["State"]["Name"] != "terminated"],
    "interfaces": [i["NetworkInterfaceId"] for i in ec2.describe_network_interfaces()["NetworkInterfaces"]],
    "addresses": [a["AllocationId"] for a in ec2.describe_addresses()["Addresses"]],
    "volumes": [v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]],
    "vpcs": [v["VpcId"] for v in ec2.describe_vpcs(**ours)["Vpcs"]],
    "subnets": [v["SubnetId"] for v in ec2.describe_subnets(**ours)["Subnets"]],
    "groups": [g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]
               if g["GroupName"] != "default"],
    "gateways": [g["InternetGatewayId"] for g in ec2.describe_internet_gateways()["InternetGateways"]],
    "endpoints": [e["VpcEndpointId"] for e in ec2.describe_vpc_endpoints()["VpcEndpoints"]
                  if e["State"] != "deleted"],
    "roles": [r["RoleName"] for r in iam.list_roles()["Roles"]],
    "profiles": [p["InstanceProfileName"] for p in iam.list_instance_profiles()["InstanceProfiles"]],
    "secrets": [s["Name"] for s in secrets.list_secrets()["SecretList"]],
    "buckets": [b["Name"] for b in s3.list_buckets()["Buckets"]],
}
json.dump(left, sys.stdout)
"""


def unpacked(user_data):
    return gzip.decompress(base64.b64decode(user_data)).decode()


def written(user_data):
    """The files that a machine's cloud-init lays out: path -> (mode, content)."""
    import yaml  # Debian's; cloud-init brings it
    return {file["path"]: (file["permissions"], file["content"])
            for file in yaml.safe_load(user_data)["write_files"]}


def scripts_run(machine, user_data, python, env, folder):
    """The machine's own gtap-secrets and gtap-image, run as its boot does: what they left."""
    files = written(user_data)
    here = os.path.join(folder, machine)
    os.makedirs(here)
    for path, (_, content) in files.items():
        with open(os.path.join(here, os.path.basename(path)), "w", encoding="utf-8") as file:
            file.write(content)
    secrets = os.path.join(here, "secrets")
    run_script(python, env, here, "gtap-secrets", "--config", "secrets.json", "--dir", secrets)
    left = {"secret_files": {}, "docker": None}
    for name in sorted(os.listdir(secrets)):
        about = os.stat(os.path.join(secrets, name))
        with open(os.path.join(secrets, name), encoding="utf-8") as file:
            left["secret_files"][name] = {"mode": oct(about.st_mode & 0o7777), "uid": about.st_uid,
                                          "gid": about.st_gid, "content": file.read()}
    if "/etc/gtap/image.json" in files:
        left["docker"] = image_brought(python, env, here)
    return left


STAND_IN_DOCKER = """#!/bin/bash
# Says what it was asked, and knows an image once it was loaded.
printf '%s\\n' "$*" >>"$DOCKER_LOG"
case $1 in
    image) [[ -e $DOCKER_LOG.loaded ]] ;;
    load) cp "${@: -1}" "$DOCKER_LOG.loaded" ;;
    *) exit 1 ;;
esac
"""


def image_brought(python, env, here):
    """gtap-image twice, then with another digest: what docker was asked, what was said."""
    tools = os.path.join(here, "tools")
    os.makedirs(tools)
    docker = os.path.join(tools, "docker")
    with open(docker, "w", encoding="ascii") as file:
        file.write(STAND_IN_DOCKER)
    os.chmod(docker, 0o755)
    log = os.path.join(here, "docker.log")
    env = {**env, "PATH": f"{tools}:{env['PATH']}", "DOCKER_LOG": log}
    state = os.path.join(here, "state")
    run_script(python, env, here, "gtap-image", "--config", "image.json", "--state", state)
    with open(f"{log}.loaded", "rb") as file:
        loaded = file.read()
    again = run_script(python, env, here, "gtap-image", "--config", "image.json", "--state", state)
    with open(os.path.join(here, "image.json"), encoding="utf-8") as file:
        forged = {**json.load(file), "sha256": "0" * 64}
    with open(os.path.join(here, "forged.json"), "w", encoding="utf-8") as file:
        json.dump(forged, file)
    refused = run_script(python, env, here, "gtap-image", "--config", "forged.json", "--state",
                         state, "--patience", "0", expect=1)
    with open(log, encoding="utf-8") as file:
        asked = file.read().splitlines()
    return {"loaded": hashlib.sha256(loaded).hexdigest(), "again": again.stdout.strip(),
            "refused": refused.stderr.strip(), "loads": sum(a.startswith("load") for a in asked)}


def run_script(python, env, folder, name, *args, expect=0):
    done = subprocess.run([python, name, *args], cwd=folder, env=env, capture_output=True,
                          text=True, timeout=DEADLINE, check=False)
    if done.returncode != expect:
        raise AssertionError(f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done


def lived(folder):
    """Applies, looks, plans again, destroys, looks again."""
    env = terraform_environment(folder)
    with moto(folder) as (address, python):
        env["AWS_ENDPOINT_URL"] = address
        env["AWS_DEFAULT_REGION"] = REGION
        terraform = Terraform(copied(folder), env)
        for name, content in (("test_override.tf", OVERRIDE), ("terraform.tfvars", VARIABLES)):
            with open(os.path.join(terraform.folder, name), "w", encoding="ascii") as file:
                file.write(content)
        with open(os.path.join(terraform.folder, "gtap-image.tar"), "wb") as file:
            file.write(ARCHIVE)
        ask(python, env, "import boto3, json; boto3.client('ec2').create_key_pair("
                         f"KeyName={KEY_PAIR!r}); print(json.dumps(None))")
        facts = looked_at(terraform, python, folder)
        terraform.run("destroy", "-auto-approve", "-input=false", "-no-color", "-parallelism=30")
        facts["left_in_state"] = terraform.run("state", "list").stdout.split()
        facts["left"] = ask(python, env, LEFT)
    return facts


def looked_at(terraform, python, folder):
    """The facts of what was applied."""
    plan = os.path.join(folder, "plan")
    terraform.init()
    terraform.run("plan", "-input=false", "-no-color", f"-out={plan}", "-parallelism=30")
    facts = {"plan": json.loads(terraform.run("show", "-json", plan).stdout),
             "edge_user_data": edge_user_data(terraform, os.path.join(folder, "edge"))}
    terraform.run("apply", "-input=false", "-no-color", "-parallelism=30", plan)
    facts["second_plan"] = terraform.run("plan", "-detailed-exitcode", "-input=false", "-no-color",
                                         "-parallelism=30", expect=(0, 2)).stdout
    facts["other_address"] = changed(terraform, os.path.join(folder, "address"),
                                     {"my_ip_cidr": f'"{ELSEWHERE}"'})
    with open(os.path.join(terraform.folder, "other.tar"), "wb") as file:
        file.write(OTHER_ARCHIVE)
    facts["other_image"] = changed(terraform, os.path.join(folder, "image"),
                                   {"gtap_image_archive": '"other.tar"'})
    outputs = json.loads(terraform.run("output", "-json").stdout)
    facts["terraform_output"] = outputs
    facts["outputs"] = {name: about["value"] for name, about in outputs.items()}
    with open(os.path.join(terraform.folder, "terraform.tfstate"), encoding="utf-8") as file:
        facts["state"] = file.read()
    facts["aws"] = ask(python, terraform.env, INVENTORY)
    ids = facts["outputs"]["instance_ids"]
    facts["user_data"] = {machine: unpacked(facts["aws"]["user_data"][ids[machine]])
                          for machine in MACHINES}
    facts["scripts"] = {machine: scripts_run(machine, text, python, terraform.env, folder)
                        for machine, text in facts["user_data"].items()}
    return facts


# Everything otherwise than VARIABLES; nothing in the user data that only `apply` would know.
EDGES = {"public_subnet": "false", "ssh_key_name": "null", "gtap_image_archive": "null",
         "gtap_image": '"registry.example/tools/gtap:0.1.0"', "db_name": '"costs_2"',
         "producer_rate": '""', "gpu_metrics_source": '"nvidia-smi"',
         "price_per_hour_usd": '"3.123456789"', "mongo_image": '"mongo@sha256:' + "0" * 64 + '"',
         "secret_arns": json.dumps({name: f"arn:aws:secretsmanager:{REGION}:123456789012:secret:{name}"
                                    for name in ("kafka_processor", "kafka_producers", "mongo_root",
                                                 "mongo_gtap")})}


def planned(terraform, plan, variables):
    """What an apply with other variables would change."""
    path = f"{plan}.hcl"
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"{name} = {value}\n" for name, value in variables.items())
    terraform.run("plan", "-input=false", "-no-color", f"-var-file={path}", f"-out={plan}",
                  "-parallelism=30")
    return json.loads(terraform.run("show", "-json", plan).stdout)["resource_changes"]


def edge_user_data(terraform, plan):
    """The user data of a stack that is planned alone, with other variables."""
    return {change["index"]: unpacked(change["change"]["after"]["user_data_base64"])
            for change in planned(terraform, plan, EDGES) if change["type"] == "aws_instance"}


def changed(terraform, plan, variables):
    """What becomes of what stands, with other variables: address -> (actions, values after)."""
    return {change["address"]: (change["change"]["actions"], change["change"]["after"])
            for change in planned(terraform, plan, variables) if change["mode"] == "managed"}


def digest():
    """Of everything that a stack is made of, and of these tests."""
    total = hashlib.sha256()
    for top in ("CA1/terraform", "deploy/host", "deploy/compose", "deploy/terraform",
                "tests/deploy/terraform.py"):
        path = os.path.join(ROOT, top)
        found = [path] if os.path.isfile(path) else sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names
            if ".terraform" not in folder and not folder.endswith("/terraform/tests"))
        for name in found:
            with open(name, "rb") as file:
                total.update(os.path.relpath(name, ROOT).encode() + b"\0" + file.read() + b"\0")
    return total.hexdigest()[:24]


def applied():
    """The facts of one stack: terraform_output (as `terraform output -json` says it), outputs,
    user_data by machine, scripts by machine (what gtap-secrets and gtap-image of that user data
    made), aws (what moto holds: instances, rules, ...), second_plan, other_address and other_image (what
    later plans would change), state, plan, left."""
    if os.geteuid() != 0:  # the machines' scripts give files to root and to containers
        raise unittest.SkipTest("needs root, to run what the machines run")
    path = os.path.join(CACHE, f"applied-{digest()}.json")
    with Lock(os.path.join(CACHE, "applied.lock")):
        if not os.path.exists(path):
            with tempfile.TemporaryDirectory(prefix="gtap-terraform-") as folder:
                facts = lived(folder)
            for old in glob.glob(os.path.join(CACHE, "applied-*.json")):
                os.unlink(old)
            with open(f"{path}.part", "w", encoding="utf-8") as file:
                json.dump(facts, file)
            os.rename(f"{path}.part", path)
        with open(path, encoding="utf-8") as file:
            return json.load(file)
