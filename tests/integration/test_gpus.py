"""GPUs metered from outside: a library of our own in NVML's place, a script in nvidia-smi's, the
price list that comes with gtap, and a real GPU where there is one.

    test_gpus.py --gtap BUILD/gtap [--only TEXT]
"""

import calendar
import csv
import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time

import gtap as support

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PRICES = os.path.join(ROOT, "share", "prices", "list-2026-11.csv")
PRICE = 3_600_000_000  # nano-USD an hour: 1,000,000 a second


def nanoseconds(text):
    """Of a time as gtap writes it."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds * 10**9 + int(fraction.ljust(9, "0"))


class Live(support.Case):
    """A gtap that prints what it samples."""

    def start(self, uri, out="stdout:", **env):
        child = self.gtap.start("run", "--in", uri, "--out", out, env={**os.environ, **env})
        self.addCleanup(self.end, child)
        return child

    def end(self, child):
        """Ends it in order and gives what it said on stderr."""
        if child.stdout.closed:
            return ""
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=support.DEADLINE)
        self.assertEqual(child.returncode, 0, said)
        return said

    def samples(self, child, enough):
        """Reads samples until enough(list of them)."""
        deadline, got, rest = time.monotonic() + support.DEADLINE, [], b""
        fd = child.stdout.fileno()
        while not enough(got):
            left = deadline - time.monotonic()
            self.assertGreater(left, 0, f"not enough came: {got[-3:]}")
            if select.select([fd], [], [], left)[0]:
                *lines, rest = (rest + os.read(fd, 1 << 16)).split(b"\n")
                got += [json.loads(line) for line in lines]
        return got

    def gpus(self, child, wanted):
        """The samples of a round in which just these were sampled, once there were two in a row."""
        def starts(got):
            seen = [(s["gpu_index"], s.get("gpu_instance")) for s in got]
            return [i for i in range(len(seen)) if seen[i:i + 2 * len(wanted)] == 2 * wanted]
        got = self.samples(child, starts)
        return got[starts(got)[0]:][:len(wanted)]


class Nvml(Live):
    def setUp(self):
        super().setUp()
        folder = os.environ.get("GTAP_FAKE_NVML")
        if not folder:
            self.skipTest("GTAP_FAKE_NVML names no folder with the libraries to test with")
        self.library = os.path.join(folder, "libfake_nvml_new.so")
        self.env = {"FAKE_NVML": self.gtap.file("faults"), "GTAP_NVML_LIBRARY": self.library}
        self.say("gpus=2")

    def say(self, *faults):
        """What the library does from now on; never half of it."""
        support.write_lines(self.gtap.file("faults.new"), faults)
        os.rename(self.gtap.file("faults.new"), self.gtap.file("faults"))

    def test_metered(self):
        """Samples live, requests from a file behind them: what the GPUs cost is shared out."""
        store = self.gtap.store("live.db")
        child = self.start("nvml:?host=gpu-01&price=3.6&every=100ms", store, **self.env)
        self.wait_for(lambda: self.stored(store) >= 40)
        self.end(child)
        samples = self.gtap.export("gpu_metrics", store)
        self.assertEqual({s["gpu_index"] for s in samples}, {0, 1})
        self.assertEqual(samples[0]["name"], "NVIDIA H100 80GB HBM3")
        times = sorted(nanoseconds(s["ts"]) for s in samples if s["gpu_index"] == 0)
        begin, end = times[0], times[-1]
        self.gtap.meter(store, self.write("requests.ndjson", [json.dumps({
            "ts": (begin + end) // 2 / 1e9, "model": "m", "host": "gpu-01", "gpu_index": 0,
            "prompt_tokens": 100, "completion_tokens": 10, "latency_ms": 200})]))
        self.assert_verified(store)
        rows = self.gtap.export("cost_windows", store)
        self.assertEqual({row["kind"] for row in rows}, {"usage", "idle"})
        self.assertTrue(all(row["final"] for row in rows))
        bill = sum(row["cost_nusd"] for row in rows if row["gpu_index"] == 0)
        self.assertAlmostEqual(bill, PRICE * (end - begin) / 3600e9, delta=2)
        self.assertAlmostEqual(
            sum(row["cost_nusd"] for row in rows if row["kind"] == "usage"), PRICE / 18000, delta=2)

    def stored(self, store):
        if not os.path.exists(store.removeprefix("sqlite:")):
            return 0
        done = self.gtap.run("export", "gpu_metrics", "--store", store, expect=None)
        return done.stdout.count("\n")

    def test_lost_and_back(self):
        child = self.start("nvml:?host=h&every=100ms", **self.env)
        self.gpus(child, [(0, None), (1, None)])
        self.say("gpus=2", "lost=0")
        self.gpus(child, [(1, None)])
        self.say("gpus=2")
        self.gpus(child, [(0, None), (1, None)])

    def test_the_driver_is_exchanged(self):
        child = self.start("gpu:?host=h&every=100ms", **self.env)
        self.gpus(child, [(0, None), (1, None)])
        self.say("all=18")
        self.samples(child, lambda got: True)
        self.say("gpus=1", "mig=1")
        slices = self.gpus(child, [(0, 2), (0, 3), (0, 9), (0, 10)])
        self.assertEqual([s["mig_profile"] for s in slices],
                         ["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"])
        self.assertEqual(slices[2]["name"], "MIG 1g.10gb of NVIDIA H100 80GB HBM3")
        self.assertNotIn("utilization", slices[0])

    def test_no_driver_yet(self):
        self.say("init=9")
        child = self.start("nvml:?host=h&every=100ms", **self.env)
        tries = self.gtap.file("faults.inits")
        self.wait_for(lambda: os.path.exists(tries) and os.path.getsize(tries) >= 2)
        self.say("gpus=1")
        self.gpus(child, [(0, None)])


class NvidiaSmi(Live):
    HEADER = ("index, name, uuid, utilization.gpu [%], memory.used [MiB], memory.total [MiB], "
              "power.draw [W], temperature.gpu, clocks.current.sm [MHz]")
    ROW = "0, NVIDIA L4, GPU-0, {} %, 1 MiB, 23034 MiB, 16.10 W, 33, 210 MHz"

    def script(self, body):
        path = self.gtap.file("nvidia-smi")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\necho $$ >>{self.gtap.file('pids')}\necho '{self.HEADER}'\n{body}\n")
        os.chmod(path, 0o700)
        return f"nvidia-smi:?path={path}&host=h&every=100ms"

    def alive(self, pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                return f.read().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def pids(self):
        with open(self.gtap.file("pids"), encoding="utf-8") as f:
            return [int(line) for line in f]

    def test_it_dies_and_is_started_again(self):
        uri = self.script(f"echo '{self.ROW.format(7)}'; exit 3")
        child = self.start(uri)
        got = self.samples(child, lambda got: len(got) >= 3)
        self.assertTrue(all(s["utilization"] == 0.07 for s in got))
        self.assertGreaterEqual(len(self.pids()), 3)

    def forever(self):
        return self.script(f"while echo '{self.ROW.format(9)}'; do sleep 0.1; done")

    def test_it_ends_with_gtap(self):
        child = self.start(self.forever())
        self.samples(child, lambda got: len(got) >= 2)
        (pid,) = self.pids()
        self.assertTrue(self.alive(pid))
        self.end(child)
        self.assertFalse(self.alive(pid))

    def test_it_ends_when_gtap_is_killed(self):
        child = self.start(self.forever())
        self.samples(child, lambda got: len(got) >= 2)
        (pid,) = self.pids()
        child.kill()
        child.communicate()
        self.wait_for(lambda: not self.alive(pid))

    def test_no_source(self):
        env = {"PATH": self.gtap.folder, "GTAP_NVML_LIBRARY": self.gtap.file("none.so"),
               "GPU_METRICS_SOURCE": ""}
        child = self.gtap.start("run", "--in", "gpu:", "--out", "stdout:",
                                env={**os.environ, **env})
        out, said = child.communicate(timeout=support.DEADLINE)
        self.assertEqual((child.returncode != 0, out), (True, ""))
        self.assertIn("GPU_METRICS_SOURCE=seed", said)


class Prices(support.Case):
    """The list that comes with gtap prices GPUs by their names, and only when it is imported."""

    def sample(self, second, index, name):
        return json.dumps({"ts": f"2026-11-23T14:00:{second:02}Z", "host": "h", "gpu_index": index,
                           "name": name, "power_w": 100})

    def test_imported(self):
        store = self.gtap.store("prices.db")
        names = ["NVIDIA H100 80GB HBM3", "NVIDIA GeForce RTX 2080 SUPER",
                 "MIG 1g.10gb of NVIDIA H100 80GB HBM3"]
        lines = [self.sample(second, index, name) for second in range(0, 21, 10)
                 for index, name in enumerate(names)]
        self.gtap.run("price", "import", PRICES, "--store", store)
        self.gtap.meter(store, self.write("samples.ndjson", lines))
        cost, unpriced = {}, {}
        for row in self.gtap.export("cost_windows", store):
            gpu = row["gpu_index"]
            cost[gpu] = cost.get(gpu, 0) + (row["cost_nusd"] or 0)
            unpriced[gpu] = unpriced.get(gpu, 0) + row["unpriced_ns"]
        self.assertAlmostEqual(cost[0], 3_850_000_000 * 20 / 3600, delta=1)  # $3.85/h, 20 s
        self.assertAlmostEqual(cost[2], 550_000_000 * 20 / 3600, delta=1)  # a seventh of it
        self.assertEqual([unpriced[gpu] for gpu in (0, 1, 2)], [0, 20 * 10**9, 0])
        self.assert_verified(store)

    def test_every_line_says_where_it_is_from(self):
        with open(PRICES, encoding="utf-8", newline="") as f:
            rows = list(csv.DictReader(f))
        self.assertGreater(len(rows), 0)
        self.assertEqual(len({row["name"] for row in rows}), len(rows))
        for row in rows:
            self.assertIn("on demand, list", row["source"])
            self.assertTrue(row["effective_from"].startswith("2026-"))


class RealGpu(Live):
    """Where there is a GPU: NVML through gtap against nvidia-smi's own figures, under a load."""

    LOAD_MIB = 2048

    def setUp(self):
        super().setUp()
        if not os.path.exists("/dev/nvidiactl") or not shutil.which("nvidia-smi"):
            self.skipTest("no NVIDIA GPU on this machine")

    def smi(self):
        fields = ("index,name,uuid,memory.total,memory.used,utilization.gpu,power.draw,"
                  "temperature.gpu,mig.mode.current")
        text = subprocess.run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
                              capture_output=True, text=True, check=True,
                              timeout=support.DEADLINE).stdout
        rows = csv.DictReader(io.StringIO(text), fieldnames=fields.split(","),
                              skipinitialspace=True)
        whole = [row for row in rows if row["mig.mode.current"] != "Enabled"]
        if not whole:
            self.skipTest("all GPUs of this machine are cut into MIG slices")
        return whole

    def newest(self, child):
        """A sample of each GPU, taken after now."""
        count = len(self.smi())
        now = time.time()
        fresh = lambda got: [s for s in got if nanoseconds(s["ts"]) > now * 1e9]
        got = self.samples(child, lambda got: len({s["uuid"] for s in fresh(got)}) >= count)
        return {s["uuid"]: s for s in fresh(got)}

    def assert_same(self, ours, theirs):
        self.assertEqual(ours["name"], theirs["name"])
        self.assertEqual(ours["gpu_index"], int(theirs["index"]))
        # nvidia-smi rounds each figure up to a mebibyte.
        self.assertAlmostEqual(ours["mem_total_mb"], float(theirs["memory.total"]), delta=1)
        self.assertAlmostEqual(ours["mem_used_mb"], float(theirs["memory.used"]), delta=64)
        self.assertAlmostEqual(ours["temperature_c"], float(theirs["temperature.gpu"]), delta=8)

    def test_idle_and_under_load(self):
        whole = self.smi()
        child = self.start("nvml:?host=h&every=200ms")
        idle = self.newest(child)
        for gpu in whole:
            self.assert_same(idle[gpu["uuid"]], gpu)
        load = subprocess.Popen([sys.executable, os.path.join(HERE, "..", "support", "gpu_load.py"),
                                 "0", str(self.LOAD_MIB)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(load.communicate)
        self.addCleanup(load.kill)
        if load.stdout.readline() != "busy\n":
            self.skipTest("no CUDA driver to make a load with")
        # CUDA's first GPU need not be NVML's: it is the one whose memory was taken.
        deadline = time.monotonic() + support.DEADLINE
        while True:
            theirs = {row["uuid"]: row for row in self.smi()}
            ours = self.newest(child)
            busy = [uuid for uuid, s in ours.items() if uuid in idle and
                    s["mem_used_mb"] >= idle[uuid]["mem_used_mb"] + self.LOAD_MIB]
            if busy and ours[busy[0]]["utilization"] >= 0.5:
                break
            self.assertLess(time.monotonic(), deadline, "the load was not seen")
        self.assert_same(ours[busy[0]], theirs[busy[0]])
        later = self.newest(child)[busy[0]]
        if "energy_mj" in later:
            self.assertGreater(later["energy_mj"], idle[busy[0]]["energy_mj"])

    def test_both_sources_agree(self):
        nvml = self.newest(self.start("nvml:?host=h&every=200ms"))
        smi = self.newest(self.start("nvidia-smi:?host=h&every=200ms"))
        for gpu in self.smi():
            ours, theirs = nvml[gpu["uuid"]], smi[gpu["uuid"]]
            self.assertEqual(ours["name"], theirs["name"])
            self.assertEqual(ours["gpu_index"], theirs["gpu_index"])
            self.assertAlmostEqual(ours["mem_total_mb"], theirs["mem_total_mb"], delta=1)


if __name__ == "__main__":
    support.main(__name__)
