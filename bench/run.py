#!/usr/bin/env python3
"""Runs the benchmarks and writes what they found to bench/RESULTS.md.

Times are compared as ratios within a run: what is compared runs in turns, medians count, and
processor time is told beside wall time, since other programs disturb it least.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import machine
from subjects import LONG, QUICK, SUBJECTS, Bench, Scale

ROOT = Path(__file__).resolve().parent.parent


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true",
                        help="little of everything, to see that it runs; the numbers mean nothing")
    parser.add_argument("--only", metavar="SUBJECT", action="append",
                        choices=[*SUBJECTS, *LONG],
                        help="this subject alone (%(choices)s); may be repeated")
    parser.add_argument("--soak-minutes", metavar="N", type=float,
                        help="event time of the soak (default 120), for a look")
    parser.add_argument("--soak-speed", metavar="N", type=float, help="event seconds a second, "
                        "instead of a share of what the machine can do")
    parser.add_argument("--output", metavar="FILE", type=Path,
                        help="where to write (default bench/RESULTS.md when all ran in full)")
    parser.add_argument("--build", metavar="DIR", type=Path, default=ROOT / "build")
    parser.add_argument("--dir", metavar="DIR", help="where loads and stores are put meanwhile, "
                        "some 5 GB (soak: 10); on the disk to be measured (default TMPDIR)")
    return parser.parse_args()


def command(args):
    """What writes the same file again."""
    if not args.only:
        return "make bench"
    words = [f"--only {name}" for name in args.only]
    words += [f"--soak-minutes {args.soak_minutes:g}"] if args.soak_minutes else []
    words += [f"--soak-speed {args.soak_speed:g}"] if args.soak_speed else []
    return " ".join(["bench/run.sh", *words])


def scale(args):
    chosen = QUICK if args.quick else Scale()
    if args.soak_minutes:
        chosen = replace(chosen, soak_s=round(60 * args.soak_minutes))
    if args.soak_speed:
        chosen = replace(chosen, soak_speed=args.soak_speed)
    return chosen


def head(by, facts, load_before, seconds):
    lines = ["# Benchmarks", "", f"Written by `{by}`. Wall times are those of a machine that "
             "others may have used as well: the load averages tell.", ""]
    facts = {**facts, "load average": f"{load_before} at the beginning, {machine.load()} at the end",
             "took": f"{seconds / 60:.0f} min"}
    lines += ["| | |", "|-|-|"] + [f"| {name} | {value} |" for name, value in facts.items()]
    return "\n".join(lines) + "\n"


def run_all(bench, names):
    subjects = []
    for name in names:
        print(f"== {name}", flush=True)
        subjects.append((SUBJECTS | LONG)[name](bench))
        for row in subjects[-1].rows:
            print("   " + "  ".join(cell for cell in row.cells() if cell), flush=True)
    return subjects


def main():
    args = parse_arguments()
    names = args.only or list(SUBJECTS)
    output = args.output
    if output is None and not args.quick and not args.only:
        output = ROOT / "bench" / "RESULTS.md"
    began, load_before = time.monotonic(), machine.load()
    with tempfile.TemporaryDirectory(prefix="gtap-bench-", dir=args.dir) as workplace:
        bench = Bench(args.build, workplace, scale(args))
        facts = machine.facts(ROOT, args.build, bench.gtap, workplace)
        subjects = run_all(bench, names)
    if output:
        text = head(command(args), facts, load_before, time.monotonic() - began)
        output.write_text(text + "\n" + "\n".join(s.markdown() for s in subjects), encoding="utf-8")
        print(f"written to {output}")
    missed = [f"{s.title}: {row.what}" for s in subjects for row in s.missed()]
    if missed and not args.quick:
        print("goals not met:\n  " + "\n  ".join(missed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
