#include "base/time.h"
#include "report/digits.h"
#include "test.h"

static void test_round(void **state)
{
    (void)state;
    static const struct {
        int64_t exact, unit, want;
    } rows[] = {
        {0, 10, 0}, {4, 10, 0}, {5, 10, 1}, {14, 10, 1}, {15, 10, 2}, {25, 10, 3}, {7, 1, 7},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_i64((int64_t)digits_round(rows[i].exact, rows[i].unit), rows[i].want);
    }
}

enum { PARTS_MAX = 6 };

// Parts in tenths of what is shown; the remainders decide who is rounded up, ties by place.
static void test_share(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        int64_t exact[PARTS_MAX], total, want[PARTS_MAX];
    } rows[] = {
        {0, {0}, 0, {0}},
        {1, {14}, 1, {1}},
        {1, {15}, 2, {2}},
        {3, {10, 20, 30}, 6, {1, 2, 3}},
        {3, {13, 13, 14}, 4, {1, 1, 2}},          // 4.0: the largest remainder gets it
        {3, {14, 14, 14}, 4, {2, 1, 1}},          // 4.2: a tie goes to the first
        {3, {5, 5, 5}, 2, {1, 1, 0}},             // 1.5 is shown as 2
        {4, {19, 11, 0, 0}, 3, {2, 1, 0, 0}},     // nothing is never rounded up
        {5, {9, 9, 9, 9, 9}, 5, {1, 1, 1, 1, 1}}, // 4.5 is shown as 5
        {6, {1, 1, 1, 1, 1, 95}, 10, {0, 0, 0, 0, 0, 10}},
        {3, {16, 16, 16}, 5, {2, 2, 1}}, // 4.8: two of three
        {3, {16, 16, 16}, 4, {2, 1, 1}}, // a total that was itself given by a share
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        i128 exact[PARTS_MAX], shown[PARTS_MAX] = {0}, sum = 0;
        for (size_t k = 0; k < PARTS_MAX; k++) {
            exact[k] = rows[i].exact[k];
        }
        digits_share(exact, rows[i].n, 10, rows[i].total, shown);
        for (size_t k = 0; k < rows[i].n; k++) {
            if (shown[k] != rows[i].want[k]) {
                fail_at(__FILE__, __LINE__, "row %zu, part %zu: got %lld\n", i, k,
                        (long long)shown[k]);
            }
            sum += shown[k];
        }
        assert_i64((int64_t)sum, rows[i].total);
    }
}

// Sums larger than int64 add up as well.
static void test_share_wide(void **state)
{
    (void)state;
    i128 big = (i128)INT64_MAX * 1000, exact[] = {big, big + 1, big + 1}, shown[3];
    digits_share(exact, 3, 3, (3 * big + 2) / 3, shown);
    assert_true(shown[0] + shown[1] + shown[2] == (3 * big + 2) / 3);
}

static void test_grouped(void **state)
{
    (void)state;
    static const struct {
        int64_t v;
        int scale;
        const char *want;
    } rows[] = {
        {0, 0, "0"},
        {999, 0, "999"},
        {1000, 0, "1,000"},
        {-1000, 0, "-1,000"},
        {-999, 0, "-999"},
        {1234567, 0, "1,234,567"},
        {120450, 2, "1,204.50"},
        {5, 2, "0.05"},
        {-5, 2, "-0.05"},
        {99999, 2, "999.99"},
        {100000, 2, "1,000.00"},
        {1, 9, "0.000000001"},
        {INT64_MAX, 9, "9,223,372,036.854775807"},
        {INT64_MAX, 0, "9,223,372,036,854,775,807"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        buf_init(&b, 64);
        digits_grouped(&b, rows[i].v, rows[i].scale);
        assert_str(buf_view(&b), rows[i].want);
        buf_done(&b);
    }
}

static void test_rate(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *want;
    } rows[] = {
        {0, "0"},
        {0.59, "0.590"},
        {0.5904, "0.590"},
        {0.59051, "0.591"},
        {0.0000123456, "0.0000123"},
        {0.9996, "1.00"},
        {1, "1.00"},
        {12.34, "12.3"},
        {99.95001, "100"},
        {123, "123"},
        {1234, "1,230"},
        {987654321, "988,000,000"},
        {-1.5, "-1.50"},
        {(double)INFINITY, "-"},
        {(double)NAN, "-"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        buf_init(&b, 64);
        digits_rate(&b, rows[i].v);
        assert_str(buf_view(&b), rows[i].want);
        buf_done(&b);
    }
}

static void test_duration(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *want;
    } rows[] = {
        {0, "0.0 s"},
        {400 * NS_PER_MS, "0.4 s"},
        {NS_PER_S, "1 s"},
        {41 * NS_PER_S + 999 * NS_PER_MS, "41 s"},
        {60 * NS_PER_S, "1 min"},
        {61 * NS_PER_S, "1 min 1 s"},
        {18 * 60 * NS_PER_S, "18 min"},
        {NS_PER_HOUR + 59 * NS_PER_S, "1 h"},
        {2 * NS_PER_HOUR + 5 * 60 * NS_PER_S, "2 h 5 min"},
        {3 * NS_PER_DAY + 4 * NS_PER_HOUR, "3 d 4 h"},
        {3 * NS_PER_DAY + 59 * 60 * NS_PER_S, "3 d"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        buf_init(&b, 64);
        digits_duration(&b, rows[i].ns);
        assert_str(buf_view(&b), rows[i].want);
        buf_done(&b);
    }
}

static void test_count(void **state)
{
    (void)state;
    static const struct {
        int64_t n;
        const char *want;
    } rows[] = {{0, "0 GPUs"}, {1, "1 GPU"}, {2, "2 GPUs"}, {12345, "12,345 GPUs"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        buf_init(&b, 64);
        digits_count(&b, rows[i].n, "GPU");
        assert_str(buf_view(&b), rows[i].want);
        buf_done(&b);
    }
}

static void test_per_mtok(void **state)
{
    (void)state;
    double v = -1;
    // One dollar for a million tokens, and half a cent for 2,000 of them.
    assert_true(digits_per_mtok(1000000000, 1000000, &v));
    assert_near(v, 1, 0);
    assert_true(digits_per_mtok(5000000, 2000, &v));
    assert_near(v, 2.5, 0);
    assert_true(digits_per_mtok(0, 1, &v));
    assert_near(v, 0, 0);
    assert_false(digits_per_mtok(5, 0, &v));
}

int main(void)
{
    return TEST_RUN(TEST(test_round), TEST(test_share), TEST(test_share_wide), TEST(test_grouped),
                    TEST(test_rate), TEST(test_duration), TEST(test_count), TEST(test_per_mtok));
}
