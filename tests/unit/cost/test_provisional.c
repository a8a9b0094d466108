#include "cost/provisional.h"

#include "ledger.h"

struct estimator {
    struct provisional *p;
    struct settings settings;
    struct price_book prices;
};

static void setup(struct estimator *e)
{
    *e = (struct estimator){.p = provisional_new(), .settings = settings_default};
}

static struct usage_cost estimate(struct estimator *e, const struct record *r)
{
    struct usage_cost cost = {.seq = 77, .final = true, .revision = 5};
    provisional_usage(e->p, &e->settings, &e->prices, &r->usage, &cost);
    return cost;
}

static struct usage_cost estimate_at(struct estimator *e, int64_t ts, int64_t prompt,
                                     int64_t completion)
{
    struct record r = make_usage("r", ts - S, -1, ts, prompt, completion);
    return estimate(e, &r);
}

static void see(struct estimator *e, int64_t ts, int64_t price, const char *name)
{
    struct record r = make_sample("s", ts, price);
    r.sample.name = str_of(name);
    provisional_sample(e->p, &r.sample);
}

// $3.60 an hour over 1,000 tokens in 30 s, which are 120,000 an hour: 30,000 nano-USD a token.
static void test_the_missions_formula(void **state)
{
    (void)state;
    struct estimator e;
    setup(&e);
    see(&e, 0, 36 * USD / 10, NULL);
    struct usage_cost c = estimate_at(&e, 100 * S, 600, 400);
    assert_true(c.priced);
    assert_i64(c.cost_in_nusd, 600 * 30000);
    assert_i64(c.cost_out_nusd, 400 * 30000);
    assert_i64(c.cost_nusd, 30 * USD / 1000);
    assert_false(c.final);
    assert_i64(c.revision, 0);
    // 3,000 more: 4,000 in the last 30 s make 480,000 an hour, 7,500 nano-USD a token.
    c = estimate_at(&e, 110 * S, 3000, 0);
    assert_i64(c.cost_nusd, 3000 * 7500);
    provisional_free(e.p);
}

static void test_thirty_seconds(void **state)
{
    (void)state;
    struct estimator e;
    setup(&e);
    see(&e, 0, 36 * USD / 10, NULL);
    (void)estimate_at(&e, 100 * S, 1000, 0);
    struct usage_cost c = estimate_at(&e, 130 * S - 1, 1000, 0);
    assert_i64(c.cost_nusd, 1000 * 15000); // both count
    c = estimate_at(&e, 130 * S, 2000, 0); // the first is 30 s old, and out: 3,000 tokens
    assert_i64(c.cost_nusd, 2000 * 10000);
    c = estimate_at(&e, 1000 * S, 1000, 0);
    assert_i64(c.cost_nusd, 1000 * 30000); // alone again
    provisional_free(e.p);
}

static void test_where_the_price_is_from(void **state)
{
    (void)state;
    struct estimator e;
    setup(&e);
    const struct price_entry entry = {
        .id = 1, .price_nusd_hour = 72 * USD / 10, .name = STR("H100")};
    assert_false(estimate_at(&e, 100 * S, 500, 500).priced); // no sample, no default
    e.settings.default_price_nusd = 36 * USD / 10;
    assert_i64(estimate_at(&e, 200 * S, 500, 500).cost_nusd, 30 * USD / 1000);
    see(&e, 300 * S, PRICE_NONE, "H100");
    assert_i64(estimate_at(&e, 300 * S, 500, 500).cost_nusd, 30 * USD / 1000);
    e.prices = (struct price_book){&entry, 1};
    assert_i64(estimate_at(&e, 400 * S, 500, 500).cost_nusd, 60 * USD / 1000);
    see(&e, 500 * S, 0, "H100"); // a stated price, be it nothing, goes before the book's
    struct usage_cost c = estimate_at(&e, 500 * S, 500, 500);
    assert_true(c.priced);
    assert_i64(c.cost_nusd, 0);
    see(&e, 450 * S, 999 * USD, "H100"); // an older sample tells nothing new
    assert_i64(estimate_at(&e, 600 * S, 500, 500).cost_nusd, 0);
    provisional_free(e.p);
}

static void test_without_a_price_or_a_place(void **state)
{
    (void)state;
    struct estimator e;
    setup(&e);
    e.settings.default_price_nusd = USD;
    struct record r = make_usage("r", 0, -1, S, 5, 5);
    r.usage.host = STR_NONE;
    struct usage_cost c = estimate(&e, &r);
    assert_false(c.priced);
    assert_i64(c.cost_nusd, 0);
    assert_false(estimate_at(&e, S, 0, 0).priced); // nothing to divide by
    // One of two GPUs has no price: neither has the request.
    e.settings.default_price_nusd = PRICE_NONE;
    see(&e, 0, USD, NULL);
    r = make_usage("r", 0, -1, S, 5, 5);
    on_gpus(&r, (const int32_t[]){0, 1}, 2);
    c = estimate(&e, &r);
    assert_false(c.priced);
    assert_i64(c.cost_nusd, 0);
    provisional_free(e.p);
}

// Each GPU's price over the tokens that passed there: both were its own.
static void test_two_gpus_cost_both(void **state)
{
    (void)state;
    struct estimator e;
    setup(&e);
    e.settings.default_price_nusd = 36 * USD / 10;
    struct record r = make_usage("r", 99 * S, -1, 100 * S, 500, 500);
    on_gpus(&r, (const int32_t[]){0, 1}, 2);
    assert_i64(estimate(&e, &r).cost_nusd, 60 * USD / 1000);
    provisional_free(e.p);
}

// A clock that is an hour ahead once must not make the queue of the last 30 s grow for an hour.
static void test_one_record_from_the_future(void **state)
{
    (void)state;
    struct estimator e;
    setup(&e);
    e.settings.default_price_nusd = 36 * USD / 10;
    (void)estimate_at(&e, 3700 * S, 1, 0);
    struct usage_cost c = {0};
    for (int64_t t = 100; t < 1100; t++) {
        c = estimate_at(&e, t * S, 1000, 0);
    }
    // At most 30 of them passed in the last 30 s, not a thousand: 1,000 nano-USD a token, or more.
    assert_true(c.cost_nusd >= 1000 * 1000);
    provisional_free(e.p);
}

int main(void)
{
    return TEST_RUN(TEST(test_the_missions_formula), TEST(test_thirty_seconds),
                    TEST(test_where_the_price_is_from), TEST(test_without_a_price_or_a_place),
                    TEST(test_two_gpus_cost_both), TEST(test_one_record_from_the_future));
}
