// Rows and costs of whole windows: what is shared out, to whom, and what is counted where. At $3.60
// an hour a second costs 1,000,000 nano-USD.
#include "ledger.h"

#include "base/time.h"

static void check_cost(const struct bench *b, const char *id, int64_t in, int64_t out)
{
    const struct usage_cost *c = ledger_cost(&b->ledger, id);
    assert_i64(c->cost_in_nusd, in);
    assert_i64(c->cost_out_nusd, out);
    assert_i64(c->cost_nusd, in + out);
    assert_true(c->priced);
    assert_true(c->final);
    assert_i64(c->revision, 1);
}

static void add_known_answer(struct bench *b)
{
    bench_cover(b, 0, 120 * S);
    (void)bench_add(b, make_usage("A", 0, 10 * S, 50 * S, 100, 40));
    (void)bench_add(b, make_usage("B", 20 * S, 30 * S, 60 * S, 200, 60));
    (void)bench_add(b, make_usage("C", 80 * S, 90 * S, 100 * S, 50, 20));
}

// Known answer 1 of cost-model.md. A alone for 20 s; then its 4 tokens' weight a second against B's
// 20, then against B's 8; B alone for 10 s. Three parts of the first window end in a third of a
// nano-USD, and the one left over goes to the first of these, A's out.
static void test_known_answer_weighted(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    add_known_answer(&b);
    bench_advance(&b, 120 * S);
    check_cost(&b, "A", 10000000, 18333334);
    check_cost(&b, "B", 8333333, 23333333);
    check_cost(&b, "C", 10000000, 10000000);
    assert_i64(ledger_money(&b.ledger, ROW_IDLE), 40000000);
    assert_i64(ledger_money(&b.ledger, ROW_USAGE), 80000000);
    assert_i64(b.ledger.bill_nusd, 120000000);
    const struct window_row *row = ledger_row(&b.ledger, 0, 0, ROW_USAGE, "m");
    assert_i64(row->cost_in_nusd, 18333333);
    assert_i64(row->cost_out_nusd, 41666667);
    assert_i64(row->prompt_tokens, 300);
    assert_i64(row->completion_tokens, 100);
    assert_i64(row->requests, 2);
    assert_i64(row->busy_ns, 60 * S);
    row = ledger_row(&b.ledger, 60 * S, 0, ROW_IDLE, NULL);
    assert_i64(row->busy_ns, 40 * S);
    assert_i64(row->cost_in_nusd, 0); // only usage is divided
    bench_done(&b);
}

static void test_known_answer_equal(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.epochs[0].method = METHOD_EQUAL;
    add_known_answer(&b);
    bench_advance(&b, 120 * S);
    check_cost(&b, "A", 10000000, 25000000);
    check_cost(&b, "B", 5000000, 20000000);
    check_cost(&b, "C", 10000000, 10000000);
    assert_i64(ledger_money(&b.ledger, ROW_IDLE), 40000000);
    assert_int_equal(ledger_cost(&b.ledger, "A")->method, METHOD_EQUAL);
    bench_done(&b);
}

// Nobody weighs anything: equal shares, by the phase that each is in.
static void test_no_weight_at_all(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    (void)bench_add(&b, make_usage("no first", 0, -1, 50 * S, 0, 0));
    (void)bench_add(&b, make_usage("first", 0, 10 * S, 50 * S, 0, 0));
    bench_advance(&b, 60 * S);
    check_cost(&b, "no first", 12500000, 12500000);
    check_cost(&b, "first", 5000000, 20000000);
    bench_done(&b);
}

static const struct {
    const char *name;
    int64_t first, prompt, cached, completion, in, out;
} phases[] = {
    {"a prefill without length has no weight", 0, 100, 0, 10, 0, 60000000},
    {"nor has a decode without length", 60 * S, 100, 0, 10, 60000000, 0},
    {"cached tokens weigh nothing", -1, 20, 20, 5, 0, 60000000},
    {"one phase: 20 of weight in, 20 out", -1, 20, 0, 5, 30000000, 30000000},
    {"one phase: 10 in, 20 out", -1, 20, 10, 5, 20000000, 40000000},
    {"two phases: each its time", 45 * S, 1, 0, 1, 45000000, 15000000},
    {"alone in a prefill without weight", 45 * S, 7, 7, 1, 45000000, 15000000},
};

