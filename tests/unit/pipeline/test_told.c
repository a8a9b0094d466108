// What a run is told, and tells: settings, prices, retention, open windows.
#include "rig.h"

#include <poll.h>
#include <unistd.h>

#include "faulty_store.h"
#include "pipeline/meter.h"

static void run_load(struct rig *r, const char *name, int64_t from, int64_t to)
{
    struct buf load;
    buf_init(&load, RIG_TEXT_MAX);
    (void)put_load(&load, from, to);
    rig_inputs(r, rig_file(r, name, &load), NULL);
    rig_must_run(r);
    buf_done(&load);
}

static size_t count_epochs(struct rig *r, int64_t *ret_newest_from)
{
    struct arena a = {0};
    struct settings_history h;
    struct store *s = rig_open(r, STORE_READ);
    assert_ok(store_settings(s, &a, &h, &r->err), &r->err);
    *ret_newest_from = h.epochs[h.n - 1].effective_from;
    store_close(s);
    size_t n = h.n;
    arena_done(&a);
    return n;
}

// Other settings hold from the end of what is stored, and that is said; the same ones, or none,
// change nothing and say nothing.
static void test_settings_change_aloud(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct buf before, after;
        int64_t from;
        rig_init(&r, rig_stores[i]);
        run_load(&r, "a.ndjson", 0, 1200);
        assert_int_equal(count_epochs(&r, &from), 1);
        rig_dump(&r, &before);
        run_load(&r, "b.ndjson", 0, 1200); // all of it known
        r.config.settings_given = 0;
        r.config.settings.method = METHOD_EQUAL;
        run_load(&r, "c.ndjson", 0, 1200);
        assert_int_equal(count_epochs(&r, &from), 1);
        assert_null(strstr(r.notices.p ? r.notices.p : "", "settings"));
        r.config.settings_given = SETTING_METHOD;
        run_load(&r, "d.ndjson", 1200, 2400);
        assert_int_equal(count_epochs(&r, &from), 2);
        assert_i64(from, EPOCH_NS + 1260 * NS_PER_S); // the last record is at 1200 s
        assert_non_null(strstr(r.notices.p,
                               "the settings differ from the store's: the new ones hold "
                               "from 2026-01-01T00:21:00Z on"));
        (void)rig_verify(&r);
        rig_dump(&r, &after);
        // Whole windows before the change are as they were.
        const char *cut = strstr(before.p, "1767226620000000000");
        assert_non_null(cut);
        assert_memory_equal(before.p, after.p, (size_t)(cut - before.p));
        assert_null(memmem(after.p, (size_t)(cut - before.p), "equal", 5));
        assert_non_null(strstr(after.p, "equal"));
        buf_done(&before);
        buf_done(&after);
        rig_done(&r);
    }
}

// Another length of windows begins where windows of both lengths do: on the hour.
static void test_another_window(void **state)
{
    (void)state;
    struct rig r;
    int64_t from;
    rig_init(&r, "sqlite");
    run_load(&r, "a.ndjson", 0, 1200);
    r.config.settings.window_ns = 300 * NS_PER_S;
    run_load(&r, "b.ndjson", 1200, 9000);
    assert_int_equal(count_epochs(&r, &from), 2);
    assert_i64(from, EPOCH_NS + NS_PER_HOUR);
    (void)rig_verify(&r);
    rig_done(&r);
}

static int fd = -1;

static void put_named(struct buf *b, int64_t from, int64_t to)
{
    for (int64_t t = from; t <= to; t += 10) {
        char id[24];
        snprintf(id, sizeof(id), "n%d", (int)t);
        put_sample(b, id, t, 0, ",\"name\":\"NVIDIA H100\"");
    }
}

static void add_price(struct rig *r, int64_t price_nusd)
{
    struct store *s = rig_open(r, STORE_ADMIN);
    const struct price_entry e = {.price_nusd_hour = price_nusd, .name = STR("NVIDIA H100")};
    int64_t id;
    struct error err;
    assert_ok(store_add_price(s, &e, &id, &err), &err);
    store_close(s);
}

enum { RELOAD_MS_MAX = 60000 };
static atomic_bool reloaded;

static void look_at_notices(struct rig *r, const struct run_progress *p)
{
    (void)p;
    reloaded = r->notices.p && strstr(r->notices.p, "the price book has changed");
}

