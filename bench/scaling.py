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

LOAD_SHARE = 0.6      # of a processor's measured rate that is counted on
COPIES = 3            # of a topic
HORIZON_S = 360       # a window and the horizon
PARTITIONS = 12       # that gtap processor --create-topics makes
UNITS = {"": 1, "k": 1e3, "M": 1e6}

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


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", metavar="FILE", type=Path, action="append")
    args = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        sys.exit(f"{PAGE}: no place for the numbers, between {BEGIN} and {END}")
    numbers = block(measured(args.results or [ROOT / "bench" / "RESULTS.md"]))
    PAGE.write_text(f"{before}{BEGIN}\n{numbers}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
