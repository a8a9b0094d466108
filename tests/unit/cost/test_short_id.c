#include "cost/short_id.h"

#include <stdio.h>

#include "base/alloc.h"
#include "test.h"

static bool is_text(struct short_id id)
{
    return (id.lo >> 62) == 0;
}

// Ids that come out as they went in; p: packed, that is, without an allocation.
static const struct id_case {
    const char *name;
    struct str id;
    char want; // p packed, t text
} cases[] = {
    {"a UUID", STR("018f2b5c-9a3e-7c41-8b2d-0123456789ab"), 'p'},
    {"the highest", STR("ffffffff-ffff-ffff-bfff-ffffffffffff"), 'p'},
    {"a UUID of another variant", STR("018f2b5c-9a3e-7c41-0b2d-abcdefabcdef"), 't'},
    {"upper case", STR("018F2B5C-9A3E-7C41-8B2D-ABCDEFABCDEF"), 't'},
    {"one capital", STR("018f2b5c-9a3e-7c41-8b2d-abcdefabcdeF"), 't'},
    {"a hyphen too few", STR("018f2b5c-9a3e-7c41-8b2d0abcdefabcdef"), 't'},
    {"a digit too many", STR("018f2b5c-9a3e-7c41-8b2d-abcdefabcdeff"), 't'},
    {"origin's", STR("synthetic#c534dd8df686:000000000001"), 'p'},
    {"a number alone", STR("000123"), 'p'},
    {"of many digits", STR("x:123456789012345678"), 'p'},
    {"of more", STR("x:12345678901234567890"), 'p'},
    {"of few", STR("x:12345"), 't'},
    {"nines", STR("x999999999999999999"), 'p'},
    {"a NUL in the prefix", {"a\0b:0000001", 11}, 't'},
    {"a NUL behind", {"0000001\0", 8}, 't'},
    {"any text", STR("chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"), 't'},
    {"nothing", STR(""), 't'},
};

static void test_cases(void **state)
{
    (void)state;
    struct intern *prefixes = intern_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char scratch[SHORT_ID_SCRATCH];
        struct short_id id = short_id_make(prefixes, cases[i].id);
        bool same = str_eq(short_id_text(id, scratch), cases[i].id);
        if (!same || is_text(id) != (cases[i].want == 't')) {
            fail_at(__FILE__, __LINE__, "%s: %s, %s\n", cases[i].name,
                    same ? "the same" : "not the same", is_text(id) ? "text" : "packed");
        }
        short_id_done(id);
    }
    intern_free(prefixes);
}

// Any byte at any place of a UUID.
static void test_bytes(void **state)
{
    (void)state;
    char text[] = "018f2b5c-9a3e-7c41-8b2d-0123456789ab", scratch[SHORT_ID_SCRATCH];
    const struct str whole = {text, sizeof(text) - 1};
    for (size_t i = 0; i < whole.n; i++) {
        char was = text[i];
        for (int byte = 0; byte < 256; byte++) {
            text[i] = (char)byte;
            struct short_id id = short_id_make(NULL, whole);
            assert_true(str_eq(short_id_text(id, scratch), whole));
            bool digit = byte != 0 && strchr(i == 19 ? "89abcdef" : "0123456789abcdef", byte);
            assert_int_equal(is_text(id), was == '-' ? byte != '-' : !digit);
            short_id_done(id);
        }
        text[i] = was;
    }
}

static void test_absent(void **state)
{
    (void)state;
    char scratch[SHORT_ID_SCRATCH];
    struct short_id id = short_id_make(NULL, STR_NONE);
    assert_false(str_present(short_id_text(id, scratch)));
    short_id_done(id);
}

// A prefix that is too long stays text, and one that fits exactly fills the scratch.
static void test_long(void **state)
{
    (void)state;
    struct intern *prefixes = intern_new();
    char text[SHORT_ID_SCRATCH + 1], scratch[SHORT_ID_SCRATCH];
    memset(text, '7', sizeof(text));
    text[0] = 'x';
    for (size_t n = sizeof(text); n >= sizeof(text) - 1; n--) {
        struct str whole = {text, n};
        struct short_id id = short_id_make(prefixes, whole);
        assert_int_equal(is_text(id), n > SHORT_ID_SCRATCH);
        assert_true(str_eq(short_id_text(id, scratch), whole));
        short_id_done(id);
    }
    intern_free(prefixes);
}

// A table that is full keeps what it has, and ids with other prefixes stay text.
static void test_bounded(void **state)
{
    (void)state;
    struct intern *prefixes = intern_new();
    char text[32], scratch[SHORT_ID_SCRATCH];
    for (int i = 0; i < SHORT_ID_PREFIXES + 10; i++) {
        snprintf(text, sizeof(text), "p%d:000001", i);
        struct short_id id = short_id_make(prefixes, str_of(text));
        assert_int_equal(is_text(id), i >= SHORT_ID_PREFIXES);
        assert_str(short_id_text(id, scratch), text);
        short_id_done(id);
    }
    assert_int_equal(intern_count(prefixes), SHORT_ID_PREFIXES);
    struct short_id known = short_id_make(prefixes, STR("p0:999999"));
    assert_false(is_text(known));
    intern_free(prefixes);
}

static uint64_t next(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *random >> 33;
}

// Ids of all shapes, and neighbours of them that differ in a byte or two.
static size_t make_any(uint64_t *random, char *text)
{
    static const char *const seeds[] = {"018f2b5c-9a3e-7c41-8b2d-0123456789ab",
                                        "a:000000000001",
                                        "a:0000000000011",
                                        "a:00000001",
                                        "a:1",
                                        "b:000000000001"};
    static const char bytes[] = "0189abfgAF-:";
    const char *seed = seeds[next(random) % ARRAY_LEN(seeds)];
    size_t n = strlen(seed);
    memcpy(text, seed, n + 1);
    for (uint64_t i = next(random) % 3; i > 0; i--) {
        text[next(random) % n] = bytes[next(random) % (sizeof(bytes) - 1)];
    }
    return n;
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static void test_order_is_of_texts(void **state)
{
    (void)state;
    struct intern *prefixes = intern_new();
    uint64_t random = 42;
    for (int i = 0; i < 200000; i++) {
        char a[64], b[64];
        struct str one = {a, make_any(&random, a)}, other = {b, make_any(&random, b)};
        struct short_id x = short_id_make(prefixes, one), y = short_id_make(prefixes, other);
        if (sign(short_id_cmp(x, y)) != sign(str_cmp(one, other))) {
            fail_at(__FILE__, __LINE__, "%s, %s: %d\n", a, b, short_id_cmp(x, y));
        }
        short_id_done(x);
        short_id_done(y);
    }
    intern_free(prefixes);
}

int main(void)
{
    return TEST_RUN(TEST(test_cases), TEST(test_bytes), TEST(test_absent), TEST(test_long),
                    TEST(test_bounded), TEST(test_order_is_of_texts));
}
