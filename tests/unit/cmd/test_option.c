#include <errno.h>

#include "base/time.h"
#include "cmd/option.h"
#include "cost/settings.h"
#include "test.h"

struct values {
    bool flag;
    const char *text;
    int64_t number;
    int choice;
    struct text_list list;
    struct time_spec time;
};

static const char *const choices[] = {"auto", "always", "never", NULL};

static const struct option flag = {
    .name = "flag", .type = OPTION_FLAG, .offset = offsetof(struct values, flag)};
static const struct option text = {
    .name = "text", .type = OPTION_TEXT, .offset = offsetof(struct values, text)};
static const struct option integer = {.name = "int",
                                      .type = OPTION_INT,
                                      .offset = offsetof(struct values, number),
                                      .least = -3,
                                      .most = 100};
static const struct option duration = {
    .name = "duration", .type = OPTION_DURATION, .offset = offsetof(struct values, number)};
static const struct option money = {
    .name = "money", .type = OPTION_MONEY, .offset = offsetof(struct values, number)};
static const struct option choice = {.name = "choice",
                                     .type = OPTION_CHOICE,
                                     .offset = offsetof(struct values, choice),
                                     .choices = choices};
static const struct option list = {
    .name = "list", .type = OPTION_LIST, .offset = offsetof(struct values, list)};
static const struct option moment = {
    .name = "time", .type = OPTION_TIME, .offset = offsetof(struct values, time)};

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const struct option *o;
        const char *text;
        int64_t want;
    } rows[] = {
        {&integer, "0", 0},
        {&integer, "-3", -3},
        {&integer, "100", 100},
        {&integer, "1e2", 100},
        {&duration, "90s", 90 * NS_PER_S},
        {&duration, "5m", 300 * NS_PER_S},
        {&duration, "1h30m", 5400 * NS_PER_S},
        {&duration, "7d", 7 * NS_PER_DAY},
        {&money, "2.95", 2950000000},
        {&money, "0", 0},
        {&money, "0.000000001", 1},
        {&money, "none", PRICE_NONE},
        {&money, "1000000", 1000000 * NS_PER_S},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct values v = {.number = 77};
        struct error err = {0};
        assert_ok(option_parse(rows[i].o, rows[i].text, &v, &a, &err), &err);
        assert_i64(v.number, rows[i].want);
        arena_done(&a);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const struct option *o;
        const char *text, *message;
    } rows[] = {
        {&flag, "maybe", "must be yes or no, not 'maybe'"},
        {&flag, "", "must be yes or no, not ''"},
        {&integer, "101", "must be a whole number from -3 to 100, not '101'"},
        {&integer, "-4", "must be a whole number from -3 to 100, not '-4'"},
        {&integer, "1.0", "must be a whole number"},
        {&integer, "", "must be a whole number"},
        {&integer, "ten", "must be a whole number"},
        {&integer, "99999999999999999999", "must be a whole number"},
        {&duration, "soon", "must be a duration such as 90s"},
        {&duration, "-5m", "must be a duration such as 90s"},
        {&money, "-1", "must be an amount in USD such as 2.95, or none, not '-1'"},
        {&money, "$2", "must be an amount in USD"},
        {&money, "1000001", "must be an amount in USD"},
        {&money, "NaN", "must be an amount in USD"},
        {&choice, "Auto", "must be auto, always or never, not 'Auto'"},
        {&choice, "", "must be auto, always or never, not ''"},
        {&moment, "tomorrow", "must be a time such as 24h (ago)"},
        {&moment, "2026", "must be a time such as 24h (ago)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct values v = {0};
        struct error err = {0};
        assert_i64(option_parse(rows[i].o, rows[i].text, &v, &a, &err), -EINVAL);
        if (!str_starts(str_of(err.msg), str_of(rows[i].message))) {
            fail_at(__FILE__, __LINE__, "row %zu: %s\n", i, err.msg);
        }
        arena_done(&a);
    }
}

static void test_others(void **state)
{
    (void)state;
    static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false",
                                                                                "off", "0"};
    struct arena a = {0};
    struct values v = {0};
    struct error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        assert_ok(option_parse(&flag, yes[i], &v, &a, &err), &err);
        assert_true(v.flag);
        assert_ok(option_parse(&flag, no[i], &v, &a, &err), &err);
        assert_false(v.flag);
    }
    for (int i = 0; choices[i]; i++) {
        assert_ok(option_parse(&choice, choices[i], &v, &a, &err), &err);
        assert_i64(v.choice, i);
    }
    assert_ok(option_parse(&text, "", &v, &a, &err), &err);
    assert_str(str_of(v.text), "");
    assert_ok(option_parse(&moment, "24h", &v, &a, &err), &err);
    assert_i64(v.time.kind, TIME_AGO);
    assert_ok(option_parse(&list, "first", &v, &a, &err), &err);
    assert_ok(option_parse(&list, "second", &v, &a, &err), &err);
    assert_i64((int64_t)v.list.n, 2);
    assert_str(str_of(v.list.items[0]), "first");
    assert_str(str_of(v.list.items[1]), "second");
    arena_done(&a);
}

static void test_variables(void **state)
{
    (void)state;
    static const struct option own = {.name = "max-gap", .key = "max-gap"},
                               shared = {.name = "store", .key = "store", .shared = true},
                               more = {.name = "price", .key = "price", .env = "PRICE OTHER"},
                               none = {.name = "json"};
    static const struct {
        const struct option *o;
        const char *wants[4];
    } rows[] = {
        {&own, {"GTAP_RUN_MAX_GAP", NULL}},
        {&shared, {"GTAP_STORE", NULL}},
        {&more, {"PRICE", "OTHER", "GTAP_RUN_PRICE", NULL}},
        {&none, {NULL}},
    };
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t k = 0;
        for (; rows[i].wants[k]; k++) {
            assert_str(str_of(option_env(rows[i].o, STR("run"), k, &a)), rows[i].wants[k]);
        }
        assert_null(option_env(rows[i].o, STR("run"), k, &a));
    }
    arena_done(&a);
}

static void test_masks(void **state)
{
    (void)state;
    static const struct option public = {.name = "a"},
                               uri = {.name = "a", .secrecy = OPTION_URI_SECRET},
                               secret = {.name = "a", .secrecy = OPTION_SECRET};
    static const struct {
        const struct option *o;
        const char *text, *want;
    } rows[] = {
        {&public, "x://u:p@h", "x://u:p@h"},
        {&secret, "anything", "(secret)"},
        {&uri, "sqlite:gtap.db", "sqlite:gtap.db"},
        {&uri, "mongodb://h:27017/db", "mongodb://h:27017/db"},
        {&uri, "mongodb://user@h/db", "mongodb://user@h/db"},
        {&uri, "mongodb://user:pa:ss@h:1/db?x=y", "mongodb://user:***@h:1/db?x=y"},
        {&uri, "mongodb://user:p@ss@h/db", "mongodb://user:***@h/db"},
        {&uri, "mongodb://:p@h", "mongodb://:***@h"},
    };
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_str(str_of(option_mask(rows[i].o, rows[i].text, &a)), rows[i].want);
    }
    arena_done(&a);
}

int main(void)
{
    return TEST_RUN(TEST(test_numbers), TEST(test_refuses), TEST(test_others), TEST(test_variables),
                    TEST(test_masks));
}
