#include "test.h"

#include <string.h>

#include "base/arena.h"

static void test_aligned_and_disjoint(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 0, 15, 16, 17, 4096, 100000, 3, 1 << 21, 8};
    struct arena a = {0};
    unsigned char *p[ARRAY_LEN(sizes)];
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        p[i] = arena_alloc(&a, sizes[i]);
        assert_i64((intptr_t)p[i] % 16, 0);
        memset(p[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t at = 0; at < sizes[i]; at++) {
            assert_true(p[i][at] == i + 1);
        }
    }
    arena_done(&a);
    assert_i64((int64_t)arena_reserved(&a), 0);
}

static void test_copy(void **state)
{
    (void)state;
    struct arena a = {0};
    struct str copy = arena_copy(&a, STR("hello"));
    assert_str(copy, "hello");
    assert_i64(copy.p[5], '\0');
    assert_str(arena_copy(&a, STR("")), "");
    assert_str(arena_copy(&a, STR_NONE), NULL);
    assert_i64((int64_t)arena_copy(&a, STR("a\0b")).n, 3);
    arena_done(&a);
}

static void test_reset_keeps_one_block(void **state)
{
    (void)state;
    struct arena a = {0};
    for (int i = 0; i < 1000; i++) {
        arena_alloc(&a, 1000);
    }
    size_t before = arena_reserved(&a);
    assert_true(a.used >= 1000 * 1000);
    arena_reset(&a);
    size_t kept = arena_reserved(&a);
    assert_i64((int64_t)a.used, 0);
    assert_true(kept > 0 && kept < before);
    arena_alloc(&a, 100);
    assert_i64((int64_t)arena_reserved(&a), (int64_t)kept);
    arena_done(&a);
}

static void test_empty_arena(void **state)
{
    (void)state;
    struct arena a = {0};
    arena_reset(&a);
    arena_done(&a);
    assert_i64((int64_t)arena_reserved(&a), 0);
    assert_non_null(arena_alloc(&a, 0));
    arena_done(&a);
}

int main(void)
{
    return TEST_RUN(TEST(test_aligned_and_disjoint), TEST(test_copy),
                    TEST(test_reset_keeps_one_block), TEST(test_empty_arena));
}