static void test_phases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
        struct bench b;
        bench_init(&b);
        struct record r =
            make_usage("r", 0, phases[i].first, 60 * S, phases[i].prompt, phases[i].completion);
        r.usage.cached_prompt_tokens = phases[i].cached;
        r.usage.has |= USAGE_CACHED;
        (void)bench_add(&b, r);
        bench_advance(&b, 60 * S);
        const struct usage_cost *c = ledger_cost(&b.ledger, "r");
        if (c->cost_in_nusd != phases[i].in || c->cost_out_nusd != phases[i].out) {
            fail_at(__FILE__, __LINE__, "%s: %lld in, %lld out\n", phases[i].name,
                    (long long)c->cost_in_nusd, (long long)c->cost_out_nusd);
        }
        bench_done(&b);
    }
}

// One ends, one begins and has its first token, the price changes, all at 30 s.
static void test_simultaneous_edges(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    (void)bench_add(&b, make_sample("s0", 0, 36 * USD / 10));
    (void)bench_add(&b, make_sample("s1", 30 * S, 72 * USD / 10));
    (void)bench_add(&b, make_sample("s2", 60 * S, 72 * USD / 10));
    (void)bench_add(&b, make_usage("a", 0, 30 * S, 30 * S, 9, 9));
    (void)bench_add(&b, make_usage("b", 30 * S, 30 * S, 60 * S, 9, 9));
    bench_advance(&b, 60 * S);
    check_cost(&b, "a", 30000000, 0);
    check_cost(&b, "b", 0, 60000000);
    assert_i64(b.ledger.bill_nusd, 90000000);
    bench_done(&b);
}

// On GPU 0 half of the weight of "two" stands against all of "one": a third of that minute.
static void test_tensor_parallel(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    struct record two = make_usage("two", 0, 60 * S, 60 * S, 11, 5);
    on_gpus(&two, (const int32_t[]){0, 1}, 2);
    (void)bench_add(&b, two);
    (void)bench_add(&b, make_usage("one", 0, 60 * S, 60 * S, 11, 0));
    bench_advance(&b, 60 * S);
    check_cost(&b, "two", 80000000, 0);
    check_cost(&b, "one", 40000000, 0);
    const struct window_row *first = ledger_row(&b.ledger, 0, 0, ROW_USAGE, "m");
    const struct window_row *second = ledger_row(&b.ledger, 0, 1, ROW_USAGE, "m");
    assert_i64(first->requests, 2);
    assert_i64(second->requests, 0); // counted on their first GPU
    assert_i64(first->prompt_tokens, 5 + 11);
    assert_i64(second->prompt_tokens, 6);
    assert_i64(first->completion_tokens, 2);
    assert_i64(second->completion_tokens, 3);
    bench_done(&b);
}

// The only price known is 300 s old after 300 s: then it is forgotten.
static void test_unpriced(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.epochs[0].default_price_nusd = PRICE_NONE;
    (void)bench_add(&b, make_sample("s", 0, 36 * USD / 10));
    struct record r = make_usage("r", 0, -1, 360 * S, 5, 5);
    r.usage.requests = 7;
    r.usage.has |= USAGE_REQUESTS;
    (void)bench_add(&b, r);
    bench_advance(&b, 360 * S);
    const struct usage_cost *c = ledger_cost(&b.ledger, "r");
    assert_false(c->priced);
    assert_i64(c->cost_nusd, 300000000);
    assert_i64(c->unpriced_ns, 60 * S);
    const struct window_row *row = ledger_row(&b.ledger, 300 * S, 0, ROW_USAGE, "m");
    assert_i64(row->cost_nusd, 0);
    assert_i64(row->unpriced_ns, 60 * S);
    assert_i64(row->busy_ns, 60 * S);
    assert_i64(row->requests, 7);
    assert_i64(row->unpriced_requests, 7);
    assert_i64(ledger_row(&b.ledger, 240 * S, 0, ROW_USAGE, "m")->unpriced_requests, 0);
    bench_done(&b);
}

