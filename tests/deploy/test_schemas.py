"""The published schemas against what the binary does: records made out of the schemas themselves,
every field of both kinds with every sort of value, are judged by jsonschema and by `gtap run`, whose
dead letters are what it refused. The two agree but for the rules that the schemas' descriptions list
as beyond JSON Schema.

    test_schemas.py --gtap BUILD/gtap [--only TEXT]
"""

import copy
import datetime
import itertools
import json
import os
import random
import sys
import unittest
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.append(os.path.join(HERE, "..", "integration"))

import gtap as support  # noqa: E402

try:
    from jsonschema import Draft202012Validator
except ImportError:
    Draft202012Validator = None

NAMES = ("gpu.metrics.v1", "token.usage.v1")
TS = 1_767_225_600  # 2026-01-01
GOOD = {
    "gpu.metrics.v1": {
        "ts": TS, "host": "gpu-01", "gpu_index": 3, "gpu_instance": 1, "name": "NVIDIA H100",
        "uuid": "GPU-1", "utilization": 0.5, "mem_used_mb": 1000, "mem_total_mb": 81559,
        "power_w": 400.5, "temperature_c": 50, "sm_clock_mhz": 1980, "energy_mj": 12345,
        "mig_profile": "1g.10gb", "price_per_hour_usd": 2.5, "source": "nvml", "site": "fra"},
    "token.usage.v1": {
        "ts": TS, "host": "gpu-01", "gpu_index": 3, "gpu_instance": 1, "model": "llama",
        "tenant": "search", "request_id": "r-1", "prompt_tokens": 100, "cached_prompt_tokens": 10,
        "completion_tokens": 20, "latency_ms": 1500.5, "ttft_ms": 100, "requests": 1,
        "site": "fra"},
}
# Of any field, whatever its type is.
ANYTHING = (None, True, False, "", "x", "12", 0, -1, 1, 1.5, 0.0, -0.5, 2 ** 31, 2 ** 63 - 1, 2 ** 63,
            2 ** 64, 10 ** 30, [], [1], {}, {"a": 1})
# A number as text says it: JSON has one kind of number.
SPELT = ("1.0", "1e0", "10e-1", "-0", "-0.0", "1e3", "1E+2", "0.1e1", "1e400", "1e-400", "0e9",
         "65535.0", "65535.5", "100000000000000000000000000000.0", "0.30000000000000000001")
TIMES = ("2026-01-01T00:00:00Z", "2026-01-01 00:00:00+01:00", "2026-01-01", "2026-01-01T00:00:00",
         "2026-01-01T00:00:00.123456789123z", "2026-01-01t00:00:00-0130", "2026-13-01T00:00:00Z",
         "2026-00-01", "2026-01-32", "2026-01-00", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
         "2026-01-01T00:00:60Z", "2026-1-1", "26-01-01", "2026-01-01T00:00Z", "2026-01-01T00:00:00.Z",
         "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+1:00", " 2026-01-01", "2026-01-01 ",
         "2026-01-01T00:00:00 Z", "now", "1767225600", "1970-01-01", "1969-12-31T23:59:59Z")
AT_THE_CLOCK = 3600
TEXT_BYTES = 512


def exact(text):
    number = Decimal(text)
    whole = number.adjusted() < 400 and number == number.to_integral_value()
    return int(number) if whole else number


def parse(line):
    return json.loads(line, parse_float=exact)


class Spelt:
    """A value that stands in the record as it is written here."""

    def __init__(self, text):
        self.text = text


def line_of(record):
    parts = (f"{json.dumps(k)}:{v.text if isinstance(v, Spelt) else json.dumps(v, ensure_ascii=False)}"
             for k, v in record.items())
    return "{" + ",".join(parts) + "}"


def limits(field):
    """The values at a field's limits, and just past them."""
    found = []
    for key, step in (("minimum", -1), ("maximum", 1), ("exclusiveMaximum", 1)):
        if key in field:
            found += [field[key], field[key] + step, field[key] - step]
            if isinstance(field[key], int):
                found += [Spelt(f"{field[key]}.5"), Spelt(f"{field[key]}.0")]
    for key in ("minLength", "maxLength"):
        if key in field:
            found += ["x" * max(0, field[key] + d) for d in (-1, 0, 1)]
    if "pattern" in field:
        found += ["a\0b", "\0", "a\nb", "\u007f", "é", "€" * 100, "x" * 600]
    if "maxItems" in field:
        found += [list(range(n)) for n in (0, 1, 2, 128, 129)]
        found += [[1, 1], [1, "2"], [None], [-1], [65535], [65536], [0.5], [[1]], [True]]
    return found


