#!/usr/bin/env python3
"""Apache Kafka on loopback, for tests and for trying things by hand.

    kafka.py start DIR [--brokers 3] [--version 4.3.1] [--port 9092] [--sasl] [--tls]
    kafka.py stop DIR                  and restart, kill (-9); with --node N: that broker alone
    kafka.py topic DIR NAME [--partitions 12]
    kafka.py describe DIR TOPIC        leaders, replicas, first and next offsets
    kafka.py delete-records DIR TOPIC  forgets what the topic holds
    kafka.py groups DIR [GROUP]        members, committed offsets, lag
    kafka.py tool DIR CLASS ARGS...    a command of Kafka's own, such as kafka.admin.ConfigCommand
    kafka.py fetch [VERSION...]        the jars alone, into .cache/kafka-VERSION

DIR keeps everything: settings (cluster.json), data, logs, pids; what was stopped or killed is
started again with its data. Every node is broker and controller (KRaft). One broker, or three with
replication 3 and min.insync.replicas 2. With --sasl a listener of its own takes PLAIN and SCRAM
(user gtap, password gtap-secret), with --tls another one speaks TLS (DIR/tls/ca.pem).

In a test:

    cluster = kafka.Cluster(folder, brokers=3)     # SkipTest where the jars cannot be had
    self.addCleanup(cluster.kill)
    cluster.start()
    cluster.create_topic("tokens", partitions=12)
    ... cluster.bootstrap ... cluster.kill(2) ... cluster.start(2) ...
"""

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import unittest
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
for _folder in (HERE, os.path.join(ROOT, "tests", "integration")):
    if _folder not in sys.path:
        sys.path.append(_folder)

from daemon import (DEADLINE, HOST, Daemon, Lock, free_ports, listens,  # noqa: E402
                    make_certificates, wait_for)
from python_venv import import_from  # noqa: E402

VERSION = "3.7.2"
VERSIONS = ("3.7.2", "4.3.1")
CLIENT = ["confluent-kafka==2.16.1"]
USER, PASSWORD = "gtap", "gtap-secret"
LISTENERS = ("plain", "controller", "sasl", "tls", "sasl_tls")  # a node's ports, in this order

# What Maven says when there is no network, or the repository does not answer.
AWAY = re.compile(r"Unknown host|Could not transfer|Connection (refused|reset|timed out)|"
                  r"Temporary failure in name resolution|Network is unreachable|Read timed out")


