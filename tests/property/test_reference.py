"""The reference against vectors worked out by hand, so that it is not its own judge."""

import unittest
from fractions import Fraction

from reference import (HOUR_NS, PriceEntry, Sample, Settings, Usage, apportion, book_price, compute,
                       ideal, merge)

S = 10**9
MS = 10**6
USD = 10**9  # in nano-USD
EPOCHS = [Settings(default_price=int(3.6 * USD))]  # 1 nano-USD per us
EQUAL = [Settings(default_price=int(3.6 * USD), method="equal")]


def cover(begin, end, step=30 * S, host="h", index=0, **known):
    return [Sample(f"s{host}{index}-{ts}", ts, host, index, **known)
            for ts in range(begin, end + 1, step)]


def usage(event_id, start, end, prompt, completion, first=None, **known):
    known.setdefault("host", "h")
    known.setdefault("indices", (0,))
    ttft = None if first is None else (first - start)
    return Usage(event_id, end, end - start, prompt, completion, ttft=ttft, **known)


def costs(records, epochs=None, book=()):
    return {c.event_id: c for c in compute(records, epochs or EPOCHS, book)[1]}


def rows(records, epochs=None, book=()):
    return compute(records, epochs or EPOCHS, book)[0]


def total(found, kind):
    return sum(r.cost for r in found if r.kind == kind)


class Apportion(unittest.TestCase):
    def test_largest_remainders_get_the_units(self):
        quotas = {"a": Fraction(5, 4), "b": Fraction(7, 4), "c": Fraction(1, 2)}
        self.assertEqual(apportion(3, quotas), {"a": 1, "b": 2, "c": 0})
        self.assertEqual(apportion(4, quotas), {"a": 1, "b": 2, "c": 1})

    def test_ties_go_in_order(self):
        third = Fraction(1, 3)
        self.assertEqual(apportion(1, {"a": third, "b": third, "c": third}),
                         {"a": 1, "b": 0, "c": 0})

    def test_nothing_for_a_quota_of_zero(self):
        half = Fraction(1, 2)
        self.assertEqual(apportion(1, {"a": Fraction(0), "b": half}), {"b": 1})

    def test_fractions_are_compared_in_steps(self):
        near = Fraction(1, 2) + Fraction(1, 1 << 40)
        self.assertEqual(apportion(1, {"a": Fraction(1, 2), "b": near}), {"a": 1, "b": 0})


class Time(unittest.TestCase):
    def test_merge(self):
        self.assertEqual(merge([(0, 2), (5, 6), (2, 3), (1, 2)]), [(0, 3), (5, 6)])
        self.assertEqual(merge([(0, 2), (5, 6)], join=3), [(0, 6)])
        self.assertEqual(merge([(0, 2), (5, 6)], join=2), [(0, 2), (5, 6)])
        self.assertEqual(merge([(4, 4)], join=9), [])

    def test_max_gap_is_inclusive(self):
        exact = rows([Sample("a", 0, "h", 0), Sample("b", 30 * S, "h", 0)])
        self.assertEqual([(r.kind, r.busy_ns) for r in exact], [("idle", 30 * S)])
        wider = rows([Sample("a", 0, "h", 0), Sample("b", 30 * S + 1, "h", 0)])
        self.assertEqual([(r.kind, r.busy_ns) for r in wider], [("unattributed", 30 * S + 1)])

    def test_gpu_timeout_is_inclusive(self):
        exact = rows([Sample("a", 0, "h", 0), Sample("b", 300 * S, "h", 0)])
        self.assertEqual(sum(r.busy_ns for r in exact), 300 * S)
        self.assertEqual(rows([Sample("a", 0, "h", 0), Sample("b", 300 * S + 1, "h", 0)]), [])

    def test_a_busy_gap_is_no_gap(self):
        found = rows([Sample("a", 0, "h", 0), usage("r", 200 * S, 400 * S, 1, 1),
                      Sample("b", 600 * S, "h", 0)])
        self.assertEqual(sum(r.busy_ns for r in found), 600 * S)

    def test_less_than_a_millisecond_counts_as_one(self):
        self.assertEqual(costs([Usage("r", S, 5, 1, 1, host="h", indices=(0,))])["r"].cost, 1000)


