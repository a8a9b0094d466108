#!/usr/bin/env python3
"""Fills in the numbers of docs/scaling.md from what the benchmarks measured.

    bench/scaling.py [--results bench/RESULTS.md]...

Every file of results is read, a later one's rows win: those of `soak` are in a file of their own.
"""

import argparse
import math
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- bench/scaling.py writes this -->", "<!-- up to here -->"
PARTS = "<!-- bench/scaling.py writes these parts -->"

LOAD_SHARE = 0.6      # of a processor's measured rate that is counted on
COPIES = 3            # of a topic
HORIZON_S = 360       # a window and the horizon
PARTITIONS = 12       # that gtap processor --create-topics makes
CORES = 2             # of the machine that was measured
BENCH_PER_S = 3000    # of event time, in the benchmark
RATE_GOAL = 0.8       # of the bare loop's
UNITS = {"": 1, "k": 1e3, "M": 1e6}

BARE = "fake mongod: bare C loop, the same with an update of each request"
CONNECT = "fake mongod: Kafka Connect, inserting"

# What the model needs: subject, row, what of its text.
NEEDED = {
    "cpu_us": ("Pipeline", "fake mongod: 1 processor", r"([\d.]+) us a record"),
    "per_s": ("Pipeline", "fake mongod: 1 processor", r"([\d.]+) ([kM]?) ?records/s"),
    "base_mb": ("Pipeline", "fake mongod: 1 processor", r"(\d+) MB"),
    "kafka_bytes": ("Pipeline", "in Kafka, lz4", r"(\d+) bytes a record"),
    "sample_bytes": ("Pipeline", "in MongoDB's protocol", r"(\d+) bytes a sample"),
    "usage_bytes": ("Pipeline", "in MongoDB's protocol", r"(\d+) a request"),
    "update_bytes": ("Pipeline", "in MongoDB's protocol", r"(\d+) its cost"),
    "rows": ("Pipeline", "rows of windows", r"([\d.]+) a GPU and minute"),
    "held": ("Engine", "mixed, held at 10,000,000 records", r"([\d,]+) records"),
    "held_mb": ("Engine", "mixed, held at 10,000,000 records", r"(\d+) MB"),
    "bare_us": ("Pipeline", BARE, r"([\d.]+) us of processor"),
    "bare_per_s": ("Pipeline", BARE, r"([\d.]+) ([kM]?) ?records/s"),
    "gtap_us": ("Pipeline", "fake mongod: gtap", r"([\d.]+) us of processor"),
    "gtap_server_us": ("Pipeline", "fake mongod: gtap", r"([\d.]+) us of the server"),
    "connect_us": ("Pipeline", CONNECT, r"([\d.]+) us of processor"),
    "connect_mb": ("Pipeline", CONNECT, r"(\d+) MB"),
    "decode_ns": ("Decoding", "gtap", r"(\d+) ns a record"),
    "engine_ns": ("Engine", "steady: 40 requests/s on 8 GPUs", r"\((\d+) ns\)"),
    "agent_share": ("Agent", "of one core", r"([\d.]+) %"),
    "agent_mb": ("Agent", "memory resident at the end", r"([\d.]+) MB"),
}


def rows_of(path):
    """{(subject, row): measured} of a file of results."""
    found, subject = {}, None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            subject = line[3:]
        elif line.startswith("| ") and subject:
            what, measured = line.strip("| ").split(" | ")[:2]
            found[subject, what] = measured
    return found


def number(match):
    text = match[1].replace(",", "")
    return float(text) * (UNITS[match[2]] if match.re.groups > 1 else 1)


def measured(paths):
    rows = {}
    for path in paths:
        rows |= rows_of(path)
    numbers, missing = {}, []
    for name, (subject, what, pattern) in NEEDED.items():
        match = re.search(pattern, rows.get((subject, what), ""))
        if match:
            numbers[name] = number(match)
        else:
            missing.append(f"{subject}: {what}")
    if missing:
        sys.exit(f"not in {', '.join(map(str, paths))}: {'; '.join(sorted(set(missing)))}")
    return numbers


