"""How fast the views of the API answer, over a store of many requests and days."""

import http.client
import json
import re
import statistics
import subprocess
import time
import urllib.parse

from harness import Failed

# A tenant of about 100 requests among all the others', on a GPU of its own.
RARE = ("synthetic:?duration={days}d&start=-{days}d&rate={rare:.9f}&every=30s&gpus=1&host=lab"
        "&tenants=rare:1&models=llama-3-8b:1&seed=5&price=2.5")
MANY = ("synthetic:?duration={days}d&start=-{days}d&rate={rate:.6f}&every=30s&gpus=8&tenants=50"
        "&price=2.5")
RARE_REQUESTS = 100


def sources(days, requests):
    seconds = days * 86400
    return [MANY.format(days=days, rate=requests / seconds),
            RARE.format(days=days, rare=min(RARE_REQUESTS, requests) / seconds)]


def views(days):
    """What people look at: a name, and what is asked for."""
    return {
        f"costs, {days} days by day and model": f"costs?since={days}d&step=1d&by=model",
        "costs, a week by hour and tenant": "costs?since=7d&step=1h&by=tenant",
        "the same, the 12 costliest": "costs?since=7d&step=1h&by=tenant&limit=12",
        "costs, 24 h by model": "costs?since=24h&by=model",
        "GPUs": "gpus",
        "requests, the newest 50": "requests",
        "requests of a tenant among 50": "requests?tenant=search",
        "requests of a rare tenant": "requests?tenant=rare",
        "requests of one GPU": "requests?gpu=gpu-01/3",
        "requests without a GPU": "requests?filter=unplaced",
        "requests without a price": "requests?filter=unpriced",
        "requests that cost much": "requests?min_usd=100",
        "prices": "prices",
    }


class Serving:
    """`gtap serve` until the end of a with statement."""

    def __init__(self, gtap, store):
        self.process = subprocess.Popen(
            [gtap, "serve", "--store", f"sqlite:{store}", "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline()
        port = re.search(r"serving at \S+:(\d+)", said)
        if port is None:
            self.process.kill()
            raise Failed(f"gtap serve does not serve: {said}{self.process.communicate()[1]}")
        self.connection = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=600)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def ask(self, view):
        """The answer, and the seconds until all of it was here."""
        began = time.monotonic()
        self.connection.request("GET", f"/api/v1/{view}")
        answer = self.connection.getresponse()
        body = answer.read()
        took = time.monotonic() - began
        if answer.status != 200:
            raise Failed(f"{view}: {answer.status}: {body.decode()}")
        return json.loads(body), took


def explanation(served):
    """The view of one request that cost something, of the newest."""
    items = served.ask("requests?limit=50")[0]["items"]
    costly = [i["event_id"] for i in items if i["final"] and i["cost_nusd"]]
    return "requests/" + urllib.parse.quote(costly[0], safe="")


def measure(gtap, store, days, rounds):
    """Median seconds of each view, and how many rows or items it had."""
    with Serving(gtap, store) as served:
        asked = {**views(days), "one request, explained": explanation(served)}
        took = {name: [] for name in asked}
        found = {}
        for _ in range(rounds):
            for name, view in asked.items():
                answer, seconds = served.ask(view)
                took[name].append(seconds)
                found[name] = len(answer.get("items", answer.get("rows", [answer])))
    return {name: (statistics.median(took[name]), found[name]) for name in asked}
