#!/usr/bin/env python3
"""The servers that other tests stand on (tests/support): Kafka's brokers and the MongoDB-wire server
start, keep what they acknowledged over kill -9, ask for names and certificates, and fail on demand."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import kafka  # noqa: E402
import mongo  # noqa: E402
from gtap import DEADLINE, Case, main  # noqa: E402


def kcat(*args, lines=()):
    """What kcat prints; lines are its messages, KEY:VALUE."""
    done = subprocess.run(["kcat", "-q", *args], input="".join(line + "\n" for line in lines),
                          capture_output=True, text=True, timeout=DEADLINE, check=False)
    if done.returncode != 0:
        raise AssertionError(f"kcat {' '.join(args)}: {done.stdout}{done.stderr}")
    return done.stdout.splitlines()


def reached(properties):
    """The same, as kcat's arguments."""
    return [word for key, value in properties.items() for word in ("-X", f"{key}={value}")]


def read_all(cluster, topic, *format_args):
    return kcat("-C", "-b", cluster.bootstrap, "-t", topic, "-o", "beginning", "-e", *format_args)


class OneBroker(Case):
    """They share a broker, and have a topic each."""

    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory(prefix="gtap-kafka-")
        cls.addClassCleanup(holder.cleanup)
        cls.cluster = kafka.Cluster(os.path.join(holder.name, "one"), sasl=True, tls=True)
        cls.addClassCleanup(cls.cluster.kill)
        cls.cluster.start()

    def test_topics_are_kept_over_kill_9(self):
        cluster, sent = self.cluster, [f"gpu-{i % 40:02}:{i}" for i in range(2000)]
        cluster.create_topic("kept", partitions=12)
        kcat("-P", "-b", cluster.bootstrap, "-t", "kept", "-K", ":", "-X", "acks=all", lines=sent)
        ends = cluster.offsets("kept")
        self.assertEqual((len(ends), sum(ends)), (12, len(sent)))
        self.assertGreater(sum(end > 0 for end in ends), 6, "keys spread over partitions")

        cluster.kill()
        self.assertEqual(cluster.running(), [])
        cluster.start()
        self.assertCountEqual(read_all(cluster, "kept", "-f", "%k:%s\n"), sent)

        cluster.delete_records("kept")
        self.assertEqual(read_all(cluster, "kept"), [])
        self.assertEqual(cluster.offsets("kept", first=True), ends)

    def test_members_and_offsets_of_a_group_are_seen(self):
        cluster = self.cluster
        cluster.create_topic("grouped", partitions=2)
        kcat("-P", "-b", cluster.bootstrap, "-t", "grouped", "-p", "1", lines=["a", "b", "c"])
        consumer = kafka.client().Consumer({
            "bootstrap.servers": cluster.bootstrap, "group.id": "gtap", "client.id": "one",
            "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        self.addCleanup(consumer.close)
        consumer.subscribe(["grouped"])
        message = consumer.poll(DEADLINE)
        self.assertEqual(message.value(), b"a")
        consumer.commit(message, asynchronous=False)

        self.assertIn("gtap", cluster.groups())
        self.assertEqual([(m["client"], m["partitions"]) for m in cluster.members("gtap")],
                         [("one", [("grouped", 0), ("grouped", 1)])])
        self.assertEqual(cluster.committed("gtap")[("grouped", 1)][0], 1)
        self.assertEqual(cluster.lag("gtap"), 2)

    def test_names_and_certificates_are_asked_for(self):
        cluster = self.cluster
        cluster.create_topic("named", partitions=1)
        ways = [("tls", ""), *((listener, mechanism) for listener in ("sasl", "sasl_tls")
                               for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))]
        for listener, mechanism in ways:
            kcat("-P", *reached(cluster.security(listener, mechanism)), "-t", "named",
                 lines=[f"{listener} {mechanism}"])
        self.assertEqual(read_all(cluster, "named"), [" ".join(way) for way in ways])

        errors, stranger = kafka.client().KafkaError, cluster.security("tls")
        del stranger["ssl.ca.location"]
        self.assert_refused(cluster.security("sasl") | {"sasl.password": "guessed"},
                            errors._AUTHENTICATION)
        self.assert_refused(stranger, errors._SSL)

    def assert_refused(self, properties, code):
        said = []
        producer = kafka.client().Producer(properties | {
            "log_level": 0, "error_cb": lambda error: said.append(error.code())})

        def refused():
            producer.poll(0.01)
            return code in said

        self.wait_for(refused)

    def test_kafka_s_own_tools_run(self):
        shown = self.cluster.tool("kafka.admin.ConfigCommand", "--bootstrap-server",
                                  self.cluster.bootstrap, "--describe", "--entity-type", "users")
        self.assertIn("SCRAM-SHA-256=iterations=4096", shown)


class ThreeBrokers(Case):
    def test_one_can_be_spared(self):
        cluster = kafka.Cluster(self.gtap.file("kafka"), brokers=3, version="4.3.1")
        self.addCleanup(cluster.kill)
        cluster.start()
        cluster.create_topic("spared", partitions=3)
        cluster.wait_in_sync()
        self.assertTrue(all(len(p["replicas"]) == 3 for p in cluster.describe("spared")))
        cluster.kill(2)
        self.assertEqual(cluster.running(), [1, 3])
        sent = [str(i) for i in range(300)]
        kcat("-P", "-b", cluster.bootstrap, "-t", "spared", "-X", "acks=all", lines=sent)
        self.wait_for(lambda: all(p["leader"] in (1, 3) for p in cluster.describe("spared")))
        cluster.start(2)
        cluster.wait_in_sync()
        self.assertCountEqual(read_all(cluster, "spared"), sent)


class Database(Case):
    def server(self, *needs, **options):
        server = mongo.for_test(self, self.gtap.file("mongo"), needs=needs, **options)
        server.start()
        return server

    def test_what_was_acknowledged_is_there_after_kill_9(self):
        server = self.server("kill", sync_on_commit=True)
        safe = mongo.pymongo().WriteConcern("majority", j=True)
        rows = server.database.get_collection("token_usage", write_concern=safe)
        for i in range(0, 500, 50):
            rows.insert_many([{"_id": f"{k:08x}", "cost_nusd": 2 ** 60 + k}
                              for k in range(i, i + 50)], ordered=False)
        server.kill()
        server.start()
        found = {row["_id"]: row["cost_nusd"] for row in server.database["token_usage"].find()}
        self.assertEqual(found, {f"{k:08x}": 2 ** 60 + k for k in range(500)})

    def test_a_name_and_an_authority_are_asked_for(self):
        server = self.server(auth=True, tls=True)
        server.database["gpus"].insert_one({"_id": "gpu-01/0"})
        errors = mongo.pymongo().errors
        # How long it looks for a server: those that are found get as long as they need.
        for uri, error, ms in ((server.uri_of(), errors.OperationFailure, 1000 * DEADLINE),
                               (server.uri_of(mongo.USER, "guessed"), errors.OperationFailure,
                                1000 * DEADLINE),
                               (server.uri.replace(f"&tlsCAFile={server.ca_file}", ""),
                                errors.ServerSelectionTimeoutError, 500)):
            with self.subTest(uri), self.assertRaises(error):
                with mongo.pymongo().MongoClient(uri, serverSelectionTimeoutMS=ms) as client:
                    client["gtap"]["gpus"].find_one()
        server.restart()
        self.assertEqual(server.database["gpus"].count_documents({}), 1)

    def test_commands_fail_on_demand(self):
        server = self.server("fail_point")
        with server.client(retryWrites=False) as client:
            rows, errors = client[server.name]["cost_windows"], mongo.pymongo().errors
            server.fail(["insert"], errorCode=10107)
            with self.assertRaises(errors.NotPrimaryError):
                rows.insert_one({"_id": 1})
            server.fail(["insert"], closeConnection=True)
            with self.assertRaises(errors.AutoReconnect):
                rows.insert_one({"_id": 2})
            server.fail(["insert"], writeConcernError={"code": 64, "errmsg": "timed out"})
            with self.assertRaises(errors.WriteConcernError):
                rows.insert_one({"_id": 3})
            server.fail(["insert"], times=None, errorCode=91)
            server.fail_no_more()
            rows.insert_one({"_id": 4})
            self.assertEqual(sorted(row["_id"] for row in rows.find()), [3, 4], "3 was applied")

    def test_another_server_gets_a_database_of_the_test_s_own(self):
        server = self.server("kill")
        try:
            os.environ[mongo.ELSEWHERE] = f"mongodb://127.0.0.1:{server.made['port']}/?appName=x"
            other = mongo.for_test(self, "unused")
            with self.assertRaisesRegex(unittest.SkipTest, "needs a server of its own"):
                mongo.for_test(self, "unused", needs=("kill",))
        finally:
            del os.environ[mongo.ELSEWHERE]
        other.start()
        other.database["gpus"].insert_one({"_id": 1})
        self.assertIn(other.name, server.database.client.list_database_names())
        other.drop()
        self.assertNotIn(other.name, server.database.client.list_database_names())


if __name__ == "__main__":
    main(__name__)
