"""The four known answers of docs/cost-model.md, from the engine and from the reference.

    test_known_answers.py --driver BUILD/engine_driver [--data DIR] [--quick]
"""

import argparse
import csv
import os
import sys
from fractions import Fraction

import engine
import reference
from engine import HOUR_NS, reference_cost, reference_row
from generate import TOKENS_MAX
from reference import Sample, Settings, Usage

S = 10**9
USD = 10**9
PAPER_CSV = "vllm-cost-meter/master_results.csv"
PAPER_ROWS = 140


class Mismatch(Exception):
    pass


def near(what, got, want, relative):
    if abs(got - want) > relative * abs(want):
        raise Mismatch(f"{what}: {float(got)!r}, should be {float(want)!r}")


def equal(what, got, want):
    if got != want:
        raise Mismatch(f"{what}: {got!r}, should be {want!r}")


def both(driver, scenarios):
    """(rows, costs) of every scenario (epoch, records), by the engine and by the reference."""
    scripts = []
    for epoch, records in scenarios:
        newest = max(r.ts if isinstance(r, Sample) else r.end for r in records)
        scripts.append([engine.settings_line(epoch), *map(engine.record_line, records),
                        f"advance {(newest // HOUR_NS + 2) * HOUR_NS}"])
    for outcome, (epoch, records) in zip(engine.run(driver, scripts), scenarios):
        rows, costs = reference.compute(records, [epoch], [])
        yield outcome["END"].rows, outcome["END"].costs
        yield [reference_row(r) for r in rows], [reference_cost(c) for c in costs]


def total(items, name, **where):
    return sum(item[name] for item in items if all(item[k] == v for k, v in where.items()))


def per_mtok(cost_nusd, tokens):
    """USD per million tokens."""
    return Fraction(cost_nusd, USD) / tokens * 10**6


def usage(event_id, start, first, end, prompt, completion, indices=(0,), **known):
    return Usage(event_id, end, end - start, prompt, completion,
                 ttft=None if first is None else first - start, host=known.pop("host", "h"),
                 indices=indices, **known)


