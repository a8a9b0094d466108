#!/usr/bin/env python3
"""gtap of several builds and the bare loop, in turns, on one broker and one fake mongod.

For whoever changes the pipeline and wants to know in a minute what it brought:

    bench/duel.py build ../before/build --rounds 5

Processor time a record is what other programs on the machine disturb least.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness import mb, rate
from pipeline import LOAD, Contest, FakeServer, Rig, middle

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Builds:
    """What the rig asks a bench for; `gtap` is whose turn it is."""

    programs: Path
    gtap: Path
    workplace: Path

    def path(self, name):
        return self.workplace / name


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("builds", metavar="DIR", nargs="*", type=Path, default=[ROOT / "build"],
                        help="build folders (default build); the first one's bare loop is used: "
                        "ninja -C build gtap bench-programs tests/support/fake_mongod")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=600,
                        help="event time: 3,000 records a second (default %(default)s)")
    return parser.parse_args()


def take_turns(contest, bench, builds, rounds):
    """Lists of flows by who it was."""
    flows = {"bare": [], **{str(build): [] for build in builds}}
    for _ in range(rounds):
        flows["bare"].append(contest.bare(True))
        for build in builds:
            bench.gtap = build / "gtap"
            flows[str(build)].append(contest.gtap())
    return flows


def main():
    args = parse_arguments()
    builds = [build.resolve() for build in args.builds]
    with tempfile.TemporaryDirectory(prefix="gtap-duel-") as workplace:
        bench = Builds(builds[0] / "bench", builds[0] / "gtap", Path(workplace))
        with Rig(bench) as rig, FakeServer(rig) as server:
            with open(rig.load(LOAD.format(seconds=args.seconds)), "rb") as lines:
                topics = rig.fill(rig.topics(""), lines)
            flows = take_turns(Contest(rig, server, topics, 0), bench, builds, args.rounds)
    bare = middle(flows["bare"])
    for name, list_ in flows.items():
        flow = middle(list_)
        print(f"{name}: {rate(flow.per_s)} ({flow.per_s / bare.per_s:.2f} of bare), {flow.cpu_us:.2f} us a record "
              f"({flow.cpu_us / bare.cpu_us:.2f}; {min(f.cpu_us for f in list_):.2f} to "
              f"{max(f.cpu_us for f in list_):.2f}), {flow.thread_us:.2f} us on one thread, {mb(flow.peak_kib)}")


if __name__ == "__main__":
    main()