static void feed_around_a_new_price(struct rig *r)
{
    struct buf b;
    buf_init(&b, RIG_TEXT_MAX);
    put_named(&b, 0, 100);
    rig_write(fd, &b);
    rig_wait_stored(r, 11);
    add_price(r, INT64_C(3600000000));
    for (int i = 0; !reloaded && i < RELOAD_MS_MAX; i++) {
        (void)poll(NULL, 0, 1);
    }
    buf_clear(&b);
    put_named(&b, 110, 1000);
    rig_write(fd, &b);
    rig_wait_stored(r, 101);
    rig_stop(r);
    buf_done(&b);
}

static void test_a_price_added_while_it_runs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        rig_init(&r, rig_stores[i]);
        reloaded = false;
        r.on_progress = look_at_notices;
        r.clock.step = NS_PER_S;
        rig_inputs(&r, rig_pipe(&r, "pipe", &fd), NULL);
        rig_help(&r, feed_around_a_new_price);
        rig_must_run(&r);
        struct rederive_result v = rig_verify(&r);
        assert_i64(v.unpriced_ns, 0);
        // Final up to 300 s before the last record's window, at 1,000,000 nano-USD a second.
        assert_i64(v.idle_nusd, 660 * INT64_C(1000000));
        close(fd);
        rig_done(&r);
    }
}

static void put_hours(struct rig *r, int64_t hours)
{
    run_load(r, "hours.ndjson", 0, hours * 3600);
}

// Short as the run is, what is older than that is gone in the end, and the rest still agrees.
static void test_retention(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        rig_init(&r, rig_stores[i]);
        r.clock.step = 0;
        r.config.retain_ns[STORE_GPU_METRICS] = NS_PER_HOUR;
        r.config.retain_ns[STORE_TOKEN_USAGE] = NS_PER_HOUR;
        put_hours(&r, 4);
        struct store_info info = rig_info(&r);
        assert_true(info.samples < 2 * 450); // of 4 hours at 360 an hour and GPU
        assert_true(info.samples >= 2 * 360);
        assert_true(info.raw_from > EPOCH_NS + 2 * NS_PER_HOUR);
        assert_i64(rig_count(&r, LEVEL_HOUR, true), 4 * 2 * 2); // usage and idle, of two GPUs
        (void)rig_verify(&r);
        rig_done(&r);
    }
}

static void count_commit(void *ctx, const struct store_write *w)
{
    int *with_windows = ctx;
    *with_windows += w->n_windows > 0;
}

static void wait_in_silence(struct rig *r)
{
    rig_wait_stored(r, 11);
    for (int i = 0; i < 600; i++) {
        atomic_fetch_add(&r->clock.ns, NS_PER_S / 10);
        (void)poll(NULL, 0, 1);
    }
    rig_stop(r);
}

// Open windows are there to be read while they are open, and written once for what came in.
static void test_open_windows(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, "memory");
    r.clock.step = NS_PER_MS;
    rig_inputs(&r, rig_pipe(&r, "pipe", &fd), NULL);
    struct buf b;
    buf_init(&b, RIG_TEXT_MAX);
    put_named(&b, 0, 100);
    rig_write(fd, &b);
    struct store *inner = rig_open(&r, STORE_WRITE);
    int with_windows = 0;
    struct faulty_store f;
    faulty_store_init(&f, inner);
    f.on_commit = count_commit;
    f.ctx = &with_windows;
    struct meter m;
    rig_help(&r, wait_in_silence);
    rig_begin_help(&r);
    assert_ok(meter_open(&m, &r.config, &f.base, &r.err), &r.err);
    assert_ok(meter_run(&m, &r.err), &r.err);
    rig_end_help(&r);
    meter_close(&m);
    store_close(inner);
    assert_i64(rig_count(&r, LEVEL_WINDOW, false), 2);
    assert_i64(rig_count(&r, LEVEL_WINDOW, true), 0);
    assert_in_range(with_windows, 1, 2);
    close(fd);
    buf_done(&b);
    rig_done(&r);
}

int main(void)
{
    return TEST_RUN(TEST(test_settings_change_aloud), TEST(test_another_window),
                    TEST(test_a_price_added_while_it_runs), TEST(test_retention),
                    TEST(test_open_windows));
}
