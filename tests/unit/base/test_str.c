#include "test.h"

#include "base/macros.h"
#include "base/str.h"
#include "base/utf8.h"

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static void test_eq_and_cmp(void **state)
{
    (void)state;
    const struct {
        struct str a, b;
        int want;
    } rows[] = {
        {STR_NONE, STR_NONE, 0},  {STR_NONE, STR(""), -1},        {STR(""), STR_NONE, 1},
        {STR(""), STR(""), 0},    {STR("a"), STR("a"), 0},        {STR("a"), STR("b"), -1},
        {STR("b"), STR("a"), 1},  {STR("a"), STR("ab"), -1},      {STR("ab"), STR("a"), 1},
        {STR(""), STR("a"), -1},  {STR("\x7f"), STR("\x80"), -1}, {STR("a\0a"), STR("a\0b"), -1},
        {STR("B"), STR("a"), -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_i64(sign(str_cmp(rows[i].a, rows[i].b)), rows[i].want);
        assert_i64(str_eq(rows[i].a, rows[i].b), rows[i].want == 0);
    }
}

static void test_starts_and_ends(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_true(str_starts(STR_NONE, STR("")));
    assert_true(str_starts(STR("abc"), STR("abc")));
    assert_false(str_starts(STR("abc"), STR("abcd")));
    assert_false(str_starts(STR("abc"), STR("b")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_true(str_ends(STR("abc"), STR_NONE));
    assert_false(str_ends(STR("abc"), STR("ab")));
    assert_false(str_ends(STR("c"), STR("bc")));
}

static void test_trim(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", ""},
        {"  ", ""},
        {"a", "a"},
        {" a b ", "a b"},
        {"\t\r\n\v\fx", "x"},
        {"x\n", "x"},
        {NULL, NULL},
        {"\xc2\xa0x", "\xc2\xa0x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_str(str_trim(str_of(rows[i].in)), rows[i].out);
    }
}

static void test_split(void **state)
{
    (void)state;
    struct str s = STR("a,,b,"), head;
    static const char *const want[] = {"a", "", "b", ""};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(str_split(&s, ',', &head));
        assert_str(head, want[i]);
    }
    assert_str(s, NULL);
    assert_false(str_split(&s, ',', &head));

    s = STR("");
    assert_true(str_split(&s, ',', &head));
    assert_str(head, "");
    assert_false(str_split(&s, ',', &head));

    s = STR("key=value=more");
    assert_true(str_split(&s, '=', &head));
    assert_str(head, "key");
    assert_str(s, "value=more");
}

static void test_glob(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *s;
        bool want;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"***", "anything", true},
        {"?", "", false},
        {"?", "a", true},
        {"?*", "a", true},
        {"*?", "", false},
        {"NVIDIA H100*", "NVIDIA H100 80GB HBM3", true},
        {"nvidia h100*", "NVIDIA H100 80GB HBM3", true},
        {"*h100*", "NVIDIA H100 PCIe", true},
        {"*H100", "NVIDIA H100 PCIe", false},
        {"NVIDIA ?100*", "NVIDIA A100-SXM4-40GB", true},
        {"a*b*c", "aXbXbc", true},
        {"a*b*c", "aXbXcX", false},
        {"*aab", "aaaaab", true},
        {"*ab*ab", "ababab", true},
        {"[ab]", "a", false},
        {"[ab]", "[AB]", true},
        {"a\\*", "a*", false},
        {"a*", "", false},
        {"@", "`", false},
        {"[", "{", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_glob(str_of(rows[i].pattern), str_of(rows[i].s)) != rows[i].want) {
            fail_at(__FILE__, __LINE__, "glob '%s' against '%s'\n", rows[i].pattern, rows[i].s);
        }
    }
    assert_true(str_glob(STR("*"), STR_NONE));
}

// Exponential matchers need centuries for this one.
static void test_glob_is_not_exponential(void **state)
{
    (void)state;
    static char pattern[401], text[4001];
    for (size_t i = 0; i < 400; i++) {
        pattern[i] = i % 2 ? 'a' : '*';
    }
    for (size_t i = 0; i < 4000; i++) {
        text[i] = 'a';
    }
    pattern[399] = 'b';
    assert_false(str_glob(str_of(pattern), str_of(text)));
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        bool want;
    } rows[] = {
        {STR_NONE, true},
        {STR(""), true},
        {STR("plain\0 text"), true},
        {STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), true},
        {STR("\xef\xbb\xbf"), true},
        {STR("\xf4\x8f\xbf\xbf"), true},
        {STR("\x80"), false},
        {STR("a\xff"), false},
        {STR("\xc3"), false}, // cut
        {STR("\xe2\x82"), false},
        {STR("\xf0\x9f\x98"), false},
        {STR("\xc0\xaf"), false}, // overlong
        {STR("\xe0\x9f\xbf"), false},
        {STR("\xf0\x8f\xbf\xbf"), false},
        {STR("\xed\xa0\x80"), false},     // a surrogate
        {STR("\xf4\x90\x80\x80"), false}, // beyond U+10FFFF
        {STR("\xf5\x80\x80\x80"), false},
        {STR("\xc3("), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (utf8_valid(rows[i].text) != rows[i].want) {
            fail_at(__FILE__, __LINE__, "row %zu\n", i);
        }
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_eq_and_cmp), TEST(test_starts_and_ends), TEST(test_trim),
                    TEST(test_split), TEST(test_glob), TEST(test_glob_is_not_exponential),
                    TEST(test_utf8));
}
