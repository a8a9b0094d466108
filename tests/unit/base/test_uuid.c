#include "base/uuid.h"

#include "base/time.h"
#include "test.h"

#define T INT64_C(1795435200123456789)

static struct str next(struct uuid7 *g, int64_t now, char buffer[UUID_TEXT])
{
    uuid7_next(g, now, buffer);
    return (struct str){buffer, UUID_TEXT};
}

// 1795435200123 ms is 0x1a20846fe7b; 0.456789 of a millisecond is 1871 of 4096, 0x74f.
static void test_layout(void **state)
{
    (void)state;
    struct uuid7 g = {.state = {1, 2}};
    char text[UUID_TEXT];
    struct str id = next(&g, T, text);
    assert_str(((struct str){id.p, 18}), "01a20846-fe7b-774f");
    assert_true(id.p[18] == '-' && id.p[23] == '-');
    assert_true(memchr("89ab", id.p[19], 4) != NULL);
    for (size_t i = 24; i < id.n; i++) {
        assert_true(memchr("0123456789abcdef", id.p[i], 16) != NULL);
    }
}

static void test_grows_whatever_the_clock_does(void **state)
{
    (void)state;
    struct uuid7 g = {0};
    char texts[2][UUID_TEXT];
    static const int64_t steps[] = {0, 0, 1, -NS_PER_S, -NS_PER_HOUR, 0, NS_PER_MS, NS_PER_HOUR};
    int64_t now = T;
    next(&g, now, texts[0]);
    for (size_t i = 0; i < 4096; i++) {
        now += steps[i % ARRAY_LEN(steps)];
        struct str last = {texts[i % 2], UUID_TEXT};
        assert_true(str_cmp(last, next(&g, now, texts[(i + 1) % 2])) < 0);
    }
}

static void test_makers_differ(void **state)
{
    (void)state;
    struct uuid7 a = {0}, b = {0};
    char first[UUID_TEXT], second[UUID_TEXT];
    assert_false(str_eq(next(&a, T, first), next(&b, T, second)));
}

static void test_before_the_epoch(void **state)
{
    (void)state;
    struct uuid7 g = {.state = {1, 2}};
    char text[UUID_TEXT];
    assert_str(((struct str){next(&g, -5, text).p, 15}), "00000000-0000-7");
}

int main(void)
{
    return TEST_RUN(TEST(test_layout), TEST(test_grows_whatever_the_clock_does),
                    TEST(test_makers_differ), TEST(test_before_the_epoch));
}
