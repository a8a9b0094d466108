// verify and recompute: what was tampered with is found and mended, a corrected price reprices.
#include "rig.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>

enum { ROWS_MAX = 16 };

// A window's rows, copied, so that they can be written back changed.
struct window_copy {
    struct arena arena;
    struct window_row rows[ROWS_MAX];
    size_t n;
};

static int64_t at_ns(int64_t s)
{
    return EPOCH_NS + s * NS_PER_S;
}

static void read_window(struct rig *r, int64_t at, struct window_copy *w)
{
    struct window_query q = {LEVEL_WINDOW, at_ns(at), at_ns(at) + 1, -1};
    struct store *s = rig_open(r, STORE_READ);
    struct store_cursor *c = NULL;
    *w = (struct window_copy){0};
    assert_ok(store_windows(s, &q, &c, &r->err), &r->err);
    while (w->n < ROWS_MAX && store_windows_next(c, &w->rows[w->n], &r->err) > 0) {
        struct window_row *row = &w->rows[w->n++];
        row->gpu.host = arena_copy(&w->arena, row->gpu.host);
        row->site = arena_copy(&w->arena, row->site);
        row->model = arena_copy(&w->arena, row->model);
        row->tenant = arena_copy(&w->arena, row->tenant);
    }
    store_cursor_close(c);
    store_close(s);
    assert_true(w->n > 0);
}

static void write_window(struct rig *r, int64_t at, const struct window_copy *w)
{
    const struct window_rows rows = {at_ns(at), at_ns(at + 60), 0, w->rows, w->n, false};
    struct store_write write = {.windows = &rows, .n_windows = 1};
    struct store *s = rig_open(r, STORE_WRITE);
    assert_ok(store_commit(s, &write, &r->err), &r->err);
    store_close(s);
}

struct found {
    int windows, rollups, copies, requests;
    int missing, extra; // on the stored side
    int64_t stored_nusd, derived_nusd;
    int64_t progressed;
};

static void on_difference(void *ctx, const struct difference *d)
{
    struct found *f = ctx;
    f->windows += strcmp(d->level, "window") == 0;
    f->rollups += strcmp(d->level, "hour") == 0 || strcmp(d->level, "day") == 0;
    f->copies += d->copy != NULL;
    f->requests += strcmp(d->level, "request") == 0;
    if (strcmp(d->level, "window") == 0) {
        f->missing += d->stored == NULL;
        f->extra += d->derived == NULL;
        f->stored_nusd = d->stored ? d->stored->cost_nusd : 0;
        f->derived_nusd = d->derived ? d->derived->cost_nusd : 0;
    }
}

static void on_progress(void *ctx, const struct rederive_progress *p)
{
    struct found *f = ctx;
    assert_true(p->from <= p->to && p->done <= p->to);
    f->progressed++;
}

static struct rederive_config config(struct rig *r, struct found *f)
{
    return (struct rederive_config){.store = r->store_text,
                                    .from = INT64_MIN,
                                    .to = INT64_MAX,
                                    .max_differences = 1000,
                                    .difference = on_difference,
                                    .progress = on_progress,
                                    .ctx = f};
}

static struct found verify(struct rig *r, struct rederive_result *ret)
{
    struct found f = {0};
    struct rederive_config c = config(r, &f);
    assert_ok(verify_store(&c, ret, &r->err), &r->err);
    assert_int_equal(ret->rows_different, f.windows + f.rollups + f.requests);
    assert_int_equal(ret->packs_different, f.copies);
    return f;
}

static struct found recompute(struct rig *r, bool dry_run)
{
    struct found f = {0};
    struct rederive_result result;
    struct rederive_config c = config(r, &f);
    assert_ok(recompute_store(&c, dry_run, &result, &r->err), &r->err);
    return f;
}