def values(name, field):
    found = [*ANYTHING, *map(Spelt, SPELT), *limits(field)]
    return found + list(TIMES) if name == "ts" else found


class Beyond:
    """The rules of the descriptions that JSON Schema has no words for."""

    def __init__(self, now):
        self.now = now

    def breaks(self, record):
        def number(name):
            value = record.get(name)
            return value if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else None

        def over(small, large):
            return None not in (number(small), number(large)) and number(small) > number(large)

        ts = self.seconds(record["ts"])
        return (over("cached_prompt_tokens", "prompt_tokens") or over("ttft_ms", "latency_ms") or
                ts is None or ts > self.now + AT_THE_CLOCK or ts < 0 or
                "model" in record and ts - Decimal(number("latency_ms") or 0) / 1000 < 0 or
                any(isinstance(v, str) and k in self.texts(record) and
                    len(v.encode()) > TEXT_BYTES for k, v in record.items()))

    @staticmethod
    def texts(record):
        return set(GOOD["token.usage.v1" if "model" in record else "gpu.metrics.v1"]) | {"event_id"}

    @staticmethod
    def seconds(ts):
        """None: the calendar has no such day."""
        if not isinstance(ts, str):
            return Decimal(ts)
        text = ts.upper().replace(" ", "T").replace("Z", "+00:00")
        whole, dot, rest = text.partition(".")
        zone = rest.lstrip("0123456789") if dot else ""
        try:
            at = datetime.datetime.fromisoformat(whole + zone) if "T" in text else \
                datetime.datetime.fromisoformat(text + "T00:00:00")
        except ValueError:
            return None
        return Decimal(int(at.replace(tzinfo=at.tzinfo or datetime.timezone.utc).timestamp()))


