"""A compose file as `docker compose` reads it: variables of .env filled in, defaults spelt out. What it
does not know it refuses, so that no test runs something else than was written."""

import os
import re

import yaml

VARIABLE = re.compile(r"\$(?:\{(?P<name>\w+)(?:(?P<how>:?[-?+])(?P<what>[^{}]*))?\}|(?P<plain>\w+)|(?P<dollar>\$))")
# Of these a machine cannot hold services to deploy, ulimits, logging and init; the tests of compose files
# look at them.
SERVICE_KEYS = {"image", "pull_policy", "command", "entrypoint", "network_mode", "user", "environment",
                "secrets", "volumes", "healthcheck", "restart", "stop_grace_period", "read_only", "tmpfs",
                "cap_drop", "security_opt", "deploy", "ulimits", "logging", "depends_on", "init",
                "hostname", "working_dir"}


class Wrong(Exception):
    """What stands in the file, and why it cannot be done."""


def read_env(path):
    """The variables of a .env file."""
    variables = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                name, is_set, value = line.strip().partition("=")
                if is_set and not name.startswith("#"):
                    variables[name] = value.strip("'\"")
    return variables


def fill(text, variables):
    def value(match):
        if match["dollar"]:
            return "$"
        name, how, what = match["name"] or match["plain"], match["how"] or "", match["what"] or ""
        there = variables.get(name)
        missing = there is None or (how.startswith(":") and there == "")
        if how.endswith("?") and missing:
            raise Wrong(f"required variable {name} is missing a value: {what}")
        if how.endswith("-") and missing:
            return what
        if how.endswith("+"):
            return "" if missing else what
        return there or ""
    return VARIABLE.sub(value, text)


def filled(node, variables):
    if isinstance(node, str):
        return fill(node, variables)
    if isinstance(node, list):
        return [filled(item, variables) for item in node]
    if isinstance(node, dict):
        return {key: filled(item, variables) for key, item in node.items()}
    return node


def seconds(text):
    """'1m30s', '5s' or '100ms' as a number."""
    unit = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    parts = re.findall(r"(\d+)(ms|h|m|s)", str(text))
    if "".join(n + u for n, u in parts) != str(text):
        raise Wrong(f"{text} is no duration")
    return sum(int(n) * unit[u] for n, u in parts)


def environment(node):
    """As a list or a map; a name without a value is left out, as there is none outside to take."""
    if isinstance(node, list):
        node = dict(item.partition("=")[::2] for item in node)
    return {name: "" if value is None else str(value) for name, value in (node or {}).items()}


def words(node):
    """A command as a list; as text it is split as a shell would."""
    import shlex
    return shlex.split(node) if isinstance(node, str) else [str(word) for word in node or []]


def mounts(service, project, top):
    """(kind, source, target, read-only) of volumes, secrets and tmpfs."""
    found = []
    for volume in service.get("volumes", []):
        if isinstance(volume, str):
            source, target, *mode = volume.split(":")
            kind = "bind" if source[0] in "./" else "volume"
            volume = {"type": kind, "source": source, "target": target, "read_only": mode == ["ro"]}
        source = volume["source"]
        if volume["type"] == "bind":
            source = os.path.normpath(os.path.join(project, source))
        elif source not in top.get("volumes", {}):
            raise Wrong(f"volume {source} is not declared")
        found.append((volume["type"], source, volume["target"], bool(volume.get("read_only"))))
    for secret in service.get("secrets", []):
        name = secret if isinstance(secret, str) else secret["source"]
        file = os.path.normpath(os.path.join(project, top["secrets"][name]["file"]))
        found.append(("bind", file, f"/run/secrets/{name}", True))
    for place in service.get("tmpfs", []):
        target, _, options = place.partition(":")
        found.append(("tmpfs", options, target, False))
    return found


def read(path, project):
    """(name of the project, services by name in the order of their start)."""
    with open(path, encoding="utf-8") as file:
        top = filled(yaml.safe_load(file), read_env(os.path.join(project, ".env")))
    services = {}
    for name, service in top["services"].items():
        unknown = set(service) - SERVICE_KEYS
        if unknown:
            raise Wrong(f"{path}: services.{name}: unknown: {', '.join(sorted(unknown))}")
        if service.get("network_mode") != "host":
            raise Wrong(f"{path}: services.{name}: only network_mode: host is known here")
        services[name] = service | {
            "environment": environment(service.get("environment")),
            "command": words(service.get("command")),
            "entrypoint": words(service.get("entrypoint")),
            "mounts": mounts(service, project, top),
        }
    return top["name"], in_order(services)


def in_order(services):
    done = {}

    def add(name):
        for before in services[name].get("depends_on", {}):
            if before not in done:
                add(before)
        done[name] = services[name]

    for name in services:
        add(name)
    return done
