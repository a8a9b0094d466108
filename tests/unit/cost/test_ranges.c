#include "cost/ranges.h"

#include "base/macros.h"
#include "test.h"

enum { STEPS_MAX = 5, RANGES_MAX = 4 };

struct step {
    char what; // '+' add, '-' remove, 0 no more
    int64_t from, to;
};

static const struct ranges_case {
    const char *name;
    struct step steps[STEPS_MAX];
    struct time_range want[RANGES_MAX]; // ends with an empty one
} cases[] = {
    {"nothing", {{0}}, {{0}}},
    {"one", {{'+', 1, 5}}, {{1, 5}}},
    {"an empty one is none", {{'+', 5, 5}, {'+', 6, 5}}, {{0}}},
    {"apart", {{'+', 1, 5}, {'+', 6, 9}}, {{1, 5}, {6, 9}}},
    {"before", {{'+', 6, 9}, {'+', 1, 5}}, {{1, 5}, {6, 9}}},
    {"touching on the right", {{'+', 1, 5}, {'+', 5, 9}}, {{1, 9}}},
    {"touching on the left", {{'+', 5, 9}, {'+', 1, 5}}, {{1, 9}}},
    {"inside", {{'+', 1, 9}, {'+', 3, 4}}, {{1, 9}}},
    {"around", {{'+', 3, 4}, {'+', 1, 9}}, {{1, 9}}},
    {"over a gap", {{'+', 1, 3}, {'+', 5, 7}, {'+', 2, 6}}, {{1, 7}}},
    {"into a gap", {{'+', 1, 3}, {'+', 9, 12}, {'+', 5, 7}}, {{1, 3}, {5, 7}, {9, 12}}},
    {"over all", {{'+', 1, 3}, {'+', 5, 7}, {'+', 9, 12}, {'+', 0, 20}}, {{0, 20}}},
    {"removing all", {{'+', 1, 3}, {'-', 1, 3}}, {{0}}},
    {"removing more than all", {{'+', 1, 3}, {'+', 5, 7}, {'-', 0, 9}}, {{0}}},
    {"removing the left", {{'+', 1, 9}, {'-', 0, 4}}, {{4, 9}}},
    {"removing the right", {{'+', 1, 9}, {'-', 4, 20}}, {{1, 4}}},
    {"removing from the middle", {{'+', 1, 9}, {'-', 4, 5}}, {{1, 4}, {5, 9}}},
    {"removing beside", {{'+', 1, 3}, {'+', 5, 7}, {'-', 3, 5}}, {{1, 3}, {5, 7}}},
    {"removing across",
     {{'+', 1, 3}, {'+', 5, 7}, {'+', 8, 9}, {'-', 2, 6}},
     {{1, 2}, {6, 7}, {8, 9}}},
    {"removing nothing", {{'+', 1, 9}, {'-', 4, 4}}, {{1, 9}}},
    {"to the ends of time",
     {{'+', INT64_MIN, 0}, {'+', 5, INT64_MAX}, {'-', -1, 6}},
     {{INT64_MIN, -1}, {6, INT64_MAX}}},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ranges r = {0};
        for (const struct step *s = cases[i].steps; s < cases[i].steps + STEPS_MAX && s->what;
             s++) {
            (s->what == '+' ? ranges_add : ranges_remove)(&r, s->from, s->to);
        }
        size_t n = 0;
        while (n < RANGES_MAX && cases[i].want[n].from < cases[i].want[n].to) {
            n++;
        }
        bool same = r.n == n;
        for (size_t j = 0; j < n && same; j++) {
            same = r.v[j].from == cases[i].want[j].from && r.v[j].to == cases[i].want[j].to;
        }
        if (!same) {
            fail_at(__FILE__, __LINE__, "%s: %zu ranges, the first [%lld, %lld)\n", cases[i].name,
                    r.n, r.n ? (long long)r.v[0].from : 0, r.n ? (long long)r.v[0].to : 0);
        }
        ranges_done(&r);
    }
}

// Against a row of marks, in a pseudo-random order of additions and removals.
static void test_against_marks(void **state)
{
    (void)state;
    enum { SPAN = 64, ROUNDS = 5000 };
    bool marks[SPAN] = {0};
    struct ranges r = {0};
    uint32_t seed = 1;
    for (int round = 0; round < ROUNDS; round++) {
        seed = seed * 1664525 + 1013904223;
        int64_t from = seed >> 26, to = from + ((seed >> 18) & 7);
        bool add = (seed >> 12) & 1;
        (add ? ranges_add : ranges_remove)(&r, from, to);
        for (int64_t t = from; t < to && t < SPAN; t++) {
            marks[t] = add;
        }
        size_t at = 0;
        for (int64_t t = 0; t < SPAN; t++) {
            while (at < r.n && r.v[at].to <= t) {
                at++;
            }
            assert_int_equal(marks[t], at < r.n && r.v[at].from <= t);
        }
        for (size_t i = 0; i + 1 < r.n; i++) {
            assert_true(r.v[i].from < r.v[i].to && r.v[i].to < r.v[i + 1].from);
        }
    }
    ranges_done(&r);
}

int main(void)
{
    return TEST_RUN(TEST(test_cases), TEST(test_against_marks));
}
