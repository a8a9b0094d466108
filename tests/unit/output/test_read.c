// Reading records: orders, ranges, filters, whose they are, by their id, and cursors as snapshots.
#include <errno.h>

#include "fixture.h"

static void fill_orders(struct fixture *f)
{
    assert_ok(store_set_shards(f->s, 3, &f->err), &f->err);
    add_usage(f, "c", "h", 0, at(5), at(9))->shard = 0;
    add_usage(f, "b", "h", 0, at(5), at(6))->shard = 1;
    add_usage(f, "a", "h", 0, at(7), at(8))->shard = 0;
    add_usage(f, "e", "h", 0, at(5), at(7))->shard = 0;
    add_usage(f, "d", "h", 0, at(1), at(99))->shard = 2;
    add_sample(f, "2", "h", 0, at(4))->shard = 1;
    add_sample(f, "1", "h", 0, at(4))->shard = 0;
    add_sample(f, "3", "h", 0, at(3))->shard = 2;
    put(f);
}

static bool by_shard(const struct fixture *f)
{
    return strcmp(f->scheme, "mongodb") == 0;
}

static void test_orders(void **state)
{
    struct fixture *f = *state;
    fill_orders(f);
    struct record_query time = query(RECORD_USAGE, RECORDS_BY_TIME, RECORDS_ALL);
    struct record_query seq = query(RECORD_USAGE, RECORDS_BY_SEQ, RECORDS_ALL);
    assert_string_equal(ids_of(f, f->s, time), "d b c e a");
    // Where every shard has an owner that gives the numbers, they begin with the shard.
    assert_string_equal(ids_of(f, f->s, seq), by_shard(f) ? "c a e b d" : "c b a e d");
    time.shard = seq.shard = 0;
    assert_string_equal(ids_of(f, f->s, time), "c e a");
    assert_string_equal(ids_of(f, f->s, seq), "c a e");
    time.shard = 17;
    assert_string_equal(ids_of(f, f->s, time), "");
    assert_string_equal(ids_of(f, f->s, query(RECORD_SAMPLE, RECORDS_BY_TIME, RECORDS_ALL)),
                        "3 1 2");
    assert_string_equal(ids_of(f, f->s, query(RECORD_SAMPLE, RECORDS_BY_SEQ, RECORDS_ALL)),
                        by_shard(f) ? "1 2 3" : "2 1 3");
}

static void test_ranges_are_half_open(void **state)
{
    struct fixture *f = *state;
    fill_orders(f);
    struct record_query q = query(RECORD_USAGE, RECORDS_BY_TIME, RECORDS_ALL);
    q.from = at(5);
    q.to = at(7);
    assert_string_equal(ids_of(f, f->s, q), "b c e");
    q.to = at(5);
    assert_string_equal(ids_of(f, f->s, q), "");
    q = query(RECORD_USAGE, RECORDS_BY_SEQ, RECORDS_ALL);
    q.from = nth_seq(f, RECORD_USAGE, by_shard(f) ? 3 : 2); // c a e b d; c b a e d
    q.to = nth_seq(f, RECORD_USAGE, by_shard(f) ? 5 : 4);
    assert_string_equal(ids_of(f, f->s, q), by_shard(f) ? "a e b" : "b a");
    q = query(RECORD_SAMPLE, RECORDS_BY_TIME, RECORDS_ALL);
    q.from = at(4);
    assert_string_equal(ids_of(f, f->s, q), "1 2");
    q.shard = 1;
    assert_string_equal(ids_of(f, f->s, q), "2");
}

static void test_newest_first(void **state)
{
    struct fixture *f = *state;
    fill_orders(f);
    struct record_query q = query(RECORD_USAGE, RECORDS_NEWEST, RECORDS_ALL);
    assert_string_equal(ids_of(f, f->s, q), "a e c b d");
    assert_string_equal(ids_of(f, f->s, query(RECORD_SAMPLE, RECORDS_NEWEST, RECORDS_ALL)),
                        "2 1 3");
    q.shard = 0;
    assert_string_equal(ids_of(f, f->s, q), "a e c");
    q.shard = -1;
    q.from = at(5);
    q.to = at(7); // half open
    assert_string_equal(ids_of(f, f->s, q), "e c b");
}

// From (start, event_id) of the last one read, whatever page it was the end of.
static void test_newest_goes_on(void **state)
{
    static const struct {
        const char *before, *ids;
        int64_t to;
    } cases[] = {
        {"a", "e c b d", 7}, {"zz", "a e c b d", 7}, {"e", "c b d", 5}, {"c", "b d", 5},
        {"b", "d", 5},       {"bb", "b d", 5},       {"a", "d", 5},     {"", "d", 5},
        {"d", "", 1},        {"c", "b d", 5},        {"x", "d", 3},
    };
    struct fixture *f = *state;
    fill_orders(f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct record_query q = query(RECORD_USAGE, RECORDS_NEWEST, RECORDS_ALL);
        q.to = at(cases[i].to);
        q.before = str_of(cases[i].before);
        assert_string_equal(ids_of(f, f->s, q), cases[i].ids);
    }
    struct record_query q = query(RECORD_SAMPLE, RECORDS_NEWEST, RECORDS_ALL);
    q.to = at(4);
    q.before = STR("2");
    assert_string_equal(ids_of(f, f->s, q), "1 3");
}

