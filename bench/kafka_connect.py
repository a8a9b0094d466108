"""Kafka Connect with MongoDB's sink, set up as well as we know how.

What was tried: two connectors, one a topic, since the sink begins a new bulk wherever the topic of
the polled records changes; inserts with ids of the driver's making, the cheapest write it has (it
doubles records when it is restarted; its ids of topic, partition and offset with replacing upserts,
which do not, cost more); unordered bulks as long as a poll, of 2,000 records. On 2 cores, into the
fake mongod, with 2.8 M records of about 270 bytes (the machine was shared, so only processor time
and memory can be told; processor time a record in steady state, most memory held):

    G1, the start scripts' -Xmx2G, JsonConverter, polls of 5,000    16.0 us   2.1 GB
    G1, -Xmx512m, the same                                          22.6 us   0.83 GB
    parallel collector, -Xmx768m, the same                           9.3 us   0.83 GB
    the same with StringConverter (the sink parses JSON itself)      8.2 us   0.86 GB
    parallel collector, -Xmx256m, JsonConverter, polls of 2,000     10.7 us   0.45 GB
    serial collector, the same                                      10.5 us   0.43 GB
    parallel collector, -Xmx256m, StringConverter, polls of 2,000    9.4 us   0.43 GB: taken
"""

import os
import subprocess
from pathlib import Path

from harness import Failed

HERE = Path(__file__).resolve().parent
JARS = HERE.parent / ".cache" / "connect"
JAVA = ("-Xmx256m", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")

WORKER = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    "plugin.discovery": "only_scan",
    "listeners": "http://127.0.0.1:0",
    "consumer.auto.offset.reset": "earliest",
    "consumer.max.poll.records": "2000",
}

SINK = {
    "connector.class": "com.mongodb.kafka.connect.MongoSinkConnector",
    "tasks.max": "1",
    "writemodel.strategy":
        "com.mongodb.kafka.connect.sink.writemodel.strategy.InsertOneDefaultStrategy",
    "bulk.write.ordered": "false",
}


def fetch():
    """The jars, fetched when they are not there yet."""
    if JARS.is_dir():
        return
    part = JARS.with_suffix(".part")
    done = subprocess.run(
        ["mvn", "--batch-mode", "--quiet", "-f", HERE / "connect" / "pom.xml",
         "-DincludeScope=runtime", f"-DoutputDirectory={part}", "dependency:copy-dependencies"],
        capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"Kafka Connect's jars: {done.stdout}{done.stderr}")
    os.rename(part, JARS)


def write_properties(path, *properties):
    lines = [f"{key}={value}\n" for some in properties for key, value in some.items()]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def command(folder, brokers, topics, name, uri, database):
    """What starts a worker whose connectors read the topics into collections of a database. It
    goes on until it is ended; `name` is its place in Kafka, from the beginning when new."""
    fetch()
    folder.mkdir(parents=True, exist_ok=True)
    offsets = folder / "offsets"
    worker = write_properties(folder / "worker.properties", WORKER, {
        "bootstrap.servers": brokers, "offset.storage.file.filename": offsets})
    sinks = [write_properties(folder / f"{collection}.properties", SINK, {
        "name": f"{name}-{collection}", "topics": topic, "collection": collection,
        "connection.uri": uri, "database": database})
        for topic, collection in zip(topics, ("gpu_metrics", "token_usage"))]
    return ["java", *JAVA, "-cp", f"{JARS}/*",
            "org.apache.kafka.connect.cli.ConnectStandalone", worker, *sinks]
