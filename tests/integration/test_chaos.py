"""The fault campaign in its short form: one broker, a fixed seed. The long one is `make chaos`.

    test_chaos.py --gtap BUILD/gtap
"""

import os
import sys

import gtap as support

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "chaos"))

import chaos  # noqa: E402


class Short(chaos.Case):
    def test_campaign(self):
        self.campaign(seed=1, kills=12, seconds=30, rate=150)


if __name__ == "__main__":
    support.main(__name__)