static void add_consumer(struct fixture *f, const char *id, const char *model, const char *tenant)
{
    struct record *r = add_usage(f, id, "h", 0, at(1), at(2));
    r->usage.model = str_of(model);
    r->usage.tenant = str_of(tenant);
    set_digest(r);
    struct window_row *row = add_idle(f, 0, at(0), "h", id[0] - 'a', 1);
    row->kind = ROW_USAGE;
    row->model = r->usage.model;
    row->tenant = r->usage.tenant;
}

static const struct str some_models[] = {{"m1", 2}, {"nobody's", 8}};
static const struct str some_tenants[] = {{"t2", 2}, {NULL, 0}};
static const struct {
    struct store_match match;
    const char *ids;
} whose[] = {
    {{{NULL, 0}, {NULL, 0}}, "a b c d"},          {{{some_models, 1}, {NULL, 0}}, "a b"},
    {{{some_models, 2}, {NULL, 0}}, "a b"},       {{{NULL, 0}, {some_tenants, 1}}, "b d"},
    {{{NULL, 0}, {some_tenants, 2}}, "b c d"},    {{{NULL, 0}, {some_tenants + 1, 1}}, "c"},
    {{{some_models, 2}, {some_tenants, 2}}, "b"}, {{{some_models + 1, 1}, {some_tenants, 2}}, ""},
};

static void test_whose(void **state)
{
    struct fixture *f = *state;
    add_consumer(f, "a", "m1", "t1");
    add_consumer(f, "b", "m1", "t2");
    add_consumer(f, "c", "m2", NULL);
    add_consumer(f, "d", "m3", "t2");
    put(f);
    for (size_t i = 0; i < ARRAY_LEN(whose); i++) {
        struct record_query q = query(RECORD_USAGE, RECORDS_BY_TIME, RECORDS_ALL);
        q.match = &whose[i].match;
        assert_string_equal(ids_of(f, f->s, q), whose[i].ids);
        q.filter = RECORDS_OPEN;
        q.order = RECORDS_BY_SEQ;
        assert_string_equal(ids_of(f, f->s, q), whose[i].ids);
        q.filter = RECORDS_LATE;
        q.order = RECORDS_NEWEST;
        assert_string_equal(ids_of(f, f->s, q), "");
    }
    struct store_cursor *c = NULL;
    struct record_query q = query(RECORD_SAMPLE, RECORDS_BY_TIME, RECORDS_ALL);
    q.match = &whose[1].match;
    assert_i64(store_records(f->s, &q, &c, &f->err), -EINVAL);
    const struct store_match many = {.models = {some_models, STORE_MATCH_MAX + 1}};
    q.kind = RECORD_USAGE;
    q.match = &many;
    assert_i64(store_records(f->s, &q, &c, &f->err), -EINVAL);
}

// The GPUs' indices of the rows that are whose.
static char *rows_whose(struct fixture *f, const struct store_match *m, int64_t shard)
{
    const struct window_query q = {LEVEL_WINDOW, at(0), at(60), shard};
    struct store_cursor *c = NULL;
    struct window_row row;
    struct buf b;
    int r;
    buf_init(&b, 1000);
    assert_ok(store_windows_of(f->s, &q, m, &c, &f->err), &f->err);
    while ((r = store_windows_next(c, &row, &f->err)) > 0) {
        buf_printf(&b, "%s%c", b.n ? " " : "", (char)('a' + row.gpu.index));
    }
    assert_ok(r, &f->err);
    store_cursor_close(c);
    char *text = (char *)(uintptr_t)arena_copy(&f->arena, buf_view(&b)).p;
    buf_done(&b);
    return text;
}

static void test_rows_whose(void **state)
{
    struct fixture *f = *state;
    add_consumer(f, "a", "m1", "t1");
    add_consumer(f, "b", "m1", "t2");
    add_consumer(f, "c", "m2", NULL);
    add_consumer(f, "d", "m3", "t2");
    put(f);
    for (size_t i = 0; i < ARRAY_LEN(whose); i++) {
        assert_string_equal(rows_whose(f, &whose[i].match, -1), whose[i].ids);
        assert_string_equal(rows_whose(f, &whose[i].match, 0), whose[i].ids);
        assert_string_equal(rows_whose(f, &whose[i].match, 1), "");
    }
}

