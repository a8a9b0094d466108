"""What strikes a campaign, when, and whom: all of it follows from the seed."""

import random
import signal
import threading
import time

KILLS = ("kill a processor", "kill a gateway", "kill an agent")


class Faults:
    """Each is a method; the docstring is its name. `rng` picks who and how long. Those that need
    the same server go one after the other."""

    def __init__(self, campaign):
        self.c = campaign
        self.database, self.brokers = threading.Lock(), threading.Lock()
        self.members = threading.Lock()

    def pick(self, kind, rng):
        members = self.c.fleet.of(kind)
        return members[rng.randrange(len(members))]

    def kill(self, kind, rng):
        """Restarted at once; one that is just restarting for another reason is let off."""
        for _ in range(20):
            if self.pick(kind, rng).kill():
                return True
            self.c.over.wait(0.05)
        return False

    def kill_a_processor(self, rng):
        return self.kill("processor", rng)

    def kill_a_gateway(self, rng):
        return self.kill("gateway", rng)

    def kill_an_agent(self, rng):
        return self.kill("agent", rng)

    def add_and_remove_processors(self, rng):
        """One joins, another leaves in order a little later."""
        with self.members:
            self.c.add_processor()
            self.c.over.wait(rng.uniform(1, 4))
            self.c.fleet.remove(self.pick("processor", rng))
        return True

    def zombie(self, rng):
        """A processor stands still until others have its shards, and goes on."""
        with self.members:
            return self.pick("processor", rng).freeze(self.c.session_s * rng.uniform(1.2, 2),
                                                      self.c.over)

    def kill_a_broker(self, rng):
        return self.restart_broker(rng, rng.choice(sorted(self.c.kafka.nodes)))

    def kill_the_coordinator(self, rng):
        with self.brokers:
            node = self.c.coordinator()
        return self.restart_broker(rng, node)

    def restart_broker(self, rng, node):
        with self.brokers:
            self.c.kafka.kill(node)
            self.c.over.wait(rng.uniform(0.2, 3))
            self.c.kafka.start(node)
        return True

    def cut_off_a_broker(self, rng):
        with self.brokers:
            node = self.c.kafka.nodes[rng.choice(sorted(self.c.kafka.nodes))]
            return self.freeze(node, rng.uniform(2, 8))

    def kill_the_database(self, rng):
        with self.database:
            self.c.mongo.kill()
            self.c.over.wait(rng.uniform(0.1, 2))
            self.c.mongo.start()
        return True

    def stall_the_database(self, rng):
        with self.database:
            return self.freeze(self.c.mongo.daemon, rng.uniform(2, 6))

    def no_primary(self, rng):
        return self.fail(rng, ["insert", "update", "find"], errorCode=10107,
                         errorLabels=["RetryableWriteError"])

    def no_majority(self, rng):
        return self.fail(rng, ["insert", "update"],
                         writeConcernError={"code": 64, "errmsg": "waiting for replication"})

    def reply_lost(self, rng):
        return self.fail(rng, ["insert", "update", "findAndModify"], closeConnection=True)

    def freeze(self, daemon, seconds):
        daemon.signal(signal.SIGSTOP)
        try:
            self.c.over.wait(seconds)
        finally:
            daemon.signal(signal.SIGCONT)
        return True

    def fail(self, rng, commands, **data):
        with self.database:
            self.c.mongo.fail(commands, times=rng.randrange(1, 8), **data)
        return True


KINDS = {name: getattr(Faults, name.replace(" ", "_")) for name in (
    *KILLS, "add and remove processors", "zombie", "kill a broker", "kill the coordinator",
    "cut off a broker", "kill the database", "stall the database", "no primary", "no majority",
    "reply lost")}


def plan(seed, kills, seconds, others):
    """[(when, kind, seed of its own)]: `kills` of processes, and `others` rounds of one of each of
    the rest, in any order, spread evenly."""
    rng = random.Random(seed)
    rest = [kind for kind in KINDS if kind not in KILLS]
    kinds = [KILLS[n % len(KILLS)] for n in range(kills)] + rest * others
    rng.shuffle(kinds)
    step = seconds / len(kinds)
    return [(step * (n + rng.random()), kind, rng.randrange(1 << 30))
            for n, kind in enumerate(kinds)]


class Striker:
    """Carries a plan out. Each fault has a thread of its own, as some take a while."""

    def __init__(self, campaign, planned):
        self.faults, self.planned = Faults(campaign), planned
        self.c, self.threads, self.done, self.log = campaign, [], {}, []

    def run(self):
        begin = time.monotonic()
        for at, kind, seed in self.planned:
            if self.c.over.wait(max(0, begin + at - time.monotonic())):
                break
            thread = threading.Thread(target=self.strike, args=(begin, kind, seed), daemon=True)
            thread.start()
            self.threads.append(thread)
        for thread in self.threads:
            thread.join(120)
            if thread.is_alive():
                self.c.complain("a fault does not come to its end")

    def strike(self, begin, kind, seed):
        started = time.monotonic()
        try:
            struck = KINDS[kind](self.faults, random.Random(seed))
        except Exception as failed:  # pylint: disable=broad-except
            self.c.complain(f"{kind}: {failed!r}")
            return
        now = time.monotonic()
        self.log.append(f"{started - begin:7.2f} to {now - begin:7.2f} s: {kind}"
                        f"{'' if struck else ', but there was nobody'}")
        if struck:
            self.done[kind] = self.done.get(kind, 0) + 1