def bytes_text(n):
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n:.0f} bytes"


def site(m, gpus):
    """The column of a site: samples at 1 Hz, two requests a second on each GPU."""
    requests = 2 * gpus
    per_s = gpus + requests
    cores = per_s * m["cpu_us"] / 1e6
    processors = math.ceil(per_s / (LOAD_SHARE * m["per_s"]))
    stored = gpus * m["sample_bytes"] + requests * m["usage_bytes"]
    return {
        "records a second": f"{per_s:,}",
        "Kafka: incoming": f"{bytes_text(per_s * m['kafka_bytes'])}/s",
        f"Kafka: a day, {COPIES} copies": bytes_text(per_s * m["kafka_bytes"] * COPIES * 86400),
        "processors: cores busy": f"{cores:.2g}",
        "processors": f"{processors:,}",
        "partitions of each topic": f"{max(PARTITIONS, 2 ** math.ceil(math.log2(processors)))}",
        "processors: memory in all": bytes_text(
            processors * m["base_mb"] * 1e6
            + per_s * HORIZON_S * m["held_mb"] * 1e6 / m["held"]),
        "MongoDB: inserts a second": f"{per_s:,}",
        "MongoDB: updates a second": f"{requests:,} costs, {gpus * m['rows'] / 60:,.0f} rows",
        "MongoDB: incoming": f"{bytes_text(stored + requests * m['update_bytes'])}/s",
        "MongoDB: raw records a day, before compression": bytes_text(stored * 86400),
        "agents, 8 GPUs each: cores in all": f"{gpus / 8 * m['agent_share'] / 100:.2g}",
        "agents: memory of each": f"{m['agent_mb']:.0f} MB",
    }


def block(m):
    columns = {gpus: site(m, gpus) for gpus in (1_000, 10_000, 100_000)}
    lines = ["| | " + " | ".join(f"{gpus:,} GPUs" for gpus in columns) + " |", "|-|-|-|-|"]
    for what in columns[1_000]:
        lines.append(f"| {what} | " + " | ".join(c[what] for c in columns.values()) + " |")
    return "\n".join(["", *lines, ""])


def parts(m):
    """Where a record's processor time goes, and what that allows."""
    decode, engine = m["decode_ns"] / 1e3, m["engine_ns"] / 1e3
    together = m["bare_us"] + decode + engine
    machine = CORES / (RATE_GOAL * m["bare_per_s"]) * 1e6
    held = BENCH_PER_S * HORIZON_S * m["held_mb"] / m["held"]
    rows = {
        "the bare loop: librdkafka, libmongoc, the kernel": f"{m['bare_us']:.2f} us a record",
        "decoding and checking, alone": f"{decode:.2f} us",
        "the engine, alone": f"{engine:.2f} us",
        "these together": f"{together:.2f} us",
        "gtap": f"{m['gtap_us']:.2f} us",
        "gtap, and the server under it": f"{m['gtap_us'] + m['gtap_server_us']:.2f} us",
        f"what {CORES} cores have at {RATE_GOAL} of the bare loop's rate": f"{machine:.2f} us",
        "a tenth of Kafka Connect's": f"{m['connect_us'] / 10:.2f} us",
        f"held by the engines, {BENCH_PER_S:,} records a second": f"{held:.0f} MB",
        "a tenth of Kafka Connect's memory": f"{m['connect_mb'] / 10:.0f} MB",
    }
    return "\n".join(["", "| | |", "|-|-|", *(f"| {what} | {v} |" for what, v in rows.items()), ""])


def replaced(text, begin, numbers):
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        sys.exit(f"{PAGE}: no place for the numbers, between {begin} and {END}")
    return f"{before}{begin}\n{numbers}\n{END}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", metavar="FILE", type=Path, action="append")
    args = parser.parse_args()
    m = measured(args.results or [ROOT / "bench" / "RESULTS.md"])
    text = replaced(PAGE.read_text(encoding="utf-8"), BEGIN, block(m))
    PAGE.write_text(replaced(text, PARTS, parts(m)), encoding="utf-8")


if __name__ == "__main__":
    main()
