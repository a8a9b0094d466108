#!/usr/bin/env python3
"""The files that the tests of a suite need, as ninja targets: test-targets.py BUILD_DIR SUITE"""
import json
import os
import sys


def main(build, suite):
    def known(name):
        with open(os.path.join(build, "meson-info", f"intro-{name}.json"), encoding="utf-8") as f:
            return json.load(f)

    root = os.path.realpath(build)
    files = {target["id"]: target["filename"] for target in known("targets")}
    wanted = {name for test in known("tests")
              if suite in [s.split(":")[-1] for s in test["suite"]]
              for target in test["depends"] for name in files[target]}
    print(*sorted(os.path.relpath(name, root) for name in wanted))
    return 0 if wanted else 1


sys.exit(main(*sys.argv[1:]))
