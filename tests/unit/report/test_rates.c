#include "report/rates.h"
#include "test.h"

static const struct sums plain = {
    .cost_nusd = 3000000000, // $3: 1 in, 2 out
    .cost_in_nusd = 1000000000,
    .cost_out_nusd = 2000000000,
    .prompt_tokens = 4000000,
    .completion_tokens = 1000000,
};

static void assert_rate(struct rate r, double want)
{
    assert_true(r.known);
    assert_near(r.usd_per_mtok, want, 1e-15);
}

static void test_busy(void **state)
{
    (void)state;
    struct rates r = rates_busy(&plain);
    assert_rate(r.all, 0.6);
    assert_rate(r.in, 0.25);
    assert_rate(r.out, 2);
}

static void test_loaded(void **state)
{
    (void)state;
    struct report_row row = {.sums = plain,
                             .loaded_nusd = 6000000000,
                             .loaded_in_nusd = 2000000000,
                             .loaded_out_nusd = 4000000000};
    struct rates r = rates_loaded(&row);
    assert_rate(r.all, 1.2);
    assert_rate(r.in, 0.5);
    assert_rate(r.out, 4);
}

// OpenCost's documented example: $3.20, 12 M prompt, 3 M generated, halves of the time.
static void test_published(void **state)
{
    (void)state;
    struct sums s = {.cost_nusd = 3200000000,
                     .cost_in_nusd = 1600000000,
                     .cost_out_nusd = 1600000000,
                     .prompt_tokens = 12000000,
                     .completion_tokens = 3000000};
    struct rates r = rates_busy(&s);
    assert_near(r.all.usd_per_mtok, 0.213, 0.0005);
    assert_near(r.in.usd_per_mtok, 0.133, 0.0005);
    assert_near(r.out.usd_per_mtok, 0.533, 0.0005);
}

static void test_unknown(void **state)
{
    (void)state;
    struct sums no_out = plain, unpriced = plain, none = {0};
    no_out.completion_tokens = 0;
    unpriced.unpriced_ns = 1;
    assert_true(rates_busy(&no_out).all.known);
    assert_true(rates_busy(&no_out).in.known);
    assert_false(rates_busy(&no_out).out.known);
    assert_false(rates_busy(&unpriced).all.known);
    assert_false(rates_busy(&unpriced).in.known);
    assert_false(rates_busy(&unpriced).out.known);
    assert_false(rates_busy(&none).all.known);
}

// A cost is unknown when nothing of it has a price; a free GPU's is 0.
static void test_cost_known(void **state)
{
    (void)state;
    static const struct {
        enum row_kind kind;
        int64_t cost, unpriced_ns, unpriced_requests;
        bool want;
    } rows[] = {
        {ROW_USAGE, 5, 0, 0, true},  {ROW_USAGE, 0, 0, 0, true},     {ROW_USAGE, 5, 7, 1, true},
        {ROW_USAGE, 0, 7, 0, false}, {ROW_USAGE, 0, 0, 1, false},    {ROW_IDLE, 0, 7, 0, false},
        {ROW_IDLE, 0, 0, 0, true},   {ROW_UNPLACED, 0, 0, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sums s = {.cost_nusd = rows[i].cost,
                         .unpriced_ns = rows[i].unpriced_ns,
                         .unpriced_requests = rows[i].unpriced_requests};
        if (cost_known(rows[i].kind, &s) != rows[i].want) {
            fail_at(__FILE__, __LINE__, "row %zu\n", i);
        }
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_busy), TEST(test_loaded), TEST(test_published), TEST(test_unknown),
                    TEST(test_cost_known));
}
