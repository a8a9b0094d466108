"""systemd's units, as far as gtap's machines need them: order, conditions, directories, oneshot services
that are tried again, services that go on. Enabled ones are started at each boot."""

import configparser
import json
import os
import shlex
import subprocess
import time

FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
WANTS = "/etc/systemd/system/multi-user.target.wants"
ACTIVE = "/run/units"
GIVEN = "/run/given.json"
DEADLINE = float(os.environ.get("MACHINE_DEADLINE", "240"))
# What the distribution brings: started by these words, or here already.
BUILT_IN = {
    "ssh.service": ["/usr/sbin/sshd"],
    "docker.service": [],
    "ufw.service": ["/usr/lib/ufw/ufw-init", "start"],
}
PASSED_ON = ("AWS_ENDPOINT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "MACHINE_DEADLINE", "PYTHONPATH",
             "PYTHONDONTWRITEBYTECODE")
PATH = "/opt/gtap/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Failed(Exception):
    pass


class Settings(dict):
    """Keys that stand there several times are lists."""

    def __setitem__(self, key, value):
        if isinstance(value, list) and key in self:
            self[key].extend(value)
        else:
            super().__setitem__(key, value)


def read(name):
    """{section: {key: values, a line each}}; None: none that is not built in."""
    if name in BUILT_IN:
        return None
    for folder in FOLDERS:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            parser = configparser.RawConfigParser(strict=False, dict_type=Settings, delimiters=("=",),
                                                  empty_lines_in_values=False, interpolation=None)
            parser.optionxform = str
            parser.read(path, encoding="utf-8")
            return {section: dict(parser.items(section)) for section in parser.sections()}
    return None


def values(unit, section, key):
    text = (unit or {}).get(section, {}).get(key, "")
    return [line for line in text.split("\n") if line]


def listed(unit, key):
    return [name for line in values(unit, "Unit", key) for name in line.split()]


def is_service(name):
    return name.endswith(".service")


def is_active(name):
    return os.path.exists(os.path.join(ACTIVE, name))


def mark(name, pid):
    os.makedirs(ACTIVE, exist_ok=True)
    with open(os.path.join(ACTIVE, name), "w", encoding="ascii") as file:
        file.write(str(pid))


def enable(name):
    unit = read(name)
    if unit is None and name not in BUILT_IN:
        raise Failed(f"Unit file {name} does not exist.")
    if unit is not None and not values(unit, "Install", "WantedBy"):
        raise Failed(f"{name} cannot be enabled: it has no [Install]")
    os.makedirs(WANTS, exist_ok=True)
    with open(os.path.join(WANTS, name), "a", encoding="ascii"):
        pass


def enabled():
    return sorted(os.listdir(WANTS)) if os.path.isdir(WANTS) else []


def closure(names):
    """Those and what they want, each after what it is to be after."""
    wanted, todo = {}, list(names)
    while todo:
        name = todo.pop()
        if is_service(name) and name not in wanted:
            wanted[name] = read(name)
            todo += listed(wanted[name], "Wants") + listed(wanted[name], "Requires")
    ordered, seen = [], set()

    def visit(name):
        if name in seen or name not in wanted:
            return
        seen.add(name)
        for other, unit in wanted.items():
            if other in listed(wanted[name], "After") or name in listed(unit, "Before"):
                visit(other)
        ordered.append(name)

    for name in sorted(wanted):
        visit(name)
    return [(name, wanted[name]) for name in ordered]


def start(names):
    for name, unit in closure(names):
        if is_active(name):
            continue
        needed = [other for other in listed(unit, "Requires") if is_service(other)]
        if any(not is_active(other) for other in needed):
            if name in names:
                raise Failed(f"Dependency failed for {name}: {needed}")
            continue
        if unit is None:
            start_built_in(name)
        elif holds_conditions(unit):
            start_one(name, unit)


def start_built_in(name):
    if name not in BUILT_IN:
        raise Failed(f"Unit {name} not found.")
    if BUILT_IN[name]:
        subprocess.run(BUILT_IN[name], check=True, env=environment(None))
    mark(name, 0)


def holds_conditions(unit):
    paths = values(unit, "Unit", "ConditionPathExists")
    return all(os.path.exists(p) if p[0] != "!" else not os.path.exists(p[1:]) for p in paths)


def keep_environment():
    """What this machine's services get of the test, whoever starts them: said by the first process."""
    with open(GIVEN, "w", encoding="utf-8") as file:
        json.dump({name: os.environ[name] for name in PASSED_ON if name in os.environ}, file)


def environment(unit):
    variables = {"PATH": PATH, "HOME": "/root"}
    with open(GIVEN, encoding="utf-8") as file:
        variables |= json.load(file)
    for line in values(unit, "Service", "Environment"):
        variables |= dict(word.partition("=")[::2] for word in shlex.split(line))
    return variables


def make_directories(unit):
    for key, top in (("RuntimeDirectory", "/run"), ("StateDirectory", "/var/lib")):
        mode = int((values(unit, "Service", key + "Mode") or ["0755"])[0], 8)
        for name in " ".join(values(unit, "Service", key)).split():
            os.makedirs(os.path.join(top, name), exist_ok=True)
            os.chmod(os.path.join(top, name), mode)


def start_one(name, unit):
    make_directories(unit)
    kind = (values(unit, "Service", "Type") or ["simple"])[0]
    commands = values(unit, "Service", "ExecStartPre") + values(unit, "Service", "ExecStart")
    place = {"env": environment(unit), "cwd": (values(unit, "Service", "WorkingDirectory") or ["/"])[0]}
    with open("/var/log/journal.txt", "ab") as log:
        if kind != "oneshot":
            process = subprocess.Popen(shlex.split(commands[-1]), stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True, **place)
            mark(name, process.pid)
            return
        pause = duration((values(unit, "Service", "RestartSec") or ["100ms"])[0])
        again = (values(unit, "Service", "Restart") or ["no"])[0] != "no"
        deadline = time.monotonic() + DEADLINE
        while True:
            if all(subprocess.run(shlex.split(c.lstrip("-")), stdout=log, stderr=log, check=False,
                                  stdin=subprocess.DEVNULL, **place).returncode == 0 or c[0] == "-"
                   for c in commands):
                break
            if not again or time.monotonic() + pause > deadline:
                raise Failed(f"Job for {name} failed because the control process exited with error code.")
            time.sleep(min(pause, 1))
    if values(unit, "Service", "RemainAfterExit") == ["yes"]:
        mark(name, 0)


def duration(text):
    import compose_file
    text = text if not text.isdigit() else f"{text}s"
    return compose_file.seconds(text.replace("min", "m"))


def stop(name):
    unit = read(name)
    for command in values(unit, "Service", "ExecStop"):
        cwd = (values(unit, "Service", "WorkingDirectory") or ["/"])[0]
        subprocess.run(shlex.split(command), env=environment(unit), cwd=cwd, check=True)
    path = os.path.join(ACTIVE, name)
    if os.path.exists(path):
        os.unlink(path)