def jars(version=VERSION):
    """The folder of a version's jars, fetched when they are not there yet."""
    cache = os.path.join(ROOT, ".cache")
    folder = os.path.join(cache, f"kafka-{version}")
    with Lock(os.path.join(cache, f"kafka-{version}.lock")):
        if os.path.isdir(folder):
            return folder
        part = folder + ".part"
        command = ["mvn", "--batch-mode", "--quiet", "-f", os.path.join(HERE, "kafka", "pom.xml"),
                   f"-Dkafka.version={version}", "-DincludeScope=runtime",
                   f"-DoutputDirectory={part}", "dependency:copy-dependencies"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
        except FileNotFoundError:
            raise unittest.SkipTest("no Maven here: tools/install-deps.sh test") from None
        except subprocess.TimeoutExpired:
            raise unittest.SkipTest("the repository of Kafka's jars is too slow") from None
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            if AWAY.search(said):
                raise unittest.SkipTest("the repository of Kafka's jars cannot be reached")
            raise RuntimeError(f"{' '.join(command)}:\n{said}")
        os.rename(part, folder)
    return folder


def client():
    """The module confluent_kafka, whose admin client the functions below use."""
    module = import_from("kafka", CLIENT, "confluent_kafka")
    import_from("kafka", CLIENT, "confluent_kafka.admin")
    return module


class Cluster:
    """One broker or several in a folder. What the folder was made with stays; arguments count
    when it is made."""

    def __init__(self, folder, brokers=1, version=VERSION, port=0, sasl=False, tls=False,
                 properties=None, alone=False):
        self.folder, self.alone, self._admin = os.path.abspath(folder), alone, None
        self._file = os.path.join(self.folder, "cluster.json")
        if not os.path.exists(self._file):
            self._make({"brokers": brokers, "version": version, "port": port, "sasl": sasl,
                        "tls": tls, "properties": properties or {}})
        with open(self._file, encoding="utf-8") as f:
            self.made = json.load(f)
        self.nodes = {n: Daemon(self._path(n)) for n in range(1, self.made["brokers"] + 1)}

    # Addresses

    def port(self, node, listener="plain"):
        at = (node - 1) * len(LISTENERS) + LISTENERS.index(listener)
        return self.made["ports"][at]

    def addresses(self, listener="plain"):
        """What a client's bootstrap.servers says, of a listener: plain, sasl, tls, sasl_tls."""
        return ",".join(f"{HOST}:{self.port(n, listener)}" for n in self.nodes)

    @property
    def bootstrap(self):
        return self.addresses()

    @property
    def ca_file(self):
        return os.path.join(self.folder, "tls", "ca.pem")

    def security(self, listener, mechanism="SCRAM-SHA-256"):
        """The properties with which a client reaches a listener."""
        security = {"bootstrap.servers": self.addresses(listener),
                    "security.protocol": PROTOCOLS[listener]}
        if "sasl" in listener:
            security |= {"sasl.mechanisms": mechanism, "sasl.username": USER,
                         "sasl.password": PASSWORD}
        if "tls" in listener:
            security["ssl.ca.location"] = self.ca_file
        return security

    # Life and death

    def start(self, node=None, seconds=DEADLINE):
        """Starts what does not run, a node or all, and waits until it takes part."""
        for n in self._chosen(node):
            if self.nodes[n].pid() is None:
                self.nodes[n].start(self._java("kafka.Kafka", self._path(n, "server.properties")),
                                    self.alone)
        self.wait_ready(seconds)

    def stop(self, node=None):
        """SIGTERM, and back when they are gone. All at once when all, as the quorum must not go
        before the last of them has said goodbye."""
        for n in self._chosen(node):
            self.nodes[n].signal(15)
        for n in self._chosen(node):
            self.nodes[n].stop()

    def kill(self, node=None):
        """SIGKILL, and back when they are gone."""
        for n in self._chosen(node):
            self.nodes[n].signal(9)
        for n in self._chosen(node):
            self.nodes[n].kill()

    def restart(self, node=None):
        self.stop(node)
        self.start(node)

    def running(self):
        return [n for n, daemon in self.nodes.items() if daemon.pid() is not None]

    def wait_ready(self, seconds=DEADLINE):
        """Until every node that runs is a broker that others can use; when all run, until every
        partition has a leader, too."""
        def ready():
            for n in wanted:
                if self.nodes[n].pid() is None:
                    raise AssertionError(f"broker {n} ended:\n{self.nodes[n].tail()}")
            # Its port first: others still believe in a broker that was killed a moment ago.
            return all(listens(self.port(n)) for n in wanted) and self._serves(wanted)

        wanted = set(self.running())
        wait_for(ready, seconds, f"brokers {sorted(wanted)} in {self.folder} are not up")

    def wait_in_sync(self, seconds=DEADLINE):
        """Until every partition has all its replicas: then any one broker can be spared."""
        def in_sync():
            topics = self.admin().list_topics(timeout=DEADLINE).topics.values()
            return all(len(p.isrs) == len(p.replicas) and p.leader > 0
                       for topic in topics for p in topic.partitions.values())

        wait_for(in_sync, seconds, f"replicas in {self.folder} do not catch up")

    # What it holds

    def admin(self):
        """A confluent_kafka AdminClient."""
        if self._admin is None:
            self._admin = client().admin.AdminClient({
                "bootstrap.servers": self.bootstrap, "log_level": 2,
                "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 200})
        return self._admin

    def create_topic(self, name, partitions=12, seconds=DEADLINE, **config):
        """Config with _ for the dots: retention_ms=1000."""
        admin = client().admin
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = admin.NewTopic(name, partitions, min(3, len(self.nodes)), config=config)
        self.admin().create_topics([topic])[name].result(seconds)
        wait_for(lambda: all(p["leader"] > 0 for p in self.describe(name)) and
                 len(self.describe(name)) == partitions, seconds, f"topic {name} has no leaders")

    def delete_topic(self, name, seconds=DEADLINE):
        self.admin().delete_topics([name])[name].result(seconds)

    def describe(self, name, offsets=False):
        """A dict per partition: partition, leader (-1: none), replicas, isr; with offsets also
        first and next."""
        found = self.admin().list_topics(name, timeout=DEADLINE).topics[name].partitions
        rows = [{"partition": p.id, "leader": p.leader, "replicas": p.replicas, "isr": p.isrs}
                for _, p in sorted(found.items())]
        if offsets:
            for row, first, end in zip(rows, self.offsets(name, first=True), self.offsets(name)):
                row |= {"first": first, "next": end}
        return rows

    def offsets(self, name, first=False):
        """Of every partition, the offset that its next message will get, or that of its first."""
        kafka = client()
        spec = kafka.admin.OffsetSpec.earliest() if first else kafka.admin.OffsetSpec.latest()
        count = len(self.admin().list_topics(name, timeout=DEADLINE).topics[name].partitions)
        wanted = {kafka.TopicPartition(name, p): spec for p in range(count)}
        futures = self.admin().list_offsets(wanted)
        return [futures[tp].result(DEADLINE).offset for tp in wanted]

    def delete_records(self, name, before=None):
        """Forgets what is older than an offset of each partition; all, when there is none."""
        kafka = client()
        ends = self.offsets(name) if before is None else before
        gone = [kafka.TopicPartition(name, p, end) for p, end in enumerate(ends)]
        for future in self.admin().delete_records(gone).values():
            future.result(DEADLINE)

    def groups(self):
        listed = self.admin().list_consumer_groups(request_timeout=DEADLINE).result(DEADLINE)
        return sorted(group.group_id for group in listed.valid)

    def members(self, group):
        """A dict per member: id, client, instance, partitions as (topic, number)."""
        described = self.admin().describe_consumer_groups([group])[group].result(DEADLINE)
        return [{"id": m.member_id, "client": m.client_id, "instance": m.group_instance_id,
                 "partitions": sorted((tp.topic, tp.partition)
                                      for tp in m.assignment.topic_partitions)}
                for m in described.members]

    def committed(self, group):
        """{(topic, partition): (offset, metadata)} of what a group has committed."""
        kafka = client()
        wanted = [kafka.ConsumerGroupTopicPartitions(group)]
        listed = self.admin().list_consumer_group_offsets(wanted)[group].result(DEADLINE)
        return {(tp.topic, tp.partition): (tp.offset, tp.metadata)
                for tp in listed.topic_partitions if tp.offset >= 0}

    def lag(self, group):
        """Messages of the topics that a group has offsets in that it has not committed."""
        committed = self.committed(group)
        ends = {topic: self.offsets(topic) for topic in {topic for topic, _ in committed}}
        return sum(ends[topic][p] - offset for (topic, p), (offset, _) in committed.items())

    def tool(self, name, *args, timeout=DEADLINE):
        """Runs a command class of Kafka's jars, with its output as the answer."""
        done = subprocess.run(self._java(name, *args), capture_output=True, text=True,
                              timeout=timeout, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    # Inside

    def _chosen(self, node):
        return list(self.nodes) if node is None else [node]

    def _path(self, node, *names):
        return os.path.join(self.folder, f"node-{node}", *names)

    def _serves(self, wanted):
        kafka = client()
        try:
            found = self.admin().list_topics(timeout=0.5)
        except kafka.KafkaException:
            return False
        leaders = [p.leader for topic in found.topics.values() for p in topic.partitions.values()]
        return wanted <= set(found.brokers) and (wanted != set(self.nodes) or -1 not in leaders)

    def _java(self, name, *args):
        heap = 512 if self.made["brokers"] == 1 else 256
        return ["java", f"-Xmx{heap}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Xshare:auto", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
                "-cp", os.path.join(jars(self.made["version"]), "*"), name, *args]

    def _make(self, made):
        count = made["brokers"] * len(LISTENERS)
        first = made.pop("port")
        made["ports"] = list(range(first, first + count)) if first else free_ports(count)
        unique = b"g" + uuid.uuid4().bytes[1:]  # never begins with "-": the tool took that for an option
        made["id"] = base64.urlsafe_b64encode(unique).decode().rstrip("=")
        self.made = made
        jars(made["version"])
        os.makedirs(self.folder, exist_ok=True)
        if made["tls"]:
            make_certificates(os.path.join(self.folder, "tls"))
            self._write_keystore()
        formatting = [self._format(node) for node in range(1, made["brokers"] + 1)]
        for process in formatting:
            said, _ = process.communicate(timeout=DEADLINE)
            if process.returncode != 0:
                raise RuntimeError(f"the storage tool: {said}")
        with open(self._file + ".part", "w", encoding="utf-8") as f:
            json.dump(made, f, indent=1)
        os.rename(self._file + ".part", self._file)

    def _format(self, node):
        os.makedirs(self._path(node), exist_ok=True)
        settings = self._path(node, "server.properties")
        with open(settings, "w", encoding="utf-8") as f:
            f.writelines(f"{key}={value}\n" for key, value in self._properties(node).items())
        command = self._java("kafka.tools.StorageTool", "format", "--cluster-id", self.made["id"],
                             "--config", settings)
        if self.made["sasl"]:
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                command += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)

    def _write_keystore(self):
        tls = os.path.join(self.folder, "tls")
        with open(os.path.join(tls, "keystore.pem"), "w", encoding="ascii") as out:
            for name in ("server.key", "server.pem"):
                with open(os.path.join(tls, name), encoding="ascii") as f:
                    out.write(f.read())

    def _properties(self, node):
        made, copies = self.made, min(3, self.made["brokers"])
        listeners = [name for name in LISTENERS
                     if ("sasl" not in name or made["sasl"]) and ("tls" not in name or made["tls"])]
        ports = {name: self.port(node, name) for name in listeners}
        shown = {name: f"{name.upper()}://{HOST}:{port}" for name, port in ports.items()}
        voters = ",".join(f"{n}@{HOST}:{self.port(n, 'controller')}"
                          for n in range(1, made["brokers"] + 1))
        in_sync = 2 if copies == 3 else 1
        properties = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAIN",
            "listeners": ",".join(shown.values()),
            "advertised.listeners": ",".join(at for name, at in shown.items()
                                             if name != "controller"),
            "listener.security.protocol.map": ",".join(f"{name.upper()}:{PROTOCOLS[name]}"
                                                       for name in listeners),
            "log.dirs": self._path(node, "data"),
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "auto.create.topics.enable": "false",
        }
        return properties | QUICK | self._sasl() | self._tls() | made["properties"]

    def _sasl(self):
        if not self.made["sasl"]:
            return {}
        package = "org.apache.kafka.common.security"
        properties = {"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"}
        for name in ("sasl", "sasl_tls") if self.made["tls"] else ("sasl",):
            at = f"listener.name.{name}"
            properties[f"{at}.plain.sasl.jaas.config"] = (
                f"{package}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";")
            for mechanism in ("scram-sha-256", "scram-sha-512"):
                properties[f"{at}.{mechanism}.sasl.jaas.config"] = (
                    f"{package}.scram.ScramLoginModule required;")
        return properties

    def _tls(self):
        if not self.made["tls"]:
            return {}
        return {"ssl.keystore.type": "PEM", "ssl.truststore.type": "PEM",
                "ssl.keystore.location": os.path.join(self.folder, "tls", "keystore.pem"),
                "ssl.truststore.location": self.ca_file}


PROTOCOLS = {"plain": "PLAINTEXT", "controller": "PLAINTEXT", "sasl": "SASL_PLAINTEXT",
             "tls": "SSL", "sasl_tls": "SASL_SSL"}

# Small, and quick to notice: a dead broker is out after 2 s, a member may ask for 1 s.
QUICK = {
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 250,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 2,
    "log.cleaner.dedupe.buffer.size": 4 << 20,
    "log.cleaner.io.buffer.size": 64 << 10,
    "controlled.shutdown.max.retries": 1,
}


def _show(cluster):
    running = cluster.running()
    for n, daemon in cluster.nodes.items():
        state = f"pid {daemon.pid()}" if n in running else "down"
        print(f"broker {n}: {HOST}:{cluster.port(n)}, {state}, log {daemon.log}")
    print(f"KAFKA_BOOTSTRAP={cluster.bootstrap}")
    for listener, option in (("sasl", "sasl"), ("tls", "tls")):
        if cluster.made[option]:
            print(f"{listener}: {cluster.addresses(listener)}")
    if cluster.made["sasl"]:
        print(f"user {USER}, password {PASSWORD}; PLAIN, SCRAM-SHA-256, SCRAM-SHA-512")
    if cluster.made["tls"]:
        print(f"certificate authority: {cluster.ca_file}")


def _parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("start", "stop", "restart", "kill", "status"):
        one = verbs.add_parser(verb)
        one.add_argument("dir")
        one.add_argument("--node", type=int)
        if verb == "start":
            one.add_argument("--brokers", type=int, choices=(1, 3), default=1)
            one.add_argument("--version", default=VERSION)
            one.add_argument("--port", type=int, default=0, help="the first of five a broker")
            one.add_argument("--sasl", action="store_true")
            one.add_argument("--tls", action="store_true")
            one.add_argument("--property", action="append", default=[], metavar="KEY=VALUE",
                             help="of the broker's server.properties")
    one = verbs.add_parser("topic")
    one.add_argument("dir")
    one.add_argument("name")
    one.add_argument("--partitions", type=int, default=12)
    for verb in ("describe", "delete-topic", "delete-records"):
        one = verbs.add_parser(verb)
        one.add_argument("dir")
        one.add_argument("name")
    one = verbs.add_parser("groups")
    one.add_argument("dir")
    one.add_argument("name", nargs="?")
    one = verbs.add_parser("tool")
    one.add_argument("dir")
    one.add_argument("name")
    one.add_argument("args", nargs=argparse.REMAINDER)
    one = verbs.add_parser("fetch")
    one.add_argument("versions", nargs="*", default=VERSIONS)
    return parser.parse_args()


def _groups(cluster, name):
    for group in [name] if name else cluster.groups():
        print(f"{group}: lag {cluster.lag(group)}")
        for member in cluster.members(group):
            print(f"  {json.dumps(member)}")
        for (topic, partition), (offset, metadata) in sorted(cluster.committed(group).items()):
            print(f"  {topic} {partition}: {offset} {metadata or ''}".rstrip())


def main():
    args = _parse()
    if args.verb == "fetch":
        for version in args.versions:
            print(jars(version))
        client()
        return
    if args.verb == "start":
        cluster = Cluster(args.dir, args.brokers, args.version, args.port, args.sasl, args.tls,
                          dict(pair.split("=", 1) for pair in args.property), alone=True)
    elif os.path.exists(os.path.join(args.dir, "cluster.json")):
        cluster = Cluster(args.dir, alone=True)
    else:
        sys.exit(f"{args.dir}: no cluster there; make one with kafka.py start {args.dir}")
    if args.verb in ("start", "stop", "restart", "kill"):
        getattr(cluster, args.verb)(args.node)
    if args.verb in ("start", "stop", "restart", "kill", "status"):
        _show(cluster)
    elif args.verb == "topic":
        cluster.create_topic(args.name, args.partitions)
    elif args.verb == "describe":
        for row in cluster.describe(args.name, offsets=True):
            print(json.dumps(row))
    elif args.verb == "groups":
        _groups(cluster, args.name)
    elif args.verb == "tool":
        print(cluster.tool(args.name, *args.args), end="")
    else:
        getattr(cluster, args.verb.replace("-", "_"))(args.name)


if __name__ == "__main__":
    try:
        main()
    except unittest.SkipTest as away:
        sys.exit(str(away))
