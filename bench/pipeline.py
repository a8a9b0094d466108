"""From Kafka to MongoDB: gtap beside what else does it, on the same topics and servers.

The servers are those of the tests (tests/support): Apache Kafka, a fake mongod that remembers no more
of records than their ids, and SecantusDB.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import kafka_connect
from following import Flow, Followed, Watch, follow, process_cpu_s
from harness import Failed, Goal, Subject, count, mb, median, rate, results

ROOT = Path(__file__).resolve().parent.parent
for _folder in ("tests/support", "tests/integration"):
    sys.path.append(str(ROOT / _folder))

PARTITIONS = 12
LOAD = "synthetic:?gpus=1000&every=1s&rate=2000&price=2.5&duration={seconds}s"
# Fewer GPUs for longer, so that rows of windows are to records as they are in the large load.
SMALL_LOAD = "synthetic:?gpus=40&every=1s&rate=80&price=2.5&duration={seconds}s"
DOCUMENTS = ROOT / "bench" / "documents"
DATABASE = "gtap"
RECORDS = ("gpu_metrics", "token_usage")
MISSION_PACKAGES = ["confluent-kafka==2.16.1", "pymongo==4.20.1"]
FAKE, REAL = "fake mongod", "SecantusDB"


@dataclass
class Topics:
    """Two topics and what is in them."""

    metric: str
    usage: str
    samples: int = 0
    usages: int = 0

    @property
    def names(self):
        return (self.metric, self.usage)

    @property
    def records(self):
        return self.samples + self.usages


class Rig:
    """A broker, and the programs and places that all contestants are given."""

    def __init__(self, bench):
        import daemon  # of tests/support, as the next
        import kafka
        self.daemon, self.kafka = daemon, kafka
        self.bench, self.turns, self.loads = bench, 0, 0
        self.cluster = kafka.Cluster(bench.path("kafka"))
        self.brokers = None

    def __enter__(self):
        self.cluster.start()
        self.brokers = self.cluster.bootstrap
        return self

    def __exit__(self, kind, error, trace):
        self.cluster.kill()

    def program(self, name):
        return self.bench.programs / name

    def path(self, name):
        return self.bench.path(name)

    def turn(self):
        """A name that nothing had before: of a group, a database, a log."""
        self.turns += 1
        return f"turn{self.turns}"

    def topics(self, prefix):
        """Two new topics."""
        topics = Topics(f"{prefix}gpu.metrics.v1", f"{prefix}token.usage.v1")
        for name in topics.names:
            self.cluster.create_topic(name, PARTITIONS)
            self.daemon.wait_for(lambda name=name: self._led(name), 30, f"{name} has no leaders")
        return topics

    def _led(self, name):
        """Metadata names a leader before it knows that it is."""
        try:
            return len(self.cluster.offsets(name)) == PARTITIONS
        except self.kafka.client().KafkaException:
            return False

    def fill(self, topics, lines):
        """Produces lines that a process writes or a file has."""
        filled = json.loads(subprocess.run(
            [self.program("kafka_fill"), self.brokers, *topics.names], stdin=lines,
            stdout=subprocess.PIPE, check=True).stdout)
        topics.samples += filled["samples"]
        topics.usages += filled["usages"]
        return topics

    def generate(self, source):
        return subprocess.Popen(
            [self.bench.gtap, "run", "--in", source, "--out", "stdout:", "--until-end"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def load(self, source):
        """A file of the records that a source makes up."""
        self.loads += 1
        path = self.path(f"cluster{self.loads}.ndjson")
        with open(path, "wb") as out, self.generate(source) as made:
            subprocess.run(["cat"], stdin=made.stdout, stdout=out, check=True)
        return path


# ---- servers -------------------------------------------------------------------------------


class FakeServer:
    """The fake mongod. One process for all turns, emptied before each."""

    name, every_s = FAKE, 0.02

    def __init__(self, rig, *options):
        import fakes  # of tests/integration
        import gtap as support
        support.ARGS.gtap = str(rig.bench.gtap)
        self.mongod = fakes.FakeMongod("--ids", "--of", "gpu_metrics,token_usage",
                                       *options)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.mongod.stop()

    @property
    def pid(self):
        return self.mongod.pid

    def cpu_s(self):
        return process_cpu_s(self.pid)

    def begin(self):
        """The address of a database that is empty."""
        self.mongod.tell("reset")
        return f"{self.mongod.uri}/{DATABASE}"

    def check_documents(self):
        """They are not kept: the other server's are looked at."""

    has_indexes = False

    def stored(self):
        """Records that are stored."""
        found = self.mongod.stats()["collections"]
        return sum(found.get(f"{DATABASE}.{name}", 0) for name in RECORDS)


