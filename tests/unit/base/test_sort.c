#include "test.h"

#include <string.h>

#include "base/sort.h"

struct item {
    int key, place;
};

static inline int before(const struct item *a, const struct item *b)
{
    return a->key < b->key;
}

DEFINE_SORT(sort_items, struct item, before);

enum { SORT_MAX = 1000 };

static void check_sorted(const struct item *v, size_t n, long long key_sum)
{
    for (size_t i = 0; i < n; i++) {
        key_sum -= v[i].key;
        if (i > 0) {
            assert_true(v[i - 1].key <= v[i].key);
            assert_true(v[i - 1].key < v[i].key || v[i - 1].place < v[i].place);
        }
    }
    assert_i64(key_sum, 0);
}

// Every length around the run length and its multiples, with few and with many equal keys.
static void test_sorts_and_keeps_order_of_equals(void **state)
{
    (void)state;
    static struct item v[SORT_MAX], scratch[SORT_MAX];
    static const unsigned ranges[] = {1, 3, 100, 1U << 30};
    unsigned x = 1;
    for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
        for (size_t n = 0; n <= SORT_MAX; n += n < 60 ? 1 : 47) {
            long long sum = 0;
            for (size_t i = 0; i < n; i++) {
                x = x * 1664525 + 1013904223;
                v[i] = (struct item){(int)((x >> 1) % ranges[r]), (int)i};
                sum += v[i].key;
            }
            sort_items(v, n, scratch);
            check_sorted(v, n, sum);
        }
    }
}

static void test_patterns(void **state)
{
    (void)state;
    static struct item v[SORT_MAX], scratch[SORT_MAX];
    for (int pattern = 0; pattern < 3; pattern++) {
        long long sum = 0;
        for (int i = 0; i < SORT_MAX; i++) {
            int key = pattern == 0 ? i : pattern == 1 ? -i : i % 2 ? i : -i;
            v[i] = (struct item){key, i};
            sum += key;
        }
        sort_items(v, SORT_MAX, scratch);
        check_sorted(v, SORT_MAX, sum);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_sorts_and_keeps_order_of_equals), TEST(test_patterns));
}
