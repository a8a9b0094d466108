"""Where and with what the benchmarks ran."""

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

PACKAGES = ("libsqlite3-0", "libsimdjson14", "libjansson4", "libzstd1", "librdkafka1",
            "libmongoc-1.0-0")


def output(*command):
    """What a program prints; empty where there is no such program, or it fails."""
    try:
        return subprocess.run([str(word) for word in command], check=True, text=True,
                              capture_output=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def field_of(path, name):
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def build_options(build):
    options = json.loads(output("meson", "introspect", "--buildoptions", build) or "[]")
    values = {option["name"]: option["value"] for option in options}
    return f"{values.get('buildtype', '?')}, -O{values.get('optimization', '?')}"


def version(package):
    return output("dpkg-query", "-W", "-f", "${Version}", package) or "?"


def load():
    return "%.1f" % os.getloadavg()[0]


def commit(root):
    name = output("git", "-C", root, "describe", "--always", "--abbrev=10", "--exclude=*")
    changed = output("git", "-C", root, "status", "--porcelain", "--", "src", "meson.build")
    return f"{name or 'unknown'}{' with changes' if changed else ''}"


def facts(root, build, gtap, workplace):
    """Names and values, for the head of the report."""
    memory_kb = int(field_of("/proc/meminfo", "MemTotal").split()[0])
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{field_of('/proc/cpuinfo', 'model name')}, "
                     f"{len(os.sched_getaffinity(0))} cores for us",
        "memory": f"{memory_kb / 1e6:.0f} GB",
        "system": f"{platform.freedesktop_os_release().get('PRETTY_NAME', '?')}, "
                  f"Linux {platform.release()}",
        "files on": output("findmnt", "-n", "-o", "FSTYPE", "-T", workplace) or "unknown",
        "gtap": f"{output(gtap, 'version')}, commit {commit(root)}",
        "built": f"{output('cc', '--version').splitlines()[0]}; {build_options(build)}",
        "Java": (output("java", "--version").splitlines() or ["none"])[0],
        "libraries": ", ".join(f"{package} {version(package)}" for package in PACKAGES),
    }
