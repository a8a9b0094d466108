"""The mission's way from Kafka to MongoDB: every message is decoded, its document inserted, and the
document updated with the cost that a formula gives; one after the other.

    mission_way.py BROKERS METRIC_TOPIC USAGE_TOPIC GROUP URI DATABASE MESSAGES
"""

import json
import sys

from confluent_kafka import Consumer
from pymongo import MongoClient

PRICE_PER_HOUR_USD = 2.5


def cost_per_token(usage):
    tokens = usage["prompt_tokens"] + usage["completion_tokens"]
    gpus = len(usage.get("gpu_indices") or [0])
    return PRICE_PER_HOUR_USD / 3600 * gpus * usage["latency_ms"] / 1000 / max(tokens, 1)


def store(database, topics, message):
    record = json.loads(message.value())
    is_usage = message.topic() == topics[1]
    collection = database["token_usage" if is_usage else "gpu_metrics"]
    stored = collection.insert_one(record)
    found = {"cost_per_token": cost_per_token(record)} if is_usage else {"seen": True}
    collection.update_one({"_id": stored.inserted_id}, {"$set": found})


def main():
    brokers, metric, usage, group, uri, name, messages = sys.argv[1:]
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": group,
                         "auto.offset.reset": "earliest"})
    consumer.subscribe([metric, usage])
    database, left = MongoClient(uri)[name], int(messages)
    while left > 0:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            sys.exit(str(message.error()))
        store(database, (metric, usage), message)
        left -= 1
    consumer.close()


if __name__ == "__main__":
    main()
