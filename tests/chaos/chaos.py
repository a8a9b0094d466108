#!/usr/bin/env python3
"""The fault campaign, by hand: three brokers, a database, gateways, agents and processors, a load
whose records are accounted for, and faults.

    chaos.py --gtap build/gtap [--kills 100] [--minutes 10] [--seed 1] [--rate 150] [--brokers 3]

The same seed, kills and minutes strike the same plan. Logs stay in --folder.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import unittest

import campaign  # finds the folders of the others
import gtap as support
import mongo
import stack


class Case(stack.Case):
    """Servers for campaigns. The database acknowledges what it has written to its disk, and that is
    memory where there is some: it dies by kill -9, from which that keeps as well as a disk does."""

    # What is in flight when a broker dies goes with it unless somebody else has it.
    kafka_options = {"properties": {"offsets.retention.minutes": 10}}

    @classmethod
    def database_server(cls, folder):
        if os.environ.get(mongo.ELSEWHERE):
            raise unittest.SkipTest("a campaign kills the database; it needs one of its own")
        if os.access("/dev/shm", os.W_OK):
            holder = tempfile.TemporaryDirectory(prefix="gtap-chaos-", dir="/dev/shm")
            cls.addClassCleanup(holder.cleanup)
            folder = os.path.join(holder.name, "mongo")
        server = mongo.Server(folder, sync_on_commit=True)
        cls.addClassCleanup(server.kill)
        cls.addClassCleanup(server.disconnect)
        return server

    def campaign(self, **options):
        one = campaign.Campaign(self, say=self.say, **options)
        one.run()
        self.say(json.dumps(one.figures, indent=1))

    @staticmethod
    def say(text):
        print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gtap", required=True)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=float, default=150, help="records a second")
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--processors", type=int, default=3)
    parser.add_argument("--folder", default="build/chaos", help="made anew")
    return parser.parse_args()


def main():
    args = arguments()
    folder = os.path.abspath(args.folder)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    support.ARGS.gtap = args.gtap

    class Long(Case):
        brokers = args.brokers

        def runTest(self):
            self.campaign(seed=args.seed, kills=args.kills, seconds=args.minutes * 60,
                          rate=args.rate, processors=args.processors, session_s=6,
                          rounds=max(1, args.kills // 20), recovery_s=180, folder=folder)

    print(f"# seed {args.seed}, {args.kills} kills in {args.minutes} minutes; logs in {folder}")
    result = support.TapResult()
    unittest.TestSuite([Long()]).run(result)
    sys.exit(0 if result.number and not result.failed else 1)


if __name__ == "__main__":
    main()
