// Sharing out one window's bill where the arithmetic is at its limits.
#include "ledger.h"

#include "model/record.h"

// At 10^6 USD an hour the bill since the epoch passes 2^63 nano-USD in the middle of this minute of
// January 1971: floor(10^15 * 33204180 s / 1 h) - floor(10^15 * 33204120 s / 1 h).
static void test_bill_beyond_64_bits(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.epochs[0].default_price_nusd = RECORD_PRICE_MAX;
    (void)bench_add(&b, make_usage("r", 33204120 * S, -1, 33204180 * S, 1, 1));
    bench_advance(&b, 33204180 * S);
    assert_i64(b.ledger.bill_nusd, INT64_C(16666666666667));
    assert_i64(ledger_cost(&b.ledger, "r")->cost_nusd, INT64_C(16666666666667));
    bench_done(&b);
}

// 1,000 nano-USD over six equal parts: 166 each, and the four left over in canonical order.
static void test_ties_in_canonical_order(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    (void)bench_add(&b, make_usage("c", 0, -1, S / 1000, 4, 1));
    (void)bench_add(&b, make_usage("a", 0, -1, S / 1000, 4, 1));
    (void)bench_add(&b, make_usage("b", 0, -1, S / 1000, 4, 1));
    bench_advance(&b, 60 * S);
    const char *const ids[] = {"a", "b", "c"};
    const int64_t want[] = {167, 167, 166};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_i64(ledger_cost(&b.ledger, ids[i])->cost_in_nusd, want[i]);
        assert_i64(ledger_cost(&b.ledger, ids[i])->cost_out_nusd, want[i]);
    }
    bench_done(&b);
}

// At $0.0036 an hour a millisecond costs 1 nano-USD. The request's 1.5, idling's 0.5 and the
// 40,000.5 that nobody accounts for come to a bill of 40,003 from half a millisecond on: two units
// are left for three halves, and go to the first two in canonical order.
static void test_idle_and_unattributed_come_last(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.epochs[0].default_price_nusd = 36 * USD / 10000;
    const int64_t half = S / 2000, at = 40 * S;
    (void)bench_add(&b, make_sample("s0", half, PRICE_NONE)); // too far from the next to cover
    (void)bench_add(&b, make_sample("s1", at + 2 * half, PRICE_NONE));
    (void)bench_add(&b, make_sample("s2", at + 3 * half, PRICE_NONE));
    (void)bench_add(&b, make_usage("r", at + 3 * half, at + 3 * half, at + 6 * half, 0, 1));
    bench_advance(&b, 60 * S);
    assert_i64(b.ledger.bill_nusd, 40003);
    assert_i64(ledger_money(&b.ledger, ROW_USAGE), 2);
    assert_i64(ledger_money(&b.ledger, ROW_IDLE), 1);
    assert_i64(ledger_money(&b.ledger, ROW_UNATTRIBUTED), 40000);
    assert_i64(ledger_time(&b.ledger, ROW_UNATTRIBUTED), at + half);
    bench_done(&b);
}

// The weights of one window may differ by 10^20 and more: the sum stays exact, and who has nearly
// all of the weight pays nearly all.
static void test_weights_far_apart(void **state)
{
    (void)state;
    const int64_t year = INT64_C(366) * 86400 * S, end = 2 * year, ms = S / 1000;
    struct bench b;
    bench_init(&b);
    b.epochs[0].window_ns = HOUR;
    (void)bench_add(&b, make_usage("slow", end - year, -1, end, 1, 0));
    (void)bench_add(&b, make_usage("burst", end - HOUR, -1, end - HOUR + ms, RECORD_TOKENS_MAX,
                                   RECORD_TOKENS_MAX));
    engine_advance(b.engine, end - HOUR, &(struct engine_sink){0});
    bench_advance(&b, end);
    assert_i64(b.ledger.bill_nusd, 3600 * INT64_C(1000000));
    const struct usage_cost *burst = ledger_cost(&b.ledger, "burst");
    assert_i64(burst->cost_in_nusd, 200); // 1:4
    assert_i64(burst->cost_out_nusd, 800);
    assert_i64(ledger_cost(&b.ledger, "slow")->cost_nusd, 366 * INT64_C(86400) * 1000000 - 1000);
    bench_done(&b);
}

// A year at 10^6 USD an hour is 8.8 * 10^18 nano-USD, on two GPUs more than 64 bits hold.
static void test_costs_are_clamped(void **state)
{
    (void)state;
    const int64_t year = INT64_C(366) * 86400 * S;
    struct bench b;
    bench_init(&b);
    b.epochs[0].window_ns = HOUR;
    b.epochs[0].default_price_nusd = RECORD_PRICE_MAX;
    struct record r = make_usage("r", 0, year, year, 1, 1);
    on_gpus(&r, (const int32_t[]){0, 1}, 2);
    (void)bench_add(&b, r);
    engine_advance(b.engine, year - HOUR, &(struct engine_sink){0});
    bench_advance(&b, year);
    assert_i64(b.ledger.bill_nusd, 2 * RECORD_PRICE_MAX);
    const struct usage_cost *c = ledger_cost(&b.ledger, "r");
    assert_i64(c->cost_in_nusd, INT64_MAX / 2);
    assert_i64(c->cost_out_nusd, 0);
    bench_done(&b);
}

// A price that changes back and forth: each span is rounded on its own, and the windows' bills add
// up to what the price times come to.
static void test_spans_of_a_window(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    const int64_t odd = 36 * USD / 10 + 1;
    (void)bench_add(&b, make_sample("s0", 0, 36 * USD / 10));
    (void)bench_add(&b, make_sample("s1", 20 * S, odd));
    (void)bench_add(&b, make_sample("s2", 40 * S, 36 * USD / 10));
    (void)bench_add(&b, make_sample("s3", 60 * S, 36 * USD / 10));
    (void)bench_add(&b, make_usage("a", 0, -1, 60 * S, 1, 1));
    (void)bench_add(&b, make_usage("b", 0, -1, 60 * S, 1, 1));
    bench_advance(&b, 60 * S);
    // floor(odd * 40 s / 1 h) - floor(odd * 20 s / 1 h) = 40000000 - 20000000.
    assert_i64(b.ledger.bill_nusd, 60000000);
    assert_i64(ledger_cost(&b.ledger, "a")->cost_nusd, 30000000);
    assert_i64(ledger_cost(&b.ledger, "b")->cost_nusd, 30000000);
    bench_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST(test_bill_beyond_64_bits), TEST(test_ties_in_canonical_order),
                    TEST(test_idle_and_unattributed_come_last), TEST(test_weights_far_apart),
                    TEST(test_costs_are_clamped), TEST(test_spans_of_a_window));
}
