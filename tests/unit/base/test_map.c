#include "test.h"

#include "base/macros.h"
#include "base/map.h"

enum { KEYS = 512 };

static char values[KEYS + 1];

static void test_empty(void **state)
{
    (void)state;
    struct map m = {0};
    struct map_slot slot;
    size_t at = 0;
    assert_null(map_get(&m, 0));
    assert_null(map_remove(&m, 0));
    assert_false(map_next(&m, &at, &slot));
    map_done(&m);
}

static void test_put_replaces(void **state)
{
    (void)state;
    struct map m = {0};
    map_put(&m, 5, &values[1]);
    map_put(&m, 5, &values[2]);
    map_put(&m, 0, &values[3]);
    map_put(&m, INT64_MAX, &values[4]);
    assert_i64((int64_t)m.count, 3);
    assert_ptr_equal(map_get(&m, 5), &values[2]);
    assert_ptr_equal(map_get(&m, 0), &values[3]);
    assert_ptr_equal(map_get(&m, INT64_MAX), &values[4]);
    assert_null(map_get(&m, 6));
    assert_null(map_get(&m, -1));
    map_done(&m);
}

static void check_against(const struct map *m, const bool *present, int64_t stride)
{
    size_t count = 0;
    for (int64_t k = 0; k < KEYS; k++) {
        assert_ptr_equal(map_get(m, k * stride), present[k] ? &values[k] : NULL);
        count += present[k];
    }
    assert_i64((int64_t)m->count, (int64_t)count);
    struct map_slot slot;
    for (size_t at = 0; map_next(m, &at, &slot); count--) {
        assert_i64(slot.key % stride, 0);
        assert_true(present[slot.key / stride]);
    }
    assert_i64((int64_t)count, 0);
}

// Strides as window starts have them: many keys share their low bits.
static void test_random_against_an_array(void **state)
{
    (void)state;
    static const int64_t strides[] = {1, 64, 60000000000, INT64_C(1) << 40};
    for (size_t s = 0; s < ARRAY_LEN(strides); s++) {
        struct map m = {0};
        bool present[KEYS] = {false};
        uint32_t x = 12345;
        for (int i = 0; i < 20000; i++) {
            x = x * 1664525 + 1013904223;
            int64_t k = (x >> 16) % KEYS;
            if (x >> 31) {
                map_put(&m, k * strides[s], &values[k]);
                present[k] = true;
            } else {
                void *want = present[k] ? &values[k] : NULL;
                assert_ptr_equal(map_remove(&m, k * strides[s]), want);
                present[k] = false;
            }
            if (i % 1000 == 0) {
                check_against(&m, present, strides[s]);
            }
        }
        check_against(&m, present, strides[s]);
        assert_true(m.cap <= KEYS * 2);
        map_done(&m);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_empty), TEST(test_put_replaces), TEST(test_random_against_an_array));
}