@unittest.skipIf(Draft202012Validator is None, "no Python package jsonschema: tools/install-deps.sh test")
class Schemas(support.Case):
    def setUp(self):
        super().setUp()
        self.schemas = {}
        for name in NAMES:
            with open(os.path.join(ROOT, "schemas", f"{name}.json"), encoding="utf-8") as f:
                self.schemas[name] = json.load(f)
        self.validators = {n: Draft202012Validator(s) for n, s in self.schemas.items()}
        self.beyond = Beyond(datetime.datetime.now(datetime.timezone.utc).timestamp())

    def wanted(self, line):
        """(whether it is valid under exactly one schema, whether a rule beyond them refuses it)"""
        record = parse(line)
        valid = [n for n, v in self.validators.items() if v.is_valid(record)]
        return len(valid) == 1, bool(valid) and self.beyond.breaks(record)

    def refused(self, lines):
        """{index: reason} of the dead letters among the lines, which are of one moment."""
        store = self.gtap.store("schemas.db")
        self.gtap.meter(store, self.write("records.ndjson", lines))
        return {row["position"] - 1: row["reason"] for row in self.gtap.export("dead_letters", store)}

    def passed(self, lines):
        """The indexes of the lines that are records: what goes on to stdout, without an engine."""
        path = self.write("passed.ndjson", lines)
        out = self.gtap.run("run", "--in", path, "--out", "stdout:", "--until-end").stdout
        return {json.loads(line)["case"] for line in out.splitlines()}

    def assert_agree(self, records):
        lines = [line_of({**record, "case": i}) for i, record in enumerate(records)]
        passed, wrong, counts = self.passed(lines), [], [0, 0, 0]
        for i, line in enumerate(lines):
            valid, beyond = self.wanted(line)
            counts[1 if not valid else 2 if beyond else 0] += 1
            if (i in passed) != (valid and not beyond):
                wrong.append(f"{'valid' if valid else 'invalid'}{', beyond' * beyond}, gtap "
                             f"{'takes' if i in passed else 'refuses'} it: {line}")
        self.assertEqual(wrong[:20], [], f"{len(wrong)} of {len(lines)}:\n" + "\n".join(wrong[:20]))
        return counts

    def mutations(self, name):
        """Every field of the schema with every value, and without it."""
        for field, said in self.schemas[name]["properties"].items():
            base = copy.copy(GOOD[name])
            if field == "gpu_indices":
                base.pop("gpu_index"), base.pop("gpu_instance")
            if field != "event_id":
                yield {k: v for k, v in base.items() if k != field}
            for value in values(field, said):
                yield {**base, field: value}

    def test_every_field(self):
        for name in NAMES:
            with self.subTest(name):
                # Records of one id are one record; of one GPU, samples at one time are one, too.
                made = [r if "event_id" in r else {**r, "event_id": f"e{n}"}
                        for n, r in enumerate(self.mutations(name))]
                good, bad, beyond = self.assert_agree(made)
                self.assertGreater(good, 100)
                self.assertGreater(bad, 200)
                self.assertGreater(beyond, 0)

    def test_unknown_fields_and_little_records(self):
        records = [{}, {"ts": TS}, {"ts": TS, "host": "h", "gpu_index": 0}]
        for name in NAMES:
            required = {k: GOOD[name][k] for k in self.schemas[name]["required"]}
            records += [required, {**required, "power_w": 1}, {**required, "x": {"y": [1]}},
                        {**required, "gpuIndex": 1}, {**GOOD[name], "colour": "red"},
                        {**GOOD["gpu.metrics.v1"], **GOOD["token.usage.v1"]}]
            for left in itertools.combinations(required, 2):
                records.append({k: v for k, v in GOOD[name].items() if k not in left})
        self.assert_agree([{**r, "event_id": f"e{n}"} for n, r in enumerate(records)])

    def test_combinations(self):
        """Fields of either kind in one record, two or three of them changed."""
        rng = random.Random(8)
        pool = {field: values(field, said) for name in NAMES
                for field, said in self.schemas[name]["properties"].items() if field != "event_id"}
        records = []
        for n in range(4000):
            record = copy.copy(GOOD[NAMES[n % 2]])
            for field in rng.sample(sorted(record), rng.choice((0, 0, 1, 4))):
                del record[field]
            own = [f for f in pool if f in GOOD[NAMES[n % 2]]]
            for field in rng.sample(own if rng.random() < 0.8 else sorted(pool), rng.randint(1, 3)):
                record[field] = rng.choice(pool[field])
            records.append({**record, "event_id": f"e{n}"})
        good, bad, _ = self.assert_agree(records)
        self.assertGreater(good, 300)
        self.assertGreater(bad, 300)

    def test_rules_beyond_are_written_down(self):
        usage, sample = GOOD["token.usage.v1"], GOOD["gpu.metrics.v1"]
        ahead = int(self.beyond.now) + 2 * AT_THE_CLOCK
        cases = [
            ({**usage, "cached_prompt_tokens": 101}, "`cached_prompt_tokens` is no more than"),
            ({**usage, "ttft_ms": 1501}, "`ttft_ms` no more than `latency_ms`"),
            ({**usage, "ts": 1, "latency_ms": 2000}, "not before 1970"),
            ({**usage, "ts": ahead}, "an hour ahead of the clock"),
            ({**sample, "ts": ahead}, "an hour ahead of the clock"),
            ({**usage, "model": "€" * 200}, "512 bytes of UTF-8"),
            ({**sample, "name": "€" * 200}, "512 bytes of UTF-8"),
        ]
        lines = [line_of(record) for record, _ in cases]
        lines += [line_of(usage)[:-1] + ',"host":"gpu-01"}', line_of(sample)[:-1] + ',"ts":1}',
                  line_of({**usage, "x": "y" * (1 << 20)})]
        sayings = [text for _, text in cases] + ["no field is given twice"] * 2 + ["at most 1 MiB"]
        refused = self.refused(lines)
        for i, (line, saying) in enumerate(zip(lines, sayings)):
            with self.subTest(saying):
                name = NAMES['"model"' in line]
                self.assertIn(i, refused)
                self.assertTrue(self.validators[name].is_valid(parse(line)))
                self.assertIn(saying, self.schemas[name]["description"])

    def test_ca0_has_these_very_files(self):
        for name in NAMES:
            path = os.path.join(ROOT, "CA0", "schemas", f"{name}.json")
            self.assertTrue(os.path.samefile(path, os.path.join(ROOT, "schemas", f"{name}.json")))


if __name__ == "__main__":
    support.main(__name__)
