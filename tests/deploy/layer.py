"""What lies on the root of a test's machines, over this machine's own: the folder `layer` beside this
file (stand-ins for docker, systemctl, cloud-init and the images' entry points) and real programs: sshd,
sudo, ufw, MongoDB's shell, Kafka's jars, a server of MongoDB's protocol, gtap."""

import functools
import os
import shutil
import subprocess
import unittest

import tools  # noqa: F401  (finds the folders of the next ones)
from daemon import Lock
from python_venv import python_with

import kafka
import mongo

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
CACHE = os.path.join(ROOT, ".cache")
BOTO = ["boto3==1.40.61", "PyYAML==6.0.3"]
PACKAGES = ("openssh-server", "sudo", "ufw", "iptables",  # unpacked: installed, they would start
            "libwrap0", "libnsl2", "libtirpc3", "libip6tc2", "libnetfilter-conntrack3", "libnfnetlink0",
            "netbase")
MERGED = ("bin", "sbin", "lib")  # links to usr/ on a machine of today
USERS = {
    "passwd": ["sshd:x:990:65534::/run/sshd:/usr/sbin/nologin", "ubuntu:x:1000:1000::/home/ubuntu:/bin/bash"],
    "group": ["ubuntu:x:1000:", "docker:x:991:ubuntu"],
    "shadow": ["sshd:!:20000::::::", "ubuntu:*:20000::::::"],
}


def unpacked(package):
    """The folder of a package's files."""
    folder = os.path.join(CACHE, "debian-machines", package, "root")
    with Lock(folder + ".lock"):
        if not os.path.isdir(folder):
            part = folder + ".part"
            command = [os.path.join(ROOT, "tools", "install-deps.sh"), "unpack", part, package]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise unittest.SkipTest(f"apt-get cannot fetch {package}: {done.stderr.strip()}")
            os.rename(part, folder)
    return folder


def site_packages(python):
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@functools.cache
def python_path():
    """Where the machines' Python finds boto3 and yaml."""
    return site_packages(python_with("machines", BOTO))


def fetch():
    """Everything that has to be downloaded, while there is a network."""
    kafka.jars()
    kafka.client()
    mongo.pymongo()
    tools.mongosh()
    python_path()
    for package in PACKAGES:
        unpacked(package)


def build(folder, gtap):
    """Makes the layer in a folder."""
    shutil.copytree(os.path.join(HERE, "layer"), folder, symlinks=True)
    for package in PACKAGES:
        lay(unpacked(package), folder)
    for name, target in (("iptables", "xtables-nft-multi"), ("ip6tables", "xtables-nft-multi")):
        for verb in ("", "-restore", "-save"):
            link(folder, f"usr/sbin/{name}{verb}", target)
    add_users(folder)
    mongod = os.path.join(os.path.dirname(python_with("mongo", mongo.PACKAGES)), "secantusd-py")
    node = shutil.which("node")
    script(folder, "usr/local/bin/secantusd", f'exec {mongod} "$@"')
    script(folder, "usr/local/bin/mongosh", f'exec {node} {os.path.realpath(tools.mongosh())} "$@"')
    lay_kafka(folder)
    shutil.copy(gtap, os.path.join(folder, "usr/bin/gtap"))
    os.makedirs(os.path.join(folder, "etc/ssh/sshd_config.d"), exist_ok=True)
    write(folder, "etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n"
          "HostKey /etc/ssh/ssh_host_ed25519_key\nSubsystem sftp internal-sftp\n")
    write(folder, "etc/sudoers.d/90-cloud-init-users", "ubuntu ALL=(ALL) NOPASSWD:ALL\n", 0o440)
    write(folder, "etc/resolv.conf", "")
    # Interpreters may live in root's home, and services are not root.
    os.makedirs(os.path.join(folder, "root"))
    os.chmod(os.path.join(folder, "root"), 0o755)


def lay(package, folder):
    for name in os.listdir(package):
        where = os.path.join(folder, "usr", name) if name in MERGED else os.path.join(folder, name)
        os.makedirs(where, exist_ok=True)
        subprocess.run(["cp", "-a", os.path.join(package, name) + "/.", where], check=True)


def lay_kafka(folder):
    """As its image has them: /etc/kafka/docker/run, /opt/kafka/{bin,libs,config}."""
    image, there = os.path.join(HERE, "images", "kafka"), os.path.join(folder, "opt", "kafka")
    shutil.copytree(image, os.path.join(there, "bin"))
    os.makedirs(os.path.join(there, "config"))
    link(folder, "opt/kafka/libs", kafka.jars())
    os.makedirs(os.path.join(folder, "etc", "kafka", "docker"))
    os.rename(os.path.join(there, "bin", "run"), os.path.join(folder, "etc", "kafka", "docker", "run"))


def add_users(folder):
    for name, lines in USERS.items():
        with open(f"/etc/{name}", encoding="utf-8") as file:
            there = [line for line in file.read().splitlines()
                     if line.split(":")[0] not in ("sshd", "ubuntu", "docker")
                     and line.split(":")[2] != "1000"]
        write(folder, f"etc/{name}", "\n".join(there + lines) + "\n", 0o640 if name == "shadow" else 0o644)


def link(folder, path, target):
    path = os.path.join(folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)


def script(folder, path, text):
    write(folder, path, f"#!/bin/sh\n{text}\n", 0o755)


def write(folder, path, text, mode=0o644):
    path = os.path.join(folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