// `from` to 9000 s of load, and a third GPU that has no price.
static void set_up_from(struct rig *r, const char *store, int64_t from)
{
    struct buf load;
    rig_init(r, store);
    buf_init(&load, RIG_TEXT_MAX);
    for (int64_t t = from; t <= 9000; t += 30) {
        char id[24];
        snprintf(id, sizeof(id), "named%d", (int)t);
        put_sample(&load, id, t, 7, ",\"name\":\"NVIDIA H100\"");
    }
    put_usage(&load, "named", 1000, 100, 7, "");
    (void)put_load(&load, from, 9000);
    rig_inputs(r, rig_file(r, "load.ndjson", &load), NULL);
    rig_must_run(r);
    buf_done(&load);
}

// Two and a half hours: two of them rolled up.
static void set_up(struct rig *r, const char *store)
{
    set_up_from(r, store, 0);
}

static void test_nothing_differs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct rederive_result v;
        set_up(&r, rig_stores[i]);
        struct found f = verify(&r, &v);
        assert_int_equal(v.rows_different, 0);
        assert_true(f.progressed > 0);
        assert_i64(v.from, at_ns(0)); // where the first window begins
        assert_i64(v.to, at_ns(9000));
        assert_i64(v.bill_nusd, 2 * 9000 * INT64_C(1000000)); // the third GPU has no price
        assert_i64(v.unpriced_ns, 9000 * NS_PER_S);
        assert_i64((int64_t)v.unpriced_requests, 1);
        assert_i64((int64_t)v.windows, 150);
        assert_i64((int64_t)v.gpus, 3);
        assert_i64((int64_t)v.requests, 2 * 1285 + 1);
        // Rows of windows and of two hours, and a cost for each request.
        assert_true(v.rows_equal > 150 * 5 + 2 * 5 + v.requests);
        struct found again = recompute(&r, false);
        assert_int_equal(again.windows + again.requests, 0);
        rig_done(&r);
    }
}

// A row that says something else is found, and mended under a new revision; so is its hour.
static void test_a_tampered_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct rederive_result v;
        struct window_copy w, mended;
        struct buf before;
        set_up(&r, rig_stores[i]);
        rig_dump(&r, &before);
        read_window(&r, 600, &w);
        int64_t honest = w.rows[0].cost_nusd;
        w.rows[0].cost_in_nusd += 5;
        w.rows[0].cost_nusd += 5;
        write_window(&r, 600, &w);
        struct found f = verify(&r, &v);
        assert_int_equal(f.windows, 1);
        assert_int_equal(f.requests, 0);
        assert_i64(f.stored_nusd, honest + 5);
        assert_i64(f.derived_nusd, honest);
        f = recompute(&r, true);
        assert_int_equal(f.windows, 1);
        assert_int_equal(verify(&r, &v).windows, 1); // a rehearsal changes nothing
        (void)recompute(&r, false);
        assert_i64((int64_t)verify(&r, &v).windows, 0);
        assert_int_equal(v.rows_different, 0);
        read_window(&r, 600, &mended);
        assert_i64(mended.rows[0].cost_nusd, honest);
        assert_int_equal(mended.rows[0].revision, 2);
        assert_int_equal(mended.rows[1].revision, 1); // the others of its window were right
        rig_check_same(&r, &before);
        arena_done(&w.arena);
        arena_done(&mended.arena);
        buf_done(&before);
        rig_done(&r);
    }
}

// Every field of the rows of hours, as SQL sees them.
static void read_hours(struct rig *r, struct buf *b)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    buf_init(b, RIG_TEXT_MAX);
    assert_int_equal(sqlite3_open(rig_path(r, "store.db"), &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT * FROM cost_hour ORDER BY 1, 2, 3", -1, &stmt, NULL),
        SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            const char *text = (const char *)sqlite3_column_text(stmt, i);
            buf_printf(b, "%s|", text ? text : "");
        }
    }
    assert_true(b->n > 0 && buf_ok(b));
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

// What `recompute` says of a lie in a store on disk: the same whether it mends it or not; and then
// nothing is left of it.
static void check_mended(struct rig *r, struct found f, const char *rows)
{
    struct buf left_rows;
    struct rederive_result v;
    for (int dry = 1; dry >= 0; dry--) {
        struct found said = recompute(r, dry);
        assert_int_equal(said.rollups, f.rollups);
        assert_int_equal(said.copies, f.copies);
        assert_int_equal(said.windows + said.requests, 0);
    }
    struct found left = verify(r, &v);
    assert_int_equal(left.rollups + left.copies + left.windows + left.requests, 0);
    read_hours(r, &left_rows);
    assert_string_equal(left_rows.p, rows);
    buf_done(&left_rows);
}

