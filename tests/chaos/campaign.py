"""A fault campaign: a load with an oracle, faults that strike it, and what must be true in the end.

    Campaign(case, seed=1, kills=10, seconds=30, rate=150).run()

`case` is a stack.Case: its brokers, its database, its topics. Everything that is wrong in the end
fails the case; `figures` says what happened.
"""

import json
import os
import sys
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
for _folder in (HERE, os.path.join(HERE, "..", "integration"), os.path.join(HERE, "..", "support")):
    if _folder not in sys.path:
        sys.path.append(_folder)

import adversary  # noqa: E402
import faults  # noqa: E402
import kafka  # noqa: E402
import load  # noqa: E402
import members  # noqa: E402
import stack  # noqa: E402
from daemon import DEADLINE, free_ports, holds  # noqa: E402

HOSTS, POSTERS, AGENTS, GATEWAYS = 6, 4, 2, 2
POISON = 5


class Campaign:
    def __init__(self, case, seed, kills, seconds, rate, rounds=1, processors=2, session_s=3,
                 recovery_s=90, folder=None, say=lambda text: None):
        self.case, self.kafka, self.mongo = case, case.kafka, case.mongo
        self.seed, self.kills, self.seconds, self.rate = seed, kills, seconds, rate
        self.rounds, self.session_s, self.recovery_s = rounds, session_s, recovery_s
        self.folder = folder or case.gtap.folder
        self.over, self.wrong, self.say = threading.Event(), [], say
        self.account, self.figures, self.n_processors = load.Account(), {}, 0
        self.fleet = members.Fleet(case.gtap.path, self.folder)
        self.first_processors = processors
        self.senders = []

    def complain(self, text):
        self.wrong.append(text)

    # The processes

    def properties(self):
        session = int(self.session_s * 1000)
        return [word for p in (f"session.timeout.ms={session}",
                               f"heartbeat.interval.ms={session // 6}",
                               "reconnect.backoff.max.ms=200")
                for word in ("--kafka-property", p)]

    def add_processor(self):
        self.n_processors += 1
        return self.fleet.add("processor", f"processor-{self.n_processors}",
                              self.case.processor_args(*self.properties()),
                              {"MONGODB_URI": self.case.store_uri})

    def sender_args(self, kind, name):
        topics = self.case.topics
        return [kind, "--bootstrap", self.kafka.bootstrap, "--topic-metric", topics[0],
                "--topic-token", topics[-1], "--kafka-property", "reconnect.backoff.max.ms=200",
                "--spool", os.path.join(self.folder, f"spool-{name}")]

    def start(self, lines):
        for _ in range(self.first_processors):
            self.add_processor()
        ports = free_ports(GATEWAYS)
        for n, port in enumerate(ports):
            name = f"gateway-{n + 1}"
            self.fleet.add("gateway", name, [*self.sender_args("gateway", name), "--listen",
                                             f"127.0.0.1:{port}"])
        parts = load.shares(lines, POSTERS + AGENTS)
        self.pace = load.Pace(self.rate)
        for n in range(POSTERS):
            self.senders.append(load.Poster(f"site-{n + 1}", parts[n], self.pace, self.account,
                                            (self.seed << 8) + n, ports=ports))
        for n in range(AGENTS):
            name = f"agent-{n + 1}"
            agent = self.fleet.add("agent", name, self.sender_args("agent", name), start=False)
            self.senders.append(load.Follower(name, parts[POSTERS + n], self.pace, self.account,
                                              (self.seed << 8) + POSTERS + n, member=agent,
                                              folder=self.folder))
        for sender in self.senders:
            sender.start()

    def coordinator(self):
        client = kafka.Cluster(self.kafka.folder).admin()
        found = client.describe_consumer_groups(
            [self.case.group], request_timeout=DEADLINE)[self.case.group].result(DEADLINE)
        return found.coordinator.id

    def poison(self):
        """What no gateway would let pass: a few messages that must be dead letters, each once."""
        producer = kafka.client().Producer({"bootstrap.servers": self.kafka.bootstrap,
                                            "partitioner": "murmur2_random"})
        for n in range(POISON):
            producer.produce(self.case.topics[0], f'{{"poison": {n}', f"node-{n:02d}")
        self.case.assertEqual(producer.flush(60), 0)

    # From the beginning to the end

    def run(self):
        lines = load.lines_for(self.seed, int(self.seconds * self.rate), HOSTS)
        planned = faults.plan(self.seed, self.kills, self.seconds, self.rounds)
        try:
            self.poison()
            begin = time.monotonic()
            self.start(lines)
            striker = faults.Striker(self, planned)
            striker.run()
            struck = time.monotonic()
            self.recover(struck)
            self.figures |= {"seed": self.seed, "records": len(lines),
                             "seconds": round(struck - begin, 1),
                             "faults": dict(sorted(striker.done.items())), **self.account.counts}
            self.judge()
        except BaseException:
            self.show(planned)
            raise
        finally:
            self.over.set()
            for sender in self.senders:
                sender.abandoned = True
            self.pace.stop()
            self.fleet.close()
        self.figures["longest stop s"] = {k: round(v, 1) for k, v in self.fleet.stops.items()}
        self.figures["peak MiB"] = {k: round(v, 1) for k, v in self.fleet.peaks.items()}

    def show(self, planned):
        for text in [f"{at:7.2f} s: {kind} ({seed})" for at, kind, seed in planned]:
            self.say(text)
        for text in self.wrong + self.fleet.wrong + self.account.wrong:
            self.say(text)
        for member in self.fleet.members:
            self.say(f"{member.name}:\n{member.tail()}")

    def recover(self, struck):
        """No fault strikes any more, and nobody lends a hand."""
        self.pace.stop()
        deadline = struck + self.recovery_s
        for sender in self.senders:
            sender.join(max(0.1, deadline - time.monotonic()))
            if sender.is_alive():
                raise AssertionError(f"{sender.name} could not hand its records over within "
                                     f"{self.recovery_s} s after the last fault")
        wanted = self.case.ids(self.account.acknowledged)
        counts = {c: len(ids) for c, ids in wanted.items()}
        if not holds(lambda: self.stored(counts) and self.lag() == 0,
                     deadline - time.monotonic()):
            self.tell_missing(wanted)
            raise AssertionError(f"the lag is {self.lag()} {self.recovery_s} s after the last fault")
        self.figures["recovered after s"] = round(time.monotonic() - struck, 1)

    def tell_missing(self, wanted):
        for collection, ids in wanted.items():
            missing = ids - self.case.stored_ids(collection)
            if missing:
                raise AssertionError(f"{len(missing)} of {len(ids)} acknowledged records are not in "
                                     f"{collection}: {sorted(missing)[:3]}")

    def stored(self, counts):
        try:
            return all(self.case.db[c].count_documents({}) >= n for c, n in counts.items())
        except Exception as away:  # pylint: disable=broad-except
            self.say(f"while it recovers: {away!r}")
            return False

    def lag(self):
        """Of brokers that were killed while it waited for them, a client may go on waiting."""
        try:
            return kafka.Cluster(self.kafka.folder).lag(self.case.group)
        except Exception as away:  # pylint: disable=broad-except
            self.say(f"while it recovers: {away!r}")
            return None

    # What must be true

    def judge(self):
        for member in [*self.fleet.of("processor"), *self.fleet.of("gateway"),
                       *self.fleet.of("agent")]:
            member.stop()
        wrong = self.wrong + self.fleet.wrong + self.account.wrong
        self.case.assertEqual(wrong, [], "\n".join(wrong))
        self.case.finish()
        self.case.assertEqual(self.lag(), 0)
        lines = self.lines_stored()  # all that got through, late or not
        self.case.wait_stored(lines, 10)
        self.judge_messages(lines)
        self.judge_letters()
        self.judge_memory()
        self.judge_rows(lines)
        self.judge_contents(lines)

    def lines_stored(self):
        """Of the records that nobody acknowledged those that got through."""
        found = {c: self.case.stored_ids(c) for c in stack.RAW}
        through = [line for line in self.account.given_up
                   if json.loads(line)["event_id"] in found[stack.kind_of(json.loads(line))]]
        self.figures["given up, yet there"] = len(through)
        return self.account.acknowledged + through

    def judge_messages(self, lines):
        messages = sum(sum(self.kafka.offsets(topic)) for topic in self.case.topics)
        records = len({json.loads(line)["event_id"] for line in lines})
        self.figures["distinct records"] = records
        self.figures["messages"] = messages
        self.case.assertGreaterEqual(messages, records + POISON)

    def judge_letters(self):
        letters = list(self.case.db["dead_letters"].find({}))
        self.case.assertEqual(sorted(letter["payload"] for letter in letters),
                              [f'{{"poison": {n}' for n in range(POISON)],
                              [letter.get("reason") for letter in letters][:3])

    def judge_memory(self):
        for kind, peak in self.fleet.peaks.items():
            self.case.assertLess(peak, members.CEILINGS[kind], f"MiB of a {kind}")

    def judge_rows(self, lines):
        """What differs is also written down, with the records and the states of shards."""
        try:
            self.case.assert_as_one_machine(lines)
        except AssertionError:
            plain = self.case.gtap.store("differs.db")
            self.case.gtap.meter(plain, self.case.write("differs.ndjson", lines))
            wanted, found = self.case.rows(plain), self.case.rows(self.case.store_uri)
            with open(os.path.join(self.folder, "differences.txt"), "w", encoding="utf-8") as out:
                for collection, rows in wanted.items():
                    for what, differ in (("missing", set(rows) - set(found[collection])),
                                         ("too many", set(found[collection]) - set(rows))):
                        out.writelines(f"{what} {collection} {row}\n" for row in sorted(differ))
                out.writelines(f"{shard}\n" for shard in self.case.db["shards"].find({}))
                for collection in stack.RAW:
                    out.writelines(f"{r}\n" for r in self.case.db[collection].find({}))
            raise

    def judge_contents(self, lines):
        """Samples, too, are as they were sent; of usage the rows were compared."""
        plain = self.case.gtap.store(f"raw-{uuid.uuid4().hex[:6]}.db")
        self.case.gtap.meter(plain, self.case.write("raw.ndjson", lines))
        rows = [sorted(map(adversary.same_shape, self.case.gtap.export("gpu_metrics", store)))
                for store in (plain, self.case.store_uri)]
        self.case.assertEqual(len(rows[0]), len(rows[1]))
        self.case.assertEqual([a for a, b in zip(*rows) if a != b][:3], [])
