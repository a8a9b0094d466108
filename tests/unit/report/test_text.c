#include "report/text.h"
#include "test.h"

#define BAD "\xef\xbf\xbd"

static void test_width(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } rows[] = {
        {"", 0},
        {"abc", 3},
        {"gr\xc3\xbcn", 4},
        {"\xe6\xa8\xa1\xe5\x9e\x8b", 4}, // two ideographs
        {"\xf0\x9f\x98\x80", 2},         // an emoji
        {"e\xcc\x81", 1},                // e and a combining acute
        {"a\xe2\x80\x8b"
         "b",
         2},                 // a zero-width space
        {"\xff\xff", 2},     // two bytes that are no characters
        {"\xe2\x80", 2},     // a character cut short
        {"\xc0\xaf", 2},     // overlong
        {"\xed\xa0\x80", 3}, // a surrogate
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if ((int64_t)text_width(str_of(rows[i].text)) != rows[i].want) {
            fail_at(__FILE__, __LINE__, "row %zu: %zu\n", i, text_width(str_of(rows[i].text)));
        }
    }
}

// A name from outside must not move the cursor, change colours or turn the line around.
static void test_clean(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {NULL, NULL},
        {"", ""},
        {"llama-3-70b", "llama-3-70b"},
        {"\x1b[2J", BAD "[2J"},
        {"a\nb", "a" BAD "b"},
        {"a\tb", "a" BAD "b"},
        {"\x7f", BAD},
        {"\xc2\x9b"
         "31m",
         BAD "31m"}, // C1: control sequence introducer
        {"a\xe2\x80\xae"
         "b",
         "a" BAD "b"}, // right-to-left override
        {"a\xe2\x81\xa6"
         "b",
         "a" BAD "b"}, // isolate
        {"\xff", BAD},
        {"gr\xc3\xbcn \xf0\x9f\x98\x80", "gr\xc3\xbcn \xf0\x9f\x98\x80"},
        {BAD, BAD},
    };
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_str(text_clean(&a, str_of(rows[i].text)), rows[i].want);
    }
    arena_done(&a);
}

static void test_fit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t width;
        const char *want;
    } rows[] = {
        {"abc", 3, "abc"},
        {"abcd", 3, "ab\xe2\x80\xa6"},
        {"abcd", 1, "\xe2\x80\xa6"},
        {"\xe6\xa8\xa1\xe5\x9e\x8b", 4, "\xe6\xa8\xa1\xe5\x9e\x8b"},
        {"\xe6\xa8\xa1\xe5\x9e\x8b", 3, "\xe6\xa8\xa1\xe2\x80\xa6"},
        {"\xe6\xa8\xa1\xe5\x9e\x8b", 2, "\xe2\x80\xa6"}, // half an ideograph is none
    };
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str got = text_fit(&a, str_of(rows[i].text), rows[i].width);
        assert_str(got, rows[i].want);
        assert_true(text_width(got) <= rows[i].width);
    }
    arena_done(&a);
}

static void test_quotable(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        {"NVIDIA H100 80GB HBM3", true},
        {"a;b$(c)\"", true},
        {"", false},
        {NULL, false},
        {"it's", false},
        {"a\nb", false},
        {"\x1b[m", false},
        {"gr\xc3\xbcn", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_i64(text_quotable(str_of(rows[i].text)), rows[i].want);
    }
}

static void test_natural_order(void **state)
{
    (void)state;
    // Ascending; every row against every other.
    static const char *const rows[] = {
        "", "2", "10", "a", "gpu-2/0", "gpu-2/1", "gpu-2/10", "gpu-10/0", "gpu-010/1", "h", NULL};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
            int got = text_natural_cmp(str_of(rows[i]), str_of(rows[k]));
            int want = (i > k) - (i < k);
            if ((got > 0) - (got < 0) != want) {
                fail_at(__FILE__, __LINE__, "rows %zu and %zu: %d\n", i, k, got);
            }
        }
    }
    // Equal as numbers: bytes decide, so that no two texts are the same.
    assert_true(text_natural_cmp(STR("a01"), STR("a1")) != 0);
}

int main(void)
{
    return TEST_RUN(TEST(test_width), TEST(test_clean), TEST(test_fit), TEST(test_quotable),
                    TEST(test_natural_order));
}
