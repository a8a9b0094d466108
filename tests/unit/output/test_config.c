// What the store was told: settings and prices.
#include <errno.h>

#include "fixture.h"

static void test_settings(void **state)
{
    struct fixture *f = *state;
    struct settings_history h = {0};
    struct settings e = settings_default;
    assert_ok(store_settings(f->s, &f->arena, &h, &f->err), &f->err);
    assert_i64((int64_t)h.n, 0);
    e.effective_from = at(0);
    assert_i64(store_add_settings(f->s, &e, 1, &f->err), -EINVAL); // the first is from 0
    e.effective_from = 0;
    assert_ok(store_add_settings(f->s, &e, 1, &f->err), &f->err);
    e.effective_from = at(3600);
    e.method = METHOD_EQUAL;
    e.default_price_nusd = 0;
    e.weight_in = 3;
    assert_ok(store_add_settings(f->s, &e, 2, &f->err), &f->err);
    e.weight_out = 5;
    assert_ok(store_add_settings(f->s, &e, 3, &f->err), &f->err); // replaces the newest
    e.effective_from = at(0);
    assert_i64(store_add_settings(f->s, &e, 4, &f->err), -EINVAL); // not before it
    e.effective_from = at(7200);
    e.weight_in = 0;
    assert_i64(store_add_settings(f->s, &e, 5, &f->err), -EINVAL);
    e.weight_in = 1;
    e.effective_from = at(7200) + 30 * NS_PER_S;
    e.window_ns = 30 * NS_PER_S;
    assert_i64(store_add_settings(f->s, &e, 6, &f->err), -EINVAL); // within a window of the last
    fixture_reopen(f);
    assert_ok(store_settings(f->s, &f->arena, &h, &f->err), &f->err);
    assert_i64((int64_t)h.n, 2);
    assert_true(settings_same(&h.epochs[0], &settings_default));
    assert_i64(h.epochs[0].effective_from, 0);
    assert_i64(h.epochs[0].default_price_nusd, PRICE_NONE);
    assert_i64(h.epochs[1].effective_from, at(3600));
    assert_i64(h.epochs[1].weight_in, 3);
    assert_i64(h.epochs[1].weight_out, 5);
    assert_i64(h.epochs[1].default_price_nusd, 0);
    assert_i64(h.epochs[1].method, METHOD_EQUAL);
}

static void test_prices(void **state)
{
    struct fixture *f = *state;
    const struct price_entry entries[] = {
        {.effective_from = at(0),
         .price_nusd_hour = 2950000000,
         .added_at = 77,
         .name = STR("NVIDIA H100*"),
         .site = STR("fra1"),
         .source = STR("invoice")},
        {.effective_from = 0, .price_nusd_hour = 0, .added_at = 78, .name = STR("A100")},
    };
    int64_t ids[2];
    struct price_book book = {0};
    for (size_t i = 0; i < 2; i++) {
        assert_ok(store_add_price(f->s, &entries[i], &ids[i], &f->err), &f->err);
    }
    assert_true(ids[0] > 0 && ids[1] > ids[0]);
    fixture_reopen(f);
    assert_ok(store_prices(f->s, &f->arena, &book, &f->err), &f->err);
    assert_i64((int64_t)book.n, 2);
    assert_i64(book.entries[0].id, ids[0]);
    assert_i64(book.entries[0].effective_from, at(0));
    assert_i64(book.entries[0].price_nusd_hour, 2950000000);
    assert_i64(book.entries[0].added_at, 77);
    assert_str(book.entries[0].name, "NVIDIA H100*");
    assert_str(book.entries[0].site, "fra1");
    assert_str(book.entries[0].source, "invoice");
    assert_str(book.entries[1].site, NULL);
    assert_str(book.entries[1].source, NULL);
}

static void test_bad_prices(void **state)
{
    struct fixture *f = *state;
    char long_name[RECORD_TEXT_MAX + 2];
    memset(long_name, 'x', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    const struct price_entry bad[] = {
        {.name = STR("H100"), .price_nusd_hour = -1},
        {.name = STR("H100"), .price_nusd_hour = RECORD_PRICE_MAX + 1},
        {.name = STR(""), .price_nusd_hour = 1},
        {.price_nusd_hour = 1},
        {.name = str_of(long_name), .price_nusd_hour = 1},
        {.name = STR("H100"), .price_nusd_hour = 1, .effective_from = -1},
        {.name = STR("H100"), .price_nusd_hour = 1, .effective_from = TIME_MAX + 1},
    };
    int64_t id;
    struct price_book book = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_i64(store_add_price(f->s, &bad[i], &id, &f->err), -EINVAL);
    }
    assert_ok(store_prices(f->s, &f->arena, &book, &f->err), &f->err);
    assert_i64((int64_t)book.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_settings),
        ON_ALL(test_prices),
        ON_ALL(test_bad_prices),
    };
    return fixture_run("config", tests);
}