static void test_by_id(void **state)
{
    struct fixture *f = *state;
    struct stored_record r;
    fill_orders(f);
    add_cost(f, 3, 5, 7);
    put(f);
    assert_ok(store_find_record(f->s, RECORD_USAGE, STR("a"), &f->arena, &r, &f->err), &f->err);
    assert_str(r.record.event_id, "a");
    assert_i64(usage_start(&r.record.usage), at(7));
    assert_i64(r.record.usage.gpus[0], 0);
    assert_i64(r.cost.cost_nusd, 12);
    assert_str(r.cost.event_id, "a");
    assert_ok(store_find_record(f->s, RECORD_USAGE, STR("b"), &f->arena, &r, &f->err), &f->err);
    assert_i64(r.cost.seq, 0);
    assert_ok(store_find_record(f->s, RECORD_SAMPLE, STR("2"), &f->arena, &r, &f->err), &f->err);
    assert_i64(r.record.sample.ts, at(4));
    assert_i64(r.record.shard, 1);
    assert_i64(store_find_record(f->s, RECORD_SAMPLE, STR("a"), &f->arena, &r, &f->err), -ENOENT);
    assert_non_null(strstr(f->err.msg, "no sample with the event_id a"));
    assert_i64(store_find_record(f->s, RECORD_USAGE, STR(""), &f->arena, &r, &f->err), -ENOENT);
}

static void test_filters(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_set_shards(f->s, 2, &f->err), &f->err);
    add_usage(f, "open", "h", 0, at(9), at(10))->shard = 1;
    add_usage(f, "unplaced", NULL, 0, at(8), at(9));
    add_usage(f, "unpriced", "h", 0, at(7), at(8))->shard = 1;
    add_usage(f, "late", "h", 0, at(6), at(7));
    add_usage(f, "partial", "h", 0, at(5), at(6));
    add_usage(f, "fine", "h", 0, at(4), at(5));
    put(f);
    add_cost(f, 2, 0, 0)->priced = false;
    add_cost(f, 3, 1, 0)->priced = false;
    add_cost(f, 4, 1, 1)->late = true;
    add_cost(f, 5, 1, 1)->final = false;
    add_cost(f, 6, 1, 1);
    put(f);
    static const struct {
        enum record_filter filter;
        const char *by_time, *by_seq, *by_shard, *shard_1;
    } cases[] = {
        {RECORDS_ALL, "fine partial late unpriced unplaced open",
         "open unplaced unpriced late partial fine", "unplaced late partial fine open unpriced",
         "unpriced open"},
        {RECORDS_OPEN, "partial open", "open partial", "partial open", "open"},
        {RECORDS_UNPLACED, "unplaced", "unplaced", "unplaced", ""},
        {RECORDS_UNPRICED, "unpriced", "unpriced", "unpriced", "unpriced"},
        {RECORDS_LATE, "late", "late", "late", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct record_query q = query(RECORD_USAGE, RECORDS_BY_TIME, cases[i].filter);
        assert_string_equal(ids_of(f, f->s, q), cases[i].by_time);
        q.shard = 1;
        assert_string_equal(ids_of(f, f->s, q), cases[i].shard_1);
        q.order = RECORDS_BY_SEQ;
        assert_string_equal(ids_of(f, f->s, q), cases[i].shard_1[0] == 'u' && i == 0
                                                    ? "open unpriced"
                                                    : cases[i].shard_1);
        q.shard = -1;
        assert_string_equal(ids_of(f, f->s, q), by_shard(f) ? cases[i].by_shard : cases[i].by_seq);
    }
    struct store_cursor *c = NULL;
    struct record_query q = query(RECORD_SAMPLE, RECORDS_BY_TIME, RECORDS_LATE);
    assert_i64(store_records(f->s, &q, &c, &f->err), -EINVAL);
}

static void test_cursor_is_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct store_cursor *c = NULL;
    struct stored_record r;
    const struct record_query q = query(RECORD_USAGE, RECORDS_BY_TIME, RECORDS_ALL);
    add_usage(f, "a", "h", 0, at(0), at(1));
    add_usage(f, "c", "h", 0, at(2), at(3));
    put(f);
    assert_ok(store_records(f->s, &q, &c, &f->err), &f->err);
    assert_i64(store_records_next(c, &r, &f->err), 1);
    add_usage(f, "b", "h", 0, at(1), at(2));
    add_cost(f, 2, 1, 1);
    put(f); // while the cursor is open, by its own store
    assert_i64(store_records_next(c, &r, &f->err), 1);
    assert_str(r.record.event_id, "c");
    assert_i64(r.cost.seq, 0);
    assert_i64(store_records_next(c, &r, &f->err), 0);
    store_cursor_close(c);
    assert_string_equal(ids_of(f, f->s, q), "a b c");
    store_cursor_close(NULL);
}

