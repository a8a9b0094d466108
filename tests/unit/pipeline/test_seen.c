// Which records an engine has taken in, over several takeovers.
#include "test.h"

#include "pipeline/seen.h"

static const enum record_kind S = RECORD_SAMPLE;

static void test_gaps(void **state)
{
    (void)state;
    struct shard_state s = {.samples_seen = 10, .usage_seen = 7};
    assert_true(seen_has(&s, S, 10) && !seen_has(&s, S, 11));
    seen_open_gap(&s, S, 1, 100); // 11 to 99
    assert_false(seen_has(&s, S, 11) || seen_in_gap(&s, S, 10) || seen_in_gap(&s, S, 100));
    seen_fed(&s, S, 100);
    seen_fed(&s, S, 130);
    assert_true(seen_has(&s, S, 10) && seen_has(&s, S, 100) && seen_has(&s, S, 120));
    assert_true(!seen_has(&s, S, 11) && !seen_has(&s, S, 99) && seen_in_gap(&s, S, 99));
    seen_fed(&s, S, 50); // it came to light; what is below may yet
    assert_true(seen_in_gap(&s, S, 50) && seen_highest(&s, S) == 130);
    seen_read(&s, S, 20);
    assert_true(seen_has(&s, S, 11) && seen_has(&s, S, 20) && !seen_has(&s, S, 21));
    assert_true(seen_has(&s, RECORD_USAGE, 7) && !seen_in_gap(&s, RECORD_USAGE, 11));
}

static void test_nothing_read_between(void **state)
{
    (void)state;
    struct shard_state s = {.samples_seen = 10};
    seen_open_gap(&s, S, 1, 100);
    seen_open_gap(&s, S, 1, 200);
    assert_i64((int64_t)s.gaps[S].n, 1);
    assert_i64(s.gaps[S].v[0].from, 11);
    assert_i64(s.gaps[S].v[0].to, 200);
    seen_open_gap(&s, S, 1, 11); // an owner who has read all there can be
    struct shard_state none = {.samples_seen = 10};
    seen_open_gap(&none, S, 1, 11);
    assert_i64((int64_t)none.gaps[S].n, 0);
}

static void test_only_the_last_ones(void **state)
{
    (void)state;
    struct shard_state s = {.samples_seen = 0};
    for (int64_t own = 100; own <= 700; own += 100) {
        seen_open_gap(&s, S, 1, own);
        seen_fed(&s, S, own + 10);
    }
    assert_i64((int64_t)s.gaps[S].n, SHARD_GAPS_MAX);
    assert_i64(s.gaps[S].v[0].from, 311);
    assert_i64(s.gaps[S].v[SHARD_GAPS_MAX - 1].to, 700);
    assert_true(seen_has(&s, S, 250) && !seen_has(&s, S, 350));
}

// A request without a host is of the shard of its message. Sent twice, it may come in two, and is
// stored in one: what another shard has is in no gap.
static void test_other_shards(void **state)
{
    (void)state;
    struct shard_state s = {.samples_seen = 0}; // nothing yet
    seen_open_gap(&s, S, 1000, 1100);
    assert_true(seen_in_gap(&s, S, 1000) && seen_in_gap(&s, S, 1099));
    assert_false(seen_in_gap(&s, S, 1) || seen_in_gap(&s, S, 999) || seen_in_gap(&s, S, 1100));
}

int main(void)
{
    return TEST_RUN(TEST(test_gaps), TEST(test_nothing_read_between), TEST(test_only_the_last_ones),
                    TEST(test_other_shards));
}
