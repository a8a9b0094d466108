#include "test.h"

#include <string.h>

#include "base/alloc.h"

static void test_zeroed(void **state)
{
    (void)state;
    AUTO_FREE unsigned char *one = x_zalloc(100);
    AUTO_FREE unsigned char *many = x_array(10, 10);
    for (size_t i = 0; i < 100; i++) {
        assert_i64(one[i], 0);
        assert_i64(many[i], 0);
    }
}

static void test_nothing_is_still_a_pointer(void **state)
{
    (void)state;
    AUTO_FREE void *a = x_alloc(0);
    AUTO_FREE void *b = x_array(0, 8);
    AUTO_FREE void *c = x_realloc_array(NULL, 0, 8);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
}

static void test_strings(void **state)
{
    (void)state;
    AUTO_FREE char *whole = x_strdup("abc");
    AUTO_FREE char *cut = x_strndup("abcdef", 3);
    AUTO_FREE char *short_one = x_strndup("ab", 3);
    AUTO_FREE char *made = x_asprintf("%s-%d", "x", 42);
    AUTO_FREE char *empty = x_asprintf("%s", "");
    assert_str(str_of(whole), "abc");
    assert_str(str_of(cut), "abc");
    assert_str(str_of(short_one), "ab");
    assert_str(str_of(made), "x-42");
    assert_str(str_of(empty), "");
}

static void test_reserve_grows(void **state)
{
    (void)state;
    AUTO_FREE int *a = NULL;
    size_t n = 0, cap = 0;
    for (int i = 0; i < 1000; i++) {
        ARRAY_RESERVE(a, n, cap);
        a[n++] = i;
    }
    assert_true(cap >= n);
    for (int i = 0; i < 1000; i++) {
        assert_i64(a[i], i);
    }
}

static void test_take(void **state)
{
    (void)state;
    char *p = x_strdup("mine");
    AUTO_FREE char *taken = TAKE_PTR(p);
    assert_null(p);
    assert_str(str_of(taken), "mine");
}

int main(void)
{
    return TEST_RUN(TEST(test_zeroed), TEST(test_nothing_is_still_a_pointer), TEST(test_strings),
                    TEST(test_reserve_grows), TEST(test_take));
}