static void test_many_cursors(void **state)
{
    struct fixture *f = *state;
    struct store_cursor *c[5];
    struct stored_record r;
    const struct record_query q = query(RECORD_USAGE, RECORDS_BY_SEQ, RECORDS_ALL);
    add_usage(f, "a", "h", 0, at(0), at(1));
    add_usage(f, "b", "h", 0, at(0), at(1));
    put(f);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < ARRAY_LEN(c); i++) {
            assert_ok(store_records(f->s, &q, &c[i], &f->err), &f->err);
            assert_i64(store_records_next(c[i], &r, &f->err), 1);
        }
        for (size_t i = 0; i < ARRAY_LEN(c); i++) {
            assert_i64(store_records_next(c[i], &r, &f->err), 1);
            assert_str(r.record.event_id, "b");
            store_cursor_close(c[i]);
        }
    }
}

static void write_something(struct fixture *f, const char *id)
{
    add_usage(f, id, "h", 0, at(0), at(1));
    add_sample(f, id, "h", 0, at(0));
    add_cost(f, 1, 1, 1)->revision = (int32_t)strlen(id);
    add_idle(f, 0, at(0), id, 0, 5);
    add_shard(f, 0, at(7200));
    add_unsettled(f, 0, at(0), at(60));
    f->letters[f->n_letters++] = (struct dead_letter){.reason = STR("r"), .payload = STR("p")};
    put(f);
}

// What a server that has no snapshots cannot do, and the one that tests start has none.
static void needs_snapshots(const struct fixture *f)
{
    if (!has_transactions(f) && getenv("GTAP_TEST_MONGODB_SNAPSHOTS") == NULL) {
        print_message(
            "# skipped: set GTAP_TEST_MONGODB_SNAPSHOTS where the server has snapshots\n");
        skip();
    }
}

static void test_held_snapshot(void **state)
{
    struct fixture *f = *state;
    needs_snapshots(f);
    struct store *reader = NULL;
    const struct price_entry price = {.name = STR("H100"), .price_nusd_hour = 1};
    int64_t id;
    write_something(f, "a");
    assert_ok(store_open(f->uri, STORE_READ, &reader, &f->err), &f->err);
    for (int pass = 0; pass < 2; pass++) {
        assert_ok(store_hold(reader, &f->err), &f->err);
        char *before = dump_store(f, reader);
        uint64_t version = info_of(f, reader).data_version;
        write_something(f, pass ? "ccc" : "bb");
        assert_ok(store_add_price(f->s, &price, &id, &f->err), &f->err);
        assert_text(dump_store(f, reader), before);
        assert_true(info_of(f, reader).data_version == version);
        store_release(reader);
        assert_text(dump_store(f, reader), dump_store(f, f->s));
    }
    assert_ok(store_hold(reader, &f->err), &f->err);
    store_close(reader); // lets go of it
}

// Cursors of one snapshot do not disturb each other.
static void test_held_cursors(void **state)
{
    struct fixture *f = *state;
    struct store *reader = NULL;
    struct store_cursor *c[3];
    struct stored_record r;
    const struct record_query q = query(RECORD_USAGE, RECORDS_BY_TIME, RECORDS_ALL);
    add_usage(f, "a", "h", 0, at(0), at(1));
    add_usage(f, "b", "h", 0, at(1), at(2));
    put(f);
    assert_ok(store_open(f->uri, STORE_READ, &reader, &f->err), &f->err);
    assert_ok(store_hold(reader, &f->err), &f->err);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        assert_ok(store_records(reader, &q, &c[i], &f->err), &f->err);
        assert_i64(store_records_next(c[i], &r, &f->err), 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        assert_i64(store_records_next(c[i], &r, &f->err), 1);
        assert_str(r.record.event_id, "b");
        assert_i64(store_records_next(c[i], &r, &f->err), 0);
        store_cursor_close(c[i]);
    }
    store_close(reader);
}

static void test_a_writer_holds_nothing(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_hold(f->s, &f->err), &f->err);
    write_something(f, "a");
    assert_i64(info_of(f, f->s).usages, 1);
    store_release(f->s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_newest_first),
        ON_ALL(test_newest_goes_on),
        ON_ALL(test_whose),
        ON_ALL(test_rows_whose),
        ON_ALL(test_by_id),
        ON_ALL(test_orders),
        ON_ALL(test_ranges_are_half_open),
        ON_ALL(test_filters),
        ON_ALL(test_cursor_is_a_snapshot),
        ON_ALL(test_many_cursors),
        ON_ALL(test_held_snapshot),
        ON_ALL(test_held_cursors),
        ON_ALL(test_a_writer_holds_nothing),
    };
    return fixture_run("read", tests);
}
