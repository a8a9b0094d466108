// Parameters from their table: what is taken, what is refused and how that is said.
#include <errno.h>

#include "api/params.h"
#include "test.h"

struct taken {
    struct str text;
    struct texts texts;
    int64_t number, step, money;
    bool flag;
    int choice;
    struct time_spec time;
    const struct zone *zone;
    struct dims dims;
};

static const char *const colours[] = {"red", "green", NULL};
#define AT(member) offsetof(struct taken, member)

static const struct param table[] = {
    {.name = "text", .type = PARAM_TEXT, .offset = AT(text)},
    {.name = "texts", .type = PARAM_TEXTS, .offset = AT(texts)},
    {.name = "number",
     .type = PARAM_INT,
     .offset = AT(number),
     .fallback = "5",
     .least = 2,
     .most = 9},
    {.name = "flag", .type = PARAM_FLAG, .offset = AT(flag)},
    {.name = "choice",
     .type = PARAM_CHOICE,
     .offset = AT(choice),
     .fallback = "green",
     .choices = colours},
    {.name = "time", .type = PARAM_TIME, .offset = AT(time)},
    {.name = "zone", .type = PARAM_ZONE, .offset = AT(zone), .fallback = "UTC"},
    {.name = "step", .type = PARAM_STEP, .offset = AT(step), .fallback = "none"},
    {.name = "dims", .type = PARAM_DIMS, .offset = AT(dims), .fallback = "model"},
    {.name = "money", .type = PARAM_MONEY, .offset = AT(money)},
    {0},
};

// "a=1 b=2": pairs in a space-separated text.
static int parse(const char *query, struct taken *t, struct arena *a, struct str *name,
                 struct error *err)
{
    struct param_pair pairs[8];
    struct str rest = str_of(query), one;
    size_t n = 0;
    while (rest.n > 0 && str_split(&rest, ' ', &one)) {
        pairs[n].value = one;
        (void)str_split(&pairs[n].value, '=', &pairs[n].name);
        n++;
    }
    *t = (struct taken){0};
    return params_parse(table, pairs, n, t, a, name, err);
}

static void test_fallbacks(void **state)
{
    (void)state;
    struct arena a = {0};
    struct taken t;
    struct str name;
    struct error err = {0};
    assert_ok(parse("", &t, &a, &name, &err), &err);
    assert_false(str_present(t.text));
    assert_i64(t.number, 5);
    assert_i64(t.choice, 1);
    assert_i64(t.step, 0);
    assert_i64(t.time.kind, TIME_UNSET);
    assert_string_equal(t.zone->name, "UTC");
    assert_i64((int64_t)t.dims.n, 1);
    arena_done(&a);
}

static void test_taken(void **state)
{
    (void)state;
    struct arena a = {0};
    struct taken t;
    struct str name;
    struct error err = {0};
    assert_ok(parse("text=x texts=a texts= texts=a number=009 flag=1 choice=red time=24h", &t, &a,
                    &name, &err),
              &err);
    assert_str(t.text, "x");
    assert_i64((int64_t)t.texts.n, 3);
    assert_str(t.texts.v[1], "");
    assert_i64(t.number, 9);
    assert_true(t.flag);
    assert_i64(t.choice, 0);
    assert_i64(t.time.ns, 24 * NS_PER_HOUR);
    assert_ok(
        parse("zone=+02:00 step=15m dims=gpu,kind money=0.25 flag=false", &t, &a, &name, &err),
        &err);
    assert_i64(zone_offset(t.zone, 0), 2 * NS_PER_HOUR);
    assert_i64(t.step, 15 * 60 * NS_PER_S);
    assert_i64((int64_t)t.dims.n, 2);
    assert_i64(t.dims.v[0], DIM_GPU);
    assert_i64(t.money, 250000000);
    assert_ok(parse("step=window dims=", &t, &a, &name, &err), &err);
    assert_i64(t.step, STEP_WINDOW);
    assert_i64((int64_t)t.dims.n, 0);
    arena_done(&a);
}

// A plus sign that nobody encoded comes as a space.
static void test_plus(void **state)
{
    (void)state;
    struct arena a = {0};
    struct taken t = {0};
    struct str name;
    struct error err = {0};
    const struct param_pair pair = {STR("zone"), STR(" 05:30")};
    assert_ok(params_parse(table, &pair, 1, &t, &a, &name, &err), &err);
    assert_i64(zone_offset(t.zone, 0), 330 * 60 * NS_PER_S);
    arena_done(&a);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *query, *name, *says;
    } rows[] = {
        {"other=1", "other", "knows no such parameter: it knows text, texts, number"},
        {"Text=1", "Text", "knows no such parameter"},
        {"=1", "", "knows no such parameter"},
        {"text=a text=a", "text", "given twice"},
        {"text=\x01", "text", "UTF-8"},
        {"texts=\xff", "texts", "UTF-8"},
        {"number=1", "number", "from 2 to 9"},
        {"number=10", "number", "from 2 to 9"},
        {"number=-3", "number", "from 2 to 9"},
        {"number=", "number", "from 2 to 9"},
        {"number", "number", "from 2 to 9"},
        {"number=99999999999999999999", "number", "from 2 to 9"},
        {"flag=yes", "flag", "true or false"},
        {"flag", "flag", "true or false"},
        {"choice=blue", "choice", "one of red, green"},
        {"time=tomorrow", "time", "is no time: write 24h"},
        {"time", "time", "is no time"},
        {"zone=Mars/Base", "zone", "is no time zone"},
        {"zone=../UTC", "zone", "is no time zone"},
        {"step=7m", "step", "is no step"},
        {"dims=model,colour", "dims", "choose from model"},
        {"dims=model,model", "dims", "named twice"},
        {"dims=hour", "dims", "ask for it by step"},
        {"dims=time", "dims", "ask for it by step"},
        {"money=-1", "money", "amount of USD"},
        {"money=1e99", "money", "amount of USD"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct taken t;
        struct str name;
        struct error err = {0};
        int r = parse(rows[i].query, &t, &a, &name, &err);
        if (r != -EINVAL || !str_eq(name, str_of(rows[i].name)) || !strstr(err.msg, rows[i].says)) {
            fail_msg("%s: %d, " STR_FMT ": %s", rows[i].query, r, STR_ARG(name), err.msg);
        }
        arena_done(&a);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_fallbacks), TEST(test_taken), TEST(test_plus), TEST(test_refused));
}