def reference_vector(args):
    """three requests on one GPU at $3.60/h, covered for two minutes."""
    records = [Sample(f"s{t}", t * S, "h", 0) for t in range(0, 121, 30)]
    records += [usage("A", 0, 10 * S, 50 * S, 100, 40), usage("B", 20 * S, 30 * S, 60 * S, 200, 60),
                usage("C", 80 * S, 90 * S, 100 * S, 50, 20)]
    price = 3_600_000_000
    real = {"weighted": {"A": Fraction(17, 600), "B": Fraction(19, 600), "C": Fraction(1, 50)},
            "equal": {"A": Fraction(35, 1000), "B": Fraction(25, 1000), "C": Fraction(1, 50)}}
    # Weighted, A's out, B's in and B's out end in 1/3 nano-USD each: the first gets what is left.
    exact = {"weighted": {"A": 28_333_334, "B": 31_666_666, "C": 20_000_000},
             "equal": {"A": 35_000_000, "B": 25_000_000, "C": 20_000_000}}
    methods = list(real)
    scenarios = [(Settings(default_price=price, method=m), records) for m in methods]
    for i, (rows, costs) in enumerate(both(args.driver, scenarios)):
        method = methods[i // 2]
        equal(method, {c["event_id"]: c["cost"] for c in costs}, exact[method])
        for request, cost in real[method].items():
            if abs(exact[method][request] - cost * USD) >= 1:
                raise Mismatch(f"{request} is not within 1 nano-USD of {cost}")
        equal("idle", total(rows, "cost", kind="idle"), USD // 25)
        equal("all", total(rows, "cost"), 120_000_000)
    return "engine and reference, both methods, to the nano-dollar"


def split_price(per_hour_usd, n):
    """A node's price as n integer prices of its GPUs."""
    nusd = round(Fraction(per_hour_usd) * USD)
    return [nusd * (i + 1) // n - nusd * i // n for i in range(n)]


def lane(rate, begin, bounds):
    """(start, end, tokens) of back-to-back records whose tokens add up to the rate, exactly."""
    done = 0
    for x, y in zip(bounds, bounds[1:]):
        now = int(rate * (y - begin) / S)
        yield x, y, now - done
        done = now


def saturating_stream(row):
    """Two records at any time, half the rate each; long enough for a token to weigh 1e-7."""
    rate, gpus = Fraction(row["tps_output"]), range(int(row["gpus"]))
    hours = 2 * (2 + int(10**7 / (rate * 7200)))
    records = [Sample(f"s{i}-{t:03}", t * HOUR_NS, "h", i, price=price)
               for i, price in enumerate(split_price(row["gpu_cost_hr"], len(gpus)))
               for t in range(hours + 1)]
    even = [t * HOUR_NS for t in range(0, hours + 1, 2)]
    odd = [0, *(t * HOUR_NS for t in range(1, hours, 2)), hours * HOUR_NS]
    for name, bounds in (("even", even), ("odd", odd)):
        for x, y, tokens in lane(rate / 2, 0, bounds):
            records.append(usage(f"{name}-{x}", x, x + (y - x) // 9, y, 2 * tokens, tokens,
                                 indices=tuple(gpus)))
    return records


def measured_runs(args):
    """the 140 runs of the vLLM cost-meter paper."""
    path = os.path.join(args.data, PAPER_CSV)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8", newline="") as f:
        runs = list(csv.DictReader(f))
    equal("rows of the paper", len(runs), PAPER_ROWS)
    epoch = Settings(window=HOUR_NS, max_gap=HOUR_NS, gpu_timeout=2 * HOUR_NS, horizon=2 * HOUR_NS)
    scenarios = [(epoch, saturating_stream(run)) for run in runs]
    for i, (rows, _) in enumerate(both(args.driver, scenarios)):
        run = runs[i // 2]
        got = per_mtok(total(rows, "cost", kind="usage"), total(rows, "completion_tokens"))
        near(f"row {i // 2 + 1} of the paper", got, Fraction(run["c_eff_per_mtok"]), 1e-6)
        equal("idle and unattributed", total(rows, "cost"), total(rows, "cost", kind="usage"))
    return "engine and reference, within 1e-6"


GIGA = 10**9
DAY_NODES = [8] * 226 + [6]  # 226.75 nodes of 8 GPUs
DAY_TOKENS = {"prompt": 608 * GIGA, "cached": 342 * GIGA, "completion": 168 * GIGA}
DAY_EXAMINED = 3  # nodes that the reference computes too


def day_records():
    """Every hour a record per node, over its GPUs, with its part of the tokens."""
    gpu_hours, total_hours = 0, 24 * sum(DAY_NODES)
    for node, size in enumerate(DAY_NODES):
        for hour in range(24):
            a, b = gpu_hours, gpu_hours + size
            tokens = {k: n * b // total_hours - n * a // total_hours
                      for k, n in DAY_TOKENS.items()}
            assert max(tokens.values()) <= TOKENS_MAX
            yield usage(f"{node}-{hour}", hour * HOUR_NS, None, (hour + 1) * HOUR_NS,
                        tokens["prompt"], tokens["completion"], tuple(range(size)),
                        cached=tokens["cached"], host=f"node-{node:03}", requests=1000)
            gpu_hours = b


def deepseek_day(args):
    """DeepSeek's day: 1814 GPUs at $2/h, 608 G input tokens (342 G cached), 168 G output."""
    epoch = Settings(window=HOUR_NS, default_price=2 * USD)
    records = list(day_records())
    examined = [r for r in records if r.host >= f"node-{len(DAY_NODES) - DAY_EXAMINED:03}"]
    script = [engine.settings_line(epoch), *map(engine.record_line, records),
              f"advance {30 * HOUR_NS}"]
    end = engine.run(args.driver, [script])[0]["END"]
    equal("the day's bill", total(end.rows, "cost"), 87_072 * USD)
    equal("the requests' cost", total(end.costs, "cost"), 87_072 * USD)
    tokens = {name: total(end.rows, f"{name}_tokens") for name in ("prompt", "completion")}
    equal("prompt tokens", tokens["prompt"], DAY_TOKENS["prompt"])
    equal("cached tokens", total(end.rows, "cached_prompt_tokens"), DAY_TOKENS["cached"])
    equal("completion tokens", tokens["completion"], DAY_TOKENS["completion"])
    near("blended", per_mtok(total(end.rows, "cost"), sum(tokens.values())),
         Fraction(87_072, 776_000), 1e-12)
    uncached = DAY_TOKENS["prompt"] - DAY_TOKENS["cached"]
    real_in = Fraction(87_072 * USD * uncached, uncached + 4 * DAY_TOKENS["completion"])
    near("in", total(end.rows, "cost_in"), real_in, 1e-6)
    want, _ = reference.compute(examined, [epoch], [])
    got = [r for r in end.rows if r["host"] in {r.host for r in examined}]
    equal("rows of some nodes", engine.first_difference(
        "row", got, [reference_row(r) for r in want], engine.row_key, energy_tolerance=1e-9), None)
    return "bill and tokens exactly"


def opencost_example(args):
    """OpenCost's worked example: $3.20, 12 M prompt, 3 M generated tokens, half the time each."""
    records = [usage("r", 0, HOUR_NS // 2, HOUR_NS, 12 * 10**6, 3 * 10**6)]
    scenarios = [(Settings(default_price=3_200_000_000, method=m), records)
                 for m in ("weighted", "equal")]
    for rows, costs in both(args.driver, scenarios):
        equal("bill", total(rows, "cost"), 3_200_000_000)
        rates = [per_mtok(total(costs, name), tokens) for name, tokens in
                 (("cost", 15 * 10**6), ("cost_in", 12 * 10**6), ("cost_out", 3 * 10**6))]
        equal("rates", [f"{float(r):.3f}" for r in rates], ["0.213", "0.133", "0.533"])
        for rate, want in zip(rates, (Fraction(16, 75), Fraction(2, 15), Fraction(8, 15))):
            near("rate", rate, want, 1e-9)
    return "engine and reference, both methods"


ANSWERS = [reference_vector, measured_runs, deepseek_day, opencost_example]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--driver", required=True)
    parser.add_argument("--data", default="", help="folder that holds " + PAPER_CSV)
    args = parser.parse_args()
    failed = 0
    for i, answer in enumerate(ANSWERS, 1):
        name = answer.__doc__.rstrip(".")
        try:
            note = answer(args)
            skipped = f"SKIP {PAPER_CSV} is not there" if note is None else note
            print(f"ok {i} - {name} # {skipped}", flush=True)
        except (Mismatch, engine.DriverError) as e:
            failed += 1
            print(f"not ok {i} - {name}\n# {e}", flush=True)
    print(f"1..{len(ANSWERS)}\n# {len(ANSWERS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