// Beside 10^9 tokens in a millisecond without a price, one token in five minutes has a real share
// of 3 * 10^-9 ns, which rounds to 0. It is a part without a price all the same.
static void test_unpriced_by_a_hair(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.epochs[0].default_price_nusd = PRICE_NONE;
    (void)bench_add(&b, make_sample("s", 0, 36 * USD / 10));
    (void)bench_add(&b, make_usage("slow", 0, -1, 300 * S + S / 1000, 0, 1));
    (void)bench_add(&b, make_usage("burst", 300 * S, -1, 300 * S + S / 1000, 0, 1000000000));
    bench_advance(&b, 300 * S);
    assert_int_equal(b.ledger.n_costs, 0);
    bench_advance(&b, 360 * S);
    const struct usage_cost *c = ledger_cost(&b.ledger, "slow");
    assert_i64(c->unpriced_ns, 0);
    assert_i64(c->cost_nusd, 300000000);
    assert_false(c->priced);
    assert_false(ledger_cost(&b.ledger, "burst")->priced);
    assert_i64(ledger_row(&b.ledger, 300 * S, 0, ROW_USAGE, "m")->unpriced_requests, 2);
    bench_done(&b);
}

// No GPU pays for it: it is counted in the window of its last nanosecond.
static void test_unplaced(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    struct record no_host = make_usage("no host", 0, -1, 60 * S, 3, 4);
    no_host.usage.host = STR_NONE;
    struct record no_gpu = make_usage("no gpu", 0, -1, 60 * S + 1, 5, 6);
    no_gpu.usage.n_gpus = 0;
    (void)bench_add(&b, no_host);
    (void)bench_add(&b, no_gpu);
    bench_advance(&b, 120 * S);
    const struct window_row *row = ledger_row(&b.ledger, 0, -1, ROW_UNPLACED, "m");
    assert_i64(row->prompt_tokens, 3);
    assert_i64(row->completion_tokens, 4);
    assert_i64(row->requests, 1);
    assert_i64(row->cost_nusd, 0);
    assert_str(row->gpu.host, NULL);
    row = ledger_row(&b.ledger, 60 * S, -1, ROW_UNPLACED, "m");
    assert_i64(row->prompt_tokens, 5);
    assert_false(ledger_cost(&b.ledger, "no host")->priced);
    assert_false(ledger_cost(&b.ledger, "no gpu")->priced);
    assert_i64(b.ledger.bill_nusd, 0);
    bench_done(&b);
}

static void add_powered(struct bench *b, const char *id, int64_t ts, double power_w)
{
    struct record r = make_sample(id, ts, PRICE_NONE);
    r.sample.power_w = power_w;
    r.sample.has |= SAMPLE_POWER;
    (void)bench_add(b, r);
}

// 100 W for a minute, of which 30 s are idle: 1,500 J by weights 1:3.
static void test_energy(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    add_powered(&b, "s0", 0, 100);
    add_powered(&b, "s1", 30 * S, 100);
    add_powered(&b, "s2", 60 * S, 100);
    (void)bench_add(&b, make_usage("a", 0, 30 * S, 30 * S, 10, 0));
    (void)bench_add(&b, make_usage("b", 0, 30 * S, 30 * S, 30, 0));
    (void)bench_add(&b, make_usage("dark", 200 * S, -1, 210 * S, 1, 1));
    bench_advance(&b, 240 * S);
    const struct usage_cost *c = ledger_cost(&b.ledger, "a");
    assert_true(c->has_energy);
    assert_near(c->energy_j, 750, 1e-6);
    assert_near(ledger_cost(&b.ledger, "b")->energy_j, 2250, 1e-6);
    assert_false(ledger_cost(&b.ledger, "dark")->has_energy); // unknown, not zero
    assert_near(ledger_row(&b.ledger, 0, 0, ROW_IDLE, NULL)->energy_j, 3000, 1e-6);
    assert_false(ledger_row(&b.ledger, 60 * S, 0, ROW_UNATTRIBUTED, NULL)->has_energy);
    bench_done(&b);
}