class RealServer:
    """SecantusDB, with a new folder for every turn."""

    name, every_s = REAL, 0.1

    def __init__(self, rig):
        import mongo  # of tests/support
        self.mongo, self.rig, self.server = mongo, rig, None
        self.indexes = {}  # gtap's, by collection

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self._end()

    def _end(self):
        if self.server:
            self.server.kill()
            self.server = None

    def begin(self):
        self._end()
        self.server = self.mongo.Server(self.rig.path(f"secantus-{self.rig.turn()}"))
        self.server.start()
        return self.server.uri

    def cpu_s(self):
        return process_cpu_s(self.server.daemon.pid())

    def check_documents(self):
        """That what the bare loop writes has the fields of what gtap has just written."""
        made = {name: json.loads((DOCUMENTS / f"{name}.json").read_text())
                for name in (*RECORDS, "final_cost")}
        made["token_usage"] |= made["final_cost"]["$set"]
        final = {"final": True, "gpu_indices": {"$exists": True}}
        for name, which in (("gpu_metrics", {}), ("token_usage", final)):
            found = self.server.database[name].find_one(which) or {}
            other = (set(made[name]) ^ set(found)) - {"energy_j"}  # where there is one
            if other:
                raise Failed(f"{DOCUMENTS / name}.json is not what gtap stores: {sorted(other)}")

    has_indexes = True

    def note_indexes(self):
        """Those that gtap has made in its turn."""
        for name in RECORDS:
            self.indexes[name] = [{key: value for key, value in index.items() if key != "v"}
                                  for index in self.server.database[name].list_indexes()
                                  if index["name"] != "_id_"]

    def make_indexes(self):
        for name, indexes in self.indexes.items():
            self.server.database.command("createIndexes", name, indexes=indexes)

    def stored(self):
        return sum(self.server.database[name].estimated_document_count()
                   for name in RECORDS)


# ---- contestants ---------------------------------------------------------------------------


def gtap_command(rig, topics, group, uri, until=""):
    source = f"kafka://{rig.brokers}/{','.join(topics.names)}?group={group}{until}"
    return [rig.bench.gtap, "run", "--in", source, "--out", uri]


def bare_command(rig, topics, group, uri, updating):
    documents = [DOCUMENTS / "gpu_metrics.json", DOCUMENTS / "token_usage.json"]
    return [rig.program("kafka_mongo_bare"), rig.brokers, *topics.names, group, uri, DATABASE,
            *documents, *([DOCUMENTS / "final_cost.json"] if updating else [])]


class Contest:
    """Turns of the contestants on one server and one pair of topics."""

    def __init__(self, rig, server, topics, mission_messages):
        self.rig, self.server, self.topics = rig, server, topics
        self.mission_messages = mission_messages

    def _turn(self, make_command, processes=1, **watch):
        """make_command: given a new group and the address of an empty database."""
        group, uri = self.rig.turn(), self.server.begin()
        command = make_command(group, uri)
        watch = {"total": self.topics.records, "every_s": self.server.every_s, **watch}
        before = self.server.cpu_s()
        running = [Followed(command, self.rig.path(f"{group}-{n}.log")) for n in range(processes)]
        try:
            flow = follow(running, Watch(self.server.stored, **watch))
            flow.server_us = (self.server.cpu_s() - before) / watch["total"] * 1e6
            return flow
        finally:
            for one in running:
                one.__exit__(None, None, None)

    def bare(self, updating):
        return self._turn(lambda group, uri: bare_command(self.rig, self.topics, group, uri,
                                                          updating))

    def indexed(self):
        """The same into collections that have gtap's indexes: after a turn of gtap's."""
        def command(group, uri):
            self.server.make_indexes()
            return bare_command(self.rig, self.topics, group, uri, True)
        return self._turn(command)

    def gtap(self):
        flow = self._turn(lambda group, uri: gtap_command(self.rig, self.topics, group, uri,
                                                          "&until=end"))
        self.server.check_documents()
        if self.server.has_indexes:
            self.server.note_indexes()
        return flow

    def processors(self, n):
        """So many processors that go on for ever, until all records are stored."""
        return self._turn(lambda group, uri: gtap_command(self.rig, self.topics, group, uri),
                          processes=n, ends=False)

    def connect(self):
        """Without its first quarter, in which Java compiles."""
        return self._turn(lambda group, uri: kafka_connect.command(
            self.rig.path(group), self.rig.brokers, self.topics.names, group, uri, DATABASE),
            share=0.25, ends=False)

    def mission(self):
        from python_venv import python_with  # of tests/integration
        python = python_with("mission", MISSION_PACKAGES)
        return self._turn(lambda group, uri: [
            python, ROOT / "bench" / "mission_way.py", self.rig.brokers, *self.topics.names, group,
            uri, DATABASE, self.mission_messages], total=self.mission_messages)


