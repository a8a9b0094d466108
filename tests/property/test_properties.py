"""Proves the cost model's properties on the C engine with random and adversarial cases.

    test_properties.py --driver BUILD/engine_driver [--quick | --cases N] [--seed S]
                       [--only TEXT] [--replay FILE] [--out DIR]

A failure prints its seed and is shrunk by dropping records, prices and settings while it still
fails; what is left is written to DIR, as the Python to replay and as the driver's input.
"""

import argparse
import os
import sys
import time

import engine
import generate
import properties
import reference
import stress

CASES_QUICK, CASES_FULL = 100, 800
CHUNK = 50
SHRINK_RUNS_MAX = 400


def failure(driver, function, case):
    """What is wrong with this one case, or None."""
    planned = function(case)
    if planned is None:
        return None
    scripts, judge = planned
    try:
        return judge(engine.run(driver, scripts))
    except engine.DriverError as e:
        return str(e)


def first_failure(driver, function, cases):
    """(number of cases it spoke about, first failing case or None)."""
    planned = [(case, function(case)) for case in cases]
    planned = [(case, *plan) for case, plan in planned if plan is not None]
    try:
        outcomes = iter(engine.run(driver, [s for _, scripts, _ in planned for s in scripts]))
    except engine.DriverError:
        return len(planned), next((case for case, _, _ in planned
                                   if failure(driver, function, case)), None)
    for case, scripts, judge in planned:
        if judge([next(outcomes) for _ in scripts]):
            return len(planned), case
    return len(planned), None


def shrink(driver, function, case):
    """The same failure with fewer parts."""
    runs, shrunk = 0, True
    while shrunk:
        shrunk = False
        for field in ("records", "book", "epochs"):
            i = len(getattr(case, field)) - 1
            while i >= (1 if field == "epochs" else 0) and runs < SHRINK_RUNS_MAX:
                smaller, runs, i = case.drop(field, i), runs + 1, i - 1
                if failure(driver, function, smaller):
                    case, shrunk = smaller, True
    return case


def write_failure(out, name, function, case, message):
    path = os.path.join(out, f"failed-{function.__name__}.txt")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"# {name}\n# {message}\n{case!r}\n")
        for i, script in enumerate(function(case)[0]):
            f.write("\n".join([f"# script {i}", "case", *script, "dump END", ""]))
    return path


def replayed(path):
    """The case in a file that write_failure made."""
    with open(path, encoding="utf-8") as f:
        text = next(line for line in f if line.startswith("Case("))
    names = {t.__name__: t for t in (generate.Case, reference.Settings, reference.PriceEntry,
                                     reference.Sample, reference.Usage)}
    return eval(text, {"__builtins__": {}}, names)  # pylint: disable=eval-used


def prove(args, name, function, cases):
    spoken = 0
    for at in range(0, len(cases), CHUNK):
        n, failed = first_failure(args.driver, function, cases[at:at + CHUNK])
        spoken += n
        if failed is None:
            continue
        small = shrink(args.driver, function, failed)
        message = failure(args.driver, function, small)
        path = write_failure(args.out, name, function, small, message)
        print(f"# seed {failed.seed!r}, style {failed.name}: {message}\n# written to {path}")
        return False, spoken
    return spoken > 0, spoken


def checks(args):
    """(name, function that answers (good, how many cases))."""
    if args.replay:
        cases = [replayed(args.replay)]
    else:
        cases = [generate.generate(f"{args.seed}/{i}") for i in range(args.cases)]
    for name, function in properties.PROPERTIES:
        yield name, lambda function=function, name=name: prove(args, name, function, cases)
    if not args.replay:
        n = stress.REQUESTS
        for shape, grid in stress.GRIDS.items():
            yield (f"{n} concurrent requests{shape}",
                   lambda grid=grid: (stress.check(args.driver, grid), n))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--driver", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cases", type=int)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", default="", help="properties whose name has this text")
    parser.add_argument("--replay", help="a file written for a failure")
    parser.add_argument("--out")
    args = parser.parse_args()
    args.out = args.out or os.path.dirname(os.path.abspath(args.driver))
    args.cases = args.cases or (CASES_QUICK if args.quick else CASES_FULL)
    return args


def main():
    args = arguments()
    passed = failed = 0
    for name, check in checks(args):
        if args.only not in name:
            continue
        began = time.monotonic()
        good, n = check()
        passed, failed = passed + good, failed + (not good)
        took = time.monotonic() - began
        print(f"{'ok' if good else 'not ok'} {passed + failed} - {name} # {n} cases, {took:.1f} s",
              flush=True)
    print(f"1..{passed + failed}\n# {passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
