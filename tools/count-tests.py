#!/usr/bin/env python3
"""Counts the tests of meson's testlog.json: prints "passed failed skipped".

A program that speaks TAP counts once for each test it reports, any other counts once. One that
failed without saying where (a crash, a timeout, a plan not kept) counts as one failure more.
"""
import json
import re
import sys

TAP_PLAN = re.compile(r"^1\.\.\d+", re.MULTILINE)
TAP_LINE = re.compile(r"^(not )?ok\b(.*)$", re.MULTILINE)


def count_tap(text):
    passed = failed = skipped = 0
    for not_ok, rest in TAP_LINE.findall(text):
        if re.search(r"#\s*skip", rest, re.IGNORECASE):
            skipped += 1
        elif not_ok:
            failed += 1
        else:
            passed += 1
    return passed, failed, skipped


def count_program(entry):
    good = entry["result"] in ("OK", "EXPECTEDFAIL")
    if entry["result"] == "SKIP":
        return 0, 0, 1
    text = entry.get("stdout", "")
    if not TAP_PLAN.search(text):
        return int(good), int(not good), 0
    passed, failed, skipped = count_tap(text)
    return passed, failed or int(not good), skipped


def main(path):
    total = [0, 0, 0]
    with open(path, encoding="utf-8") as log:
        for line in log:
            total = [a + b for a, b in zip(total, count_program(json.loads(line)))]
    print(*total)


main(sys.argv[1])