NAMES = {
    "bare": "bare C loop, inserting",
    "bare, updating": "bare C loop, the same with an update of each request",
    "gtap": "gtap",
    "processor": "gtap, until all records are stored",
    "indexed": "bare C loop, updating, with gtap's indexes",
    "connect": "Kafka Connect, inserting",
    "mission": "Python, an insert and an update a message",
}


def compete(contest, rounds):
    """Lists of flows under the keys of NAMES, in turns."""
    turns = {"bare": lambda: contest.bare(False), "bare, updating": lambda: contest.bare(True),
             "gtap": contest.gtap, "connect": contest.connect, "mission": contest.mission}
    if contest.server.has_indexes:
        turns["indexed"] = contest.indexed
    else:
        turns["processor"] = lambda: contest.processors(1)
    flows = {name: [] for name in turns}
    for _ in range(rounds):
        for name, take_turn in turns.items():
            flows[name].append(take_turn())
    return {name: middle(list_) for name, list_ in flows.items()}


def middle(flows):
    """Medians of each measure."""
    records = flows[0].records
    return Flow(records, records / median([f.per_s for f in flows]),
                median([f.cpu_us for f in flows]) * records / 1e6,
                *(median([getattr(f, name) for f in flows])
                  for name in ("peak_kib", "life_us", "thread_us", "server_us")))


# ---- rows ----------------------------------------------------------------------------------


def add_contest(subject, server, flows):
    base = flows["bare, updating"]
    for name, flow in flows.items():
        subject.add(f"{server}: {NAMES[name]}", flow.per_s,
                    f"{rate(flow.per_s)} ({flow.per_s / base.per_s:.2f} of the bare loop, "
                    f"updating), {flow.cpu_us:.2f} us of processor time a record"
                    f"{start_of(flow)}, {flow.thread_us:.2f} us of it on its busiest thread; "
                    f"{flow.server_us:.2f} us of the server's; {mb(flow.peak_kib)}")
    add_ratios(subject, server, flows)


def start_of(flow):
    """Told where it is not nothing."""
    return f" ({flow.life_us:.2f} us with its start)" if flow.life_us > 1.02 * flow.cpu_us else ""


def add_ratios(subject, server, flows):
    gtap = flows["gtap"]
    goals = server == FAKE  # with SecantusDB it is the server that is measured

    def add(what, value, goal):
        subject.add(f"{server}: gtap's {what}", value, f"{value:.2f}", goal if goals else None)

    add("rate over the bare loop's, updating", gtap.per_s / flows["bare, updating"].per_s,
        Goal("0.8", at_least=0.8))
    if "indexed" in flows:
        add("server's processor time a record over that of the bare loop with its indexes",
            gtap.server_us / flows["indexed"].server_us, None)
    add("rate over Connect's", gtap.per_s / flows["connect"].per_s, Goal("3", at_least=3))
    if "processor" in flows:  # gtap updates each request, too; Connect has nothing left to do
        add("rate over Connect's, both until all records are stored",
            flows["processor"].per_s / flows["connect"].per_s, Goal("3", at_least=3))
    add("processor time a record over Connect's", gtap.cpu_us / flows["connect"].cpu_us,
        Goal("a tenth", at_most=0.1))
    add("memory over Connect's", gtap.peak_kib / flows["connect"].peak_kib,
        Goal("a tenth", at_most=0.1))
    add("rate over Python's", gtap.per_s / flows["mission"].per_s, Goal("50", at_least=50))


def document_bytes():
    """Of a sample, a request, and the update with its cost, in BSON."""
    import mongo  # of tests/support
    bson = mongo.import_from("mongo", mongo.PACKAGES, "bson")
    json_util = mongo.import_from("mongo", mongo.PACKAGES, "bson.json_util")
    return [len(bson.encode(json_util.loads((DOCUMENTS / f"{name}.json").read_text())))
            for name in (*RECORDS, "final_cost")]


def add_sizes(subject, rig, server, topics, lines):
    """After a turn of gtap's to the end: what the model in docs/scaling.md counts with."""
    data = Path(rig.cluster.folder)
    packed = sum(path.stat().st_size for name in topics.names
                 for path in data.glob(f"node-*/data/{name}-*/*.log")) / topics.records
    subject.add("in Kafka, lz4", packed, f"{packed:.0f} bytes a record "
                f"({lines.stat().st_size / topics.records:.0f} before)")
    sample, usage, update = document_bytes()
    subject.add("in MongoDB's protocol", sample, f"{sample} bytes a sample, {usage} a request, "
                f"{update} its cost")
    rows = server.mongod.stats()["collections"].get(f"{DATABASE}.cost_windows", 0)
    a_minute = rows / 1000 / (rig.bench.scale.pipeline_s / 60)
    subject.add("rows of windows", a_minute, f"{a_minute:.1f} a GPU and minute")


