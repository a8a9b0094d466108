"""PID 1 of a machine: what kernel, cloud-init and systemd do at a boot, as far as gtap's machines need it.
Its arguments: the host's name, and the folder where it says that it is up (boot, log).

The first boot does what the user data say (users, files, commands); later ones start what is enabled."""

import base64
import gzip
import os
import pwd
import signal
import subprocess
import sys
import traceback

sys.path.append("/usr/lib/machine")
import units  # noqa: E402
import yaml  # noqa: E402

USER_DATA = "/var/lib/cloud/user-data"
DONE = "/var/lib/cloud/done"
# What Ubuntu's archive is asked for; the layer has what they do.
PACKAGES = {"docker.io", "docker-compose-v2", "nftables", "python3-boto3", "ufw", "jq", "curl"}
KEYS = {"hostname", "fqdn", "disable_root", "ssh_pwauth", "package_update", "package_upgrade", "packages",
        "write_files", "runcmd", "bootcmd", "users", "preserve_hostname", "final_message", "timezone", "ntp"}


def content(file):
    text = file.get("content", "")
    encoding = file.get("encoding", "text/plain")
    data = text.encode() if isinstance(text, str) else text
    if "b64" in encoding or "base64" in encoding:
        data = base64.b64decode(data)
    if encoding.startswith("gz"):
        data = gzip.decompress(data)
    return data


def write_file(file):
    path = file["path"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "ab" if file.get("append") else "wb") as f:
        f.write(content(file))
    os.chmod(path, int(str(file.get("permissions", "0644")), 8))
    user, _, group = file.get("owner", "root:root").partition(":")
    os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(group or user).pw_gid)


def run(command):
    words = ["sh", "-c", command] if isinstance(command, str) else [str(word) for word in command]
    print("+", *words, flush=True)
    subprocess.run(words, env=units.environment(None), check=True)


def first_boot():
    with open(USER_DATA, encoding="utf-8") as file:
        data = yaml.safe_load(file)
    unknown = set(data) - KEYS
    if unknown or set(data.get("packages", [])) - PACKAGES:
        raise SystemExit(f"user data: not known here: {unknown or data['packages']}")
    for file in data.get("write_files", []):
        write_file(file)
    for command in data.get("bootcmd", []) + data.get("runcmd", []):
        run(command)
    with open(DONE, "w", encoding="ascii"):
        pass


def boot(name, place):
    with open("/proc/sys/kernel/hostname", "w", encoding="ascii") as file:
        file.write(name)
    units.start(["ssh.service"])
    if os.path.exists(DONE):
        units.start(["ufw.service", *units.enabled()])
    else:
        first_boot()
    with open(os.path.join(place, "boot"), "a", encoding="ascii") as file:
        file.write("up\n")


def main():
    name, place = sys.argv[1:]
    units.keep_environment()
    child = os.fork()
    if child == 0:
        try:
            boot(name, place)
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
            with open(os.path.join(place, "boot"), "a", encoding="ascii") as file:
                file.write("failed\n")
        os._exit(0)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # and with PID 1 everything else
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.pause()


main()
