#include <errno.h>

#include "base/time.h"
#include "cmd/price_file.h"
#include "cost/settings.h"
#include "model/record.h"
#include "test.h"

#define USD INT64_C(1000000000)
#define DAY1 INT64_C(1793491200000000000) // 2026-11-01

struct want {
    const char *name, *site, *source; // NULL: absent
    int64_t price, from;
};
enum { WANTS_MAX = 3 };

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        struct want wants[WANTS_MAX];
    } rows[] = {
        // CSV: columns in any order, others left aside, all ways to end a line.
        {"name,price_per_hour_usd,effective_from\nH100,2.95,2026-11-01\n",
         1,
         {{"H100", NULL, NULL, 295 * USD / 100, DAY1}}},
        {"effective_from,id,name,source,price_per_hour_usd,site\r\n"
         "2026-11-01T00:00:00Z,7,H100,invoice,0.000000001,fra\r\n"
         "2026-11-01T01:00:00+01:00,8,L4,,0,",
         2,
         {{"H100", "fra", "invoice", 1, DAY1}, {"L4", NULL, NULL, 0, DAY1}}},
        {"name,price_per_hour_usd,effective_from\n"
         "\"a \"\"b\"\", c\",1,2026-11-01\n"
         "\n"
         "\"two\nlines\", 2 ,2026-11-01 00:00:01\n",
         2,
         {{"a \"b\", c", NULL, NULL, USD, DAY1},
          {"two\nlines", NULL, NULL, 2 * USD, DAY1 + NS_PER_S}}},
        {"\xef\xbb\xbfname,price_per_hour_usd,effective_from\nH100,1,2026-11-01",
         1,
         {{"H100", NULL, NULL, USD, DAY1}}},
        {"name,price_per_hour_usd,effective_from\n", 0, {{0}}},
        // NDJSON, as gtap export price_book writes it.
        {"{\"id\":1,\"name\":\"H100\",\"site\":null,\"price_per_hour_usd\":2.95,"
         "\"effective_from\":\"2026-11-01T00:00:00Z\",\"added_at\":\"2026-11-02T00:00:00Z\","
         "\"source\":null}\n\n"
         "{\"name\":\"L4\",\"site\":\"fra\",\"price_per_hour_usd\":\"1e-1\","
         "\"effective_from\":\"2026-11-01\",\"source\":\"x\"}\n",
         2,
         {{"H100", NULL, NULL, 295 * USD / 100, DAY1}, {"L4", "fra", "x", USD / 10, DAY1}}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct price_book book;
        struct error err = {0};
        assert_ok(price_file_parse(str_of(rows[i].text), &a, &book, &err), &err);
        assert_i64((int64_t)book.n, (int64_t)rows[i].n);
        for (size_t k = 0; k < book.n; k++) {
            const struct want *w = &rows[i].wants[k];
            assert_str(book.entries[k].name, w->name);
            assert_str(book.entries[k].site, w->site);
            assert_str(book.entries[k].source, w->source);
            assert_i64(book.entries[k].price_nusd_hour, w->price);
            assert_i64(book.entries[k].effective_from, w->from);
        }
        arena_done(&a);
    }
}

#define HEAD "name,price_per_hour_usd,effective_from\n"

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message; // the message's beginning
    } rows[] = {
        {"", "line 1: the header names no column name"},
        {"name,price\n", "line 1: the header names no column price_per_hour_usd"},
        {"name,price_per_hour_usd\n", "line 1: the header names no column effective_from"},
        {"name,name,price_per_hour_usd,effective_from\n", "line 1: the header names name twice"},
        {HEAD "H100,2.95\n", "line 2: has 2 fields, the header 3"},
        {HEAD "H100,2.95,2026-11-01,x\n", "line 2: has 4 fields, the header 3"},
        {HEAD "H100,1,2026-11-01\nH100,dear,2026-11-01\n", "line 3: price_per_hour_usd: must be"},
        {HEAD "H100,-1,2026-11-01\n", "line 2: price: must be from 0"},
        {HEAD "H100,1000001,2026-11-01\n", "line 2: price: must be from 0"},
        {HEAD "H100,,2026-11-01\n", "line 2: price_per_hour_usd: must be"},
        {HEAD "H100,1,yesterday\n", "line 2: effective_from: must be"},
        {HEAD ",1,2026-11-01\n", "line 2: name: must have"},
        {HEAD "\"H100,1,2026-11-01\n", "line 2: a quoted field does not end"},
        {HEAD "\"H\"100,1,2026-11-01\n", "line 2: a quoted field does not end"},
        {HEAD "\"a\nb\",x,2026-11-01\n", "line 2: price_per_hour_usd: must be"},
        {"{\"name\":\"H100\",\"price_per_hour_usd\":1,\"effective_from\":\"2026-11-01\","
         "\"price_per_hour_usd\":1}\n",
         "line 1: names price_per_hour_usd twice"},
        {"{\"name\":\"H100\",\"site\":null,\"price_per_hour_usd\":1,\"site\":\"fra\","
         "\"effective_from\":\"2026-11-01\"}\n",
         "line 1: names site twice"},
        {"{\"name\":\"H100\"}\n", "line 1: price_per_hour_usd: must be"},
        {"{\"name\":\"H100\",\"price_per_hour_usd\":1}\n", "line 1: effective_from: must be"},
        {"{\"name\":\"a\",\"price_per_hour_usd\":1,\"effective_from\":\"2026-11-01\"}\n{x}\n",
         "line 2: is not well-formed JSON"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct price_book book;
        struct error err = {0};
        assert_i64(price_file_parse(str_of(rows[i].text), &a, &book, &err), -EINVAL);
        if (!str_starts(str_of(err.msg), str_of(rows[i].message))) {
            fail_at(__FILE__, __LINE__, "row %zu: %s\n", i, err.msg);
        }
        arena_done(&a);
    }
}

static void test_check(void **state)
{
    (void)state;
    char long_text[RECORD_TEXT_MAX + 2];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    struct price_entry good = {.name = STR("H100"), .price_nusd_hour = 0}, bad;
    struct error err = {0};
    assert_ok(price_entry_check(&good, &err), &err);
    bad = good;
    bad.name = str_of(long_text);
    assert_i64(price_entry_check(&bad, &err), -EINVAL);
    bad = good;
    bad.source = str_of(long_text);
    assert_i64(price_entry_check(&bad, &err), -EINVAL);
    bad = good;
    bad.price_nusd_hour = RECORD_PRICE_MAX + 1;
    assert_i64(price_entry_check(&bad, &err), -EINVAL);
    bad.price_nusd_hour = PRICE_NONE;
    assert_i64(price_entry_check(&bad, &err), -EINVAL);
}

int main(void)
{
    return TEST_RUN(TEST(test_lists), TEST(test_refuses), TEST(test_check));
}
