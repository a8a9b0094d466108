#include "test.h"

#include <string.h>

#include "base/intern.h"

static void test_ids_count_up(void **state)
{
    (void)state;
    struct intern *t = intern_new();
    assert_i64(intern_id(t, STR("a")), 0);
    assert_i64(intern_id(t, STR("b")), 1);
    assert_i64(intern_id(t, STR("a")), 0);
    assert_i64(intern_find(t, STR("b")), 1);
    assert_i64(intern_find(t, STR("c")), -1);
    assert_i64(intern_count(t), 2);
    assert_str(intern_str(t, 1), "b");
    intern_free(t);
    intern_free(NULL);
}

static void test_absent_empty_and_nul(void **state)
{
    (void)state;
    struct intern *t = intern_new();
    assert_i64(intern_id(t, STR("")), 0);
    assert_i64(intern_id(t, STR_NONE), 1);
    assert_i64(intern_id(t, STR("a\0b")), 2);
    assert_i64(intern_id(t, STR("a\0c")), 3);
    assert_i64(intern_id(t, STR("a")), 4);
    assert_str(intern_str(t, 0), "");
    assert_str(intern_str(t, 1), NULL);
    assert_i64(intern_find(t, STR_NONE), 1);
    intern_free(t);
}

static void test_owns_stable_copies(void **state)
{
    (void)state;
    struct intern *t = intern_new();
    char name[32];
    snprintf(name, sizeof(name), "first");
    intern_id(t, str_of(name));
    struct str first = intern_str(t, 0);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "name-%d", i);
        assert_i64(intern_id(t, str_of(name)), i + 1);
    }
    assert_str(first, "first");
    assert_i64(first.p[first.n], '\0');
    assert_ptr_equal(intern_str(t, 0).p, first.p);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "name-%d", i);
        assert_i64(intern_find(t, str_of(name)), i + 1);
        assert_str(intern_str(t, (uint32_t)i + 1), name);
    }
    assert_i64(intern_count(t), 20001);
    assert_true(intern_bytes(t) > 20000 * sizeof(struct str));
    intern_free(t);
}

int main(void)
{
    return TEST_RUN(TEST(test_ids_count_up), TEST(test_absent_empty_and_nul),
                    TEST(test_owns_stable_copies));
}