// A sample's site before a request's, looking back a gpu_timeout and ahead a max_gap.
static void test_sites(void **state)
{
    (void)state;
    static const struct {
        int64_t sample; // when it states "ams"; -1: never
        const char *want;
    } cases[] = {
        {-1, "fra"},
        {0, "fra"},
        {100 * S, "ams"},
        {400 * S, "ams"},
        // The window is [360, 420): 30 s after its last nanosecond, and one more.
        {450 * S - 1, "ams"},
        {450 * S, "fra"},
        {60 * S, "fra"},
        {60 * S + 1, "ams"}, // 300 s before it, and one less
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        bench_init(&b);
        struct record r = make_usage("r", 370 * S, -1, 400 * S, 1, 1);
        r.usage.site = STR("fra");
        (void)bench_add(&b, r);
        struct record s = make_sample("s", cases[i].sample, PRICE_NONE);
        s.sample.site = STR("ams");
        if (cases[i].sample >= 0) {
            (void)bench_add(&b, s);
        }
        bench_advance(&b, 420 * S);
        assert_str(ledger_row(&b.ledger, 360 * S, 0, ROW_USAGE, NULL)->site, cases[i].want);
        bench_done(&b);
    }
}

// Windows follow the settings of their own epoch: length, price, method.
static void test_epochs(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.epochs[1] = b.epochs[0];
    b.epochs[1].effective_from = 60 * S;
    b.epochs[1].window_ns = 30 * S;
    b.epochs[1].default_price_nusd = 72 * USD / 10;
    b.epochs[1].method = METHOD_EQUAL;
    b.settings.n = 2;
    (void)bench_add(&b, make_usage("r", 0, -1, 120 * S, 1, 0));
    bench_advance(&b, 120 * S);
    assert_int_equal(b.ledger.n_windows, 3);
    const struct window_row *row = ledger_row(&b.ledger, 0, 0, ROW_USAGE, NULL);
    assert_i64(row->cost_nusd, 60000000);
    assert_i64(row->cost_in_nusd, 60000000);
    assert_int_equal(row->method, METHOD_WEIGHTED);
    row = ledger_row(&b.ledger, 90 * S, 0, ROW_USAGE, NULL);
    assert_i64(row->cost_nusd, 60000000);
    assert_i64(row->cost_in_nusd, 30000000);
    assert_int_equal(row->method, METHOD_EQUAL);
    assert_i64(ledger_cost(&b.ledger, "r")->cost_nusd, 180000000);
    bench_done(&b);
}

// A row for each (model, tenant), in canonical order, and one for idling.
static void test_rows_by_group(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    bench_cover(&b, 0, 60 * S);
    const char *const tenants[] = {"b", NULL, "a"};
    for (size_t i = 0; i < ARRAY_LEN(tenants); i++) {
        struct record r =
            make_usage("r0", (int64_t)i * 10 * S, -1, (int64_t)(i + 1) * 10 * S, 1, 1);
        const char *const ids[] = {"r0", "r1", "r2"};
        r.event_id = str_of(ids[i]);
        r.usage.tenant = str_of(tenants[i]);
        (void)bench_add(&b, r);
    }
    bench_advance(&b, 60 * S);
    assert_int_equal(b.ledger.n_rows, 4);
    const char *const want[] = {NULL, "a", "b", NULL};
    for (size_t i = 0; i < 4; i++) {
        assert_str(b.ledger.rows[i].tenant, want[i]);
        assert_i64(b.ledger.rows[i].cost_nusd, i < 3 ? 10000000 : 30000000);
    }
    assert_int_equal(b.ledger.rows[3].kind, ROW_IDLE);
    bench_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST(test_known_answer_weighted), TEST(test_known_answer_equal),
                    TEST(test_no_weight_at_all), TEST(test_phases), TEST(test_simultaneous_edges),
                    TEST(test_tensor_parallel), TEST(test_unpriced), TEST(test_unpriced_by_a_hair),
                    TEST(test_unplaced), TEST(test_energy), TEST(test_sites), TEST(test_epochs),
                    TEST(test_rows_by_group));
}