def add_scaling(subject, contest, rounds):
    flows = {n: [] for n in (1, 2)}
    for _ in range(rounds):
        for n, list_ in flows.items():
            list_.append(contest.processors(n))
    one, two = (middle(list_) for list_ in flows.values())
    for n, flow in ((1, one), (2, two)):
        subject.add(f"{FAKE}: {n} {'processor' if n == 1 else 'processors'}", flow.per_s,
                    f"{rate(flow.per_s)}, {flow.cpu_us:.2f} us a record, {mb(flow.peak_kib)} "
                    "in all")
    subject.add(f"{FAKE}: two processors over one", two.per_s / one.per_s,
                f"{two.per_s / one.per_s:.2f} (broker and fake on the same cores)")
    return one


def add_latency(subject, rig, server, lines, per_s, seconds):
    """Median and 99th percentile from produced to stored, at a rate."""
    topics, group, uri = rig.topics("pace."), rig.turn(), server.begin()
    pace = [rig.program("kafka_pace"), rig.brokers, *topics.names, lines]
    rest = [server.mongod.control_port, DATABASE]
    with Followed(gtap_command(rig, topics, group, uri), rig.path(f"{group}.log")) as running:
        results(*pace, max(int(per_s / 10), 100), 3, *rest)  # to have joined and warmed up
        answer = results(*pace, int(per_s), seconds, *rest)[0]
        if running.ended():
            running.check()
            raise Failed("gtap ended while records came")
    told = (f"{count(answer['probes'])} records of {count(answer['produced'])}; asking takes "
            f"{answer['asking_ms']:.1f} ms of it, and producing was up to {answer['late_ms']:.0f} "
            "ms late")
    subject.add(f"produced to stored at {rate(per_s)}, median", answer["median_ms"],
                f"{answer['median_ms']:.1f} ms ({told})", Goal("under 50 ms", at_most=50))
    subject.add("the same, 99th percentile", answer["p99_ms"], f"{answer['p99_ms']:.1f} ms "
                f"(at most {answer['most_ms']:.0f} ms)", Goal("under 250 ms", at_most=250))


# ---- subjects ------------------------------------------------------------------------------


def pipeline(bench):
    scale = bench.scale
    subject = Subject(
        "Pipeline", "From Apache Kafka 3.7.2 (two topics, 12 partitions each, lz4) to a fake mongod "
        "that remembers ids, and to SecantusDB, all on the same cores; in turns. The bare loop "
        "(`bench/kafka_mongo_bare`) consumes and inserts documents made before, the same in kind "
        "and size as gtap's, with nothing decoded; gtap decodes, meters, inserts, updates and "
        "writes windows; Kafka Connect 3.7.2 with mongo-kafka-connect 1.13.0 as `bench/kafka_connect.py` "
        "sets it up, without its first quarter; the mission's way is `bench/mission_way.py`. gtap "
        "goes on until every cost is final and written, as the bare loop until every request is "
        "updated, and in turns of its own, as Connect, until all records are stored. On "
        "SecantusDB, where every index makes inserts and updates of a document dearer, the bare loop "
        "also writes to collections with gtap's indexes. Rates are from the first record stored to "
        "the end; processor time and memory (VmHWM) are of the contestant's processes alone. From "
        "produced to stored is measured with a fake that has room for all ids from the beginning.")
    with Rig(bench) as rig:
        lines = rig.load(LOAD.format(seconds=scale.pipeline_s))
        with FakeServer(rig) as server:
            with open(lines, "rb") as f:
                topics = rig.fill(rig.topics(""), f)
            contest = Contest(rig, server, topics, scale.mission_messages)
            add_contest(subject, FAKE, compete(contest, scale.pipeline_rounds))
            one = add_scaling(subject, contest, scale.pipeline_rounds)
            contest.gtap()  # whose rows are counted
            add_sizes(subject, rig, server, topics, lines)
        # With room for the ids: to make its table anew takes it a tenth of a second and more.
        per_s, seconds = one.per_s / 2, scale.pace_s
        with FakeServer(rig, "--expect", str(int(per_s * (seconds + 1)))) as server:
            add_latency(subject, rig, server, lines, per_s, seconds)
        with RealServer(rig) as server:
            with open(rig.load(SMALL_LOAD.format(seconds=scale.secantus_s)), "rb") as f:
                topics = rig.fill(rig.topics("few."), f)
            contest = Contest(rig, server, topics, scale.mission_messages // 4)
            add_contest(subject, REAL, compete(contest, scale.pipeline_rounds))
    return subject
