#include "output/mongo/keys.h"

#include "test.h"

static void test_finds_what_was_put(void **state)
{
    (void)state;
    struct mg_keys k = {0};
    static char names[MG_KEYS_MAX][16];
    for (int i = 0; i < MG_KEYS_MAX; i++) { // many of them in one place
        (void)snprintf(names[i], sizeof(names[i]), "a%03db", i);
        assert_i64(mg_keys_find(&k, names[i]), -1);
        mg_keys_put(&k, names[i], i);
    }
    for (int i = 0; i < MG_KEYS_MAX; i++) {
        char copy[16];
        memcpy(copy, names[i], sizeof(copy));
        assert_i64(mg_keys_find(&k, copy), i);
        copy[4] = '\0';
        assert_i64(mg_keys_find(&k, copy), -1);
    }
    assert_i64(mg_keys_find(&k, ""), -1);
    mg_keys_put(&k, names[7], 1000); // the last counts
    assert_i64(mg_keys_find(&k, "a007b"), 1000);
    assert_i64((int64_t)k.n, MG_KEYS_MAX);
}

static void test_names_that_are_alike(void **state)
{
    (void)state;
    struct mg_keys k = {0};
    static const char *const names[] = {"",     "ts",        "ts_ns",       "st",
                                        "site", "cost_nusd", "cost_in_nusd"};
    for (int i = 0; i < (int)ARRAY_LEN(names); i++) {
        mg_keys_put(&k, names[i], i);
    }
    for (int i = 0; i < (int)ARRAY_LEN(names); i++) {
        assert_i64(mg_keys_find(&k, names[i]), i);
    }
    assert_i64(mg_keys_find(&k, "cost_out_nusd"), -1);
    assert_i64(mg_keys_find(&k, "t"), -1);
}

int main(void)
{
    return TEST_RUN(TEST(test_finds_what_was_put), TEST(test_names_that_are_alike));
}
