#include "base/time.h"
#include "report/range.h"
#include "test.h"

#define H NS_PER_HOUR
#define D NS_PER_DAY
#define MINUTE (60 * NS_PER_S)

struct row {
    int64_t from, to, rolled;
    enum window_level coarsest;
    size_t n;
    struct range_part want[RANGE_PARTS_MAX];
};

static const struct row rows[] = {
    {5, 5, D, LEVEL_DAY, 0, {{0}}},
    {9, 5, D, LEVEL_DAY, 0, {{0}}},
    // Nothing is rolled up, or nothing may be: windows.
    {0, D, INT64_MIN, LEVEL_DAY, 1, {{LEVEL_WINDOW, 0, D}}},
    {0, D, D, LEVEL_WINDOW, 1, {{LEVEL_WINDOW, 0, D}}},
    // Whole days, whole hours.
    {0, 2 * D, 2 * D, LEVEL_DAY, 1, {{LEVEL_DAY, 0, 2 * D}}},
    {0, 2 * D, 2 * D, LEVEL_HOUR, 1, {{LEVEL_HOUR, 0, 2 * D}}},
    {H, 3 * H, 9 * H, LEVEL_DAY, 1, {{LEVEL_HOUR, H, 3 * H}}},
    // Less than an hour.
    {MINUTE, 9 * MINUTE, D, LEVEL_DAY, 1, {{LEVEL_WINDOW, MINUTE, 9 * MINUTE}}},
    // Two ragged ends that leave no whole hour.
    {30 * MINUTE, 90 * MINUTE, D, LEVEL_DAY, 1, {{LEVEL_WINDOW, 30 * MINUTE, 90 * MINUTE}}},
    // All five: windows, hours, days, hours, windows.
    {22 * H + MINUTE,
     3 * D + H + MINUTE,
     9 * D,
     LEVEL_DAY,
     5,
     {{LEVEL_WINDOW, 22 * H + MINUTE, 23 * H},
      {LEVEL_HOUR, 23 * H, D},
      {LEVEL_DAY, D, 3 * D},
      {LEVEL_HOUR, 3 * D, 3 * D + H},
      {LEVEL_WINDOW, 3 * D + H, 3 * D + H + MINUTE}}},
    // Rolled up only to the middle of an hour: that hour is read as windows.
    {0,
     D + 2 * H,
     D + 90 * MINUTE,
     LEVEL_DAY,
     3,
     {{LEVEL_DAY, 0, D}, {LEVEL_HOUR, D, D + H}, {LEVEL_WINDOW, D + H, D + 2 * H}}},
    // ... and before the range begins.
    {D, 2 * D, H, LEVEL_DAY, 1, {{LEVEL_WINDOW, D, 2 * D}}},
};

static void test_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        struct range_part parts[RANGE_PARTS_MAX];
        size_t n = range_split(r->from, r->to, r->rolled, r->coarsest, parts);
        if (n != r->n) {
            fail_at(__FILE__, __LINE__, "row %zu: %zu parts\n", i, n);
        }
        for (size_t k = 0; k < n; k++) {
            assert_i64(parts[k].level, r->want[k].level);
            assert_i64(parts[k].from, r->want[k].from);
            assert_i64(parts[k].to, r->want[k].to);
        }
    }
}

// Ascending, without gaps or overlaps, aligned to their levels, whatever the range.
static void test_cover(void **state)
{
    (void)state;
    for (int64_t from = 0; from < 3 * D; from += 7 * H + 11 * MINUTE) {
        for (int64_t to = from + MINUTE; to < 6 * D; to += 5 * H + 13 * MINUTE) {
            struct range_part parts[RANGE_PARTS_MAX];
            size_t n = range_split(from, to, 4 * D, LEVEL_DAY, parts);
            int64_t at = from;
            for (size_t i = 0; i < n; i++) {
                static const int64_t steps[] = {1, H, D};
                assert_i64(parts[i].from, at);
                assert_true(parts[i].to > at);
                assert_i64(parts[i].from % steps[parts[i].level], 0);
                assert_i64(parts[i].to % steps[parts[i].level], 0);
                assert_true(parts[i].level == LEVEL_WINDOW || parts[i].to <= 4 * D);
                at = parts[i].to;
            }
            assert_i64(at, to);
        }
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_split), TEST(test_cover));
}
