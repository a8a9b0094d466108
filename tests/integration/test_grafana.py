"""deploy/grafana/gtap.json: every query of it, asked of Debian's Prometheus, which scrapes a run.

    test_grafana.py --gtap BUILD/gtap [--only TEXT]
"""

import json
import math
import re
import time

import gtap as support
import test_scraping
from served import batches

VARIABLES = {"job": "gtap", "instance": ".*", "model": ".*", "tenant": ".*", "basis": "loaded",
             "__rate_interval": "5s"}


def dashboard():
    return json.loads(test_scraping.page("deploy/grafana/gtap.json"))


def expressions(panels):
    return [(panel["title"], target["expr"]) for panel in panels
            for target in panel.get("targets", [])]


def filled(expr):
    """As Grafana asks it: variables replaced."""
    return re.sub(r"\$(\w+)", lambda m: VARIABLES[m[1]], expr)


class Dashboard(test_scraping.Scraped):
    test_scrape = test_alerts = None  # of the class above

    def value(self, expr):
        """The numbers of an answer; None where there is none, or none that is a number."""
        found = [v for v in self.series(filled(expr)).values() if math.isfinite(v)]
        return found or None

    def test_queries(self):
        """Not one is empty, and those that show the bill show what /metrics says."""
        self.start_prometheus()
        self.wait_for(lambda: self.series("gtap_usd_per_million_tokens"))
        waiting = expressions(dashboard()["panels"])
        self.assertGreater(len(waiting), 20)
        more = batches(support.records(12000, seed=2, rate=5)[len(self.lines):], 50)

        def answered():  # records go on coming between scrapes, for as long as there is a wait
            if time.monotonic() > self.due:
                self.due = time.monotonic() + support.DEADLINE / len(more)
                self.served.post(left.pop())
            waiting[:] = [(title, expr) for title, expr in waiting if self.value(expr) is None]
            return not waiting

        left, self.due = more[::-1], 0
        try:
            self.wait_for(answered)
        except AssertionError:
            self.fail("no answer to\n" + "\n".join(f"{t}: {filled(e)}" for t, e in waiting))

    def test_bill(self):
        """What the two large numbers show is what /metrics says."""
        self.start_prometheus()
        exprs = dict(expressions(dashboard()["panels"]))
        self.wait_for(lambda: self.value(exprs["A million tokens, all GPU time paid"]))

        def agree():
            costs = sum(self.served.metric(f'gtap_cost_usd_per_hour{{kind="{kind}"}}')
                        for kind in ("usage", "idle", "unattributed"))
            shown = self.value(exprs["Burn"])
            return shown is not None and math.isclose(shown[0], costs, rel_tol=1e-9)

        self.wait_for(agree)

    def test_variables(self):
        """The lists to choose from are not empty, and every variable in use is one."""
        self.start_prometheus()
        self.wait_for(lambda: self.series("gtap_recent_tokens"))
        listed = {v["name"]: v for v in dashboard()["templating"]["list"]}
        for variable in listed.values():
            if variable["type"] == "query":
                selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)",
                                               variable["query"]["query"]).groups()
                match = {"match[]": filled(selector)}
                self.wait_for(lambda m=match, at=label: any(
                    one.get(at) for one in self.ask("series", **m) or ()), variable["name"])
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard()))) - {"__rate_interval", "__all"}
        self.assertEqual(used, set(listed))


class Shape(support.unittest.TestCase):
    def test_panels(self):
        """Panels have ids of their own, do not overlap, and say what they show."""
        cells, ids = set(), set()
        for panel in dashboard()["panels"]:
            at = panel["gridPos"]
            own = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                   for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(own & cells, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24)
            cells |= own
            ids.add(panel["id"])
            if panel["type"] != "row":
                self.assertTrue(panel["description"], panel["title"])
        self.assertEqual(len(ids), len(dashboard()["panels"]))


if __name__ == "__main__":
    support.main(__name__)
