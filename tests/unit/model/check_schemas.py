#!/usr/bin/env python3
"""Holds the published schemas to the corpus that the decoder is held to.

Usage: check_schemas.py SCHEMAS_DIR CORPUS_DIR. Exits 77 (skipped) without the jsonschema package.
A good record must be valid under the schema of exactly one kind; a bad one under neither, unless
its row is marked "~": a reason that JSON Schema cannot express.
"""

import json
import pathlib
import sys
from decimal import Decimal

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("the Python package jsonschema is not there")
    sys.exit(77)

EXPONENT_MAX = 400
NAMES = ("gpu.metrics.v1.json", "token.usage.v1.json")


def rows(path):
    """Pairs of lines, (mark, text) each, without blank lines and comments."""
    lines = []
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if line and not line.startswith("#"):
            lines.append((number, line[0], line[2:]))
    return zip(lines[::2], lines[1::2], strict=True)


def refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def exact(text):
    """A number as it is written: as a float, 1e-400 would be no number below 1."""
    number = Decimal(text)
    whole = number.adjusted() < EXPONENT_MAX and number == number.to_integral_value()
    return int(number) if whole else number


def parse(text):
    """(True, value), or (False, None) for what is not JSON at all."""
    try:
        return True, json.loads(text, parse_float=exact, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return False, None


def valid_under(validators, text):
    is_json, value = parse(text)
    return [name for name, v in validators.items() if is_json and v.is_valid(value)]


def main(schemas, corpus):
    validators = {}
    for name in NAMES:
        schema = json.loads((schemas / name).read_text("utf-8"))
        Draft202012Validator.check_schema(schema)
        validators[name] = Draft202012Validator(schema)
    wrong = 0
    for (number, _, text), _ in rows(corpus / "good.txt"):
        names = valid_under(validators, text)
        if len(names) != 1:
            print(f"good.txt:{number}: valid under {names or 'none'}")
            wrong += 1
    for (_, mark, _), (number, _, text) in rows(corpus / "bad.txt"):
        names = valid_under(validators, text)
        if names and mark == "!":
            print(f"bad.txt:{number}: valid under {names}")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
