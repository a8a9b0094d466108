#include "cost/apportion.h"

#include "base/macros.h"
#include "test.h"

enum { PARTS_MAX = 8 };

// Quotas as hi + lo; wanted parts.
struct apportion_case {
    const char *name;
    int64_t total;
    size_t n;
    struct dd quota[PARTS_MAX];
    int64_t want[PARTS_MAX];
};

#define Q(x)                                                                                       \
    {                                                                                              \
        (x), 0                                                                                     \
    }
#define THIRD                                                                                      \
    {                                                                                              \
        0x1.5555555555555p-2, 0x1.5555555555555p-56                                                \
    } // 1/3 to 106 bits

static const struct apportion_case cases[] = {
    {"nobody gets nothing", 0, 0, {Q(0)}, {0}},
    {"whole shares stay", 6, 3, {Q(1), Q(2), Q(3)}, {1, 2, 3}},
    {"one takes all", 7, 1, {Q(7)}, {7}},
    {"the largest remainder first", 3, 3, {Q(1.25), Q(1.0), Q(0.75)}, {1, 1, 1}},
    {"two units, three remainders", 5, 3, {Q(1.5), Q(2.75), Q(0.75)}, {1, 3, 1}},
    {"a tie goes to the earlier", 1, 2, {Q(0.5), Q(0.5)}, {1, 0}},
    {"a tie of four for two units", 2, 4, {Q(0.5), Q(0.5), Q(0.5), Q(0.5)}, {1, 1, 0, 0}},
    {"thirds", 1, 3, {THIRD, THIRD, THIRD}, {1, 0, 0}},
    {"thirds of two",
     2,
     3,
     {{0x1.5555555555555p-1, 0x1.5555555555555p-55},
      {0x1.5555555555555p-1, 0x1.5555555555555p-55},
      {0x1.5555555555555p-1, 0x1.5555555555555p-55}},
     {1, 1, 0}},
    {"a remainder 2^-40 larger is a tie", 1, 2, {Q(0.5), Q(0.5 + 0x1p-40)}, {1, 0}},
    {"a remainder 2^-31 larger is not", 1, 2, {Q(0.5), Q(0.5 + 0x1p-31)}, {0, 1}},
    {"a hair under a whole is whole", 3, 2, {{3, -0x1p-60}, Q(0x1p-60)}, {3, 0}},
    {"a hair over a whole is whole", 3, 2, {{3, 0x1p-60}, Q(0x1p-60)}, {3, 0}},
    {"less than all is at hand", 2, 3, {Q(0.9), Q(0.9), Q(0.9)}, {1, 1, 0}},
    {"the sum was rounded up: the smallest remainder gives", 2, 3, {Q(1), Q(1), Q(1)}, {1, 1, 0}},
    {"large: beyond a double's integers",
     INT64_C(9007199254740995),
     2,
     {{0x1p53, 1}, Q(2)},
     {INT64_C(9007199254740993), 2}},
    {"large with remainders",
     INT64_C(1000000000000001),
     2,
     {{1e15, 0.25}, Q(0.75)},
     {INT64_C(1000000000000000), 1}},
};

static void check(const struct apportion_case *c)
{
    struct share shares[PARTS_MAX];
    uint64_t scratch[PARTS_MAX];
    for (size_t i = 0; i < c->n; i++) {
        shares[i] = (struct share){.quota = c->quota[i], .part = -1};
    }
    apportion(shares, c->n, c->total, scratch);
    for (size_t i = 0; i < c->n; i++) {
        if (shares[i].part != c->want[i]) {
            fail_at(__FILE__, __LINE__, "%s: party %zu got %lld, should get %lld\n", c->name, i,
                    (long long)shares[i].part, (long long)c->want[i]);
        }
    }
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check(&cases[i]);
    }
}

// 1000 parties in i/1000 each of 500: their remainders are all different, so who is served is
// known: i * 500 / 499500 of the sum 0 + 1 + ... + 999.
static void test_many(void **state)
{
    (void)state;
    enum { N = 1000, TOTAL = 500 };
    static struct share shares[N];
    static uint64_t scratch[N];
    const double sum = N * (N - 1) / 2.0;
    for (int i = 0; i < N; i++) {
        shares[i].quota = dd_div(dd_of_double(i * (double)TOTAL), dd_of_double(sum));
    }
    apportion(shares, N, TOTAL, scratch);
    int64_t given = 0;
    for (int i = 0; i < N; i++) {
        given += shares[i].part;
        // i * 500 / 499500 = i / 999: below 1 but for the last, and the upper half is served: of
        // the 500 units one is the last's own, 499 go to the largest remainders, 998 down to 500.
        assert_i64(shares[i].part, i >= 500);
    }
    assert_i64(given, TOTAL);
}

int main(void)
{
    return TEST_RUN(TEST(test_cases), TEST(test_many));
}
