"""`gtap agent` and `gtap gateway` from outside, against librdkafka's mock cluster: what they
acknowledged is in Kafka, whatever was down or killed meanwhile.

    test_sending.py --gtap BUILD/gtap [--kills N] [--only TEXT]
"""

import json
import os
import random
import threading
import time

import gtap as support
import sending
from served import Refused


def one(number):
    return support.usage(random.Random(number), number, support.EPOCH + number, 0)


def many(first, n):
    return [one(first + i) for i in range(n)]


def ids(first, n):
    return [support.event_id(first + i) for i in range(n)]


class Agent(sending.Case):
    def test_files_go_to_the_topics_of_their_kinds_keyed_by_host(self):
        lines = support.records(3000, gpus=2)
        uri = self.write("day.ndjson", lines)
        done = self.gtap.run("agent", "-b", self.kafka.bootstrap, "--in", uri, "--spool", "s",
                             "--json")
        sent = [json.loads(line) for line in lines]
        self.assertEqual(json.loads(done.stdout)["records"], len(sent))
        order = self.topics.read_until(r["event_id"] for r in sent)
        self.assertEqual(len(order), len(self.topics.records))  # none twice
        places = {}
        by_id = {r["event_id"]: r for r in sent}
        for topic, partition, key, record in self.topics.records:
            want = by_id[record["event_id"]]
            self.assertEqual(topic, sending.TOPICS["model" in want])
            self.assertEqual(key, want["host"])
            places.setdefault(key, set()).add(partition)
            for field in ("gpu_index", "prompt_tokens", "power_w", "tenant"):
                self.assertEqual(record.get(field), want.get(field))
        self.assertEqual([len(p) for p in places.values()], [1])  # both topics: one partition

    def test_one_topic_and_the_missions_variables(self):
        self.kafka.topic("tokens", 3)
        topics = sending.Topics(self.kafka.bootstrap, ("tokens",))
        self.addCleanup(topics.close)
        env = {**os.environ, "KAFKA_BOOTSTRAP": self.kafka.bootstrap, "KAFKA_TOPIC": "tokens",
               "BATCH": "20", "SLEEP_SEC": "0.5", "HOSTNAME": "pod-7",
               "GTAP_AGENT_SPOOL": self.spool()}
        agent = self.gtap.start("agent", env=env)
        try:
            self.wait_for(lambda: sum("model" in r for *_, r in topics.read()) >= 60)
        finally:
            agent.terminate()
            self.assertIn("stored", agent.communicate(timeout=support.DEADLINE)[1])
        self.assertEqual({r["host"] for *_, r in topics.records}, {"pod-7-01"})
        self.assertTrue(any("power_w" in r for *_, r in topics.records))

    def test_the_default_is_this_machines_gpus(self):
        seed = [{"gpu_index": 3, "name": "A100", "power_w": 100, "price_per_hour_usd": 2}]
        with open(self.gtap.file("seed.json"), "w", encoding="utf-8") as f:
            json.dump(seed, f)
        env = {**os.environ, "GPU_METRICS_SOURCE": "seed", "GPU_SEED": self.gtap.file("seed.json"),
               "HOSTNAME": "node-9"}
        self.send("agent", "--spool", self.spool(), env=env)
        self.wait_for(lambda: len(self.topics.read()) >= 2)
        topic, _, key, record = self.topics.records[0]
        self.assertEqual((topic, key, record["gpu_index"]), ("gpu.metrics.v1", "node-9", 3))

    def test_killed_while_brokers_come_and_go(self):
        """A live source's samples are numbered, so a gap shows; only what was read and not yet
        handed over may be missing where the process was killed."""
        agent = self.send("agent", "--in", "seed:?every=10ms", "--spool", self.spool())
        self.wait_for(lambda: len(self.topics.read()) > 20)
        for _ in range(3):
            self.kafka.tell("broker down all")
            self.wait_for(lambda: self.spooled() > 20000)
            agent.kill()
            held = self.spooled()
            self.assertGreater(held, 20000)
            agent = self.send("agent", "--in", "seed:?every=10ms", "--spool", self.spool())
            self.wait_for(lambda: self.spooled() > held)
            self.kafka.tell("broker up all")
            self.wait_for(lambda: self.spooled() == 0)
        before = len(self.topics.read())
        self.wait_for(lambda: len(self.topics.read()) > before + 100)
        self.assertEqual(agent.stop(), 0)
        self.check_numbers()

    def check_numbers(self):
        runs = {}
        for name in dict.fromkeys(self.topics.ids()):
            run, number = name.rsplit(":", 1)
            runs.setdefault(run, []).append(int(number))
        self.assertEqual(len(runs), 4)
        for numbers in runs.values():
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def test_without_a_spool_what_nobody_waits_for_is_dropped(self):
        self.kafka.tell("broker down all")
        agent = self.send("agent", "--in", "seed:?every=10ms", "--spool", "")
        self.wait_for(lambda: any("takes nothing" in line for line in agent.said))
        self.kafka.tell("broker up all")
        self.wait_for(lambda: len(self.topics.read()) > 100)
        self.assertEqual(agent.stop(), 0)
        self.assertIn("dropped for want of room", agent.said[-1])

    def test_what_a_full_spool_does_not_take_is_counted(self):
        """Of a live input: all else arrives, in order."""
        self.kafka.tell("broker down all")
        agent = self.send("agent", "--in", "seed:?every=10ms", "--spool", self.spool(),
                          "--spool-max", "64K")
        self.wait_for(lambda: agent.metric("gtap_dropped_total"))
        self.kafka.tell("broker up all")
        self.wait_for(lambda: self.spooled() == 0)
        read = len(self.topics.read())
        self.wait_for(lambda: len(self.topics.read()) > read + 100)
        self.wait_for(lambda: self.missing() == agent.metric("gtap_dropped_total"))
        self.assertGreater(self.missing(), 0)
        self.assertEqual(agent.stop(), 0)

    def missing(self):
        """How many of the numbers up to the highest did not come; those that did came in order."""
        numbers = [int(name.rsplit(":", 1)[1]) for name in dict.fromkeys(self.topics.ids())]
        self.assertEqual(numbers, sorted(numbers))
        return numbers[-1] - len(numbers)

    def test_a_file_waits_for_room(self):
        uri = self.write("day.ndjson", many(1, 10000))  # 2.7 MB
        self.kafka.tell("broker down all")
        agent = self.send("agent", "--in", uri, "--spool", self.spool(), "--spool-max", "2M")
        self.wait_for(lambda: agent.metric("gtap_spool_refused_total"))
        self.assertGreater(self.spooled(), 1 << 20)
        self.assertLessEqual(self.spooled(), 2 << 20)
        self.assertIsNone(agent.process.poll())
        self.kafka.tell("broker up all")
        self.assertEqual(self.topics.read_until(ids(1, 10000)), ids(1, 10000))
        self.assertEqual(agent.wait(), 0)

    def test_a_file_ends_when_it_is_sent(self):
        """Not before the spool, into which all of it went, is empty."""
        uri = self.write("day.ndjson", many(1, 2000))
        self.kafka.tell("broker down all")
        agent = self.send("agent", "--in", uri, "--spool", self.spool())
        self.wait_for(lambda: self.spooled() > 0)
        self.kafka.tell("rtt 300")
        self.kafka.tell("broker up all")
        self.assertEqual(agent.wait(), 0)
        self.assertEqual(self.spooled(), 0)
        self.assertEqual(self.topics.read_until(ids(1, 2000)), ids(1, 2000))

    def test_a_file_that_cannot_be_sent_is_kept(self):
        """It ends, says that the next start has something to send, and that sends it."""
        uri = self.write("day.ndjson", many(1, 20))
        self.kafka.tell("broker down all")
        agent = self.send("agent", "--in", uri, "--spool", self.spool())
        self.assertEqual(agent.wait(), 0)
        self.assertGreater(self.spooled(), 0)
        self.assertTrue(any("the next start" in line for line in agent.said), agent.said)
        self.kafka.tell("broker up all")
        done = self.gtap.run("agent", "-b", self.kafka.bootstrap, "--spool", self.spool(), "--in",
                             self.write("nothing.ndjson", []))
        self.assertNotIn("the next start", done.stderr)
        self.assertEqual(self.topics.read_until(ids(1, 20)), ids(1, 20))

    def test_small(self):
        """Eight GPUs once a second: under 15 MB, and hardly any CPU time."""
        seed = [{"gpu_index": i, "name": "NVIDIA H100 80GB HBM3", "utilization": 0.5,
                 "mem_used_mb": 40000, "power_w": 400, "temperature_c": 50} for i in range(8)]
        with open(self.gtap.file("seed.json"), "w", encoding="utf-8") as f:
            json.dump(seed, f)
        agent = self.send("agent", "--in", "seed:" + self.gtap.file("seed.json"), "--spool",
                          self.spool())
        self.wait_for(lambda: len(self.topics.read()) > 16)
        before, begun = self.cpu_ns(agent.process.pid), time.monotonic()
        n = len(self.topics.read())
        self.wait_for(lambda: len(self.topics.read()) >= n + 64)  # eight seconds
        used = self.cpu_ns(agent.process.pid) - before
        took = time.monotonic() - begun  # some more, where they are seen late
        with open(f"/proc/{agent.process.pid}/status", encoding="ascii") as f:
            peak = int(f.read().split("VmHWM:")[1].split()[0])
        print(f"# {used / took / 1e6:.2f} ms of CPU time a second, {peak} kB at most")
        if support.ARGS.kills > 10:  # no sanitizer is in the binary
            self.assertLess(peak, 15 << 10)
            self.assertLess(used, took * 10e6)  # 1 % of a core, on a machine that is busy otherwise

    @staticmethod
    def cpu_ns(pid):
        total = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        return total


