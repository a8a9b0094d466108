#include "test.h"

#include "base/hash.h"

// Digests are stored: these values are XXH3's, and may never change.
static void test_stored_values(void **state)
{
    (void)state;
    assert_true(hash_bytes("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hash_bytes("a", 1, 0) == UINT64_C(0xe6c632b61e964e1f));
    assert_true(hash_bytes("abc", 3, 0) == UINT64_C(0x78af5f94892f3950));
}

static void test_absent_and_empty_differ(void **state)
{
    (void)state;
    assert_true(hash_str(STR_NONE, 1) != hash_str(STR(""), 1));
    assert_true(hash_str(STR("x"), 1) == hash_str(str_of("x"), 1));
    assert_true(hash_str(STR("x"), 1) != hash_str(STR("x"), 2));
}

int main(void)
{
    return TEST_RUN(TEST(test_stored_values), TEST(test_absent_and_empty_differ));
}