class Price(unittest.TestCase):
    BOOK = [PriceEntry(0, 1, "nvidia h100*"), PriceEntry(0, 2, "NVIDIA H100 80GB"),
            PriceEntry(0, 3, "NVIDIA H100*", "fra"), PriceEntry(10, 4, "NVIDIA*"),
            PriceEntry(10, 5, "NVIDIA*")]

    def at(self, t, name="NVIDIA H100 80GB", site=None):
        return book_price(self.BOOK, name, site, t)

    def test_book_order(self):
        self.assertEqual(self.at(0), 2)  # a plain name before a glob
        self.assertEqual(self.at(0, site="fra"), 3)  # a site before none
        self.assertEqual(self.at(10, site="fra"), 5)  # the newest, then the last added
        self.assertEqual(self.at(9, "NVIDIA H100 NVL"), 1)
        self.assertIsNone(self.at(9, "NVIDIA A100"))
        self.assertIsNone(self.at(-1))

    def test_a_sample_states_it(self):
        found = rows(cover(0, 60 * S, price=7 * HOUR_NS // S))
        self.assertEqual([(r.kind, r.cost) for r in found], [("idle", 420)])

    def test_it_is_forgotten_at_the_timeout(self):
        request = usage("r", 0, 360 * S, 1, 0)
        found = costs([Sample("a", 0, "h", 0, price=HOUR_NS // S), request], [Settings()])["r"]
        self.assertEqual((found.cost, found.unpriced_ns, found.priced), (300, 60 * S, False))

    def test_an_early_start_borrows_from_the_next_sample(self):
        request = usage("r", 0, 60 * S, 1, 0)
        found = costs([Sample("a", 50 * S, "h", 0, price=HOUR_NS // S), request], [Settings()])["r"]
        self.assertEqual((found.cost, found.unpriced_ns), (40, 20 * S))

    def test_bills_telescope(self):
        price = 10**9 + 1
        found = rows(cover(0, 600 * S, price=price))
        self.assertEqual(sum(r.cost for r in found), price * 600 * S // HOUR_NS)


class Sharing(unittest.TestCase):
    A = usage("a", 0, 50 * S, 100, 40, first=10 * S)
    B = usage("b", 20 * S, 60 * S, 200, 60, first=30 * S)
    C = usage("c", 80 * S, 100 * S, 50, 20, first=90 * S)

    def test_known_answer_weighted(self):
        found = compute([*cover(0, 120 * S), self.A, self.B, self.C], EPOCHS, [])
        by_id = {c.event_id: c.cost for c in found[1]}
        # A = 17/600 and B = 19/600 USD. Three of their four parts end in 1/3 of a nano-USD; the one
        # left over goes to the first of these, A's out.
        self.assertEqual(by_id, {"a": 28_333_334, "b": 31_666_666, "c": 20_000_000})
        self.assertEqual(total(found[0], "idle"), 40_000_000)
        self.assertEqual(sum(r.cost for r in found[0]), 120_000_000)

    def test_known_answer_equal(self):
        found = compute([*cover(0, 120 * S), self.A, self.B, self.C], EQUAL, [])
        by_id = {c.event_id: c.cost for c in found[1]}
        self.assertEqual(by_id, {"a": 35_000_000, "b": 25_000_000, "c": 20_000_000})
        self.assertEqual(total(found[0], "idle"), 40_000_000)

    def test_ideal_is_the_real_share(self):
        found = ideal([*cover(0, 120 * S), self.A, self.B, self.C], EPOCHS, [])
        money = {i: found[i]["in"].money + found[i]["out"].money for i in "abc"}
        self.assertEqual(money, {"a": Fraction(17 * USD, 600), "b": Fraction(19 * USD, 600),
                                 "c": Fraction(USD, 50)})

    def test_one_phase_has_both_weights(self):
        found = costs([usage("r", 0, 50 * S, 20, 5)])["r"]
        self.assertEqual((found.cost_in, found.cost_out), (25_000_000, 25_000_000))

    def test_cached_tokens_weigh_nothing(self):
        found = costs([usage("r", 0, 50 * S, 20, 5, cached=20)])["r"]
        self.assertEqual((found.cost_in, found.cost_out), (0, 50_000_000))

    def test_no_weight_at_all(self):
        found = costs([usage("r", 0, 50 * S, 0, 0), usage("p", 0, 50 * S, 0, 0, first=10 * S)])
        self.assertEqual((found["r"].cost_in, found["r"].cost_out), (12_500_000, 12_500_000))
        self.assertEqual((found["p"].cost_in, found["p"].cost_out), (5_000_000, 20_000_000))

    def test_tensor_parallel_pays_on_each(self):
        found = compute([usage("r", 0, 60 * S, 10, 11, indices=(1, 0))], EPOCHS, [])
        self.assertEqual(found[1][0].cost, 120_000_000)
        self.assertEqual([(r.gpu[1], r.cost, r.completion_tokens, r.requests) for r in found[0]],
                         [(0, 60_000_000, 5, 1), (1, 60_000_000, 6, 0)])

    def test_unpriced_is_not_zero(self):
        found = compute([usage("r", 0, 60 * S, 1, 1, requests=3)], [Settings()], [])
        self.assertEqual((found[1][0].priced, found[1][0].unpriced_ns), (False, 60 * S))
        self.assertEqual((found[0][0].unpriced_requests, found[0][0].requests), (3, 3))

    def test_unplaced_has_a_line_of_its_own(self):
        found = compute([usage("r", 0, 61 * S, 3, 4, host=None)], EPOCHS, [])
        row = found[0][0]
        self.assertEqual((row.kind, row.window_start, row.cost, row.prompt_tokens, row.requests),
                         ("unplaced", 60 * S, 0, 3, 1))
        self.assertFalse(found[1][0].priced)


class Tokens(unittest.TestCase):
    def test_they_telescope(self):
        found = rows([usage("r", 50 * S, 130 * S, 7, 10, first=70 * S)])
        self.assertEqual([(r.prompt_tokens, r.completion_tokens) for r in found],
                         [(3, 0), (4, 8), (0, 2)])

    def test_an_instant_at_the_end_counts_before_it(self):
        found = rows([usage("r", 0, 60 * S, 7, 10, first=60 * S)])
        self.assertEqual([(r.prompt_tokens, r.completion_tokens) for r in found], [(7, 10)])

    def test_an_instant_at_a_window_bound_counts_after_it(self):
        found = rows([usage("r", 60 * S, 120 * S, 7, 10, first=60 * S)])
        self.assertEqual([(r.window_start, r.prompt_tokens) for r in found], [(60 * S, 7)])


class Energy(unittest.TestCase):
    def test_it_is_split_like_the_time(self):
        found = compute([*cover(0, 60 * S, power_w=100.0), usage("a", 0, 60 * S, 10, 0),
                         usage("b", 0, 60 * S, 30, 0)], EPOCHS, [])
        energy = {c.event_id: float(c.energy) for c in found[1]}
        self.assertAlmostEqual(energy["a"], 1500, delta=1e-4)  # weights are integers
        self.assertAlmostEqual(energy["b"], 4500, delta=1e-4)
        self.assertEqual(sum(c.energy for c in found[1]), 6000)

    def test_unknown_is_not_zero(self):
        self.assertIsNone(costs([usage("a", 0, 60 * S, 10, 0)])["a"].energy)
        lone = [Sample("s", 0, "h", 0, power_w=5.0), usage("a", 0, 60 * S, 10, 0)]
        self.assertIsNone(costs(lone)["a"].energy)


class Epochs(unittest.TestCase):
    def test_each_window_follows_its_own(self):
        epochs = [Settings(default_price=HOUR_NS // S),
                  Settings(effective_from=60 * S, window=30 * S, default_price=2 * HOUR_NS // S,
                           method="equal")]
        found = rows([usage("r", 0, 120 * S, 1, 0)], epochs)
        self.assertEqual([(r.window_start // S, r.cost, r.cost_in, r.method) for r in found],
                         [(0, 60, 60, "weighted"), (60, 60, 30, "equal"), (90, 60, 30, "equal")])


class Sites(unittest.TestCase):
    def test_a_sample_before_a_request(self):
        sited = usage("r", 60 * S, 119 * S, 1, 1, site="b")
        found = rows([Sample("s", 0, "h", 0, site="a"), sited])
        self.assertEqual([r.site for r in found], ["a", "a"])
        self.assertEqual([r.site for r in rows([sited])], ["b"])
        late = rows([sited, Sample("s", 149 * S, "h", 0, site="c")])
        self.assertEqual([r.site for r in late], ["c", "c", "c"])
        later = rows([sited, Sample("s", 149 * S + S, "h", 0, site="c")])
        self.assertEqual([r.site for r in later], ["b", "b", "c"])


if __name__ == "__main__":
    unittest.main()