class Gateway(sending.Case):
    def gateway(self, *options, **kwargs):
        return self.send("gateway", "--spool", self.spool(), *options, **kwargs)

    def post(self, gateway, first, n, **kwargs):
        status, text = gateway.post(many(first, n), **kwargs)
        return status, json.loads(text)

    def test_the_answer_says_where(self):
        gateway = self.gateway()
        def in_kafka():  # or in the spool, where it took longer than a gateway waits for that
            status, answer = self.post(gateway, 1, 10)
            self.assertEqual((status, answer["accepted"]), (200, 10))
            return answer["stored"] == "kafka"

        self.wait_for(in_kafka)
        self.kafka.tell("broker down all")
        status, answer = self.post(gateway, 11, 10)
        self.assertEqual((status, answer["accepted"], answer["stored"]), (200, 10, "spool"))
        gateway.kill()  # what was answered is safe
        gateway = self.gateway()
        self.assertEqual(self.post(gateway, 21, 10)[1]["stored"], "spool")
        self.kafka.tell("broker up all")
        self.assertEqual(self.topics.read_until(ids(1, 30)), ids(1, 30))
        self.wait_for(lambda: self.spooled() == 0)
        self.wait_for(lambda: self.post(gateway, 31, 1)[1]["stored"] == "kafka")
        self.assertEqual(gateway.stop(), 0)

    def test_full(self):
        self.kafka.tell("broker down all")
        gateway = self.gateway("--spool-max", "64K")
        number, status = 0, 200
        while status == 200:
            status, answer = self.post(gateway, number * 20, 20)
            number += status == 200
        self.assertEqual((status, answer["status"]), (429, 429))
        self.assertIn("room", answer["detail"])
        self.assertGreater(number, 5)
        connection = gateway.connect()
        connection.request("POST", "/v1/events", one(0))
        answer = connection.getresponse()
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (429, "1"))
        connection.close()
        self.wait_for(lambda: gateway.metric("gtap_turned_away_total") == 21)
        self.assertEqual(gateway.metric("gtap_spool_appended_total"), number * 20)
        self.wait_for(lambda: gateway.metric("gtap_kafka_up") == 0)
        self.wait_for(lambda: gateway.ready()[0] == 503)
        self.assertFalse(gateway.ready()[1]["store"]["ok"])
        self.kafka.tell("broker up all")
        self.topics.read_until(ids(0, number * 20))
        self.wait_for(lambda: self.post(gateway, 10000, 1)[0] == 200)
        self.wait_for(lambda: gateway.ready()[0] == 200)

    def test_token_rate_and_size(self):
        with open(self.gtap.file("token"), "w", encoding="ascii") as f:
            f.write("secret\n")
        gateway = self.gateway("--api-token-file", self.gtap.file("token"), "--request-rate", "1")
        right = {"Authorization": "Bearer secret"}
        self.assertEqual(gateway.post(many(1, 1))[0], 401)
        self.assertEqual(gateway.post(many(1, 1), right)[0], 200)
        statuses = set()

        def both():  # too soon after another, and late enough
            statuses.add(gateway.post(many(2, 1), right)[0])
            return len(statuses) > 1

        self.wait_for(both)
        self.assertEqual(statuses, {200, 429})

    def test_bad_records_are_told_and_good_ones_sent(self):
        gateway = self.gateway()
        status, text = gateway.post([*many(1, 2), '{"model": 3}', *many(3, 1)])
        answer = json.loads(text)
        self.assertEqual((status, answer["accepted"], answer["rejected"]), (200, 3, 1))
        self.assertEqual(answer["errors"][0]["record"], 3)
        self.assertEqual(self.topics.read_until(ids(1, 3)), ids(1, 3))

    def test_what_was_acknowledged_is_in_kafka(self):
        """Senders post without a pause while the gateway is killed and brokers go and come."""
        kills = min(support.ARGS.kills, 12)
        rng, acknowledged, places = random.Random(5), [], set()
        lock, ending = threading.Lock(), threading.Event()
        self.now = self.gateway()

        def post_on(first):
            number = first
            while not ending.is_set():
                try:
                    status, answer = self.post(self.now, number, 7)
                except (Refused, ValueError):
                    status = 0
                if status == 200:
                    with lock:
                        acknowledged.extend(ids(number, 7))
                        places.add(answer["stored"])
                number += 7

        senders = [threading.Thread(target=post_on, args=(10_000_000 * (i + 1),)) for i in range(3)]
        for thread in senders:
            thread.start()
        try:
            for i in range(kills):
                self.kafka.tell(f"broker {'down' if i % 4 == 1 else 'up'} all")
                before = len(acknowledged)
                self.wait_for(lambda n=before: len(acknowledged) > n + 50)
                time.sleep(rng.random() / 20)
                self.now.kill()
                self.now = self.gateway()
        finally:
            ending.set()
            for thread in senders:
                thread.join()
        self.kafka.tell("broker up all")
        self.topics.read_until(acknowledged)
        print(f"# {kills} kills, {len(acknowledged)} records acknowledged")
        self.assertEqual(places, {"kafka", "spool"})

    def test_two_cannot_share_a_spool(self):
        self.gateway()
        done = self.gtap.run("gateway", "-b", self.kafka.bootstrap, "--spool", self.spool(),
                             "--listen", "127.0.0.1:0", expect=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another gtap uses it", done.stderr)


class Words(support.Case):
    def test_what_is_wrong_is_said(self):
        cases = [
            (["agent"], "KAFKA_BOOTSTRAP"),
            (["agent", "-b", "k:9092", "--spool-max", "9"], "--spool-max"),
            (["agent", "-b", "k:9092", "--spool-max", "many"], "512M"),
            (["gateway", "-b", "k:9092", "--kafka-property", "acks=1", "--spool", ""], "replica"),
            (["gateway", "-b", "k:9092", "--kafka-property", "nonsense=1", "--spool", ""],
             "nonsense"),
        ]
        env = {k: v for k, v in os.environ.items() if not k.startswith("KAFKA_")}
        for words, text in cases:
            with self.subTest(words=words):
                run = self.gtap.start(*words, env=env)
                said = run.communicate(timeout=support.DEADLINE)[1]
                self.assertEqual(run.returncode, 2, said)
                self.assertIn(text, said)


if __name__ == "__main__":
    support.main(__name__)
