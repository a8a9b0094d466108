#include "report/sums.h"
#include "test.h"

static const struct window_row first = {
    .kind = ROW_USAGE,
    .cost_nusd = 30,
    .cost_in_nusd = 10,
    .cost_out_nusd = 20,
    .prompt_tokens = 100,
    .cached_prompt_tokens = 40,
    .completion_tokens = 7,
    .requests = 3,
    .unpriced_requests = 0,
    .busy_ns = 1000,
    .unpriced_ns = 0,
    .energy_j = 1.5,
    .has_energy = true,
    .final = true,
};

static void test_add(void **state)
{
    (void)state;
    struct sums s = {0}, twice = {0};
    sums_add_row(&s, &first);
    assert_i64((int64_t)s.cost_nusd, 30);
    assert_i64((int64_t)s.cost_in_nusd, 10);
    assert_i64((int64_t)s.cost_out_nusd, 20);
    assert_i64((int64_t)s.prompt_tokens, 100);
    assert_i64((int64_t)s.cached_prompt_tokens, 40);
    assert_i64((int64_t)s.completion_tokens, 7);
    assert_i64((int64_t)sums_tokens(&s), 107);
    assert_i64(s.requests, 3);
    assert_i64((int64_t)s.busy_ns, 1000);
    assert_true(s.has_energy);
    assert_false(s.open);
    assert_true(sums_priced(&s));
    sums_add(&twice, &s);
    sums_add(&twice, &s);
    assert_i64((int64_t)twice.cost_nusd, 60);
    assert_i64((int64_t)twice.cost_in_nusd, 20);
    assert_i64((int64_t)twice.cost_out_nusd, 40);
    assert_i64((int64_t)sums_tokens(&twice), 214);
    assert_i64((int64_t)twice.cached_prompt_tokens, 80);
    assert_i64(twice.requests, 6);
    assert_i64((int64_t)twice.busy_ns, 2000);
    assert_near(twice.energy_j, 3, 0);
}

// What is known of energy is summed; a row without it adds nothing, not zero joules.
static void test_energy(void **state)
{
    (void)state;
    struct window_row none = first;
    none.has_energy = false;
    none.energy_j = 99;
    struct sums s = {0}, other = {0};
    sums_add_row(&s, &none);
    assert_false(s.has_energy);
    assert_near(s.energy_j, 0, 0);
    sums_add_row(&other, &first);
    sums_add(&s, &other);
    assert_true(s.has_energy);
    assert_near(s.energy_j, 1.5, 0);
}

static void test_unpriced_and_open(void **state)
{
    (void)state;
    struct window_row time = first, request = first, open = first;
    time.unpriced_ns = 1;
    request.unpriced_requests = 1;
    open.final = false;
    struct sums a = {0}, b = {0}, c = {0};
    sums_add_row(&a, &time);
    sums_add_row(&b, &request);
    sums_add_row(&c, &open);
    sums_add_row(&c, &first);
    assert_false(sums_priced(&a));
    assert_false(sums_priced(&b));
    assert_true(sums_priced(&c));
    assert_true(c.open);
    assert_false(a.open);
    sums_add(&a, &c);
    assert_true(a.open);
}

// A year of the dearest GPUs is more than int64 holds.
static void test_wide(void **state)
{
    (void)state;
    struct window_row row = first;
    row.cost_nusd = INT64_MAX;
    struct sums s = {0};
    for (int i = 0; i < 3; i++) {
        sums_add_row(&s, &row);
    }
    assert_true(s.cost_nusd == (i128)INT64_MAX * 3);
}

// Counts that somebody wrote into a store end where numbers do.
static void test_absurd_counts(void **state)
{
    (void)state;
    const struct window_row row = {.requests = INT64_MAX, .unpriced_requests = INT64_MIN};
    struct sums s = {0}, twice = {0};
    for (int i = 0; i < 2; i++) {
        sums_add_row(&s, &row);
    }
    sums_add(&twice, &s);
    sums_add(&twice, &s);
    assert_true(s.requests == INT64_MAX && s.unpriced_requests == INT64_MIN);
    assert_true(twice.requests == INT64_MAX && twice.unpriced_requests == INT64_MIN);
}

int main(void)
{
    return TEST_RUN(TEST(test_add), TEST(test_energy), TEST(test_unpriced_and_open),
                    TEST(test_wide), TEST(test_absurd_counts));
}