// Hours are compared with the windows they are the sums of, and with their copies.
static void test_a_tampered_hour(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int rollups, copies;
    } lies[] = {
        {"UPDATE cost_hour SET cost_in_nusd = cost_in_nusd + 1 WHERE window_start = "
         "1767225600000000000"
         " AND n = 1",
         1, 1},
        {"DELETE FROM cost_hour WHERE window_start = 1767229200000000000 AND n = 2", 1, 1},
        {"UPDATE cost_hour SET final = 0 WHERE window_start = 1767229200000000000 AND n = 2", 1, 0},
        {"UPDATE cost_hour SET energy_j = energy_j / 2 WHERE window_start = 1767229200000000000"
         " AND n = 0",
         0, 1},
        {"DELETE FROM cost_pack WHERE window_start = 1767229200000000000", 0, 1},
        {"UPDATE cost_pack SET rows = x'00' WHERE window_start = 1767229200000000000", 0, 1},
        {"UPDATE cost_pack SET rows = (SELECT p.rows FROM cost_pack p WHERE p.id <> cost_pack.id)"
         " WHERE window_start = 1767229200000000000",
         0, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct rig r;
        struct rederive_result v;
        sqlite3 *db = NULL;
        struct buf hours;
        set_up(&r, "sqlite");
        read_hours(&r, &hours);
        assert_int_equal(sqlite3_open(rig_path(&r, "store.db"), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, lies[i].sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_changes(db), 1);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        struct found f = verify(&r, &v);
        assert_int_equal(f.rollups, lies[i].rollups);
        assert_int_equal(f.copies, lies[i].copies);
        assert_int_equal(f.windows + f.requests, 0);
        check_mended(&r, f, hours.p);
        buf_done(&hours);
        rig_done(&r);
    }
}

// Numbers that add up to more than there are.
static void test_windows_beyond_64_bits(void **state)
{
    (void)state;
    struct rig r;
    struct rederive_result v;
    sqlite3 *db = NULL;
    set_up(&r, "sqlite");
    assert_int_equal(sqlite3_open(rig_path(&r, "store.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE cost_window SET busy_ns = 9223372036854775807,"
                                  " unpriced_ns = -9223372036854775807 WHERE n = 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    int changed = sqlite3_changes(db);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    struct found f = verify(&r, &v);
    assert_int_equal(f.windows, changed);
    assert_true(changed > 60 && f.rollups > 0);
    assert_int_equal(recompute(&r, false).windows, changed);
    f = verify(&r, &v);
    assert_int_equal(f.windows + f.rollups + f.copies + f.requests, 0);
    rig_done(&r);
}

// The first hour is one although it begins before the first record; but not for who asks for a part
// of it.
static void test_a_partial_first_hour(void **state)
{
    (void)state;
    static const char lie[] = "UPDATE cost_hour SET cost_in_nusd = cost_in_nusd + 1 "
                              "WHERE window_start = 1767225600000000000 AND n = 1";
    const struct {
        int64_t since, shown;
        int want;
    } cases[] = {{-86400, 540, 1}, {0, 540, 1}, {1200, 1200, 0}}; // a request begins at 597
    struct rig r;
    struct rederive_result v;
    sqlite3 *db = NULL;
    set_up_from(&r, "sqlite", 600);
    assert_int_equal(verify(&r, &v).rollups, 0);
    assert_int_equal(sqlite3_open(rig_path(&r, "store.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, lie, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct found f = {0};
        struct rederive_config c = config(&r, &f);
        c.from = at_ns(cases[i].since);
        assert_ok(verify_store(&c, &v, &r.err), &r.err);
        assert_int_equal(f.rollups, cases[i].want);
        assert_int_equal(f.windows + f.requests, 0);
        assert_i64(v.from, at_ns(cases[i].shown));
    }
    rig_done(&r);
}

// More than an int64_t holds: twenty days of 24 GPUs at a million dollars an hour.
static void test_a_bill_beyond_64_bits(void **state)
{
    (void)state;
    enum { GPUS = 24, HOURS = 480 };
    struct rig r;
    struct rederive_result v;
    struct buf load;
    rig_init(&r, "memory");
    r.config.settings_given = SETTINGS_ALL;
    r.config.settings.window_ns = NS_PER_HOUR;
    r.config.settings.max_gap_ns = r.config.settings.gpu_timeout_ns = 12 * NS_PER_HOUR;
    r.config.settings.horizon_ns = NS_PER_DAY;
    buf_init(&load, RIG_TEXT_MAX);
    for (int64_t hour = 0; hour <= HOURS; hour += 6) {
        for (int gpu = 0; gpu < GPUS; gpu++) {
            char id[48];
            snprintf(id, sizeof(id), "s%" PRId64 "-%d", hour, gpu);
            put_sample(&load, id, hour * 3600, gpu, ",\"price_per_hour_usd\":1000000");
        }
    }
    rig_inputs(&r, rig_file(&r, "load.ndjson", &load), NULL);
    rig_must_run(&r);
    (void)verify(&r, &v);
    assert_int_equal(v.rows_different, 0);
    i128 want = (i128)GPUS * HOURS * INT64_C(1000000000000000);
    assert_true(want > INT64_MAX);
    assert_i64(v.bill_nusd, want);
    assert_i64(v.requests_nusd + v.idle_nusd + v.unattributed_nusd, want);
    buf_done(&load);
    rig_done(&r);
}

// A row that is gone, one that nobody earned, and one that is not final where all is.
static void test_rows_gone_and_extra(void **state)
{
    (void)state;
    struct rig r;
    struct rederive_result v;
    struct window_copy w;
    set_up(&r, "sqlite");
    read_window(&r, 1200, &w);
    w.n--;
    write_window(&r, 1200, &w);
    arena_done(&w.arena);
    read_window(&r, 1260, &w);
    w.rows[w.n - 1].gpu.index = 9; // the last in order
    write_window(&r, 1260, &w);
    arena_done(&w.arena);
    read_window(&r, 1320, &w);
    w.rows[0].final = false;
    write_window(&r, 1320, &w);
    arena_done(&w.arena);
    struct found f = verify(&r, &v);
    assert_int_equal(f.windows, 1 + 2 + 1);
    assert_int_equal(f.missing, 2);
    assert_int_equal(f.extra, 1);
    (void)recompute(&r, false);
    (void)verify(&r, &v);
    assert_int_equal(v.rows_different, 0);
    rig_done(&r);
}

static int64_t seq_of(struct rig *r, const char *id, struct usage_cost *ret)
{
    struct record_query q = {.kind = RECORD_USAGE, .from = INT64_MIN, .to = INT64_MAX, .shard = -1};
    struct store *s = rig_open(r, STORE_READ);
    struct store_cursor *c = NULL;
    struct stored_record row;
    int64_t seq = 0;
    assert_ok(store_records(s, &q, &c, &r->err), &r->err);
    while (store_records_next(c, &row, &r->err) > 0) {
        if (str_eq(row.record.event_id, str_of(id))) {
            seq = row.record.seq;
            *ret = row.cost;
        }
    }
    store_cursor_close(c);
    store_close(s);
    assert_true(seq > 0);
    return seq;
}

static void test_a_tampered_cost(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct rederive_result v;
        struct usage_cost cost;
        set_up(&r, rig_stores[i]);
        (void)seq_of(&r, "r700-0", &cost);
        int64_t honest = cost.cost_out_nusd;
        cost.cost_out_nusd = 1;
        cost.event_id = STR_NONE;
        struct store_write write = {.costs = &cost, .n_costs = 1};
        struct store *s = rig_open(&r, STORE_WRITE);
        assert_ok(store_commit(s, &write, &r.err), &r.err);
        store_close(s);
        struct found f = verify(&r, &v);
        assert_int_equal(f.requests, 1);
        assert_int_equal(f.windows, 0);
        (void)recompute(&r, false);
        (void)verify(&r, &v);
        assert_int_equal(v.rows_different, 0);
        (void)seq_of(&r, "r700-0", &cost);
        assert_i64(cost.cost_out_nusd, honest);
        assert_int_equal(cost.revision, 2);
        assert_false(cost.late); // nothing but the price of a lie
        rig_done(&r);
    }
}

// A price that was forgotten: everything of that GPU gets it, from its date on, and nothing else.
static void test_a_corrected_price(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct rederive_result v;
        struct usage_cost cost;
        int64_t id;
        set_up(&r, rig_stores[i]);
        (void)seq_of(&r, "named", &cost);
        assert_false(cost.priced);
        struct store *s = rig_open(&r, STORE_ADMIN);
        const struct price_entry e = {.effective_from = at_ns(960),
                                      .price_nusd_hour = INT64_C(7200000000),
                                      .name = STR("NVIDIA H*")};
        assert_ok(store_add_price(s, &e, &id, &r.err), &r.err);
        store_close(s);
        struct found f = verify(&r, &v);
        // From 960 s to 9000 s: 134 windows, of which one has a request beside idling.
        assert_int_equal(f.windows, 134 + 1);
        assert_int_equal(f.requests, 1);
        (void)recompute(&r, false);
        (void)verify(&r, &v);
        assert_int_equal(v.rows_different, 0);
        assert_i64(v.bill_nusd, 2 * 9000 * INT64_C(1000000) + (9000 - 960) * INT64_C(2000000));
        (void)seq_of(&r, "named", &cost);
        assert_false(cost.priced); // 60 of its 100 s were before
        assert_i64(cost.cost_nusd, 40 * INT64_C(2000000));
        assert_i64(cost.unpriced_ns, 60 * NS_PER_S);
        assert_int_equal(cost.revision, 2);
        rig_done(&r);
    }
}

// A range is widened to whole windows, and what lies outside is not looked at.
static void test_a_range(void **state)
{
    (void)state;
    struct rig r;
    struct window_copy w;
    struct rederive_result v;
    set_up(&r, "memory");
    read_window(&r, 600, &w);
    w.rows[0].requests += 1;
    write_window(&r, 600, &w);
    const struct {
        int64_t from, to;
        int want;
    } cases[] = {{0, 600, 0},    {0, 601, 1},   {660, 9000, 0},
                 {659, 9000, 1}, {630, 631, 1}, {8990, 90000, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct found f = {0};
        struct rederive_config c = config(&r, &f);
        c.from = at_ns(cases[i].from);
        c.to = at_ns(cases[i].to);
        assert_ok(verify_store(&c, &v, &r.err), &r.err);
        assert_int_equal(f.windows, cases[i].want);
        assert_i64(v.from % (60 * NS_PER_S), 0);
    }
    struct rederive_config none = config(&r, &(struct found){0});
    none.from = at_ns(90000);
    assert_ok(verify_store(&none, &v, &r.err), &r.err);
    assert_i64(v.from, v.to); // nothing is final there
    arena_done(&w.arena);
    rig_done(&r);
}

static void test_of_nothing(void **state)
{
    (void)state;
    struct rig r;
    struct found f = {0};
    struct rederive_result v;
    rig_init(&r, "sqlite");
    struct rederive_config c = config(&r, &f);
    assert_int_equal(verify_store(&c, &v, &r.err), -ENOENT);
    store_close(rig_open(&r, STORE_WRITE));
    assert_ok(verify_store(&c, &v, &r.err), &r.err);
    assert_i64(v.from, v.to);
    struct store *writer = rig_open(&r, STORE_WRITE);
    assert_int_equal(recompute_store(&c, false, &v, &r.err), -EBUSY);
    store_close(writer);
    rig_done(&r);
}

int main(void)
{
    return TEST_RUN(TEST(test_nothing_differs), TEST(test_a_tampered_row),
                    TEST(test_a_tampered_hour), TEST(test_windows_beyond_64_bits),
                    TEST(test_a_partial_first_hour), TEST(test_a_bill_beyond_64_bits),
                    TEST(test_rows_gone_and_extra), TEST(test_a_tampered_cost),
                    TEST(test_a_corrected_price), TEST(test_a_range), TEST(test_of_nothing));
}
